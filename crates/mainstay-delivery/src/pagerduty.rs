//! PagerDuty, by its Events API v2: what begins triggers, what is over resolves, under one key.

use mainstay_kernel::{Digest, Severity};
use serde_json::{Value, json};

use crate::channel::{Outgoing, Secret, Sent};
use crate::http::{Call, HttpClient};
use crate::wording;

/// PagerDuty's limits, in characters there and in bytes here, which is never more.
const DEDUP_KEY_MAX_BYTES: usize = 255;
const SUMMARY_MAX_BYTES: usize = 1_024;
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
    enqueue(http, outgoing, url, &render(outgoing, routing_key.expose())).await
}

/// Enqueues an event that is written already.
pub(crate) async fn enqueue(http: &HttpClient, outgoing: &Outgoing<'_>, url: &str, event: &Value) -> Sent {
    if event.to_string().len() > EVENT_MAX_BYTES {
        return Sent::failed("the event is longer than PagerDuty takes");
    }
    let url = format!("{url}/v2/enqueue");
    match http.call(outgoing, Call::json(&url, event)).await {
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
    let action = if message.resolved { "resolve" } else { "trigger" };
    let summary = wording::subject(outgoing);
    let mut links = vec![json!({ "href": wording::link(outgoing), "text": "Open in Mainstay" })];
    links.extend(outgoing.bridge.map(|bridge| json!({ "href": bridge.url, "text": wording::JOIN })));
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(outgoing),
        "payload": {
            "summary": wording::cut(&summary, SUMMARY_MAX_BYTES),
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

/// The same for all that is told of one matter: the incident, or the place in the console that it is about.
fn dedup_key(outgoing: &Outgoing<'_>) -> String {
    let message = &outgoing.deliver.message;
    let matter = match &message.incident {
        Some(incident) => format!("mainstay/incident/{incident}"),
        None => format!("mainstay{}", message.path),
    };
    if matter.len() <= DEDUP_KEY_MAX_BYTES {
        return matter;
    }
    format!("mainstay/{}", Digest::of(matter.as_bytes()))
}
