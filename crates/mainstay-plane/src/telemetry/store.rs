//! The series store as PromQL and the rules see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_kernel::{Labels, Matcher, Summary};
use mainstay_promql::{Resolution, Samples, Series, SourceError};
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

impl StoreSamples {
    /// How many series of the store pass every matcher: what a query would look at, known before it costs anything.
    #[must_use]
    pub fn count_series(&self, matchers: &[Matcher]) -> u64 {
        self.store.count_matching(matchers) as u64
    }

    /// [`Samples::select`], of at most so many samples.
    ///
    /// # Errors
    /// As there, and if there are more.
    pub fn select_at_most(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
        limit_samples: u64,
    ) -> Result<Vec<Series>, SourceError> {
        let limit = usize::try_from(limit_samples).unwrap_or(usize::MAX);
        let selected = self
            .store
            .select(
                matchers,
                min_ms_exclusive,
                max_ms_inclusive,
                limit.min(SELECT_SAMPLES_MAX),
            )
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
}

impl Samples for StoreSamples {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        self.select_at_most(matchers, min_ms_exclusive, max_ms_inclusive, u64::MAX)
    }

    fn starts(
        &self,
        labels: &Labels,
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<(i64, i64)>, SourceError> {
        self.store
            .starts(labels, min_ms_exclusive, max_ms_inclusive)
            .map_err(failed)
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

    /// Cost: that of the first window, and from each to the next that of what comes and goes.
    fn moving_summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        ends_ms: &[i64],
        cancelled: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(usize, &Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        if self.engine.is_some() {
            return Ok(false);
        }
        let mut windows = Windows::new(matchers.to_vec(), range_ms);
        for (at, end_ms) in ends_ms.iter().enumerate() {
            if cancelled() {
                return Ok(false);
            }
            let visit = |labels: &Arc<Labels>, summary: &Summary| visit(at, labels, summary);
            let answered = self.store.windows(&mut windows, *end_ms, visit);
            if !answered.map_err(failed)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn resolution(&self, min_ms_exclusive: i64, max_ms_inclusive: i64) -> Resolution {
        let found = self.store.resolution(min_ms_exclusive, max_ms_inclusive);
        Resolution {
            records: found.records,
            kept_ms: found.kept_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::STALE_NAN;
    use mainstay_kernel::testing::SeededEntropy;
    use mainstay_promql::{Limits, Value, instant, parse};
    use mainstay_series::{Options, Row};

    use super::*;

    /// A store that knows no summaries: every window is scanned.
    struct Scanned(StoreSamples);

    impl Samples for Scanned {
        fn select(&self, matchers: &[Matcher], min: i64, max: i64) -> Result<Vec<Series>, SourceError> {
            self.0.select(matchers, min, max)
        }
    }

    /// Every series with the bits of its value.
    fn bits(value: &Value) -> Vec<(Labels, u64)> {
        let Value::Vector(samples) = value else {
            panic!("a vector: {value:?}")
        };
        let bits = |value: f64| {
            if value.is_nan() {
                f64::NAN.to_bits()
            } else {
                value.to_bits()
            }
        };
        samples
            .iter()
            .filter_map(|sample| Some(((*sample.labels).clone(), bits(sample.value.float()?))))
            .collect()
    }

    #[test]
    fn rules_see_to_the_last_bit_what_a_scan_sees() {
        const FUNCTIONS: [&str; 15] = [
            "rate",
            "increase",
            "delta",
            "resets",
            "changes",
            "count_over_time",
            "sum_over_time",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "first_over_time",
            "last_over_time",
            "present_over_time",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
        ];
        let dir = tempfile::tempdir().expect("a directory");
        let options = Options {
            block_ms: 20 * 60_000,
            ..Options::default()
        };
        let store = Arc::new(Store::open(dir.path(), options).expect("opens").0);
        let kept = StoreSamples::keeping(Arc::clone(&store), Arc::default());
        let (fresh, scanned) = (
            StoreSamples::new(Arc::clone(&store)),
            Scanned(StoreSamples::new(Arc::clone(&store))),
        );
        let queries: Vec<_> = FUNCTIONS
            .iter()
            .flat_map(|function| ["2m", "1h", "9h"].map(|range| format!("{function}(x[{range}])")))
            .chain([
                "sum by (n) (rate(x[1h] offset 7m)) / 3".to_owned(),
                "rate(x[1h] @ 3600)".to_owned(),
            ])
            .map(|query| (parse(&query).expect("a query"), query))
            .collect();
        let entropy = SeededEntropy::new(11);
        let mut counters = [0.0; 4];
        for step in 0..900i64 {
            let t_ms = step * 30_000;
            let rows: Vec<(Labels, f64)> = (0..4)
                .filter(|_| entropy.below(20) > 0)
                .map(|series: usize| {
                    let counter = &mut counters[series];
                    *counter = if entropy.below(90) == 0 {
                        0.0
                    } else {
                        *counter + entropy.below(7) as f64
                    };
                    let value = match (series, entropy.below(60)) {
                        (_, 0) => STALE_NAN,
                        (3, _) => *counter / 8.0,
                        _ => *counter,
                    };
                    (
                        Labels::from_iter([("__name__", "x".to_owned()), ("n", series.to_string())]),
                        value,
                    )
                })
                .collect();
            let rows: Vec<Row<'_>> = rows
                .iter()
                .map(|(labels, value)| Row {
                    labels,
                    created_ms: None,
                    t_ms,
                    value: *value,
                })
                .collect();
            store.append_rows(&rows, t_ms).expect("appended");
            store.maintain(t_ms).expect("maintained");
            if step % 60 > 3 {
                continue;
            }
            for (expr, query) in &queries {
                let ask = |samples: &dyn Samples| {
                    let outcome = instant(expr, t_ms, samples, &Limits::default()).expect("evaluates");
                    bits(&outcome.value)
                };
                let wanted = ask(&scanned);
                assert_eq!(ask(&kept), wanted, "{query} at step {step}, kept");
                assert_eq!(ask(&fresh), wanted, "{query} at step {step}");
            }
        }
        assert!(store.stats().blocks > 3, "files are in the windows too");
        let answered = kept.summaries(
            &[Matcher::equal("__name__", "x")],
            3_600_000,
            27_000_000,
            &mut |_, _| {},
        );
        assert_eq!(answered, Ok(true), "it was summaries that were asked");
    }
}
