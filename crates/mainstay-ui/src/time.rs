//! Times as people read them at night: how long ago first, then the instant, always labelled UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

/// A span of time in its two largest units: `850 ms`, `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
#[must_use]
pub fn span(ms: u64) -> String {
    let (seconds, minutes, hours, days) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {small_unit}")
        }
    };
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 => two(minutes, "min", seconds % 60, "s"),
        3_600_000..86_400_000 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// Milliseconds from `from` to `to`; 0 if `to` is earlier, as clocks of different machines may have it.
#[must_use]
pub fn elapsed_ms(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
}

/// `10:18:04 UTC`, with the date before it if that is not `now`'s: `2025-01-15 10:18:04 UTC`.
#[must_use]
pub fn utc(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (
        at.to_zoned_datetime(TimeZone::UTC),
        now.to_zoned_datetime(TimeZone::UTC),
    );
    if at.date() == now.date() {
        at.strftime("%H:%M:%S UTC").to_string()
    } else {
        at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

/// `10:18`, for axes and captions that say UTC elsewhere.
#[must_use]
pub fn hour_minute(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC).strftime("%H:%M").to_string()
}

/// `01-15`, for axes over days that say UTC elsewhere.
#[must_use]
pub fn month_day(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC).strftime("%m-%d").to_string()
}

/// `2025-01`.
#[must_use]
pub fn month(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC).strftime("%Y-%m").to_string()
}

/// An instant in the past: `3 min 5 s ago · 10:18:04 UTC`. The script keeps the age true between refreshes.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) {
            span.age data-since=(at.as_millisecond()) { (span(elapsed_ms(at, now))) } " ago "
            span.instant { (utc(at, now)) }
        }
    }
}

/// How long something has been going on: `3 min 5 s · since 10:18:04 UTC`.
#[must_use]
pub fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) {
            span.age data-since=(at.as_millisecond()) { (span(elapsed_ms(at, now))) } " "
            span.instant { "since " (utc(at, now)) }
        }
    }
}

/// How long something has been going on, where there is no room for more: `3 min 5 s`.
#[must_use]
pub fn lasting(since: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(since) title=(utc(since, now)) {
            span.age data-since=(since.as_millisecond()) { (span(elapsed_ms(since, now))) }
        }
    }
}

/// An instant by itself: `10:18:04 UTC`.
#[must_use]
pub fn instant(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) { (utc(at, now)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_two_units_at_most() {
        let shown: Vec<String> = [0, 850, 42_999, 60_000, 185_000, 7_800_000, 356_400_000]
            .map(span)
            .to_vec();
        assert_eq!(
            shown,
            [
                "0 ms",
                "850 ms",
                "42 s",
                "1 min",
                "3 min 5 s",
                "2 h 10 min",
                "4 d 3 h"
            ]
        );
    }

    #[test]
    fn the_date_is_shown_only_when_it_is_another() {
        let now: Timestamp = "2025-01-15T10:20:00Z".parse().expect("a timestamp");
        let at = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
        assert_eq!(utc(at("2025-01-15T10:18:04Z"), now), "10:18:04 UTC");
        assert_eq!(utc(at("2025-01-14T23:59:59Z"), now), "2025-01-14 23:59:59 UTC");
        assert_eq!(elapsed_ms(now, at("2025-01-15T10:18:04Z")), 0);
    }
}
