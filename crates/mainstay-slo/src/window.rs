//! The windows of objectives: rolling, or aligned with a calendar in a time zone. Rulings R3 and R4: a calendar month
//! has its real length, and both kinds exist.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use crate::error::SloError;

/// A unit of OpenSLO durations (`10m`, `12h`, `28d`, `4w`, `1M`, `1Q`, `1Y`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `M`
    Month,
    /// `Q`
    Quarter,
    /// `Y`
    Year,
}

/// A duration as OpenSLO writes it: a number and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    /// How many; at least 1.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

/// The longest window, in milliseconds: what prefix sums are kept for.
const LONGEST_MS: i64 = crate::prefix::RETENTION_MS;

impl Duration {
    /// Reads `28d`.
    ///
    /// # Errors
    /// If it is not a number and one of m, h, d, w, M, Q, Y.
    pub fn parse(text: &str) -> Result<Self, SloError> {
        let bad = |reason: &str| SloError::BadWindow {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let syntax = "expected a number and a unit: m(inutes), h, d, w, M(onths), Q or Y, such as 28d or 1M";
        let unit = match text.chars().last() {
            Some('m') => Unit::Minute,
            Some('h') => Unit::Hour,
            Some('d') => Unit::Day,
            Some('w') => Unit::Week,
            Some('M') => Unit::Month,
            Some('Q') => Unit::Quarter,
            Some('Y') => Unit::Year,
            _ => return Err(bad(syntax)),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad(syntax));
        }
        let count: u32 = digits.parse().map_err(|_| bad("the number is too large"))?;
        let duration = Self { count, unit };
        if count == 0 {
            return Err(bad("a duration is longer than nothing"));
        }
        if duration.nominal_ms() > LONGEST_MS {
            return Err(bad("counts are kept for 400 days: no window is longer"));
        }
        Ok(duration)
    }

    /// Its length where it is not tied to a calendar: a month is 30 days, a quarter 90, a year 365, as the OpenSLO SDK
    /// has it.
    #[must_use]
    pub fn nominal_ms(self) -> i64 {
        let unit_ms = match self.unit {
            Unit::Minute => 60_000,
            Unit::Hour => 3_600_000,
            Unit::Day => 86_400_000,
            Unit::Week => 7 * 86_400_000,
            Unit::Month => 30 * 86_400_000,
            Unit::Quarter => 90 * 86_400_000,
            Unit::Year => 365 * 86_400_000,
        };
        i64::from(self.count) * unit_ms
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.unit {
            Unit::Minute => 'm',
            Unit::Hour => 'h',
            Unit::Day => 'd',
            Unit::Week => 'w',
            Unit::Month => 'M',
            Unit::Quarter => 'Q',
            Unit::Year => 'Y',
        };
        write!(f, "{}{unit}", self.count)
    }
}

/// Over which time a promise is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    /// The last so many milliseconds before now.
    Rolling(Duration),
    /// The current period of a calendar.
    Calendar(Calendar),
}

/// Periods that follow each other from an anchor on, by the clock of a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    every: Duration,
    anchor: civil::DateTime,
    zone: TimeZone,
}

/// One stretch of time, open on the left and closed on the right, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    /// Where it begins.
    pub start_ms: i64,
    /// Where it ends; of a calendar period this may be in the future.
    pub end_ms: i64,
}

impl Bounds {
    /// Its length in milliseconds.
    #[must_use]
    pub fn length_ms(self) -> i64 {
        self.end_ms - self.start_ms
    }
}

impl Window {
    /// A calendar month of a zone.
    ///
    /// # Errors
    /// If the zone is not in the time zone database.
    pub fn month(zone: &str) -> Result<Self, SloError> {
        let month = Duration {
            count: 1,
            unit: Unit::Month,
        };
        Calendar::new(month, civil::date(2020, 1, 1).at(0, 0, 0, 0), zone).map(Self::Calendar)
    }

    /// Whose clocks it follows; none where it rolls.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        match self {
            Self::Rolling(_) => None,
            Self::Calendar(calendar) => Some(&calendar.zone),
        }
    }

    /// The window at `now`.
    #[must_use]
    pub fn bounds(&self, now: Timestamp) -> Bounds {
        match self {
            Self::Rolling(duration) => {
                let end_ms = now.as_millisecond();
                Bounds {
                    start_ms: end_ms.saturating_sub(duration.nominal_ms()),
                    end_ms,
                }
            }
            Self::Calendar(calendar) => calendar.period_at(now),
        }
    }
}

impl std::fmt::Display for Window {
    /// `rolling 30d`, or `calendar 1M in Africa/Nairobi`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rolling(duration) => write!(f, "rolling {duration}"),
            Self::Calendar(calendar) => {
                let zone = calendar.zone.iana_name().unwrap_or("UTC");
                write!(f, "calendar {} in {zone}", calendar.every)
            }
        }
    }
}

impl Calendar {
    /// How long a period is.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Periods of the given length, one of which begins at `anchor` on the clocks of `zone` (an IANA name).
    ///
    /// # Errors
    /// If the zone is not in the time zone database.
    pub fn new(every: Duration, anchor: civil::DateTime, zone: &str) -> Result<Self, SloError> {
        let zone = TimeZone::get(zone).map_err(|_| SloError::BadWindow {
            text: zone.to_owned(),
            reason: "not a time zone of the IANA database, such as UTC or Africa/Nairobi".to_owned(),
        })?;
        Ok(Self { every, anchor, zone })
    }

    /// When the period `index` begins, or `None` outside the calendar's years.
    fn start_of(&self, index: i64) -> Option<i64> {
        let count = i64::from(self.every.count).checked_mul(index)?;
        let span = Span::new();
        let days = match self.every.unit {
            // Shorter than a day: real time, whatever the clocks do.
            Unit::Minute | Unit::Hour => {
                let anchor = self.zone.to_timestamp(self.anchor).ok()?;
                let offset = self.every.nominal_ms().checked_mul(index)?;
                return anchor.as_millisecond().checked_add(offset);
            }
            Unit::Day => span.try_days(count),
            Unit::Week => span.try_weeks(count),
            Unit::Month => span.try_months(count),
            Unit::Quarter => span.try_months(count.checked_mul(3)?),
            Unit::Year => span.try_years(count),
        };
        let start = self.anchor.checked_add(days.ok()?).ok()?;
        // Where clocks change: the first of two instants of one name, or the one after the hole.
        Some(self.zone.to_timestamp(start).ok()?.as_millisecond())
    }

    /// The period that `now` is in.
    fn period_at(&self, now: Timestamp) -> Bounds {
        let now_ms = now.as_millisecond();
        // A sample of the very first instant stands for what was before it: periods are open on the left.
        let anchor_ms = self.start_of(0).unwrap_or(0);
        let mut index = (now_ms - anchor_ms).div_euclid(self.every.nominal_ms());
        while self.start_of(index).is_some_and(|start| start >= now_ms) {
            index -= 1;
        }
        while self.start_of(index + 1).is_some_and(|start| start < now_ms) {
            index += 1;
        }
        let fallback = Bounds {
            start_ms: now_ms.saturating_sub(self.every.nominal_ms()),
            end_ms: now_ms,
        };
        self.start_of(index)
            .zip(self.start_of(index + 1))
            .map_or(fallback, |(start_ms, end_ms)| Bounds { start_ms, end_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn months_have_their_real_length_in_their_zone() {
        let month = Window::month("Africa/Nairobi").expect("a zone");
        let bounds = month.bounds(at("2025-01-31T20:59:59Z"));
        assert_eq!(bounds.start_ms, at("2024-12-31T21:00:00Z").as_millisecond());
        assert_eq!(bounds.end_ms, at("2025-01-31T21:00:00Z").as_millisecond());
        for (now, days) in [
            ("2025-02-10T00:00:00Z", 28),
            ("2024-02-10T00:00:00Z", 29),
            ("2025-04-10T00:00:00Z", 30),
        ] {
            assert_eq!(month.bounds(at(now)).length_ms(), days * 86_400_000);
        }
    }

    #[test]
    fn a_month_with_a_clock_change_is_an_hour_shorter_or_longer() {
        let month = Window::month("Europe/Berlin").expect("a zone");
        assert_eq!(
            month.bounds(at("2025-03-15T00:00:00Z")).length_ms(),
            31 * 86_400_000 - 3_600_000
        );
        assert_eq!(
            month.bounds(at("2025-10-15T00:00:00Z")).length_ms(),
            31 * 86_400_000 + 3_600_000
        );
    }

    #[test]
    fn weeks_follow_their_anchor() {
        let anchor = civil::date(2022, 1, 1).at(12, 0, 0, 0);
        let weeks = Calendar::new(Duration::parse("1w").expect("a week"), anchor, "America/New_York")
            .expect("a zone");
        let bounds = Window::Calendar(weeks).bounds(at("2022-01-08T17:00:00Z"));
        assert_eq!(bounds.end_ms, at("2022-01-08T17:00:00Z").as_millisecond());
    }

    #[test]
    fn durations_are_read_strictly() {
        assert_eq!(
            Duration::parse("28d").map(Duration::nominal_ms),
            Ok(28 * 86_400_000)
        );
        for bad in ["", "d", "-1h", "1.5h", "Week", "0d", "2Y", "99999999999d", "1é"] {
            assert!(Duration::parse(bad).is_err(), "{bad}");
        }
        assert!(Window::month("Mars/Olympus").is_err());
    }
}
