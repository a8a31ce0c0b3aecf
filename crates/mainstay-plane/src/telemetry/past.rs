//! The samples of a store in order of time, for a replay.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher};
use mainstay_series::{SeriesError, Store};
use mainstay_slo::SloCatalog;
use mainstay_slo::replay::{Batch, Course, Sample, Source};

/// How much time is read at once, to begin with and at most, in milliseconds.
const PAGE_MS: i64 = 3_600_000;
const PAGE_MAX_MS: i64 = 6 * 3_600_000;
/// How many samples are read at once at most: 64 MiB of them.
const PAGE_SAMPLES: usize = 4 << 20;
/// A page of half as many samples or less is followed by a longer one.
const FEW_SAMPLES: usize = PAGE_SAMPLES / 8;

/// Reads what the indicators of a catalog count, a page of time at a time. Only samples are read: of records of tiers
/// nothing can be counted.
#[derive(Debug)]
pub struct StoreSource<'a> {
    store: &'a Store,
    selectors: VecDeque<Vec<Matcher>>,
    next_ms: i64,
    to_ms: i64,
    page_ms: i64,
}

impl<'a> StoreSource<'a> {
    /// What `catalog` counts in the time of `course`.
    #[must_use]
    pub fn new(store: &'a Store, catalog: &SloCatalog, course: Course) -> Self {
        let mut selectors: VecDeque<Vec<Matcher>> = VecDeque::new();
        for selector in catalog.indicators().iter().flat_map(|sli| sli.selectors()) {
            let matchers = selector.to_matchers();
            if !selectors.contains(&matchers) {
                selectors.push_back(matchers);
            }
        }
        Self {
            store,
            selectors,
            next_ms: course.counted_from.as_millisecond(),
            to_ms: course.to.as_millisecond(),
            page_ms: PAGE_MS,
        }
    }

    fn read(&self, to_ms: i64, batch: &mut Batch) -> Result<usize, SeriesError> {
        let mut read: BTreeSet<Arc<Labels>> = BTreeSet::new();
        let mut samples = 0;
        for matchers in &self.selectors {
            let left = PAGE_SAMPLES.saturating_sub(samples);
            for found in self.store.select(matchers, self.next_ms, to_ms, left)? {
                // One that several selectors select comes once.
                if !read.insert(Arc::clone(&found.labels)) {
                    continue;
                }
                samples += found.samples.len();
                let starts = self.store.starts(&found.labels, self.next_ms, to_ms)?;
                let mut starts = starts.into_iter().peekable();
                let series = batch.series(&found.labels);
                for (t_ms, value) in found.samples {
                    while starts.next_if(|start| start.0 < t_ms).is_some() {}
                    let created_ms = starts.next_if(|start| start.0 == t_ms).map(|start| start.1);
                    batch.push(Sample {
                        series,
                        t_ms,
                        value,
                        created_ms,
                    });
                }
            }
        }
        Ok(samples)
    }
}

impl Source for StoreSource<'_> {
    type Error = SeriesError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, SeriesError> {
        while self.next_ms < self.to_ms {
            let to_ms = self.next_ms.saturating_add(self.page_ms).min(self.to_ms);
            let samples = match self.read(to_ms, batch) {
                Err(SeriesError::TooManySamples { .. }) if self.page_ms > 1_000 => {
                    self.page_ms /= 2;
                    batch.clear();
                    continue;
                }
                other => other?,
            };
            self.next_ms = to_ms;
            if samples < FEW_SAMPLES {
                self.page_ms = (self.page_ms * 2).min(PAGE_MAX_MS);
            }
            return Ok(true);
        }
        Ok(false)
    }
}
