//! A record: what is left of the samples of one series in one slice of time.

use mainstay_kernel::summary::Point;
use mainstay_kernel::{STALE_NAN, Summary, is_stale};

use crate::chunk::HistogramPoint;
use mainstay_kernel::Histogram;
use mainstay_kernel::histogram::ResetHint;

/// What is left of the samples of one slice; it has a run of samples, or a stale marker at the end, or both.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) run: Option<Summary>,
    /// The time of the stale marker that the slice ends with.
    pub(crate) stale_ms: Option<i64>,
}

impl Record {
    pub(crate) fn begin_ms(&self) -> i64 {
        let run = self.run.as_ref().map(|run| run.first.0);
        run.or(self.stale_ms).unwrap_or_default()
    }

    pub(crate) fn end_ms(&self) -> i64 {
        let run = self.run.as_ref().map(|run| run.last.0);
        self.stale_ms.or(run).unwrap_or_default()
    }

    /// What stands for it where samples are asked for: the last one, and the stale marker behind it.
    pub(crate) fn points(&self) -> impl Iterator<Item = Point> + use<> {
        let last = self.run.as_ref().map(|run| run.last);
        let stale = self.stale_ms.map(|t_ms| (t_ms, STALE_NAN));
        last.into_iter().chain(stale)
    }

    /// Adds the record that comes next.
    fn join(&mut self, next: &Self) {
        match (&mut self.run, &next.run) {
            (Some(run), Some(next)) => run.join(next),
            (None, Some(next)) => self.run = Some(next.clone()),
            (_, None) => {}
        }
        self.stale_ms = next.stale_ms;
    }
}

/// The number of the slice that a time is in. Windows leave out their beginning and hold their end, and so do slices: a
/// window that begins and ends with slices cuts none of them.
fn slice(t_ms: i64, width_ms: i64) -> i64 {
    t_ms.saturating_sub(1).div_euclid(width_ms)
}

/// The records of slices of this width, of samples in order of time.
pub(crate) fn of_samples(samples: &[Point], width_ms: i64) -> Vec<Record> {
    let one_slice = |a: &Point, b: &Point| slice(a.0, width_ms) == slice(b.0, width_ms);
    samples
        .chunk_by(one_slice)
        .map(|points| {
            let mut run: Option<Summary> = None;
            for point in points.iter().filter(|point| !is_stale(point.1)) {
                match &mut run {
                    None => run = Some(Summary::of(*point)),
                    Some(run) => run.push(*point),
                }
            }
            let stale = points.last().filter(|last| is_stale(last.1));
            Record {
                run,
                stale_ms: stale.map(|last| last.0),
            }
        })
        .collect()
}

/// The records of slices of this width, of those of finer slices that fit into these, in order of time.
pub(crate) fn of_records(finer: &[Record], width_ms: i64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for record in finer {
        match records.last_mut() {
            Some(last) if slice(last.end_ms(), width_ms) == slice(record.end_ms(), width_ms) => {
                last.join(record);
            }
            _ => records.push(record.clone()),
        }
    }
    records
}

/// The native histograms that are kept of slices of this width: the first and the last of each, and both neighbours
/// wherever a count may have fallen. What a counter of them rose by, from any of those to any later one, is then what
/// all of them say. Of gauges, only the first and the last.
pub(crate) fn kept_histograms(all: &[HistogramPoint], width_ms: i64) -> Vec<HistogramPoint> {
    let mut kept: Vec<HistogramPoint> = Vec::new();
    for (at, point) in all.iter().enumerate() {
        let breaks = |a: &HistogramPoint, b: &HistogramPoint| {
            slice(a.0, width_ms) != slice(b.0, width_ms) || !rises(&a.1, &b.1)
        };
        let before = at.checked_sub(1).and_then(|before| all.get(before));
        let first = before.is_none_or(|before| breaks(before, point));
        let last = all.get(at + 1).is_none_or(|next| breaks(point, next));
        if first || last {
            kept.push(point.clone());
        }
    }
    kept
}

/// Whether nothing is lost by going from one to the other: no count falls, or none counts.
fn rises(before: &Histogram, now: &Histogram) -> bool {
    if is_stale(before.sum) != is_stale(now.sum) {
        return false;
    }
    if now.reset_hint == ResetHint::Gauge {
        return before.reset_hint == ResetHint::Gauge;
    }
    let no_fall = |before: &[f64], now: &[f64]| before.iter().zip(now).all(|(before, now)| before <= now);
    before.reset_hint != ResetHint::Gauge
        && now.reset_hint != ResetHint::Reset
        && before.schema == now.schema
        && before.zero_threshold.to_bits() == now.zero_threshold.to_bits()
        && before.positive_spans == now.positive_spans
        && before.negative_spans == now.negative_spans
        && before.custom_values == now.custom_values
        && before.count <= now.count
        && before.zero_count <= now.zero_count
        && no_fall(&before.positive_buckets, &now.positive_buckets)
        && no_fall(&before.negative_buckets, &now.negative_buckets)
}
