//! Whether counts began anew between two histograms of a series.

use mainstay_kernel::histogram::{Histogram, ResetHint};

use super::bucket::{bound, indexed};
use super::tally::{Cell, Tally, fitted, shared_bounds};

/// Whether the counter began anew between `before` and `now`: what `now` says about it holds; if it says nothing, or
/// that it is a gauge, counts are compared. No count may fall, no populated bucket may go, and neither may the
/// resolution rise nor the zero bucket shrink, or come to end inside of a populated bucket.
pub(crate) fn has_reset(now: &Histogram, before: &Histogram) -> bool {
    match now.reset_hint {
        ResetHint::Reset => return true,
        ResetHint::NotReset => return false,
        ResetHint::Unknown | ResetHint::Gauge => {}
    }
    if now.count < before.count || now.schema > before.schema {
        return true;
    }
    if now.has_custom_buckets() {
        if !before.has_custom_buckets() {
            return true;
        }
        if now.custom_values != before.custom_values {
            return custom_counts_fell(now, before);
        }
    }
    if now.zero_threshold < before.zero_threshold {
        return true;
    }
    let (positive, negative) = (
        || indexed(&now.positive_spans, &now.positive_buckets),
        || indexed(&now.negative_spans, &now.negative_buckets),
    );
    if now.schema == before.schema && now.zero_threshold == before.zero_threshold {
        return now.zero_count < before.zero_count
            || counts_fell(
                positive(),
                indexed(&before.positive_spans, &before.positive_buckets),
            )
            || counts_fell(
                negative(),
                indexed(&before.negative_spans, &before.negative_buckets),
            );
    }
    let mut before = Tally::of(before);
    if before.zero_threshold < now.zero_threshold {
        before.widen_zero(now.zero_threshold);
    }
    if before.zero_threshold != now.zero_threshold || now.zero_count < before.zero.value() {
        return true;
    }
    before.reduce(now.schema);
    let is_outside_zero = |(index, _): &(i64, f64)| bound(*index, now.schema) > now.zero_threshold;
    let cells = |cells: &[Cell]| -> Vec<(i64, f64)> {
        cells
            .iter()
            .map(|cell| (cell.index, cell.count.value()))
            .collect()
    };
    counts_fell(
        positive().filter(is_outside_zero),
        cells(&before.positive).into_iter(),
    ) || counts_fell(
        negative().filter(is_outside_zero),
        cells(&before.negative).into_iter(),
    )
}

/// Whether any bucket holds less than before; a bucket that is gone holds nothing.
fn counts_fell(now: impl Iterator<Item = (i64, f64)>, before: impl Iterator<Item = (i64, f64)>) -> bool {
    let mut now = now.peekable();
    for (index, count) in before {
        while now.next_if(|(current, _)| *current < index).is_some() {}
        let fell = match now.peek() {
            Some((current, left)) if *current == index => *left < count,
            _ => count != 0.0,
        };
        if fell {
            return true;
        }
    }
    false
}

/// The same between the bounds that both share.
fn custom_counts_fell(now: &Histogram, before: &Histogram) -> bool {
    let shared = shared_bounds(&now.custom_values, &before.custom_values);
    let counts = |histogram: &Histogram| {
        let mut counts = vec![0.0; shared.len() + 1];
        for (index, count) in indexed(&histogram.positive_spans, &histogram.positive_buckets) {
            let fitted = fitted(index, &histogram.custom_values, &shared);
            if let Some(slot) = usize::try_from(fitted).ok().and_then(|at| counts.get_mut(at)) {
                *slot += count;
            }
        }
        counts
    };
    counts(now)
        .into_iter()
        .zip(counts(before))
        .any(|(now, before)| now < before)
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::histogram::BucketSpan;

    use super::*;

    fn histogram(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![BucketSpan {
                offset,
                length: u32::try_from(counts.len()).expect("few"),
            }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn counts_that_fall_are_a_reset_and_lost_empty_buckets_are_none() {
        let before = histogram(0, 0, &[1.0, 0.0, 3.0]);
        assert!(!has_reset(&histogram(0, 0, &[1.0, 0.0, 4.0]), &before));
        assert!(has_reset(&histogram(0, 0, &[9.0, 0.0, 2.0]), &before));
        assert!(has_reset(&histogram(0, 1, &[9.0, 9.0]), &before));
        let hinted = Histogram {
            reset_hint: ResetHint::NotReset,
            ..Histogram::default()
        };
        assert!(!has_reset(&hinted, &before));
    }

    #[test]
    fn a_lower_resolution_is_compared_at_it_and_a_higher_one_is_a_reset() {
        let fine = histogram(1, 1, &[1.0, 2.0]);
        assert!(!has_reset(&histogram(0, 1, &[3.0]), &fine));
        assert!(has_reset(&histogram(0, 1, &[2.0, 7.0]), &fine));
        assert!(has_reset(&fine, &histogram(0, 1, &[1.0])));
    }

    #[test]
    fn a_wider_zero_bucket_takes_what_it_covers() {
        let before = histogram(0, 0, &[1.0, 2.0]);
        let wider = |threshold, zero, counts: &[f64]| Histogram {
            zero_threshold: threshold,
            zero_count: zero,
            count: 10.0,
            ..histogram(0, 1, counts)
        };
        assert!(!has_reset(&wider(1.0, 1.0, &[2.0]), &before));
        assert!(has_reset(&wider(1.0, 0.0, &[2.0]), &before));
        assert!(has_reset(&wider(0.75, 1.0, &[2.0]), &before));
    }
}
