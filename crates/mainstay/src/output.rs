//! How answers are written: tables for people, JSON for programs. Colour only adds to words, and goes where it is not
//! wanted (NO_COLOR, a pipe).

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => anstream::println!("{text}"),
        Err(error) => anstream::eprintln!("mainstay: {error}"),
    }
}

/// The text under a key; nothing where there is none.
pub(crate) fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The list under a key; empty where there is none.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a list, with commas between.
pub(crate) fn joined(value: &Value, key: &str) -> String {
    let texts: Vec<&str> = list(value, key).iter().filter_map(Value::as_str).collect();
    match texts.as_slice() {
        [first, second, rest @ ..] if rest.len() > 1 => format!("{first}, {second} and {} more", rest.len()),
        few => few.join(", "),
    }
}

/// A count with its thousands grouped, or `unknown`.
pub(crate) fn count(value: &Value, key: &str) -> String {
    match (value[key].as_u64(), value[key].as_i64()) {
        (Some(count), _) => mainstay_ui::number::count(count),
        (None, Some(count)) => mainstay_ui::number::signed(count),
        (None, None) => "unknown".to_owned(),
    }
}

/// The instant under a key.
pub(crate) fn instant(value: &Value, key: &str) -> Option<Timestamp> {
    value[key].as_str()?.parse().ok()
}

/// `10:18:04`, with the date before it if that is not `now`'s. UTC; column heads say so.
pub(crate) fn clock(value: &Value, key: &str, now: Timestamp) -> String {
    instant(value, key).map_or_else(String::new, |at| {
        mainstay_ui::time::utc(at, now)
            .trim_end_matches(" UTC")
            .to_owned()
    })
}

/// How long before `now` it was: `3 min 5 s`.
pub(crate) fn age(value: &Value, key: &str, now: Timestamp) -> String {
    instant(value, key).map_or_else(String::new, |at| {
        mainstay_ui::time::span(mainstay_ui::time::elapsed_ms(at, now))
    })
}

/// A word in the colour of what it says: red only for what is bad.
pub(crate) fn judged(word: &str) -> String {
    let colour = match word {
        "breached" | "firing" | "failed" | "exhausted" => "31",
        "warning" | "critical" | "unknown" | "running" | "pending" => "33",
        "ok" | "healthy" | "done" => "32",
        _ => return word.to_owned(),
    };
    format!("\x1b[{colour}m{word}\x1b[0m")
}

/// A table whose columns are as wide as they must be; two spaces between them.
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it, or says on standard error that there is nothing: `empty`.
    pub(crate) fn print(&self, empty: &str) {
        if self.rows.is_empty() {
            anstream::eprintln!("{empty}");
            return;
        }
        anstream::print!("{self}");
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            let cells = self
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| shown_width(cell));
            cells.max().unwrap_or(0).max(self.heads[column].len())
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (cell, width) in cells.zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(
                    ' ',
                    width.saturating_sub(shown_width(cell)) + 2,
                ));
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(&mut self.heads.iter().copied())?;
        self.rows
            .iter()
            .try_for_each(|row| line(&mut row.iter().map(String::as_str)))
    }
}

/// How many characters a terminal shows of it: colours take no room.
fn shown_width(cell: &str) -> usize {
    let mut inside = false;
    cell.chars()
        .filter(|c| {
            let escape = inside || *c == '\x1b';
            inside = escape && *c != 'm';
            !escape
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colours() {
        let mut table = Table::new(&["WHAT", "HOW"]);
        table.row([judged("breached"), "é".to_owned()]);
        table.row(["x".to_owned(), "y".to_owned()]);
        let plain = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(plain, "WHAT      HOW\nbreached  é\nx         y\n");
    }
}
