//! Histograms in the making: sums, differences, multiples.

use mainstay_kernel::histogram::{BucketSpan, Histogram, ResetHint};

use crate::statistics::Sum;

use super::bucket::{bound, indexed};

/// One histogram has exponential buckets, the other bounds of its own: they cannot be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// What joining two histograms took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    /// One said that its counts began anew, the other that they did not.
    pub(crate) resets_collide: bool,
    /// Their own bounds differed: those they share remain.
    pub(crate) bounds_reconciled: bool,
}

/// A bucket by its index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) index: i64,
    pub(super) count: Sum,
}

/// A histogram whose numbers are compensated sums.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    hint: ResetHint,
    schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero: Sum,
    count: Sum,
    sum: Sum,
    pub(super) positive: Vec<Cell>,
    pub(super) negative: Vec<Cell>,
    custom_values: Vec<f64>,
}

impl Tally {
    /// One histogram.
    pub(crate) fn of(histogram: &Histogram) -> Self {
        let cells = |spans: &[BucketSpan], counts: &[f64]| {
            let cells = indexed(spans, counts).map(|(index, count)| Cell {
                index,
                count: Sum::of(count),
            });
            cells.collect()
        };
        Self {
            hint: histogram.reset_hint,
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero: Sum::of(histogram.zero_count),
            count: Sum::of(histogram.count),
            sum: Sum::of(histogram.sum),
            positive: cells(&histogram.positive_spans, &histogram.positive_buckets),
            negative: cells(&histogram.negative_spans, &histogram.negative_buckets),
            custom_values: histogram.custom_values.clone(),
        }
    }

    /// Nothing, in the layout of a histogram without its buckets.
    pub(crate) fn empty_like(histogram: &Histogram) -> Self {
        Self::of(&Histogram {
            schema: histogram.schema,
            custom_values: histogram.custom_values.clone(),
            ..Histogram::default()
        })
    }

    /// Adds a histogram.
    pub(crate) fn add(&mut self, other: &Histogram) -> Result<Joined, Incompatible> {
        self.join(other, |value| value)
    }

    /// Takes a histogram away. The hint is joined as it is for a sum.
    pub(crate) fn subtract(&mut self, other: &Histogram) -> Result<Joined, Incompatible> {
        self.join(other, |value| -value)
    }

    fn join(&mut self, other: &Histogram, signed: fn(f64) -> f64) -> Result<Joined, Incompatible> {
        let custom = other.has_custom_buckets();
        if custom != self.is_custom() {
            return Err(Incompatible);
        }
        let mut joined = Joined {
            resets_collide: self.join_hint(other.reset_hint),
            bounds_reconciled: false,
        };
        self.count.add(signed(other.count));
        self.sum.add(signed(other.sum));
        if custom {
            joined.bounds_reconciled = self.join_custom(other, signed);
            return Ok(joined);
        }
        if self.zero_threshold == other.zero_threshold {
            self.zero.add(signed(other.zero_count));
            self.join_sides(
                other.schema,
                indexed(&other.positive_spans, &other.positive_buckets)
                    .map(|(index, count)| (index, signed(count))),
                indexed(&other.negative_spans, &other.negative_buckets)
                    .map(|(index, count)| (index, signed(count))),
            );
        } else {
            let mut other = Self::of(other);
            self.share_zero(&mut other);
            self.zero.add(signed(other.zero.value()));
            let values = |cells: Vec<Cell>| {
                cells
                    .into_iter()
                    .map(move |cell| (cell.index, signed(cell.count.value())))
            };
            self.join_sides(other.schema, values(other.positive), values(other.negative));
        }
        Ok(joined)
    }

    fn join_sides(
        &mut self,
        schema: i32,
        positive: impl Iterator<Item = (i64, f64)>,
        negative: impl Iterator<Item = (i64, f64)>,
    ) {
        self.reduce(schema);
        let (target, threshold) = (self.schema, self.zero_threshold);
        let fits = |(index, count): (i64, f64)| (reduced(index, schema, target), count);
        let is_inside_zero = |(index, _): &(i64, f64)| bound(*index, target) <= threshold;
        add_cells(&mut self.positive, positive.map(fits).skip_while(is_inside_zero));
        add_cells(&mut self.negative, negative.map(fits).skip_while(is_inside_zero));
    }

    /// Adds buckets with bounds of their own; says whether bounds differed.
    fn join_custom(&mut self, other: &Histogram, signed: fn(f64) -> f64) -> bool {
        let buckets = indexed(&other.positive_spans, &other.positive_buckets);
        if self.custom_values == other.custom_values {
            add_cells(
                &mut self.positive,
                buckets.map(|(index, count)| (index, signed(count))),
            );
            return false;
        }
        let shared = shared_bounds(&self.custom_values, &other.custom_values);
        let held = std::mem::take(&mut self.positive);
        let own = std::mem::replace(&mut self.custom_values, shared);
        for cell in held {
            let index = fitted(cell.index, &own, &self.custom_values);
            match self.positive.last_mut().filter(|last| last.index == index) {
                Some(last) => last.count.join(cell.count),
                None => self.positive.push(Cell { index, ..cell }),
            }
        }
        let custom_values = &self.custom_values;
        add_cells(
            &mut self.positive,
            buckets.map(|(index, count)| (fitted(index, &other.custom_values, custom_values), signed(count))),
        );
        self.positive.retain(|cell| cell.count.value() != 0.0);
        true
    }

    /// What is known of resets in a sum; says whether the two contradict each other.
    fn join_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (hint, collide) = match (self.hint, other) {
            (mine, other) if mine == other => (mine, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.hint = hint;
        collide
    }

    /// Finds a zero bucket that both have room for: no populated bucket reaches across its edge.
    fn share_zero(&mut self, other: &mut Self) {
        loop {
            if self.zero_threshold < other.zero_threshold {
                self.widen_zero(other.zero_threshold);
            } else if other.zero_threshold < self.zero_threshold {
                other.widen_zero(self.zero_threshold);
            } else {
                return;
            }
        }
    }

    /// Widens the zero bucket to the threshold, or to the far bound of a populated bucket that the threshold lies in.
    pub(super) fn widen_zero(&mut self, threshold: f64) {
        let schema = self.schema;
        let mut threshold = threshold;
        loop {
            let cut = self.positive.iter().chain(&self.negative).find(|cell| {
                cell.count.value() != 0.0
                    && bound(cell.index - 1, schema) < threshold
                    && bound(cell.index, schema) > threshold
            });
            match cut {
                Some(cell) => threshold = bound(cell.index, schema),
                None => break,
            }
        }
        self.zero_threshold = threshold;
        for side in [&mut self.positive, &mut self.negative] {
            let inside = side.partition_point(|cell| bound(cell.index - 1, schema) < threshold);
            for cell in side.drain(..inside) {
                self.zero.join(cell.count);
            }
        }
    }

    /// Lowers the resolution to `schema`, if it is higher.
    pub(crate) fn reduce(&mut self, schema: i32) {
        if schema >= self.schema {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            for cell in side.iter_mut() {
                cell.index = reduced(cell.index, self.schema, schema);
            }
            side.dedup_by(|next, kept| {
                let same = next.index == kept.index;
                if same {
                    kept.count.join(next.count);
                }
                same
            });
        }
        self.schema = schema;
    }

    fn is_custom(&self) -> bool {
        self.schema == mainstay_kernel::histogram::CUSTOM_BUCKETS_SCHEMA
    }

    /// Multiplies everything. What a negative factor gives can only be a gauge.
    pub(crate) fn multiply(&mut self, factor: f64) {
        self.each(|sum| sum.scale(|value| value * factor));
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Divides everything; a division by zero leaves no buckets.
    pub(crate) fn divide(&mut self, by: f64) {
        if by == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        self.each(|sum| sum.scale(|value| value / by));
        if by < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn each(&mut self, change: impl Fn(&mut Sum)) {
        [&mut self.zero, &mut self.count, &mut self.sum]
            .into_iter()
            .for_each(&change);
        let cells = self.positive.iter_mut().chain(&mut self.negative);
        cells.for_each(|cell| change(&mut cell.count));
    }

    /// Whether any number is beyond the largest float.
    pub(crate) fn overflows(&self) -> bool {
        let cells = self.positive.iter().chain(&self.negative);
        [self.zero, self.count, self.sum]
            .into_iter()
            .chain(cells.map(|cell| cell.count))
            .any(Sum::overflows)
    }

    /// The number of observations.
    pub(crate) fn count(&self) -> f64 {
        self.count.value()
    }

    /// Says what is known of resets.
    pub(crate) fn with_hint(mut self, hint: ResetHint) -> Self {
        self.hint = hint;
        self
    }

    /// The histogram, without empty buckets.
    pub(crate) fn compact(mut self) -> Histogram {
        self.positive.retain(|cell| cell.count.value() != 0.0);
        self.negative.retain(|cell| cell.count.value() != 0.0);
        self.finish()
    }

    /// The histogram, with the buckets of all that went into it, empty ones too.
    pub(crate) fn finish(self) -> Histogram {
        let (positive_spans, positive_buckets) = spans(&self.positive);
        let (negative_spans, negative_buckets) = spans(&self.negative);
        Histogram {
            reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero.value(),
            count: self.count.value(),
            sum: self.sum.value(),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: self.custom_values,
        }
    }
}

/// Adds buckets, both sides in order of index. Layouts mostly agree, so that a bucket is seldom put in between.
fn add_cells(cells: &mut Vec<Cell>, added: impl Iterator<Item = (i64, f64)>) {
    let mut at = 0;
    for (index, count) in added {
        while cells.get(at).is_some_and(|cell| cell.index < index) {
            at += 1;
        }
        match cells.get_mut(at).filter(|cell| cell.index == index) {
            Some(cell) => cell.count.add(count),
            None => cells.insert(
                at,
                Cell {
                    index,
                    count: Sum::of(count),
                },
            ),
        }
    }
}

/// The index of the bucket of a lower resolution that holds a bucket.
pub(super) fn reduced(index: i64, from: i32, to: i32) -> i64 {
    let halvings = from.saturating_sub(to).clamp(0, 62);
    ((index - 1) >> halvings) + 1
}

/// The bounds that both have, in order.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let is_shared = |bound: &&f64| b.binary_search_by(|other| other.total_cmp(bound)).is_ok();
    a.iter().filter(is_shared).copied().collect()
}

/// The index of the bucket of fewer bounds that holds a bucket of more.
pub(super) fn fitted(index: i64, bounds: &[f64], fewer: &[f64]) -> i64 {
    let upper = super::bucket::custom_bound(bounds, index);
    let fitted = fewer.partition_point(|bound| *bound < upper);
    i64::try_from(fitted).unwrap_or(i64::MAX)
}

fn spans(cells: &[Cell]) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut next = 0;
    for cell in cells {
        match spans.last_mut().filter(|_| cell.index == next) {
            Some(span) => span.length += 1,
            None => spans.push(BucketSpan {
                offset: i32::try_from(cell.index - next).unwrap_or(i32::MAX),
                length: 1,
            }),
        }
        next = cell.index + 1;
    }
    (spans, cells.iter().map(|cell| cell.count.value()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i32, threshold: f64, zero: f64, offset: i32, counts: &[f64]) -> Histogram {
        Histogram {
            schema,
            zero_threshold: threshold,
            zero_count: zero,
            count: zero + counts.iter().sum::<f64>(),
            positive_spans: vec![BucketSpan {
                offset,
                length: u32::try_from(counts.len()).expect("few"),
            }],
            positive_buckets: counts.to_vec(),
            ..Histogram::default()
        }
    }

    #[test]
    fn the_coarser_resolution_and_the_wider_zero_bucket_win() {
        let mut tally = Tally::of(&histogram(1, 0.0, 1.0, -1, &[1.0, 2.0, 3.0, 4.0]));
        let other = histogram(0, 0.5, 5.0, 0, &[1.0, 1.0]);
        assert_eq!(tally.add(&other), Ok(Joined::default()));
        let sum = tally.compact();
        assert_eq!((sum.schema, sum.zero_threshold, sum.zero_count), (0, 0.5, 6.0));
        // (0.5, 1] holds 1 + 2 + 1, (1, 2] holds 3 + 4 + 1.
        assert_eq!(sum.positive_buckets, [4.0, 8.0]);
        assert_eq!(sum.positive_spans, [BucketSpan { offset: 0, length: 2 }]);
        assert_eq!(sum.count, 18.0);
    }

    #[test]
    fn a_populated_bucket_across_the_edge_goes_into_the_zero_bucket() {
        let mut tally = Tally::of(&histogram(0, 0.75, 1.0, 2, &[1.0]));
        tally
            .add(&histogram(0, 0.0, 1.0, 0, &[7.0, 1.0]))
            .expect("compatible");
        let sum = tally.compact();
        assert_eq!((sum.zero_threshold, sum.zero_count), (1.0, 9.0));
        assert_eq!(sum.positive_buckets, [1.0, 1.0]);
    }

    #[test]
    fn gaps_become_spans() {
        let mut tally = Tally::of(&histogram(0, 0.0, 0.0, 5, &[1.0]));
        tally
            .add(&histogram(0, 0.0, 0.0, -2, &[1.0, 0.0, 1.0]))
            .expect("compatible");
        let sum = tally.compact();
        let spans: Vec<(i32, u32)> = sum.positive_spans.iter().map(|s| (s.offset, s.length)).collect();
        assert_eq!(spans, [(-2, 1), (1, 1), (4, 1)]);
        assert!(sum.validate().is_ok());
    }
}
