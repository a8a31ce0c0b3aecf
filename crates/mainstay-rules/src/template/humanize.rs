//! Numbers for humans, as Prometheus writes them.

use super::value::general;

/// Four significant digits and an SI prefix: `1.049M`.
pub(super) fn si(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, Some(4));
    }
    let (large, small) = (
        ["k", "M", "G", "T", "P", "E", "Z", "Y"],
        ["m", "u", "n", "p", "f", "a", "z", "y"],
    );
    let mut rest = value;
    let mut prefix = "";
    if value.abs() >= 1.0 {
        for next in large {
            if rest.abs() < 1000.0 {
                break;
            }
            prefix = next;
            rest /= 1000.0;
        }
    } else {
        for next in small {
            if rest.abs() >= 1.0 {
                break;
            }
            prefix = next;
            rest *= 1000.0;
        }
    }
    format!("{}{prefix}", general(rest, Some(4)))
}

/// Four significant digits and a binary prefix: `1Mi`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, Some(4));
    }
    let mut rest = value;
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if rest.abs() < 1024.0 {
            break;
        }
        prefix = next;
        rest /= 1024.0;
    }
    format!("{}{prefix}", general(rest, Some(4)))
}

/// `1d 2h 3m 4s`; below a minute four digits, below a second with an SI prefix.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return general(seconds, Some(4));
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        let mut rest = seconds;
        let mut prefix = "";
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if rest.abs() >= 1.0 {
                break;
            }
            prefix = next;
            rest *= 1000.0;
        }
        return format!("{}{prefix}s", general(rest, Some(4)));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let positive = seconds.abs();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole seconds are meant, and it saturates"
    )]
    let whole = positive as i64;
    let (s, m, h, d) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    if d != 0 {
        format!("{sign}{d}d {h}h {m}m {s}s")
    } else if h != 0 {
        format!("{sign}{h}h {m}m {s}s")
    } else if m != 0 {
        format!("{sign}{m}m {s}s")
    } else {
        format!("{sign}{}s", general(positive, Some(4)))
    }
}

/// A ratio as a percentage of four digits: `95.9%`.
pub(super) fn percentage(ratio: f64) -> String {
    format!("{}%", general(ratio * 100.0, Some(4)))
}

/// Seconds since 1970 as `2022-01-25 12:30:03 +0000 UTC`.
pub(super) fn timestamp(seconds: f64) -> String {
    if !seconds.is_finite() {
        return general(seconds, Some(4));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let millis = (seconds * 1000.0).round() as i64;
    let whole = millis.div_euclid(1000);
    let (days, of_day) = (whole.div_euclid(86_400), whole.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let mut fraction = String::new();
    if millis.rem_euclid(1000) != 0 {
        fraction = format!(".{:03}", millis.rem_euclid(1000))
            .trim_end_matches('0')
            .to_owned();
    }
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}{fraction} +0000 UTC")
}

/// The date of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
