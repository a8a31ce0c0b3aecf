//! Functions over a window of samples.

use std::sync::Arc;

use mainstay_kernel::histogram::Histogram;

use crate::histogram::{Incompatible, Tally, has_reset, same};
use crate::statistics::{Mean, Sum, median_deviation, regression, variance};
use crate::value::SampleValue;

use super::extended;
use super::leaf::Window;
use super::notes::Notes;
use super::rate;
use super::shared::Found;
use super::totals::Totals;

pub(super) type OverTime = fn(&Window<'_>, &mut Notes<'_>) -> Option<SampleValue>;

/// The function of this name that takes a window and nothing else.
pub(super) fn named(name: &str) -> Option<OverTime> {
    Some(match name {
        "rate" => |w, n| counted(w, n, true),
        "increase" => |w, n| counted(w, n, false),
        "delta" => |w, n| rate::extrapolated(w, n, false, false),
        "irate" => |w, n| rate::last_two(w, n, true),
        "idelta" => |w, n| rate::last_two(w, n, false),
        "deriv" => |w, n| floats_only(w, n, deriv),
        "resets" => |w, _| resets(w),
        "changes" => |w, _| changes(w),
        "sum_over_time" => |w, n| of_one_kind(w, n, sum, Totals::add, Totals::sum),
        "avg_over_time" => |w, n| of_one_kind(w, n, mean, Totals::average, Totals::mean),
        "min_over_time" => |w, n| extreme(w, n, |least, v| v < least || least.is_nan()),
        "max_over_time" => |w, n| extreme(w, n, |most, v| v > most || most.is_nan()),
        "ts_of_min_over_time" => |w, n| {
            floats_only(w, n, |floats| {
                time_of(floats, |found, v| v <= found || found.is_nan())
            })
        },
        "ts_of_max_over_time" => |w, n| {
            floats_only(w, n, |floats| {
                time_of(floats, |found, v| v >= found || found.is_nan())
            })
        },
        "ts_of_first_over_time" => |w, _| w.first().map(|(at, _)| seconds(at).into()),
        "ts_of_last_over_time" => |w, _| w.last().map(|(at, _)| seconds(at).into()),
        "first_over_time" => |w, _| w.first().map(|(_, value)| value),
        "last_over_time" => |w, _| w.last().map(|(_, value)| value),
        "count_over_time" => |w, _| Some(count(w.floats.len() + w.histograms.len()).into()),
        "present_over_time" => |_, _| Some(1.0.into()),
        "stdvar_over_time" => |w, n| floats_only(w, n, |floats| Some(variance(values(floats)))),
        "stddev_over_time" => |w, n| floats_only(w, n, |floats| Some(variance(values(floats)).sqrt())),
        "mad_over_time" => |w, n| {
            floats_only(w, n, |floats| {
                Some(median_deviation(&values(floats).collect::<Vec<_>>()))
            })
        },
        _ => return None,
    })
}

/// Whether the function gives a value of the series itself, so that the metric's name still holds.
pub(super) fn keeps_name(name: &str) -> bool {
    matches!(name, "first_over_time" | "last_over_time")
}

/// The increase of a counter, with a remark if the name of a metric of numbers does not tell that it is one.
fn counted(window: &Window<'_>, notes: &mut Notes<'_>, is_rate: bool) -> Option<SampleValue> {
    let increase = rate::extrapolated(window, notes, true, is_rate);
    if window.is_first && matches!(increase, Some(SampleValue::Float(_))) {
        notes.maybe_not_a_counter(window.labels);
    }
    increase
}

type Floats = [(i64, f64)];

/// What comes of the floats alone; histograms beside them are ignored, with a remark.
pub(super) fn floats_only(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    compute: impl FnOnce(&Floats) -> Option<f64>,
) -> Option<SampleValue> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        notes.histograms_ignored_in_range(window.labels);
    }
    compute(window.floats).map(SampleValue::Float)
}

/// What comes of floats or of histograms; of a mix of them nothing does.
fn of_one_kind(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    floats: impl FnOnce(&Window<'_>) -> f64,
    add: fn(&mut Totals, &Histogram) -> Result<(), Incompatible>,
    total: impl FnOnce(Totals, &mut Notes<'_>) -> Tally,
) -> Option<SampleValue> {
    let [(_, first), rest @ ..] = window.histograms else {
        return Some(floats(window).into());
    };
    if !window.floats.is_empty() {
        notes.floats_and_histograms(window.labels);
        return None;
    }
    let mut totals = Totals::starting_with(first);
    for (_, histogram) in rest {
        if let Err(Incompatible) = add(&mut totals, histogram) {
            notes.exponential_and_custom(window.labels);
            return None;
        }
    }
    Some(total(totals, notes).finish().into())
}

pub(super) fn values(floats: &Floats) -> impl Iterator<Item = f64> + '_ {
    floats.iter().map(|(_, value)| *value)
}

fn sum(window: &Window<'_>) -> f64 {
    match window.found {
        Found::Sum(sum) => sum,
        _ => values(window.floats).collect::<Sum>().value(),
    }
}

fn mean(window: &Window<'_>) -> f64 {
    if let Found::Sum(sum) = window.found {
        return sum / count(window.floats.len());
    }
    let mut values = values(window.floats);
    let Some(first) = values.next() else {
        return f64::NAN;
    };
    let mut mean = Mean::starting_with(first);
    values.for_each(|value| mean.add(value));
    mean.value()
}

/// The least or the greatest of the floats: `is_better` says whether a later value takes the place of the one held.
fn extreme(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    is_better: fn(f64, f64) -> bool,
) -> Option<SampleValue> {
    floats_only(window, notes, |floats| match window.found {
        Found::Extreme(found) => Some(found),
        _ => values(floats).reduce(|held, value| if is_better(held, value) { value } else { held }),
    })
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer samples than 2^53")]
pub(super) fn count(samples: usize) -> f64 {
    samples as f64
}

impl Window<'_> {
    fn first(&self) -> Option<(i64, SampleValue)> {
        match (self.floats.first(), self.histograms.first()) {
            (Some((at, value)), other) if other.is_none_or(|(other, _)| at < other) => {
                Some((*at, SampleValue::Float(*value)))
            }
            (_, Some((at, histogram))) => Some((*at, SampleValue::Histogram(Arc::clone(histogram)))),
            _ => None,
        }
    }

    fn last(&self) -> Option<(i64, SampleValue)> {
        match (self.floats.last(), self.histograms.last()) {
            (Some((at, value)), other) if other.is_none_or(|(other, _)| other < at) => {
                Some((*at, SampleValue::Float(*value)))
            }
            (_, Some((at, histogram))) => Some((*at, SampleValue::Histogram(Arc::clone(histogram)))),
            _ => None,
        }
    }
}

/// Floats and histograms in order of time.
fn merged<'w>(
    floats: &'w Floats,
    histograms: &'w [(i64, Arc<Histogram>)],
) -> impl Iterator<Item = Point<'w>> {
    let mut floats = floats.iter().peekable();
    let mut histograms = histograms.iter().peekable();
    std::iter::from_fn(move || match (floats.peek(), histograms.peek()) {
        (Some((at, _)), Some((other, _))) if other < at => {
            histograms.next().map(|(_, held)| Point::Histogram(held))
        }
        (None, _) => histograms.next().map(|(_, held)| Point::Histogram(held)),
        _ => floats.next().map(|(_, value)| Point::Float(*value)),
    })
}

#[derive(Clone, Copy)]
enum Point<'w> {
    Float(f64),
    Histogram(&'w Histogram),
}

/// How often the value changed; from NaN to NaN it did not.
fn changes(window: &Window<'_>) -> Option<SampleValue> {
    if let Found::Changes(changes) = window.found {
        return Some(count(changes).into());
    }
    count_pairs(
        window,
        |before, now| before != now && !(before.is_nan() && now.is_nan()),
        |now, before| !same(now, before),
    )
}

/// How often a counter began anew: a value fell, or a start says so.
fn resets(window: &Window<'_>) -> Option<SampleValue> {
    if let Found::Falls(falls, _) = window.found {
        return Some(count(falls.len()).into());
    }
    let falls = count_pairs(window, |before, now| now < before, has_reset)?;
    let (floats, histograms) = (window.floats, window.histograms);
    if window.extension.is_some()
        || (window.float_starts.0.is_empty() && window.histogram_starts.0.is_empty())
    {
        return Some(falls);
    }
    // A pair that both a value and a start tell of counts once.
    let beside = |at: usize| (floats.get(at), floats.get(at + 1));
    let between = |from: i64, to: i64| histograms.iter().any(|(at, _)| *at > from && *at < to);
    let more = (0..floats.len()).filter(|at| match beside(*at) {
        (Some((from, before)), Some((to, now))) => {
            now >= before && window.float_starts.is_reset(floats, *at) && !between(*from, *to)
        }
        _ => false,
    });
    let beside = |at: usize| (histograms.get(at), histograms.get(at + 1));
    let between = |from: i64, to: i64| floats.iter().any(|(at, _)| *at > from && *at < to);
    let more_histograms = (0..histograms.len()).filter(|at| match beside(*at) {
        (Some((from, before)), Some((to, now))) => {
            !has_reset(now, before)
                && window.histogram_starts.is_reset(histograms, *at)
                && !between(*from, *to)
        }
        _ => false,
    });
    let more = count(more.count() + more_histograms.count());
    Some((falls.float().unwrap_or_default() + more).into())
}

/// How many neighbours differ: floats as `floats` says of before and now, histograms as `histograms` says of now and
/// before. A float beside a histogram always differs.
fn count_pairs(
    window: &Window<'_>,
    floats: fn(f64, f64) -> bool,
    histograms: fn(&Histogram, &Histogram) -> bool,
) -> Option<SampleValue> {
    let (held, held_histograms) = match window.extension {
        Some(_) => extended::from_anchor(window)?,
        None => (window.floats, window.histograms),
    };
    if held_histograms.is_empty() {
        let pairs = held.windows(2).filter(|pair| floats(pair[0].1, pair[1].1));
        return Some(count(pairs.count()).into());
    }
    let points = || merged(held, held_histograms);
    let pairs = points().zip(points().skip(1));
    let differing = pairs.filter(|pair| match *pair {
        (Point::Float(before), Point::Float(now)) => floats(before, now),
        (Point::Histogram(before), Point::Histogram(now)) => histograms(now, before),
        _ => true,
    });
    Some(count(differing.count()).into())
}

fn time_of(floats: &Floats, better: fn(f64, f64) -> bool) -> Option<f64> {
    let found = floats
        .iter()
        .reduce(|found, sample| if better(found.1, sample.1) { sample } else { found });
    found.map(|(at, _)| seconds(*at))
}

fn deriv(floats: &Floats) -> Option<f64> {
    let [(first_ms, _), _, ..] = *floats else {
        return None;
    };
    Some(regression(floats, first_ms).0)
}

/// The value a straight line through the samples reaches `ahead` seconds after the evaluation.
pub(super) fn predict_linear(floats: &Floats, at_ms: i64, ahead: f64) -> Option<f64> {
    if floats.len() < 2 {
        return None;
    }
    let (slope, now) = regression(floats, at_ms);
    Some(slope * ahead + now)
}

/// Holt's linear smoothing.
pub(super) fn double_exponential_smoothing(
    floats: &Floats,
    smoothing: f64,
    trend_factor: f64,
) -> Option<f64> {
    let [(_, first), (_, second), ..] = *floats else {
        return None;
    };
    let (mut before, mut current, mut trend) = (0.0, first, second - first);
    for (index, (_, value)) in floats.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (current - before) + (1.0 - trend_factor) * trend;
        }
        before = current;
        current = smoothing * value + (1.0 - smoothing) * (current + trend);
    }
    Some(current)
}
