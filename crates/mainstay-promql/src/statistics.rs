//! Sums, means and quantiles, with the error compensation of Prometheus.

/// A Kahan-Neumaier sum.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    compensation: f64,
}

impl Sum {
    pub(crate) fn of(value: f64) -> Self {
        Self {
            sum: value,
            compensation: 0.0,
        }
    }

    /// Adds another sum, with what it was compensated by.
    pub(crate) fn join(&mut self, other: Self) {
        self.add(other.sum);
        self.add(other.compensation);
    }

    /// Multiplies or divides it.
    pub(crate) fn scale(&mut self, scaled: impl Fn(f64) -> f64) {
        self.sum = scaled(self.sum);
        self.compensation = if self.compensation == 0.0 {
            0.0
        } else {
            scaled(self.compensation)
        };
    }

    pub(crate) fn overflows(self) -> bool {
        self.sum.is_infinite()
    }

    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }

    pub(crate) fn value(self) -> f64 {
        if self.sum.is_infinite() {
            self.sum
        } else {
            self.sum + self.compensation
        }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

/// A mean: the compensated sum divided by the count, or an incremental mean once the sum would overflow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    count: f64,
    total: Sum,
    is_incremental: bool,
}

impl Mean {
    pub(crate) fn starting_with(value: f64) -> Self {
        Self {
            count: 1.0,
            total: Sum {
                sum: value,
                compensation: 0.0,
            },
            is_incremental: false,
        }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.is_incremental {
            let mut next = self.total;
            next.add(value);
            if !next.sum.is_infinite() {
                self.total = next;
                return;
            }
            self.is_incremental = true;
            self.total.sum /= self.count - 1.0;
            self.total.compensation /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        self.total.sum *= weight;
        self.total.compensation *= weight;
        self.total.add(value / self.count);
    }

    pub(crate) fn value(self) -> f64 {
        let Sum { sum, compensation } = self.total;
        if self.is_incremental {
            sum + compensation
        } else {
            sum / self.count + compensation / self.count
        }
    }
}

/// The population variance, with a compensated running mean (Welford).
pub(crate) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.compensation);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.compensation)));
    }
    (squares.sum + squares.compensation) / count
}

/// The `quantile` of the values by linear interpolation; NaN sorts below everything.
pub(crate) fn quantile(quantile: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&quantile) {
        return if quantile < 0.0 {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
    }
    values.sort_unstable_by(nan_first);
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer values than 2^53")]
    let rank = quantile * (values.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= rank < len"
    )]
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The median distance from the median; NaN if any value is.
pub(crate) fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, values.to_vec());
    quantile(0.5, values.iter().map(|value| (value - median).abs()).collect())
}

/// In order of value, NaN first.
pub(crate) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// In order of value, NaN last.
pub(crate) fn nan_last(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The smaller value; NaN if either is (Go's `math.Min`).
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// The larger value; NaN if either is (Go's `math.Max`).
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Least squares over `(milliseconds, value)`: slope per second, and the value at `origin_ms`.
pub(crate) fn regression(samples: &[(i64, f64)], origin_ms: i64) -> (f64, f64) {
    let first = samples.first().map_or(f64::NAN, |(_, value)| *value);
    if samples.iter().all(|(_, value)| *value == first) {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "times within a window are far below 2^53 ms"
    )]
    let points = || {
        samples
            .iter()
            .map(|(at, value)| ((at - origin_ms) as f64 / 1000.0, *value))
    };
    let total = |term: fn((f64, f64)) -> f64| {
        let Sum { sum, compensation } = points().map(term).collect::<Sum>();
        sum + compensation
    };
    let (x, y, xy, xx) = (
        total(|(x, _)| x),
        total(|(_, y)| y),
        total(|(x, y)| x * y),
        total(|(x, _)| x * x),
    );
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer samples than 2^53")]
    let count = samples.len() as f64;
    let slope = (xy - x * y / count) / (xx - x * x / count);
    (slope, y / count - slope * x / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_plain_addition_loses() {
        let sum: Sum = [1.0, 1e100, 1.0, -1e100].into_iter().collect();
        assert_eq!(sum.value(), 2.0);
        // The sum of these two is beyond the largest float.
        let mut mean = Mean::starting_with(1.5e308);
        mean.add(1.5e308);
        assert_eq!(mean.value(), 1.5e308);
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(0.5, vec![4.0, 0.0, 1.0]), 1.0);
        assert!(quantile(0.2, vec![0.0, 1.0, f64::NAN]).is_nan());
        assert_eq!(median_deviation(&[4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0]), 1.0);
    }
}
