//! The door by which systems tell what becomes of payments.

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::app::App;
use crate::change::api::structured;
use crate::guard::Caller;
use crate::request::{ApiAnswer, parse_json};
use crate::route::{INGEST_MAX_BYTES, Route};
use crate::view::Done;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/api/v1/completions",
            "Tell what becomes of payments: a batch of CloudEvents, or one",
            record,
        )
        .platform()
        .body_max_bytes(INGEST_MAX_BYTES)
        .takes::<Vec<CompletionSchema>>()
        .gives::<Done>(),
    ]
}

/// A CloudEvent in structured mode, as far as these events have it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct CompletionSchema {
    /// `1.0`.
    specversion: String,
    /// Unique within `source`.
    id: String,
    /// Who tells it.
    source: String,
    /// `com.mainstay.completion.initiated`, `….finished` or `….heartbeat`.
    r#type: String,
    /// When it happened, RFC 3339. Of a heartbeat: everything up to then has been told.
    time: String,
    /// The payment; none of a heartbeat.
    subject: Option<String>,
    /// `stream`; of an initiation `deadline`, `kind` and labels such as `tenant` and `cell`; of an end `state` and `reason`.
    data: Map<String, Value>,
}

async fn record(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Bytes) -> ApiAnswer<Done> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_batch =
        content_type.is_some_and(|content_type| content_type.starts_with("application/cloudevents-batch"));
    let events = if is_batch || body.trim_ascii_start().starts_with(b"[") {
        parse_json(&body)?
    } else {
        vec![structured(&headers, &body)?]
    };
    Ok(app.envelope(app.console.record_completions(&caller.principal, events).await?))
}
