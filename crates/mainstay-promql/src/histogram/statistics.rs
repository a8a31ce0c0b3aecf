//! Quantiles, fractions and variance, estimated from buckets.

use mainstay_kernel::histogram::Histogram;

use crate::statistics::Sum;

use super::bucket::{Bucket, buckets};

/// A quantile, and what observations of NaN did to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantile {
    pub(crate) value: f64,
    pub(crate) skew: Skew,
}

/// What observations of NaN, which are counted but lie in no bucket, did to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skew {
    /// There are none.
    None,
    /// They made it higher, or were left out.
    Some,
    /// They are all that is left: the result is NaN.
    All,
}

/// The `quantile` of the observations. Inside of a bucket they are taken to be spread evenly: on a straight scale for
/// the zero bucket and for buckets with bounds of their own, on a logarithmic one for exponential buckets. NaNs count
/// as the largest observations.
pub(crate) fn quantile(quantile: f64, histogram: &Histogram) -> Quantile {
    let plain = |value| Quantile {
        value,
        skew: Skew::None,
    };
    if quantile < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if quantile > 1.0 {
        return plain(f64::INFINITY);
    }
    if histogram.count == 0.0 || quantile.is_nan() {
        return plain(f64::NAN);
    }
    let mut all = buckets(histogram);
    let may_hold_nan = histogram.sum.is_nan();
    // From the near end, so that less is added up.
    let forward = may_hold_nan || quantile < 0.5;
    let mut rank = if forward {
        quantile * histogram.count
    } else {
        all.reverse();
        (1.0 - quantile) * histogram.count
    };
    let (mut bucket, mut count, mut at) = (EMPTY, 0.0, 0);
    while let Some(next) = all.get(at) {
        at += 1;
        if next.count == 0.0 {
            bucket = *next;
            continue;
        }
        bucket = *next;
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    if histogram.has_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return plain(bucket.upper);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return plain(bucket.lower);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        one_sided(histogram, &mut bucket);
    }
    // Sums of counts may come out a little above the total.
    count = count.min(histogram.count);
    if count < rank {
        return if may_hold_nan {
            Quantile {
                value: f64::NAN,
                skew: Skew::All,
            }
        } else {
            plain(bucket.upper)
        };
    }
    rank = if forward {
        rank - (count - bucket.count)
    } else {
        count - rank
    };
    let rest: f64 = all.get(at..).unwrap_or_default().iter().map(|b| b.count).sum();
    let skew = if may_hold_nan && count + rest < histogram.count {
        Skew::Some
    } else {
        Skew::None
    };
    let fraction = rank / bucket.count;
    let value = if histogram.has_custom_buckets() || bucket.holds_zero() {
        bucket.lower + (bucket.upper - bucket.lower) * fraction
    } else {
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    };
    Quantile { value, skew }
}

/// The fraction of observations between two values, and whether NaNs were left out of it. Spread as for [`quantile`].
pub(crate) fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> (f64, Skew) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, Skew::None);
    }
    if lower >= upper {
        return (0.0, Skew::None);
    }
    let all: Vec<Bucket> = buckets(histogram)
        .into_iter()
        .map(|mut bucket| {
            if bucket.holds_zero() {
                one_sided(histogram, &mut bucket);
            }
            bucket
        })
        .collect();
    let (mut counted, mut skew) = (histogram.count, Skew::None);
    if histogram.sum.is_nan() {
        counted = all.iter().map(|bucket| bucket.count).sum();
        if counted < histogram.count {
            skew = Skew::Some;
        }
    }
    let below = |value| observations_below(value, &all, histogram.has_custom_buckets()).min(counted);
    ((below(upper) - below(lower)) / histogram.count, skew)
}

/// How many observations lie below a value; infinitely many when it lies above all buckets. A bucket of infinite width
/// cannot be divided: of the lowest all of it counts, of the highest none.
fn observations_below(value: f64, all: &[Bucket], custom: bool) -> f64 {
    let mut below = 0.0;
    for bucket in all {
        if bucket.lower >= value {
            return below;
        }
        if bucket.upper > value {
            if bucket.lower == f64::NEG_INFINITY {
                return bucket.count;
            }
            let linear = custom || bucket.holds_zero();
            return below + bucket.count * bucket.fraction_below(value, linear);
        }
        below += bucket.count;
    }
    f64::INFINITY
}

/// The population variance, every observation standing at the middle of its bucket.
pub(crate) fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = Sum::default();
    for bucket in buckets(histogram).iter().filter(|bucket| bucket.count != 0.0) {
        let middle = if histogram.has_custom_buckets() {
            f64::midpoint(bucket.upper, bucket.lower)
        } else if bucket.holds_zero() {
            0.0
        } else {
            let size = (bucket.upper * bucket.lower).sqrt();
            if bucket.upper < 0.0 { -size } else { size }
        };
        let delta = middle - mean;
        squares.add(bucket.count * delta * delta);
    }
    squares.value() / histogram.count
}

/// Where there are only positive or only negative observations, the zero bucket reaches no further than zero.
fn one_sided(histogram: &Histogram, bucket: &mut Bucket) {
    match (
        histogram.negative_buckets.is_empty(),
        histogram.positive_buckets.is_empty(),
    ) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

const EMPTY: Bucket = Bucket {
    lower: 0.0,
    upper: 0.0,
    lower_inclusive: false,
    upper_inclusive: false,
    count: 0.0,
};

#[cfg(test)]
mod tests {
    use mainstay_kernel::histogram::BucketSpan;

    use super::*;

    /// Two observations in (1, 2], two in (2, 4].
    fn histogram() -> Histogram {
        Histogram {
            count: 4.0,
            sum: 9.0,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 2.0],
            ..Histogram::default()
        }
    }

    #[test]
    fn quantiles_and_fractions_are_inverse() {
        let histogram = histogram();
        assert_eq!(quantile(0.25, &histogram).value, 2.0_f64.sqrt());
        assert_eq!(quantile(1.0, &histogram).value, 4.0);
        for wanted in [0.1, 0.3, 0.5, 0.7, 0.9] {
            let value = quantile(wanted, &histogram).value;
            let (found, _) = fraction(f64::NEG_INFINITY, value, &histogram);
            assert!((found - wanted).abs() < 1e-12, "{wanted} {value} {found}");
        }
    }

    #[test]
    fn nans_are_said() {
        let histogram = Histogram {
            count: 5.0,
            sum: f64::NAN,
            ..histogram()
        };
        assert_eq!(quantile(0.4, &histogram).skew, Skew::Some);
        assert_eq!(quantile(0.9, &histogram).skew, Skew::All);
        assert_eq!(
            fraction(f64::NEG_INFINITY, f64::INFINITY, &histogram),
            (0.8, Skew::Some)
        );
    }
}
