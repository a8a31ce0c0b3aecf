//! Federation: the newest samples of selected series, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;

use super::given::Given;
use super::{json, name};
use crate::app::App;
use crate::view::{QueryError, Sample, Selection};

/// How old a sample may be, in milliseconds.
const LOOKBACK_MS: i64 = 300_000;

pub(super) async fn federate(State(app): State<App>, given: Given) -> Response {
    match exposition(&app, &given).await {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            )],
            text,
        )
            .into_response(),
        // As Prometheus answers here: in plain words.
        Err(error) => (error.status(), error.to_string()).into_response(),
    }
}

async fn exposition(app: &App, given: &Given) -> Result<String, QueryError> {
    let selectors = given.selectors()?;
    if selectors.is_empty() {
        return Ok(String::new());
    }
    let now_ms = app.now().as_millisecond();
    let selection = Selection {
        selectors,
        start_ms: now_ms - LOOKBACK_MS,
        end_ms: now_ms,
        reach: given.reach.clone(),
    };
    let mut newest = app.console.latest(&selection).await?;
    newest.retain(|(labels, _)| !labels.metric_name().is_empty());
    newest.sort_by(|(a, _), (b, _)| a.metric_name().cmp(b.metric_name()));
    Ok(written(&newest))
}

fn written(newest: &[(Arc<Labels>, Sample)]) -> String {
    let mut out = String::new();
    let mut family = "";
    for (labels, (at_ms, value)) in newest {
        let metric = name::classic(labels.metric_name());
        if family != labels.metric_name() {
            family = labels.metric_name();
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(out, "# TYPE {metric} untyped");
        }
        out.push_str(&metric);
        out.push('{');
        let own = labels.iter().filter(|(label, _)| *label != METRIC_NAME);
        // Who scrapes this must not put its own instance where there is none.
        let none = labels.get("instance").is_none().then_some(("instance", ""));
        for (index, (label, value)) in own.chain(none).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{}=\"", name::classic(label));
            for character in value.chars() {
                match character {
                    '\\' => out.push_str("\\\\"),
                    '"' => out.push_str("\\\""),
                    '\n' => out.push_str("\\n"),
                    other => out.push(other),
                }
            }
            out.push('"');
        }
        out.push_str("} ");
        json::float(&mut out, *value);
        let _ = writeln!(out, " {at_ms}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_bears_its_time_and_an_instance() {
        let series =
            |pairs: &[(&str, &str)], sample| (Arc::new(pairs.iter().copied().collect::<Labels>()), sample);
        let text = written(&[
            series(&[("__name__", "a.b"), ("le", "1\"\\\n")], (5, 1e21)),
            series(
                &[("__name__", "up"), ("instance", "h:1"), ("job", "j")],
                (1_000, 1.0),
            ),
            series(&[("__name__", "up"), ("instance", "h:2")], (2_000, f64::INFINITY)),
        ]);
        assert_eq!(
            text,
            "# TYPE a_b untyped\na_b{le=\"1\\\"\\\\\\n\",instance=\"\"} 1e+21 5\n\
             # TYPE up untyped\nup{instance=\"h:1\",job=\"j\"} 1 1000\nup{instance=\"h:2\"} +Inf 2000\n"
        );
    }
}
