//! Alerts for people.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_ui::number::linked;
use mainstay_ui::status::{severity, status_word};
use mainstay_ui::table::{Column, dense, text};
use mainstay_ui::{live, time, url};
use maud::{Markup, html};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Visit, show};
use crate::view::Alert;

/// How many alerts one page shows; the scope bar narrows, the API gives all.
const PAGE_MAX: usize = 500;

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let alerts = app.console.alerts(&visit.caller.principal, &visit.look).await?;
    let shown = &alerts[..alerts.len().min(PAGE_MAX)];
    let topic = Topic::overview();
    let main = html! {
        h1 { "Alerts" }
        ul.facts aria-label="About alerts" {
            @if visit.caller.principal.sees(None) { li { a href="/silences" { "Silences" } } }
            li { a href="/heartbeats" { "Heartbeats" } }
        }
        (live::region("alerts", topic.as_str(), html! {
            section {
                (table(shown, app.now(), "No alert fires or is pending here."))
                @if alerts.len() > PAGE_MAX {
                    p.dim { "The first " (PAGE_MAX) " of " (alerts.len()) ". Narrow the scope, or ask the " a href="/api/v1/alerts/all" { "API" } "." }
                }
            }
        }))
    };
    let head = Head {
        title: "Alerts",
        place: "/alerts",
        topic,
        scoped: true,
    };
    show(&app, &visit, head, main).await
}

const COLUMNS: &[Column] = &[
    text("Alert"),
    text("State"),
    text("Severity"),
    text("Since"),
    text("Value"),
    text("Routes"),
    text("Told"),
];

/// Alerts as a table.
pub(crate) fn table(alerts: &[Alert], now: Timestamp, empty: &str) -> Markup {
    let rows: Vec<Vec<Markup>> = alerts
        .iter()
        .map(|alert| {
            vec![
                html! { (name(alert)) (why(alert)) },
                html! { (status_word(alert.state.status(), alert.state.word())) (held(alert)) },
                severity(alert.severity),
                time::since(alert.since, now),
                value(alert),
                routes(alert),
                html! {
                    @if alert.told.is_empty() { span.dim { "nobody" } } @else { div.reason { (alert.told.join(", ")) } }
                    @if let Some(runbook) = &alert.runbook { span.sub { "runbook " (runbook) } }
                },
            ]
        })
        .collect();
    dense("Alerts", COLUMNS, &rows, empty)
}

const COMPACT_COLUMNS: &[Column] = &[text("Alert"), text("State"), text("Value")];

/// Alerts as a table for half the width.
pub(crate) fn compact(alerts: &[Alert], now: Timestamp, empty: &str) -> Markup {
    let rows: Vec<Vec<Markup>> = alerts
        .iter()
        .map(|alert| {
            vec![
                name(alert),
                html! {
                    (status_word(alert.state.status(), alert.state.word())) " " (severity(alert.severity))
                    span.sub { "for " (time::lasting(alert.since, now)) }
                },
                value(alert),
            ]
        })
        .collect();
    dense("Alerts", COMPACT_COLUMNS, &rows, empty)
}

fn name(alert: &Alert) -> Markup {
    html! {
        @match &alert.incident {
            Some(incident) => a href=(url::path(&["incidents", incident.as_str()])) { b { (alert.name) } },
            None => b { (alert.name) },
        }
        span.sub { (alert.scope) @if !alert.summary.is_empty() { " · " (alert.summary) } }
    }
}

/// The way to every decision about it.
fn why(alert: &Alert) -> Markup {
    let href = url::path(&["why", &alert.fingerprint]);
    html! { a.why href=(href) aria-label={ "Why: " (alert.name) " in " (alert.scope) } { "why" } }
}

/// What holds it back, each with by whom.
fn held(alert: &Alert) -> Markup {
    html! {
        @for held in &alert.held_back {
            span.sub {
                b { (held.kind.word()) } " by "
                @match (&held.silence, &held.alert) {
                    (Some(_), _) => a href="/silences" { (held.by) },
                    (None, Some(source)) => a href=(url::path(&["why", source])) { (held.by) },
                    (None, None) => (held.by),
                }
            }
        }
        // What the journal says where nothing holds it back any more: its group is told soon.
        @if alert.held_back.is_empty() {
            @if let Some(by) = &alert.silenced_by { span.sub { "by " (by) } }
        }
    }
}

fn routes(alert: &Alert) -> Markup {
    html! {
        @if alert.routes.is_empty() { span.dim { "not shown" } }
        @for route in &alert.routes {
            div.reason {
                b { (route.receiver) }
                span.sub {
                    @if route.tells.is_empty() { "tells nobody" } @else { (route.tells.join(", ")) }
                }
                span.sub { code { (route.path) } }
            }
        }
    }
}

fn value(alert: &Alert) -> Markup {
    linked(
        alert.value.as_deref().unwrap_or("unknown"),
        alert.query.as_deref(),
    )
}
