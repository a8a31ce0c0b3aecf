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
    text("Told"),
];

/// Alerts as a table.
pub(crate) fn table(alerts: &[Alert], now: Timestamp, empty: &str) -> Markup {
    let rows: Vec<Vec<Markup>> = alerts
        .iter()
        .map(|alert| {
            vec![
                name(alert),
                html! {
                    (status_word(alert.state.status(), alert.state.word()))
                    @if let Some(by) = &alert.silenced_by { span.sub { "by " (by) } }
                },
                severity(alert.severity),
                time::since(alert.since, now),
                value(alert),
                html! {
                    @if alert.told.is_empty() { span.dim { "nobody" } } @else { (alert.told.join(", ")) }
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

fn value(alert: &Alert) -> Markup {
    linked(
        alert.value.as_deref().unwrap_or("unknown"),
        alert.query.as_deref(),
    )
}
