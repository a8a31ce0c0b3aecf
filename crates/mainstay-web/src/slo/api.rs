//! Objectives for programs.

use axum::extract::State;
use mainstay_kernel::SloId;

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Id};
use crate::view::{Look, Slo, SloDetail};

pub(super) async fn list(State(app): State<App>, caller: Caller, look: Look) -> ApiAnswer<Vec<Slo>> {
    Ok(app.envelope(app.console.slos(&caller.principal, &look).await?))
}

pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SloId>,
    look: Look,
) -> ApiAnswer<SloDetail> {
    Ok(app.envelope(app.console.slo(&caller.principal, &id, &look).await?))
}
