//! The buttons of the incident page: plain forms that lead back to it.

use axum::extract::{Path, State};
use axum::response::Response;
use mainstay_kernel::{IncidentId, PageId};
use mainstay_ui::url;

use super::api::{checked_note, run_step};
use crate::app::App;
use crate::error::WebError;
use crate::guard::{Caller, Fields};
use crate::request::{Id, back_to};
use crate::view::AckTarget;

type Acted = Result<Response, WebError>;

pub(super) async fn acknowledge(State(app): State<App>, caller: Caller, Id(id): Id<IncidentId>) -> Acted {
    let back = page_of(id.as_str());
    app.console
        .acknowledge(&caller.principal, &AckTarget::Incident(id))
        .await?;
    Ok(back)
}

pub(super) async fn acknowledge_page(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<PageId>,
    fields: Fields,
) -> Acted {
    app.console
        .acknowledge(&caller.principal, &AckTarget::Page(id))
        .await?;
    Ok(fields
        .get("incident")
        .map_or_else(|| back_to("/incidents"), page_of))
}

pub(super) async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
    fields: Fields,
) -> Acted {
    let note = fields.get("note").map(checked_note).transpose()?;
    app.console.resolve(&caller.principal, &id, note).await?;
    Ok(page_of(id.as_str()))
}

pub(super) async fn note(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
    fields: Fields,
) -> Acted {
    let text = checked_note(fields.get("text").unwrap_or_default())?;
    app.console.note(&caller.principal, &id, text).await?;
    Ok(page_of(id.as_str()))
}

pub(super) async fn step(
    State(app): State<App>,
    caller: Caller,
    Path((incident, runbook, step)): Path<(String, String, String)>,
) -> Acted {
    run_step(&app, &caller, &incident, &runbook, &step).await?;
    Ok(page_of(&incident))
}

fn page_of(incident: &str) -> Response {
    back_to(&url::path(&["incidents", incident]))
}
