//! The samples that one question may see, as far as its limits go.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher, Reach, Summary};
use mainstay_plane::telemetry::{StoreSamples, TenantLimits};
use mainstay_promql::{Resolution, Samples, Series, SourceError};

/// The samples within reach, and how much of them was looked at.
pub(super) struct Within<'a> {
    samples: &'a StoreSamples,
    /// What every selector has to say too.
    reach: Option<Matcher>,
    limits: TenantLimits,
    read: Cell<u64>,
    series: Cell<u64>,
}

impl<'a> Within<'a> {
    pub(super) fn new(samples: &'a StoreSamples, reach: &Reach, limits: TenantLimits) -> Self {
        Self {
            samples,
            reach: reach.matcher(),
            limits,
            read: Cell::new(0),
            series: Cell::new(0),
        }
    }

    /// How many samples were read.
    pub(super) fn samples_read(&self) -> u64 {
        self.read.get()
    }

    fn reached<'m>(&self, matchers: &'m [Matcher]) -> Cow<'m, [Matcher]> {
        match &self.reach {
            None => Cow::Borrowed(matchers),
            Some(reach) => matchers.iter().chain([reach]).cloned().collect(),
        }
    }

    /// Counts the series that a selector means, before anything of them is read.
    fn count(&self, matchers: &[Matcher]) -> Result<(), SourceError> {
        let series = self
            .series
            .get()
            .saturating_add(self.samples.count_series(matchers));
        self.series.set(series);
        let limit = self.limits.query_series;
        if series > limit {
            return Err(SourceError::TooManySeries { limit });
        }
        Ok(())
    }
}

impl Samples for Within<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let matchers = self.reached(matchers);
        self.count(&matchers)?;
        let limit = self.limits.query_samples;
        let left = limit.saturating_sub(self.read.get());
        let found = self
            .samples
            .select_at_most(&matchers, min_ms_exclusive, max_ms_inclusive, left);
        let found = found.map_err(|error| match error {
            SourceError::TooManySamples { .. } => SourceError::TooManySamples { limit },
            other => other,
        })?;
        let of_series = |series: &Series| series.samples.len() + series.histograms.len();
        let read: usize = found.iter().map(of_series).sum();
        self.read.set(self.read.get() + read as u64);
        Ok(found)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        end_ms: i64,
        visit: &mut dyn FnMut(&Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        let matchers = self.reached(matchers);
        let before = self.series.get();
        self.count(&matchers)?;
        let answered = self
            .samples
            .summaries(&matchers, range_ms, end_ms, &mut |labels, summary| {
                self.read.set(self.read.get() + summary.count);
                visit(labels, summary);
            })?;
        if !answered {
            // They are selected next, and counted then.
            self.series.set(before);
        }
        Ok(answered)
    }

    fn moving_summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        ends_ms: &[i64],
        cancelled: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(usize, &Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        let matchers = self.reached(matchers);
        let before = self.series.get();
        self.count(&matchers)?;
        let visit = &mut |at, labels: &Arc<Labels>, summary: &Summary| {
            self.read.set(self.read.get() + summary.count);
            visit(at, labels, summary);
        };
        let answered = self
            .samples
            .moving_summaries(&matchers, range_ms, ends_ms, cancelled, visit)?;
        if !answered {
            self.series.set(before);
        }
        Ok(answered)
    }

    fn resolution(&self, min_ms_exclusive: i64, max_ms_inclusive: i64) -> Resolution {
        self.samples.resolution(min_ms_exclusive, max_ms_inclusive)
    }

    fn starts(
        &self,
        labels: &Labels,
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<(i64, i64)>, SourceError> {
        self.samples.starts(labels, min_ms_exclusive, max_ms_inclusive)
    }
}
