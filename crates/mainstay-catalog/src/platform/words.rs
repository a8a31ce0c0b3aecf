//! Small checked words: countries, time zones, days of the week.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A country: two capital letters (ISO 3166-1 alpha-2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country(String);

/// The text is not a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a country is two capital letters, such as ZA or KE (ISO 3166-1)")]
pub struct CountryError;

impl Country {
    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Country {
    type Error = CountryError;

    fn try_from(text: String) -> Result<Self, CountryError> {
        let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        fits.then_some(Self(text)).ok_or(CountryError)
    }
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.0
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The time zone database that is built in: the machine's own may differ, and a shift must not depend on where it is
/// computed.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The name of a time zone that the built-in time zone database knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZoneName(String);

/// The time zone database has no such zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone of the IANA database, such as Africa/Johannesburg")]
pub struct TimeZoneNameError(String);

impl TimeZoneName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The zone itself.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        // The name was checked when it was made, against the same database.
        ZONES.get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl Default for TimeZoneName {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl TryFrom<String> for TimeZoneName {
    type Error = TimeZoneNameError;

    fn try_from(text: String) -> Result<Self, TimeZoneNameError> {
        match ZONES.get(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(TimeZoneNameError(text)),
        }
    }
}

impl FromStr for TimeZoneName {
    type Err = TimeZoneNameError;

    fn from_str(text: &str) -> Result<Self, TimeZoneNameError> {
        Self::try_from(text.to_owned())
    }
}

impl From<TimeZoneName> for String {
    fn from(zone: TimeZoneName) -> Self {
        zone.0
    }
}

impl fmt::Display for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days explain themselves")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// The days in order.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];
}

impl From<Weekday> for jiff::civil::Weekday {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        use jiff::civil::Weekday as Day;
        match day {
            Day::Monday => Self::Monday,
            Day::Tuesday => Self::Tuesday,
            Day::Wednesday => Self::Wednesday,
            Day::Thursday => Self::Thursday,
            Day::Friday => Self::Friday,
            Day::Saturday => Self::Saturday,
            Day::Sunday => Self::Sunday,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn zones_come_from_the_built_in_database() {
        let zone: TimeZoneName = "Europe/London".parse().expect("it is there");
        let nine = date(2026, 7, 1).at(9, 0, 0, 0);
        let summer = zone
            .zone()
            .to_timestamp(nine)
            .expect("the clock is not changed then");
        assert_eq!(summer.to_string(), "2026-07-01T08:00:00Z");
        assert!("Africa/Johanesburg".parse::<TimeZoneName>().is_err());
        assert!("../../etc/passwd".parse::<TimeZoneName>().is_err());
        assert!("".parse::<TimeZoneName>().is_err());
    }

    #[test]
    fn a_country_is_two_capital_letters() {
        assert!("ZA".parse::<Country>().is_ok());
        for bad in ["za", "ZAF", "Z", "", "Z1", "ZÄ"] {
            assert!(bad.parse::<Country>().is_err(), "{bad}");
        }
    }
}
