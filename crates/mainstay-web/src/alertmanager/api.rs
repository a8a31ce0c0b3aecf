//! Answers as Alertmanager writes them: bare JSON, and errors as a JSON text.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::select::Select;
use crate::app::App;
use crate::console::Failure;
use crate::guard::Caller;
use crate::view::{
    AlertGroup, AlertmanagerStatus, GettableAlert, GettableSilence, Named, PostableSilence, SilenceMade,
};

/// Why there is no answer.
pub(super) struct Refused {
    status: StatusCode,
    message: String,
}

impl Refused {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    fn no_silence(id: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: format!("silence {id} not found"),
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = match &failure {
            Failure::NotFound { .. } => StatusCode::NOT_FOUND,
            Failure::Refused { .. } | Failure::Invalid { .. } => StatusCode::BAD_REQUEST,
            Failure::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Internal { detail } => {
                tracing::error!(%detail, "a question of Alertmanager's API failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self {
            status,
            message: failure.to_string(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.message)).into_response()
    }
}

type Answered<T> = Result<Json<T>, Refused>;

pub(super) async fn alerts(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Answered<Vec<GettableAlert>> {
    let select = Select::of(query.as_deref())?;
    let mut alerts = app.console.gettable_alerts(&caller.principal).await?;
    alerts.retain(|alert| {
        select.takes(&alert.labels, &alert.status)
            && alert
                .receivers
                .iter()
                .any(|receiver| select.takes_receiver(receiver))
    });
    Ok(Json(alerts))
}

pub(super) async fn groups(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Answered<Vec<AlertGroup>> {
    let select = Select::of(query.as_deref())?;
    let mut groups = app.console.alert_groups(&caller.principal).await?;
    groups.retain_mut(|group| {
        group
            .alerts
            .retain(|alert| select.takes(&alert.labels, &alert.status));
        !group.alerts.is_empty() && select.takes_receiver(&group.receiver)
    });
    Ok(Json(groups))
}

pub(super) async fn silences(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Answered<Vec<GettableSilence>> {
    let select = Select::of(query.as_deref())?;
    let mut silences = app.console.silences(&caller.principal).await?;
    silences.retain(|silence| select.takes_silence(silence));
    Ok(Json(silences))
}

pub(super) async fn one_silence(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<GettableSilence> {
    let silences = app.console.silences(&caller.principal).await?;
    let mut silences = silences.into_iter();
    let silence = silences.find(|silence| silence.id == id);
    silence.map(Json).ok_or_else(|| Refused::no_silence(&id))
}

pub(super) async fn silence(State(app): State<App>, caller: Caller, body: Bytes) -> Answered<SilenceMade> {
    let silence: PostableSilence =
        serde_json::from_slice(&body).map_err(|error| Refused::bad(format!("not a silence: {error}")))?;
    let changes = silence.id.clone().unwrap_or_default();
    let made = app.console.silence(&caller.principal, silence).await;
    match made {
        Ok(silence_id) => Ok(Json(SilenceMade { silence_id })),
        Err(Failure::NotFound { .. }) => Err(Refused::no_silence(&changes)),
        Err(failure) => Err(failure.into()),
    }
}

pub(super) async fn end_silence(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(), Refused> {
    match app.console.end_silence(&caller.principal, &id).await {
        Ok(()) => Ok(()),
        Err(Failure::NotFound { .. }) => Err(Refused::no_silence(&id)),
        Err(failure) => Err(failure.into()),
    }
}

pub(super) async fn receivers(State(app): State<App>, caller: Caller) -> Answered<Vec<Named>> {
    Ok(Json(app.console.receivers(&caller.principal).await?))
}

pub(super) async fn status(State(app): State<App>, caller: Caller) -> Answered<AlertmanagerStatus> {
    Ok(Json(app.console.alertmanager_status(&caller.principal).await?))
}
