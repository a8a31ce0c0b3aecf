//! Recurrence rules: the part of RFC 5545 (section 3.3.10) that maintenance needs.
//!
//! `FREQ` (`DAILY`, `WEEKLY` or `MONTHLY`), `INTERVAL`, `BYDAY` (with an ordinal such as `1SU` or `-1FR` where monthly),
//! `BYHOUR`, and `UNTIL` or `COUNT`. Weeks begin on Monday. Days and hours are those of the clocks of a time zone: an hour
//! that clocks skip is taken as it would have been without the change, of an hour that comes twice the first is taken. All
//! other parts are refused, each by its name and place.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// The longest rule that is read, in bytes.
pub const RULE_MAX_BYTES: usize = 512;
/// The most steps of a rule that are looked at: days of a century.
const STEPS_MAX: i64 = 36_600;

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {reason}")]
pub struct RecurrenceError {
    /// Where, in characters from 1.
    pub at: usize,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
}

/// Until when, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Instant(Timestamp),
    /// On the clocks of the zone.
    Local(DateTime),
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    frequency: Frequency,
    interval: u16,
    /// Days of the week; in months with which of them: 1 the first, -1 the last, 0 all.
    by_day: Vec<(i8, Weekday)>,
    by_hour: Vec<i8>,
    until: Option<Until>,
    count: Option<u32>,
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];

impl Recurrence {
    /// Reads `FREQ=WEEKLY;BYDAY=SU`.
    ///
    /// # Errors
    /// With the place of the first thing that is not understood.
    pub fn parse(text: &str) -> Result<Self, RecurrenceError> {
        if text.len() > RULE_MAX_BYTES {
            return Err(error(1, format!("a rule has at most {RULE_MAX_BYTES} bytes")));
        }
        let mut rule = Self {
            frequency: Frequency::Daily,
            interval: 1,
            by_day: Vec::new(),
            by_hour: Vec::new(),
            until: None,
            count: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut at = 1;
        let mut days_at = 1;
        for part in text.split(';') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(error(at, format!("{part:?} is not NAME=VALUE")));
            };
            let value_at = at + name.chars().count() + 1;
            if seen.contains(&name) {
                return Err(error(at, format!("{name} is there twice")));
            }
            seen.push(name);
            match name {
                "FREQ" => rule.frequency = frequency(value, value_at)?,
                "INTERVAL" => rule.interval = number(value, value_at, 1..=1_000)?,
                "COUNT" => rule.count = Some(number(value, value_at, 1..=100_000)?),
                "UNTIL" => rule.until = Some(until(value, value_at)?),
                "BYHOUR" => {
                    rule.by_hour = each(value, value_at, |text, at| number(text, at, 0..=23))?;
                    rule.by_hour.sort_unstable();
                    rule.by_hour.dedup();
                }
                "BYDAY" => {
                    days_at = value_at;
                    rule.by_day = each(value, value_at, day)?;
                }
                _ => {
                    let reason =
                        format!("{name:?} is not read: FREQ, INTERVAL, BYDAY, BYHOUR, UNTIL and COUNT are");
                    return Err(error(at, reason));
                }
            }
            at = value_at + value.chars().count() + 1;
        }
        if !seen.contains(&"FREQ") {
            return Err(error(
                1,
                "a rule says how often: FREQ=DAILY, WEEKLY or MONTHLY".to_owned(),
            ));
        }
        if rule.until.is_some() && rule.count.is_some() {
            return Err(error(
                1,
                "UNTIL and COUNT exclude each other: keep one".to_owned(),
            ));
        }
        if rule.frequency != Frequency::Monthly && rule.by_day.iter().any(|(which, _)| *which != 0) {
            return Err(error(
                days_at,
                "only months have a first or last weekday: write FREQ=MONTHLY".to_owned(),
            ));
        }
        Ok(rule)
    }

    /// When it happens, from `from_ms` on and before `to_ms`, oldest first. `first` is the first time, on the clocks of
    /// `zone`, as RFC 5545's `DTSTART` is. Cost: the steps from `first` to `to_ms`.
    #[must_use]
    pub fn starts(&self, first: DateTime, zone: &TimeZone, from_ms: i64, to_ms: i64) -> Vec<i64> {
        let instant = |local: DateTime| zone.to_timestamp(local).ok().map(Timestamp::as_millisecond);
        let until_ms = match self.until {
            None => i64::MAX,
            Some(Until::Instant(at)) => at.as_millisecond(),
            Some(Until::Local(local)) => instant(local).unwrap_or(i64::MAX),
        };
        let mut left = self.count.unwrap_or(u32::MAX);
        let mut found = Vec::new();
        for step in 0..STEPS_MAX {
            let Some(days) = self.days(first.date(), step) else {
                break;
            };
            for local in days.into_iter().flat_map(|day| self.hours(day, first.time())) {
                let Some(at_ms) = instant(local).filter(|_| local >= first) else {
                    continue;
                };
                if at_ms >= to_ms || at_ms > until_ms || left == 0 {
                    return found;
                }
                left -= 1;
                if at_ms >= from_ms {
                    found.push(at_ms);
                }
            }
        }
        found
    }

    /// The days of one step, in order; `None` past the end of the calendar.
    fn days(&self, first: Date, step: i64) -> Option<Vec<Date>> {
        let by = step * i64::from(self.interval);
        let named = |day: &Date| self.by_day.iter().any(|(_, weekday)| *weekday == day.weekday());
        match self.frequency {
            Frequency::Daily => {
                let day = first.checked_add(Span::new().try_days(by).ok()?).ok()?;
                let all = self.by_day.is_empty();
                Some(Vec::from_iter((all || named(&day)).then_some(day)))
            }
            Frequency::Weekly => {
                let day = first.checked_add(Span::new().try_weeks(by).ok()?).ok()?;
                if self.by_day.is_empty() {
                    return Some(vec![day]);
                }
                let monday = day
                    .checked_sub(Span::new().days(day.weekday().to_monday_zero_offset()))
                    .ok()?;
                let week = (0..7).filter_map(|n| monday.checked_add(Span::new().days(n)).ok());
                Some(week.filter(named).collect())
            }
            Frequency::Monthly => {
                let month = first.first_of_month();
                let month = month.checked_add(Span::new().try_months(by).ok()?).ok()?;
                if self.by_day.is_empty() {
                    // A month without that day is left out, as RFC 5545 has it.
                    let day = Date::new(month.year(), month.month(), first.day()).ok();
                    return Some(Vec::from_iter(day));
                }
                let mut days: Vec<Date> = Vec::new();
                for (which, weekday) in &self.by_day {
                    if *which == 0 {
                        days.extend((1..=5).filter_map(|n| month.nth_weekday_of_month(n, *weekday).ok()));
                    } else {
                        days.extend(month.nth_weekday_of_month(*which, *weekday).ok());
                    }
                }
                days.sort_unstable();
                days.dedup();
                Some(days)
            }
        }
    }

    /// The times of one day, in order.
    fn hours(&self, day: Date, first: Time) -> Vec<DateTime> {
        if self.by_hour.is_empty() {
            return vec![day.to_datetime(first)];
        }
        let at = |hour: &i8| Time::new(*hour, first.minute(), first.second(), 0).ok();
        let times = self.by_hour.iter().filter_map(at);
        times.map(|time| day.to_datetime(time)).collect()
    }
}

fn error(at: usize, reason: String) -> RecurrenceError {
    RecurrenceError { at, reason }
}

fn frequency(text: &str, at: usize) -> Result<Frequency, RecurrenceError> {
    match text {
        "DAILY" => Ok(Frequency::Daily),
        "WEEKLY" => Ok(Frequency::Weekly),
        "MONTHLY" => Ok(Frequency::Monthly),
        other => Err(error(
            at,
            format!("FREQ={other} is not read: write DAILY, WEEKLY or MONTHLY"),
        )),
    }
}

fn number<T>(text: &str, at: usize, range: std::ops::RangeInclusive<T>) -> Result<T, RecurrenceError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        error(
            at,
            format!(
                "expected a number from {} to {}, not {text:?}",
                range.start(),
                range.end()
            ),
        )
    })
}

/// A list with commas.
fn each<T>(
    text: &str,
    mut at: usize,
    read: impl Fn(&str, usize) -> Result<T, RecurrenceError>,
) -> Result<Vec<T>, RecurrenceError> {
    let items = text.split(',').map(|item| {
        let item_at = at;
        at += item.chars().count() + 1;
        read(item, item_at)
    });
    items.collect()
}

fn day(text: &str, at: usize) -> Result<(i8, Weekday), RecurrenceError> {
    let known = WEEKDAYS
        .iter()
        .find_map(|(name, weekday)| Some((text.strip_suffix(name)?, *weekday)));
    let expected = || {
        error(
            at,
            format!("{text:?} is no day: write MO to SU, in months also 1SU or -1FR"),
        )
    };
    let (which, weekday) = known.ok_or_else(expected)?;
    if which.is_empty() {
        return Ok((0, weekday));
    }
    let which = which.strip_prefix('+').unwrap_or(which);
    match which.parse::<i8>() {
        Ok(which) if which != 0 && (-5..=5).contains(&which) => Ok((which, weekday)),
        _ => Err(expected()),
    }
}

fn until(text: &str, at: usize) -> Result<Until, RecurrenceError> {
    let digits = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i16>().ok().filter(|_| plain)
    };
    let small = |range| digits(range).and_then(|number| i8::try_from(number).ok());
    let read = || {
        let date = Date::new(digits(0..4)?, small(4..6)?, small(6..8)?).ok()?;
        let rest = &text[8..];
        if rest.is_empty() {
            return Some(Until::Local(date.to_datetime(Time::new(23, 59, 59, 0).ok()?)));
        }
        if !rest.starts_with('T') || rest.strip_suffix('Z').unwrap_or(rest).len() != 7 {
            return None;
        }
        let time = Time::new(small(9..11)?, small(11..13)?, small(13..15)?, 0).ok()?;
        let local = date.to_datetime(time);
        if rest.ends_with('Z') {
            return TimeZone::UTC.to_timestamp(local).ok().map(Until::Instant);
        }
        Some(Until::Local(local))
    };
    read().ok_or_else(|| {
        error(
            at,
            format!("{text:?} is no end: write 20261231, 20261231T020000 or 20261231T000000Z"),
        )
    })
}
