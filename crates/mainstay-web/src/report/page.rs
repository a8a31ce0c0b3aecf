//! Reports and adjustments for people.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_ui::table::{Column, dense, text};
use mainstay_ui::{Status, live, status, time, url};
use maud::{Markup, html};

use super::api::MonthParams;
use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Params, Visit, show};
use crate::view::{Adjustment, ReportEntry, ReportIndex};

/// The forms of a report, with what people call them.
const FORMS: [(&str, &str); 4] = [
    ("html", "HTML"),
    ("md", "Markdown"),
    ("csv", "CSV"),
    ("json", "JSON"),
];

pub(super) async fn reports(
    State(app): State<App>,
    Params(params): Params<MonthParams>,
    visit: Visit,
) -> Result<Response, WebError> {
    let index = app
        .console
        .reports(&visit.caller.principal, params.month())
        .await?;
    let (topic, now) = (Topic::overview(), app.now());
    let here = |month: &String| (*month == index.month).then_some("true");
    let main = html! {
        h1 { "Reports of " (index.month) }
        (live::region("months", topic.as_str(), html! {
            ul.facts aria-label="Months" {
                @for month in &index.months {
                    li { a href=(url::with_query("/reports", &[("month", month)])) aria-current=[here(month)] { (month) } }
                }
                li { a href="/adjustments" { "Adjustments" } }
            }
        }))
        (live::region("reports", topic.as_str(), html! { section { (table(&index, now)) } }))
        p.dim {
            "An edition is numbered, signed and never changes; late data or an adjustment makes the next one, with its differences. "
            a href="/api/v1/signing-key" { "The key that verifies them" }
        }
    };
    let head = Head {
        title: "Reports",
        place: "/reports",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

const COLUMNS: &[Column] = &[text("For"), text("Issued"), text("As known now")];

fn table(index: &ReportIndex, now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = index
        .reports
        .iter()
        .map(|report| row(report, index, now))
        .collect();
    dense(
        "Reports of the month",
        COLUMNS,
        &rows,
        "There is no report that your account may see.",
    )
}

fn row(report: &ReportEntry, index: &ReportIndex, now: Timestamp) -> Vec<Markup> {
    vec![
        html! {
            (report.name)
            @if let Some(tenant) = &report.tenant { span.sub { (tenant) } }
        },
        html! {
            @for edition in &report.editions {
                div {
                    b { "Edition " (edition.number) } " " (forms(report, index, &edition.number.to_string()))
                    span.sub {
                        (time::ago(edition.at, now)) " · digest "
                        code title=(edition.digest) { (edition.digest.get(..12).unwrap_or(&edition.digest)) } " "
                        a.why href=(url::path(&["why", &edition.event.to_string()])) { "why" }
                    }
                }
            }
            @if report.editions.is_empty() {
                span.dim { @if index.is_running { "the month is not over" } @else { "nothing is issued" } }
            }
        },
        html! { "Draft " (forms(report, index, "")) },
    ]
}

/// The report in each of its forms; without an edition, the draft.
fn forms(report: &ReportEntry, index: &ReportIndex, edition: &str) -> Markup {
    let tenant = report
        .tenant
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let path = url::path(&["api", "v1", "reports", &index.month]);
    html! {
        @for (index, (form, name)) in FORMS.iter().enumerate() {
            @if index > 0 { " · " }
            a href=(url::with_query(&path, &[("tenant", &tenant), ("edition", edition), ("format", form)])) { (name) }
        }
    }
}

pub(super) async fn adjustments(State(app): State<App>, visit: Visit) -> Result<Response, WebError> {
    let mut list = app.console.adjustments(&visit.caller.principal).await?;
    list.reverse();
    let (topic, now) = (Topic::overview(), app.now());
    let main = html! {
        h1 { "Adjustments" }
        p.dim {
            "What does not count, by agreement: entries of the ledger, and the catalog's maintenance of the last and next 31 days. "
            "Raw figures are always shown beside adjusted ones."
        }
        (live::region("adjustments", topic.as_str(), html! { section { (adjustment_table(&list, now)) } }))
    };
    let head = Head {
        title: "Adjustments",
        place: "/reports",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

const ADJUSTMENT_COLUMNS: &[Column] = &[
    text("What"),
    text("State"),
    text("From"),
    text("To"),
    text("Of"),
    text("Why"),
    text("By"),
];

fn adjustment_table(list: &[Adjustment], now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = list.iter().map(|one| adjustment_row(one, now)).collect();
    dense("Adjustments", ADJUSTMENT_COLUMNS, &rows, "Everything counts.")
}

fn adjustment_row(one: &Adjustment, now: Timestamp) -> Vec<Markup> {
    let state = match &one.withdrawn {
        Some(_) => "withdrawn",
        None if now < one.from => "to come",
        None if now < one.to => "now",
        None => "over",
    };
    vec![
        html! {
            @match (one.number, &one.window) {
                (Some(number), _) => { "Entry " (number) },
                (None, Some(window)) => { "Maintenance " (window) },
                (None, None) => "Maintenance",
            }
        },
        html! {
            (status::status_word(Status::Neutral, state))
            @if let Some(withdrawn) = &one.withdrawn { span.sub { (withdrawn) } }
            @if one.silences_burn { span.sub { "burn alerts leave it out too" } }
        },
        time::instant(one.from, now),
        html! { (time::instant(one.to, now)) span.sub { (time::span(time::elapsed_ms(one.from, one.to))) } },
        html! { (one.of.join(", ")) span.sub { (one.place) } },
        html! { (one.reason) @if let Some(ticket) = &one.ticket { span.sub { (ticket) } } },
        html! {
            (one.author)
            @if let Some(at) = one.written_at { span.sub { (time::utc(at, now)) } }
        },
    ]
}
