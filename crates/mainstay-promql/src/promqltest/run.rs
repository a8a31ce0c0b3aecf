//! Running scripts and comparing results.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

use crate::annotation::{Annotations, Level};
use crate::ast::{At, Duration, Expr, ExprKind, ValueType};
use crate::error::QueryError;
use crate::eval::{Limits, instant, range};
use crate::format;
use crate::notation::Point;
use crate::parse::parse;
use crate::source::{Series, is_stale};
use crate::value::{Outcome, Value, VectorSample};

use super::script::{self, Command, Eval, Expected, Message, When};
use super::store::ScriptStore;
use super::{Finding, Report, ScriptError};

/// The relative difference that still counts as equal.
const TOLERANCE: f64 = 1e-6;

/// Runs a script.
///
/// Beside its own time, every instant evaluation of an unordered vector or scalar is repeated as the middle step of a
/// range query.
///
/// # Errors
/// When the script cannot be read; evaluations that go wrong are in the report.
pub fn run(text: &str) -> Result<Report, ScriptError> {
    let commands = script::parse(text)?;
    let mut store = ScriptStore::default();
    let mut report = Report::default();
    for command in commands {
        match command {
            Command::Clear => store = ScriptStore::default(),
            Command::Load {
                step_ms,
                series,
                with_custom_buckets,
            } => {
                store.load(step_ms, &series, with_custom_buckets);
            }
            Command::Eval(eval) => {
                store.take_reached_histogram();
                let verdict = evaluate(&eval, &store);
                let needs_histograms = store.take_reached_histogram() || eval.expected.has_histograms();
                let finding = |message: String| Finding {
                    line: eval.line,
                    query: eval.query.clone(),
                    message,
                };
                match verdict {
                    _ if needs_histograms || uses_histogram_function(&eval.query) => {
                        report
                            .unsupported
                            .push(finding("needs native histograms".to_owned()));
                    }
                    Ok(()) => report.passed += 1,
                    Err(message) => report.failed.push(finding(message)),
                }
            }
        }
    }
    Ok(report)
}

fn uses_histogram_function(query: &str) -> bool {
    let is_one = &mut |expr: &Expr| matches!(&expr.kind, ExprKind::Call { function, .. } if function.is_native_histogram_only());
    parse(query).is_ok_and(|expr| expr.any(is_one))
}

fn evaluate(eval: &Eval, store: &ScriptStore) -> Result<(), String> {
    let limits = Limits::default();
    let parsed = parse(&eval.query);
    let result = match (&parsed, eval.when) {
        (Err(error), _) => Err(error.message.clone()),
        (Ok(expr), When::At(at_ms)) => instant(expr, at_ms, store, &limits).map_err(|e| e.to_string()),
        (
            Ok(expr),
            When::Over {
                start_ms,
                end_ms,
                step_ms,
            },
        ) => range(expr, start_ms, end_ms, step_ms, store, &limits).map_err(|e: QueryError| e.to_string()),
    };
    let outcome = match (result, &eval.expected.fails) {
        (Err(error), Some(wanted)) if wanted.holds(&error) => return Ok(()),
        (Err(error), Some(_)) => return Err(format!("failed with another message: {error}")),
        (Err(error), None) => return Err(format!("failed: {error}")),
        (Ok(_), Some(_)) => return Err("did not fail".to_owned()),
        (Ok(outcome), None) => outcome,
    };
    annotations(&outcome.annotations, &eval.expected)?;
    match eval.when {
        When::Over {
            start_ms, step_ms, ..
        } => matrix(&outcome, &eval.expected, start_ms, step_ms),
        When::At(at_ms) => {
            at_instant(&outcome, &eval.expected, at_ms)?;
            match &parsed {
                Ok(expr) if !eval.expected.is_ordered && is_time_invariant(expr) => {
                    as_middle_step(expr, at_ms, store, &eval.expected)
                }
                _ => Ok(()),
            }
        }
    }
}

/// Whether a range query may ask it at any step with the same answer as an instant query.
fn is_time_invariant(expr: &Expr) -> bool {
    let sees_range = &mut |expr: &Expr| match &expr.kind {
        _ if has_computed_duration(expr) => true,
        ExprKind::Call { function, .. } => matches!(function.name, "start" | "end" | "range" | "step"),
        ExprKind::Selector(s) | ExprKind::Matrix { selector: s, .. } => {
            matches!(s.shift.at, Some(At::Start | At::End))
        }
        ExprKind::Subquery { shift, .. } => matches!(shift.at, Some(At::Start | At::End)),
        _ => false,
    };
    matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) && !expr.any(sees_range)
}

/// Whether a duration of this expression may look at the query's step or range.
fn has_computed_duration(expr: &Expr) -> bool {
    let is_computed = |duration: Option<&Duration>| matches!(duration, Some(Duration::Computed(_)));
    match &expr.kind {
        ExprKind::Selector(selector) => is_computed(selector.shift.offset.as_ref()),
        ExprKind::Matrix { selector, range } => {
            is_computed(selector.shift.offset.as_ref()) || is_computed(Some(range))
        }
        ExprKind::Subquery {
            range, step, shift, ..
        } => [Some(range), step.as_ref(), shift.offset.as_ref()]
            .into_iter()
            .any(is_computed),
        _ => false,
    }
}

fn as_middle_step(expr: &Expr, at_ms: i64, store: &ScriptStore, expected: &Expected) -> Result<(), String> {
    const STEP_MS: i64 = 60_000;
    let described = |error: String| format!("as the middle step of a range query: {error}");
    let outcome = range(
        expr,
        at_ms - STEP_MS,
        at_ms + STEP_MS,
        STEP_MS,
        store,
        &Limits::default(),
    )
    .map_err(|error| described(error.to_string()))?;
    let Value::Matrix(series) = outcome.value else {
        return Err(described("not a matrix".to_owned()));
    };
    let mut middle = Vec::new();
    for Series { labels, samples } in series {
        if let Some((_, value)) = samples.iter().find(|(time_ms, _)| *time_ms == at_ms) {
            middle.push(VectorSample {
                labels,
                at_ms,
                value: *value,
            });
        }
    }
    let value = match (expected.scalar, middle.as_slice()) {
        (Some(_), [only]) => Value::Scalar(only.value),
        _ => Value::Vector(middle),
    };
    at_instant(
        &Outcome {
            value,
            annotations: Annotations::new(),
        },
        expected,
        at_ms,
    )
    .map_err(described)
}

fn annotations(found: &Annotations, expected: &Expected) -> Result<(), String> {
    let of = |level| -> Vec<String> {
        found
            .iter()
            .filter(|found| found.level == level)
            .map(ToString::to_string)
            .collect()
    };
    for (level, wanted, none) in [
        (Level::Warning, &expected.warns, expected.no_warn),
        (Level::Info, &expected.infos, expected.no_info),
    ] {
        let found = of(level);
        if none && !found.is_empty() {
            return Err(format!("expected no {level:?}, got {found:?}"));
        }
        let missing = |wanted: &&Message| !found.iter().any(|message| wanted.holds(message));
        if wanted.iter().any(|message| missing(&message)) {
            return Err(format!("an expected {level:?} is missing, got {found:?}"));
        }
    }
    Ok(())
}

fn at_instant(outcome: &Outcome, expected: &Expected, at_ms: i64) -> Result<(), String> {
    match &outcome.value {
        Value::Scalar(value) => match expected.scalar {
            Some(wanted) if is_close(wanted, *value) => Ok(()),
            Some(wanted) => Err(format!("expected {wanted}, got {value}")),
            None => Err(format!("expected no scalar, got {value}")),
        },
        Value::String(text) if expected.text.as_ref() == Some(text) => Ok(()),
        Value::String(text) => Err(format!("expected {:?}, got {text:?}", expected.text)),
        Value::Matrix(series) => {
            let (start_ms, _, step_ms) = expected.window.unwrap_or((at_ms, at_ms, 1));
            compare_series(series, expected, start_ms, step_ms)
        }
        Value::Vector(samples) => vector(samples, expected),
    }
}

fn vector(samples: &[VectorSample], expected: &Expected) -> Result<(), String> {
    if expected.scalar.is_some() || expected.text.is_some() {
        return Err("expected a scalar or a string, got a vector".to_owned());
    }
    let wanted: Vec<(&Labels, f64)> = expected
        .series
        .iter()
        .map(|(labels, points)| match points.as_slice() {
            [Point::Float(value)] => Ok((labels, *value)),
            _ => Err(format!("expected one value for {labels}")),
        })
        .collect::<Result<_, _>>()?;
    let found: BTreeMap<&Labels, f64> = samples
        .iter()
        .map(|sample| (&*sample.labels, sample.value))
        .collect();
    for (labels, value) in &wanted {
        match found.get(labels) {
            Some(found) if is_close(*value, *found) => {}
            Some(found) => {
                return Err(format!(
                    "expected {} for {}, got {}",
                    value,
                    format::labels(labels),
                    found
                ));
            }
            None => return Err(format!("expected {}, which is missing", format::labels(labels))),
        }
    }
    if let Some(extra) = samples
        .iter()
        .find(|sample| !wanted.iter().any(|(labels, _)| **labels == *sample.labels))
    {
        return Err(format!(
            "unexpected {} {}",
            format::labels(&extra.labels),
            extra.value
        ));
    }
    if expected.is_ordered
        && !samples
            .iter()
            .map(|sample| &*sample.labels)
            .eq(wanted.iter().map(|(labels, _)| *labels))
    {
        let found: Vec<_> = samples
            .iter()
            .map(|sample| format::labels(&sample.labels))
            .collect();
        return Err(format!("another order: {found:?}"));
    }
    Ok(())
}

fn matrix(outcome: &Outcome, expected: &Expected, start_ms: i64, step_ms: i64) -> Result<(), String> {
    match &outcome.value {
        Value::Matrix(series) => compare_series(series, expected, start_ms, step_ms),
        other => Err(format!("expected a matrix, got {}", other.value_type())),
    }
}

fn compare_series(series: &[Series], expected: &Expected, start_ms: i64, step_ms: i64) -> Result<(), String> {
    for (labels, points) in &expected.series {
        let mut wanted = Vec::new();
        let mut at_ms = start_ms;
        for point in points {
            if let Point::Float(value) = point {
                wanted.push((at_ms, *value));
            }
            at_ms += step_ms;
        }
        let found = series
            .iter()
            .find(|series| *series.labels == *labels)
            .map_or(&[][..], |found| &found.samples);
        let same = wanted.len() == found.len()
            && wanted
                .iter()
                .zip(found)
                .all(|(wanted, found)| wanted.0 == found.0 && is_close(wanted.1, found.1));
        if !same {
            return Err(format!(
                "expected {wanted:?} for {}, got {found:?}",
                format::labels(labels)
            ));
        }
    }
    match series
        .iter()
        .find(|found| !expected.series.iter().any(|(labels, _)| *labels == *found.labels))
    {
        Some(extra) => Err(format!(
            "unexpected {} {:?}",
            format::labels(&extra.labels),
            extra.samples
        )),
        None => Ok(()),
    }
}

/// Equal within the tolerance, relative to the sum of both; beside zero only zero is.
fn is_close(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
