//! The overview for people: the sentence first, then what it rests on.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_ui::number::{self, linked};
use mainstay_ui::status::{self, Status, status, status_word};
use mainstay_ui::table::{Column, dense, numeric, text};
use mainstay_ui::{chart, live, time, url};
use maud::{Markup, html};

use super::ask;
use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Visit, show};
use crate::view::{Banner, Change, Exhaustion, Figure, FigureGroup, Grid, GridCell, Overview, Slo};
use crate::{alert, incident};

pub(super) async fn overview(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let overview = ask(&app, &visit.caller, &visit.look).await?;
    let head = Head {
        title: "Overview",
        place: "/",
        topic: Topic::overview(),
        scoped: true,
    };
    let main = content(&overview, app.now());
    show(&app, &visit, head, main).await
}

fn content(overview: &Overview, now: Timestamp) -> Markup {
    let topic = Topic::overview();
    let region = |id: &str, content: Markup| live::region(id, topic.as_str(), content);
    html! {
        (region("sentence", html! {
            @for banner in &overview.banners { (banner_line(banner)) }
            div.lead.verdict {
                (status(overview.sentence.status))
                h1 { (overview.sentence.text) }
            }
        }))
        (region("incidents", incidents(overview, now)))
        (region("slos", html! { section { h2 { "Objectives" } (slo_table(&overview.slos, now)) } }))
        div.columns {
            (region("alerts", html! {
                section { h2 { "Firing alerts" } (alert::compact(&overview.alerts, now, quiet(overview))) }
            }))
            (region("grid", html! { section { h2 { "Services by cells, worst signal" } (grid(&overview.grid)) } }))
        }
        (region("charts", html! {
            div.columns { @for one in &overview.charts { section { (chart::figure(one)) } } }
        }))
        (region("changes", html! { section { h2 { "Changes" } (changes_table(&overview.changes, now)) } }))
        (region("figures", html! { div.columns { @for group in &overview.figures { (figures(group)) } } }))
    }
}

/// What the absence of alerts means: nothing, where nothing is known.
fn quiet(overview: &Overview) -> &'static str {
    match overview.sentence.status {
        Status::Unknown => "No alert is known to fire. Without data that says nothing.",
        _ => "No alert fires.",
    }
}

fn banner_line(banner: &Banner) -> Markup {
    html! {
        p class={ "banner " (banner.status.class()) } {
            (status(banner.status)) " " (banner.text)
            @if let Some(event) = banner.event { " " a href=(url::path(&["why", &event.to_string()])) { "why" } }
        }
    }
}

fn incidents(overview: &Overview, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "Open incidents" }
            (incident::table("Open incidents", &overview.open, now, "No incident is open."))
            @if !overview.recent.is_empty() {
                details id="recent" open[overview.open.is_empty()] {
                    summary { "Ended lately (" (overview.recent.len()) ")" }
                    (incident::table("Ended incidents", &overview.recent, now, "None."))
                }
            }
        }
    }
}

const SLO_COLUMNS: &[Column] = &[
    text("Objective"),
    text("Status"),
    numeric("Now"),
    numeric("Promised"),
    numeric("Bad of total"),
    numeric("Budget left"),
    numeric("Burn 1 h / 6 h"),
];

/// Objectives, with the raw counts beside each percentage.
pub(crate) fn slo_table(slos: &[Slo], now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = slos.iter().map(|slo| slo_row(slo, now)).collect();
    dense("Objectives", SLO_COLUMNS, &rows, "No objective is defined.")
}

/// The page about an objective, in the part of the platform that it is of.
fn slo_path(slo: &Slo) -> String {
    let part = |name: &str| slo.labels.get(name).map(String::as_str).unwrap_or_default();
    url::with_query(
        &url::path(&["slos", slo.id.as_str()]),
        &[("tenant", part("tenant")), ("cell", part("cell"))],
    )
}

fn slo_row(slo: &Slo, now: Timestamp) -> Vec<Markup> {
    let href = slo_path(slo);
    let value = slo.value.map_or_else(
        || "unknown".to_owned(),
        |value| value.percent_floor(slo.objective.decimals_beside()),
    );
    let burn = |rate: Option<f64>| {
        rate.map_or_else(
            || "?".to_owned(),
            |rate| format!("{}×", number::measured(rate, number::Unit::Count)),
        )
    };
    vec![
        html! {
            a href=(href) { (slo.title) }
            @if let Some(group) = &slo.group { " " span.dim { (group) } }
            span.sub { (slo.window) }
        },
        html! {
            (status(slo.status))
            @if let Some(reason) = &slo.unknown_reason { span.sub { (reason) } }
        },
        linked(&value, slo.query.as_deref()),
        html! {
            (slo.objective.percent())
            @if let Some(sla) = slo.sla { span.sub { "SLA " (sla.percent()) } }
        },
        html! {
            (slo.amounts.bad)
            span.sub { "of " (slo.amounts.total) @if let Some(noun) = slo.amounts.noun_beside() { " " (noun) } }
            @if slo.excluded.is_some() {
                span.sub { "adjusted " (slo.amounts.adjusted_bad) " of " (slo.amounts.adjusted_total) }
            }
        },
        html! {
            (status::budget(slo.budget))
            span.sub {
                (slo.amounts.left) " of " (slo.amounts.allowed) @if let Some(noun) = slo.amounts.noun_beside() { " " (noun) }
            }
            @if let Some(exhaustion) = &slo.exhaustion {
                span.sub { (exhaustion_words(exhaustion, now)) }
            }
        },
        html! { (burn(slo.burn_1h)) " / " (burn(slo.burn_6h)) },
    ]
}

/// `spent in 2 h to 3 d, likely 9 h`, `may be spent in 2 h`: an interval of 80 %.
pub(crate) fn exhaustion_words(exhaustion: &Exhaustion, now: Timestamp) -> String {
    let after = |at: Timestamp| time::span(time::elapsed_ms(now, at));
    let earliest = after(exhaustion.earliest);
    match (exhaustion.likely, exhaustion.latest) {
        (Some(likely), Some(latest)) => {
            format!(
                "spent in {earliest} to {}, likely {}",
                after(latest),
                after(likely)
            )
        }
        (Some(likely), None) => format!("may be spent in {earliest}, likely in {}", after(likely)),
        (None, _) => format!("may be spent in {earliest}"),
    }
}

/// Only what is not well is written out: at a glance, words mean work.
fn grid(grid: &Grid) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Services by cells" {
            table.grid-table {
                caption.sr { "Services by cells, worst signal" }
                thead { tr {
                    th scope="col" { "Service" }
                    @for cell in &grid.cells { th scope="col" { (cell) } }
                } }
                tbody {
                    @for row in &grid.rows {
                        tr {
                            th scope="row" { (row.service) }
                            @for cell in &row.cells { (grid_cell(cell.as_ref())) }
                        }
                    }
                    @if grid.rows.is_empty() { tr { td.empty colspan=(grid.cells.len() + 1) { "No service is known." } } }
                }
            }
        }
    }
}

fn grid_cell(cell: Option<&GridCell>) -> Markup {
    let Some(cell) = cell else {
        return html! { td { span.dim title="does not run here" { "–" } } };
    };
    let word = cell.signal.as_deref().unwrap_or(cell.status.word());
    let shown = status_word(cell.status, word);
    html! {
        td class=(cell.status.class()) {
            @match &cell.query {
                Some(expr) => a href=(url::query(expr)) title=(expr) { (shown) },
                None => (shown),
            }
        }
    }
}

const CHANGE_COLUMNS: &[Column] = &[text("What"), text("When"), text("Reported by")];

/// Changes, newest first.
pub(crate) fn changes_table(changes: &[Change], now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = changes
        .iter()
        .map(|change| {
            let kind = format!("{:?}", change.kind).to_lowercase();
            vec![
                html! {
                    b { (kind) } " " (change.summary)
                    span.sub {
                        (change.scope)
                        @if let (Some(from), Some(to)) = (&change.from_version, &change.to_version) { " · " (from) " → " (to) }
                    }
                },
                time::ago(change.at, now),
                html! { (change.source) " " a.why href=(url::path(&["why", &change.event.to_string()])) { "why" } },
            ]
        })
        .collect();
    dense(
        "Changes",
        CHANGE_COLUMNS,
        &rows,
        "Nothing was changed in this range.",
    )
}

fn figures(group: &FigureGroup) -> Markup {
    html! {
        section {
            h2 { (group.title) }
            dl.figures { @for figure in &group.figures { (figure_entry(figure)) } }
        }
    }
}

fn figure_entry(figure: &Figure) -> Markup {
    html! {
        div {
            dt { (figure.label) }
            dd {
                @match figure.value {
                    None => (status(Status::Unknown)),
                    Some(value) => {
                        (linked(&number::measured(value, figure.unit), figure.query.as_deref()))
                        @if figure.status != Status::Neutral { " " (status(figure.status)) }
                    }
                }
                @if let Some(target) = &figure.target { span.sub { (target) } }
            }
        }
    }
}
