//! Buckets as intervals.

use mainstay_kernel::histogram::{self, BucketSpan, CUSTOM_BUCKETS_SCHEMA, Histogram};

/// A bucket: an interval of values, and how many observations fell into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its lower bound.
    pub lower: f64,
    /// Its upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
    /// Observations in it alone.
    pub count: f64,
}

impl Bucket {
    /// The part of the bucket's width that lies below `value`, which lies inside of it: on a straight scale or, for
    /// exponential buckets, on a logarithmic one.
    pub(super) fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper) = (self.lower.abs().log2(), self.upper.abs().log2());
        let at = value.abs().log2();
        if value > 0.0 {
            (at - lower) / (upper - lower)
        } else {
            1.0 - (at - upper) / (lower - upper)
        }
    }

    /// Whether zero lies in it.
    pub(super) fn holds_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }
}

/// The buckets from the lowest to the highest, empty ones that the histogram names included. The zero bucket is there
/// only if it is populated. Bounds inside of the zero bucket are moved to its edge.
#[must_use]
pub fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let threshold = histogram.zero_threshold;
    let mut all: Vec<Bucket> = negative(histogram)
        .map(|bucket| Bucket {
            upper: if bucket.upper < 0.0 && bucket.upper > -threshold {
                -threshold
            } else {
                bucket.upper
            },
            ..bucket
        })
        .collect();
    all.reverse();
    if histogram.zero_count > 0.0 {
        all.push(zero(histogram));
    }
    all.extend(positive(histogram).map(|bucket| Bucket {
        lower: if bucket.lower > 0.0 && bucket.lower < threshold {
            threshold
        } else {
            bucket.lower
        },
        ..bucket
    }));
    all
}

/// The zero bucket.
pub(super) fn zero(histogram: &Histogram) -> Bucket {
    Bucket {
        lower: -histogram.zero_threshold,
        upper: histogram.zero_threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count: histogram.zero_count,
    }
}

/// The buckets of positive observations, or those with bounds of their own, from the lowest to the highest.
pub(super) fn positive(histogram: &Histogram) -> impl Iterator<Item = Bucket> {
    let custom = histogram.has_custom_buckets();
    indexed(&histogram.positive_spans, &histogram.positive_buckets).map(move |(index, count)| {
        if custom {
            Bucket {
                lower: custom_bound(&histogram.custom_values, index - 1),
                upper: custom_bound(&histogram.custom_values, index),
                lower_inclusive: index == 0,
                upper_inclusive: true,
                count,
            }
        } else {
            Bucket {
                lower: bound(index - 1, histogram.schema),
                upper: bound(index, histogram.schema),
                lower_inclusive: false,
                upper_inclusive: true,
                count,
            }
        }
    })
}

/// The buckets of negative observations, from zero downwards.
pub(super) fn negative(histogram: &Histogram) -> impl Iterator<Item = Bucket> {
    indexed(&histogram.negative_spans, &histogram.negative_buckets).map(|(index, count)| Bucket {
        lower: -bound(index, histogram.schema),
        upper: -bound(index - 1, histogram.schema),
        lower_inclusive: true,
        upper_inclusive: false,
        count,
    })
}

/// Buckets with their indices.
pub(super) fn indexed<'h>(
    spans: &'h [BucketSpan],
    counts: &'h [f64],
) -> impl Iterator<Item = (i64, f64)> + 'h {
    let mut next = 0_i64;
    let indices = spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    });
    indices.zip(counts.iter().copied())
}

/// Whether two histograms hold the same data, empty buckets included. What is known of resets does not count, nor how
/// spans are cut.
pub(crate) fn same(a: &Histogram, b: &Histogram) -> bool {
    let same_floats = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let side = |spans: &[BucketSpan], counts: &[f64], others: &[BucketSpan], other_counts: &[f64]| {
        indexed(spans, counts)
            .map(|(index, count)| (index, count.to_bits()))
            .eq(indexed(others, other_counts).map(|(index, count)| (index, count.to_bits())))
    };
    a.schema == b.schema
        && same_floats(a.count, b.count)
        && same_floats(a.sum, b.sum)
        && a.custom_values == b.custom_values
        && a.zero_threshold == b.zero_threshold
        && same_floats(a.zero_count, b.zero_count)
        && side(
            &a.positive_spans,
            &a.positive_buckets,
            &b.positive_spans,
            &b.positive_buckets,
        )
        && side(
            &a.negative_spans,
            &a.negative_buckets,
            &b.negative_spans,
            &b.negative_buckets,
        )
}

/// The upper bound of an exponential bucket.
pub(super) fn bound(index: i64, schema: i32) -> f64 {
    histogram::bound(schema, narrow(index), &[])
}

/// The upper bound of a bucket with bounds of its own.
pub(super) fn custom_bound(bounds: &[f64], index: i64) -> f64 {
    histogram::bound(CUSTOM_BUCKETS_SCHEMA, narrow(index), bounds)
}

/// Beyond 32 bits every bound is zero or infinite.
fn narrow(index: i64) -> i32 {
    i32::try_from(index).unwrap_or(if index < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_of_two_and_end_at_the_largest_float() {
        assert_eq!(bound(0, 0), 1.0);
        assert_eq!(bound(3, 0), 8.0);
        assert_eq!(bound(-2, 0), 0.25);
        assert!((bound(1, 1) - 2.0_f64.sqrt()).abs() < 1e-15);
        assert!((bound(-1, 3) - 0.917_004_043_204_671_2).abs() < 1e-15);
        assert_eq!(bound(2, -2), 256.0);
        for schema in -4..=8 {
            let last = if schema < 0 {
                1024 >> -schema
            } else {
                1024 << schema
            };
            assert_eq!(bound(last, schema), f64::MAX, "{schema}");
            assert_eq!(bound(last + 1, schema), f64::INFINITY, "{schema}");
        }
        assert_eq!(bound(i64::from(i32::MIN), 0), 0.0);
    }
}
