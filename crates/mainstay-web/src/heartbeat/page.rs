//! Heartbeats for people.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_ui::status::{severity, status_word};
use mainstay_ui::table::{Column, dense, text};
use mainstay_ui::{Status, live, time};
use maud::{Markup, html};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Visit, show};
use crate::view::{Heartbeat, HeartbeatState};

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let mut heartbeats = app.console.heartbeats(&visit.caller.principal).await?;
    heartbeats.sort_by_key(|one| std::cmp::Reverse(status(one.state)));
    let (topic, now) = (Topic::overview(), app.now());
    let rows: Vec<Vec<Markup>> = heartbeats.iter().map(|one| row(one, now)).collect();
    let main = html! {
        h1 { "Heartbeats" }
        p.dim { "What must tell at least so often that it is alive. One that is missed is an " a href="/alerts" { "alert" } "." }
        (live::region("heartbeats", topic.as_str(), html! {
            section { (dense("Heartbeats", COLUMNS, &rows, "The catalog names no heartbeat that your account may see.")) }
        }))
    };
    let head = Head {
        title: "Heartbeats",
        place: "/alerts",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

const COLUMNS: &[Column] = &[
    text("Heartbeat"),
    text("State"),
    text("Came last"),
    text("Missed at"),
    text("Expected"),
    text("Severity"),
];

fn row(one: &Heartbeat, now: Timestamp) -> Vec<Markup> {
    let missed = one.state == HeartbeatState::Missed;
    vec![
        html! { b { (one.name) } span.sub { (one.scope) " · " (one.summary) } },
        status_word(status(one.state), word(one.state)),
        html! {
            @match one.last_at {
                Some(at) => (time::ago(at, now)),
                None => span.dim { "never" },
            }
        },
        html! {
            @if missed { (time::since(one.missed_at, now)) }
            @else {
                (time::instant(one.missed_at, now))
                span.sub { "in " (time::span(time::elapsed_ms(now, one.missed_at))) " unless one comes" }
            }
        },
        html! { "every " (time::span(one.interval_ms)) span.sub { "and " (time::span(one.grace_ms)) " of grace" } },
        severity(one.severity),
    ]
}

fn word(state: HeartbeatState) -> &'static str {
    match state {
        HeartbeatState::Ok => "ok",
        HeartbeatState::Late => "late",
        HeartbeatState::Missed => "missed",
        HeartbeatState::Waiting => "none came yet",
    }
}

fn status(state: HeartbeatState) -> Status {
    match state {
        HeartbeatState::Ok => Status::Ok,
        HeartbeatState::Late => Status::Warning,
        HeartbeatState::Missed => Status::Breached,
        // Nothing was heard: that is not well.
        HeartbeatState::Waiting => Status::Unknown,
    }
}
