//! OpenTelemetry's names as Prometheus' names
//! (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>), as Prometheus' receiver makes
//! them unless told otherwise (`translation_strategy: UnderscoreEscapingWithSuffixes`).

/// What a metric is, as far as its name goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    /// A sum that only rises.
    Counter,
    Gauge,
    Other,
}

const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name of a metric with its unit, and `_total` or `_ratio`; "" if nothing of it can be a name.
pub(super) fn metric_name(name: &str, unit: &str, kind: NameKind) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == ':';
    let mut parts: Vec<&str> = name
        .split(|char| !is_part(char))
        .filter(|part| !part.is_empty())
        .collect();
    let (main, per) = unit_parts(unit);
    let per = if per.is_empty() {
        String::new()
    } else {
        format!("per_{per}").trim_end_matches('_').to_owned()
    };
    if !main.is_empty() && !parts.contains(&main.as_str()) {
        parts.push(if per.is_empty() {
            &main
        } else {
            main.trim_end_matches('_')
        });
    }
    if !per.is_empty() && !parts.contains(&per.as_str()) {
        parts.push(&per);
    }
    let last = match kind {
        NameKind::Counter => Some("total"),
        NameKind::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        parts.retain(|part| *part != last);
        parts.push(last);
    }
    let mut full = parts.join("_");
    if full.starts_with(|char: char| char.is_ascii_digit()) {
        full.insert(0, '_');
    }
    full
}

/// The words for a unit, and for what stands after `/`.
fn unit_parts(unit: &str) -> (String, String) {
    let word = |code: &str, known: &[(&str, &str)]| {
        let code = code.trim();
        // What stands in braces is an annotation, not a unit.
        if code.is_empty() || code.contains(['{', '}']) {
            return String::new();
        }
        let named = known.iter().find(|(held, _)| *held == code);
        clean(named.map_or(code, |(_, word)| word))
    };
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    (word(main, UNITS), word(per, PER_UNITS))
}

/// What cannot be in a name becomes an underscore, many of them one, and none is the first.
fn clean(word: &str) -> String {
    let mut clean = String::with_capacity(word.len());
    for char in word.chars() {
        let is_part = char.is_ascii_alphanumeric() || char == ':';
        if is_part {
            clean.push(char);
        } else if !clean.is_empty() && !clean.ends_with('_') {
            clean.push('_');
        }
    }
    clean
}

/// The name of a label: what cannot be in it becomes an underscore, and none begins with a digit or a single underscore.
pub(super) fn label_name(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    let label: String = name.chars().map(plain).collect();
    if label.starts_with(|char: char| char.is_ascii_digit()) {
        format!("key_{label}")
    } else if label.starts_with('_') && !label.starts_with("__") {
        format!("key{label}")
    } else {
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_prometheus_makes_them() {
        use NameKind::{Counter, Gauge, Other};
        for (name, unit, kind, expected) in [
            (
                "http.server.request.duration",
                "s",
                Other,
                "http_server_request_duration_seconds",
            ),
            (
                "system.filesystem.usage",
                "By",
                Gauge,
                "system_filesystem_usage_bytes",
            ),
            (
                "system.network.dropped",
                "{packets}",
                Counter,
                "system_network_dropped_total",
            ),
            (
                "system.network.io",
                "By",
                Counter,
                "system_network_io_bytes_total",
            ),
            ("requests.total.count", "1", Counter, "requests_count_total"),
            ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
            ("cpu.ratio", "1", Gauge, "cpu_ratio"),
            (
                "broker.messages",
                "{messages}/s",
                Gauge,
                "broker_messages_per_second",
            ),
            ("speed", "m/s", Gauge, "speed_meters_per_second"),
            ("latency_seconds", "s", Other, "latency_seconds"),
            ("weird", "foo bar/x", Gauge, "weird_foo_bar_per_x"),
            ("5xx.errors", "", Counter, "_5xx_errors_total"),
            ("a::b", "", Other, "a::b"),
            ("__a__b__", "", Other, "a_b"),
            ("été", "", Other, "t"),
            ("日本", "", Other, ""),
        ] {
            assert_eq!(metric_name(name, unit, kind), expected, "{name} {unit}");
        }
        for (name, expected) in [
            ("http.method", "http_method"),
            ("1st", "key_1st"),
            ("_x", "key_x"),
            ("__x", "__x"),
            ("a--b", "a__b"),
        ] {
            assert_eq!(label_name(name), expected);
        }
    }
}
