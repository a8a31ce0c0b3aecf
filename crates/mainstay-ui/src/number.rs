//! Numbers: grouped, with their unit, and linked to what they were computed from.

use maud::{Markup, html};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{time, url};

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things.
    Count,
    /// Things per second.
    PerSecond,
    /// A part of a whole, 0 to 1; shown in percent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// An integer with its thousands grouped: `1,426,000`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A signed integer with its thousands grouped.
#[must_use]
pub fn signed(value: i64) -> String {
    let sign = if value < 0 { "−" } else { "" };
    format!("{sign}{}", count(value.unsigned_abs()))
}

/// A measured value with its unit: `425 /s`, `0.08%`, `87 ms`, `1.4 GiB`. Not a number is `unknown`.
#[must_use]
pub fn measured(value: f64, unit: Unit) -> String {
    if value.is_nan() {
        return "unknown".to_owned();
    }
    match unit {
        Unit::Count => plain(value),
        Unit::PerSecond => format!("{} /s", plain(value)),
        Unit::Ratio => {
            let percent = value * 100.0;
            let decimals = match percent.abs() {
                p if p == 0.0 || p >= 100.0 => 0,
                p if p >= 10.0 => 1,
                p if p >= 0.1 => 2,
                _ => 4,
            };
            format!("{percent:.decimals$}%")
        }
        Unit::Seconds if value != 0.0 && value.abs() < 1.0 => format!("{} ms", plain(value * 1_000.0)),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the size is checked"
        )]
        Unit::Seconds if (60.0..9e15).contains(&value) => time::span(value.round() as u64 * 1_000),
        Unit::Seconds => format!("{} s", plain(value)),
        Unit::Bytes => {
            let units = ["B", "KiB", "MiB", "GiB", "TiB"];
            let mut value = value;
            let mut index = 0;
            while value.abs() >= 1_024.0 && index + 1 < units.len() {
                value /= 1_024.0;
                index += 1;
            }
            format!("{} {}", plain(value), units[index])
        }
    }
}

/// Three significant digits below 1,000, whole numbers above.
fn plain(value: f64) -> String {
    let size = value.abs();
    if (1_000.0..9e15).contains(&size) {
        #[expect(clippy::cast_possible_truncation, reason = "the size was just checked")]
        return signed(value.round() as i64);
    }
    let decimals = match size {
        s if s == 0.0 || s >= 100.0 => 0,
        s if s >= 10.0 => 1,
        s if s >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number linked to the query it is the answer of; without a query, just the number.
#[must_use]
pub fn linked(text: &str, expr: Option<&str>) -> Markup {
    html! {
        @match expr {
            Some(expr) => a.number href=(url::query(expr)) title=(expr) { (text) },
            None => span.number { (text) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_carry_their_unit() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_426_000), "1,426,000");
        assert_eq!(signed(-1_234), "−1,234");
        assert_eq!(measured(425_000.4, Unit::PerSecond), "425,000 /s");
        assert_eq!(measured(0.0008, Unit::Ratio), "0.0800%");
        assert_eq!(measured(0.53, Unit::Ratio), "53.0%");
        assert_eq!(measured(0.087, Unit::Seconds), "87 ms");
        assert_eq!(measured(2.5, Unit::Seconds), "2.5 s");
        assert_eq!(measured(1_080.0, Unit::Seconds), "18 min");
        assert_eq!(measured(1_503_238_553.6, Unit::Bytes), "1.4 GiB");
        assert_eq!(measured(f64::NAN, Unit::Ratio), "unknown");
    }
}
