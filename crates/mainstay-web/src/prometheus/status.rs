//! The program and its store.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde_json::{Map, Value, json};

use super::answer::{Answered, Good};
use super::given::Given;
use crate::app::App;
use crate::view::QueryError;

/// The version of Prometheus whose API and PromQL are spoken. Clients decide by it what they may ask, so it is not
/// Mainstay's own, which is the revision.
const SPEAKS: &str = "3.4.0";
/// How long the lists of the store's status are, and how long they may be.
const LISTED: usize = 10;
const LISTED_MAX: usize = 10_000;

pub(super) async fn build() -> Answered {
    Ok(Good::data(json!({
        "version": SPEAKS,
        "revision": concat!("mainstay-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })))
}

pub(super) async fn runtime(State(app): State<App>) -> Answered {
    let runtime = app.console.runtime().await?;
    Ok(Good::data(json!({
        "startTime": runtime.started_at,
        "CWD": runtime.directory,
        // A catalog that cannot be used is never in force.
        "reloadConfigSuccess": true,
        "GOMAXPROCS": runtime.threads,
        "storageRetention": mainstay_promql::duration::format_ms(runtime.retention_ms),
        "serverTime": app.now(),
    })))
}

pub(super) async fn flags(State(app): State<App>) -> Answered {
    let runtime = app.console.runtime().await?;
    let flags: Map<String, Value> = runtime
        .flags
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    Ok(Good::data(flags.into()))
}

pub(super) async fn config(State(app): State<App>) -> Answered {
    let runtime = app.console.runtime().await?;
    Ok(Good::data(json!({ "yaml": runtime.configuration })))
}

pub(super) async fn store(State(app): State<App>, given: Given) -> Answered {
    let bad = |problem: String| QueryError::BadData(problem);
    let limit = match given.get("limit") {
        None => LISTED,
        Some(text) => match text.parse::<usize>() {
            Ok(limit @ 1..=LISTED_MAX) => limit,
            Ok(1..) => return Err(bad(format!("limit must not exceed {LISTED_MAX}"))),
            _ => return Err(bad("limit must be a positive number".to_owned())),
        },
    };
    let status = app.console.store_status(limit, &given.reach).await?;
    let list = |entries: &[(String, usize)]| -> Value {
        let entries = entries.iter();
        entries
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect()
    };
    Ok(Good::data(json!({
        "headStats": {"numSeries": status.series, "numLabelPairs": status.label_pairs},
        "seriesCountByMetricName": list(&status.series_by_metric),
        "labelValueCountByLabelName": list(&status.values_by_label),
        "memoryInBytesByLabelName": list(&status.bytes_by_label),
        "seriesCountByLabelValuePair": list(&status.series_by_pair),
    })))
}

/// The log is read before anything is served, so whoever can ask finds it done: nothing of it is left.
pub(super) async fn replay() -> Answered {
    Ok(Good::data(
        json!({"min": 0, "max": 0, "current": 0, "state": "done"}),
    ))
}

/// What Mainstay says of itself.
pub(super) async fn own_metrics(State(app): State<App>) -> Response {
    match app.console.own_metrics().await {
        Ok(text) => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response(),
        Err(error) => (error.status(), error.to_string()).into_response(),
    }
}

pub(super) async fn healthy() -> &'static str {
    "Mainstay is healthy.\n"
}

pub(super) async fn ready() -> &'static str {
    "Mainstay is ready.\n"
}
