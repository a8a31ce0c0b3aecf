//! Times as Go's `time` prints them.

use std::fmt::Write;

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// The layout of Go's `Time.String`.
const PLAIN: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

pub(crate) fn text(time: &ZonedDateTime) -> String {
    format(time, PLAIN)
}

fn name(names: &[&'static str], index: i64, kind: &str, number: i64) -> String {
    usize::try_from(index)
        .ok()
        .and_then(|index| names.get(index))
        .map_or_else(|| format!("%!{kind}({number})"), |name| (*name).to_owned())
}

pub(crate) fn month(number: i64) -> String {
    name(&MONTHS, number - 1, "Month", number)
}

pub(crate) fn weekday(number: i64) -> String {
    name(&DAYS, number, "Weekday", number)
}

/// The day of the week, from Sunday, 0.
pub(crate) fn weekday_number(time: &ZonedDateTime) -> i64 {
    i64::from(time.weekday().to_sunday_zero_offset())
}

/// Go's `Duration.String`: `1h2m3.5s`.
pub(crate) fn duration(nanoseconds: i64) -> String {
    let total = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let fraction = |whole: u64, part: u64, digits: usize| {
        let text = format!("{whole}.{part:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(total / 1_000, total % 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(total / 1_000_000, total % 1_000_000, 6)),
        _ => {
            let seconds = total / 1_000_000_000;
            let rest = fraction(seconds % 60, total % 1_000_000_000, 9);
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, minutes) => format!("{sign}{minutes}m{rest}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// The offset in seconds and the zone's abbreviation, if it has one.
fn zone(time: &ZonedDateTime) -> (i32, Option<String>) {
    let info = time.time_zone().to_offset_info(time.timestamp());
    let offset = info.offset().seconds();
    if *time.time_zone() == TimeZone::UTC {
        return (0, Some("UTC".to_owned()));
    }
    let named = time.time_zone().iana_name().is_some();
    (offset, named.then(|| info.abbreviation().to_owned()))
}

/// What a layout may hold, longest first where one begins like another.
const PIECES: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-07:00",
    "-070000",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z07:00",
    "Z070000",
    "Z0700",
    "Z07",
    "__2",
    "002",
    "_2",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// The piece that stands at the start of a layout.
fn piece(layout: &str) -> Option<&'static str> {
    if layout.starts_with("_2006") {
        // An underscore before a year is an underscore.
        return None;
    }
    let found = PIECES.iter().find(|piece| layout.starts_with(**piece))?;
    // `Month` is no `Mon`: a short name is followed by no lower case letter.
    let short = matches!(*found, "Jan" | "Mon");
    let goes_on = layout.as_bytes().get(3).is_some_and(u8::is_ascii_lowercase);
    (!(short && goes_on)).then_some(found)
}

/// The length of a fraction of a second, `.000` or `,999`, at the start of a layout.
fn fraction(layout: &str) -> Option<usize> {
    let bytes = layout.as_bytes();
    if !matches!(bytes.first(), Some(b'.' | b',')) {
        return None;
    }
    let digit = *bytes.get(1).filter(|&&byte| byte == b'0' || byte == b'9')?;
    let length = bytes[1..].iter().take_while(|&&byte| byte == digit).count();
    (!bytes.get(1 + length).is_some_and(u8::is_ascii_digit)).then_some(1 + length)
}

/// Go's `Time.Format`.
pub(crate) fn format(time: &ZonedDateTime, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = fraction(rest) {
            push_fraction(&mut out, time, &rest[..length]);
            rest = &rest[length..];
        } else if let Some(found) = piece(rest) {
            push(&mut out, time, found);
            rest = &rest[found.len()..];
        } else if rest.starts_with("_2006") {
            out.push('_');
            rest = &rest[1..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn push_fraction(out: &mut String, time: &ZonedDateTime, piece: &str) {
    let digits = format!("{:09}", time.subsec_nanosecond());
    let mut digits = format!("{digits:0<width$}", width = piece.len() - 1);
    digits.truncate(piece.len() - 1);
    if piece.as_bytes()[1] == b'9' {
        digits.truncate(digits.trim_end_matches('0').len());
        if digits.is_empty() {
            return;
        }
    }
    out.push_str(&piece[..1]);
    out.push_str(&digits);
}

fn push(out: &mut String, time: &ZonedDateTime, piece: &str) {
    let hour12 = (time.hour() + 11).rem_euclid(12) + 1;
    let written = match piece {
        "January" => {
            out.push_str(&month(i64::from(time.month())));
            Ok(())
        }
        "Jan" => write!(out, "{:.3}", month(i64::from(time.month()))),
        "Monday" => write!(out, "{}", weekday(weekday_number(time))),
        "Mon" => write!(out, "{:.3}", weekday(weekday_number(time))),
        "2006" => write!(
            out,
            "{}{:04}",
            if time.year() < 0 { "-" } else { "" },
            time.year().unsigned_abs()
        ),
        "06" => write!(out, "{:02}", time.year().rem_euclid(100)),
        "01" => write!(out, "{:02}", time.month()),
        "1" => write!(out, "{}", time.month()),
        "02" => write!(out, "{:02}", time.day()),
        "_2" => write!(out, "{:2}", time.day()),
        "2" => write!(out, "{}", time.day()),
        "002" => write!(out, "{:03}", time.day_of_year()),
        "__2" => write!(out, "{:3}", time.day_of_year()),
        "15" => write!(out, "{:02}", time.hour()),
        "03" => write!(out, "{hour12:02}"),
        "3" => write!(out, "{hour12}"),
        "04" => write!(out, "{:02}", time.minute()),
        "4" => write!(out, "{}", time.minute()),
        "05" => write!(out, "{:02}", time.second()),
        "5" => write!(out, "{}", time.second()),
        "PM" => write!(out, "{}", if time.hour() >= 12 { "PM" } else { "AM" }),
        "pm" => write!(out, "{}", if time.hour() >= 12 { "pm" } else { "am" }),
        "MST" => {
            match zone(time) {
                (_, Some(name)) => out.push_str(&name),
                (offset, None) => push_offset(out, offset, "-0700"),
            }
            Ok(())
        }
        _ => {
            let (offset, _) = zone(time);
            if piece.starts_with('Z') && offset == 0 {
                out.push('Z');
            } else {
                push_offset(out, offset, &piece.replace('Z', "-"));
            }
            Ok(())
        }
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

fn push_offset(out: &mut String, offset: i32, piece: &str) {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.unsigned_abs();
    let colon = if piece.contains(':') { ":" } else { "" };
    out.push(sign);
    out.push_str(&format!("{:02}", seconds / 3600));
    if piece.len() > 3 {
        out.push_str(&format!("{colon}{:02}", seconds / 60 % 60));
    }
    if piece.len() > 6 {
        out.push_str(&format!("{colon}{:02}", seconds % 60));
    }
}
