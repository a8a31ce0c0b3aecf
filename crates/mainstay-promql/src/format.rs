//! Numbers and texts as Prometheus prints them.

use crate::number;

/// A number without exponent and with the fewest digits that read back as the same number (Go's `%f`, precision -1).
#[must_use]
pub fn float(value: f64) -> String {
    let mut text = String::new();
    number::plain(&mut text, value);
    text
}

/// A number with the fewest digits that read back as the same number, with an exponent where it is below -4 or above
/// 5 (Go's `%g`).
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return float(value);
    }
    let mut text = String::new();
    number::exponential(&mut text, value);
    match text.split_once('e').map(|(_, exponent)| exponent.parse::<i32>()) {
        Some(Ok(exponent)) if (-4..6).contains(&exponent) => float(value),
        _ => text,
    }
}

/// A number with two significant digits (Go's `%.2g`).
pub(crate) fn significant(value: f64) -> String {
    let rounded = format!("{value:.1e}");
    let Ok(rounded) = rounded.parse::<f64>() else {
        return float(value);
    };
    if rounded.abs() < 100.0 {
        return general(rounded);
    }
    let scientific = format!("{rounded:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    format!("{digits}e+{exponent:0>2}")
}

/// A number as OpenMetrics writes it in a label: a whole number keeps a decimal point.
pub(crate) fn open_metrics_float(value: f64) -> String {
    let text = float(value);
    if value.is_finite() && !text.contains('.') {
        format!("{text}.0")
    } else {
        text
    }
}

/// Bytes as a quoted text, with an escape for each byte that is not UTF-8 (Go's `%q`).
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text.push('"');
    text
}

/// Labels as Go prints them, the metric's name like any other: `{__name__="up", job="a"}`.
pub(crate) fn labels(labels: &mainstay_kernel::Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(n, v)| format!("{n}={}", quoted(v.as_bytes())))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_numbers_are_written_as_go_writes_them() {
        for (value, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (123_456.0, "123456"),
            (1_000_000.0, "1e+06"),
            (-123_456_789.0, "-1.23456789e+08"),
            (0.000_1, "0.0001"),
            (0.000_012, "1.2e-05"),
            (f64::INFINITY, "+Inf"),
            (1e-300, "1e-300"),
        ] {
            assert_eq!(general(value), text);
        }
    }
}
