//! Alerts for programs.

use axum::body::Bytes;
use axum::extract::State;

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, parse_json};
use crate::view::{Alert, Done, Look, PostableAlert, WebhookMessage};

pub(super) async fn list(State(app): State<App>, caller: Caller, look: Look) -> ApiAnswer<Vec<Alert>> {
    Ok(app.envelope(app.console.alerts(&caller.principal, &look).await?))
}

pub(super) async fn post_v2(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let alerts: Vec<PostableAlert> =
        parse_json(&body).inspect_err(|_| app.console.note_unreadable_alerts())?;
    Ok(app.envelope(app.console.receive_alerts(&caller.principal, alerts).await?))
}

pub(super) async fn webhook(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let message: WebhookMessage = parse_json(&body).inspect_err(|_| app.console.note_unreadable_alerts())?;
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
