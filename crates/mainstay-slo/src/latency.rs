//! From the samples of a native histogram to events: every observation is one, good if it was at most the threshold.
//!
//! A histogram says how many observations lie in each of its buckets. Where the threshold is the edge of a bucket that is
//! exact. Where it lies within a bucket nobody can know on which side the observations in that bucket were: they are not
//! counted as good, and stated beside the count as the most that may have been. The edges move where a client changes its
//! resolution between two samples; what happened between those two is then bounded in the same way.
//!
//! Restarts, late samples and counters without a start are as for [`crate::counter`]: the number of all observations is a
//! counter, and decides.

use mainstay_kernel::Histogram;
use mainstay_kernel::histogram::bound;

use crate::codec::{Reader, Writer};
use crate::counter::{Counter, Counting, Lateness, Placed, Point, Verdict, contribution};
use crate::error::SloError;
use crate::tally::Tally;

/// How a threshold divides the observations of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    /// Observations that were surely at most the threshold.
    good: u64,
    /// Observations of which that is unknown.
    unknown: u64,
    /// Between which edges the unknown ones lie, as bits of floats; the same twice where the threshold is an edge.
    between: [u64; 2],
}

impl Cut {
    /// `None` where a count is no whole number that is exact.
    pub(crate) fn of(histogram: &Histogram, threshold: f64) -> Option<Self> {
        let mut sides = Sides {
            threshold,
            good: 0,
            unknown: 0,
        };
        if !histogram.has_custom_buckets() {
            sides.add(
                -histogram.zero_threshold,
                histogram.zero_threshold,
                histogram.zero_count,
            )?;
        }
        let edge = |index| bound(histogram.schema, index, &histogram.custom_values);
        for (spans, counts, is_negative) in [
            (&histogram.positive_spans, &histogram.positive_buckets, false),
            (&histogram.negative_spans, &histogram.negative_buckets, true),
        ] {
            let mut counts = counts.iter();
            let mut index = 0_i32;
            for span in spans {
                index = index.checked_add(span.offset)?;
                for count in counts.by_ref().take(span.length as usize) {
                    let (lower, upper) = (edge(index.checked_sub(1)?), edge(index));
                    if is_negative {
                        sides.add(-upper, -lower, *count)?;
                    } else {
                        sides.add(lower, upper, *count)?;
                    }
                    index = index.checked_add(1)?;
                }
            }
        }
        let (lower, upper) = around(histogram, threshold);
        let between = if upper == threshold {
            [upper, upper]
        } else {
            [lower, upper]
        };
        Some(Self {
            good: sides.good,
            unknown: sides.unknown,
            between: between.map(f64::to_bits),
        })
    }

    /// What may have become of the observations between two samples: surely good ones, and unknown ones. `all` is how
    /// many there were.
    fn since(self, before: Self, all: u64) -> (u64, u64) {
        if self.between == before.between {
            let good = self.good.saturating_sub(before.good).min(all);
            let unknown = self.unknown.saturating_sub(before.unknown);
            return (good, unknown.min(all - good));
        }
        let least = self
            .good
            .saturating_sub(before.good.saturating_add(before.unknown))
            .min(all);
        let most = self
            .good
            .saturating_add(self.unknown)
            .saturating_sub(before.good)
            .min(all);
        (least, most.saturating_sub(least))
    }
}

/// The observations of one histogram on either side of a threshold.
struct Sides {
    threshold: f64,
    good: u64,
    unknown: u64,
}

impl Sides {
    /// Adds the observations above `lower` and up to `upper`.
    fn add(&mut self, lower: f64, upper: f64, count: f64) -> Option<()> {
        let count = crate::counter::exact_count(count)?;
        if upper <= self.threshold {
            self.good = self.good.checked_add(count)?;
        } else if lower < self.threshold {
            self.unknown = self.unknown.checked_add(count)?;
        }
        Some(())
    }
}

/// The edges of the bucket that a threshold lies in, above the first and at most the second, whether or not there is anything
/// in it: two samples of one layout must agree about it.
fn around(histogram: &Histogram, threshold: f64) -> (f64, f64) {
    if histogram.has_custom_buckets() {
        let values = &histogram.custom_values;
        let at = values.partition_point(|value| *value < threshold);
        let lower = at
            .checked_sub(1)
            .map_or(f64::NEG_INFINITY, |before| values[before]);
        return (lower, values.get(at).copied().unwrap_or(f64::INFINITY));
    }
    let zero = histogram.zero_threshold;
    if (-zero..zero).contains(&threshold) {
        return (-zero, zero);
    }
    let size = threshold.abs();
    // Near where the logarithm says; it may be off by one in the last digit.
    let guess = size.log2() * f64::from(histogram.schema).exp2();
    #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
    let mut index = guess.ceil() as i32;
    let edge = |index| bound(histogram.schema, index, &[]);
    while edge(index.saturating_sub(1)) >= size && index > i32::MIN + 1 {
        index -= 1;
    }
    while edge(index) < size && index < i32::MAX - 1 {
        index += 1;
    }
    let (lower, upper) = (edge(index.saturating_sub(1)).max(zero), edge(index));
    if threshold > 0.0 {
        (lower, upper)
    } else if upper == size {
        // A bucket of negative observations is closed where it is nearer to zero.
        (threshold, threshold)
    } else {
        (-upper, -lower)
    }
}

/// What a sample adds on both sides, at its own time and at its successor's.
pub(crate) type Effects = [(i64, Sided); 2];

/// What is added to the good events and to all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sided {
    pub(crate) good: Tally,
    pub(crate) all: Tally,
}

impl Sided {
    fn minus(self, other: Self) -> Self {
        Self {
            good: self.good.minus(other.good),
            all: self.all.minus(other.all),
        }
    }
}

/// The last samples of one native histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observations {
    /// How many there were in all.
    all: Counter,
    /// How the threshold divides them, by time as in `all`.
    cuts: Vec<(i64, Cut)>,
}

impl Observations {
    /// Takes a sample in; on [`Verdict::Counted`] also says between which others it came to lie.
    pub(crate) fn on_sample(
        &mut self,
        t_ms: i64,
        histogram: &Histogram,
        threshold: f64,
        created_ms: Option<i64>,
        lateness: Lateness,
    ) -> (Verdict, Option<Placed>) {
        let Some(cut) = Cut::of(histogram, threshold) else {
            return (Verdict::NotACount, None);
        };
        let (verdict, placed) = self.all.on_sample(t_ms, histogram.count, created_ms, lateness);
        let Some(placed) = placed else {
            return (verdict, None);
        };
        let at = self.cuts.partition_point(|(other_ms, _)| *other_ms < t_ms);
        self.cuts.insert(at, (t_ms, cut));
        // What a late sample could still need is what the counter keeps, and the one before this.
        let oldest_ms = self.all.recent.front().map_or(t_ms, |point| point.t_ms);
        let oldest_ms = placed
            .before
            .map_or(oldest_ms, |before| oldest_ms.min(before.t_ms));
        self.cuts.retain(|(at_ms, _)| *at_ms >= oldest_ms);
        (verdict, Some(placed))
    }

    /// What a sample adds that was taken in.
    pub(crate) fn effects(&self, placed: Placed, counting: Counting, lateness: Lateness) -> Effects {
        let sided = |before: Option<Point>, point: Point| {
            let all = contribution(before, point, counting, lateness);
            Sided {
                good: self.good(before, point, all),
                all,
            }
        };
        let own = sided(placed.before, placed.point);
        let successor = placed
            .after
            .map_or((placed.point.t_ms, Sided::default()), |after| {
                let (now, was) = (sided(Some(placed.point), after), sided(placed.before, after));
                (after.t_ms, now.minus(was))
            });
        [(placed.point.t_ms, own), successor]
    }

    /// The good part of what `point` adds.
    fn good(&self, before: Option<Point>, point: Point, all: Tally) -> Tally {
        let Some(cut) = self.cut_at(point.t_ms) else {
            return Tally::default();
        };
        // All of it happened since, or nothing of it is counted.
        let whole = all.restarts > 0 || before.is_none() || all.missed > 0;
        let events = u64::try_from(all.events).unwrap_or(0);
        let (good, unknown) = match before.and_then(|before| self.cut_at(before.t_ms)) {
            Some(before) if !whole => cut.since(before, events),
            _ if events > 0 => (cut.good, cut.unknown),
            _ if all.missed > 0 => (0, cut.good.saturating_add(cut.unknown)),
            _ => (0, 0),
        };
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Tally {
            events: signed(good),
            missed: signed(unknown),
            restarts: 0,
        }
    }

    fn cut_at(&self, t_ms: i64) -> Option<Cut> {
        let at = self.cuts.binary_search_by_key(&t_ms, |(at_ms, _)| *at_ms).ok()?;
        Some(self.cuts[at].1)
    }

    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.all.last_ms()
    }

    pub(crate) fn encode(&self, out: &mut Writer, encode_counter: fn(&mut Writer, &Counter)) {
        encode_counter(out, &self.all);
        out.len(self.cuts.len());
        for (t_ms, cut) in &self.cuts {
            out.i64(*t_ms);
            for number in [cut.good, cut.unknown, cut.between[0], cut.between[1]] {
                out.u64(number);
            }
        }
    }

    pub(crate) fn decode(
        input: &mut Reader<'_>,
        decode_counter: fn(&mut Reader<'_>) -> Result<Counter, SloError>,
    ) -> Result<Self, SloError> {
        let all = decode_counter(input)?;
        let mut cuts = Vec::new();
        for _ in 0..input.len()? {
            let t_ms = input.i64()?;
            let cut = Cut {
                good: input.u64()?,
                unknown: input.u64()?,
                between: [input.u64()?, input.u64()?],
            };
            cuts.push((t_ms, cut));
        }
        Ok(Self { all, cuts })
    }
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};

    use super::*;

    const LATENESS: Lateness = Lateness {
        window_ms: 600_000,
        forget_ms: 86_400_000,
    };
    const COUNTING: Counting = Counting {
        since_ms: 0,
        warm_until_ms: 0,
    };

    /// Schema 0: buckets (1/2, 1], (1, 2], (2, 4].
    fn histogram(schema: i32, counts: [f64; 3]) -> Histogram {
        Histogram {
            schema,
            zero_threshold: 1e-128,
            count: counts.iter().sum(),
            positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    fn sum(samples: &[(i64, Histogram)], threshold: f64) -> (i64, i64, i64) {
        let mut seen = Observations::default();
        let (mut good, mut unknown, mut all) = (0, 0, 0);
        for (t_ms, histogram) in samples {
            let (_, placed) = seen.on_sample(*t_ms, histogram, threshold, Some(1), LATENESS);
            let effects = placed.map(|placed| seen.effects(placed, COUNTING, LATENESS));
            for (_, sided) in effects.into_iter().flatten() {
                good += sided.good.events;
                unknown += sided.good.missed;
                all += sided.all.events;
            }
        }
        (good, unknown, all)
    }

    #[test]
    fn at_an_edge_the_count_is_exact() {
        let samples = [
            (15_000, histogram(0, [5.0, 3.0, 1.0])),
            (30_000, histogram(0, [9.0, 3.0, 4.0])),
        ];
        assert_eq!(sum(&samples, 2.0), (12, 0, 16));
        assert_eq!(sum(&samples, 1.0), (9, 0, 16));
    }

    #[test]
    fn within_a_bucket_what_is_unknown_is_stated() {
        let samples = [
            (15_000, histogram(0, [5.0, 3.0, 1.0])),
            (30_000, histogram(0, [9.0, 6.0, 1.0])),
        ];
        assert_eq!(sum(&samples, 1.5), (9, 6, 16), "six lie between 1 and 2");
    }

    #[test]
    fn a_coarser_resolution_between_two_samples_bounds_what_happened_there() {
        // Schema 1 has edges 1, 1.41, 2, 2.83; schema 0 has 1, 2, 4.
        let fine = histogram(1, [10.0, 20.0, 30.0]);
        let coarse = histogram(0, [12.0, 60.0, 0.0]);
        let edge = bound(1, 1, &[]);
        let (good, unknown, all) = sum(&[(15_000, fine), (30_000, coarse)], edge);
        assert_eq!(all, 72);
        // 30 at first, and of the 12 that came at least none and at most all.
        assert_eq!(good, 30);
        assert!(good + unknown >= 42, "{good} and {unknown}");
    }

    #[test]
    fn a_restart_counts_what_is_there_and_order_does_not_matter() {
        let samples = [
            (15_000, histogram(0, [5.0, 3.0, 1.0])),
            (30_000, histogram(0, [9.0, 3.0, 4.0])),
            (45_000, histogram(0, [1.0, 1.0, 0.0])),
        ];
        let late = [samples[0].clone(), samples[2].clone(), samples[1].clone()];
        assert_eq!(sum(&samples, 2.0), (14, 0, 18));
        assert_eq!(sum(&late, 2.0), sum(&samples, 2.0));
    }

    #[test]
    fn bounds_of_its_own_and_negative_observations_have_edges_too() {
        let own = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 10.0,
            custom_values: vec![0.1, 0.2, 0.5],
            positive_spans: vec![BucketSpan { offset: 0, length: 4 }],
            positive_buckets: vec![4.0, 3.0, 2.0, 1.0],
            ..Histogram::default()
        };
        assert_eq!(sum(&[(15_000, own.clone())], 0.2), (7, 0, 10));
        assert_eq!(sum(&[(15_000, own)], 0.3), (7, 2, 10));
        let negative = Histogram {
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 9.0,
            negative_spans: vec![BucketSpan { offset: 0, length: 2 }],
            negative_buckets: vec![4.0, 3.0],
            ..Histogram::default()
        };
        assert_eq!(sum(&[(15_000, negative.clone())], 0.5), (9, 0, 9));
        assert_eq!(
            sum(&[(15_000, negative)], -1.0),
            (3, 0, 9),
            "(-2, -1] lies at or below -1"
        );
    }

    #[test]
    fn every_threshold_lies_in_the_bucket_that_holds_it() {
        for schema in -4..=8 {
            for threshold in [1e-9, 0.001, 0.2, 0.25, 0.999, 1.0, 1.5, 2.0, 37.0, 1e9] {
                let (lower, upper) = around(&histogram(schema, [0.0; 3]), threshold);
                assert!(
                    lower < threshold && threshold <= upper,
                    "schema {schema}, {threshold}"
                );
            }
        }
    }
}
