//! At which times of the week a layer is in force.

use jiff::{Timestamp, ToSpan};
use mainstay_catalog::response::{DstConvention, Layer, Restriction};

use super::clock::{first_instant, last_instant};

/// How many days before today a stretch may have begun that is not over: it may end on the next day, and a zone may skip
/// one.
const DAYS_BEFORE: i64 = 2;
/// How many days ahead the next stretch is looked for: two weeks, should a clock change swallow the one of next week.
const DAYS_AHEAD: i64 = 16;

/// Whether a layer is in force at `at`, and an instant until which this surely stays so.
pub(super) fn in_force(layer: &Layer, at: Timestamp) -> (bool, Timestamp) {
    if layer.only.is_empty() {
        return (true, Timestamp::MAX);
    }
    let stretches = || layer.only.iter().filter_map(|only| stretch(only, layer.dst, at));
    let inside = stretches()
        .filter(|(from, _)| *from <= at)
        .map(|(_, until)| until);
    match inside.max() {
        Some(until) => (true, until),
        None => (
            false,
            stretches().map(|(from, _)| from).min().unwrap_or(Timestamp::MAX),
        ),
    }
}

/// The stretch of a restriction that covers `at`, else the next one.
fn stretch(only: &Restriction, dst: DstConvention, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let zone = only.time_zone.zone();
    let today = zone.to_datetime(at).date();
    (-DAYS_BEFORE..=DAYS_AHEAD).find_map(|ahead| {
        let day = today.checked_add(ahead.days()).ok()?;
        if !only.days.contains(&day.weekday().into()) {
            return None;
        }
        let last = if only.until > only.from {
            day
        } else {
            day.tomorrow().ok()?
        };
        let end = last.to_datetime(only.until);
        let until = match dst {
            DstConvention::FirstInstant => first_instant(&zone, end),
            DstConvention::Goalert => last_instant(&zone, end),
        }?;
        let from = first_instant(&zone, day.to_datetime(only.from))?;
        (from < until && at < until).then_some((from, until))
    })
}
