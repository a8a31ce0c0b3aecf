//! A wall clock in whole numbers: the oracle of everything that follows one. It walks through the offsets of a zone and
//! shares nothing with the code under test.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// The offsets of a zone over some years, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WallClock {
    /// From when, until when (not included), what the wall clock adds.
    pub(crate) stretches: Vec<(i64, i64, i64)>,
}

impl WallClock {
    pub(crate) fn of(zone: &TimeZone, from: Date, until: Date) -> Self {
        let (from, until) = (wall_s(from, Time::midnight()), wall_s(until, Time::midnight()));
        let begin = Timestamp::from_second(from).expect("in range");
        let changes = zone.following(begin).map(|change| change.timestamp().as_second());
        let mut edges: Vec<i64> = std::iter::once(from)
            .chain(changes.take_while(|at| *at < until))
            .collect();
        edges.push(until);
        let offset = |at: i64| {
            let at = Timestamp::from_second(at).expect("in range");
            i64::from(zone.to_offset(at).seconds())
        };
        let mut stretches: Vec<(i64, i64, i64)> = Vec::new();
        for pair in edges.windows(2) {
            let offset = offset(pair[0]);
            // Some changes are of the zone's name alone.
            match stretches.last_mut() {
                Some(last) if last.2 == offset => last.1 = pair[1],
                _ => stretches.push((pair[0], pair[1], offset)),
            }
        }
        Self { stretches }
    }

    /// The first instant at which it shows `wall` or, if it skips it, anything later.
    pub(crate) fn first(&self, wall_s: i64) -> i64 {
        self.first_from(wall_s, &mut 0)
    }

    /// The same for times that never fall, from the stretch where the last one was.
    pub(crate) fn first_from(&self, wall_s: i64, index: &mut usize) -> i64 {
        loop {
            let (from, until, offset) = self.stretches[*index];
            if wall_s - offset < until {
                return (wall_s - offset).max(from);
            }
            *index += 1;
        }
    }

    /// The last instant at which it shows `wall` or, if it skips it, the first one after the gap.
    pub(crate) fn last(&self, wall_s: i64) -> i64 {
        let shows = |(from, until, offset): &(i64, i64, i64)| {
            let at = wall_s - offset;
            (*from <= at && at < *until).then_some(at)
        };
        let last = self.stretches.iter().rev().find_map(shows);
        last.unwrap_or_else(|| self.first(wall_s))
    }

    /// What it shows, in seconds.
    pub(crate) fn shows(&self, at_s: i64) -> i64 {
        let holds = |(from, until, _): &&(i64, i64, i64)| *from <= at_s && at_s < *until;
        at_s + self.stretches.iter().find(holds).expect("within the years").2
    }

    /// The instants at which it jumps.
    pub(crate) fn jumps(&self) -> impl Iterator<Item = i64> {
        self.stretches.iter().skip(1).map(|(from, ..)| *from)
    }
}

/// A date and a time of day as seconds of a clock that is never changed.
pub(crate) fn wall_s(day: Date, at: Time) -> i64 {
    let at = day.to_datetime(at);
    TimeZone::UTC.to_timestamp(at).expect("in range").as_second()
}
