//! Alertmanager's webhook, version 4: what receivers that were written for an Alertmanager take.
//!
//! ```json
//! { "receiver": "team", "status": "firing", "alerts": [{ "status": "firing", "labels": {}, "annotations": {},
//!   "startsAt": "...", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "..." }],
//!   "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "...", "version": "4",
//!   "groupKey": "{}:{}", "truncatedAlerts": 0 }
//! ```
//!
//! The header `Idempotency-Key` bears the message's key, the same for each attempt. A message that tells of no group of alerts (a budget that is spent) comes
//! as one alert of the name `MainstayMessage`.

use mainstay_kernel::Labels;
use mainstay_kernel::effect::Recipient;
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_kernel::notification::{GroupKey, Notification, NotifiedAlert};
use serde::Serialize;

use crate::channel::{Outgoing, Sent};
use crate::http::{Answer, Call, HttpClient, Login};
use crate::wording;

/// What Go programs write for a time that there is not: an alert that fires has no end.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
/// The name of the alert that stands for a message of another kind.
const MESSAGE: &str = "MainstayMessage";

/// The document that is posted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    group_labels: &'a Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: &'a Labels,
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

impl<'a> From<&'a NotifiedAlert> for Alert<'a> {
    fn from(alert: &'a NotifiedAlert) -> Self {
        Self {
            status: alert.status(),
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: alert.starts_at.to_string(),
            ends_at: alert
                .ended_at
                .map_or_else(|| NO_TIME.to_owned(), |end| end.to_string()),
            generator_url: &alert.generator_url,
            fingerprint: format!("{:016x}", alert.labels.fnv_fingerprint()),
        }
    }
}

fn document<'a>(told: &'a Notification, external_url: &'a str) -> Document<'a> {
    Document {
        receiver: &told.receiver,
        status: if told.is_firing() { "firing" } else { "resolved" },
        alerts: told.alerts.iter().map(Alert::from).collect(),
        group_labels: &told.group.labels,
        common_labels: told.common_labels(),
        common_annotations: told.common_annotations(),
        external_url,
        version: "4",
        group_key: &told.group.text,
        truncated_alerts: told.truncated_alerts,
    }
}

/// A message that tells of no group of alerts, as one of one alert.
fn of_message(outgoing: &Outgoing<'_>) -> Notification {
    let message = &outgoing.deliver.message;
    let labels = Labels::from_iter([
        (ALERT_NAME, MESSAGE.to_owned()),
        ("priority", message.severity.to_string()),
        ("subject", wording::cut(&message.subject, 240).into_owned()),
    ]);
    let annotations = Labels::from_iter([
        ("summary", wording::subject(outgoing)),
        ("description", wording::body(outgoing).into_owned()),
    ]);
    let receiver = match &outgoing.deliver.to {
        Recipient::Person(_) => "person",
        Recipient::ChatChannel(channel) => channel.as_str(),
        Recipient::Receiver(receiver) => receiver,
    };
    Notification {
        receiver: receiver.to_owned(),
        shadow: false,
        acknowledged_by: None,
        group: GroupKey {
            text: format!("{{}}:{labels}"),
            labels: labels.clone(),
        },
        alerts: vec![NotifiedAlert {
            labels,
            annotations,
            starts_at: outgoing.at,
            ended_at: message.resolved.then_some(outgoing.at),
            generator_url: wording::link(outgoing),
        }],
        truncated_alerts: 0,
    }
}

/// The group that a message tells of, or the message as a group of one alert.
pub(crate) fn told(outgoing: &Outgoing<'_>) -> Box<Notification> {
    let of_message = || Box::new(of_message(outgoing));
    let told = outgoing.deliver.message.notification.clone();
    told.unwrap_or_else(of_message)
}

pub(crate) async fn send(http: &HttpClient, outgoing: &Outgoing<'_>, url: &str) -> Sent {
    post(http, outgoing, url, Login::None, &told(outgoing)).await
}

/// The same for a receiver of an Alertmanager's configuration, which may be told of no more than so many alerts; 0 is no
/// limit.
pub(crate) async fn send_limited(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    login: Login<'_>,
    receiver: &str,
    max_alerts: usize,
) -> Sent {
    let mut told = told(outgoing);
    receiver.clone_into(&mut told.receiver);
    if max_alerts > 0 && told.alerts.len() > max_alerts {
        told.truncated_alerts += told.alerts.len() - max_alerts;
        told.alerts.truncate(max_alerts);
    }
    post(http, outgoing, url, login, &told).await
}

async fn post(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    login: Login<'_>,
    told: &Notification,
) -> Sent {
    let base = outgoing.base_url.trim_end_matches('/');
    let body = match serde_json::to_vec(&document(told, base)) {
        Ok(body) => body,
        Err(error) => return Sent::failed(format!("the message cannot be written as JSON: {error}")),
    };
    let call = Call {
        body: Some(("application/json", body)),
        login,
        ..Call::get(url)
    };
    http.call(outgoing, call)
        .await
        .map_or_else(|sent| sent, Answer::any_success)
}
