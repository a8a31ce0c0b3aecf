//! Objectives for people.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use mainstay_kernel::SloId;
use mainstay_kernel::fact::BudgetState;
use mainstay_ui::{Status, chart, live, status, time, url};
use maud::{Markup, html};
use serde::Deserialize;

use super::depth;
use super::what_if::{self, WhatIfParams};
use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::overview::{exhaustion_words, slo_table};
use crate::request::{Head, Id, Params, Visit, show};
use crate::view::{Look, Slo};

/// The states to choose from, the worst first.
const STATES: [BudgetState; 5] = [
    BudgetState::Exhausted,
    BudgetState::Critical,
    BudgetState::Warning,
    BudgetState::Unknown,
    BudgetState::Healthy,
];

#[derive(Deserialize)]
pub(super) struct ListParams {
    #[serde(default)]
    state: String,
}

pub(super) async fn list(
    State(app): State<App>,
    Params(params): Params<ListParams>,
    visit: Visit,
) -> Result<Response, WebError> {
    let slos = app.console.slos(&visit.caller.principal, &visit.look).await?;
    let state = STATES.into_iter().find(|state| state.word() == params.state);
    if state.is_none() && !params.state.is_empty() {
        return Err(WebError::invalid(
            format!("state: {:?} is not known", params.state),
            "Use exhausted, critical, warning, healthy or unknown.",
        ));
    }
    let topic = Topic::overview();
    let main = html! {
        h1 { "Objectives" }
        (live::region("states", topic.as_str(), states(&slos, state, &visit.look)))
        (live::region("slos", topic.as_str(), html! {
            @let services = by_service(&slos, state);
            @for (service, slos) in &services {
                section {
                    @if let Some(service) = service { h2 { (service) } }
                    (slo_table(slos, app.now()))
                }
            }
            @if services.is_empty() { section { p.empty { "No objective is in this state." } } }
        }))
    };
    let head = Head {
        title: "Objectives",
        place: "/slos",
        topic,
        scoped: true,
    };
    show(&app, &visit, head, main).await
}

/// How many budgets are in each state, each a link to these alone.
fn states(slos: &[Slo], chosen: Option<BudgetState>, look: &Look) -> Markup {
    let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let scope = &look.scope;
    let (tenant, cell, service) = (
        part(scope.tenant.as_ref().map(AsRef::as_ref)),
        part(scope.cell.as_ref().map(AsRef::as_ref)),
        part(scope.service.as_ref().map(AsRef::as_ref)),
    );
    let href = |state: &str| {
        let pairs = [
            ("tenant", tenant.as_str()),
            ("cell", &cell),
            ("service", &service),
            ("state", state),
        ];
        url::with_query("/slos", &pairs)
    };
    let here = |is_here: bool| is_here.then_some("true");
    let counted = STATES.map(|state| (state, slos.iter().filter(|slo| slo.budget == state).count()));
    html! {
        ul.facts aria-label="Budgets by state" {
            li { a href=(href("")) aria-current=[here(chosen.is_none())] { "All " b { (slos.len()) } } }
            @for (state, count) in counted {
                @if count > 0 || chosen == Some(state) {
                    li {
                        a href=(href(state.word())) aria-current=[here(chosen == Some(state))] {
                            (status::budget(state)) " " b { (count) }
                        }
                    }
                }
            }
        }
    }
}

/// Grouped by service, worst first, both the services and what they promise.
fn by_service(slos: &[Slo], state: Option<BudgetState>) -> Vec<(Option<&str>, Vec<Slo>)> {
    let badness = |slo: &Slo| (slo.status, Status::from(slo.budget), slo.budget);
    let mut services: BTreeMap<Option<&str>, Vec<Slo>> = BTreeMap::new();
    for slo in slos
        .iter()
        .filter(|slo| state.is_none_or(|state| slo.budget == state))
    {
        let service = slo.service.as_ref().map(AsRef::as_ref);
        services.entry(service).or_default().push(slo.clone());
    }
    let mut services: Vec<_> = services.into_iter().collect();
    for (_, slos) in &mut services {
        slos.sort_by_key(|slo| Reverse(badness(slo)));
    }
    services.sort_by_key(|(_, slos)| Reverse(slos.first().map(badness)));
    services
}

pub(super) async fn one(
    State(app): State<App>,
    Id(id): Id<SloId>,
    Params(asked): Params<WhatIfParams>,
    visit: Visit,
) -> Result<Response, WebError> {
    let detail = app.console.slo(&visit.caller.principal, &id, &visit.look).await?;
    let (topic, now) = (Topic::overview(), app.now());
    let region = |id: &str, content: Markup| live::region(id, topic.as_str(), content);
    let slo = &detail.slo;
    let main = html! {
        h1 { (slo.title) @if let Some(group) = &slo.group { " · " (group) } }
        (region("slo", html! {
            @if let Some(exhaustion) = &slo.exhaustion {
                p.banner { "At the pace of the last four weeks and of now, the budget is " (exhaustion_words(exhaustion, now)) "." }
            }
            section { (slo_table(std::slice::from_ref(slo), now)) }
        }))
        (region("charts", html! { @for one in &detail.charts { section { (chart::figure(one)) } } }))
        div.columns {
            (region("counts", depth::counts(&detail, &visit.look)))
            (region("burns", html! { section { h2 { "Burn alerts" } (depth::burns(&detail.burns)) } }))
        }
        (region("parts", depth::parts(&detail, now)))
        (region("gate", depth::gate(&detail, visit.caller.principal.sees(None), now)))
        // Asked once: what is asked in passing is what may have changed.
        @if !visit.fragment { (what_if::section(&app, &visit, &id, &asked).await) }
        (region("definition", depth::definition(&detail, &visit.look, time::month(now))))
    };
    let head = Head {
        title: &slo.title,
        place: "/slos",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}
