//! PagerDuty's Events API v2: alerts and changes, answered as PagerDuty answers. The integration's key is not kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Shared;
use super::http::{idempotency_key, take_or};
use super::store::{Draft, Via};

/// The longest summary, in characters.
const SUMMARY_MAX: usize = 1_024;
/// The longest key, in characters.
const DEDUP_KEY_MAX: usize = 255;

fn text<'a>(event: &'a Value, path: &str) -> &'a str {
    event.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn refused(error: &str) -> Response {
    let answer = json!({
        "status": "invalid event",
        "message": "Event object is invalid",
        "errors": [error],
    });
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}

/// What is wrong with the part that all events have.
fn fault(event: &Value) -> Option<&'static str> {
    if text(event, "/routing_key").is_empty() {
        return Some("'routing_key' is missing or blank");
    }
    (text(event, "/payload/summary").chars().count() > SUMMARY_MAX).then_some("'payload.summary' is too long")
}

/// Takes an event about an alert.
pub(super) async fn enqueue(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> Response {
    let action = text(&event, "/event_action");
    let key = text(&event, "/dedup_key").to_owned();
    let blank = |path: &str| text(&event, path).is_empty();
    let fault = fault(&event).or(match action {
        "trigger" if blank("/payload/summary") => Some("'payload.summary' is missing or blank"),
        "trigger" if blank("/payload/source") => Some("'payload.source' is missing or blank"),
        "trigger" => None,
        "acknowledge" | "resolve" if key.is_empty() => Some("'dedup_key' is missing or blank"),
        "acknowledge" | "resolve" => None,
        _ => Some("'event_action' is invalid"),
    });
    let too_long = (key.chars().count() > DEDUP_KEY_MAX).then_some("'dedup_key' is too long");
    if let Some(error) = fault.or(too_long) {
        return refused(error);
    }
    let subject = match text(&event, "/payload/summary") {
        "" => format!("{action} {key}"),
        summary => format!("{action} {summary}"),
    };
    take(
        &shared,
        &headers,
        "pagerduty",
        subject,
        event,
        json!({
            "status": "success",
            "message": "Event processed",
            "dedup_key": key,
        }),
    )
    .await
}

/// Takes a change.
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> Response {
    let subject = text(&event, "/payload/summary").to_owned();
    let blank = subject
        .is_empty()
        .then_some("'payload.summary' is missing or blank");
    if let Some(error) = fault(&event).or(blank) {
        return refused(error);
    }
    let answer = json!({ "status": "success", "message": "Change event processed" });
    take(&shared, &headers, "pagerduty-changes", subject, event, answer).await
}

async fn take(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    channel: &str,
    subject: String,
    mut event: Value,
    answer: Value,
) -> Response {
    event["routing_key"] = Value::from("(secret)");
    let draft = Draft {
        via: Via::Webhook,
        from: None,
        to: Vec::new(),
        channel: Some(channel.to_owned()),
        labelled_duplicate: subject.contains("possible duplicate"),
        subject,
        text: event.to_string(),
        message_id: idempotency_key(headers),
    };
    let fault = shared.faults().hook;
    take_or(shared, draft, fault, |_, _| {
        (StatusCode::ACCEPTED, Json(answer)).into_response()
    })
    .await
}
