//! Alerts for programs.

use axum::body::Bytes;
use axum::extract::State;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::console::Failure;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Params, parse_json};
use crate::view::{Alert, AlertReview, Done, Look, PostableAlert, ReviewAsked, WebhookMessage};

pub(super) async fn list(State(app): State<App>, caller: Caller, look: Look) -> ApiAnswer<Vec<Alert>> {
    Ok(app.envelope(app.console.alerts(&caller.principal, &look).await?))
}

/// Unpacks what somebody tells, in their turn and beside the threads that answer: a flood of large bodies keeps nobody
/// else waiting.
async fn told<T: DeserializeOwned + Send + 'static>(
    app: &App,
    caller: &Caller,
    body: Bytes,
) -> Result<T, WebError> {
    let turn = app.console.turn_to_tell(&caller.principal).await;
    let unpack = move || {
        let _turn = turn;
        parse_json(&body)
    };
    let unpacked = tokio::task::spawn_blocking(unpack).await;
    let unpacked = unpacked.map_err(|panic| Failure::Internal {
        detail: format!("alerts could not be unpacked: {panic}"),
    })?;
    unpacked.inspect_err(|_| app.console.note_unreadable_alerts())
}

pub(super) async fn post_v2(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let alerts: Vec<PostableAlert> = told(&app, &caller, body).await?;
    Ok(app.envelope(app.console.receive_alerts(&caller.principal, alerts).await?))
}

pub(super) async fn webhook(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let message: WebhookMessage = told(&app, &caller, body).await?;
    if message.version != "4" {
        return Err(WebError::invalid(
            format!(
                "version {:?} of the webhook's format is not supported",
                message.version
            ),
            "Alertmanager since 0.6 sends version 4.",
        ));
    }
    Ok(app.envelope(
        app.console
            .receive_alerts(&caller.principal, message.into_alerts())
            .await?,
    ))
}

pub(super) async fn review(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<ReviewAsked>,
) -> ApiAnswer<AlertReview> {
    Ok(app.envelope(app.console.alert_review(&caller.principal, asked).await?))
}
