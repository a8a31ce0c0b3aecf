//! The HTTP side of the inbox.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::sleep;

use super::faults::{Faults, HttpFault};
use super::store::{Draft, Messages, Via};
use super::{MESSAGE_MAX_BYTES, Shared, pagerduty, telephone};

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/chat", post(chat))
        .route("/hook", post(hook))
        .route("/v2/enqueue", post(pagerduty::enqueue))
        .route("/v2/change/enqueue", post(pagerduty::change))
        .route(
            "/2010-04-01/Accounts/{account}/{resource}",
            post(telephone::create).get(telephone::ask),
        )
        .route(
            "/2010-04-01/Accounts/{account}/{resource}/{name}",
            get(telephone::ask_one),
        )
        .route("/press", post(telephone::press))
        .route("/messages", get(messages))
        .route("/faults", get(faults).post(set_faults))
        .route("/healthz", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(MESSAGE_MAX_BYTES))
        .with_state(shared)
}

async fn messages(State(shared): State<Arc<Shared>>, Query(After { after }): Query<After>) -> Json<Messages> {
    Json(shared.messages(after))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Faults> {
    Json(shared.faults())
}

async fn set_faults(State(shared): State<Arc<Shared>>, Json(faults): Json<Faults>) -> Json<Faults> {
    shared.set_faults(faults);
    Json(faults)
}

/// Takes a post in Slack's format; answers what Slack answers.
async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let Ok(document) = serde_json::from_str::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    let text = chat_text(&document);
    if text.is_empty() {
        return (StatusCode::BAD_REQUEST, "no_text").into_response();
    }
    let subject = text.lines().next().unwrap_or_default().to_owned();
    let draft = Draft {
        via: Via::Chat,
        from: None,
        to: Vec::new(),
        channel: document["channel"].as_str().map(str::to_owned),
        labelled_duplicate: subject.contains("possible duplicate"),
        subject,
        text,
        message_id: idempotency_key(&headers),
    };
    let fault = shared.faults().chat;
    take(&shared, draft, fault).await
}

/// Takes any JSON document.
async fn hook(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(document): Json<Value>,
) -> Response {
    let draft = Draft {
        via: Via::Webhook,
        from: None,
        to: document["to"].as_str().map(str::to_owned).into_iter().collect(),
        channel: None,
        subject: document["subject"].as_str().unwrap_or_default().to_owned(),
        labelled_duplicate: document["possible_duplicate"] == true,
        text: document.to_string(),
        message_id: idempotency_key(&headers),
    };
    let fault = shared.faults().hook;
    take(&shared, draft, fault).await
}

/// Keeps the message and says `ok`, unless a fault is switched on.
async fn take(shared: &Arc<Shared>, draft: Draft, fault: HttpFault) -> Response {
    take_or(shared, draft, fault, |_, _| "ok".into_response()).await
}

/// Keeps the message and answers with what `taken` makes of its number, unless a fault is switched on.
pub(super) async fn take_or(
    shared: &Arc<Shared>,
    draft: Draft,
    fault: HttpFault,
    taken: impl FnOnce(&Shared, u64) -> Response,
) -> Response {
    let Faults {
        delay_ms,
        retry_after_s,
        ..
    } = shared.faults();
    let delay = sleep(Duration::from_millis(delay_ms));
    match fault {
        HttpFault::TooMany => {
            let headers = [(header::RETRY_AFTER, retry_after_s.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers, "rate_limited").into_response()
        }
        HttpFault::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "rollup_error").into_response(),
        HttpFault::Gone => (StatusCode::NOT_FOUND, "no_service").into_response(),
        HttpFault::ErrorBody => "<html>sign in to the guest network</html>".into_response(),
        HttpFault::Timeout => {
            delay.await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        HttpFault::None | HttpFault::LateReply => match shared.keep(draft).await {
            Ok(seq) => {
                if fault == HttpFault::LateReply {
                    delay.await;
                }
                taken(shared, seq)
            }
            Err(error) => {
                tracing::warn!(%error, "a message was not kept");
                (StatusCode::INSUFFICIENT_STORAGE, error.to_string()).into_response()
            }
        },
    }
}

/// What a reader of the channel sees: the header and section blocks, or the text where there are none.
fn chat_text(document: &Value) -> String {
    let blocks = document["blocks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut lines: Vec<&str> = Vec::new();
    for block in blocks {
        let elements = block["elements"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let texts = std::iter::once(&block["text"]).chain(elements);
        lines.extend(texts.filter_map(|text| text["text"].as_str()));
    }
    if lines.is_empty() {
        lines.extend(document["text"].as_str());
    }
    lines
        .join("\n")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("Idempotency-Key")?.to_str().ok()?.to_owned())
}
