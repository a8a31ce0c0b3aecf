//! Objectives for people.

use axum::extract::State;
use axum::response::Response;
use mainstay_kernel::SloId;
use mainstay_ui::number::{self, Unit, count, linked};
use mainstay_ui::status::status;
use mainstay_ui::table::{Column, dense, numeric, text};
use mainstay_ui::{chart, live, time};
use maud::{Markup, html};

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::overview::slo_table;
use crate::request::{Head, Id, Visit, show};
use crate::view::{Burn, SloDetail};

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let slos = app.console.slos(&visit.caller.principal, &visit.look).await?;
    let topic = Topic::overview();
    let main = html! {
        h1 { "Objectives" }
        (live::region("slos", topic.as_str(), html! { section { (slo_table(&slos, app.now())) } }))
    };
    let head = Head {
        title: "Objectives",
        place: "/slos",
        topic,
        scoped: true,
    };
    show(&app, &visit, head, main).await
}

pub(super) async fn one(
    State(app): State<App>,
    Id(id): Id<SloId>,
    visit: Visit,
) -> Result<Response, WebError> {
    let detail = app.console.slo(&visit.caller.principal, &id, &visit.look).await?;
    let topic = Topic::overview();
    let main = html! {
        h1 { (detail.slo.title) @if let Some(group) = &detail.slo.group { " · " (group) } }
        (live::region("slo", topic.as_str(), html! {
            section { (slo_table(std::slice::from_ref(&detail.slo), app.now())) }
        }))
        div.columns {
            (live::region("definition", topic.as_str(), definition(&detail)))
            (live::region("burns", topic.as_str(), html! { section { h2 { "Burn alerts" } (burns(&detail.burns)) } }))
        }
        (live::region("charts", topic.as_str(), html! {
            div.columns { @for one in &detail.charts { section { (chart::figure(one)) } } }
        }))
    };
    let head = Head {
        title: &detail.slo.title,
        place: "/slos",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

fn definition(detail: &SloDetail) -> Markup {
    html! {
        section {
            h2 { "What is counted" }
            p { (detail.definition) }
            p {
                "Counted in " (detail.slo.window) ": "
                (linked(&count(detail.slo.bad), detail.bad_query.as_deref())) " bad of "
                (linked(&count(detail.slo.total), detail.total_query.as_deref())) "."
            }
            @if let Some(excluded) = &detail.slo.excluded {
                p {
                    (excluded) " Without it: " (count(detail.slo.adjusted_bad)) " bad of "
                    (count(detail.slo.adjusted_total)) ", by which the budget goes."
                }
            }
            @if let Some(doubt) = &detail.slo.doubt { p { "In doubt: " (doubt) "." } }
            @if let Some(apart) = &detail.slo.apart { p { "Beside the counts: " (apart) "." } }
            @if let Some(source) = &detail.source { p.dim { "Defined in " code { (source) } } }
        }
    }
}

const BURN_COLUMNS: &[Column] = &[
    text("Alert"),
    text("Status"),
    text("Windows"),
    numeric("Long"),
    numeric("Short"),
    numeric("Threshold"),
];

fn burns(burns: &[Burn]) -> Markup {
    let rate = |rate: Option<f64>| match rate {
        Some(rate) => format!("{}×", number::measured(rate, Unit::Count)),
        None => "unknown".to_owned(),
    };
    let rows: Vec<Vec<Markup>> = burns
        .iter()
        .map(|burn| {
            vec![
                html! { (burn.alert) },
                status(burn.status),
                html! { (time::span(burn.long_ms)) " and " (time::span(burn.short_ms)) },
                html! { (rate(burn.long)) },
                html! { (rate(burn.short)) },
                html! { (rate(Some(burn.threshold))) },
            ]
        })
        .collect();
    dense(
        "Burn alerts",
        BURN_COLUMNS,
        &rows,
        "No alert watches how fast this budget burns.",
    )
}
