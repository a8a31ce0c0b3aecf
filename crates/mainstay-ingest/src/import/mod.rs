//! Files of samples with times, to be stored as they are: what was recorded elsewhere, or before.
//!
//! **OpenMetrics** text, as `promtool tsdb create-blocks-from openmetrics` takes it: every sample has a timestamp, `# EOF`
//! ends the file (so that one cut short is noticed), and samples may stand in any order. Metadata is passed over; a
//! `_created` sample is a series like any other.
//!
//! **CSV** (RFC 4180: commas, quotes doubled within quotes): the first line names the columns. `timestamp`, `value` and
//! `__name__` must be there, every other column is a label of its name, and an empty cell is no label. A timestamp is a
//! number of seconds since 1970, with a fraction if need be, or a time as RFC 3339 writes it; a value is a number, `NaN`,
//! `+Inf`, `-Inf`, or `stale` for the end of a series.
//!
//! ```csv
//! timestamp,value,__name__,job,instance
//! 1700000000,1,up,gateway,10.0.0.1:9100
//! 2023-11-14T22:13:20.5Z,27.5,temperature,"hall, north",
//! ```
//!
//! Files are read line by line, so their size is no matter. What was handed out before an error stays handed out: every
//! line before the one that is named has been.

mod csv;
mod openmetrics;

use std::io::{self, BufRead};
use std::sync::Arc;

use mainstay_kernel::Labels;

use self::csv::Csv;
use crate::exposition::ParseError;
use crate::sample::SeriesSample;

/// The longest record, in bytes.
const RECORD_MAX_BYTES: usize = 1 << 20;

/// The two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// OpenMetrics text with timestamps.
    OpenMetrics,
    /// Comma-separated values with a line of names.
    Csv,
}

/// Why an import ends early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file is not as the format demands.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Reads a file, a batch of samples at a time. After an error, and after the end, there is nothing more.
#[derive(Debug)]
pub struct Import<R> {
    reader: R,
    format: Reader,
    batch_samples: usize,
    /// Lines read so far.
    line: usize,
    record: Vec<u8>,
    ended: bool,
    /// What ended it, to be told after the samples before it.
    error: Option<ImportError>,
}

#[derive(Debug)]
enum Reader {
    /// The series of the sample before, as it stands, and its labels.
    OpenMetrics(Vec<u8>, Arc<Labels>),
    Csv(Csv),
}

impl<R: BufRead> Import<R> {
    /// Reads from `reader`, this many samples at a time (at least one).
    pub fn new(reader: R, format: ImportFormat, batch_samples: usize) -> Self {
        Self {
            reader,
            format: match format {
                ImportFormat::OpenMetrics => Reader::OpenMetrics(Vec::new(), Arc::default()),
                ImportFormat::Csv => Reader::Csv(Csv::default()),
            },
            batch_samples: batch_samples.max(1),
            line: 0,
            record: Vec::new(),
            ended: false,
            error: None,
        }
    }

    /// How many lines have been read.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.line
    }

    fn read_batch(&mut self, batch: &mut Vec<SeriesSample>) -> Result<(), ImportError> {
        while batch.len() < self.batch_samples && !self.ended {
            let first = self.line + 1;
            self.record.clear();
            let is_there = self.read_record()?;
            let text = std::str::from_utf8(&self.record).map_err(|error| {
                let before = String::from_utf8_lossy(&self.record[..error.valid_up_to()]).into_owned();
                fault(first, 1 + before.chars().count(), "not UTF-8")
            })?;
            match &mut self.format {
                Reader::OpenMetrics(last, labels) => {
                    if !is_there {
                        let reason = "expected # EOF at the end: the file may have been cut short";
                        return Err(fault(first, 1, reason).into());
                    }
                    match openmetrics::read(text, first, last, labels)? {
                        openmetrics::Record::Sample(sample) => batch.push(sample),
                        openmetrics::Record::Nothing => {}
                        openmetrics::Record::End => {
                            self.ended = true;
                            self.record.clear();
                            if self.read_record()? {
                                return Err(fault(self.line, 1, "expected nothing after # EOF").into());
                            }
                        }
                    }
                }
                Reader::Csv(csv) => {
                    if is_there {
                        batch.extend(csv.read(text, first)?);
                    } else {
                        csv.end(first)?;
                        self.ended = true;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads one record without its end of line: a line, of CSV as many as its quotes hold together. `false` at the end
    /// of the file.
    fn read_record(&mut self) -> Result<bool, ImportError> {
        let mut open = false;
        loop {
            let before = self.record.len();
            let room = (RECORD_MAX_BYTES + 1).saturating_sub(self.record.len());
            let limit = u64::try_from(room).unwrap_or(u64::MAX);
            let read = io::Read::take(&mut self.reader, limit).read_until(b'\n', &mut self.record)?;
            self.line += usize::from(read > 0);
            if self.record.len() > RECORD_MAX_BYTES {
                let reason = format!("a record has more than {RECORD_MAX_BYTES} bytes");
                return Err(fault(self.line, 1, reason).into());
            }
            let quotes = self.record[before..].iter().filter(|byte| **byte == b'"').count();
            open ^= quotes % 2 == 1;
            if read > 0 && open && matches!(self.format, Reader::Csv(_)) {
                continue;
            }
            let is_there = !self.record.is_empty();
            if self.record.ends_with(b"\n") {
                self.record.pop();
            }
            if matches!(self.format, Reader::Csv(_)) && self.record.ends_with(b"\r") {
                self.record.pop();
            }
            return Ok(is_there);
        }
    }
}

impl<R: BufRead> Iterator for Import<R> {
    type Item = Result<Vec<SeriesSample>, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        let mut batch = Vec::new();
        if !self.ended
            && let Err(error) = self.read_batch(&mut batch)
        {
            self.ended = true;
            if batch.is_empty() {
                return Some(Err(error));
            }
            self.error = Some(error);
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}

fn fault(line: usize, column: usize, reason: impl Into<String>) -> ParseError {
    ParseError {
        line,
        column,
        reason: reason.into(),
    }
}
