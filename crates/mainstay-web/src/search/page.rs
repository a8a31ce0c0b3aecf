//! Search for people. What is searched is what the caller may see, so that nothing can be found that may not be seen.

use axum::extract::State;
use axum::response::Response;
use mainstay_kernel::EventId;
use mainstay_ui::url;
use maud::html;
use serde::Deserialize;

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::overview::{changes_table, slo_table};
use crate::request::{Head, Params, Visit, back_to, show};
use crate::{alert, incident};

/// How many of each kind are shown.
const MAX_FOUND: usize = 50;

#[derive(Deserialize)]
pub(super) struct SearchParams {
    #[serde(default)]
    q: String,
}

pub(super) async fn search(
    State(app): State<App>,
    Params(params): Params<SearchParams>,
    visit: Visit,
) -> Result<Response, WebError> {
    let wanted = params.q.trim();
    if let Ok(event) = wanted.parse::<EventId>() {
        return Ok(back_to(&url::path(&["why", &event.to_string()])));
    }
    let words: Vec<String> = wanted.split_whitespace().map(str::to_lowercase).collect();
    let matches = |text: String| {
        let text = text.to_lowercase();
        !words.is_empty() && words.iter().all(|word| text.contains(word))
    };
    let (who, look, now) = (&visit.caller.principal, &visit.look, app.now());
    let mut incidents = app.console.incidents(who, look).await?;
    if let Some(exact) = incidents.iter().find(|incident| incident.id.as_str() == wanted) {
        return Ok(back_to(&url::path(&["incidents", exact.id.as_str()])));
    }
    incidents.retain(|found| {
        let tenants = found.tenants.join(" ");
        matches(format!("{} {} {} {tenants}", found.id, found.title, found.scope))
    });
    let mut alerts = app.console.alerts(who, look).await?;
    alerts.retain(|found| {
        matches(format!(
            "{} {} {} {}",
            found.name, found.summary, found.scope, found.labels
        ))
    });
    let mut slos = app.console.slos(who, look).await?;
    slos.retain(|found| {
        matches(format!(
            "{} {} {}",
            found.id,
            found.title,
            found.group.as_deref().unwrap_or("")
        ))
    });
    let mut changes = app.console.changes(who, look).await?;
    changes.retain(|found| {
        let version = found.to_version.as_deref().unwrap_or_default();
        matches(format!(
            "{} {} {} {version}",
            found.id, found.summary, found.scope
        ))
    });
    let none = incidents.is_empty() && alerts.is_empty() && slos.is_empty() && changes.is_empty();
    incidents.truncate(MAX_FOUND);
    alerts.truncate(MAX_FOUND);
    slos.truncate(MAX_FOUND);
    changes.truncate(MAX_FOUND);
    let main = html! {
        h1 { "Search" @if !wanted.is_empty() { ": " (wanted) } }
        @if none { p.empty { "Nothing that you may see matches. Words must all occur; ids of incidents and events lead straight to them." } }
        @if !incidents.is_empty() { section { h2 { "Incidents" } (incident::table("Incidents found", &incidents, now, "")) } }
        @if !alerts.is_empty() { section { h2 { "Alerts" } (alert::table(&alerts, now, "")) } }
        @if !slos.is_empty() { section { h2 { "Objectives" } (slo_table(&slos, now)) } }
        @if !changes.is_empty() { section { h2 { "Changes" } (changes_table(&changes, now)) } }
    };
    let head = Head {
        title: "Search",
        place: "/search",
        topic: Topic::overview(),
        scoped: false,
    };
    show(&app, &visit, head, main).await
}
