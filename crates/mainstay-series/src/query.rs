//! Reading: selections, label names and values, and the accepted samples in the order of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher};
use mainstay_segment::Lsn;

use crate::block::Block;
use crate::error::SeriesError;
use crate::head::{HeadSamples, in_order};
use crate::record::{self, Record};
use crate::store::{State, Store};

/// A series with its samples in a range.
#[derive(Debug, Clone)]
pub struct SelectedSeries {
    /// Its labels.
    pub labels: Arc<Labels>,
    /// When its counter began, if that was exposed; in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// Time in milliseconds and value, in strictly rising order of time; stale markers included.
    pub samples: Vec<(i64, f64)>,
}

/// An accepted sample, read back from the log.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The position of its frame. A frame holds many samples: a consumer has passed it after the last of them.
    pub lsn: Lsn,
    /// The labels of its series.
    pub labels: Arc<Labels>,
    /// When the counter had begun, as known when the sample was accepted; of a beginning recorded before the frames
    /// replayed, the latest known.
    pub created_ms: Option<i64>,
    /// Its time, in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value.
    pub value: f64,
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
        struct View {
            id: u32,
            labels: Arc<Labels>,
            created_ms: Option<i64>,
            memory: [Option<HeadSamples>; 2],
        }
        let (views, blocks) = {
            let state = self.read();
            let views: Vec<View> = state
                .index
                .select(matchers)
                .into_iter()
                .filter_map(|id| {
                    let series = state.get(id)?;
                    Some(View {
                        id,
                        labels: Arc::clone(&series.labels),
                        created_ms: series.created_ms,
                        memory: state
                            .memory(id)
                            .map(|held| held.map(|samples| samples.view(min_ms_exclusive, max_ms_inclusive))),
                    })
                })
                .collect();
            (views, state.blocks_in(min_ms_exclusive, max_ms_inclusive))
        };
        let mut found: BTreeMap<Arc<Labels>, SelectedSeries> = BTreeMap::new();
        let mut total = 0;
        for view in views {
            let mut samples = Vec::new();
            for block in &blocks {
                block.read(view.id, min_ms_exclusive, max_ms_inclusive, &mut samples)?;
            }
            for held in view.memory.iter().flatten() {
                held.decode(&mut samples)?;
            }
            samples.retain(|(t_ms, _)| *t_ms > min_ms_exclusive && *t_ms <= max_ms_inclusive);
            in_order(&mut samples);
            if samples.is_empty() {
                continue;
            }
            total += samples.len();
            if total > limit_samples {
                return Err(SeriesError::TooManySamples { limit: limit_samples });
            }
            // The same labels can have had an earlier id whose last samples are still held.
            match found.get_mut(&view.labels) {
                Some(earlier) => {
                    earlier.samples.extend(samples);
                    in_order(&mut earlier.samples);
                    earlier.created_ms = view.created_ms.or(earlier.created_ms);
                }
                None => {
                    let selected = SelectedSeries {
                        labels: Arc::clone(&view.labels),
                        created_ms: view.created_ms,
                        samples,
                    };
                    found.insert(view.labels, selected);
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
        let state = self.read();
        let blocks = state.blocks_in(min_ms_exclusive, max_ms_inclusive);
        let found: BTreeSet<Arc<Labels>> = state
            .index
            .select(matchers)
            .into_iter()
            .filter(|id| {
                let in_memory = |samples: &HeadSamples| samples.overlaps(min_ms_exclusive, max_ms_inclusive);
                state.memory(*id).into_iter().flatten().any(in_memory)
                    || blocks.iter().any(|block| block.holds(*id))
            })
            .filter_map(|id| state.get(id).map(|series| Arc::clone(&series.labels)))
            .collect();
        found.into_iter().collect()
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
        let mut created: BTreeMap<u32, i64> = BTreeMap::new();
        let mut failed = None;
        let mut left = samples_max;
        let last = self.wal.replay_while(after, |lsn, frame| {
            match record::read(frame) {
                Ok(Record::Created { id, created_ms }) => {
                    created.insert(id, created_ms);
                }
                Ok(Record::Series { .. }) => {}
                Ok(Record::Samples(samples)) => {
                    left = left.saturating_sub(samples.len());
                    let replayed = self.replayed(lsn, &samples, &created);
                    replayed.into_iter().for_each(&mut visit);
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

    fn replayed(&self, lsn: Lsn, samples: &[crate::Sample], created: &BTreeMap<u32, i64>) -> Vec<Replayed> {
        let state = self.read();
        // A series that retention removed has no samples that anyone may still ask for.
        let of_sample = |sample: &crate::Sample| {
            let series = state.get(sample.series.0)?;
            let known = series.created_ms.filter(|created_ms| *created_ms <= sample.t_ms);
            Some(Replayed {
                lsn,
                labels: Arc::clone(&series.labels),
                created_ms: created.get(&sample.series.0).copied().or(known),
                t_ms: sample.t_ms,
                value: sample.value,
            })
        };
        samples.iter().filter_map(of_sample).collect()
    }

    /// Adds what is held of a series in the range, and possibly more, to `out`.
    pub(crate) fn read_series(
        &self,
        state: &State,
        id: u32,
        min_exclusive: i64,
        max_inclusive: i64,
        out: &mut Vec<(i64, f64)>,
    ) -> Result<(), SeriesError> {
        for block in state.blocks_in(min_exclusive, max_inclusive) {
            block.read(id, min_exclusive, max_inclusive, out)?;
        }
        for held in state.memory(id).into_iter().flatten() {
            held.view(min_exclusive, max_inclusive).decode(out)?;
        }
        Ok(())
    }
}

impl State {
    /// What memory holds of a series: on its way to a block file, and the head.
    fn memory(&self, id: u32) -> [Option<&HeadSamples>; 2] {
        let frozen = self.frozen.as_ref().and_then(|freeze| freeze.samples.get(&id));
        [frozen, self.get(id).map(|series| &series.head)]
    }

    fn blocks_in(&self, min_exclusive: i64, max_inclusive: i64) -> Vec<Arc<Block>> {
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
