//! Cutting off a histogram above or below a value.

use mainstay_kernel::histogram::Histogram;

use super::bucket::{Bucket, negative, positive, zero};
use super::tally::Tally;

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// `</`
    Below,
    /// `>/`
    Above,
}

/// What stays of a bucket: how many observations, and their mean.
type Part = (f64, f64);

/// The histogram without what lies on the far side of `edge`. A bucket that holds the edge is divided by
/// interpolation. When anything went, count and sum are estimated anew from what stayed.
pub(crate) fn trimmed(histogram: &Histogram, edge: f64, kept: Kept) -> Histogram {
    let mut left = histogram.clone();
    let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
    let mut keep = |held: &mut f64, (part, mean): Part| {
        count += part;
        sum += mean * part;
        changed |= *held != part;
        *held = part;
    };
    let sides = [
        (
            &mut left.positive_buckets,
            positive(histogram).collect::<Vec<_>>(),
            true,
        ),
        (&mut left.negative_buckets, negative(histogram).collect(), false),
    ];
    let mut populated = [false; 2];
    for (index, (held, buckets, is_positive)) in sides.into_iter().enumerate() {
        for (held, bucket) in held
            .iter_mut()
            .zip(buckets)
            .filter(|(_, bucket)| bucket.count != 0.0)
        {
            populated[index] = true;
            let middle = |lower, upper| middle(lower, upper, is_positive, histogram.has_custom_buckets());
            let part = part(&bucket, edge, kept, histogram.has_custom_buckets(), middle);
            keep(held, part);
        }
    }
    if histogram.zero_count > 0.0 {
        keep(
            &mut left.zero_count,
            zero_part(zero(histogram), edge, kept, populated),
        );
    }
    if changed {
        (left.count, left.sum) = (count, sum);
        return Tally::of(&left).compact();
    }
    left
}

fn part(bucket: &Bucket, edge: f64, kept: Kept, custom: bool, middle: impl Fn(f64, f64) -> f64) -> Part {
    let Bucket {
        lower, upper, count, ..
    } = *bucket;
    let (is_all, is_cut) = match kept {
        Kept::Below => (upper <= edge, lower < edge),
        Kept::Above => (lower >= edge, upper > edge),
    };
    if is_all {
        return (count, middle(lower, upper));
    }
    if !is_cut {
        return (0.0, 0.0);
    }
    if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
        return endless_part(bucket, edge, kept);
    }
    let below = if edge <= lower {
        0.0
    } else if edge >= upper {
        count
    } else {
        count * bucket.fraction_below(edge, custom)
    };
    match kept {
        Kept::Below => (below, middle(lower, edge)),
        Kept::Above => (count - below, middle(edge, upper)),
    }
}

/// Of a bucket that has no end on one side and holds the edge. How its observations are spread is not known, except
/// that a lowest bucket with a positive bound is taken to begin at zero.
fn endless_part(bucket: &Bucket, edge: f64, kept: Kept) -> Part {
    let Bucket {
        lower, upper, count, ..
    } = *bucket;
    let from_zero = upper > 0.0 && upper.is_finite();
    if lower == f64::NEG_INFINITY {
        return match kept {
            Kept::Below if edge > 0.0 && from_zero => (count * edge / upper, edge / 2.0),
            Kept::Below if upper <= 0.0 => (count, edge),
            Kept::Above if edge >= 0.0 && from_zero => {
                (count * (1.0 - edge / upper), f64::midpoint(edge, upper))
            }
            _ => (0.0, 0.0),
        };
    }
    match kept {
        Kept::Above if edge >= lower => (count, edge),
        _ => (0.0, 0.0),
    }
}

/// Of the zero bucket, which reaches no further than zero on a side where nothing else was observed while the other
/// side holds something.
fn zero_part(bucket: Bucket, edge: f64, kept: Kept, populated: [bool; 2]) -> Part {
    let Bucket {
        mut lower,
        mut upper,
        count,
        ..
    } = bucket;
    match populated {
        [true, false] => lower = 0.0,
        [false, true] => upper = 0.0,
        _ => {}
    }
    let all = (count, f64::midpoint(lower, upper));
    match kept {
        Kept::Below if edge <= lower => (0.0, 0.0),
        Kept::Below if edge >= upper => all,
        Kept::Below => (
            count * ((edge - lower) / (upper - lower)),
            f64::midpoint(lower, edge),
        ),
        Kept::Above if edge <= lower => all,
        Kept::Above if edge >= upper => (0.0, 0.0),
        Kept::Above => (
            count * ((upper - edge) / (upper - lower)),
            f64::midpoint(edge, upper),
        ),
    }
}

/// The mean of observations between two bounds: the arithmetic one for buckets with bounds of their own, the geometric
/// one for exponential buckets.
fn middle(lower: f64, upper: f64, is_positive: bool, custom: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        _ if custom => f64::midpoint(lower, upper),
        _ => {
            let size = (lower * upper).abs().sqrt();
            if is_positive { size } else { -size }
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::histogram::BucketSpan;

    use super::*;

    #[test]
    fn what_is_beyond_the_edge_goes() {
        let histogram = Histogram {
            count: 6.0,
            sum: 12.0,
            zero_count: 2.0,
            zero_threshold: 0.5,
            positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 2.0],
            ..Histogram::default()
        };
        let below = trimmed(&histogram, 2.0, Kept::Below);
        assert_eq!((below.count, below.positive_buckets), (4.0, vec![2.0]));
        assert_eq!(below.sum, 2.0 * 0.25 + 2.0 * 2.0_f64.sqrt());
        let above = trimmed(&histogram, 8.0_f64.sqrt(), Kept::Above);
        assert!((above.count - 1.0).abs() < 1e-12);
        assert_eq!(above.zero_count, 0.0);
        assert_eq!(trimmed(&histogram, 5.0, Kept::Below), histogram);
    }
}
