//! The parameters of Prometheus' query API, read as Prometheus reads them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::view::{InstantQuery, QueryError, RangeQuery};

/// The most steps a range query may have, as in Prometheus.
const MAX_STEPS: i64 = 11_000;
/// How long a query may take, in milliseconds, unless it asks for less.
const MAX_TIMEOUT_MS: u64 = 120_000;

/// Parameters by name, from a query or a form.
pub(super) type Given = BTreeMap<String, String>;

/// An instant query.
pub(super) fn instant(given: &Given, now: Timestamp) -> Result<InstantQuery, QueryError> {
    Ok(InstantQuery {
        expr: required(given, "query")?.to_owned(),
        at_ms: match given.get("time") {
            Some(text) => instant_ms("time", text)?,
            None => now.as_millisecond(),
        },
        timeout_ms: timeout(given)?,
    })
}

/// A range query.
pub(super) fn range(given: &Given) -> Result<RangeQuery, QueryError> {
    let start_ms = instant_ms("start", required(given, "start")?)?;
    let end_ms = instant_ms("end", required(given, "end")?)?;
    let step_ms = span_ms("step", required(given, "step")?)?;
    if end_ms < start_ms {
        return Err(wrong("end", "end timestamp must not be before start time"));
    }
    if step_ms <= 0 {
        return Err(wrong(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > MAX_STEPS {
        return Err(QueryError::BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
                .to_owned(),
        ));
    }
    Ok(RangeQuery {
        expr: required(given, "query")?.to_owned(),
        start_ms,
        end_ms,
        step_ms,
        timeout_ms: timeout(given)?,
    })
}

fn required<'a>(given: &'a Given, name: &str) -> Result<&'a str, QueryError> {
    match given.get(name).map(String::as_str) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(wrong(name, "it must be given")),
    }
}

fn wrong(name: &str, problem: &str) -> QueryError {
    QueryError::BadData(format!("invalid parameter {name:?}: {problem}"))
}

fn timeout(given: &Given) -> Result<u64, QueryError> {
    let asked = given
        .get("timeout")
        .map(|text| span_ms("timeout", text))
        .transpose()?;
    Ok(asked.map_or(MAX_TIMEOUT_MS, |ms| {
        u64::try_from(ms).unwrap_or(0).clamp(1, MAX_TIMEOUT_MS)
    }))
}

/// Seconds since the epoch with a fraction, or RFC 3339.
fn instant_ms(name: &str, text: &str) -> Result<i64, QueryError> {
    if let Ok(seconds) = text.parse::<f64>() {
        return to_ms(seconds).ok_or_else(|| wrong(name, &format!("{text:?} is out of range")));
    }
    text.parse::<Timestamp>()
        .map(|at| at.as_millisecond())
        .map_err(|_| wrong(name, &format!("cannot parse {text:?} to a valid timestamp")))
}

/// Seconds with a fraction, or a Prometheus duration such as `1h30m`.
fn span_ms(name: &str, text: &str) -> Result<i64, QueryError> {
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => to_ms(seconds),
        Err(_) => duration_ms(text),
    };
    parsed.ok_or_else(|| wrong(name, &format!("cannot parse {text:?} to a valid duration")))
}

/// Seconds to whole milliseconds, if they are a time that a calendar has.
fn to_ms(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1_000.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "the size is checked")]
    (ms.abs() < 9e15).then_some(ms as i64)
}

/// A Prometheus duration: numbers with the units y w d h m s ms, largest first, each at most once.
fn duration_ms(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut total_ms = 0_i64;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let position = UNITS.iter().position(|(unit, _)| *unit == &rest[..unit_end])?;
        if position < next_unit {
            return None;
        }
        next_unit = position + 1;
        total_ms = total_ms.checked_add(number.checked_mul(UNITS[position].1)?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Given {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn instants_and_spans_read_as_in_prometheus() {
        assert_eq!(instant_ms("time", "1435781451.781"), Ok(1_435_781_451_781));
        assert_eq!(
            instant_ms("time", "2015-07-01T20:10:51.781Z"),
            Ok(1_435_781_451_781)
        );
        assert!(instant_ms("time", "NaN").is_err());
        assert!(instant_ms("time", "1e300").is_err());
        assert_eq!(span_ms("step", "15"), Ok(15_000));
        assert_eq!(span_ms("step", "1h30m"), Ok(5_400_000));
        assert_eq!(span_ms("step", "250ms"), Ok(250));
        for bad in ["", "m", "30m1h", "1h1h", "5x", "99999999999999999999s"] {
            assert!(span_ms("step", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_bounded() {
        let ask = |end: &str, step: &str| {
            range(&given(&[
                ("query", "up"),
                ("start", "0"),
                ("end", end),
                ("step", step),
            ]))
        };
        assert_eq!(ask("60", "15").expect("well formed").step_ms, 15_000);
        assert!(ask("60", "0").is_err());
        assert!(ask("-1", "15").is_err());
        assert!(ask("11001", "1").is_err());
        assert!(ask("11000", "1").is_ok());
        assert!(instant(&given(&[]), Timestamp::UNIX_EPOCH).is_err());
    }
}
