//! Functions over a window of samples.

use super::leaf::Window;
use super::statistics::{Mean, Sum, median_deviation, regression, variance};

type OverTime = fn(&Window<'_>) -> Option<f64>;

/// The function of this name that takes a window and nothing else.
pub(super) fn named(name: &str) -> Option<OverTime> {
    Some(match name {
        "rate" => |w| extrapolated(w, true, true),
        "increase" => |w| extrapolated(w, true, false),
        "delta" => |w| extrapolated(w, false, false),
        "irate" => |w| last_two(w, true),
        "idelta" => |w| last_two(w, false),
        "deriv" => deriv,
        "resets" => |w| Some(count_pairs(w, |before, after| after < before)),
        "changes" => |w| {
            Some(count_pairs(w, |before, after| {
                before != after && !(before.is_nan() && after.is_nan())
            }))
        },
        "sum_over_time" => |w| Some(values(w).collect::<Sum>().value()),
        "avg_over_time" => |w| {
            let mut values = values(w);
            let mut mean = Mean::starting_with(values.next()?);
            values.for_each(|value| mean.add(value));
            Some(mean.value())
        },
        "min_over_time" => {
            |w| values(w).reduce(|least, v| if v < least || least.is_nan() { v } else { least })
        }
        "max_over_time" => |w| values(w).reduce(|most, v| if v > most || most.is_nan() { v } else { most }),
        "ts_of_min_over_time" => |w| time_of(w, |found, v| v <= found || found.is_nan()),
        "ts_of_max_over_time" => |w| time_of(w, |found, v| v >= found || found.is_nan()),
        "ts_of_first_over_time" => |w| w.samples.first().map(|(at, _)| seconds(*at)),
        "ts_of_last_over_time" => |w| w.samples.last().map(|(at, _)| seconds(*at)),
        "first_over_time" => |w| w.samples.first().map(|(_, value)| *value),
        "last_over_time" => |w| w.samples.last().map(|(_, value)| *value),
        "count_over_time" => |w| Some(count(w)),
        "present_over_time" => |_| Some(1.0),
        "stdvar_over_time" => |w| Some(variance(values(w))),
        "stddev_over_time" => |w| Some(variance(values(w)).sqrt()),
        "mad_over_time" => |w| Some(median_deviation(&values(w).collect::<Vec<_>>())),
        _ => return None,
    })
}

/// Whether the function gives a value of the series itself, so that the metric's name still holds.
pub(super) fn keeps_name(name: &str) -> bool {
    matches!(name, "first_over_time" | "last_over_time")
}

pub(super) fn values<'w>(window: &'w Window<'_>) -> impl Iterator<Item = f64> + 'w {
    window.samples.iter().map(|(_, value)| *value)
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer samples than 2^53")]
fn count(window: &Window<'_>) -> f64 {
    window.samples.len() as f64
}

fn count_pairs(window: &Window<'_>, counts: fn(f64, f64) -> bool) -> f64 {
    let pairs = window
        .samples
        .windows(2)
        .filter(|pair| counts(pair[0].1, pair[1].1));
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer samples than 2^53")]
    let count = pairs.count() as f64;
    count
}

fn time_of(window: &Window<'_>, better: fn(f64, f64) -> bool) -> Option<f64> {
    let found = window
        .samples
        .iter()
        .reduce(|found, sample| if better(found.1, sample.1) { sample } else { found });
    found.map(|(at, _)| seconds(*at))
}

/// `rate`, `increase` and `delta`: the difference between last and first sample, extended to the edges of the window
/// where samples come close enough to them, but never beyond where a counter would have been zero.
fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Option<f64> {
    let [(first_ms, first), .., (last_ms, last)] = *window.samples else {
        return None;
    };
    let mut difference = last - first;
    if is_counter {
        let resets = window.samples.windows(2).filter(|pair| pair[1].1 < pair[0].1);
        difference = resets.fold(difference, |sum, pair| sum + pair[0].1);
    }
    let sampled = seconds(last_ms - first_ms);
    let average = sampled / (count(window) - 1.0);
    let near = average * 1.1;
    let mut to_start = seconds(first_ms - window.start_ms);
    if to_start >= near {
        to_start = average / 2.0;
    }
    if is_counter && difference > 0.0 && first >= 0.0 {
        to_start = to_start.min(sampled * (first / difference));
    }
    let mut to_end = seconds(window.end_ms - last_ms);
    if to_end >= near {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if is_rate {
        factor /= seconds(window.end_ms - window.start_ms);
    }
    Some(difference * factor)
}

/// `irate` and `idelta`: from the last two samples.
fn last_two(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let [.., (before_ms, before), (last_ms, last)] = *window.samples else {
        return None;
    };
    if !is_rate {
        return Some(last - before);
    }
    let difference = if last < before { last } else { last - before };
    Some(difference / seconds(last_ms - before_ms))
}

fn deriv(window: &Window<'_>) -> Option<f64> {
    let [(first_ms, _), _, ..] = *window.samples else {
        return None;
    };
    Some(regression(window.samples, first_ms).0)
}

/// The value a straight line through the samples reaches `ahead` seconds after the evaluation.
pub(super) fn predict_linear(window: &Window<'_>, ahead: f64) -> Option<f64> {
    if window.samples.len() < 2 {
        return None;
    }
    let (slope, now) = regression(window.samples, window.at_ms);
    Some(slope * ahead + now)
}

/// Holt's linear smoothing.
pub(super) fn double_exponential_smoothing(
    window: &Window<'_>,
    smoothing: f64,
    trend_factor: f64,
) -> Option<f64> {
    let [(_, first), (_, second), ..] = *window.samples else {
        return None;
    };
    let (mut before, mut current, mut trend) = (0.0, first, second - first);
    for (index, (_, value)) in window.samples.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (current - before) + (1.0 - trend_factor) * trend;
        }
        before = current;
        current = smoothing * value + (1.0 - smoothing) * (current + trend);
    }
    Some(current)
}
