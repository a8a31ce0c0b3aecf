//! Judging that can wait: for how long, and up to how many bad events, nothing that was said of a group can change.
//!
//! A window that ends later begins later too: it loses what lies at its beginning, which is known already, and gains
//! what has yet to come. So from the sums alone it is known that nothing changes until some instant unless there are
//! more bad events by then than a number, and all that a tick has to do is to compare that number with the latest sum.
//! More events that are good only make things better: while all groups of an objective are calm and seen, and no bad event
//! is counted, it is [`Quiet`] as a whole and costs a tick two comparisons. A budget that is not healthy may turn better by
//! them, and an alert that fires may end: they are calm up to a number of all events, which is a comparison more. What is
//! not as simple is judged at every tick: groups of which something is excluded, and sums that changed in the past by a late
//! sample ([`PrefixSums::revision`]). There the sums before each window are remembered ([`Begin`]), for they are the ones
//! that lie packed and far back.
//!
//! [`PrefixSums::revision`]: crate::prefix::PrefixSums

use mainstay_kernel::fact::BudgetState;

use super::judge::View;
use super::node::Node;
use super::{Settings, Sli};
use crate::burn::{BurnPair, BurnReading};
use crate::objective::Objective;
use crate::prefix::{Begin, Edges, Latest, RETENTION_MS};
use crate::sli::Marked;
use crate::slice::Unit;
use crate::tally::Counts;
use crate::window::Window;

const DAY_MS: i64 = 86_400_000;

/// The share of a window by which it may move on: the first that is calm enough.
const SHARES: [i64; 4] = [2, 8, 32, 128];

/// After how long it is asked again whether anything is calm, in milliseconds.
const ASK_AGAIN_MS: i64 = 60_000;

/// Nothing changes from one instant to another unless the running sum of bad events passes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calm {
    from_ms: i64,
    until_ms: i64,
    /// The most that the running sum of bad events may be.
    most_bad: i64,
    /// The most that the running sum of all events may be: where more good ones would make things better.
    most_total: u64,
    /// The sums that this is said of.
    revision: u32,
}

impl Calm {
    /// Never.
    pub(super) const NONE: Self = Self {
        from_ms: i64::MAX,
        until_ms: i64::MIN,
        most_bad: i64::MIN,
        most_total: 0,
        revision: 0,
    };

    /// What is calm from `now_ms` on, after this was not any more. Where that is nothing, it is asked again in a minute only:
    /// it takes longer than judging.
    pub(super) fn again(self, now_ms: i64, find: impl FnOnce() -> Self) -> Self {
        let is_none = self.from_ms == Self::NONE.from_ms;
        if is_none && now_ms < self.until_ms {
            return self;
        }
        match find() {
            Self::NONE => Self {
                until_ms: now_ms.saturating_add(ASK_AGAIN_MS),
                ..Self::NONE
            },
            calm => calm,
        }
    }

    /// What is calm while a budget and pairs are.
    pub(super) fn of_all(budget: Self, pairs: &[Self]) -> Self {
        pairs.iter().copied().fold(budget, Self::and)
    }

    /// Whether it is so at `now_ms`, by the latest sums, `bad` of them bad.
    fn holds(self, now_ms: i64, latest: Latest, bad: i64) -> bool {
        self.from_ms <= now_ms
            && now_ms <= self.until_ms
            && bad <= self.most_bad
            && latest.sums[1] <= self.most_total
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
            most_total: self.most_total.min(other.most_total),
            revision: self.revision,
        }
    }
}

/// Within which counts nothing changes.
struct Limits {
    most_bad: u64,
    most_total: u64,
}

impl Limits {
    /// More good events change nothing.
    fn bad(most_bad: u64) -> Self {
        Self {
            most_bad,
            most_total: u64::MAX,
        }
    }
}

/// What is calm of an objective in a group.
#[derive(Debug, Clone)]
pub(super) struct Calms {
    /// Everything.
    pub(super) all: Calm,
    pub(super) budget: Calm,
    /// By pair, in the objective's order.
    pub(super) pairs: Box<[Calm]>,
    /// See [`View::begins`].
    pub(super) begins: Box<[Begin]>,
}

impl Calms {
    /// Nothing is calm of an objective with so many pairs.
    pub(super) fn none(pairs: usize) -> Self {
        Self {
            all: Calm::NONE,
            budget: Calm::NONE,
            pairs: vec![Calm::NONE; pairs].into(),
            begins: vec![Begin::default(); 1 + 2 * pairs].into(),
        }
    }
}

/// The most groups of an indicator whose objectives are quiet as a whole: of many some change at every tick.
const QUIET_GROUPS_MAX: usize = 64;

/// No group of an objective can change from one instant to another, unless something stirs its indicator: see
/// [`Sli::stirred`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Quiet {
    from_ms: i64,
    until_ms: i64,
    stirred: u32,
    /// Whether any of its groups is calm only up to a number of all events: good ones stir nothing.
    by_totals: bool,
}

impl Quiet {
    /// Never.
    pub(super) const NONE: Self = Self {
        from_ms: i64::MAX,
        until_ms: i64::MIN,
        stirred: 0,
        by_totals: false,
    };

    /// From `now_ms` on, as far as its groups are; of some objectives never.
    pub(super) fn from(now_ms: i64, objective: &Objective, sli: &Sli) -> Self {
        // What is seen of payments and of a composite is not told by samples of its own, and gauges stir nothing.
        let is_counted = sli.completions.is_none() && sli.unit == Unit::Events;
        let is_looked_for = objective.traffic_floor.is_some() || objective.probes.is_some();
        if !is_counted || is_looked_for || sli.nodes.len() > QUIET_GROUPS_MAX {
            return Self::NONE;
        }
        Self {
            from_ms: now_ms,
            until_ms: i64::MAX,
            stirred: sli.stirred,
            by_totals: false,
        }
    }

    /// Whether it is so at `now_ms`, of the groups of a level and what is calm of each.
    pub(super) fn holds(self, now_ms: i64, sli: &Sli, nodes: &[u32], calms: &[Calms]) -> bool {
        let in_time = self.from_ms <= now_ms && now_ms <= self.until_ms && self.stirred == sli.stirred;
        let has_room = |(node, calms): (&u32, &Calms)| {
            let [_, total] = sli.nodes[*node as usize].counts.latest().sums;
            total <= calms.all.most_total
        };
        in_time && (!self.by_totals || nodes.iter().zip(calms).all(has_room))
    }

    /// No longer than a group that is seen now is calm, and seen without another sample.
    pub(super) fn and(&mut self, calm: Calm, sli: &Sli, node: &Node, settings: &Settings) {
        if self.from_ms <= self.until_ms {
            let until_ms = calm.until_ms.min(sli.seen_until(node, settings.max_gap_ms()));
            let is_calm = calm.from_ms <= self.from_ms;
            self.by_totals |= calm.most_total < u64::MAX;
            self.until_ms = self.until_ms.min(if is_calm { until_ms } else { i64::MIN });
        }
    }

    /// A group is not seen: it is looked at, at every tick.
    pub(super) fn end(&mut self) {
        *self = Self::NONE;
    }
}

impl View<'_> {
    /// Whether nothing can have changed.
    pub(super) fn is_calm(&self, calm: Calm) -> bool {
        let latest = self.node.counts.latest();
        let bad = self.sli.running_bad(latest.sums);
        calm.holds(self.now.as_millisecond(), latest, bad)
    }

    /// For how long a pair that does not fire cannot begin to: as long as one of its windows does not burn.
    pub(super) fn pair_calm(&self, reading: &BurnReading) -> Calm {
        let (pair, target) = (&reading.pair, self.objective.target);
        let from_ms = self.now.as_millisecond().saturating_sub(pair.long_ms);
        if self.silenced.reaches_past(&self.node.group, from_ms) {
            return Calm::NONE;
        }
        if !reading.long_starts(target) {
            let calm = self.sliding_calm(pair.long_ms, |least| {
                Some(Limits::bad(pair.most_bad_long(least.total, target)?))
            });
            if calm != Calm::NONE {
                return calm;
            }
        }
        if pair.burns(reading.short, target) {
            return Calm::NONE;
        }
        self.sliding_calm(pair.short_ms, |least| {
            Some(Limits::bad(pair.most_bad(least.total, target)?))
        })
    }

    /// For how long a pair that fires goes on firing: as long as its short window burns.
    pub(super) fn firing_calm(&self, pair: BurnPair) -> Calm {
        let from_ms = self.now.as_millisecond().saturating_sub(pair.long_ms);
        if self.silenced.reaches_past(&self.node.group, from_ms) {
            return Calm::NONE;
        }
        self.sliding_calm(pair.short_ms, |least| {
            Some(Limits {
                most_bad: u64::MAX,
                most_total: pair.most_total(least.bad, self.objective.target)?,
            })
        })
    }

    /// For how long a budget stays in a state.
    pub(super) fn budget_calm(&self, state: BudgetState) -> Calm {
        if self.excluded.reaches_past(&self.node.group, self.bounds.start_ms) {
            return Calm::NONE;
        }
        let (policy, target) = (self.objective.budget, self.objective.target);
        let limits = |least: Counts| {
            Some(Limits {
                most_bad: policy.most_bad(state, least.total, target)?,
                most_total: policy.most_total(state, least.bad, target)?,
            })
        };
        match self.objective.window {
            Window::Rolling(duration) => self.sliding_calm(duration.nominal_ms(), limits),
            Window::Calendar(_) => {
                let start_ms = self.bounds.start_ms;
                self.calm(start_ms, start_ms, self.bounds.end_ms, limits)
                    .unwrap_or(Calm::NONE)
            }
        }
    }

    fn sliding_calm(&self, length_ms: i64, limits: impl Fn(Counts) -> Option<Limits>) -> Calm {
        let now_ms = self.now.as_millisecond();
        let start_ms = now_ms.saturating_sub(length_ms);
        let waits = SHARES.map(|share| length_ms / share).into_iter();
        waits
            .filter_map(|wait_ms| self.calm(start_ms, start_ms + wait_ms, now_ms + wait_ms, &limits))
            .next()
            .unwrap_or(Calm::NONE)
    }

    /// Whether it is calm until `until_ms`, while the window's start moves from one instant to another. `limits` says of
    /// the fewest events of which the fewest are bad, that a window may have, within which counts nothing changes.
    fn calm(
        &self,
        start_ms: i64,
        last_start_ms: i64,
        until_ms: i64,
        limits: impl Fn(Counts) -> Option<Limits>,
    ) -> Option<Calm> {
        // Only running sums of whole events are compared; slices and composites are judged at every tick.
        if !matches!(self.unit(), Unit::Events | Unit::Samples) {
            return None;
        }
        let now_ms = self.now.as_millisecond();
        // Retention must not cut the window short, and samples must not be ahead of the clock.
        let is_kept = now_ms.saturating_sub(start_ms) < RETENTION_MS - 2 * DAY_MS;
        if !is_kept || self.sli.thinned_ms > now_ms {
            return None;
        }
        let sums = &self.node.counts;
        let latest = sums.latest();
        let begins = sums.around(Edges::at(until_ms), start_ms, last_start_ms);
        let ([_, total], bad) = (latest.sums, self.sli.running_bad(latest.sums));
        let marked = self.sli.definition.events.marked();
        let stays_bad = match marked {
            Marked::Bad => bad.saturating_sub(self.sli.running_bad(begins.until)),
            // What is no sum that only grows may become less.
            Marked::Good => 0,
        };
        let limits = limits(Counts {
            bad: u64::try_from(stays_bad).unwrap_or(0),
            total: total.saturating_sub(begins.until[1]),
        })?;
        let [_, passed] = begins.before;
        let most_total = passed.saturating_add(limits.most_total);
        // As many more as there were lately must have room, or a shorter wait lasts longer.
        let length_ms = now_ms.saturating_sub(start_ms).max(1).unsigned_abs();
        let moves_ms = last_start_ms.saturating_sub(start_ms).unsigned_abs();
        let more = u128::from(total.saturating_sub(passed)) * u128::from(moves_ms) / u128::from(length_ms);
        if u128::from(most_total) < u128::from(total) + more {
            return None;
        }
        let allowed = i64::try_from(limits.most_bad).unwrap_or(i64::MAX);
        let calm = |least: i64| {
            let calm = Calm {
                from_ms: now_ms,
                until_ms,
                most_bad: least.saturating_add(allowed),
                most_total,
                revision: latest.revision,
            };
            calm.holds(now_ms, latest, bad).then_some(calm)
        };
        // No window has more bad events than the one that begins where the fewest were bad until then: of bad events that
        // are counted themselves, at the first edge.
        let at_begin = calm(self.sli.running_bad(begins.before))?;
        match marked {
            Marked::Bad => Some(at_begin),
            Marked::Good => calm(sums.least(&begins, |sums| self.sli.running_bad(sums))),
        }
    }
}
