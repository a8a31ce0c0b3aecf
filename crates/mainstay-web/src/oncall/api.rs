//! On-call for programs.

use axum::extract::State;

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Params};
use crate::view::{DutyAsked, RotaDuty, RotaSchedule, ShiftsAsked};

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
