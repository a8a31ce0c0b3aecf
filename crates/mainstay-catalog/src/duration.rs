//! Durations as Prometheus and Alertmanager write them: `30s`, `5m`, `1h30m`, `4h`, `7d`, `1w`, `250ms`.

use jiff::SignedDuration;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a sequence of number and unit, or the units are not in falling order.
    #[error("expected a duration such as 30s, 5m, 1h30m or 7d")]
    Syntax,
    /// More than about 292 million years.
    #[error("the duration is out of range")]
    OutOfRange,
}

/// Falling units and their length in milliseconds. A year has 365 days, as in Prometheus.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration. `0` needs no unit; otherwise each unit stands at most once, the longest first.
///
/// # Errors
/// If the text is not such a duration, or is out of range.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    if text == "0" {
        return Ok(SignedDuration::ZERO);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms: i64 = 0;
    while !rest.is_empty() || total_ms == 0 && text.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let length_ms = units
            .find(|(name, _)| *name == unit)
            .map(|(_, length_ms)| *length_ms)
            .ok_or(DurationError::Syntax)?;
        let number: i64 = match (number.is_empty(), number.parse()) {
            (true, _) => return Err(DurationError::Syntax),
            (false, parsed) => parsed.map_err(|_| DurationError::OutOfRange)?,
        };
        total_ms = number
            .checked_mul(length_ms)
            .and_then(|ms| total_ms.checked_add(ms))
            .ok_or(DurationError::OutOfRange)?;
        rest = &rest[digits + letters..];
    }
    Ok(SignedDuration::from_millis(total_ms))
}

/// Writes a duration in the same form; [`parse`] reads it back. Parts below a millisecond are dropped.
#[must_use]
pub fn format(duration: SignedDuration) -> String {
    let mut rest = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(0);
    let mut text = String::new();
    // Years and weeks are left out on purpose: 90d reads better than 12w6d.
    for (name, length_ms) in &UNITS[2..] {
        let number = rest / length_ms;
        rest %= length_ms;
        if number > 0 {
            text.push_str(&format!("{number}{name}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// For `#[serde(with = "duration::text")]` on a [`SignedDuration`].
pub mod text {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it as `5m`.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*duration))
    }

    /// Reads `5m`.
    ///
    /// # Errors
    /// If the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
        super::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// For `#[serde(with = "duration::optional_text", default)]` on an `Option<SignedDuration>`.
pub mod optional_text {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it as `5m`, or as null.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(
        duration: &Option<SignedDuration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&super::format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads `5m`, or null.
    ///
    /// # Errors
    /// If the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SignedDuration>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| super::parse(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, seconds) in [
            ("30s", 30),
            ("5m", 300),
            ("1h30m", 5_400),
            ("7d", 604_800),
            ("1w", 604_800),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(SignedDuration::from_millis(250)));
        for bad in [
            "", "5", "m", "5 m", "1m1h", "5m5m", "-5m", "1.5h", "5minutes", "½h",
        ] {
            assert_eq!(parse(bad), Err(DurationError::Syntax), "{bad:?}");
        }
        assert_eq!(parse("99999999999999999999d"), Err(DurationError::OutOfRange));
        assert_eq!(parse("9999999999999y"), Err(DurationError::OutOfRange));
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["30s", "5m", "1h30m", "90d", "1d2h3m4s5ms", "0s"] {
            assert_eq!(parse(text).map(format).as_deref(), Ok(text));
        }
    }
}
