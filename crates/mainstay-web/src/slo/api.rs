//! Objectives for programs.

use axum::body::Bytes;
use axum::extract::State;
use mainstay_kernel::SloId;

use crate::app::App;
use crate::guard::Caller;
use crate::request::{ApiAnswer, Id, parse_json};
use crate::view::{Look, Slo, SloDetail, WhatIf, WhatIfAsked};

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

pub(super) async fn what_if(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SloId>,
    look: Look,
    body: Bytes,
) -> ApiAnswer<WhatIf> {
    let asked: WhatIfAsked = parse_json(&body)?;
    let found = app.console.what_if(&caller.principal, &id, &look, &asked);
    Ok(app.envelope(found.await?))
}
