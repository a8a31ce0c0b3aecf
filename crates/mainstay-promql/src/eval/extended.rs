//! Selectors that look beyond their window: `anchored` takes the last sample before it as the value at its left edge,
//! `smoothed` puts values on a straight line between the samples around its edges.

use std::sync::Arc;

use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::ast::{Expr, ExprKind, Extension};
use crate::error::QueryError;
use crate::histogram::{Incompatible, Joined, Tally, has_reset};
use crate::value::SampleValue;

use super::leaf::Window;
use super::notes::Notes;
use super::over_time::seconds;

type Points<T> = [(i64, T)];

/// Whether a function may be given an extended range vector.
pub(super) fn check(function: &str, args: &[Expr]) -> Result<(), QueryError> {
    let extension = args.iter().find_map(|arg| match &arg.unwrapped().kind {
        ExprKind::Matrix { selector, .. } => selector.extension,
        _ => None,
    });
    let Some(extension) = extension else { return Ok(()) };
    let allowed: &[&str] = match extension {
        Extension::Anchored => &["changes", "delta", "increase", "rate", "resets"],
        Extension::Smoothed => &["delta", "increase", "rate"],
    };
    if allowed.contains(&function) {
        return Ok(());
    }
    let allowed = allowed.join(", ");
    let name = extension.name();
    let message = format!("{name} modifier can only be used with: {allowed} - not with {function}");
    Err(QueryError::Execution(message))
}

/// The samples that stand for the left and the right edge of the window; nothing, if none lies in it.
fn edges<T>(points: &Points<T>, window: &Window<'_>, smoothed: bool) -> Option<(usize, usize)> {
    let mut last = points.len().checked_sub(1)?;
    let first = points[..last]
        .partition_point(|(at, _)| *at <= window.start_ms)
        .saturating_sub(1);
    if smoothed {
        last = points[..last].partition_point(|(at, _)| *at < window.end_ms);
    }
    let is_beside = points[last].0 <= window.start_ms || (smoothed && points[first].0 > window.end_ms);
    (!is_beside).then_some((first, last))
}

/// `rate`, `increase` and `delta` between the values at the edges of the window.
pub(super) fn rate(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    extension: Extension,
    is_counter: bool,
    is_rate: bool,
) -> Option<SampleValue> {
    let smoothed = extension == Extension::Smoothed;
    let range = seconds(window.end_ms - window.start_ms);
    if window.histograms.is_empty() {
        let increase = increase(window, smoothed, is_counter)?;
        return Some(if is_rate { increase / range } else { increase }.into());
    }
    if !window.floats.is_empty() {
        notes.floats_and_histograms(window.labels);
        return None;
    }
    let mut increase = histogram_increase(window, notes, smoothed, is_counter)?;
    if is_rate {
        increase.divide(range);
    }
    Some(increase.with_hint(ResetHint::Gauge).compact().into())
}

fn increase(window: &Window<'_>, smoothed: bool, is_counter: bool) -> Option<f64> {
    let points = window.floats;
    let (first, last) = edges(points, window, smoothed)?;
    let (left, right) = values_at_edges(window, (first, last), smoothed, is_counter);
    let mut increase = right - left;
    if is_counter {
        let inside = points[first..=last]
            .iter()
            .filter(|(at, _)| *at > window.start_ms && *at < window.end_ms)
            .map(|(_, value)| *value);
        let (mut before, mut lost) = (left, 0.0);
        for value in inside.chain([right]) {
            if value < before {
                lost += before;
            }
            before = value;
        }
        increase += lost;
    }
    Some(increase)
}

/// The floats at the left and the right edge of the window.
fn values_at_edges(
    window: &Window<'_>,
    (first, last): (usize, usize),
    smoothed: bool,
    is_counter: bool,
) -> (f64, f64) {
    let points = window.floats;
    let left = match points.get(first..first + 2) {
        Some([a, b]) if smoothed && a.0 < window.start_ms => between(*a, *b, window.start_ms, is_counter),
        _ => points[first].1,
    };
    let right = match last.checked_sub(1).and_then(|before| points.get(before..=last)) {
        Some([a, b]) if smoothed && b.0 > window.end_ms => between(*a, *b, window.end_ms, is_counter),
        _ => points[last].1,
    };
    (left, right)
}

/// The value at a time between two samples; a counter that began anew between them began at zero.
fn between((from_ms, from): (i64, f64), (to_ms, to): (i64, f64), at_ms: i64, is_counter: bool) -> f64 {
    let from = if is_counter && to < from { 0.0 } else { from };
    #[expect(
        clippy::cast_precision_loss,
        reason = "times within a window are far below 2^53 ms"
    )]
    let (part, whole) = ((at_ms - from_ms) as f64, (to_ms - from_ms) as f64);
    from + (to - from) * part / whole
}

/// What can be said of joining two histograms.
struct Joining<'j, 'n, 'w> {
    notes: &'j mut Notes<'n>,
    window: &'j Window<'w>,
}

impl Joining<'_, '_, '_> {
    fn check(&mut self, joined: Result<Joined, Incompatible>, during: &str) -> Option<()> {
        match joined {
            Ok(joined) => {
                if joined.bounds_reconciled {
                    self.notes.bounds_reconciled(during);
                }
                Some(())
            }
            Err(Incompatible) => {
                self.notes.exponential_and_custom(self.window.labels);
                None
            }
        }
    }

    /// The histogram at a time between two, as [`between`].
    fn between(
        &mut self,
        (from_ms, from): &(i64, Arc<Histogram>),
        (to_ms, to): &(i64, Arc<Histogram>),
        at_ms: i64,
        is_counter: bool,
    ) -> Option<Arc<Histogram>> {
        if at_ms == *from_ms {
            return Some(Arc::clone(from));
        }
        if at_ms == *to_ms {
            return Some(Arc::clone(to));
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "times within a window are far below 2^53 ms"
        )]
        let fraction = (at_ms - from_ms) as f64 / (to_ms - from_ms) as f64;
        let mut tally = Tally::of(to);
        if is_counter && has_reset(to, from) {
            tally.multiply(fraction);
        } else {
            self.check(tally.subtract(from), "subtraction")?;
            tally.multiply(fraction);
            self.check(tally.add(from), "addition")?;
        }
        Some(Arc::new(tally.finish()))
    }
}

fn histogram_increase(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    smoothed: bool,
    is_counter: bool,
) -> Option<Tally> {
    let points = window.histograms;
    let (first, last) = edges(points, window, smoothed)?;
    let used = &points[first..=last];
    let custom = points[first].1.has_custom_buckets();
    if used.iter().any(|(_, held)| held.has_custom_buckets() != custom) {
        notes.exponential_and_custom(window.labels);
        return None;
    }
    let is_gauge = |held: &Histogram| held.reset_hint == ResetHint::Gauge;
    if is_counter && used.iter().any(|(_, held)| is_gauge(held)) {
        notes.not_a_counter(window.labels);
    }
    let mut joining = Joining { notes, window };
    let cut_left = smoothed && points[first].0 < window.start_ms;
    let left = match points.get(first..first + 2) {
        Some([a, b]) if cut_left => joining.between(a, b, window.start_ms, is_counter)?,
        _ => Arc::clone(&points[first].1),
    };
    let right = match last.checked_sub(1).and_then(|before| points.get(before..=last)) {
        Some([a, b]) if smoothed && b.0 > window.end_ms => {
            joining.between(a, b, window.end_ms, is_counter)?
        }
        _ => Arc::clone(&points[last].1),
    };
    if !is_counter {
        let are_gauges = is_gauge(&left) && is_gauge(&right);
        if !are_gauges {
            joining.notes.not_a_gauge(window.labels);
        }
    }
    let mut increase = Tally::of(&right);
    joining.check(increase.subtract(&left), "subtraction")?;
    if !is_counter {
        return Some(increase);
    }
    // Between the edges: the first sample stands for the left edge, the last for the right one.
    let mut before = &left;
    let mut next = first + 1;
    if let Some([a, b]) = points.get(first..first + 2)
        && cut_left
        && has_reset(&b.1, &a.1)
    {
        // The value at the left edge lies behind this reset already.
        before = &b.1;
        next += 1;
    }
    if next > last {
        return Some(increase);
    }
    for now in points[next..last].iter().map(|(_, held)| held).chain([&right]) {
        if has_reset(now, before) {
            joining.check(increase.add(before), "addition")?;
        }
        before = now;
    }
    Some(increase)
}

/// The samples that `changes` and `resets` look at: those in the window, and the last one before it, the anchor.
pub(super) fn from_anchor<'w>(window: &Window<'w>) -> Option<(&'w Points<f64>, &'w Points<Arc<Histogram>>)> {
    let (floats, histograms) = (window.floats, window.histograms);
    let float = floats.partition_point(|(at, _)| *at <= window.start_ms);
    let histogram = histograms.partition_point(|(at, _)| *at <= window.start_ms);
    if float == floats.len() && histogram == histograms.len() {
        return None;
    }
    let before = |at: usize| at.checked_sub(1);
    let float_ms = before(float).map(|at| floats[at].0);
    let histogram_ms = before(histogram).map(|at| histograms[at].0);
    Some(if float_ms >= histogram_ms {
        (&floats[float.saturating_sub(1)..], &histograms[histogram..])
    } else {
        (&floats[float..], &histograms[histogram.saturating_sub(1)..])
    })
}

/// The value of a series at a time, on a straight line between the samples around it.
pub(super) fn smoothed(window: &Window<'_>, notes: &mut Notes<'_>, at_ms: i64) -> Option<SampleValue> {
    if window.histograms.is_empty() {
        let next = window.floats.partition_point(|(at, _)| *at < at_ms);
        return match (before(window.floats, next), window.floats.get(next)) {
            (_, Some((at, value))) if *at == at_ms => Some(*value),
            (Some(from), Some(to)) => Some(between(*from, *to, at_ms, false)),
            (Some((_, value)), None) => Some(*value),
            _ => None,
        }
        .map(SampleValue::Float);
    }
    if !window.floats.is_empty() {
        notes.floats_and_histograms(window.labels);
        return None;
    }
    let next = window.histograms.partition_point(|(at, _)| *at < at_ms);
    let found = match (before(window.histograms, next), window.histograms.get(next)) {
        (_, Some((at, held))) if *at == at_ms => Arc::clone(held),
        (Some(from), Some(to)) if from.1.has_custom_buckets() != to.1.has_custom_buckets() => {
            notes.exponential_and_custom(window.labels);
            return None;
        }
        (Some(from), Some(to)) => {
            let is_gauge = |held: &Histogram| held.reset_hint == ResetHint::Gauge;
            let are_gauges = is_gauge(&from.1) && is_gauge(&to.1);
            Joining { notes, window }.between(from, to, at_ms, !are_gauges)?
        }
        (Some((_, held)), None) => {
            let mut held = Histogram::clone(held);
            held.reset_hint = ResetHint::Unknown;
            Arc::new(held)
        }
        _ => return None,
    };
    Some(SampleValue::Histogram(found))
}

fn before<T>(points: &Points<T>, index: usize) -> Option<&(i64, T)> {
    index.checked_sub(1).and_then(|before| points.get(before))
}

/// An extended window as it is: its floats, with the values at its edges.
pub(super) fn matrix(window: &Window<'_>, extension: Extension) -> Result<Vec<(i64, f64)>, QueryError> {
    let smoothed = extension == Extension::Smoothed;
    if !window.histograms.is_empty() {
        let name = extension.name();
        let message = format!("{name} modifier is not supported with histograms");
        return Err(QueryError::Execution(message));
    }
    let points = window.floats;
    let Some((first, last)) = edges(points, window, smoothed) else {
        return Ok(Vec::new());
    };
    let (left, right) = values_at_edges(window, (first, last), smoothed, false);
    let inside = points[first..=last]
        .iter()
        .filter(|(at, _)| *at > window.start_ms && *at < window.end_ms);
    Ok([(window.start_ms, left)]
        .iter()
        .chain(inside)
        .chain(&[(window.end_ms, right)])
        .copied()
        .collect())
}
