//! When the counts began that samples go on with: one start for all samples of a series, as counters mostly have, or steps
//! in time, each written down only where the start changes.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

use crate::append::Sample;
use crate::error::SeriesError;
use crate::index::SeriesRef;
use crate::record::{self, Start};
use crate::state::{NEVER_MS, Series, State};
use crate::store::Store;

/// The most steps that are kept of one series: the oldest go.
const SERIES_STEPS: usize = 1 << 10;
/// The most steps that are kept of all series, 64 MiB: beyond them a series that changes keeps its newest ones.
const ALL_STEPS: usize = 4 << 20;
/// So many a series keeps even then.
const FEW_STEPS: usize = 2;

/// From each time on, in rising order, the start of the samples; `None` where it is not known.
pub(crate) type Steps = Vec<(i64, Option<i64>)>;

impl Store {
    /// Says of the sample that a series is about to get at `t_ms` when its count began, or that this is not known. Durable
    /// with the next append; costs nothing as long as it is what the sample before had.
    ///
    /// # Errors
    /// If the series is not known or the log cannot be written.
    pub fn set_start(&self, series: SeriesRef, t_ms: i64, start_ms: Option<i64>) -> Result<(), SeriesError> {
        let unknown = SeriesError::UnknownSeries(series.0);
        match self.read().get(series.0) {
            None => return Err(unknown),
            Some(held) if held.start_at(t_ms) == start_ms => return Ok(()),
            Some(_) => {}
        }
        let mut state = self.write();
        let held = state.get(series.0).ok_or(unknown)?;
        let start = Start {
            id: series.0,
            from_ms: t_ms,
            alone: t_ms < held.newest_ms,
            start_ms,
        };
        let lsn = self.wal.append(&record::start(&start))?;
        state.mark(lsn, NEVER_MS);
        state.set_start(&start);
        Ok(())
    }

    /// [`Store::set_start`] of samples about to be appended, each with its start if that is known.
    ///
    /// # Errors
    /// As `set_start`.
    pub fn set_starts(&self, samples: &[Sample], starts_ms: &[Option<i64>]) -> Result<(), SeriesError> {
        for (sample, start_ms) in samples.iter().zip(starts_ms) {
            self.set_start(sample.series, sample.t_ms, *start_ms)?;
        }
        Ok(())
    }

    /// Of the samples after `min_ms_exclusive` and up to `max_ms_inclusive` of the series with these labels, those whose
    /// start is known: time and start.
    ///
    /// # Errors
    /// If a block file cannot be read or is damaged.
    pub fn starts(
        &self,
        labels: &Labels,
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<(i64, i64)>, SeriesError> {
        let (id, known) = {
            let state = self.read();
            let Some((id, series)) = state.find(labels).and_then(|id| Some((id, state.get(id)?))) else {
                return Ok(Vec::new());
            };
            (id, series.known_starts())
        };
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let times = self.times(id, min_ms_exclusive, max_ms_inclusive)?;
        let start = |t_ms: i64| Some((t_ms, at(&known, t_ms)?));
        Ok(times.into_iter().filter_map(start).collect())
    }
}

fn at(steps: &[(i64, Option<i64>)], t_ms: i64) -> Option<i64> {
    said(steps, t_ms)?
}

/// What steps say of a time; `None`: nothing.
fn said(steps: &[(i64, Option<i64>)], t_ms: i64) -> Option<Option<i64>> {
    let after = steps.partition_point(|step| step.0 <= t_ms);
    Some(steps.get(after.checked_sub(1)?)?.1)
}

/// Puts a start among steps; after one that stands alone goes on what was so `before` it.
fn put(steps: &mut Steps, start: &Start, before: Option<i64>) {
    let mut place = steps.partition_point(|step| step.0 < start.from_ms);
    match steps.get_mut(place) {
        Some(step) if step.0 == start.from_ms => step.1 = start.start_ms,
        _ => steps.insert(place, (start.from_ms, start.start_ms)),
    }
    place += 1;
    let next_ms = start.from_ms.saturating_add(1);
    if start.alone && steps.get(place).is_none_or(|step| step.0 != next_ms) {
        steps.insert(place, (next_ms, before));
    }
}

/// The starts as they were known when each sample was accepted, where the log is read again from some place on.
#[derive(Debug, Default)]
pub(crate) struct ReplayedStarts(BTreeMap<u32, Steps>);

impl ReplayedStarts {
    /// Takes one that the log says; `known` is its series as it is now.
    pub(crate) fn take(&mut self, start: &Start, known: Option<&Series>) {
        let before = known.and_then(|known| self.start_at(start.id, known, start.from_ms));
        put(self.0.entry(start.id).or_default(), start, before);
    }

    /// The start of a sample: by what the log said, else by what is known of its series now.
    pub(crate) fn start_at(&self, id: u32, known: &Series, t_ms: i64) -> Option<i64> {
        let steps = self.0.get(&id).map_or(&[][..], Vec::as_slice);
        said(steps, t_ms).unwrap_or_else(|| known.start_at(t_ms))
    }
}

impl Series {
    /// The start of the sample of this time.
    pub(crate) fn start_at(&self, t_ms: i64) -> Option<i64> {
        match &self.starts {
            Some(steps) => at(steps, t_ms),
            None => self.created_ms.filter(|_| t_ms >= self.created_from_ms),
        }
    }

    /// All that is known of its samples' starts.
    pub(crate) fn known_starts(&self) -> Steps {
        match (&self.starts, self.created_ms) {
            (Some(steps), _) => steps.to_vec(),
            (None, Some(created_ms)) => vec![(self.created_from_ms, Some(created_ms))],
            (None, None) => Steps::new(),
        }
    }

    /// Takes over what [`Series::known_starts`] gave.
    pub(crate) fn know_starts(&mut self, steps: Steps) {
        match steps[..] {
            [(from_ms, created_ms @ Some(_))] => {
                (self.created_from_ms, self.created_ms) = (from_ms, created_ms);
            }
            _ => self.starts = Some(Box::new(steps)),
        }
    }
}

impl State {
    pub(crate) fn set_start(&mut self, start: &Start) {
        let all_steps = self.all_steps;
        let Some(series) = self.get_mut(start.id) else {
            return;
        };
        let before = series.start_at(start.from_ms);
        if before == start.start_ms {
            return;
        }
        let had = series.starts.as_ref().map_or(0, |steps| steps.len());
        let mut steps = series.known_starts();
        put(&mut steps, start, before);
        let limit = if all_steps > ALL_STEPS {
            FEW_STEPS
        } else {
            SERIES_STEPS
        };
        steps.drain(..steps.len().saturating_sub(limit));
        let newest = steps.iter().rev().find_map(|step| step.1);
        series.know_starts(steps);
        series.created_ms = newest.or(series.created_ms);
        let has = series.starts.as_ref().map_or(0, |steps| steps.len());
        self.all_steps = (all_steps + has).saturating_sub(had);
    }
}
