//! On-call for programs.

use axum::body::Bytes;
use axum::extract::{Path, State};

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Params, parse_json};
use crate::view::{
    Done, DutyAsked, DutyOverride, DutySwap, LoadAsked, OncallLoad, RotaDuty, RotaSchedule, ShiftsAsked,
    SwapAnswer,
};

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

pub(super) async fn overrides(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<DutyOverride>> {
    Ok(app.envelope(app.console.overrides(&caller.principal).await?))
}

pub(super) async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiAnswer<Done> {
    Ok(app.envelope(app.console.withdraw_override(&caller.principal, id).await?))
}

pub(super) async fn swaps(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<DutySwap>> {
    Ok(app.envelope(app.console.swaps(&caller.principal).await?))
}

pub(super) async fn ask_swap(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let swap = parse_json(&body)?;
    Ok(app.envelope(app.console.ask_swap(&caller.principal, swap).await?))
}

async fn answer(app: App, caller: Caller, id: String, answer: SwapAnswer) -> ApiAnswer<Done> {
    Ok(app.envelope(app.console.answer_swap(&caller.principal, id, answer).await?))
}

pub(super) async fn accept(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiAnswer<Done> {
    answer(app, caller, id, SwapAnswer::Accept).await
}

pub(super) async fn decline(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiAnswer<Done> {
    answer(app, caller, id, SwapAnswer::Decline).await
}

pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiAnswer<Done> {
    answer(app, caller, id, SwapAnswer::Cancel).await
}

pub(super) async fn load(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<LoadAsked>,
) -> ApiAnswer<OncallLoad> {
    Ok(app.envelope(app.console.oncall_load(&caller.principal, asked).await?))
}
