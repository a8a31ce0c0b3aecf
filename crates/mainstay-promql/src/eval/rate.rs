//! `rate`, `increase`, `delta`, `irate` and `idelta`, of floats and of histograms.

use std::sync::Arc;

use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::histogram::{Incompatible, Tally, has_reset};
use crate::value::SampleValue;

use super::leaf::Window;
use super::notes::Notes;
use super::over_time::{count, seconds};

type Histograms = [(i64, Arc<Histogram>)];

/// `rate`, `increase` and `delta`: the difference between last and first sample, extended to the edges of the window
/// where samples come close enough to them, but never beyond where a counter would have been zero.
pub(super) fn extrapolated(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    is_counter: bool,
    is_rate: bool,
) -> Option<SampleValue> {
    if window.histograms.is_empty() {
        let [(first_ms, first), .., (last_ms, last)] = *window.floats else {
            return None;
        };
        let mut difference = last - first;
        if is_counter {
            let resets = window.floats.windows(2).filter(|pair| pair[1].1 < pair[0].1);
            difference = resets.fold(difference, |sum, pair| sum + pair[0].1);
        }
        let sampled = Sampled {
            first_ms,
            last_ms,
            count: window.floats.len(),
            zero_at: (is_counter && difference > 0.0 && first >= 0.0).then(|| first / difference),
        };
        return Some((difference * sampled.factor(window, is_rate)).into());
    }
    if !window.floats.is_empty() {
        notes.floats_and_histograms(window.labels);
        return None;
    }
    let [(first_ms, first), .., (last_ms, _)] = window.histograms else {
        return None;
    };
    let mut difference = difference(window, notes, is_counter)?;
    let total = difference.count();
    let sampled = Sampled {
        first_ms: *first_ms,
        last_ms: *last_ms,
        count: window.histograms.len(),
        zero_at: (is_counter && total > 0.0 && first.count >= 0.0).then(|| first.count / total),
    };
    difference.multiply(sampled.factor(window, is_rate));
    Some(difference.with_hint(ResetHint::Gauge).compact().into())
}

/// The samples that a difference was formed of.
struct Sampled {
    first_ms: i64,
    last_ms: i64,
    count: usize,
    /// How far before the first sample a counter was zero, in lengths of the sampled time.
    zero_at: Option<f64>,
}

impl Sampled {
    /// What to multiply the difference by.
    fn factor(&self, window: &Window<'_>, is_rate: bool) -> f64 {
        let sampled = seconds(self.last_ms - self.first_ms);
        let average = sampled / (count(self.count) - 1.0);
        let near = average * 1.1;
        let mut to_start = seconds(self.first_ms - window.start_ms);
        if to_start >= near {
            to_start = average / 2.0;
        }
        if let Some(zero_at) = self.zero_at {
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
    let is_first_void = is_counter && has_reset(second, first);
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
    let mut check = |joined: Result<crate::histogram::Joined, Incompatible>, during| match joined {
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
    };
    check(difference.subtract(subtracted), "subtraction")?;
    if is_counter {
        for pair in window.histograms.windows(2).skip(usize::from(is_first_void)) {
            if has_reset(&pair[1].1, &pair[0].1) {
                check(difference.add(&pair[0].1), "addition")?;
            }
        }
    }
    Some(difference)
}

/// `irate` and `idelta`: from the last two samples.
pub(super) fn last_two(window: &Window<'_>, notes: &mut Notes<'_>, is_rate: bool) -> Option<SampleValue> {
    match (window.floats, window.histograms) {
        ([.., (before_ms, before), (last_ms, last)], histograms)
            if histograms.last().is_none_or(|(at, _)| at < before_ms) =>
        {
            if !is_rate {
                return Some((last - before).into());
            }
            let difference = if last < before { *last } else { last - before };
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
    if !is_rate || !has_reset(last, before) {
        match difference.subtract(before) {
            Ok(joined) if joined.bounds_reconciled => notes.bounds_reconciled("subtraction"),
            Ok(_) => {}
            Err(Incompatible) => {
                notes.exponential_and_custom(window.labels);
                return None;
            }
        }
    }
    if is_rate {
        difference.divide(seconds(last_ms - before_ms));
    }
    Some(difference.with_hint(ResetHint::Gauge).compact().into())
}
