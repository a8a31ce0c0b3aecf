//! Incidents for programs.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use mainstay_kernel::{IncidentId, PageId, RunbookId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Id, parse_json};
use crate::view::{AckTarget, Done, Incident, IncidentSummary, Look};

/// The longest note, in bytes.
pub(super) const NOTE_MAX_BYTES: usize = 2_000;

/// What ends an incident; the body may be empty.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// A last note for the timeline.
    note: Option<String>,
}

/// A note.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoteBody {
    /// What to write: 1 to 2,000 bytes.
    text: String,
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    look: Look,
) -> ApiAnswer<Vec<IncidentSummary>> {
    Ok(app.envelope(app.console.incidents(&caller.principal, &look).await?))
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
) -> ApiAnswer<Incident> {
    Ok(app.envelope(app.console.incident(&caller.principal, &id).await?))
}

pub(super) async fn postmortem(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
) -> Result<Response, WebError> {
    let text = app.console.postmortem(&caller.principal, &id).await?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response())
}

pub(super) async fn acknowledge(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
) -> ApiAnswer<Done> {
    let target = AckTarget::Incident(id);
    Ok(app.envelope(app.console.acknowledge(&caller.principal, &target).await?))
}

pub(super) async fn acknowledge_page(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<PageId>,
) -> ApiAnswer<Done> {
    let target = AckTarget::Page(id);
    Ok(app.envelope(app.console.acknowledge(&caller.principal, &target).await?))
}

pub(super) async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
    body: Bytes,
) -> ApiAnswer<Done> {
    let body: ResolveBody = if body.is_empty() {
        ResolveBody::default()
    } else {
        parse_json(&body)?
    };
    let note = body.note.as_deref().map(checked_note).transpose()?;
    Ok(app.envelope(app.console.resolve(&caller.principal, &id, note).await?))
}

pub(super) async fn note(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<IncidentId>,
    body: Bytes,
) -> ApiAnswer<Done> {
    let body: NoteBody = parse_json(&body)?;
    let text = checked_note(&body.text)?;
    Ok(app.envelope(app.console.note(&caller.principal, &id, text).await?))
}

pub(super) async fn step(
    State(app): State<App>,
    caller: Caller,
    Path((incident, runbook, step)): Path<(String, String, String)>,
) -> ApiAnswer<Done> {
    Ok(app.envelope(run_step(&app, &caller, &incident, &runbook, &step).await?))
}

/// Runs a step named by three texts of a path.
pub(super) async fn run_step(
    app: &App,
    caller: &Caller,
    incident: &str,
    runbook: &str,
    step: &str,
) -> Result<Done, WebError> {
    let incident: IncidentId = incident
        .parse()
        .map_err(|_| WebError::not_found("the incident"))?;
    let runbook: RunbookId = runbook.parse().map_err(|_| WebError::not_found("the runbook"))?;
    Ok(app
        .console
        .run_step(&caller.principal, &incident, &runbook, step)
        .await?)
}

/// A note that may be written.
pub(super) fn checked_note(text: &str) -> Result<&str, WebError> {
    let text = text.trim();
    if text.is_empty() || text.len() > NOTE_MAX_BYTES {
        return Err(WebError::invalid(
            format!("the note has {} bytes", text.len()),
            format!("A note has 1 to {NOTE_MAX_BYTES} bytes."),
        ));
    }
    Ok(text)
}
