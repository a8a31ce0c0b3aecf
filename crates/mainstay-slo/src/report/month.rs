//! A calendar month, and when it begins in a zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::window::Bounds;

/// A month: `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The month of an instant, on the clocks of UTC.
    #[must_use]
    pub fn at(at: jiff::Timestamp) -> Self {
        Self(at.to_zoned_datetime(TimeZone::UTC).date().first_of_month())
    }

    /// The month before; this one at the beginning of the calendar.
    #[must_use]
    pub fn before(self) -> Self {
        let before = self.0.checked_sub(jiff::Span::new().months(1));
        Self(before.unwrap_or(self.0))
    }

    /// From its first to its last instant on the clocks of a zone; `None` at the end of the calendar.
    #[must_use]
    pub fn bounds(self, zone: &TimeZone) -> Option<Bounds> {
        let next = self.0.checked_add(jiff::Span::new().months(1)).ok()?;
        let start = |day: Date| {
            let midnight = day.to_datetime(jiff::civil::Time::midnight());
            Some(zone.to_timestamp(midnight).ok()?.as_millisecond())
        };
        Some(Bounds {
            start_ms: start(self.0)?,
            end_ms: start(next)?,
        })
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// The text is not a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written 2026-10")]
pub struct MonthError;

impl std::str::FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let plain =
            |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(year, 4) || !plain(month, 2) {
            return Err(MonthError);
        }
        let (year, month) = (
            year.parse().map_err(|_| MonthError)?,
            month.parse().map_err(|_| MonthError)?,
        );
        Date::new(year, month, 1).map(Self).map_err(|_| MonthError)
    }
}
