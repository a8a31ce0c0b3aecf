//! Taking samples in.

use mainstay_kernel::Labels;
use mainstay_segment::Lsn;

use crate::error::SeriesError;
use crate::head::in_order;
use crate::index::SeriesRef;
use crate::record;
use crate::store::{State, Store};

/// The most samples in one frame of the log.
const FRAME_SAMPLES: usize = 64 << 10;

/// One sample to append.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its series.
    pub series: SeriesRef,
    /// Its time, in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value; the bits of a NaN are kept.
    pub value: f64,
}

impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        (self.series, self.t_ms, self.value.to_bits()) == (other.series, other.t_ms, other.value.to_bits())
    }
}

/// One sample to append, by labels.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The labels of its series, which is created if need be.
    pub labels: &'a Labels,
    /// When the series' counter began, if that is known.
    pub created_ms: Option<i64>,
    /// Its time, in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value.
    pub value: f64,
}

/// What became of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted: durable and readable.
    Stored,
    /// Held already, bit for bit; nothing to do.
    Duplicate,
    /// Older than the out-of-order window or than retention, or of a time at which another value is held.
    OutOfOrder,
    /// Further ahead of the present than allowed.
    TooFarAhead,
    /// A limit on series or labels.
    Limit,
    /// The series was removed since its reference was given: look it up again.
    UnknownSeries,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples stored.
    pub stored: usize,
    /// Samples that were held already.
    pub duplicate: usize,
    /// Samples too old, or in conflict with one held.
    pub out_of_order: usize,
    /// Samples too far ahead of the present.
    pub too_far_ahead: usize,
    /// Samples refused by a limit.
    pub limit: usize,
    /// Samples of unknown series.
    pub unknown: usize,
    /// Per sample, in the order of the batch.
    pub outcomes: Vec<Outcome>,
    /// The position in the log of the batch's last frame. A consumer that has counted the stored samples of this
    /// batch, and of all before it, has passed this position.
    pub lsn: Lsn,
}

impl Appended {
    fn note(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
        let counter = match outcome {
            Outcome::Stored => &mut self.stored,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::OutOfOrder => &mut self.out_of_order,
            Outcome::TooFarAhead => &mut self.too_far_ahead,
            Outcome::Limit => &mut self.limit,
            Outcome::UnknownSeries => &mut self.unknown,
        };
        *counter += 1;
    }

    /// Whether the sample at this place in the batch was stored.
    #[must_use]
    pub fn accepted(&self, index: usize) -> bool {
        self.outcomes.get(index) == Some(&Outcome::Stored)
    }
}

impl Store {
    /// Appends samples and returns when those stored are durable. Refusals are per sample and never fail the batch.
    /// `now_ms` is the present, against which "too far ahead" and retention are judged.
    ///
    /// # Errors
    /// If the log cannot be written or made durable: then nothing of the batch is acknowledged, though a part that was
    /// written before may be found later; repeating the batch is safe.
    pub fn append(&self, batch: &[Sample], now_ms: i64) -> Result<Appended, SeriesError> {
        let mut appended = Appended::default();
        {
            let mut state = self.write();
            let mut rest = batch;
            while !rest.is_empty() {
                let taken = self.append_run(&mut state, rest, now_ms, &mut appended)?;
                rest = &rest[taken..];
            }
            // A duplicate is acknowledged too, and what it repeats may still be on its way to the disk.
            appended.lsn = self.wal.last_lsn();
        }
        self.wal.wait_durable(appended.lsn)?;
        Ok(appended)
    }

    /// As [`Store::append`], with series named by their labels. Limits count as refusals of single samples.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_rows(&self, rows: &[Row<'_>], now_ms: i64) -> Result<Appended, SeriesError> {
        let mut batch = Vec::with_capacity(rows.len());
        let mut refused = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let series = match self.series_ref(row.labels) {
                Ok(series) => series,
                Err(
                    SeriesError::SeriesLimit { .. }
                    | SeriesError::LabelsTooLarge { .. }
                    | SeriesError::NoLabels,
                ) => {
                    refused.push(at);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(created_ms) = row.created_ms {
                self.set_created(series, created_ms)?;
            }
            batch.push(Sample {
                series,
                t_ms: row.t_ms,
                value: row.value,
            });
        }
        let mut appended = self.append(&batch, now_ms)?;
        for at in refused {
            appended.outcomes.insert(at, Outcome::Limit);
            appended.limit += 1;
        }
        Ok(appended)
    }

    /// Takes samples from the front of `batch` as one frame of the log, and says how many. A run ends before a sample
    /// whose fate depends on one of the same run in a way that only the head can answer.
    fn append_run(
        &self,
        state: &mut State,
        batch: &[Sample],
        now_ms: i64,
        appended: &mut Appended,
    ) -> Result<usize, SeriesError> {
        let mut accepted = Vec::with_capacity(batch.len().min(FRAME_SAMPLES));
        let mut taken = 0;
        let mut failed = None;
        for sample in batch {
            if accepted.len() >= FRAME_SAMPLES {
                break;
            }
            match self.judge(state, sample, now_ms) {
                Ok(None) => break,
                Ok(Some(outcome)) => {
                    if outcome == Outcome::Stored {
                        accepted.push(*sample);
                    }
                    appended.note(outcome);
                    taken += 1;
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for sample in &accepted {
            if let Some(series) = state.get_mut(sample.series.0) {
                series.pending = None;
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let Some(max_ms) = accepted.iter().map(|sample| sample.t_ms).max() else {
            return Ok(taken);
        };
        let lsn = self.wal.append(&record::samples(&accepted))?;
        state.mark(lsn, max_ms);
        for sample in &accepted {
            if let Some(series) = state.get_mut(sample.series.0) {
                series.store(sample.t_ms, sample.value);
            }
        }
        Ok(taken)
    }

    /// What becomes of a sample; `None` if samples of the run must first be stored.
    fn judge(&self, state: &mut State, sample: &Sample, now_ms: i64) -> Result<Option<Outcome>, SeriesError> {
        let bits = sample.value.to_bits();
        let Some(series) = state.get_mut(sample.series.0) else {
            return Ok(Some(Outcome::UnknownSeries));
        };
        if sample.t_ms > now_ms.saturating_add(self.options.future_ms) {
            return Ok(Some(Outcome::TooFarAhead));
        }
        if sample.t_ms < now_ms.saturating_sub(self.options.retention_ms) {
            return Ok(Some(Outcome::OutOfOrder));
        }
        let newest = series.pending.or(series.newest);
        let (newest_ms, newest_bits) = match newest {
            Some(newest) if newest.0 >= sample.t_ms => newest,
            _ => {
                series.pending = Some((sample.t_ms, bits));
                return Ok(Some(Outcome::Stored));
            }
        };
        if sample.t_ms == newest_ms {
            let same = bits == newest_bits;
            return Ok(Some(if same {
                Outcome::Duplicate
            } else {
                Outcome::OutOfOrder
            }));
        }
        if series.pending.is_some() {
            return Ok(None);
        }
        let mut held = Vec::new();
        self.read_series(state, sample.series.0, sample.t_ms - 1, sample.t_ms, &mut held)?;
        in_order(&mut held);
        if let Ok(at) = held.binary_search_by_key(&sample.t_ms, |(t_ms, _)| *t_ms) {
            let same = held[at].1.to_bits() == bits;
            return Ok(Some(if same {
                Outcome::Duplicate
            } else {
                Outcome::OutOfOrder
            }));
        }
        if sample.t_ms < newest_ms.saturating_sub(self.options.out_of_order_ms) {
            return Ok(Some(Outcome::OutOfOrder));
        }
        // Two equal late samples of one run: the second must see the first in the head.
        if let Some(series) = state.get_mut(sample.series.0) {
            series.pending = series.newest;
        }
        Ok(Some(Outcome::Stored))
    }
}
