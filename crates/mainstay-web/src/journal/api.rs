//! The journal for programs.

use axum::extract::State;
use mainstay_kernel::EventId;

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Id};
use crate::view::{BackupMade, Explained, JournalReport, Why};

pub(super) async fn why(State(app): State<App>, caller: Caller, Id(event): Id<EventId>) -> ApiAnswer<Why> {
    Ok(app.envelope(app.console.why(&caller.principal, event).await?))
}

pub(super) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Id(subject): Id<String>,
) -> ApiAnswer<Explained> {
    Ok(app.envelope(app.console.decisions(&caller.principal, subject).await?))
}

pub(super) async fn back_up(State(app): State<App>, caller: Caller) -> ApiAnswer<BackupMade> {
    Ok(app.envelope(app.console.back_up(&caller.principal).await?))
}

pub(super) async fn verify(State(app): State<App>, caller: Caller) -> ApiAnswer<JournalReport> {
    Ok(app.envelope(app.console.verify_journal(&caller.principal).await?))
}
