//! Native histograms as remote write has them; the message is the same in both versions.

use mainstay_kernel::Histogram;
use mainstay_kernel::histogram::{BucketSpan, ResetHint};

use super::message::Message;

/// Writes the fields of a histogram. Counts that are whole are written as the integers that they came as: the first bucket,
/// then the change from each to the next. Others are written as they are.
pub(super) fn write(message: &mut Message, histogram: &Histogram, t_ms: i64) {
    let whole = whole_counts(histogram);
    match whole {
        Some((count, _)) => message.uint64_always(1, count),
        None => message.double_always(2, histogram.count),
    }
    message.double(3, histogram.sum);
    message.sint64(4, histogram.schema.into());
    message.double(5, histogram.zero_threshold);
    match whole {
        Some((_, zero_count)) => message.uint64_always(6, zero_count),
        None => message.double_always(7, histogram.zero_count),
    }
    let buckets = |message: &mut Message, spans: &[BucketSpan], counts: &[f64], first_field: u64| {
        for span in spans {
            message.nested(first_field, |inner| {
                inner.sint64(1, span.offset.into());
                inner.uint64(2, span.length.into());
            });
        }
        if whole.is_some() {
            message.packed_deltas(first_field + 1, deltas(counts));
        } else {
            message.packed_doubles(first_field + 2, counts);
        }
    };
    buckets(message, &histogram.negative_spans, &histogram.negative_buckets, 8);
    buckets(
        message,
        &histogram.positive_spans,
        &histogram.positive_buckets,
        11,
    );
    message.uint64(
        14,
        match histogram.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        },
    );
    message.int64(15, t_ms);
    message.packed_doubles(16, &histogram.custom_values);
}

/// The counts of all observations and of those in the zero bucket, if all counts of the histogram are whole. The stale marker
/// is a histogram whose sum is that NaN: its counts are whole too.
fn whole_counts(histogram: &Histogram) -> Option<(u64, u64)> {
    let buckets = histogram
        .positive_buckets
        .iter()
        .chain(&histogram.negative_buckets);
    buckets.copied().map(whole).collect::<Option<Vec<u64>>>()?;
    Some((whole(histogram.count)?, whole(histogram.zero_count)?))
}

/// A whole number that a float holds exactly.
fn whole(count: f64) -> Option<u64> {
    let exact = (0.0..=9_007_199_254_740_992.0).contains(&count) && count.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: a whole number from 0 to 2^53"
    )]
    exact.then_some(count as u64)
}

fn deltas(counts: &[f64]) -> impl Iterator<Item = i64> {
    let mut before = 0;
    counts.iter().map(move |count| {
        let count = whole(*count).unwrap_or_default().cast_signed();
        let delta = count - before;
        before = count;
        delta
    })
}
