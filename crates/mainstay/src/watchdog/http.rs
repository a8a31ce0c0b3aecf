//! Where beats come in, and where others ask whether the watchdog can do its work.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mainstay_catalog::response::Beat;
use mainstay_delivery::signature::verify_webhook;
use mainstay_kernel::Clock as _;
use serde_json::json;

use super::Watching;
use super::machine::Verdict;
use crate::clock::SystemClock;

/// The largest message that is read.
const BODY_MAX_BYTES: usize = 1 << 20;

/// Serves until it is stopped.
pub(super) async fn serve(
    listener: tokio::net::TcpListener,
    watching: Arc<Watching>,
    until: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/beat", post(beat))
        .route("/healthz", get(health))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(watching);
    axum::serve(listener, router).with_graceful_shutdown(until).await
}

async fn beat(State(watching): State<Arc<Watching>>, headers: HeaderMap, body: Bytes) -> Response {
    let now = SystemClock.now();
    let signature = headers.get("mainstay-signature");
    let signature = signature
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if let Err(error) = verify_webhook(&watching.secret, signature, &body, now) {
        // Anybody may send such a thing: it is counted, and nothing is written.
        watching.state().refuse(&error.to_string());
        return (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
    }
    let text = String::from_utf8_lossy(&body);
    let Some(beat) = Beat::find(&text) else {
        return (StatusCode::OK, "no beat").into_response();
    };
    let names = watching.ways.names();
    let was_silent = watching.state().alarm.is_some();
    match watching.change(|state| state.hear(beat, now, watching.patience, &names)) {
        Ok(Verdict::Heard) => {
            if was_silent {
                tracing::info!("Mainstay is heard again");
            }
            (StatusCode::OK, "heard").into_response()
        }
        Ok(Verdict::Before) => (StatusCode::OK, "heard before").into_response(),
        Ok(Verdict::Late) => (StatusCode::OK, "too late to prove anything").into_response(),
        Ok(Verdict::Ahead) => (StatusCode::OK, "of a clock that is ahead").into_response(),
        Err(error) => {
            tracing::error!(%error, "a beat could not be kept");
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
        }
    }
}

/// 200 while it hears Mainstay; 503 while it does not, and why.
async fn health(State(watching): State<Arc<Watching>>) -> Response {
    let now = SystemClock.now();
    let awake_since = watching.awake_since();
    let state = watching.state();
    let age = state
        .last
        .map(|last| now.duration_since(last.received_at).as_secs());
    let status = match (&state.alarm, state.last) {
        (Some(_), _) => "silent",
        (None, None) => "waiting",
        (None, Some(_)) => "ok",
    };
    let code = match state.alarm {
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        None => StatusCode::OK,
    };
    let said = json!({
        "status": status,
        "listens_since": awake_since,
        "last_beat_at": state.last.map(|last| last.received_at),
        "last_beat_age_s": age,
        "silent_since": state.alarm.as_ref().map(|alarm| alarm.since),
        "pages_under_way": state.notices.len(),
        "beats_heard": state.heard,
        "beats_lost": state.lost,
        "refused": state.refused,
        "refusal": state.refusal,
    });
    (code, Json(said)).into_response()
}
