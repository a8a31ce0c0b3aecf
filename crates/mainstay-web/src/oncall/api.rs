//! On-call for programs.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use mainstay_kernel::Digest;

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Params, parse_json};
use crate::session::random_token;
use crate::view::{
    Done, DutyAsked, DutyFeed, DutyOverride, DutySwap, FeedMade, Handover, HandoverAsked, LoadAsked, NewFeed,
    OncallLoad, OncallTurns, RotaDuty, RotaSchedule, ShiftsAsked, SwapAnswer, TurnsAsked,
};

pub(super) async fn duty(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<DutyAsked>,
) -> ApiAnswer<Vec<RotaDuty>> {
    Ok(app.envelope(app.console.duty(&caller.principal, asked).await?))
}

pub(super) async fn turns(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<TurnsAsked>,
) -> ApiAnswer<Vec<OncallTurns>> {
    Ok(app.envelope(app.console.turns(&caller.principal, asked).await?))
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

pub(super) async fn feeds(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<DutyFeed>> {
    Ok(app.envelope(app.console.feeds(&caller.principal).await?))
}

pub(super) async fn open_feed(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<FeedMade> {
    let wanted: NewFeed = parse_json(&body)?;
    let secret = random_token(&*app.entropy);
    let digest = Digest::of(secret.as_bytes());
    let id = app.console.open_feed(&caller.principal, wanted, digest).await?;
    let path = format!("/api/v1/oncall/feed/{secret}.ics");
    Ok(app.envelope(FeedMade { id, path }))
}

pub(super) async fn revoke_feed(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiAnswer<Done> {
    Ok(app.envelope(app.console.revoke_feed(&caller.principal, id).await?))
}

/// Calendar programs cannot sign in: the secret in the address is all that they show.
pub(super) async fn feed(State(app): State<App>, Path(file): Path<String>) -> Result<Response, WebError> {
    let secret = file.strip_suffix(".ics").unwrap_or(&file);
    let text = app.console.feed(Digest::of(secret.as_bytes())).await?;
    let heads = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    Ok((heads, text).into_response())
}

pub(super) async fn handovers(
    State(app): State<App>,
    caller: Caller,
    Params(asked): Params<HandoverAsked>,
) -> ApiAnswer<Vec<Handover>> {
    Ok(app.envelope(app.console.handovers(&caller.principal, asked).await?))
}

pub(super) async fn note_handover(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let note = parse_json(&body)?;
    Ok(app.envelope(app.console.note_handover(&caller.principal, note).await?))
}
