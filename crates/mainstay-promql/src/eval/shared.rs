//! What the windows of one series share, so that a step of a query costs what enters and leaves its window, and not the
//! window. The values are those of a full scan, bit for bit. What is kept takes up to 24 bytes per sample of the series,
//! beside the 16 of the sample itself.

use std::collections::VecDeque;

use super::leaf::Cursor;

type Points = [(i64, f64)];

/// Up to here sums of whole numbers are exact, in any order.
const EXACT: i64 = 1 << 53;

/// What is kept per series.
pub(super) enum Shared {
    /// Nothing: every window is scanned.
    Nothing,
    /// Where values fall: the indices of samples that a smaller one follows. A counter's increase over a window is
    /// corrected by these samples in order, which is what a scan adds up.
    Falls(Vec<usize>),
    /// How many neighbours differ, up to each sample.
    Changes(Vec<usize>),
    /// Sums before each sample.
    Sums(Sums),
    /// The samples that can still become the least or the greatest one.
    Extreme(Extreme),
}

/// What is known of a window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'w> {
    /// Nothing: look at its samples.
    Nothing,
    /// The samples that a smaller one follows, by their index in the series, and the index of the window's first.
    Falls(&'w [usize], usize),
    /// How many neighbours differ.
    Changes(usize),
    /// The sum.
    Sum(f64),
    /// The least or the greatest value.
    Extreme(f64),
}

impl Shared {
    /// What a function needs, in one pass over the series.
    pub(super) fn of(function: &str, points: &Points) -> Self {
        let pairs = || points.windows(2).map(|pair| (pair[0].1, pair[1].1));
        match function {
            "rate" | "increase" | "resets" => {
                let falls = pairs().enumerate().filter(|(_, (before, now))| now < before);
                Self::Falls(falls.map(|(index, _)| index).collect())
            }
            "changes" => {
                let mut changes = 0;
                let counted = pairs().map(|(before, now)| {
                    changes += usize::from(before != now && !(before.is_nan() && now.is_nan()));
                    changes
                });
                Self::Changes([0].into_iter().chain(counted).collect())
            }
            "sum_over_time" | "avg_over_time" => Sums::of(points).map_or(Self::Nothing, Self::Sums),
            "min_over_time" => Self::Extreme(Extreme::new(|held, value| held > value)),
            "max_over_time" => Self::Extreme(Extreme::new(|held, value| held < value)),
            _ => Self::Nothing,
        }
    }

    /// What is known of the cursor's window.
    pub(super) fn find(&mut self, cursor: &Cursor<f64>) -> Found<'_> {
        let (from, to) = (cursor.from, cursor.to);
        if from >= to {
            return Found::Nothing;
        }
        match self {
            Self::Nothing => Found::Nothing,
            Self::Falls(falls) => {
                let first = falls.partition_point(|at| *at < from);
                let last = falls.partition_point(|at| at + 1 < to);
                Found::Falls(falls.get(first..last).unwrap_or_default(), from)
            }
            Self::Changes(changes) => Found::Changes(changes[to - 1] - changes[from]),
            Self::Sums(sums) => sums.between(from, to).map_or(Found::Nothing, Found::Sum),
            Self::Extreme(extreme) => Found::Extreme(extreme.between(&cursor.points, from, to)),
        }
    }
}

/// Sums of whole numbers. Only where all of a window are whole, and small enough to be exact, is its sum known; there
/// the compensated sum of a scan has nothing to compensate.
pub(super) struct Sums {
    /// The sum of the whole numbers before each index.
    totals: Vec<i64>,
    /// The sum of their sizes.
    sizes: Vec<i64>,
    /// How many numbers before each index are not whole.
    others: Vec<usize>,
}

impl Sums {
    /// Nothing, if the sums would not fit.
    fn of(points: &Points) -> Option<Self> {
        let length = points.len() + 1;
        let mut sums = Self {
            totals: Vec::with_capacity(length),
            sizes: Vec::with_capacity(length),
            others: Vec::with_capacity(length),
        };
        let (mut total, mut size, mut others) = (0_i64, 0_i64, 0);
        for (_, value) in [(0, 0.0)].iter().chain(points) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "the range is checked"
            )]
            if value.fract() == 0.0 && value.abs() <= EXACT as f64 {
                total = total.checked_add(*value as i64)?;
                size = size.checked_add((*value as i64).abs())?;
            } else {
                others += 1;
            }
            sums.totals.push(total);
            sums.sizes.push(size);
            sums.others.push(others);
        }
        Some(sums)
    }

    fn between(&self, from: usize, to: usize) -> Option<f64> {
        let is_exact = self.others[from] == self.others[to] && self.sizes[to] - self.sizes[from] <= EXACT;
        #[expect(clippy::cast_precision_loss, reason = "no larger than 2^53")]
        is_exact.then(|| (self.totals[to] - self.totals[from]) as f64)
    }
}

/// The least or greatest of a window that only moves forward.
pub(super) struct Extreme {
    /// Whether a held value can no longer be the one once a newer value is there.
    is_beaten: fn(f64, f64) -> bool,
    /// Indices of samples, the best in front; each is the best of those behind the one before it.
    candidates: VecDeque<usize>,
    /// The first sample not yet seen.
    next: usize,
}

impl Extreme {
    fn new(is_beaten: fn(f64, f64) -> bool) -> Self {
        Self {
            is_beaten,
            candidates: VecDeque::new(),
            next: 0,
        }
    }

    /// Of equal values the first one holds; NaN only where there is nothing else, and then the last.
    fn between(&mut self, points: &Points, from: usize, to: usize) -> f64 {
        let value = |index: usize| points[index].1;
        for index in self.next.max(from)..to {
            if value(index).is_nan() {
                continue;
            }
            let is_beaten = self.is_beaten;
            while self
                .candidates
                .back()
                .is_some_and(|held| is_beaten(value(*held), value(index)))
            {
                self.candidates.pop_back();
            }
            self.candidates.push_back(index);
        }
        self.next = self.next.max(to);
        while self.candidates.front().is_some_and(|held| *held < from) {
            self.candidates.pop_front();
        }
        value(self.candidates.front().copied().unwrap_or(to - 1))
    }
}
