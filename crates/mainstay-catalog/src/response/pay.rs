//! When people work anyway, and what being on call beside that is paid. Money is in exact decimals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::civil;
use mainstay_kernel::PersonId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::platform::Weekday;

/// How many parts one is divided into: four decimals.
const ONE: u64 = 10_000;
const DECIMALS: usize = 4;
/// The most digits before the point.
const WHOLE_DIGITS_MAX: usize = 8;

/// A number that is not negative, of at most 8 digits before the point and 4 after it, kept exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u64);

/// A text is no such number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a number such as \"412.50\", with at most {WHOLE_DIGITS_MAX} digits before the point and {DECIMALS} after it"
)]
pub struct DecimalError(String);

impl Decimal {
    /// One and a half: what the specification pays an hour off hours.
    pub const ONE_AND_A_HALF: Self = Self(ONE + ONE / 2);

    /// In ten thousandths.
    #[must_use]
    pub fn ten_thousandths(self) -> u64 {
        self.0
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let bad = || DecimalError(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, WHOLE_DIGITS_MAX) || !digits(fraction, DECIMALS) {
            return Err(bad());
        }
        format!("{whole}{fraction:0<DECIMALS$}")
            .parse()
            .map(Self)
            .map_err(|_| bad())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:0DECIMALS$}", self.0 % ONE);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / ONE),
            fraction => write!(f, "{}.{fraction}", self.0 / ONE),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

fn workdays() -> BTreeSet<Weekday> {
    Weekday::ALL[..5].iter().copied().collect()
}

fn nine() -> civil::Time {
    civil::time(9, 0, 0, 0)
}

fn seventeen() -> civil::Time {
    civil::time(17, 0, 0, 0)
}

fn one_and_a_half() -> Decimal {
    Decimal::ONE_AND_A_HALF
}

/// When people work anyway, each by the wall clock of their own zone; public holidays are off hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusinessHours {
    /// The days; Monday to Friday if nothing is said.
    #[serde(default = "workdays")]
    pub days: BTreeSet<Weekday>,
    /// From when on those days.
    #[serde(default = "nine")]
    pub from: civil::Time,
    /// Until when on the same day.
    #[serde(default = "seventeen")]
    pub until: civil::Time,
}

impl Default for BusinessHours {
    fn default() -> Self {
        Self {
            days: workdays(),
            from: nine(),
            until: seventeen(),
        }
    }
}

/// What being on call is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// What an hour of work is paid.
    pub hourly: Decimal,
    /// In which currency: `ZAR`.
    pub currency: String,
    /// How many times that an hour on call off hours is paid; 1.5 if nothing is said.
    #[serde(default = "one_and_a_half")]
    pub off_hours: Decimal,
    /// How many times that one in business hours is paid; not at all if nothing is said: it is paid as work.
    #[serde(default)]
    pub business_hours: Decimal,
    /// Those whose hour is paid otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<PersonId, Decimal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_and_nothing_else_is_one() {
        for (text, shown, parts) in [
            ("1.5", "1.5", 15_000),
            ("412.50", "412.5", 4_125_000),
            ("0", "0", 0),
            ("99999999.9999", "99999999.9999", 999_999_999_999),
        ] {
            let number: Decimal = text.parse().expect(text);
            assert_eq!(
                (number.to_string().as_str(), number.ten_thousandths()),
                (shown, parts)
            );
        }
        for bad in [
            "",
            "1.",
            ".5",
            "-1",
            "1,5",
            "1.00001",
            "100000000",
            "1e3",
            " 1",
            "1.5.2",
        ] {
            assert!(bad.parse::<Decimal>().is_err(), "{bad:?}");
        }
    }
}
