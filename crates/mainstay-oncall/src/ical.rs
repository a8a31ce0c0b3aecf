//! Shifts as an iCalendar object (RFC 5545), for calendars that people look at.

use std::fmt::Write as _;

use jiff::Timestamp;

/// The longest line, in bytes, without its end.
const LINE_MAX_BYTES: usize = 75;

/// A shift in a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of its rota.
    pub rota: String,
    /// What the calendar shows.
    pub summary: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; not included.
    pub until: Timestamp,
}

/// A calendar of that name. The same shifts give the same text: an entry is known by its rota and beginning, of which
/// there is only one, and is stamped with it.
#[must_use]
pub fn calendar(name: &str, entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| fold(&mut text, &format!("{key}:{value}"));
    line("BEGIN", "VCALENDAR");
    line("VERSION", "2.0");
    line("PRODID", "-//Mainstay//On-call//EN");
    line("CALSCALE", "GREGORIAN");
    line("METHOD", "PUBLISH");
    line("X-WR-CALNAME", &escaped(name));
    // Calendars know whole seconds, and nothing that ends when it begins.
    let lasting = |entry: &&Entry| entry.from.as_second() < entry.until.as_second();
    for entry in entries.iter().filter(lasting) {
        let from = utc(entry.from);
        line("BEGIN", "VEVENT");
        line("UID", &escaped(&format!("{}-{from}@mainstay", entry.rota)));
        line("DTSTAMP", &from);
        line("DTSTART", &from);
        line("DTEND", &utc(entry.until));
        line("SUMMARY", &escaped(&entry.summary));
        line("TRANSP", "TRANSPARENT");
        line("END", "VEVENT");
    }
    line("END", "VCALENDAR");
    text
}

/// `20260105T070000Z`.
fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A value of type TEXT.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | ';' | ',' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '\n' => escaped.push_str("\\n"),
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

/// Writes a line, in pieces of at most [`LINE_MAX_BYTES`] that each but the first begin with a space; no letter is torn.
fn fold(text: &mut String, line: &str) {
    let mut rest = line;
    let mut room = LINE_MAX_BYTES;
    while rest.len() > room {
        let cut = (0..=room).rev().find(|cut| rest.is_char_boundary(*cut));
        let (piece, after) = rest.split_at(cut.unwrap_or(rest.len()));
        // Writing to a String cannot fail.
        let _ = write!(text, "{piece}\r\n ");
        rest = after;
        room = LINE_MAX_BYTES - 1;
    }
    let _ = write!(text, "{rest}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_crlf_and_are_folded_between_letters() {
        let summary = format!("é, and; so \\ on\n{}", "éß€😀".repeat(30));
        let entry = Entry {
            rota: "primary".to_owned(),
            summary: summary.clone(),
            from: "2026-01-05T07:00:00.5Z".parse().expect("an instant"),
            until: "2026-01-12T07:00:00Z".parse().expect("an instant"),
        };
        let text = calendar("Primary", &[entry]);
        assert!(text.ends_with("END:VEVENT\r\nEND:VCALENDAR\r\n"));
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert!(text.split("\r\n").all(|line| line.len() <= 75), "{text}");
        assert!(text.contains("\r\nUID:primary-20260105T070000Z@mainstay\r\nDTSTAMP:20260105T070000Z\r\n"));
        assert!(text.contains("\r\nDTSTART:20260105T070000Z\r\nDTEND:20260112T070000Z\r\n"));
        let unfolded = text.replace("\r\n ", "");
        let line = unfolded
            .lines()
            .find_map(|line| line.strip_prefix("SUMMARY:"))
            .expect("it is there");
        let read = line
            .replace("\\n", "\n")
            .replace("\\,", ",")
            .replace("\\;", ";")
            .replace("\\\\", "\\");
        assert_eq!(read, summary);
    }
}
