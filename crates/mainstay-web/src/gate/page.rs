//! The gate for people.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_kernel::{CellId, ServiceId, SloId};
use mainstay_ui::status::status_word;
use mainstay_ui::table::{Column, dense, text};
use mainstay_ui::{Status, live, time, url};
use maud::{Markup, html};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Visit, show};
use crate::view::{
    GateKind, GatePlace, GatePolicies, GatePolicy, GateReason, GateRequest, GateStatement, GateVerdict,
};

/// How many answers are shown; the API gives all that are at hand.
const ANSWERS_SHOWN: usize = 50;

pub(super) async fn gate(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let who = &visit.caller.principal;
    let places = app.console.gate_places(who).await?;
    let policies = app.console.gate_policies(who).await?;
    let answers = app.console.gate_answers(who).await?;
    let (topic, now) = (Topic::overview(), app.now());
    let region = |id: &str, content: Markup| live::region(id, topic.as_str(), content);
    let main = html! {
        h1 { "Gate" }
        p.dim { "What a deploy would be told now. Nobody may go by this page: who deploys asks, and the answer is written down." }
        (region("places", html! { section { h2 { "Now" } (place_rows("Verdicts by cell and service", &places, now)) } }))
        (region("answers", html! { section { h2 { "Recent answers" } (answers_table(&answers, now)) } }))
        (region("approvals", html! { section { h2 { "Approvals that hold" } (approvals(&policies, now)) } }))
        (region("policies", html! { @for policy in &policies.policies { (policy_section(policy, &policies, now)) } }))
        @if policies.policies.is_empty() {
            section { p { "The catalog has no error budget policy: nothing is ever refused." } }
        }
    };
    let head = Head {
        title: "Gate",
        place: "/gate",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

fn verdict(verdict: GateVerdict) -> Markup {
    match verdict {
        GateVerdict::Allow => status_word(Status::Ok, "allowed"),
        GateVerdict::NeedsApproval => status_word(Status::Warning, "needs approval"),
        GateVerdict::Refuse => status_word(Status::Breached, "refused"),
    }
}

fn place_verdict(place: &GatePlace) -> Markup {
    if place.is_blind() {
        status_word(Status::Unknown, "allowed, unseen")
    } else {
        verdict(place.verdict)
    }
}

/// To the budget of the cell, and to the event by which it came into its state.
fn reason_links(reason: &GateReason, cell: &CellId) -> Markup {
    let budget =
        |slo: &SloId| url::with_query(&url::path(&["slos", slo.as_str()]), &[("cell", cell.as_str())]);
    html! {
        @if let Some(slo) = &reason.slo { " " a href=(budget(slo)) { "budget" } }
        @if let Some(event) = &reason.event { " " a.why href=(url::path(&["why", &event.to_string()])) { "why" } }
    }
}

const PLACE_COLUMNS: &[Column] = &[text("Cells"), text("Services"), text("Deploy"), text("Why")];

/// What holds in several places for the same reason, in one row.
struct Alike<'a> {
    first: &'a GatePlace,
    cells: BTreeSet<&'a CellId>,
    services: BTreeSet<&'a ServiceId>,
}

/// Places by verdict and reason, strictest first: one budget may hold up every service of a cell, and one silence be of many
/// cells.
pub(crate) fn place_rows(caption: &str, places: &[GatePlace], now: Timestamp) -> Markup {
    let mut by_reason: Vec<Alike<'_>> = Vec::new();
    let mut found: BTreeMap<(&CellId, &str, bool), usize> = BTreeMap::new();
    for place in places {
        let is_through = place.verdict == GateVerdict::Allow;
        let text = match place.reasons.first() {
            Some(reason) if !is_through => reason.text.as_str(),
            _ => "",
        };
        let index = *found
            .entry((&place.cell, text, place.is_blind()))
            .or_insert_with(|| {
                by_reason.push(Alike {
                    first: place,
                    cells: BTreeSet::from([&place.cell]),
                    services: BTreeSet::new(),
                });
                by_reason.len() - 1
            });
        if let Some(alike) = by_reason.get_mut(index) {
            alike.services.insert(&place.service);
        }
    }
    let mut rows: Vec<Alike<'_>> = Vec::new();
    for alike in by_reason {
        let same = rows.iter_mut().find(|row| {
            row.first.verdict == GateVerdict::Allow
                && alike.first.verdict == GateVerdict::Allow
                && row.first.is_blind() == alike.first.is_blind()
                && row.services == alike.services
        });
        match same {
            Some(row) => row.cells.extend(alike.cells),
            None => rows.push(alike),
        }
    }
    let rows: Vec<Vec<Markup>> = rows.iter().map(|row| place_row(row, now)).collect();
    dense(caption, PLACE_COLUMNS, &rows, "No deploy is judged by it.")
}

fn place_row(alike: &Alike<'_>, now: Timestamp) -> Vec<Markup> {
    let place = alike.first;
    let held_up = place.verdict != GateVerdict::Allow;
    let cells: Vec<&str> = alike.cells.iter().map(|cell| cell.as_str()).collect();
    let services: Vec<&str> = alike.services.iter().map(|service| service.as_str()).collect();
    vec![
        html! { (cells.join(", ")) },
        html! { (services.join(", ")) },
        html! {
            (place_verdict(place))
            @if let Some(since) = place.since.filter(|_| held_up) { span.sub { (time::since(since, now)) } }
        },
        html! {
            div.reason {
                @match place.reasons.first() {
                    Some(reason) if held_up => { (reason.text) (reason_links(reason, &place.cell)) },
                    _ if place.is_blind() => span.dim { "not all that judges it is seen: unknown neither freezes nor thaws" },
                    _ => span.dim { "every budget that judges it is left, or an exception or approval holds" },
                }
            }
        },
    ]
}

const ANSWER_COLUMNS: &[Column] = &[text("Asked"), text("Answer"), text("Why"), text("When")];

fn answers_table(answers: &[GateStatement], now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = answers
        .iter()
        .take(ANSWERS_SHOWN)
        .map(|answer| {
            vec![
                html! { (asked(&answer.request)) span.sub { "by " (answer.by) } },
                verdict(answer.verdict),
                html! {
                    @for reason in &answer.reasons {
                        div.reason { (reason.text) (reason_links(reason, &answer.request.cell)) }
                    }
                },
                html! {
                    (time::ago(answer.at, now)) " " a.why href=(url::path(&["why", &answer.event.to_string()])) { "why" }
                },
            ]
        })
        .collect();
    html! {
        (dense("Recent answers of the gate", ANSWER_COLUMNS, &rows, "The gate was not asked yet."))
        @if answers.len() > ANSWERS_SHOWN {
            p.dim { "The newest " (ANSWERS_SHOWN) ". " a href="/api/v1/gate/answers" { "All that are at hand" } }
        }
    }
}

fn asked(request: &GateRequest) -> Markup {
    let kind = match request.kind {
        GateKind::Deploy => "deploy",
        GateKind::Configuration => "configuration",
        GateKind::Rollback => "rollback",
        GateKind::SecurityFix => "security fix",
        GateKind::ReliabilityFix => "reliability fix",
    };
    html! {
        (kind) " " b { (request.service) } @if let Some(version) = &request.version { " " (version) }
        " in " b { (request.cell) } @if let Some(tenant) = &request.tenant { " for " (tenant) }
    }
}

const APPROVAL_COLUMNS: &[Column] = &[text("Changes of"), text("By"), text("Why"), text("Until")];

fn approvals(policies: &GatePolicies, now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = policies
        .approvals
        .iter()
        .map(|approval| {
            vec![
                html! {
                    (approval.service) @if let Some(version) = &approval.version { " " (version) } " in " (approval.cell)
                },
                html! { (approval.by) span.sub { "as " (approval.role) } },
                html! { (approval.reason) " " a.why href=(url::path(&["why", &approval.event.to_string()])) { "why" } },
                until(approval.until, now),
            ]
        })
        .collect();
    dense("Approvals that hold", APPROVAL_COLUMNS, &rows, "None.")
}

fn until(at: Timestamp, now: Timestamp) -> Markup {
    html! { (time::instant(at, now)) span.sub { "for another " (time::span(time::elapsed_ms(now, at))) } }
}

const EXCEPTION_COLUMNS: &[Column] = &[text("Exception for"), text("Owner"), text("Why"), text("Expires")];

fn policy_section(policy: &GatePolicy, policies: &GatePolicies, now: Timestamp) -> Markup {
    let exceptions: Vec<Vec<Markup>> = policy
        .exceptions
        .iter()
        .map(|one| {
            let service = one.service.as_ref().map_or("every service", AsRef::as_ref);
            let cell = one.cell.as_ref().map_or("every cell", AsRef::as_ref);
            vec![
                html! { (service) " in " (cell) },
                html! { (one.owner) },
                html! { (one.reason) },
                until(one.expires, now),
            ]
        })
        .collect();
    let judged = policies.services.iter().map(|service| {
        let by = service
            .judged_by
            .iter()
            .filter(|judge| judge.policy == policy.name);
        (&service.service, by.collect::<Vec<_>>())
    });
    html! {
        section {
            h2 { "Policy: " (policy.title) }
            dl.figures {
                @for (state, words) in &policy.states { div { dt { "Budget " (state) } dd { (words) } } }
                div { dt { "A new month is no amnesty" } dd { (policy.recovery) } }
                div {
                    dt { "While the server is down" }
                    dd { "the last answer holds for " (policy.last_answer_valid) ", then " (verdict(policy.fail_mode)) }
                }
            }
            details id={ "judged-" (policy.name) } {
                summary { "What it judges" }
                ul {
                    @for (service, judges) in judged {
                        @if !judges.is_empty() {
                            li {
                                (service) ": "
                                @for (index, judge) in judges.iter().enumerate() {
                                    @if index > 0 { ", " }
                                    a href=(url::path(&["slos", judge.slo.as_str()])) { (judge.slo) }
                                }
                            }
                        }
                    }
                }
            }
            h3 { "Exceptions" }
            (dense("Exceptions that hold", EXCEPTION_COLUMNS, &exceptions, "No exception holds."))
        }
    }
}
