//! Turns of one layer.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Unit};
use mainstay_catalog::response::{DstConvention, Layer, TurnUnit};
use mainstay_kernel::PersonId;

use super::clock::first_instant;

/// How many turns the arithmetic of calendars may be off by, next to the strangest changes of clocks.
const OFF_BY_MAX: usize = 64;

/// A turn of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose it is.
    pub person: PersonId,
    /// When it begins.
    pub from: Timestamp,
    /// When the next one begins.
    pub until: Timestamp,
}

/// The turns of a layer, numbered from the first handoff.
pub(super) struct Rotation<'a> {
    layer: &'a Layer,
    zone: TimeZone,
    count: i64,
}

impl<'a> Rotation<'a> {
    pub(super) fn of(layer: &'a Layer) -> Self {
        Self {
            layer,
            zone: layer.time_zone.zone(),
            count: i64::from(layer.turn.value.count.max(1)),
        }
    }

    fn first(&self) -> DateTime {
        self.layer.start.value.to_datetime(self.layer.handoff.time)
    }

    /// What the wall clock shows when a turn begins.
    fn wall(&self, turn: i64) -> Option<DateTime> {
        let units = turn.checked_mul(self.count)?;
        let first = self.first();
        let span = Span::new();
        match self.layer.turn.value.unit {
            TurnUnit::Hours => first.checked_add(span.try_hours(units).ok()?).ok(),
            TurnUnit::Days => first.checked_add(span.try_days(units).ok()?).ok(),
            TurnUnit::Weeks => first.checked_add(span.try_weeks(units).ok()?).ok(),
            TurnUnit::Months => {
                let months = span.try_months(units).ok()?;
                match self.layer.dst {
                    // A day that the month lacks becomes its last.
                    DstConvention::FirstInstant => first.checked_add(months).ok(),
                    // It becomes a day of the next month.
                    DstConvention::Goalert => {
                        let month = first.date().first_of_month().checked_add(months).ok()?;
                        let days = i64::from(first.day()) - 1;
                        Some(month.checked_add(days.days()).ok()?.to_datetime(first.time()))
                    }
                }
            }
        }
    }

    /// When a turn begins.
    pub(super) fn start(&self, turn: i64) -> Option<Timestamp> {
        first_instant(&self.zone, self.wall(turn)?)
    }

    /// The last turn that has begun at `at`: its number, when it began, when the next one begins.
    fn around(&self, at: Timestamp) -> Option<(i64, Timestamp, Timestamp)> {
        let (first, shown) = (self.first(), self.zone.to_datetime(at));
        let units = match self.layer.turn.value.unit {
            TurnUnit::Hours => i64::from(first.until((Unit::Hour, shown)).ok()?.get_hours()),
            TurnUnit::Days => i64::from(first.date().until(shown.date()).ok()?.get_days()),
            TurnUnit::Weeks => i64::from(first.date().until(shown.date()).ok()?.get_days()).div_euclid(7),
            TurnUnit::Months => {
                let months = |at: DateTime| i64::from(at.year()) * 12 + i64::from(at.month());
                months(shown) - months(first)
            }
        };
        // The time of day may put the instant into the turn before or, next to a clock change, into a later one.
        let mut turn = units.div_euclid(self.count);
        let mut until = self.start(turn + 1)?;
        for _ in 0..OFF_BY_MAX {
            if until <= at {
                turn += 1;
                until = self.start(turn + 1)?;
                continue;
            }
            let from = self.start(turn)?;
            if from <= at {
                return Some((turn, from, until));
            }
            until = from;
            turn -= 1;
        }
        None
    }

    /// The turn at `at`.
    pub(super) fn turn_at(&self, at: Timestamp) -> Option<Turn> {
        let people = i64::try_from(self.layer.participants.len())
            .ok()
            .filter(|count| *count > 0)?;
        let goes_back = self.layer.dst == DstConvention::Goalert;
        let (turn, from, until) = self.around(at).filter(|(turn, ..)| goes_back || *turn >= 0)?;
        let index = usize::try_from(turn.rem_euclid(people)).ok()?;
        Some(Turn {
            person: self.layer.participants.get(index)?.value.clone(),
            from,
            until,
        })
    }
}

/// The turn of a layer at `at`, whether or not the layer is in force then; `None` before it begins or if nobody takes
/// turns. Cost: constant.
#[must_use]
pub fn turn_at(layer: &Layer, at: Timestamp) -> Option<Turn> {
    Rotation::of(layer).turn_at(at)
}
