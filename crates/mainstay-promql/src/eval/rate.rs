//! `rate`, `increase`, `delta`, `irate` and `idelta`, of floats and of histograms.

use std::sync::Arc;

use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::histogram::{Incompatible, Joined, Tally, has_reset};
use crate::value::SampleValue;

use super::extended;
use super::leaf::Window;
use super::notes::Notes;
use super::over_time::{count, seconds};
use super::shared::Found;
use super::summarised::Edges;

type Histograms = [(i64, Arc<Histogram>)];

/// `rate`, `increase` and `delta`: the difference between last and first sample, extended to the edges of the window
/// where samples come close enough to them, but never beyond where a counter would have been zero.
pub(super) fn extrapolated(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    is_counter: bool,
    is_rate: bool,
) -> Option<SampleValue> {
    if let Some(extension) = window.extension {
        return extended::rate(window, notes, extension, is_counter, is_rate);
    }
    if window.histograms.is_empty() {
        return of_floats(window, notes, is_counter, is_rate);
    }
    if !window.floats.is_empty() {
        notes.floats_and_histograms(window.labels);
        return None;
    }
    let ((first_ms, first), (last_ms, _)) = (window.histograms.first()?, window.histograms.last()?);
    let starts = window.histogram_starts;
    let zero_ms = starts.zero_ms(window.start_ms, *first_ms).filter(|_| is_counter);
    let mut difference = match (window.histograms, zero_ms) {
        ([_], Some(_)) => Tally::of(first),
        ([_], None) => return None,
        (_, None) => difference(window, notes, is_counter)?,
        (_, Some(_)) => {
            let mut difference = difference(window, notes, is_counter)?;
            joined(difference.add(first), "addition", window, notes)?;
            difference
        }
    };
    let total = difference.count();
    let sampled = Sampled {
        first_ms: *first_ms,
        last_ms: *last_ms,
        count: window.histograms.len(),
        zero_ms,
        zero_at: (is_counter && total > 0.0 && first.count >= 0.0).then(|| first.count / total),
    };
    difference.multiply(sampled.factor(window.edges(), is_rate));
    Some(difference.with_hint(ResetHint::Gauge).compact().into())
}

fn of_floats(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    is_counter: bool,
    is_rate: bool,
) -> Option<SampleValue> {
    let points = window.floats;
    let ((first_ms, first), (last_ms, last)) = (*points.first()?, *points.last()?);
    let starts = window.float_starts;
    let zero_ms = starts.zero_ms(window.start_ms, first_ms).filter(|_| is_counter);
    if points.len() < 2 && zero_ms.is_none() {
        return None;
    }
    let mut difference = last - first;
    if is_counter && starts.0.is_empty() {
        difference = match window.found {
            Found::Falls(falls, first) => falls
                .iter()
                .fold(difference, |sum, at| sum + points[at - first].1),
            _ => {
                let resets = points.windows(2).filter(|pair| pair[1].1 < pair[0].1);
                resets.fold(difference, |sum, pair| sum + pair[0].1)
            }
        };
    } else if is_counter {
        if starts.overlap(points) {
            notes.starts_overlap(window.labels);
        }
        for (index, pair) in points.windows(2).enumerate() {
            if pair[1].1 < pair[0].1 || starts.is_reset(points, index) {
                difference += pair[0].1;
            }
        }
        if zero_ms.is_some() {
            difference += first;
        }
    }
    let sampled = Sampled {
        first_ms,
        last_ms,
        count: points.len(),
        zero_ms,
        zero_at: (is_counter && difference > 0.0 && first >= 0.0).then(|| first / difference),
    };
    Some((difference * sampled.factor(window.edges(), is_rate)).into())
}

/// The samples that a difference was formed of.
pub(super) struct Sampled {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) count: usize,
    /// When a counter is known to have been zero before the first sample.
    pub(super) zero_ms: Option<i64>,
    /// How far before the first sample a counter was zero, in lengths of the sampled time.
    pub(super) zero_at: Option<f64>,
}

impl Sampled {
    /// What to multiply the difference by.
    pub(super) fn factor(&self, window: Edges, is_rate: bool) -> f64 {
        let mut sampled = seconds(self.last_ms - self.first_ms);
        let average = if self.count > 1 {
            sampled / (count(self.count) - 1.0)
        } else {
            0.0
        };
        let near = average * 1.1;
        let mut to_start = seconds(self.first_ms - window.start_ms);
        if let Some(zero_ms) = self.zero_ms {
            sampled = seconds(self.last_ms - zero_ms);
            to_start = 0.0;
        } else if to_start >= near {
            to_start = average / 2.0;
        }
        if let Some(zero_at) = self.zero_at.filter(|_| self.zero_ms.is_none()) {
            to_start = to_start.min(sampled * zero_at);
        }
        let mut to_end = seconds(window.end_ms - self.last_ms);
        if to_end >= near {
            to_end = average / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        if is_rate {
            factor / seconds(window.end_ms - window.start_ms)
        } else {
            factor
        }
    }
}

/// The last histogram less the first; of a counter, with everything that resets took away.
fn difference(window: &Window<'_>, notes: &mut Notes<'_>, is_counter: bool) -> Option<Tally> {
    let [(_, first), rest @ ..] = window.histograms else {
        return None;
    };
    let ((_, second), (_, last)) = (rest.first()?, rest.last()?);
    // A counter that began anew behind the first sample: that one need not even have a layout that fits.
    let starts = window.histogram_starts;
    let is_reset =
        |index: usize, now, before| starts.is_reset(window.histograms, index) || has_reset(now, before);
    let is_first_void = is_counter && is_reset(0, second, first);
    let base = if is_first_void { second } else { first };
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    let counted: &Histograms = if is_counter { rest } else { &rest[rest.len() - 1..] };
    if counted
        .iter()
        .any(|(_, held)| held.has_custom_buckets() != base.has_custom_buckets())
    {
        notes.exponential_and_custom(window.labels);
        return None;
    }
    if is_counter && window.histograms.iter().any(|(_, held)| is_gauge(held)) {
        notes.not_a_counter(window.labels);
    }
    let are_gauges = is_gauge(first) && is_gauge(last);
    if !is_counter && !are_gauges {
        notes.not_a_gauge(window.labels);
    }
    let mut difference = Tally::of(last);
    for (_, held) in counted {
        difference.reduce(held.schema);
    }
    let void;
    let subtracted = if is_first_void {
        void = Tally::empty_like(second).finish();
        &void
    } else {
        &**first
    };
    joined(difference.subtract(subtracted), "subtraction", window, notes)?;
    if is_counter {
        if starts.overlap(window.histograms) {
            notes.starts_overlap(window.labels);
        }
        let pairs = window.histograms.windows(2).enumerate();
        for (index, pair) in pairs.skip(usize::from(is_first_void)) {
            if is_reset(index, &pair[1].1, &pair[0].1) {
                joined(difference.add(&pair[0].1), "addition", window, notes)?;
            }
        }
    }
    Some(difference)
}

/// Says what joining two histograms took; nothing, if it could not be done.
fn joined(
    joined: Result<Joined, Incompatible>,
    during: &str,
    window: &Window<'_>,
    notes: &mut Notes<'_>,
) -> Option<()> {
    match joined {
        Ok(joined) => {
            if joined.bounds_reconciled {
                notes.bounds_reconciled(during);
            }
            Some(())
        }
        Err(Incompatible) => {
            notes.exponential_and_custom(window.labels);
            None
        }
    }
}

/// `irate` and `idelta`: from the last two samples.
pub(super) fn last_two(window: &Window<'_>, notes: &mut Notes<'_>, is_rate: bool) -> Option<SampleValue> {
    match (window.floats, window.histograms) {
        (floats @ [.., (before_ms, before), (last_ms, last)], histograms)
            if histograms.last().is_none_or(|(at, _)| at < before_ms) =>
        {
            if !is_rate {
                return Some((last - before).into());
            }
            let is_reset = last < before || window.float_starts.is_reset(floats, floats.len() - 2);
            let difference = if is_reset { *last } else { last - before };
            Some((difference / seconds(last_ms - before_ms)).into())
        }
        (floats, [.., before, last]) if floats.last().is_none_or(|(at, _)| *at < before.0) => {
            between(window, notes, before, last, is_rate)
        }
        (floats, histograms) if floats.len() + histograms.len() >= 2 => {
            notes.floats_and_histograms(window.labels);
            None
        }
        _ => None,
    }
}

fn between(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    (before_ms, before): &(i64, Arc<Histogram>),
    (last_ms, last): &(i64, Arc<Histogram>),
    is_rate: bool,
) -> Option<SampleValue> {
    let gauges = [before, last].map(|held| held.reset_hint == ResetHint::Gauge);
    if is_rate && gauges.contains(&true) {
        notes.not_a_counter(window.labels);
    }
    if !is_rate && gauges.contains(&false) {
        notes.not_a_gauge(window.labels);
    }
    let mut difference = Tally::of(last);
    let pair = window.histograms.len().saturating_sub(2);
    let is_reset = || window.histogram_starts.is_reset(window.histograms, pair) || has_reset(last, before);
    if !is_rate || !is_reset() {
        joined(difference.subtract(before), "subtraction", window, notes)?;
    }
    if is_rate {
        difference.divide(seconds(last_ms - before_ms));
    }
    Some(difference.with_hint(ResetHint::Gauge).compact().into())
}
