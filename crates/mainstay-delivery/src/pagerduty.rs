//! PagerDuty, by its Events API v2: what begins triggers, what somebody takes on acknowledges and what is over resolves, under
//! one key; changes of the platform are events of their own.

use mainstay_kernel::fact::ChangeRecorded;
use mainstay_kernel::{Digest, Severity};
use serde_json::{Map, Value, json};

use crate::channel::{Outgoing, Secret, Sent};
use crate::http::{Call, HttpClient};
use crate::wording;

/// PagerDuty's limits, in characters there and in bytes here, which is never more.
const DEDUP_KEY_MAX_BYTES: usize = 255;
const SUMMARY_MAX_BYTES: usize = 1_024;
/// The longest text among the details of a change, in bytes.
const DETAIL_MAX_BYTES: usize = 1_024;
/// The longest event, in bytes. What is written here is far below it, but for escapes.
const EVENT_MAX_BYTES: usize = 512_000;

/// Enqueues an event. `202` is a receipt, `400` is never tried again; `429`, `5xx` and no answer are. That an event may
/// have been taken needs no mark: the same key makes the second a part of the first.
pub(crate) async fn send(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    routing_key: &Secret,
) -> Sent {
    let message = &outgoing.deliver.message;
    if let Some(change) = &message.change {
        let event = change_event(outgoing, change, routing_key.expose());
        return enqueue_at(http, outgoing, &format!("{url}/v2/change/enqueue"), &event).await;
    }
    enqueue(http, outgoing, url, &render(outgoing, routing_key.expose())).await
}

/// Enqueues an event that is written already.
pub(crate) async fn enqueue(http: &HttpClient, outgoing: &Outgoing<'_>, url: &str, event: &Value) -> Sent {
    enqueue_at(http, outgoing, &format!("{url}/v2/enqueue"), event).await
}

async fn enqueue_at(http: &HttpClient, outgoing: &Outgoing<'_>, url: &str, event: &Value) -> Sent {
    if event.to_string().len() > EVENT_MAX_BYTES {
        return Sent::failed("the event is longer than PagerDuty takes");
    }
    match http.call(outgoing, Call::json(url, event)).await {
        Ok(answer) if answer.status == 202 => {
            let document = answer.json();
            let dedup_key = document["dedup_key"].as_str().unwrap_or_default();
            Sent::done(
                format!("202 {}", wording::cut(dedup_key, DEDUP_KEY_MAX_BYTES))
                    .trim_end()
                    .to_owned(),
            )
        }
        // A success that is not PagerDuty's comes from something in between.
        Ok(answer) if answer.is_success() => Sent::unknown(
            format!("HTTP {}, not 202: {}", answer.status, answer.quote()),
            answer.retry_after_ms,
        ),
        Ok(answer) => answer.refusal(),
        Err(sent) => sent,
    }
}

pub(crate) fn render(outgoing: &Outgoing<'_>, routing_key: &str) -> Value {
    let message = &outgoing.deliver.message;
    let notification = message.notification.as_ref();
    if notification.is_some_and(|told| told.acknowledged_by.is_some()) {
        // What is told beside a trigger, PagerDuty does not read.
        return json!({
            "routing_key": routing_key,
            "event_action": "acknowledge",
            "dedup_key": dedup_key(outgoing),
        });
    }
    let action = if message.resolved { "resolve" } else { "trigger" };
    let mut links = vec![json!({ "href": wording::link(outgoing), "text": "Open in Mainstay" })];
    links.extend(
        outgoing
            .bridge
            .map(|bridge| json!({ "href": bridge.url, "text": wording::JOIN })),
    );
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(outgoing),
        "payload": {
            "summary": wording::subject_within(outgoing, SUMMARY_MAX_BYTES),
            "source": "mainstay",
            "severity": match message.severity {
                Severity::P0 => "critical",
                Severity::P1 => "error",
                Severity::P2 => "warning",
                Severity::P3 => "info",
            },
            "timestamp": outgoing.at,
            "custom_details": {
                "body": wording::body(outgoing),
                "severity": message.severity,
                "incident": message.incident,
                "page": message.page,
            },
        },
        "client": "Mainstay",
        "client_url": wording::link(outgoing),
        "links": links,
    });
    if let Some(bridge) = outgoing.bridge {
        event["payload"]["custom_details"]["bridge"] = json!(bridge);
    }
    event
}

/// A change of the platform. It has no key: PagerDuty keeps every change that it is told of, so what may be a repetition says so.
fn change_event(outgoing: &Outgoing<'_>, change: &ChangeRecorded, routing_key: &str) -> Value {
    let scope = &change.scope;
    let short = |text: &str| wording::cut(text, DETAIL_MAX_BYTES).into_owned();
    let mut details = Map::from_iter([("kind".to_owned(), json!(change.kind))]);
    if let Some(mark) = wording::duplicate(outgoing) {
        details.insert("note".to_owned(), Value::from(mark));
    }
    let mut put = |key: &str, value: Option<String>| {
        details.extend(value.map(|value| (key.to_owned(), Value::from(short(&value)))));
    };
    put("service", scope.service.as_ref().map(ToString::to_string));
    put("cell", scope.cell.as_ref().map(ToString::to_string));
    put("zone", scope.zone.as_ref().map(ToString::to_string));
    put("region", scope.region.as_ref().map(ToString::to_string));
    put("tenant", scope.tenant.as_ref().map(ToString::to_string));
    put("from_version", change.from_version.clone());
    put("to_version", change.to_version.clone());
    put("id", Some(change.id.clone()));
    json!({
        "routing_key": routing_key,
        "payload": {
            "summary": wording::cut(&change.summary, SUMMARY_MAX_BYTES),
            "source": short(&change.source),
            "timestamp": change.at,
            "custom_details": details,
        },
        "links": [{ "href": wording::link(outgoing), "text": "Open in Mainstay" }],
    })
}

/// The same for all that is told of one matter: the group of alerts, the incident, or the place in the console that it is
/// about.
fn dedup_key(outgoing: &Outgoing<'_>) -> String {
    let message = &outgoing.deliver.message;
    let matter = match (&message.notification, &message.incident) {
        // As an Alertmanager calls the group: what one began the other can end.
        (Some(told), _) => return Digest::of(told.group.text.as_bytes()).to_string(),
        (None, Some(incident)) => format!("mainstay/incident/{incident}"),
        (None, None) => format!("mainstay{}", message.path),
    };
    if matter.len() <= DEDUP_KEY_MAX_BYTES {
        return matter;
    }
    format!("mainstay/{}", Digest::of(matter.as_bytes()))
}
