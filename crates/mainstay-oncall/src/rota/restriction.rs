//! At which times of the week a layer is in force.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use mainstay_catalog::response::{DstConvention, Layer, Restriction};

use super::clock::{first_instant, last_instant};

/// How many days before today a stretch may have begun that is not over: it may end on the next day, and a zone may skip
/// one.
const DAYS_BEFORE: i64 = 2;
/// How many days ahead the next stretch is looked for: two weeks, should a clock change swallow the one of next week.
const DAYS_AHEAD: i64 = 16;

/// A layer's restrictions, with their zones at hand.
pub(super) struct Restrictions<'a>(Vec<(&'a Restriction, TimeZone)>);

impl<'a> Restrictions<'a> {
    pub(super) fn of(layer: &'a Layer) -> Self {
        let only = layer.only.iter();
        Self(only.map(|only| (only, only.time_zone.zone())).collect())
    }
}

/// Whether a layer is in force at `at`, and an instant until which this surely stays so.
pub(super) fn in_force(
    restrictions: &Restrictions<'_>,
    dst: DstConvention,
    at: Timestamp,
) -> (bool, Timestamp) {
    if restrictions.0.is_empty() {
        return (true, Timestamp::MAX);
    }
    let stretches = || {
        let all = restrictions.0.iter();
        all.filter_map(|(only, zone)| stretch(only, zone, dst, at))
    };
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
fn stretch(
    only: &Restriction,
    zone: &TimeZone,
    dst: DstConvention,
    at: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
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
            DstConvention::FirstInstant => first_instant(zone, end),
            DstConvention::Goalert => last_instant(zone, end),
        }?;
        let from = first_instant(zone, day.to_datetime(only.from))?;
        (from < until && at < until).then_some((from, until))
    })
}
