//! Routes in shadow, for programs.

use axum::body::Bytes;
use axum::extract::{Query, State};
use jiff::Timestamp;
use mainstay_kernel::Role;
use serde::Deserialize;

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, parse_json};
use crate::route::{INGEST_MAX_BYTES, Parameter, Route};
use crate::view::{
    CutOver, Done, PagerDutyMessage, RouteInForce, ShadowReport, ToldElsewhere, WebhookMessage,
};

const SINCE: &[Parameter] = &[Parameter::optional(
    "since",
    "From when, RFC 3339; without it, the last 24 hours.",
)];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/v1/shadow/report",
            "What routes in shadow would have told, beside what another system told",
            report,
        )
        .platform()
        .query(SINCE)
        .gives::<ShadowReport>(),
        Route::get(
            "/api/v1/shadow/routes",
            "Every route in force, by its name, and whether what it tells leaves",
            in_force,
        )
        .platform()
        .gives::<Vec<RouteInForce>>(),
        Route::post(
            "/api/v1/shadow/alertmanager",
            "A copy of what an Alertmanager tells: its webhook, version 4; nobody is told of it",
            alertmanager,
        )
        .platform()
        .body_max_bytes(INGEST_MAX_BYTES)
        .takes::<WebhookMessage>()
        .gives::<Done>(),
        Route::post(
            "/api/v1/shadow/pagerduty",
            "A copy of what PagerDuty tells: its webhook, version 3; nobody is told of it",
            pagerduty,
        )
        .platform()
        .body_max_bytes(INGEST_MAX_BYTES)
        .takes::<PagerDutyMessage>()
        .gives::<Done>(),
        Route::post(
            "/api/v1/shadow/cut",
            "Let what routes tell leave, or only be recorded, whatever the catalog says",
            cut,
        )
        .role(Role::Admin)
        .platform()
        .takes::<CutOver>()
        .gives::<Done>(),
    ]
}

#[derive(Deserialize)]
struct Asked {
    since: Option<String>,
}

async fn report(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> ApiAnswer<ShadowReport> {
    let since = asked.since.map(|text| text.parse::<Timestamp>());
    let since = since.transpose().map_err(|error| {
        WebError::invalid(
            format!("since: {error}"),
            "Write an instant such as 2026-03-01T00:00:00Z.",
        )
    })?;
    Ok(app.envelope(app.console.shadow_report(&caller.principal, since).await?))
}

async fn in_force(State(app): State<App>, caller: Caller) -> ApiAnswer<Vec<RouteInForce>> {
    Ok(app.envelope(app.console.routes_in_force(&caller.principal).await?))
}

async fn alertmanager(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let message: WebhookMessage = parse_json(&body)?;
    let told = ToldElsewhere::Alertmanager(message);
    Ok(app.envelope(app.console.told_elsewhere(&caller.principal, told).await?))
}

async fn pagerduty(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let message: PagerDutyMessage = parse_json(&body)?;
    let told = ToldElsewhere::PagerDuty(message);
    Ok(app.envelope(app.console.told_elsewhere(&caller.principal, told).await?))
}

async fn cut(State(app): State<App>, caller: Caller, body: Bytes) -> ApiAnswer<Done> {
    let cut: CutOver = parse_json(&body)?;
    if cut.route.is_some() == cut.receiver.is_some() {
        return Err(WebError::invalid(
            "name a route or a receiver".to_owned(),
            "Give `route`, as GET /api/v1/shadow/routes names it, or `receiver`.",
        ));
    }
    Ok(app.envelope(app.console.cut_over(&caller.principal, cut).await?))
}
