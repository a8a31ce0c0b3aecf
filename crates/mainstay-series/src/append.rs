//! Taking samples in.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::{Histogram, Labels};
use mainstay_segment::Lsn;

use crate::error::SeriesError;
use crate::histogram::MAX_BUCKETS;
use crate::index::SeriesRef;
use crate::record;
use crate::state::{NEVER_MS, State};
use crate::store::Store;

/// The most samples in one frame of the log.
const FRAME_SAMPLES: usize = 64 << 10;
/// The most native histograms in one frame of the log, and the most bytes they may take in memory.
const FRAME_HISTOGRAMS: usize = 1 << 10;
const FRAME_HISTOGRAM_BYTES: usize = 4 << 20;

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

/// One native histogram to append.
#[derive(Debug, Clone)]
pub struct HistogramSample {
    /// Its series.
    pub series: SeriesRef,
    /// Its time, in milliseconds since 1970.
    pub t_ms: i64,
    /// The histogram, which must be valid ([`Histogram::validate`]).
    pub value: Arc<Histogram>,
}

impl PartialEq for HistogramSample {
    fn eq(&self, other: &Self) -> bool {
        (self.series, self.t_ms) == (other.series, other.t_ms) && self.value.same_bits(&other.value)
    }
}

/// One sample to append, by labels.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The labels of its series, which is created if need be.
    pub labels: &'a Labels,
    /// When the count began that the sample goes on with, if that is known.
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
    /// Which limit kept the first series out, if one did.
    pub series_limit: Option<String>,
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

    /// Puts in samples whose series a limit keeps out, by their places in the batch.
    pub fn refuse(&mut self, refused: &BTreeMap<usize, SeriesError>) {
        self.series_limit = refused.values().next().map(ToString::to_string);
        for at in refused.keys() {
            self.outcomes
                .insert((*at).min(self.outcomes.len()), Outcome::Limit);
            self.limit += 1;
        }
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
        let appended = self.write_samples(batch, now_ms)?;
        self.wait_durable(appended.lsn)?;
        Ok(appended)
    }

    /// The first half of [`Store::append`]: when it returns, samples are in the log and can be read, but nothing may be
    /// acknowledged before [`Store::wait_durable`] returns for the position given.
    ///
    /// # Errors
    /// As `append`.
    pub fn write_samples(&self, batch: &[Sample], now_ms: i64) -> Result<Appended, SeriesError> {
        let mut appended = Appended::default();
        appended.outcomes.reserve(batch.len());
        let mut state = self.write();
        let mut rest = batch;
        while !rest.is_empty() {
            let taken = self.write_run(&mut state, rest, now_ms, &mut appended)?;
            rest = &rest[taken..];
        }
        // A duplicate is acknowledged too, and what it repeats may still be on its way to the disk.
        appended.lsn = self.wal.last_lsn();
        Ok(appended)
    }

    /// Returns once everything up to this position of the log is durable. Those who wait at the same time share one
    /// fsync.
    ///
    /// # Errors
    /// If the fsync fails: the store then takes nothing more until it is opened again.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<(), SeriesError> {
        Ok(self.wal.wait_durable(lsn)?)
    }

    /// [`Store::append`], of native histograms.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_histograms(&self, batch: &[HistogramSample], now_ms: i64) -> Result<Appended, SeriesError> {
        let appended = self.write_histograms(batch, now_ms)?;
        self.wait_durable(appended.lsn)?;
        Ok(appended)
    }

    /// [`Store::write_samples`], of native histograms.
    ///
    /// # Errors
    /// As `append`.
    pub fn write_histograms(&self, batch: &[HistogramSample], now_ms: i64) -> Result<Appended, SeriesError> {
        let mut appended = Appended::default();
        let mut state = self.write();
        let mut rest = batch;
        while !rest.is_empty() {
            let taken = self.write_histogram_run(&mut state, rest, now_ms, &mut appended)?;
            rest = &rest[taken..];
        }
        appended.lsn = self.wal.last_lsn();
        Ok(appended)
    }

    /// As [`Store::append`], with series named by their labels. Limits count as refusals of single samples.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_rows(&self, rows: &[Row<'_>], now_ms: i64) -> Result<Appended, SeriesError> {
        let (batch, refused) = self.resolve(rows)?;
        let mut appended = self.append(&batch, now_ms)?;
        appended.refuse(&refused);
        Ok(appended)
    }

    /// The rows as samples, but for those (by their places, in rising order) whose series a limit keeps out, with the
    /// reason.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn resolve(
        &self,
        rows: &[Row<'_>],
    ) -> Result<(Vec<Sample>, BTreeMap<usize, SeriesError>), SeriesError> {
        let mut batch = Vec::with_capacity(rows.len());
        let mut refused = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let series = match self.series_ref(row.labels) {
                Ok(series) => series,
                Err(error) if error.is_limit() => {
                    refused.insert(at, error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.set_start(series, row.t_ms, row.created_ms)?;
            batch.push(Sample {
                series,
                t_ms: row.t_ms,
                value: row.value,
            });
        }
        Ok((batch, refused))
    }

    /// Takes samples from the front of `batch` as one frame of the log, and says how many. A run ends before a sample
    /// whose fate depends on one of the same run in a way that only the head can answer.
    fn write_run(
        &self,
        state: &mut State,
        batch: &[Sample],
        now_ms: i64,
        appended: &mut Appended,
    ) -> Result<usize, SeriesError> {
        let times = self.allowed_times(now_ms);
        let first = appended.outcomes.len();
        let mut frame = std::mem::take(&mut state.frame);
        frame.clear();
        let mut failed = None;
        for sample in batch {
            if frame.count >= FRAME_SAMPLES {
                break;
            }
            match self.judge(state, sample, &times) {
                Ok(None) => break,
                Ok(Some(outcome)) => {
                    if outcome == Outcome::Stored {
                        frame.push(sample);
                    }
                    appended.note(outcome);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let taken = appended.outcomes.len() - first;
        let mut written = Ok(());
        if failed.is_none() && frame.count > 0 {
            match self.wal.append(frame.bytes()) {
                Ok(lsn) => state.mark(lsn, frame.max_ms),
                Err(error) => written = Err(error),
            }
        }
        let store = failed.is_none() && written.is_ok();
        for (sample, outcome) in batch.iter().zip(&appended.outcomes[first..]) {
            if *outcome == Outcome::Stored
                && let Some(series) = state.get_mut(sample.series.0)
            {
                series.pending_ms = NEVER_MS;
                if store {
                    series.store(sample.t_ms, sample.value);
                }
            }
        }
        state.frame = frame;
        match failed {
            Some(error) => Err(error),
            None => Ok(written.map(|()| taken)?),
        }
    }

    /// [`Store::write_run`], of native histograms: each may depend on the one before, so a frame has one per series.
    fn write_histogram_run(
        &self,
        state: &mut State,
        batch: &[HistogramSample],
        now_ms: i64,
        appended: &mut Appended,
    ) -> Result<usize, SeriesError> {
        let times = self.allowed_times(now_ms);
        let mut accepted: Vec<&HistogramSample> = Vec::new();
        let (mut taken, mut bytes) = (0, 0);
        let mut failed = None;
        for sample in batch {
            let pending = state
                .get(sample.series.0)
                .is_some_and(|series| series.pending_ms != NEVER_MS);
            if accepted.len() >= FRAME_HISTOGRAMS || bytes >= FRAME_HISTOGRAM_BYTES || pending {
                break;
            }
            match self.judge_histogram(state, sample, &times) {
                Ok(outcome) => {
                    if outcome == Outcome::Stored {
                        accepted.push(sample);
                        bytes += sample.value.bytes();
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
        let mut written = Ok(());
        if failed.is_none() && !accepted.is_empty() {
            match self.wal.append(&record::histograms(&accepted)) {
                Ok(lsn) => {
                    let max_ms = accepted.iter().map(|sample| sample.t_ms).max();
                    state.mark(lsn, max_ms.unwrap_or(NEVER_MS));
                }
                Err(error) => written = Err(error),
            }
        }
        let store = failed.is_none() && written.is_ok();
        for sample in accepted {
            if let Some(series) = state.get_mut(sample.series.0) {
                series.pending_ms = NEVER_MS;
                if store {
                    series.store_histogram(sample.t_ms, Arc::clone(&sample.value));
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(written.map(|()| taken)?),
        }
    }

    fn allowed_times(&self, now_ms: i64) -> std::ops::RangeInclusive<i64> {
        now_ms.saturating_sub(self.options.retention_ms)..=now_ms.saturating_add(self.options.future_ms)
    }

    /// What becomes of a sample; `None` if samples of the run must first be stored.
    fn judge(
        &self,
        state: &mut State,
        sample: &Sample,
        times: &std::ops::RangeInclusive<i64>,
    ) -> Result<Option<Outcome>, SeriesError> {
        let Some(series) = state.get_mut(sample.series.0) else {
            return Ok(Some(Outcome::UnknownSeries));
        };
        if !times.contains(&sample.t_ms) {
            return Ok(Some(outside(times, sample.t_ms)));
        }
        if sample.t_ms > series.newest_ms && sample.t_ms > series.pending_ms {
            series.pending_ms = sample.t_ms;
            return Ok(Some(Outcome::Stored));
        }
        if series.pending_ms != NEVER_MS {
            return Ok(None);
        }
        let (newest_ms, newest_bits) = (series.newest_ms, series.newest_bits);
        if sample.t_ms == newest_ms {
            let same = sample.value.to_bits() == newest_bits;
            return Ok(Some(if same {
                Outcome::Duplicate
            } else {
                Outcome::OutOfOrder
            }));
        }
        let (samples, histograms) = self.held_at(state, sample.series.0, sample.t_ms)?;
        if let Some((_, held)) = samples.first() {
            let same = held.to_bits() == sample.value.to_bits();
            return Ok(Some(if same {
                Outcome::Duplicate
            } else {
                Outcome::OutOfOrder
            }));
        }
        if !histograms.is_empty() || sample.t_ms < newest_ms.saturating_sub(self.options.out_of_order_ms) {
            return Ok(Some(Outcome::OutOfOrder));
        }
        // Two equal late samples of one run: the second must see the first in the head.
        if let Some(series) = state.get_mut(sample.series.0) {
            series.pending_ms = newest_ms;
        }
        Ok(Some(Outcome::Stored))
    }

    fn judge_histogram(
        &self,
        state: &mut State,
        sample: &HistogramSample,
        times: &std::ops::RangeInclusive<i64>,
    ) -> Result<Outcome, SeriesError> {
        let Some(series) = state.get(sample.series.0) else {
            return Ok(Outcome::UnknownSeries);
        };
        if sample.value.positive_buckets.len() + sample.value.negative_buckets.len() > MAX_BUCKETS {
            return Ok(Outcome::Limit);
        }
        if !times.contains(&sample.t_ms) {
            return Ok(outside(times, sample.t_ms));
        }
        let newest_ms = series.newest_ms;
        if sample.t_ms <= newest_ms {
            let (samples, histograms) = self.held_at(state, sample.series.0, sample.t_ms)?;
            if let Some((_, held)) = histograms.first() {
                let same = held.same_bits(&sample.value);
                return Ok(if same {
                    Outcome::Duplicate
                } else {
                    Outcome::OutOfOrder
                });
            }
            if !samples.is_empty() || sample.t_ms < newest_ms.saturating_sub(self.options.out_of_order_ms) {
                return Ok(Outcome::OutOfOrder);
            }
        }
        if let Some(series) = state.get_mut(sample.series.0) {
            series.pending_ms = newest_ms.max(sample.t_ms);
        }
        Ok(Outcome::Stored)
    }
}

fn outside(times: &std::ops::RangeInclusive<i64>, t_ms: i64) -> Outcome {
    if t_ms > *times.end() {
        Outcome::TooFarAhead
    } else {
        Outcome::OutOfOrder
    }
}
