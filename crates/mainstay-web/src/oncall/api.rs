//! On-call for programs.

use axum::body::Bytes;
use axum::extract::State;

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Params, parse_json};
use crate::view::{Done, DutyAsked, RotaDuty, RotaSchedule, ShiftsAsked};

pub(super) async fn duty(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<DutyAsked>,
) -> ApiAnswer<Vec<RotaDuty>> {
    Ok(app.envelope(app.console.duty(&caller.principal, asked).await?))
}

pub(super) async fn shifts(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<ShiftsAsked>,
) -> ApiAnswer<Vec<RotaSchedule>> {
    Ok(app.envelope(app.console.shifts(&caller.principal, asked).await?))
}

pub(super) async fn override_duty(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let entry = parse_json(&body)?;
    Ok(app.envelope(app.console.override_duty(&caller.principal, entry).await?))
}
