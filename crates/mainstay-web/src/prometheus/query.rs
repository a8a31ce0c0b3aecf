//! Expressions: evaluated, printed, taken apart; and exemplars of what they read.

use axum::body::Body;
use axum::extract::State;
use mainstay_kernel::Matcher;
use mainstay_promql::{Level, SampleValue, Series, Value, VectorSample};
use serde_json::json;

use super::answer::{Answered, Good, Remarks};
use super::given::Given;
use super::{histogram, json};
use crate::app::App;
use crate::view::{QueryAnswer, QueryCost, QueryError, Selection, SeriesExemplars};

pub(super) async fn instant(State(app): State<App>, given: Given) -> Answered {
    let limit = given.limit()?;
    let answer = app.console.query(&given.instant(app.now())?).await?;
    Ok(good(answer, limit, given.get("stats")))
}

pub(super) async fn range(State(app): State<App>, given: Given) -> Answered {
    let limit = given.limit()?;
    let answer = app.console.query_range(&given.range()?).await?;
    Ok(good(answer, limit, given.get("stats")))
}

fn good(answer: QueryAnswer, limit: Option<usize>, stats: Option<&str>) -> Good {
    let mut remarks = Remarks::default();
    for annotation in &answer.outcome.annotations {
        let remarks = match annotation.level {
            Level::Warning => &mut remarks.warnings,
            Level::Info => &mut remarks.infos,
        };
        remarks.push(annotation.to_string());
    }
    let head = |kind| format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#);
    let mut end = String::from("]");
    if stats.is_some() {
        end.push_str(&format!(",\"stats\":{}", cost(answer.cost)));
    }
    end.push('}');
    Good(match answer.outcome.value {
        Value::Scalar(value) => {
            let mut text = head("scalar");
            json::seconds(&mut text, answer.at_ms);
            text.push_str(",\"");
            json::plain(&mut text, value);
            text.push('"');
            Body::from(text + &remarks.tail(&end))
        }
        Value::String(value) => {
            let mut text = head("string");
            json::seconds(&mut text, answer.at_ms);
            text.push(',');
            json::text(&mut text, &value);
            Body::from(text + &remarks.tail(&end))
        }
        Value::Vector(mut samples) => {
            remarks.truncate(&mut samples, limit);
            json::list(head("vector"), samples, sample, remarks.tail(&end))
        }
        Value::Matrix(mut all) => {
            remarks.truncate(&mut all, limit);
            json::list(head("matrix"), all, series, remarks.tail(&end))
        }
    })
}

fn sample(out: &mut String, sample: &VectorSample) {
    out.push_str("{\"metric\":");
    json::labels(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.push_str(",\"value\":");
            json::point(out, sample.at_ms, *value);
        }
        SampleValue::Histogram(value) => {
            out.push_str(",\"histogram\":");
            histogram::point(out, sample.at_ms, value);
        }
    }
    out.push('}');
}

fn series(out: &mut String, series: &Series) {
    out.push_str("{\"metric\":");
    json::labels(out, &series.labels);
    if !series.samples.is_empty() {
        out.push_str(",\"values\":");
        json::array(out, &series.samples, |out, (at_ms, value)| {
            json::point(out, *at_ms, *value)
        });
    }
    if !series.histograms.is_empty() {
        out.push_str(",\"histograms\":");
        json::array(out, &series.histograms, |out, (at_ms, value)| {
            histogram::point(out, *at_ms, value)
        });
    }
    out.push('}');
}

/// What a query cost, under Prometheus' names as far as the engine knows it.
fn cost(cost: QueryCost) -> serde_json::Value {
    json!({
        "timings": {
            "evalTotalTime": cost.evaluated_s,
            "execQueueTime": cost.queued_s,
            "execTotalTime": cost.queued_s + cost.evaluated_s,
        },
        "samples": { "totalQueryableSamples": cost.samples_read }
    })
}

pub(super) async fn exemplars(State(app): State<App>, given: Given) -> Answered {
    let selection = given.selection()?;
    if selection.end_ms < selection.start_ms {
        let problem = "end timestamp must not be before start timestamp";
        return Err(QueryError::BadData(problem.to_owned()));
    }
    let expr = mainstay_promql::parse(given.get("query").unwrap_or_default())
        .map_err(|error| QueryError::BadData(error.to_string()))?;
    let selectors: Vec<Vec<Matcher>> = expr
        .selectors()
        .into_iter()
        .map(|selector| selector.matchers.clone())
        .collect();
    if selectors.is_empty() {
        return Ok(Good::list(Vec::new(), exemplars_of, &Remarks::default()));
    }
    let selection = Selection {
        selectors,
        ..selection
    };
    let found = app.console.exemplars(&selection).await?;
    Ok(Good::list(found, exemplars_of, &Remarks::default()))
}

fn exemplars_of(out: &mut String, series: &SeriesExemplars) {
    out.push_str("{\"seriesLabels\":");
    json::labels(out, &series.labels);
    out.push_str(",\"exemplars\":");
    json::array(out, &series.exemplars, |out, exemplar| {
        out.push_str("{\"labels\":");
        json::labels(out, &exemplar.labels);
        out.push_str(",\"value\":\"");
        json::float(out, exemplar.value);
        out.push_str("\",\"timestamp\":");
        json::seconds(out, exemplar.at_ms);
        out.push('}');
    });
    out.push('}');
}

pub(super) async fn format(given: Given) -> Answered {
    Ok(Good::data(
        mainstay_promql::print::pretty(&parsed(&given)?).into(),
    ))
}

pub(super) async fn parse(given: Given) -> Answered {
    Ok(Good::data(super::tree::of(&parsed(&given)?)))
}

fn parsed(given: &Given) -> Result<mainstay_promql::Expr, QueryError> {
    mainstay_promql::parse(given.get("query").unwrap_or_default())
        .map_err(|error| QueryError::Parse(error.to_string()))
}
