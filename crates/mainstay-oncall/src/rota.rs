//! Who is on call: one function, shared by the notifier, the CLI and the pages.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use mainstay_catalog::response::Rota;
use mainstay_kernel::PersonId;

use crate::fold::Override;

/// A turn of a rota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose it is.
    pub person: PersonId,
    /// When it begins.
    pub from: Timestamp,
    /// When the next one begins.
    pub until: Timestamp,
}

/// The instant at which a wall clock shows `wall`: the first one if it shows it twice, the first instant after the gap
/// if it never does.
#[must_use]
pub fn first_instant(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            let inside = ambiguous.later().ok()?;
            let just_after = inside.checked_add(1.nanosecond()).ok()?;
            Some(zone.preceding(just_after).next()?.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
    }
}

fn turn_start(rota: &Rota, zone: &TimeZone, turn: i64) -> Option<Timestamp> {
    let days = turn.checked_mul(i64::from(rota.turn_days.value))?;
    let day = rota.start.value.checked_add(days.days()).ok()?;
    first_instant(zone, day.to_datetime(rota.handoff.time))
}

/// The turn at `at`; `None` before the rota begins or if nobody takes turns. Cost: constant.
#[must_use]
pub fn turn_at(rota: &Rota, at: Timestamp) -> Option<Turn> {
    let people = i64::try_from(rota.participants.len())
        .ok()
        .filter(|count| *count > 0)?;
    let length = i64::from(rota.turn_days.value.max(1));
    let zone = rota.time_zone.zone();
    let today = zone.to_datetime(at).date();
    let days = i64::from(rota.start.value.until(today).ok()?.get_days());
    let guess = days.div_euclid(length);
    // The handoff's time of day may put the instant into the turn before or, next to a clock change, after.
    let turn = [guess + 1, guess, guess - 1]
        .into_iter()
        .find(|turn| turn_start(rota, &zone, *turn).is_some_and(|start| start <= at))
        .filter(|turn| *turn >= 0)?;
    let index = usize::try_from(turn.rem_euclid(people)).ok()?;
    Some(Turn {
        person: rota.participants.get(index)?.value.clone(),
        from: turn_start(rota, &zone, turn)?,
        until: turn_start(rota, &zone, turn + 1)?,
    })
}

/// Who is on call at `at`: the last override that covers the instant, else whose turn it is.
#[must_use]
pub fn on_call_at(name: &str, rota: &Rota, overrides: &[Override], at: Timestamp) -> Option<PersonId> {
    let covers = |entry: &&Override| entry.rota == name && entry.from <= at && at < entry.until;
    let replaced = overrides
        .iter()
        .rev()
        .find(covers)
        .map(|entry| entry.person.clone());
    replaced.or_else(|| turn_at(rota, at).map(|turn| turn.person))
}
