//! Judging that can wait: for how long, and up to how many bad events, nothing that was said of a group can change.
//!
//! A window that ends later begins later too: it loses what lies at its beginning, which is known already, and gains
//! what has yet to come. So from the sums alone it is known that nothing changes until some instant unless there are
//! more bad events by then than a number, and all that a tick has to do is to compare that number with the latest sum.
//! More events that are good only make things better. What is not as simple is judged at every tick: alerts that fire,
//! budgets that are not healthy, and sums that changed in the past by a late sample ([`PrefixSums::revision`]).
//!
//! [`PrefixSums::revision`]: crate::prefix::PrefixSums

use super::judge::View;
use crate::burn::BurnReading;
use crate::prefix::{Edges, Latest, RETENTION_MS};
use crate::sli::Marked;
use crate::window::Window;

const DAY_MS: i64 = 86_400_000;

/// The share of a window by which it may move on: the first that is calm enough.
const SHARES: [i64; 3] = [2, 8, 32];

/// Nothing changes from one instant to another unless the running sum of bad events passes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calm {
    from_ms: i64,
    until_ms: i64,
    /// The most that the running sum of bad events may be.
    most_bad: i64,
    /// The sums that this is said of.
    revision: u32,
}

impl Calm {
    /// Never.
    pub(super) const NONE: Self = Self {
        from_ms: i64::MAX,
        until_ms: i64::MIN,
        most_bad: i64::MIN,
        revision: 0,
    };

    /// Whether it is so at `now_ms`, by the latest sums, `bad` of them bad.
    fn holds(self, now_ms: i64, latest: Latest, bad: i64) -> bool {
        self.from_ms <= now_ms
            && now_ms <= self.until_ms
            && bad <= self.most_bad
            && self.revision == latest.revision
            // What lies ahead of now is in the latest sum and not yet in the window.
            && latest.end_ms <= now_ms
    }

    fn and(self, other: Self) -> Self {
        if self.revision != other.revision {
            return Self::NONE;
        }
        Self {
            from_ms: self.from_ms.max(other.from_ms),
            until_ms: self.until_ms.min(other.until_ms),
            most_bad: self.most_bad.min(other.most_bad),
            revision: self.revision,
        }
    }
}

/// What is calm of an objective in a group.
#[derive(Debug, Clone)]
pub(super) struct Calms {
    /// Everything.
    all: Calm,
    pub(super) budget: Calm,
    /// By pair, in the objective's order.
    pub(super) pairs: Box<[Calm]>,
}

impl Calms {
    /// Nothing is calm of an objective with so many pairs.
    pub(super) fn none(pairs: usize) -> Self {
        Self {
            all: Calm::NONE,
            budget: Calm::NONE,
            pairs: vec![Calm::NONE; pairs].into(),
        }
    }

    /// Takes stock of its parts.
    pub(super) fn sum_up(&mut self) {
        self.all = self.pairs.iter().copied().fold(self.budget, Calm::and);
    }
}

impl View<'_> {
    /// Whether nothing can have changed.
    pub(super) fn is_all_calm(&self, calms: &Calms) -> bool {
        self.is_calm(calms.all)
    }

    pub(super) fn is_calm(&self, calm: Calm) -> bool {
        let latest = self.node.counts.latest();
        let bad = self.sli.running_bad(latest.sums);
        calm.holds(self.now.as_millisecond(), latest, bad)
    }

    /// For how long a pair that does not fire cannot begin to: as long as one of its windows does not burn.
    pub(super) fn pair_calm(&self, reading: &BurnReading) -> Calm {
        let (pair, target) = (&reading.pair, self.objective.target);
        if !reading.long_starts(target) {
            let calm = self.sliding_calm(pair.long_ms, |total| pair.most_bad_long(total, target));
            if calm != Calm::NONE {
                return calm;
            }
        }
        if pair.burns(reading.short, target) {
            return Calm::NONE;
        }
        self.sliding_calm(pair.short_ms, |total| pair.most_bad(total, target))
    }

    /// For how long a budget that is healthy stays so.
    pub(super) fn budget_calm(&self) -> Calm {
        let most_bad = |total| self.objective.budget.most_bad(total, self.objective.target);
        match self.objective.window {
            Window::Rolling(duration) => self.sliding_calm(duration.nominal_ms(), most_bad),
            Window::Calendar(_) => {
                let start_ms = self.bounds.start_ms;
                self.calm(start_ms, start_ms, self.bounds.end_ms, most_bad)
                    .unwrap_or(Calm::NONE)
            }
        }
    }

    fn sliding_calm(&self, length_ms: i64, most_bad: impl Fn(u64) -> Option<u64>) -> Calm {
        let now_ms = self.now.as_millisecond();
        let start_ms = now_ms.saturating_sub(length_ms);
        let waits = SHARES.map(|share| length_ms / share).into_iter();
        waits
            .filter_map(|wait_ms| self.calm(start_ms, start_ms + wait_ms, now_ms + wait_ms, &most_bad))
            .next()
            .unwrap_or(Calm::NONE)
    }

    /// Whether it is calm until `until_ms`, while the window's start moves from one instant to another and of so many
    /// events, all in all, `most_bad` may be bad.
    fn calm(
        &self,
        start_ms: i64,
        last_start_ms: i64,
        until_ms: i64,
        most_bad: impl Fn(u64) -> Option<u64>,
    ) -> Option<Calm> {
        let now_ms = self.now.as_millisecond();
        // Retention must not cut the window short, and samples must not be ahead of the clock.
        let is_kept = now_ms.saturating_sub(start_ms) < RETENTION_MS - 2 * DAY_MS;
        if !is_kept || self.sli.thinned_ms > now_ms {
            return None;
        }
        let sums = &self.node.counts;
        let latest = sums.latest();
        let begins = sums.around(Edges::at(until_ms), start_ms, last_start_ms);
        let [_, total] = latest.sums;
        let [_, passed] = begins.until;
        let allowed = i64::try_from(most_bad(total.saturating_sub(passed))?).ok()?;
        let bad = self.sli.running_bad(latest.sums);
        let calm = |least: i64| {
            let calm = Calm {
                from_ms: now_ms,
                until_ms,
                most_bad: least.saturating_add(allowed),
                revision: latest.revision,
            };
            calm.holds(now_ms, latest, bad).then_some(calm)
        };
        // No window has more bad events than the one that begins where the fewest were bad until then: of bad events that
        // are counted themselves, at the first edge.
        calm(self.sli.running_bad(begins.before))?;
        match self.sli.definition.events.marked() {
            Marked::Bad => calm(self.sli.running_bad(begins.before)),
            Marked::Good => calm(sums.least(&begins, |sums| self.sli.running_bad(sums))),
        }
    }
}
