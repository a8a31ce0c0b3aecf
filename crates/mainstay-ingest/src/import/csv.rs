//! Comma-separated values, a record at a time.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, STALE_NAN};

use super::fault;
use crate::exposition::ParseError;
use crate::exposition::line::{as_ms, number};
use crate::sample::SeriesSample;

/// What a column holds.
#[derive(Debug, PartialEq, Eq)]
enum Column {
    Timestamp,
    Value,
    Label(String),
}

/// What is known after the records so far.
#[derive(Debug, Default)]
pub(super) struct Csv {
    /// The columns; empty before the first record.
    columns: Vec<Column>,
    /// The labels of the sample before: samples of one series mostly stand together.
    last: Arc<Labels>,
}

impl Csv {
    /// Reads a record that begins in line `line`. The first one names the columns.
    pub(super) fn read(&mut self, text: &str, line: usize) -> Result<Option<SeriesSample>, ParseError> {
        let cells = cells(text, line)?;
        if self.columns.is_empty() {
            self.columns = columns(&cells, line)?;
            return Ok(None);
        }
        if text.is_empty() {
            return Ok(None);
        }
        if cells.len() != self.columns.len() {
            let reason = format!(
                "expected {} cells, as many as there are columns, not {}",
                self.columns.len(),
                cells.len()
            );
            return Err(fault(line, 1, reason));
        }
        let (mut t_ms, mut value) = (0, 0.0);
        let mut labels = Labels::new();
        for (column, cell) in self.columns.iter().zip(&cells) {
            let wrong = |what| fault(line, cell.column, format!("expected {what}, not {:?}", cell.text));
            match column {
                Column::Timestamp => {
                    t_ms =
                        time(&cell.text).ok_or_else(|| wrong("a number of seconds or a time (RFC 3339)"))?;
                }
                Column::Value => value = sample(&cell.text).ok_or_else(|| wrong("a number or stale"))?,
                Column::Label(name) => labels.set(name, &cell.text),
            }
        }
        if labels.metric_name().is_empty() {
            return Err(fault(line, 1, "a sample has no name"));
        }
        if *self.last != labels {
            self.last = Arc::new(labels);
        }
        Ok(Some(SeriesSample {
            labels: Arc::clone(&self.last),
            created_ms: None,
            t_ms,
            value: value.into(),
            exemplars: Vec::new(),
        }))
    }

    /// Checks that there was a line of names.
    pub(super) fn end(&self, line: usize) -> Result<(), ParseError> {
        if self.columns.is_empty() {
            return Err(fault(line, 1, "expected a line that names the columns"));
        }
        Ok(())
    }
}

fn columns(cells: &[Cell<'_>], line: usize) -> Result<Vec<Column>, ParseError> {
    let mut columns = Vec::new();
    for cell in cells {
        // What spreadsheets write before the first name.
        let name = cell.text.trim_start_matches('\u{feff}');
        let column = match name {
            "timestamp" => Column::Timestamp,
            "value" => Column::Value,
            "" => return Err(fault(line, cell.column, "a column has no name")),
            name => Column::Label(name.to_owned()),
        };
        if columns.contains(&column) {
            return Err(fault(
                line,
                cell.column,
                format!("the column {name} stands twice"),
            ));
        }
        columns.push(column);
    }
    for needed in [
        Column::Timestamp,
        Column::Value,
        Column::Label(METRIC_NAME.to_owned()),
    ] {
        if !columns.contains(&needed) {
            let name = match &needed {
                Column::Timestamp => "timestamp",
                Column::Value => "value",
                Column::Label(name) => name,
            };
            return Err(fault(line, 1, format!("there is no column {name}")));
        }
    }
    Ok(columns)
}

struct Cell<'a> {
    text: Cow<'a, str>,
    /// Where it begins in its record, in characters from 1.
    column: usize,
}

fn cells(record: &str, line: usize) -> Result<Vec<Cell<'_>>, ParseError> {
    let mut cells = Vec::new();
    let mut rest = record;
    loop {
        let at = record.len() - rest.len();
        let column = 1 + record[..at].chars().count();
        let text = if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = unquote(quoted).ok_or_else(|| {
                fault(
                    line,
                    column,
                    "expected a closing quote before the end of the file",
                )
            })?;
            rest = after;
            if !rest.is_empty() && !rest.starts_with(',') {
                let at = record.len() - rest.len();
                let column = 1 + record[..at].chars().count();
                return Err(fault(line, column, "expected a comma after a closing quote"));
            }
            text
        } else {
            let length = rest.find(',').unwrap_or(rest.len());
            let (text, after) = rest.split_at(length);
            rest = after;
            if text.contains('"') {
                return Err(fault(
                    line,
                    column,
                    "a quote within a cell that does not begin with one",
                ));
            }
            Cow::Borrowed(text)
        };
        cells.push(Cell { text, column });
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(cells),
        }
    }
}

/// The text up to the closing quote, doubled quotes made one, and what stands after it.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut end = 0;
    loop {
        end += quoted.get(end..)?.find('"')?;
        let after = &quoted[end + 1..];
        if !after.starts_with('"') {
            let text = &quoted[..end];
            let text = if text.contains('"') {
                Cow::Owned(text.replace("\"\"", "\""))
            } else {
                Cow::Borrowed(text)
            };
            return Some((text, after));
        }
        end += 2;
    }
}

fn time(text: &str) -> Option<i64> {
    match number(text) {
        Some(seconds) => as_ms(seconds),
        None => Some(text.parse::<Timestamp>().ok()?.as_millisecond()),
    }
}

fn sample(text: &str) -> Option<f64> {
    if text == "stale" {
        Some(STALE_NAN)
    } else {
        number(text)
    }
}
