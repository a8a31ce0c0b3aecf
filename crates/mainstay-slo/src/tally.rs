//! What samples add to a count, and what they leave in doubt.

use serde::Serialize;

use crate::counter::{Counting, Lateness, Placed, contribution};

/// What one or more samples of one side of an indicator add. Signed, because a late sample moves events from one slice
/// to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events that happened.
    pub(crate) events: i64,
    /// The most events that may have happened besides, before a counter was first seen.
    pub(crate) missed: i64,
    /// Restarts: the events between the last sample and each of them are lost, their number is unknown.
    pub(crate) restarts: i64,
}

impl Tally {
    pub(crate) fn events(count: u64) -> Self {
        Self {
            events: signed(count),
            ..Self::default()
        }
    }

    pub(crate) fn missed(bound: u64) -> Self {
        Self {
            missed: signed(bound),
            ..Self::default()
        }
    }

    pub(crate) fn restarted_with(count: u64) -> Self {
        Self {
            events: signed(count),
            missed: 0,
            restarts: 1,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            events: self.events - other.events,
            missed: self.missed - other.missed,
            restarts: self.restarts - other.restarts,
        }
    }

    #[cfg(test)]
    pub(crate) fn plus(self, other: Self) -> Self {
        self.minus(Self::default().minus(other))
    }
}

/// Counters stay at or below 2^53, so no count of one sample leaves the range.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Placed {
    /// What the sample itself adds, at its own time, and by how much it changes what its successor added.
    pub(crate) fn effects(&self, counting: Counting, lateness: Lateness) -> [(i64, Tally); 2] {
        let own = contribution(self.before, self.point, counting, lateness);
        let successor = self.after.map_or((self.point.t_ms, Tally::default()), |after| {
            let now = contribution(Some(self.point), after, counting, lateness);
            let was = contribution(self.before, after, counting, lateness);
            (after.t_ms, now.minus(was))
        });
        [(self.point.t_ms, own), successor]
    }

    /// The sum of both effects.
    #[cfg(test)]
    pub(crate) fn change(&self, counting: Counting, lateness: Lateness) -> Tally {
        let [(_, own), (_, successor)] = self.effects(counting, lateness);
        own.plus(successor)
    }
}

/// Events counted in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Counts {
    /// Events that spend budget.
    pub bad: u64,
    /// All events, the bad ones among them.
    pub total: u64,
}

/// What a window's counts cannot say. All zero: the counts are the truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Doubt {
    /// At most so many more events on the bad (or good) side, of counters that appeared above 0 without a created time.
    pub missed_marked: u64,
    /// At most so many more events on the total side, for the same reason.
    pub missed_total: u64,
    /// Counters that restarted: what each counted between its last sample and its end is lost.
    pub restarts: u64,
    /// Sources (pods, instances) that ended or began again between two reads: what they counted in between is lost.
    pub ended: u64,
    /// Of them, those of which no witness says how much that can have been.
    pub unbounded: u64,
    /// At most so many events were lost in the others, by what witnesses saw.
    pub unread: u64,
}

impl Doubt {
    /// Whether the counts are the truth.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}
