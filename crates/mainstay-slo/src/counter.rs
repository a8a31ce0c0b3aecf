//! From the raw samples of one counter to event counts.
//!
//! The rules, sample by sample (`value` is the counter, `previous` the sample before it in time order):
//!
//! - the same or a higher value: `value − previous` events happened in between;
//! - a lower value, or a later created time: the counter began again from 0, so `value` events happened since, and the
//!   events between `previous` and the restart are lost: a *restart*, whose size nobody can know;
//! - the first sample: if the counter was created after counting began, `value` events happened since. Otherwise it is
//!   only a base line: up to `value` events are *missed*, a stated bound (none while counting warms up, when every
//!   counter is new to us and its history belongs to the time before);
//! - two samples of one instant: the first one received holds;
//! - a late sample is put in its place in time and its successor is counted anew, so that the order of arrival never
//!   changes a count; a sample later than [`Lateness::window_ms`] is refused and counted as such;
//! - NaN, infinite, negative, fractional and inexact (above 2^53) values and times outside the years 1970 to 2500 are no
//!   counts: they are refused and counted as such. A stale marker ends nothing: a target that answers again goes on from its
//!   last value.

use std::collections::VecDeque;

use mainstay_kernel::{MAX_EXACT, is_stale};

use crate::tally::Tally;

/// No created time.
const NO_CREATED: i64 = i64::MIN;

/// The most samples kept per series for putting late ones in their place.
pub(crate) const RECENT_MAX: usize = 64;

/// The year 2500, in milliseconds since the epoch.
pub(crate) const LATEST_MS: i64 = 16_725_225_600_000;

/// How late a sample may be, and for how long a series that went silent is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// A sample older than the newest one by this much or more is refused, in milliseconds.
    pub window_ms: i64,
    /// A series that is silent for longer counts as new when it comes back, in milliseconds.
    pub forget_ms: i64,
}

/// Since when an indicator counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// The instant at which counting began, in milliseconds since the epoch.
    pub since_ms: i64,
    /// The last instant at which an unknown counter is taken as a base line without a bound of missed events.
    pub warm_until_ms: i64,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was counted.
    Counted,
    /// A sample of this instant is there already, with the same value.
    Duplicate,
    /// A sample of this instant is there already, with another value; the first one holds.
    Conflict,
    /// It is too late to be put in its place.
    TooLate,
    /// The marker that the series ended.
    Stale,
    /// Not a count: NaN, infinite, negative, fractional, above 2^53, or of an impossible time.
    NotACount,
}

/// One sample as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) t_ms: i64,
    pub(crate) value: u64,
    created_ms: i64,
}

impl Point {
    pub(crate) fn created_ms(self) -> Option<i64> {
        (self.created_ms != NO_CREATED).then_some(self.created_ms)
    }

    pub(crate) fn new(t_ms: i64, value: u64, created_ms: Option<i64>) -> Self {
        Self {
            t_ms,
            value,
            created_ms: created_ms.unwrap_or(NO_CREATED),
        }
    }
}

/// A sample's place: what it now follows, and which sample (if it came late) now follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) before: Option<Point>,
    pub(crate) point: Point,
    pub(crate) after: Option<Point>,
}

/// The last samples of one counter, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) recent: VecDeque<Point>,
    /// Whether samples older than `recent` were counted: nothing can be put before the first one any more.
    pub(crate) trimmed: bool,
}

impl Counter {
    /// Takes a sample in; on [`Verdict::Counted`] also says between which others it came to lie.
    pub(crate) fn on_sample(
        &mut self,
        t_ms: i64,
        value: f64,
        created_ms: Option<i64>,
        lateness: Lateness,
    ) -> (Verdict, Option<Placed>) {
        if is_stale(value) {
            return (Verdict::Stale, None);
        }
        let Some(value) = exact_count(value).filter(|_| (0..LATEST_MS).contains(&t_ms)) else {
            return (Verdict::NotACount, None);
        };
        // A counter cannot have been created after it was read: such a created time says nothing.
        let point = Point::new(t_ms, value, created_ms.filter(|created| *created <= t_ms));
        let newest = self.recent.back().copied();
        if let Some(before) = newest.filter(|newest| newest.t_ms < t_ms) {
            self.recent.push_back(point);
            self.trim(lateness);
            let placed = Placed {
                before: Some(before),
                point,
                after: None,
            };
            return (Verdict::Counted, Some(placed));
        }
        let place = self.recent.partition_point(|other| other.t_ms < t_ms);
        if let Some(same) = self.recent.get(place).filter(|other| other.t_ms == t_ms) {
            let same = same.value == value;
            return (
                if same {
                    Verdict::Duplicate
                } else {
                    Verdict::Conflict
                },
                None,
            );
        }
        let too_late = newest.is_some_and(|newest| t_ms <= newest.t_ms.saturating_sub(lateness.window_ms));
        if too_late || (place == 0 && self.trimmed) {
            return (Verdict::TooLate, None);
        }
        let placed = Placed {
            before: place.checked_sub(1).map(|before| self.recent[before]),
            point,
            after: self.recent.get(place).copied(),
        };
        self.recent.insert(place, point);
        self.trim(lateness);
        (Verdict::Counted, Some(placed))
    }

    /// Keeps what a late sample could still need: everything inside the window and one sample before it.
    fn trim(&mut self, lateness: Lateness) {
        let Some(newest) = self.last_ms() else {
            return;
        };
        let edge = newest.saturating_sub(lateness.window_ms);
        while self.recent.get(1).is_some_and(|second| second.t_ms <= edge) || self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
            self.trimmed = true;
        }
    }

    /// The newest sample's time.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.recent.back().map(|point| point.t_ms)
    }
}

/// What `point` adds, given the sample before it.
pub(crate) fn contribution(
    before: Option<Point>,
    point: Point,
    counting: Counting,
    lateness: Lateness,
) -> Tally {
    let known = before.filter(|before| point.t_ms.saturating_sub(before.t_ms) <= lateness.forget_ms);
    let Some(before) = known else {
        let born_while_counting = point
            .created_ms()
            .is_some_and(|created| created >= counting.since_ms);
        if born_while_counting {
            return Tally::events(point.value);
        }
        let missed = if point.t_ms <= counting.warm_until_ms {
            0
        } else {
            point.value
        };
        return Tally::missed(missed);
    };
    let created_later = match (before.created_ms(), point.created_ms()) {
        (Some(before), Some(now)) => now > before,
        (None, Some(now)) => now > before.t_ms,
        _ => false,
    };
    if created_later || point.value < before.value {
        return Tally::restarted_with(point.value);
    }
    Tally::events(point.value - before.value)
}

/// The integer that a sample's value is, or `None` where it is no exact count.
pub(crate) fn exact_count(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is lost is compared with what was there"
    )]
    let whole = value as i64;
    let is_exact = (0.0..=MAX_EXACT).contains(&value) && whole as f64 == value;
    is_exact.then_some(whole.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS: Lateness = Lateness {
        window_ms: 600_000,
        forget_ms: 86_400_000,
    };
    const COUNTING: Counting = Counting {
        since_ms: 1_000,
        warm_until_ms: 31_000,
    };

    /// Feeds samples in order of arrival and gives the sum of what they added.
    fn total(samples: &[(i64, f64, Option<i64>)]) -> Tally {
        let mut counter = Counter::default();
        let mut sum = Tally::default();
        for (t_ms, value, created_ms) in samples {
            let (_, placed) = counter.on_sample(*t_ms, *value, *created_ms, LATENESS);
            if let Some(placed) = placed {
                sum = sum.plus(placed.change(COUNTING, LATENESS));
            }
        }
        sum
    }

    #[test]
    fn a_counter_born_while_counting_loses_nothing() {
        let sum = total(&[(60_000, 7.0, Some(50_000)), (75_000, 9.0, Some(50_000))]);
        assert_eq!(sum, Tally::events(9));
    }

    #[test]
    fn a_counter_without_a_created_time_is_a_base_line_with_a_bound() {
        assert_eq!(total(&[(60_000, 7.0, None)]), Tally::missed(7));
        assert_eq!(
            total(&[(60_000, 7.0, Some(500))]),
            Tally::missed(7),
            "older than counting"
        );
        assert_eq!(total(&[(16_000, 7.0, None)]), Tally::default(), "warming up");
    }

    #[test]
    fn a_restart_counts_the_new_value_even_where_it_is_higher() {
        let lower = total(&[(16_000, 100.0, None), (31_000, 4.0, None)]);
        assert_eq!(lower, Tally::restarted_with(4));
        let higher = total(&[(16_000, 100.0, Some(2_000)), (31_000, 130.0, Some(20_000))]);
        assert_eq!(
            higher,
            Tally::missed(0)
                .plus(Tally::restarted_with(130))
                .plus(Tally::events(100))
        );
    }

    #[test]
    fn duplicates_conflicts_and_what_is_no_count_change_nothing() {
        let mut counter = Counter::default();
        let mut feed = |t: i64, value: f64| counter.on_sample(t, value, None, LATENESS).0;
        assert_eq!(feed(20_000, 5.0), Verdict::Counted);
        assert_eq!(feed(20_000, 5.0), Verdict::Duplicate);
        assert_eq!(feed(20_000, 6.0), Verdict::Conflict);
        assert_eq!(feed(35_000, mainstay_kernel::STALE_NAN), Verdict::Stale);
        for bad in [f64::NAN, f64::INFINITY, -1.0, 5.5, 1e17] {
            assert_eq!(feed(35_000, bad), Verdict::NotACount, "{bad}");
        }
    }

    #[test]
    fn a_late_sample_reveals_the_restart_it_proves() {
        // In order: 100 → 150 (+50) → restart at 30 (+30). Without the late sample only the 30 were known.
        let late = total(&[(16_000, 100.0, None), (46_000, 30.0, None), (31_000, 150.0, None)]);
        let in_order = total(&[(16_000, 100.0, None), (31_000, 150.0, None), (46_000, 30.0, None)]);
        assert_eq!(late, in_order);
        assert_eq!(late.events, 80);
    }

    #[test]
    fn later_than_the_window_is_refused() {
        let mut counter = Counter::default();
        counter.on_sample(20_000, 1.0, None, LATENESS);
        counter.on_sample(1_000_000, 2.0, None, LATENESS);
        let (verdict, _) = counter.on_sample(400_000, 1.0, None, LATENESS);
        assert_eq!(verdict, Verdict::TooLate);
        let (verdict, _) = counter.on_sample(400_001, 1.0, None, LATENESS);
        assert_eq!(verdict, Verdict::Counted);
    }
}
