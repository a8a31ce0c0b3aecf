//! When a route is muted or active: Alertmanager's time intervals, in its own words.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::spanned::Spanned;

/// For how many days an interval's next change is looked for.
const DAYS_AHEAD: i32 = 400;
const MINUTES_OF_DAY: u16 = 24 * 60;
const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Both ends included.
type Range = (i32, i32);

/// What must all be so for an instant to be in it; what is empty is always so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeInterval {
    /// Minutes of the day, the end not included; 1440 is the end of the day.
    times: Vec<(u16, u16)>,
    /// 0 is Sunday.
    weekdays: Vec<Range>,
    /// From 1; a negative one counts from the end of the month, -1 being its last day.
    days_of_month: Vec<Range>,
    /// From 1.
    months: Vec<Range>,
    years: Vec<Range>,
    /// The zone whose wall clock is read.
    zone: TimeZone,
}

impl TimeInterval {
    /// Whether an instant is in it, by the minute of the zone's wall clock.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.holds(self.zone.to_datetime(at))
    }

    fn holds(&self, wall: DateTime) -> bool {
        let minute = u16::from(wall.hour().unsigned_abs()) * 60 + u16::from(wall.minute().unsigned_abs());
        let in_time = |(start, end): &(u16, u16)| (*start..*end).contains(&minute);
        (self.times.is_empty() || self.times.iter().any(in_time)) && self.has_day(wall.date())
    }

    fn has_day(&self, date: Date) -> bool {
        let within = |ranges: &[Range], value: i32| {
            ranges.is_empty() || ranges.iter().any(|(from, to)| (*from..=*to).contains(&value))
        };
        let days = i32::from(date.days_in_month());
        let from_start = |day: i32| if day < 0 { days + day + 1 } else { day };
        let in_month = |(from, to): &Range| {
            let from = from_start(*from);
            // A range that begins after the month's end is not in it; one that ends there is cut.
            from <= days && (from.max(1)..=from_start(*to).min(days)).contains(&i32::from(date.day()))
        };
        within(&self.weekdays, i32::from(date.weekday().to_sunday_zero_offset()))
            && within(&self.months, i32::from(date.month()))
            && within(&self.years, i32::from(date.year()))
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(in_month))
    }

    /// Every instant of a day at which it may begin or end, as minutes of the wall clock.
    fn edges(&self) -> impl Iterator<Item = u16> + '_ {
        let ends = self.times.iter().flat_map(|(start, end)| [*start, *end]);
        std::iter::once(0).chain(ends.filter(|minute| *minute < MINUTES_OF_DAY))
    }

    /// The next instant after `at` at which it may begin or end; `None` where that is more than a year ahead.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let now = self.contains(at);
        let today = self.zone.to_datetime(at).date();
        let mut minutes: Vec<u16> = self.edges().collect();
        minutes.sort_unstable();
        minutes.dedup();
        for ahead in 0..DAYS_AHEAD {
            let day = today.checked_add(ahead.days()).ok()?;
            let instants = minutes.iter().filter_map(|minute| {
                let wall = day.at(
                    i8::try_from(minute / 60).ok()?,
                    i8::try_from(minute % 60).ok()?,
                    0,
                    0,
                );
                self.zone.to_ambiguous_timestamp(wall).compatible().ok()
            });
            let changed = |instant: &Timestamp| *instant > at && self.contains(*instant) != now;
            if let Some(instant) = instants.filter(changed).min() {
                return Some(instant);
            }
        }
        None
    }
}

impl TimeInterval {
    /// As Alertmanager's configuration has it.
    pub(super) fn to_alertmanager(&self) -> Value {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let times: Vec<Value> = self
            .times
            .iter()
            .map(|(start, end)| json!({"start_time": clock(*start), "end_time": clock(*end)}))
            .collect();
        let range = |(from, to): &Range| format!("{from}:{to}");
        let weekday = |day: i32| WEEKDAYS[usize::try_from(day).unwrap_or_default() % WEEKDAYS.len()];
        let lists = [
            (
                "weekdays",
                self.weekdays
                    .iter()
                    .map(|(from, to)| format!("{}:{}", weekday(*from), weekday(*to)))
                    .collect::<Vec<_>>(),
            ),
            ("days_of_month", self.days_of_month.iter().map(range).collect()),
            ("months", self.months.iter().map(range).collect()),
            ("years", self.years.iter().map(range).collect()),
        ];
        let mut written = Map::new();
        if !times.is_empty() {
            written.insert("times".to_owned(), Value::from(times));
        }
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            written.insert(name.to_owned(), Value::from(list));
        }
        if let Some(name) = self.zone.iana_name() {
            written.insert("location".to_owned(), Value::from(name));
        }
        Value::Object(written)
    }
}

impl Serialize for TimeInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_alertmanager().serialize(serializer)
    }
}

/// A named list of intervals, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedIntervals {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) time_intervals: Vec<IntervalSpec>,
}

/// One interval as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntervalSpec {
    #[serde(default)]
    pub(crate) times: Vec<TimesSpec>,
    #[serde(default)]
    pub(crate) weekdays: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) days_of_month: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) months: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) years: Vec<Spanned<String>>,
    pub(crate) location: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimesSpec {
    pub(crate) start_time: Spanned<String>,
    pub(crate) end_time: Spanned<String>,
}

/// What is wrong with a value, and what was expected.
pub(crate) type Wrong<'a> = (&'a Spanned<String>, String);

impl IntervalSpec {
    /// Reads it; `report` hears what is wrong, and that is left out.
    pub(crate) fn read<'a>(&'a self, mut report: impl FnMut(Wrong<'a>)) -> TimeInterval {
        let mut times = Vec::new();
        for written in &self.times {
            let [start, end] = [&written.start_time, &written.end_time].map(|text| {
                minute_of_day(text).or_else(|| {
                    report((text, "expected a time of day from 00:00 to 24:00".to_owned()));
                    None
                })
            });
            match start.zip(end) {
                Some((start, end)) if start >= end => {
                    report((&written.end_time, "it ends no later than it starts".to_owned()));
                }
                Some(range) => times.push(range),
                None => {}
            }
        }
        let mut ranges = |written: &'a [Spanned<String>], kind: Kind| {
            let mut found = Vec::new();
            for text in written {
                match kind.range(text) {
                    Ok(range) => found.push(range),
                    Err(why) => report((text, why)),
                }
            }
            found
        };
        let weekdays = ranges(&self.weekdays, Kind::Names(&WEEKDAYS, 0));
        let days_of_month = ranges(&self.days_of_month, Kind::DaysOfMonth);
        let months = ranges(&self.months, Kind::Names(&MONTHS, 1));
        let years = ranges(&self.years, Kind::Years);
        let zone = self.location.as_ref().map(|name| match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => {
                report((
                    name,
                    "expected an IANA time zone, such as Africa/Nairobi".to_owned(),
                ));
                TimeZone::UTC
            }
        });
        TimeInterval {
            times,
            weekdays,
            days_of_month,
            months,
            years,
            zone: zone.unwrap_or(TimeZone::UTC),
        }
    }
}

fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok())?;
    let (hour, minute) = (two(hour)?, two(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total)
}

/// What a range is of.
#[derive(Clone, Copy)]
enum Kind {
    /// Names, and the number of the first of them. Months may be numbers, too.
    Names(&'static [&'static str], i32),
    DaysOfMonth,
    Years,
}

impl Kind {
    fn value(self, text: &str) -> Option<i32> {
        match self {
            Self::Names(names, first) => {
                let text = text.to_lowercase();
                let place = names.iter().position(|name| *name == text);
                let named = place
                    .and_then(|place| i32::try_from(place).ok())
                    .map(|place| place + first);
                let number = (first == 1).then(|| text.parse().ok()).flatten();
                named.or(number.filter(|number| (1..=12).contains(number)))
            }
            Self::DaysOfMonth => text
                .parse()
                .ok()
                .filter(|day: &i32| (1..=31).contains(&day.abs())),
            Self::Years => text.parse().ok().filter(|year| (0..=9_999).contains(year)),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Names(_, 0) => "expected a day of the week or a range of them, such as monday:friday",
            Self::Names(..) => "expected a month or a range of them, such as may:august or 1:3",
            Self::DaysOfMonth => {
                "expected a day of the month from 1 to 31 or -31 to -1, or a range such as -3:-1"
            }
            Self::Years => "expected a year or a range of years, such as 2026:2030",
        }
    }

    fn range(self, text: &str) -> Result<Range, String> {
        let (from, to) = text.split_once(':').unwrap_or((text, text));
        let read = |part: &str| self.value(part).ok_or_else(|| self.expected().to_owned());
        let (from, to) = (read(from)?, read(to)?);
        let is_backwards = match self {
            // The last days may follow numbers from the start: where the month's end lies is not known yet.
            Self::DaysOfMonth if from > 0 && to < 0 => false,
            Self::DaysOfMonth if from < 0 && to > 0 => {
                return Err("a range from the end of a month cannot end at its beginning".to_owned());
            }
            _ => from > to,
        };
        if is_backwards {
            return Err("it ends before it begins".to_owned());
        }
        Ok((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(yaml: &str) -> TimeInterval {
        let spec: IntervalSpec = serde_saphyr::from_str(yaml).expect("YAML");
        spec.read(|(text, why)| panic!("{}: {why}", text.value))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn working_hours_follow_the_wall_clock() {
        let office = interval(
            "{times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday'], location: 'America/New_York'}",
        );
        assert!(office.contains(at("2026-03-06T14:00:00Z")), "9:00 in winter");
        assert!(!office.contains(at("2026-03-06T13:59:59Z")));
        assert!(office.contains(at("2026-03-09T13:00:00Z")), "9:00 in summer");
        assert!(
            !office.contains(at("2026-03-06T22:00:00Z")),
            "the end is not in it"
        );
        assert!(!office.contains(at("2026-03-07T15:00:00Z")), "a Saturday");
        assert_eq!(
            office.next_change(at("2026-03-06T22:30:00Z")),
            Some(at("2026-03-09T13:00:00Z")),
            "over a weekend in which clocks change"
        );
        assert_eq!(
            office.next_change(at("2026-03-09T13:00:00Z")),
            Some(at("2026-03-09T21:00:00Z"))
        );
    }

    #[test]
    fn the_end_of_a_month_is_where_it_is() {
        let last = interval("{days_of_month: ['-2:-1']}");
        for (day, is_in) in [
            ("2026-02-26", false),
            ("2026-02-27", true),
            ("2026-02-28", true),
            ("2026-03-01", false),
        ] {
            assert_eq!(last.contains(at(&format!("{day}T12:00:00Z"))), is_in, "{day}");
        }
        let late = interval("{days_of_month: ['30:31'], months: ['february', '4']}");
        assert!(!late.contains(at("2026-02-28T12:00:00Z")), "February has no 30th");
        assert!(late.contains(at("2026-04-30T12:00:00Z")), "cut at the end");
    }

    #[test]
    fn what_is_always_never_changes() {
        assert!(interval("{}").contains(at("2026-02-28T12:00:00Z")));
        assert_eq!(interval("{}").next_change(at("2026-02-28T12:00:00Z")), None);
        assert_eq!(
            interval("{years: ['2020:2025']}").next_change(at("2026-02-28T12:00:00Z")),
            None
        );
    }

    #[test]
    fn what_is_wrong_says_what_was_expected() {
        for (yaml, expected) in [
            (
                "{times: [{start_time: '9:00', end_time: '17:00'}]}",
                "time of day",
            ),
            (
                "{times: [{start_time: '10:00', end_time: '10:00'}]}",
                "no later than",
            ),
            (
                "{times: [{start_time: '10:00', end_time: '24:01'}]}",
                "time of day",
            ),
            ("{weekdays: ['friday:monday']}", "ends before"),
            ("{weekdays: ['1']}", "day of the week"),
            ("{months: ['13']}", "month"),
            ("{days_of_month: ['0']}", "day of the month"),
            ("{days_of_month: ['-1:3']}", "cannot end"),
            ("{years: ['soon']}", "year"),
            ("{location: 'Europe/Nowhere'}", "IANA"),
        ] {
            let spec: IntervalSpec = serde_saphyr::from_str(yaml).expect("YAML");
            let mut said = Vec::new();
            spec.read(|(_, why)| said.push(why));
            assert!(said.len() == 1 && said[0].contains(expected), "{yaml}: {said:?}");
        }
    }
}
