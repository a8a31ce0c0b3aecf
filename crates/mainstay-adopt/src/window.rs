//! Times of the week as restrictions of a layer, and lengths of turns.

use std::collections::BTreeSet;

use jiff::civil::Time;
use mainstay_catalog::platform::{TimeZoneName, Weekday};
use mainstay_catalog::response::{Restriction, TurnLength, TurnUnit};

pub(crate) const DAY_SECONDS: u64 = 86_400;
pub(crate) const WEEK_SECONDS: u64 = 7 * DAY_SECONDS;

/// The day so many days after Monday.
pub(crate) fn weekday(after_monday: u64) -> Weekday {
    let index = usize::try_from(after_monday % 7).unwrap_or(0);
    Weekday::ALL[index]
}

/// The day of a name, of which the first two letters say enough: `MO`, `monday`.
pub(crate) fn weekday_named(name: &str) -> Option<u64> {
    let start = name.get(..2)?.to_ascii_lowercase();
    let index = ["mo", "tu", "we", "th", "fr", "sa", "su"]
        .iter()
        .position(|day| *day == start)?;
    u64::try_from(index).ok()
}

/// `09:00`, `09:00:00` or a time with an offset or a zone behind it.
pub(crate) fn time(text: &str) -> Option<Time> {
    let plain = text.get(..8).or_else(|| text.get(..5))?;
    plain.parse().ok().or_else(|| text.get(..5)?.parse().ok())
}

fn second_of_day(time: Time) -> u64 {
    let of = |part: i8| u64::try_from(part).unwrap_or(0);
    of(time.hour()) * 3_600 + of(time.minute()) * 60 + of(time.second())
}

fn time_of(second: u64) -> Time {
    let part = |value: u64| i8::try_from(value).unwrap_or(0);
    let second = second % DAY_SECONDS;
    Time::new(part(second / 3_600), part(second / 60 % 60), part(second % 60), 0).unwrap_or(Time::midnight())
}

/// From a time of some days, so long. What goes over more than one midnight is one restriction for each day: they touch,
/// and shifts do not end there. Nothing for what is always.
pub(crate) fn windows(
    days: &BTreeSet<u64>,
    from: Time,
    seconds: u64,
    zone: &TimeZoneName,
) -> Vec<Restriction> {
    let mut found = Vec::new();
    let always = (days.len() == 7 && seconds >= DAY_SECONDS) || seconds >= WEEK_SECONDS;
    if always || days.is_empty() || seconds == 0 {
        return found;
    }
    let begin = second_of_day(from);
    let mut push = |shift: u64, from: u64, until: u64| {
        let days = days.iter().map(|day| weekday(day + shift)).collect();
        let one = Restriction {
            days,
            from: time_of(from),
            until: time_of(until),
            time_zone: zone.clone(),
        };
        if !found.contains(&one) {
            found.push(one);
        }
    };
    if seconds <= DAY_SECONDS {
        push(0, begin, begin + seconds);
        return found;
    }
    push(0, begin, 0);
    let mut left = seconds - (DAY_SECONDS - begin);
    let mut shift = 1;
    while left > 0 {
        push(shift, 0, left.min(DAY_SECONDS));
        left -= left.min(DAY_SECONDS);
        shift += 1;
    }
    found
}

/// From a time of one day of the week to a time of another.
pub(crate) fn between(
    (from_day, from): (u64, Time),
    (until_day, until): (u64, Time),
    zone: &TimeZoneName,
) -> Vec<Restriction> {
    let begin = from_day * DAY_SECONDS + second_of_day(from);
    let end = until_day * DAY_SECONDS + second_of_day(until);
    let seconds = (end + WEEK_SECONDS - begin) % WEEK_SECONDS;
    let seconds = if seconds == 0 { WEEK_SECONDS } else { seconds };
    windows(&[from_day].into(), from, seconds, zone)
}

/// How long it is from a time of day to the next that the clock shows `until`; a whole day if they are the same.
pub(crate) fn seconds_until(from: Time, until: Time) -> u64 {
    match (second_of_day(until) + DAY_SECONDS - second_of_day(from)) % DAY_SECONDS {
        0 => DAY_SECONDS,
        seconds => seconds,
    }
}

/// A turn of so many seconds; none if it is not of whole hours.
pub(crate) fn turn(seconds: u64) -> Option<TurnLength> {
    let of = |unit, length: u64| {
        let whole = seconds > 0 && seconds.is_multiple_of(length);
        let count = u16::try_from(seconds / length).ok()?;
        whole.then_some(TurnLength { count, unit })
    };
    of(TurnUnit::Weeks, WEEK_SECONDS)
        .or_else(|| of(TurnUnit::Days, DAY_SECONDS))
        .or_else(|| of(TurnUnit::Hours, 3_600))
}

/// So many hours, days, weeks or months, by the word that the other system has for the unit.
pub(crate) fn turn_of(word: &str, count: u64) -> Option<TurnLength> {
    let unit = match word {
        "hourly" => TurnUnit::Hours,
        "daily" => TurnUnit::Days,
        "weekly" => TurnUnit::Weeks,
        "monthly" => TurnUnit::Months,
        _ => return None,
    };
    let count = u16::try_from(count).ok().filter(|count| *count > 0)?;
    Some(TurnLength { count, unit })
}
