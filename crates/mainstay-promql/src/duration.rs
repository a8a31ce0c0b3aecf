//! Prometheus durations: `1h30m`, `5m`, `100ms`; `0`; units from large to small, each once.

/// Units from large to small, in milliseconds. A year has 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The milliseconds of a duration such as `1h30m`; nothing if it is not one.
#[must_use]
pub fn parse_ms(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let index = UNITS.iter().position(|(name, _)| *name == unit)?;
        if index < next_unit {
            return None;
        }
        next_unit = index + 1;
        let amount: i64 = number.parse().ok()?;
        total = total.checked_add(amount.checked_mul(UNITS[index].1)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// As Prometheus writes a duration: `1h30m`, `0s`; weeks and years only where they divide it.
#[must_use]
pub fn format_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = duration_ms.unsigned_abs();
    for (name, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        let only_exact = matches!(name, "y" | "w");
        if only_exact && !rest.is_multiple_of(unit_ms) {
            continue;
        }
        if rest >= unit_ms {
            text.push_str(&format!("{}{name}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if duration_ms < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fall_and_come_once() {
        assert_eq!(parse_ms("1h30m"), Some(5_400_000));
        assert_eq!(parse_ms("1d"), Some(86_400_000));
        assert_eq!(parse_ms("1m30ms"), Some(60_030));
        assert_eq!(parse_ms("0"), Some(0));
        for bad in ["", "5", "1m1h", "1m1m", "m", "1x", "-1m", "99999999999999y"] {
            assert_eq!(parse_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn written_as_prometheus_writes_them() {
        for text in ["1h30m", "2w", "15d", "1y", "100ms", "1m30s"] {
            assert_eq!(format_ms(parse_ms(text).expect("a duration")), text);
        }
        assert_eq!(format_ms(0), "0s");
        assert_eq!(format_ms(-300_000), "-5m");
    }
}
