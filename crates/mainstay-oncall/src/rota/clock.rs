//! At which instants a wall clock shows a time.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

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

/// The same, but the last one if it shows it twice.
#[must_use]
pub fn last_instant(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Fold { .. } => ambiguous.later().ok(),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Unambiguous { .. } => first_instant(zone, wall),
    }
}
