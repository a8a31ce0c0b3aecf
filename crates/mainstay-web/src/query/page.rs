//! The page that every number links to: the expression, what it finds now, and how that went over the chosen range.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_kernel::Reach;
use mainstay_promql::histogram::text as histogram_text;
use mainstay_promql::{Outcome, SampleValue, Value};
use mainstay_ui::number::{Unit, measured};
use mainstay_ui::status::status_word;
use mainstay_ui::table::{Column, dense, numeric, text};
use mainstay_ui::{Chart, Status, chart, time};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Params, RANGES, Visit, show};
use crate::view::{InstantQuery, QueryAnswer, QueryOptions, RangeQuery, Series};

/// How many series the page shows; the API gives all.
const MAX_ROWS: usize = 200;
/// How many series the chart draws.
const MAX_LINES: usize = 6;
const OPTIONS: QueryOptions = QueryOptions {
    timeout_ms: 10_000,
    lookback_ms: None,
};

#[derive(Deserialize)]
pub(super) struct QueryParams {
    #[serde(default)]
    query: String,
}

pub(super) async fn query(
    State(app): State<App>,
    Params(params): Params<QueryParams>,
    visit: Visit,
) -> Result<Response, WebError> {
    let expr = params.query.trim();
    let main = html! {
        h1 { "Query" }
        (ask(expr, visit.look.range_ms))
        @if !expr.is_empty() { (found(&app, expr, visit.look.range_ms).await) }
    };
    let head = Head {
        title: "Query",
        place: "/query",
        topic: Topic::overview(),
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

fn ask(expr: &str, range_ms: u64) -> Markup {
    html! {
        form.actions action="/query" method="get" {
            label for="query" { "PromQL" }
            input.mono id="query" name="query" type="text" value=(expr) maxlength="4000" autocomplete="off";
            label { "Last "
                select name="range" {
                    @for (name, ms) in RANGES { option value=(name) selected[ms == range_ms] { (name) } }
                }
            }
            button type="submit" { "Run" }
        }
    }
}

async fn found(app: &App, expr: &str, range_ms: u64) -> Markup {
    let now = app.now();
    let instant = InstantQuery {
        expr: expr.to_owned(),
        at_ms: now.as_millisecond(),
        options: OPTIONS,
        // The page is only for who sees the platform as a whole.
        reach: Reach::All,
    };
    let answer = match app.console.query(&instant).await {
        Ok(answer) => answer,
        Err(error) => {
            return html! { p.banner.s-breached { (status_word(Status::Breached, error.error_type())) " " (error) } };
        }
    };
    let end_ms = now.as_millisecond();
    let range_ms = i64::try_from(range_ms).unwrap_or(i64::MAX);
    let range = RangeQuery {
        expr: expr.to_owned(),
        start_ms: end_ms.saturating_sub(range_ms),
        end_ms,
        step_ms: (range_ms / 300).max(1_000),
        options: OPTIONS,
        reach: Reach::All,
    };
    // A range makes no sense of some expressions (texts, matrices): then there is no chart, and that is no error.
    let over_time = app
        .console
        .query_range(&range)
        .await
        .ok()
        .and_then(|answer| drawn(answer, &range));
    html! {
        section {
            h2 { "At " (time::utc(now, now)) }
            @for remark in &answer.outcome.annotations { p.banner { (remark) } }
            (result(&answer.outcome, now))
        }
        @if let Some(chart) = over_time { section { (chart::figure(&chart)) } }
    }
}

const COLUMNS: &[Column] = &[text("Series"), numeric("Value")];

fn result(outcome: &Outcome, now: Timestamp) -> Markup {
    let value = |value: f64| html! { span title=(value) { (measured(value, Unit::Count)) } };
    match &outcome.value {
        Value::Scalar(number) => html! { p { b { (value(*number)) } } },
        Value::String(text) => html! { p { (text) } },
        Value::Vector(series) => {
            let rows: Vec<Vec<Markup>> = series
                .iter()
                .take(MAX_ROWS)
                .map(|sample| {
                    let value = match &sample.value {
                        SampleValue::Float(number) => value(*number),
                        SampleValue::Histogram(histogram) => html! { code { (histogram_text(histogram)) } },
                    };
                    vec![html! { code { (sample.labels) } }, value]
                })
                .collect();
            html! {
                (dense("Result", COLUMNS, &rows, "Nothing matches: no series has a value now. That is not zero."))
                @if series.len() > MAX_ROWS { p.dim { "The first " (MAX_ROWS) " of " (series.len()) " series." } }
            }
        }
        Value::Matrix(series) => {
            let rows: Vec<Vec<Markup>> = series
                .iter()
                .take(MAX_ROWS)
                .map(|series| {
                    let newest = series.samples.last().map(|(at_ms, number)| {
                        let at = Timestamp::from_millisecond(*at_ms).unwrap_or(now);
                        html! { (value(*number)) span.sub { (series.samples.len()) " samples, newest " (time::utc(at, now)) } }
                    });
                    let histograms = series.histograms.last().map(|(at_ms, histogram)| {
                        let at = Timestamp::from_millisecond(*at_ms).unwrap_or(now);
                        let count = series.histograms.len();
                        html! {
                            code { (histogram_text(histogram)) }
                            span.sub { (count) " native histograms, newest " (time::utc(at, now)) }
                        }
                    });
                    let shown = html! { (newest.unwrap_or_default()) (histograms.unwrap_or_default()) };
                    vec![html! { code { (series.labels) } }, shown]
                })
                .collect();
            dense(
                "Result",
                COLUMNS,
                &rows,
                "Nothing matches: no series has a sample in that range.",
            )
        }
    }
}

/// The answer as a chart, gaps where the range query has no value.
fn drawn(answer: QueryAnswer, range: &RangeQuery) -> Option<Chart> {
    let Value::Matrix(all) = answer.outcome.value else {
        return None;
    };
    let lines: Vec<Series> = all
        .iter()
        .take(MAX_LINES)
        .map(|series| {
            let mut points = Vec::with_capacity(series.samples.len());
            let mut before_ms = None;
            for (at_ms, value) in &series.samples {
                if before_ms.is_some_and(|before_ms| at_ms - before_ms > range.step_ms) {
                    points.push((at_ms - range.step_ms, None));
                }
                points.push((*at_ms, Some(*value)));
                before_ms = Some(*at_ms);
            }
            Series {
                name: series.labels.to_string(),
                points,
            }
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let hidden = all.len().saturating_sub(MAX_LINES);
    Some(Chart {
        id: "range".to_owned(),
        title: "Over time".to_owned(),
        sentence: match hidden {
            0 => format!("{} series.", all.len()),
            _ => format!("The first {MAX_LINES} of {} series.", all.len()),
        },
        unit: Unit::Count,
        start_ms: range.start_ms,
        end_ms: range.end_ms,
        series: lines,
        limits: Vec::new(),
        marks: Vec::new(),
        query: None,
    })
}
