//! The overview for programs.

use axum::extract::State;

use super::ask;
use crate::app::App;
use crate::guard::Caller;
use crate::request::ApiAnswer;
use crate::view::{Look, Overview, Situation};

pub(super) async fn overview(State(app): State<App>, caller: Caller, look: Look) -> ApiAnswer<Overview> {
    Ok(app.envelope(ask(&app, &caller, &look).await?))
}

pub(super) async fn situation(State(app): State<App>, caller: Caller) -> ApiAnswer<Situation> {
    Ok(app.envelope(app.console.situation(&caller.principal).await?))
}
