//! Reading: selections, label names and values, and the accepted samples in the order of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use mainstay_kernel::{Histogram, Labels, Matcher, SampleValue};
use mainstay_segment::Lsn;

use crate::append::{HistogramSample, Sample};
use crate::block::Block;
use crate::chunk::HistogramPoint;
use crate::error::SeriesError;
use crate::head::{HeadSamples, View, in_order, in_range};
use crate::record::{self, Record, Start};
use crate::starts::ReplayedStarts;
use crate::state::State;
use crate::store::Store;

/// A series with its samples in a range.
#[derive(Debug, Clone)]
pub struct SelectedSeries {
    /// Its labels.
    pub labels: Arc<Labels>,
    /// When its counter began, if that was exposed; in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// Time in milliseconds and value, in strictly rising order of time; stale markers included.
    pub samples: Vec<(i64, f64)>,
    /// Native histograms, likewise.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// An accepted sample, read back from the log.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The position of its frame. A frame holds many samples: a consumer has passed it after the last of them.
    pub lsn: Lsn,
    /// The labels of its series.
    pub labels: Arc<Labels>,
    /// When the counter had begun, as known when the sample was accepted; of a beginning recorded before the frames
    /// replayed, as it is known now.
    pub created_ms: Option<i64>,
    /// Its time, in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value.
    pub value: SampleValue,
}

/// The sample that a series has at one time, as a number or as a native histogram; at most one of them.
pub(crate) type HeldAt = (Vec<(i64, f64)>, Vec<HistogramPoint>);

/// What is read of one series, before it is in order.
pub(crate) struct Reading {
    pub(crate) id: u32,
    pub(crate) labels: Arc<Labels>,
    pub(crate) created_ms: Option<i64>,
    memory: [Option<View>; 2],
    pub(crate) samples: Vec<(i64, f64)>,
    pub(crate) histograms: Vec<HistogramPoint>,
}

impl Reading {
    /// Decodes what memory held.
    fn decode_memory(&mut self) -> Result<(), SeriesError> {
        for view in std::mem::take(&mut self.memory).into_iter().flatten() {
            view.decode(&mut self.samples, &mut self.histograms)?;
        }
        Ok(())
    }
}

impl Store {
    /// The samples after `min_ms_exclusive` and up to `max_ms_inclusive` of the series that pass every matcher, sorted
    /// by labels; series without samples there are left out.
    ///
    /// # Errors
    /// If there are more than `limit_samples`, or a block file cannot be read or is damaged: a wrong answer is not
    /// given.
    pub fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
        limit_samples: usize,
    ) -> Result<Vec<SelectedSeries>, SeriesError> {
        let (mut readings, blocks) = {
            let state = self.read();
            let view = |id| state.reading(id, min_ms_exclusive, max_ms_inclusive);
            let readings: Vec<Reading> = state
                .index
                .select(matchers)
                .into_iter()
                .filter_map(view)
                .collect();
            (readings, state.blocks_in(min_ms_exclusive, max_ms_inclusive))
        };
        let mut total = 0;
        // Block by block, so that series share reads.
        for block in &blocks {
            let mut cursor = block.cursor();
            for reading in &mut readings {
                let before = reading.samples.len() + reading.histograms.len();
                let (samples, histograms) = (&mut reading.samples, &mut reading.histograms);
                cursor.read(
                    reading.id,
                    min_ms_exclusive,
                    max_ms_inclusive,
                    samples,
                    histograms,
                )?;
                total += reading.samples.len() + reading.histograms.len() - before;
                // A chunk at either edge may bring some that are not in the range.
                if total / 2 > limit_samples {
                    return Err(SeriesError::TooManySamples { limit: limit_samples });
                }
            }
        }
        let mut found: BTreeMap<Arc<Labels>, SelectedSeries> = BTreeMap::new();
        let mut total = 0;
        for mut reading in readings {
            reading.decode_memory()?;
            let Reading {
                labels,
                created_ms,
                mut samples,
                mut histograms,
                ..
            } = reading;
            in_range(&mut samples, min_ms_exclusive, max_ms_inclusive);
            in_range(&mut histograms, min_ms_exclusive, max_ms_inclusive);
            if samples.is_empty() && histograms.is_empty() {
                continue;
            }
            total += samples.len() + histograms.len();
            if total > limit_samples {
                return Err(SeriesError::TooManySamples { limit: limit_samples });
            }
            // The same labels can have had an earlier id whose last samples are still held.
            match found.get_mut(&labels) {
                Some(earlier) => {
                    earlier.samples.extend(samples);
                    in_order(&mut earlier.samples);
                    earlier.histograms.extend(histograms);
                    in_order(&mut earlier.histograms);
                    earlier.created_ms = created_ms.or(earlier.created_ms);
                }
                None => {
                    let selected = SelectedSeries {
                        labels: Arc::clone(&labels),
                        created_ms,
                        samples,
                        histograms,
                    };
                    found.insert(labels, selected);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// The label sets of the series that pass every matcher and may have samples in the range, sorted. Block files are
    /// judged by their whole span.
    #[must_use]
    pub fn series(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Vec<Arc<Labels>> {
        let in_memory = |samples: &HeadSamples| samples.overlaps(min_ms_exclusive, max_ms_inclusive);
        let (candidates, blocks) = {
            let state = self.read();
            let candidate = |id| {
                let labels = Arc::clone(&state.get(id)?.labels);
                Some((id, labels, state.memory(id).into_iter().flatten().any(in_memory)))
            };
            let candidates: Vec<_> = state
                .index
                .select(matchers)
                .into_iter()
                .filter_map(candidate)
                .collect();
            (candidates, state.blocks_in(min_ms_exclusive, max_ms_inclusive))
        };
        let mut cursors: Vec<_> = blocks.iter().map(|block| block.cursor()).collect();
        // A directory that cannot be read is told by whoever asks for samples.
        let mut on_disk = |id| cursors.iter_mut().any(|cursor| cursor.holds(id).unwrap_or(true));
        let found: BTreeSet<Arc<Labels>> = candidates
            .into_iter()
            .filter(|(id, _, in_memory)| *in_memory || on_disk(*id))
            .map(|(_, labels, _)| labels)
            .collect();
        found.into_iter().collect()
    }

    /// How many series pass every matcher, whatever samples they have. O(values of the labels that regular expressions look
    /// at + series matched).
    #[must_use]
    pub fn count_matching(&self, matchers: &[Matcher]) -> usize {
        self.read().index.select(matchers).len()
    }

    /// The names of the labels of the series that pass every matcher, sorted.
    #[must_use]
    pub fn label_names(&self, matchers: &[Matcher]) -> Vec<String> {
        let state = self.read();
        if matchers.is_empty() {
            return state.index.names().map(str::to_owned).collect();
        }
        let mut names = BTreeSet::new();
        for series in state.matching(matchers) {
            names.extend(series.iter().map(|(name, _)| name));
        }
        names.into_iter().map(str::to_owned).collect()
    }

    /// The values of the label `name` on the series that pass every matcher, sorted.
    #[must_use]
    pub fn label_values(&self, name: &str, matchers: &[Matcher]) -> Vec<String> {
        let state = self.read();
        if matchers.is_empty() {
            return state.index.values(name).map(str::to_owned).collect();
        }
        let values: BTreeSet<&str> = state
            .matching(matchers)
            .filter_map(|labels| labels.get(name))
            .collect();
        values.into_iter().map(str::to_owned).collect()
    }

    /// Hands every sample accepted after the position `after` to `visit`, in the order of acceptance, and gives the
    /// position up to which the log was read. Only what is durable is handed out, so that a count never runs ahead of
    /// the samples. Calling it again and again with the position it gave costs O(new samples).
    ///
    /// # Errors
    /// If frames after `after` were dropped already, a record does not decode, or the log cannot be read.
    pub fn replay_since(&self, after: Lsn, visit: impl FnMut(Replayed)) -> Result<Lsn, SeriesError> {
        self.replay_some(after, usize::MAX, visit)
    }

    /// As [`Store::replay_since`], up to the end of the frame in which the number of samples reaches `samples_max`: for
    /// readers that lag far behind. The position that it gives is to go on from.
    ///
    /// # Errors
    /// As `replay_since`.
    pub fn replay_some(
        &self,
        after: Lsn,
        samples_max: usize,
        mut visit: impl FnMut(Replayed),
    ) -> Result<Lsn, SeriesError> {
        let mut starts = ReplayedStarts::default();
        let mut failed = None;
        let mut left = samples_max;
        let last = self.wal.replay_while(after, |lsn, frame| {
            match record::read(frame) {
                Ok(Record::Created { id, created_ms }) => {
                    let always = Start {
                        id,
                        from_ms: i64::MIN,
                        alone: false,
                        start_ms: Some(created_ms),
                    };
                    starts.take(&always, self.read().get(id));
                }
                Ok(Record::Start(start)) => starts.take(&start, self.read().get(start.id)),
                // What was deleted had been accepted: who counts has counted it.
                Ok(Record::Series { .. } | Record::Deletion(_)) => {}
                Ok(Record::Samples(samples)) => {
                    left = left.saturating_sub(samples.len());
                    let value =
                        |sample: Sample| (sample.series.0, sample.t_ms, SampleValue::Float(sample.value));
                    self.replayed(lsn, samples.into_iter().map(value), &starts, &mut visit);
                }
                Ok(Record::Histograms(samples)) => {
                    left = left.saturating_sub(samples.len());
                    let value = |HistogramSample { series, t_ms, value }| {
                        (series.0, t_ms, SampleValue::Histogram(value))
                    };
                    self.replayed(lsn, samples.into_iter().map(value), &starts, &mut visit);
                }
                Err(error) => failed = Some(error),
            }
            if left == 0 || failed.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        match failed {
            None => Ok(last),
            Some(error) => Err(error),
        }
    }

    fn replayed(
        &self,
        lsn: Lsn,
        samples: impl Iterator<Item = (u32, i64, SampleValue)>,
        starts: &ReplayedStarts,
        visit: &mut impl FnMut(Replayed),
    ) {
        let found: Vec<Replayed> = {
            let state = self.read();
            // A series that retention removed has no samples that anyone may still ask for.
            let of_sample = |(id, t_ms, value): (u32, i64, SampleValue)| {
                let series = state.get(id)?;
                Some(Replayed {
                    lsn,
                    labels: Arc::clone(&series.labels),
                    created_ms: starts.start_at(id, series, t_ms),
                    t_ms,
                    value,
                })
            };
            samples.filter_map(of_sample).collect()
        };
        found.into_iter().for_each(visit);
    }

    /// The times of the samples of a series in a range.
    pub(crate) fn times(
        &self,
        id: u32,
        min_exclusive: i64,
        max_inclusive: i64,
    ) -> Result<Vec<i64>, SeriesError> {
        let (reading, blocks) = {
            let state = self.read();
            let reading = state.reading(id, min_exclusive, max_inclusive);
            (reading, state.blocks_in(min_exclusive, max_inclusive))
        };
        let Some(mut reading) = reading else {
            return Ok(Vec::new());
        };
        for block in &blocks {
            let (samples, histograms) = (&mut reading.samples, &mut reading.histograms);
            block
                .cursor()
                .read(id, min_exclusive, max_inclusive, samples, histograms)?;
        }
        reading.decode_memory()?;
        let floats = reading.samples.iter().map(|held| held.0);
        let histograms = reading.histograms.iter().map(|held| held.0);
        let mut times: Vec<(i64, ())> = floats.chain(histograms).map(|t_ms| (t_ms, ())).collect();
        in_range(&mut times, min_exclusive, max_inclusive);
        Ok(times.into_iter().map(|held| held.0).collect())
    }

    /// What is held of a series at one time.
    pub(crate) fn held_at(&self, state: &State, id: u32, t_ms: i64) -> Result<HeldAt, SeriesError> {
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        let before_ms = t_ms.saturating_sub(1);
        for block in state.blocks_in(before_ms, t_ms) {
            block
                .cursor()
                .read(id, before_ms, t_ms, &mut samples, &mut histograms)?;
        }
        for held in state.memory(id).into_iter().flatten() {
            held.view(before_ms, t_ms).decode(&mut samples, &mut histograms)?;
        }
        in_range(&mut samples, before_ms, t_ms);
        in_range(&mut histograms, before_ms, t_ms);
        Ok((samples, histograms))
    }
}

impl State {
    fn reading(&self, id: u32, min_exclusive: i64, max_inclusive: i64) -> Option<Reading> {
        let series = self.get(id)?;
        Some(Reading {
            id,
            labels: Arc::clone(&series.labels),
            created_ms: series.created_ms,
            memory: self
                .memory(id)
                .map(|held| held.map(|held| held.view(min_exclusive, max_inclusive))),
            samples: Vec::new(),
            histograms: Vec::new(),
        })
    }

    /// What memory holds of a series: on its way to a block file, and the head.
    pub(crate) fn memory(&self, id: u32) -> [Option<&HeadSamples>; 2] {
        let frozen = self.frozen.as_ref().and_then(|freeze| freeze.samples.get(&id));
        [frozen, self.get(id).map(|series| &series.head)]
    }

    pub(crate) fn blocks_in(&self, min_exclusive: i64, max_inclusive: i64) -> Vec<Arc<Block>> {
        self.blocks
            .iter()
            .filter(|block| block.overlaps(min_exclusive, max_inclusive))
            .cloned()
            .collect()
    }

    fn matching(&self, matchers: &[Matcher]) -> impl Iterator<Item = &Labels> {
        let ids = self.index.select(matchers);
        ids.into_iter()
            .filter_map(|id| self.get(id).map(|series| &*series.labels))
    }
}
