//! Exponential histograms as native histograms.

use mainstay_kernel::histogram::BucketSpan;
use mainstay_kernel::{Histogram, STALE_NAN};

use super::model::{ExponentialBuckets, ExponentialPoint};
use crate::native_histogram::{Buckets, Count, HistogramRefusal, RawHistogram};

/// The resolutions that a native histogram can have.
const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;
/// What Prometheus takes for the zero bucket's reach where none is given.
const ZERO_THRESHOLD: f64 = 1e-128;
/// A gap of up to this many empty buckets is filled rather than left out: a span takes as much room.
const GAP_MAX: i64 = 2;

#[derive(Debug, thiserror::Error)]
pub(super) enum ExponentialRefusal {
    #[error("an exponential histogram of scale {0} is too coarse: expected at least -4")]
    Scale(i32),
    #[error("an exponential histogram has a bucket beyond all numbers")]
    Offset,
    #[error(transparent)]
    Histogram(#[from] HistogramRefusal),
}

pub(super) fn native(point: &ExponentialPoint<'_>, is_stale: bool) -> Result<Histogram, ExponentialRefusal> {
    if point.scale < SCHEMA_MIN {
        return Err(ExponentialRefusal::Scale(point.scale));
    }
    let schema = point.scale.min(SCHEMA_MAX);
    let coarser = u32::try_from(point.scale - schema).unwrap_or(0);
    if is_stale {
        return Ok(Histogram {
            schema,
            sum: STALE_NAN,
            ..Histogram::default()
        });
    }
    let reach = point.zero_threshold;
    let raw = RawHistogram {
        count: Count::Whole(point.count),
        zero_count: Count::Whole(point.zero_count),
        sum: point.sum.unwrap_or(0.0),
        schema,
        zero_threshold: if reach > 0.0 { reach } else { ZERO_THRESHOLD },
        positive: sparse(&point.positive, coarser)?,
        negative: sparse(&point.negative, coarser)?,
        ..RawHistogram::default()
    };
    Ok(raw.build()?)
}

/// Buckets one after another as runs of those that hold something, `2^coarser` of them in one. The bucket that
/// OpenTelemetry counts as 0 has the lower bound 1, Prometheus' has it as the upper.
fn sparse(dense: &ExponentialBuckets, coarser: u32) -> Result<Buckets, ExponentialRefusal> {
    let mut buckets = Buckets::default();
    let mut before = 0;
    // The index after the last bucket held.
    let mut next: Option<i64> = None;
    let mut hold = |index: i64, count: u64| -> Result<(), ExponentialRefusal> {
        let gap = next.map(|next| index - next);
        match gap {
            Some(gap @ 0..=GAP_MAX) => {
                for _ in 0..gap {
                    buckets.deltas.push(-before);
                    before = 0;
                }
                if let Some(span) = buckets.spans.last_mut() {
                    span.length = span.length.saturating_add(u32::try_from(gap).unwrap_or(0) + 1);
                }
            }
            _ => {
                let offset = i32::try_from(gap.unwrap_or(index)).map_err(|_| ExponentialRefusal::Offset)?;
                buckets.spans.push(BucketSpan { offset, length: 1 });
            }
        }
        let count = i64::try_from(count).map_err(|_| HistogramRefusal::CountTooLarge)?;
        buckets.deltas.push(count - before);
        before = count;
        next = Some(index + 1);
        Ok(())
    };
    let mut pending: Option<(i64, u64)> = None;
    for (at, count) in (i64::from(dense.offset)..).zip(&dense.bucket_counts) {
        if *count == 0 {
            continue;
        }
        let index = at.checked_shr(coarser).unwrap_or(if at < 0 { -1 } else { 0 }) + 1;
        match &mut pending {
            Some((held, sum)) if *held == index => {
                *sum = sum.checked_add(*count).ok_or(HistogramRefusal::CountTooLarge)?;
            }
            _ => {
                if let Some((index, count)) = pending.replace((index, *count)) {
                    hold(index, count)?;
                }
            }
        }
    }
    if let Some((index, count)) = pending {
        hold(index, count)?;
    }
    Ok(buckets)
}
