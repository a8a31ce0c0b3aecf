//! Comparing what a query gave with what it should give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;

use crate::annotation::{Annotations, Level};
use crate::difference::{self, Difference};
use crate::duration;
use crate::format;
use crate::histogram::Tally;
use crate::notation::{Point, histogram_text};
use crate::source::{Series, is_stale};
use crate::value::{Outcome, SampleValue, Value, VectorSample};

use super::script::{Expected, Message};

/// The relative difference that still counts as equal.
const TOLERANCE: f64 = 1e-6;

pub(super) fn annotations(found: &Annotations, expected: &Expected) -> Result<(), String> {
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
        let missing = |wanted: &Message| !found.iter().any(|message| wanted.holds(message));
        if wanted.iter().any(missing) {
            return Err(format!("an expected {level:?} is missing, got {found:?}"));
        }
        let unexpected = |message: &&String| !wanted.iter().any(|wanted| wanted.holds(message));
        if let Some(message) = found.iter().find(unexpected).filter(|_| !wanted.is_empty()) {
            return Err(format!("an unexpected {level:?}: {message}"));
        }
    }
    Ok(())
}

pub(super) fn at_instant(outcome: &Outcome, expected: &Expected, at_ms: i64) -> Result<(), String> {
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
    let wanted: Vec<(&Labels, &Point)> = expected
        .series
        .iter()
        .map(|(labels, points)| match points.as_slice() {
            [point] if *point != Point::Missing => Ok((labels, point)),
            _ => Err(format!("expected one value for {labels}")),
        })
        .collect::<Result<_, _>>()?;
    let found: BTreeMap<&Labels, &SampleValue> = samples
        .iter()
        .map(|sample| (&*sample.labels, &sample.value))
        .collect();
    let mut differences = Vec::new();
    for (labels, point) in &wanted {
        let got = found.get(labels).copied();
        if !got.is_some_and(|got| is_same(point, got)) {
            differences.push(Difference {
                subject: labels.to_string(),
                expected: Some(point_text(point)),
                got: got.map(value_text),
            });
        }
    }
    let unexpected = found
        .iter()
        .filter(|(labels, _)| !wanted.iter().any(|(known, _)| known == *labels));
    differences.extend(unexpected.map(|(labels, value)| Difference {
        subject: labels.to_string(),
        expected: None,
        got: Some(value_text(value)),
    }));
    none(&differences)?;
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

pub(super) fn matrix(
    outcome: &Outcome,
    expected: &Expected,
    start_ms: i64,
    step_ms: i64,
) -> Result<(), String> {
    match &outcome.value {
        Value::Matrix(series) => compare_series(series, expected, start_ms, step_ms),
        other => Err(format!("expected a matrix, got {}", other.value_type())),
    }
}

fn compare_series(series: &[Series], expected: &Expected, start_ms: i64, step_ms: i64) -> Result<(), String> {
    let mut differences = Vec::new();
    let mut known = BTreeSet::new();
    for (labels, points) in &expected.series {
        known.insert(labels);
        let mut wanted: BTreeMap<i64, &Point> = BTreeMap::new();
        let mut at_ms = start_ms;
        for point in points {
            if *point != Point::Missing {
                wanted.insert(at_ms, point);
            }
            at_ms = at_ms.saturating_add(step_ms);
        }
        let found = series.iter().find(|series| *series.labels == *labels).map(values);
        let found = found.unwrap_or_default();
        let times: BTreeSet<i64> = wanted.keys().chain(found.keys()).copied().collect();
        for at_ms in times {
            let (expected, got) = (wanted.get(&at_ms).copied(), found.get(&at_ms));
            if !matches!((expected, got), (Some(expected), Some(got)) if is_same(expected, got)) {
                differences.push(Difference {
                    subject: at_time(labels, at_ms),
                    expected: expected.map(point_text),
                    got: got.map(value_text),
                });
            }
        }
    }
    for extra in series.iter().filter(|series| !known.contains(&*series.labels)) {
        differences.extend(values(extra).iter().map(|(at_ms, value)| Difference {
            subject: at_time(&extra.labels, *at_ms),
            expected: None,
            got: Some(value_text(value)),
        }));
    }
    none(&differences)
}

fn none(differences: &[Difference]) -> Result<(), String> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(difference::told(differences))
}

/// A sample of a series, by its time since the start.
fn at_time(labels: &Labels, at_ms: i64) -> String {
    format!("{labels} at {}", duration::format_ms(at_ms))
}

/// Floats and histograms of a series in order of time.
fn values(series: &Series) -> BTreeMap<i64, SampleValue> {
    let floats = series
        .samples
        .iter()
        .map(|(at, value)| (*at, SampleValue::Float(*value)));
    let histograms = series
        .histograms
        .iter()
        .map(|(at, held)| (*at, SampleValue::Histogram(Arc::clone(held))));
    floats.chain(histograms).collect()
}

fn value_text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => histogram_text(histogram),
    }
}

fn point_text(point: &Point) -> String {
    match point {
        Point::Missing => "_".to_owned(),
        Point::Float(value) => value.to_string(),
        Point::Histogram { histogram, .. } => histogram_text(histogram),
    }
}

fn is_same(wanted: &Point, found: &SampleValue) -> bool {
    match (wanted, found) {
        (Point::Float(wanted), SampleValue::Float(found)) => is_close(*wanted, *found),
        (
            Point::Histogram {
                histogram,
                hint_is_given,
            },
            SampleValue::Histogram(found),
        ) => {
            (!hint_is_given || histogram.reset_hint == found.reset_hint)
                && is_close_histogram(&Tally::of(histogram).compact(), &Tally::of(found).compact())
        }
        _ => false,
    }
}

fn is_close_histogram(a: &Histogram, b: &Histogram) -> bool {
    let close = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_close(*a, *b));
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.custom_values == b.custom_values
        && close(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && close(&a.positive_buckets, &b.positive_buckets)
        && close(&a.negative_buckets, &b.negative_buckets)
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
