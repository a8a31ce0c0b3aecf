//! The samples of a store in order of time, for a replay; and for counting anew what was lost.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_kernel::{Labels, Matcher};
use mainstay_series::{SeriesError, Store};
use mainstay_slo::replay::{Batch, Course, Replay, Sample, Source, TICK_MS};
use mainstay_slo::{Settings, SloCatalog, SloEngine, SloError};

use super::TelemetryError;

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

/// The stored counts. Damaged ones are put aside, and what the store holds is counted anew: what is older than it is lost and
/// unknown.
pub(super) fn readable(
    bytes: Vec<u8>,
    file: &Path,
    store: &Store,
    catalog: &SloCatalog,
    settings: Settings,
    now: Timestamp,
) -> Result<Vec<u8>, TelemetryError> {
    match SloEngine::verify(&bytes) {
        Ok(()) => return Ok(bytes),
        Err(source @ SloError::LaterState(_)) => {
            let file = file.to_owned();
            return Err(TelemetryError::Counts { file, source });
        }
        Err(damage) => tracing::error!(%damage, ?file, "the counts are put aside and counted anew"),
    }
    let aside = file.with_extension(format!("damaged-{}", now.as_millisecond()));
    std::fs::rename(file, &aside).map_err(|error| TelemetryError::File {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(recount(store, catalog.clone(), settings, now)?.to_bytes())
}

/// Counts anew what a store holds, where the counts are lost: as far back as single samples are kept, of counters and gauges.
fn recount(
    store: &Store,
    catalog: SloCatalog,
    settings: Settings,
    now: Timestamp,
) -> Result<SloEngine, SeriesError> {
    let from_ms = now.as_millisecond().saturating_sub(store.options().retention_ms);
    let course = Course {
        counted_from: Timestamp::from_millisecond(from_ms).unwrap_or(now),
        judged_from: now,
        to: now,
        tick_ms: TICK_MS,
    };
    let mut source = StoreSource::new(store, &catalog, course);
    let (mut engine, _) = Replay::new(catalog, settings, course).run(&mut source, |_| {})?;
    engine.advance_to(store.last_lsn().get());
    Ok(engine)
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
