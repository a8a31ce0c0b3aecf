//! Runs of samples, summarised so that summaries of neighbouring runs can be joined: what `rate`, `increase`, `delta`,
//! `resets`, `changes` and `{sum,avg,count,min,max,first,last,present}_over_time` need of a window, without its samples.
//!
//! Joining gives, bit for bit, what a scan over all samples gives. Where floating-point arithmetic makes that
//! impossible (sums that are not exact), the summary says so and the samples must be read.

/// 2^53: whole numbers up to this are exact in a float, and sums below it are exact in whatever order they are added.
pub const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A sample: milliseconds since 1970, and the value.
pub type Point = (i64, f64);

/// What is known of a run of at least one sample, in order of time. Stale markers are not samples.
#[derive(Debug, Clone)]
pub struct Summary {
    /// How many samples there are.
    pub count: u64,
    /// The first one.
    pub first: Point,
    /// The last one.
    pub last: Point,
    /// The value before each fall, in order: what a counter's increase has to be corrected by, one after another.
    pub resets: Vec<f64>,
    /// How often a sample's value differs from the one before.
    pub changes: u64,
    /// The smallest value; NaN only if all are.
    pub min: f64,
    /// The largest value; NaN only if all are.
    pub max: f64,
    sum: f64,
    /// The sum of the magnitudes; from [`MAX_EXACT`] on, or infinite where a value is not whole, `sum` is rounded. NaN
    /// where the sum is not known.
    magnitude: f64,
}

impl Summary {
    /// Of one sample.
    #[must_use]
    pub fn of(point: Point) -> Self {
        let value = point.1;
        Self {
            count: 1,
            first: point,
            last: point,
            resets: Vec::new(),
            changes: 0,
            min: value,
            max: value,
            sum: 0.0 + value,
            magnitude: magnitude(value),
        }
    }

    /// Of samples in order of time; `None` of none.
    #[must_use]
    pub fn of_all(points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let mut summary = Self::of(*first);
        for point in rest {
            summary.push(*point);
        }
        Some(summary)
    }

    /// Adds the sample that comes next.
    pub fn push(&mut self, point: Point) {
        let value = point.1;
        self.pass(value);
        self.count += 1;
        self.last = point;
        if value < self.min || self.min.is_nan() {
            self.min = value;
        }
        if value > self.max || self.max.is_nan() {
            self.max = value;
        }
        self.sum += value;
        self.magnitude += magnitude(value);
    }

    /// Adds the run that comes next.
    pub fn join(&mut self, next: &Self) {
        self.pass(next.first.1);
        self.count += next.count;
        self.last = next.last;
        self.resets.extend_from_slice(&next.resets);
        self.changes += next.changes;
        if next.min < self.min || self.min.is_nan() {
            self.min = next.min;
        }
        if next.max > self.max || self.max.is_nan() {
            self.max = next.max;
        }
        self.sum += next.sum;
        self.magnitude += next.magnitude;
    }

    /// Goes from the last value to the next one.
    fn pass(&mut self, value: f64) {
        let before = self.last.1;
        if value < before {
            self.resets.push(before);
        }
        if value != before && !(value.is_nan() && before.is_nan()) {
            self.changes += 1;
        }
    }

    /// The sum of the values, if it is the same in whatever order they are added: all are whole, and the sum of their
    /// magnitudes is below 2^53.
    #[must_use]
    pub fn exact_sum(&self) -> Option<f64> {
        (self.magnitude < MAX_EXACT).then_some(self.sum)
    }

    /// The sum of the values as far as floating-point numbers tell: its last digits depend on how the run was joined.
    /// `None` if what the summary was put back together from did not say it.
    #[must_use]
    pub fn rounded_sum(&self) -> Option<f64> {
        (!self.magnitude.is_nan()).then_some(self.sum)
    }

    /// What the sums are made of, to be written down: the sum and the sum of magnitudes, infinite if the sum is rounded.
    #[must_use]
    pub fn sums(&self) -> Option<(f64, f64)> {
        let magnitude = match self.magnitude {
            magnitude if magnitude.is_nan() => return None,
            magnitude if magnitude < MAX_EXACT => magnitude,
            _ => f64::INFINITY,
        };
        Some((self.sum, magnitude))
    }

    /// Put back together from what was written down.
    #[must_use]
    pub fn from_parts(parts: Parts) -> Self {
        let (sum, magnitude) = parts.sums.unwrap_or((0.0, f64::NAN));
        Self {
            count: parts.count,
            first: parts.first,
            last: parts.last,
            resets: parts.resets,
            changes: parts.changes,
            min: parts.min,
            max: parts.max,
            sum,
            magnitude,
        }
    }

    /// How much a counter rose from the first sample to the last: the difference, and then the value before each fall,
    /// added one after another as Prometheus does.
    #[must_use]
    pub fn increase(&self) -> f64 {
        self.resets
            .iter()
            .fold(self.last.1 - self.first.1, |increase, before| increase + before)
    }
}

/// What a value adds to the sum of magnitudes: infinity if it is not whole, or is minus zero, which a sum does not keep.
fn magnitude(value: f64) -> f64 {
    let whole = value.trunc() == value && value.to_bits() != (-0.0f64).to_bits();
    if whole { value.abs() } else { f64::INFINITY }
}

/// What a [`Summary`] consists of, as it is written down.
#[derive(Debug, Clone)]
pub struct Parts {
    /// [`Summary::count`].
    pub count: u64,
    /// [`Summary::first`].
    pub first: Point,
    /// [`Summary::last`].
    pub last: Point,
    /// [`Summary::resets`].
    pub resets: Vec<f64>,
    /// [`Summary::changes`].
    pub changes: u64,
    /// [`Summary::min`].
    pub min: f64,
    /// [`Summary::max`].
    pub max: f64,
    /// [`Summary::sums`].
    pub sums: Option<(f64, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(summary: &Summary) -> impl PartialEq + std::fmt::Debug {
        let point = |point: Point| (point.0, point.1.to_bits());
        (
            summary.count,
            point(summary.first),
            point(summary.last),
            summary
                .resets
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>(),
            summary.changes,
            [summary.min, summary.max].map(f64::to_bits),
            summary.exact_sum().map(f64::to_bits),
        )
    }

    #[test]
    fn joined_anywhere_it_is_what_a_scan_gives() {
        let values = [
            0.0,
            -0.0,
            5.0,
            7.0,
            f64::NAN,
            f64::NAN,
            3.0,
            3.0,
            0.1,
            f64::INFINITY,
            2.0,
            1e300,
            -4.0,
        ];
        let mut state = 12_345u64;
        for _ in 0..3_000 {
            let mut next = |bound: usize| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % bound
            };
            let kinds = 1 + next(values.len());
            let points: Vec<Point> = (0..2 + next(12))
                .map(|at| (at as i64 * 10, values[next(kinds)]))
                .collect();
            let whole = Summary::of_all(&points).expect("not empty");
            let (left, right) = points.split_at(1 + next(points.len() - 1));
            let mut joined = Summary::of_all(left).expect("not empty");
            joined.join(&Summary::of_all(right).expect("not empty"));
            assert_eq!(
                format!("{:?}", bits(&joined)),
                format!("{:?}", bits(&whole)),
                "{points:?}"
            );
            let falls = points.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
            assert_eq!(whole.resets.len(), falls);
        }
    }

    #[test]
    fn sums_are_given_only_when_exact() {
        let sum = |values: &[f64]| {
            let points: Vec<Point> = values.iter().map(|value| (0, *value)).collect();
            Summary::of_all(&points).and_then(|summary| summary.exact_sum())
        };
        assert_eq!(sum(&[1.0, 2.0, -3.0]), Some(0.0));
        assert_eq!(sum(&[1.0, 0.5]), None);
        let halves = Summary::of_all(&[(0, 1.0), (1, 0.5)]).expect("not empty");
        assert_eq!(halves.rounded_sum(), Some(1.5));
        assert_eq!(halves.sums(), Some((1.5, f64::INFINITY)));
        assert_eq!(sum(&[MAX_EXACT, 1.0]), None);
        assert_eq!(sum(&[1.0, f64::INFINITY]), None);
        assert_eq!(sum(&[f64::NAN, 1.0]), None);
    }
}
