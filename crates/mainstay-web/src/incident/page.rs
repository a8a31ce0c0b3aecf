//! Incidents for people.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_kernel::{IncidentId, Role};
use mainstay_ui::number::{count, linked};
use mainstay_ui::status::{severity, status, status_word};
use mainstay_ui::table::{Column, dense, numeric, text};
use mainstay_ui::timeline::{Entry, timeline};
use mainstay_ui::{Status, chart, form, live, time, url};
use maud::{Markup, html};

use crate::alert;
use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::overview::changes_table;
use crate::request::{Head, Id, Visit, show};
use crate::view::{Bridge, Clock, Incident, IncidentSummary, Page, Runbook, Step, StepState, Suspect};

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let incidents = app
        .console
        .incidents(&visit.caller.principal, &visit.look)
        .await?;
    let (open, ended): (Vec<_>, Vec<_>) = incidents
        .into_iter()
        .partition(|incident| incident.resolved_at.is_none());
    let topic = Topic::overview();
    let now = app.now();
    let main = html! {
        h1 { "Incidents" }
        (live::region("open", topic.as_str(), html! {
            section { h2 { "Open" } (table("Open incidents", &open, now, "No incident is open.")) }
        }))
        (live::region("ended", topic.as_str(), html! {
            section { h2 { "Ended" } (table("Ended incidents", &ended, now, "No incident has ended.")) }
        }))
    };
    let head = Head {
        title: "Incidents",
        place: "/incidents",
        topic,
        scoped: true,
    };
    show(&app, &visit, head, main).await
}

pub(super) async fn one(
    State(app): State<App>,
    Id(id): Id<IncidentId>,
    visit: Visit,
) -> Result<Response, WebError> {
    let incident = app.console.incident(&visit.caller.principal, &id).await?;
    let head = Head {
        title: &format!("{} {}", incident.summary.severity, incident.summary.title),
        place: "/incidents",
        topic: Topic::incident(&id),
        scoped: false,
    };
    let main = content(&incident, &visit, app.now());
    show(&app, &visit, head, main).await
}

pub(super) async fn postmortem(
    State(app): State<App>,
    Id(id): Id<IncidentId>,
    visit: Visit,
) -> Result<Response, WebError> {
    let markdown = app.console.postmortem(&visit.caller.principal, &id).await?;
    let head = Head {
        title: &format!("Post-mortem {id}"),
        place: "/incidents",
        topic: Topic::incident(&id),
        scoped: false,
    };
    let incident_href = url::path(&["incidents", id.as_str()]);
    let raw_href = format!("/api/v1{incident_href}/postmortem");
    let main = html! {
        h1 { "Post-mortem draft, incident " a href=(incident_href) { (id) } }
        p.dim { "Written from the timeline; the verdict is yours. " a href=(raw_href) { "Markdown" } }
        (live::region("draft", head.topic.as_str(), html! { section { pre { (markdown) } } }))
    };
    show(&app, &visit, head, main).await
}

const COLUMNS: &[Column] = &[
    text("Incident"),
    text("Severity"),
    text("Phase"),
    text("Began"),
    text("Tenants hit"),
    numeric("Failed requests"),
    text("Suspect"),
];

/// Incidents as a table; captions are unique on a page.
pub(crate) fn table(caption: &str, incidents: &[IncidentSummary], now: Timestamp, empty: &str) -> Markup {
    let rows: Vec<Vec<Markup>> = incidents
        .iter()
        .map(|incident| {
            vec![
                html! {
                    a href=(url::path(&["incidents", incident.id.as_str()])) { b { (incident.title) } }
                    span.sub { (incident.id) " · " (incident.scope) }
                },
                severity(incident.severity),
                phase(incident),
                began(incident, now),
                html! { (tenants(incident)) },
                html! { (incident.failed_requests.map_or_else(|| "unknown".to_owned(), count)) },
                html! { (incident.suspect.as_deref().unwrap_or("none yet")) },
            ]
        })
        .collect();
    dense(caption, COLUMNS, &rows, empty)
}

fn phase(incident: &IncidentSummary) -> Markup {
    let judged = if incident.resolved_at.is_some() {
        Status::Ok
    } else if incident.acknowledged_by.is_some() {
        Status::Warning
    } else {
        Status::Breached
    };
    html! {
        (status_word(judged, &incident.phase))
        @if incident.shadow { span.sub { "in shadow: nobody is told" } }
        @if let Some(by) = &incident.acknowledged_by { span.sub { "taken on by " (by) } }
    }
}

fn began(incident: &IncidentSummary, now: Timestamp) -> Markup {
    match incident.resolved_at {
        None => time::since(incident.started_at, now),
        Some(ended) => html! {
            (time::ago(incident.started_at, now))
            span.sub { "lasted " (time::span(time::elapsed_ms(incident.started_at, ended))) }
        },
    }
}

fn tenants(incident: &IncidentSummary) -> String {
    match incident.tenants.as_slice() {
        [] => "none known".to_owned(),
        few if few.len() <= 3 => few.join(", "),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
        [one] => one.clone(),
    }
}

fn content(incident: &Incident, visit: &Visit, now: Timestamp) -> Markup {
    let topic = Topic::incident(&incident.summary.id);
    let region = |id: &str, content: Markup| live::region(id, topic.as_str(), content);
    let offer = visit.may(Role::Responder);
    let csrf = visit.caller.csrf();
    html! {
        (region("head", html! {
            (headline(incident, now))
            @if offer { (actions(incident, csrf)) }
        }))
        div.columns.wide-left {
            div {
                (region("suspects", html! { section { h2 { "Likely causes" } (suspects(&incident.suspects, now)) } }))
                (region("runbooks", html! {
                    section {
                        h2 { "Runbooks" }
                        @if incident.runbooks.is_empty() { p.empty { "No runbook serves these alerts." } }
                        @for runbook in &incident.runbooks { (runbook_steps(incident, runbook, offer.then_some(csrf), now)) }
                    }
                }))
                (region("timeline", html! { section { h2 { "Timeline" } (entries(incident, now)) } }))
                (region("changes", html! {
                    section { h2 { "Changes shortly before and during" } (changes_table(&incident.changes, now)) }
                }))
            }
            div {
                (region("impact", impact(incident)))
                (region("pages", html! {
                    section {
                        h2 { "Pages" }
                        @if incident.pages.is_empty() { p.empty { "Nobody was paged." } }
                        @for page in &incident.pages { (page_entry(page, incident, offer.then_some(csrf), now)) }
                    }
                }))
                (region("signals", html! { @for one in &incident.charts { section { (chart::figure(one)) } } }))
                (region("alerts", html! {
                    section { h2 { "Alerts" } (alert::compact(&incident.alerts, now, "No alert belongs to it.")) }
                }))
            }
        }
    }
}

fn headline(incident: &Incident, now: Timestamp) -> Markup {
    let summary = &incident.summary;
    html! {
        div.lead {
            h1 { (summary.title) }
            div.facts {
                (severity(summary.severity))
                span { (phase(summary)) }
                span { (began(summary, now)) }
                span.dim { (summary.scope) }
                span { "hits " (tenants(summary)) }
                span.dim { (summary.id) }
                @if incident.has_postmortem {
                    a href=(url::path(&["incidents", summary.id.as_str(), "postmortem"])) { "post-mortem draft" }
                }
            }
            @if let Some(bridge) = &incident.bridge { (meeting(bridge)) }
            div.facts { @for clock in &incident.clocks { (clock_entry(clock)) } }
        }
    }
}

/// Where those who work on it meet. A telephone dials the number with what is to be keyed.
fn meeting(bridge: &Bridge) -> Markup {
    html! {
        div.facts {
            span {
                a href=(bridge.url) rel="noopener noreferrer" { b { "Join the bridge" } }
                @if let Some(phone) = &bridge.phone {
                    " or dial " a href={ "tel:" (phone.replace('#', "%23")) } { (phone) }
                }
            }
        }
    }
}

fn clock_entry(clock: &Clock) -> Markup {
    let word = if clock.running {
        "running"
    } else {
        clock.status.word()
    };
    html! {
        span {
            b { (clock.name) } " " (time::span(clock.elapsed_ms)) " of " (time::span(clock.target_ms)) " "
            (status_word(clock.status, word))
        }
    }
}

fn actions(incident: &Incident, csrf: &str) -> Markup {
    let id = incident.summary.id.as_str();
    let action = |verb: &str| url::path(&["incidents", id, verb]);
    html! {
        div.actions {
            @if incident.awaits_acknowledgement {
                (form::post(&action("acknowledge"), csrf, html! { button.main type="submit" { "Acknowledge" } }))
            }
            (form::line(&action("notes"), csrf, "note", "text", "Note", "Add to timeline"))
            @if incident.summary.resolved_at.is_none() {
                @match &incident.resolve_blocked {
                    Some(reason) => span.dim { "Cannot be resolved yet: " (reason) },
                    None => (form::button(&action("resolve"), csrf, "Resolve")),
                }
            }
        }
    }
}

fn suspects(suspects: &[Suspect], now: Timestamp) -> Markup {
    html! {
        @if suspects.is_empty() { p.empty { "Nothing stands out yet: no change shortly before it began." } }
        ol.ranked {
            @for suspect in suspects {
                li {
                    div {
                        b { (suspect.title) } " " (time::ago(suspect.at, now))
                        @if let Some(event) = suspect.event { " " a.why href=(url::path(&["why", &event.to_string()])) { "why" } }
                        ul { @for fact in &suspect.evidence { li { (fact) } } }
                    }
                }
            }
        }
    }
}

fn runbook_steps(incident: &Incident, runbook: &Runbook, csrf: Option<&str>, now: Timestamp) -> Markup {
    html! {
        h3 { (runbook.title) }
        p.dim { "Serves " (runbook.serves.join(", ")) "." }
        ol.ranked { @for step in &runbook.steps { li { div { (step_entry(incident, runbook, step, csrf, now)) } } } }
    }
}

fn step_entry(
    incident: &Incident,
    runbook: &Runbook,
    step: &Step,
    csrf: Option<&str>,
    now: Timestamp,
) -> Markup {
    let action = url::path(&[
        "incidents",
        incident.summary.id.as_str(),
        "runbooks",
        runbook.id.as_str(),
        "steps",
        &step.id,
    ]);
    html! {
        (step.text) " " (status_word(step.state.status(), step.state.word()))
        @if let Some(expected) = &step.expected { span.sub { "Expect: " (expected) } }
        @if let Some(result) = &step.result {
            span.sub {
                "Result: " (result)
                @if let Some(by) = &step.by { " (" (by) ")" }
                @if let Some(at) = step.at { ", " (time::utc(at, now)) }
            }
        }
        @if let (Some(csrf), StepState::Open | StepState::Failed) = (csrf, step.state) {
            @match &step.action {
                Some(does) => (form::button(&action, csrf, &format!("Run: {does}"))),
                None => (form::button(&action, csrf, "Tick off")),
            }
        }
    }
}

fn entries(incident: &Incident, now: Timestamp) -> Markup {
    let events: Vec<Option<String>> = incident
        .timeline
        .iter()
        .map(|entry| entry.event.map(|event| event.to_string()))
        .collect();
    let entries: Vec<Entry<'_>> = incident
        .timeline
        .iter()
        .zip(&events)
        .map(|(entry, event)| Entry {
            at: entry.at,
            kind: &entry.kind,
            actor: &entry.actor,
            text: &entry.text,
            event: event.as_deref(),
            href: entry.link.as_deref(),
        })
        .collect();
    timeline(&entries, now)
}

fn impact(incident: &Incident) -> Markup {
    let impact = &incident.impact;
    let known = |number: Option<u64>| number.map_or_else(|| "unknown".to_owned(), count);
    html! {
        section {
            h2 { "Impact" }
            p { (impact.text) }
            p {
                (linked(&known(impact.failed_requests), impact.query.as_deref())) " failed of "
                (known(impact.total_requests)) " requests since it began."
            }
            @if !impact.tenants.is_empty() {
                (dense(
                    "Tenants hit",
                    &[text("Tenant"), numeric("Failed requests")],
                    &impact.tenants.iter()
                        .map(|hit| vec![html! { (hit.tenant) }, html! { (known(hit.failed_requests)) }])
                        .collect::<Vec<_>>(),
                    "",
                ))
            }
        }
    }
}

fn page_entry(page: &Page, incident: &Incident, csrf: Option<&str>, now: Timestamp) -> Markup {
    html! {
        div.message {
            div.facts {
                b { (page.to) }
                span { "level " (page.level) }
                (status_word(page.status, &page.state))
                (time::ago(page.at, now))
            }
            @if let (Some(by), Some(at)) = (&page.acknowledged_by, page.acknowledged_at) {
                p { "Acknowledged by " b { (by) } " after " (time::span(time::elapsed_ms(page.at, at))) "." }
            } @else {
                @if let Some(at) = page.escalates_at { p { "Next level at " (time::utc(at, now)) " unless acknowledged." } }
                @if let Some(csrf) = csrf {
                    (form::post(&url::path(&["pages", page.id.as_str(), "acknowledge"]), csrf, html! {
                        input type="hidden" name="incident" value=(incident.summary.id);
                        button type="submit" { "Acknowledge this page" }
                    }))
                }
            }
            ul {
                @for receipt in &page.receipts {
                    li {
                        (receipt.channel) " to " (receipt.to) " " (time::instant(receipt.at, now)) ", attempt " (receipt.attempt)
                        @if receipt.possible_duplicate { " " (status_word(Status::Warning, "possible duplicate")) }
                        span.sub { "answer: " (receipt.answer) }
                    }
                }
                @if page.receipts.is_empty() { li { (status(Status::Unknown)) " no receipt yet: arrival is not proven" } }
            }
        }
    }
}
