//! The series store as PromQL and the rules see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_kernel::{Labels, Matcher, Summary};
use mainstay_promql::{Samples, Series, SourceError};
use mainstay_series::{SeriesError, Store, Windows};

use super::remote::{RemoteEngine, RemoteSamples, merge};

/// The most samples that one selector may load.
const SELECT_SAMPLES_MAX: usize = 20_000_000;
/// How much memory windows that are kept may take in all.
const KEPT_MAX_BYTES: usize = 512 << 20;
/// Windows are weighed once in so many uses: it costs a look at each of their series.
const WEIGH_EVERY: u64 = 16;

/// A store that can be asked, and with it the engine of others that has further samples, if there is one.
#[derive(Debug, Clone)]
pub struct StoreSamples {
    store: Arc<Store>,
    kept: Option<Arc<Mutex<KeptWindows>>>,
    engine: Option<RemoteSamples>,
}

/// The windows that rules look through, kept from evaluation to evaluation and shared by all rules with the same selector
/// and range. What was not used for longest goes first when there is no room.
#[derive(Debug, Default)]
pub(super) struct KeptWindows {
    windows: BTreeMap<String, Kept>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    windows: Windows,
    used: u64,
    bytes: usize,
}

impl KeptWindows {
    fn weigh(&mut self, key: &str) {
        if let Some(kept) = self.windows.get_mut(key) {
            let bytes = kept.windows.bytes();
            self.bytes = self.bytes - kept.bytes + bytes;
            kept.bytes = bytes;
        }
        while self.bytes > KEPT_MAX_BYTES {
            let oldest = self.windows.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some(gone) = self.windows.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
    }
}

impl StoreSamples {
    /// Asks `store`.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            kept: None,
            engine: None,
        }
    }

    /// Asks an engine too. Where both have a sample of one time, the store's holds.
    pub(super) fn and(self, engine: Option<&RemoteEngine>) -> Self {
        Self {
            engine: engine.map(|engine| engine.samples().clone()),
            ..self
        }
    }

    /// Asks it again and again, at times that move on.
    pub(super) fn keeping(store: Arc<Store>, kept: Arc<Mutex<KeptWindows>>) -> Self {
        Self {
            store,
            kept: Some(kept),
            engine: None,
        }
    }
}

fn failed(error: SeriesError) -> SourceError {
    match error {
        SeriesError::TooManySamples { limit } => SourceError::TooManySamples { limit: limit as u64 },
        other => SourceError::Failed(other.to_string()),
    }
}

impl Samples for StoreSamples {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let selected = self
            .store
            .select(matchers, min_ms_exclusive, max_ms_inclusive, SELECT_SAMPLES_MAX)
            .map_err(failed)?;
        let selected = selected.into_iter().map(|series| Series {
            labels: series.labels,
            samples: series.samples,
            histograms: series.histograms,
        });
        match &self.engine {
            None => Ok(selected.collect()),
            Some(engine) => {
                let further = engine.select(matchers, min_ms_exclusive, max_ms_inclusive)?;
                Ok(merge(selected.collect(), further))
            }
        }
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        end_ms: i64,
        visit: &mut dyn FnMut(&Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        if self.engine.is_some() {
            return Ok(false);
        }
        let Some(kept) = &self.kept else {
            let mut windows = Windows::new(matchers.to_vec(), range_ms);
            return self.store.windows(&mut windows, end_ms, visit).map_err(failed);
        };
        let mut key = range_ms.to_string();
        for matcher in matchers {
            // Writing to a string does not fail.
            let _ = write!(key, ",{matcher}");
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let held = match kept.windows.get_mut(&key) {
            Some(held) => held,
            None => kept.windows.entry(key.clone()).or_insert(Kept {
                windows: Windows::new(matchers.to_vec(), range_ms),
                used: uses,
                bytes: 0,
            }),
        };
        held.used = uses;
        let (new, answered) = (
            held.bytes == 0,
            self.store.windows(&mut held.windows, end_ms, visit),
        );
        if new || uses.is_multiple_of(WEIGH_EVERY) {
            kept.weigh(&key);
        }
        answered.map_err(failed)
    }
}
