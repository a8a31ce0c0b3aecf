//! Numbers and texts as Prometheus prints them.

/// A number without exponent and with the fewest digits that read back as the same number (Go's `%f`, precision -1).
#[must_use]
pub fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{value}")
    }
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
