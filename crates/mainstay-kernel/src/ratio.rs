//! Exact ratios. Objectives and budgets are never floats: 99.95 % is 9 995 / 10 000, not 0.9995000000000001.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A non-negative fraction in lowest terms. The denominator is never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: u64,
    denominator: u64,
}

/// Why a text is not a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RatioError {
    /// Not a decimal such as `0.9995` or `99.95%`.
    #[error("expected a decimal such as 0.9995 or a percentage such as 99.95%")]
    Syntax,
    /// More than 15 digits.
    #[error("a ratio has at most 15 digits")]
    TooPrecise,
    /// The denominator is 0.
    #[error("a ratio's denominator must not be 0")]
    ZeroDenominator,
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };
    /// The whole.
    pub const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `numerator / denominator`, reduced.
    ///
    /// # Errors
    /// If the denominator is 0.
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, RatioError> {
        if denominator == 0 {
            return Err(RatioError::ZeroDenominator);
        }
        let divisor = gcd(numerator, denominator).max(1);
        Ok(Self {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        })
    }

    /// The numerator, in lowest terms.
    #[must_use]
    pub fn numerator(self) -> u64 {
        self.numerator
    }

    /// The denominator, in lowest terms; never 0.
    #[must_use]
    pub fn denominator(self) -> u64 {
        self.denominator
    }

    /// `1 - self`, or `None` if `self` is above 1.
    #[must_use]
    pub fn complement(self) -> Option<Self> {
        let numerator = self.denominator.checked_sub(self.numerator)?;
        Some(Self {
            numerator,
            denominator: self.denominator,
        })
    }

    /// `count × self`, rounded towards zero.
    #[must_use]
    pub fn floor_of(self, count: u64) -> u64 {
        let product = u128::from(count) * u128::from(self.numerator) / u128::from(self.denominator);
        u64::try_from(product).unwrap_or(u64::MAX)
    }

    /// Nearest float, for display and charts only; decisions use the integers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for display only")]
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// As a percentage with `decimals` digits, rounded half up: `99.95%`. Exact integer arithmetic.
    #[must_use]
    pub fn percent(self, decimals: u32) -> String {
        let scale = 10_u128.pow(decimals.min(12));
        let scaled = (u128::from(self.numerator) * 100 * scale * 2 + u128::from(self.denominator))
            / (u128::from(self.denominator) * 2);
        if decimals == 0 {
            return format!("{scaled}%");
        }
        format!(
            "{}.{:0width$}%",
            scaled / scale,
            scaled % scale,
            width = decimals.min(12) as usize
        )
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = u128::from(self.numerator) * u128::from(other.denominator);
        let right = u128::from(other.numerator) * u128::from(self.denominator);
        left.cmp(&right)
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let text = text.trim();
        let (digits, percent) = match text.strip_suffix('%') {
            Some(rest) => (rest.trim_end(), true),
            None => (text, false),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(RatioError::Syntax);
        }
        if whole.len() + fraction.len() > 15 {
            return Err(RatioError::TooPrecise);
        }
        let numerator: u64 = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| RatioError::Syntax)?;
        let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX) + if percent { 2 } else { 0 };
        Self::new(numerator, 10_u64.pow(places))
    }
}

impl fmt::Display for Ratio {
    /// The exact decimal where it ends within 15 places (`0.9995`), else the fraction (`1/3`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scale = 1_u128;
        for places in 0..=15_usize {
            let scaled = u128::from(self.numerator) * scale;
            if scaled.is_multiple_of(u128::from(self.denominator)) {
                let value = scaled / u128::from(self.denominator);
                return if places == 0 {
                    write!(f, "{value}")
                } else {
                    write!(f, "{}.{:0places$}", value / scale, value % scale)
                };
            }
            scale *= 10;
        }
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}/{}", self.numerator, self.denominator))
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some((numerator, denominator)) = text.split_once('/') {
            let part = |text: &str| text.parse::<u64>().map_err(serde::de::Error::custom);
            return Self::new(part(numerator)?, part(denominator)?).map_err(serde::de::Error::custom);
        }
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_and_percentages_are_exact() {
        let objective: Ratio = "99.95%".parse().expect("a percentage");
        assert_eq!((objective.numerator(), objective.denominator()), (1999, 2000));
        assert_eq!("0.9995".parse(), Ok(objective));
        let budget = objective.complement().expect("below 1");
        assert_eq!(budget.to_string(), "0.0005");
        assert_eq!(budget.floor_of(1_426_000_000), 713_000);
        assert_eq!(objective.percent(2), "99.95%");
        assert_eq!(Ratio::new(1, 3).expect("not zero").percent(1), "33.3%");
        assert_eq!(Ratio::new(1, 3).expect("not zero").to_string(), "1/3");
        for bad in ["", "%", "-1", "1e3", ".", "1.2.3", "0.1234567890123456"] {
            assert!(bad.parse::<Ratio>().is_err(), "{bad}");
        }
    }

    #[test]
    fn order_is_by_value() {
        let half = Ratio::new(2, 4).expect("not zero");
        assert!(half < Ratio::new(2, 3).expect("not zero"));
        assert_eq!(half, Ratio::new(1, 2).expect("not zero"));
    }
}
