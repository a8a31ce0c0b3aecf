//! The gate for programs.

use axum::body::Bytes;
use axum::extract::State;

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, parse_json};
use crate::view::{Done, GateAnswer, GatePlace, GatePolicies, GateStatement};

pub(super) async fn ask(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<GateAnswer> {
    let request = parse_json(&body)?;
    Ok(app.envelope(app.console.ask_gate(&caller.principal, request).await?))
}

pub(super) async fn approve(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let approval = parse_json(&body)?;
    Ok(app.envelope(app.console.approve(&caller.principal, approval).await?))
}

pub(super) async fn answers(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<GateStatement>> {
    Ok(app.envelope(app.console.gate_answers(&caller.principal).await?))
}

pub(super) async fn policy(State(app): State<App>, caller: Caller) -> ApiAnswer<GatePolicies> {
    Ok(app.envelope(app.console.gate_policies(&caller.principal).await?))
}

pub(super) async fn places(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<GatePlace>> {
    Ok(app.envelope(app.console.gate_places(&caller.principal).await?))
}
