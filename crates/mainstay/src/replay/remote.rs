//! Raw samples of an engine with a Prometheus API, a page of time at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher};
use mainstay_promql::Series;
use mainstay_promql::dialect::Dialect;
use mainstay_remote::query::Client;
use mainstay_remote::{Auth, Endpoint, RemoteError};
use mainstay_slo::SloCatalog;
use mainstay_slo::replay::{Batch, Course, Sample, Source};
use tokio::runtime::Runtime;

use super::ReplayError;

/// How much time one request asks for, to begin with and at most, in milliseconds.
const PAGE_MS: i64 = 3_600_000;
const PAGE_MAX_MS: i64 = 24 * 3_600_000;
/// A page of fewer samples is followed by a longer one.
const FEW_SAMPLES: usize = 250_000;

/// An engine that is asked.
pub(super) struct Engine {
    runtime: Runtime,
    client: Client,
    dialect: Dialect,
    url: String,
}

impl Engine {
    /// Finds out what it is.
    pub(super) fn connect(url: &str, token: Option<&str>) -> Result<Self, ReplayError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(ReplayError::Start)?;
        let mut endpoint = Endpoint::new(url.trim_end_matches('/'));
        if let Some(token) = token {
            endpoint.auth = Auth::Bearer(token.to_owned());
        }
        let failed = |source| ReplayError::Engine {
            url: url.to_owned(),
            source,
        };
        let client = Client::new(&endpoint).map_err(failed)?;
        let engine = runtime.block_on(client.engine()).map_err(failed)?;
        Ok(Self {
            runtime,
            client,
            dialect: engine.dialect,
            url: url.to_owned(),
        })
    }

    /// What `catalog` counts in the time of `course`.
    pub(super) fn source(&self, catalog: &SloCatalog, course: Course) -> EngineSource<'_> {
        let mut selectors: Vec<Vec<Matcher>> = Vec::new();
        for selector in catalog.indicators().iter().flat_map(|sli| sli.selectors()) {
            let matchers = selector.to_matchers();
            if !selectors.contains(&matchers) {
                selectors.push(matchers);
            }
        }
        EngineSource {
            engine: self,
            selectors,
            next_ms: course.counted_from.as_millisecond(),
            to_ms: course.to.as_millisecond(),
            page_ms: PAGE_MS,
        }
    }
}

pub(super) struct EngineSource<'a> {
    engine: &'a Engine,
    selectors: Vec<Vec<Matcher>>,
    next_ms: i64,
    to_ms: i64,
    page_ms: i64,
}

impl EngineSource<'_> {
    fn read(&self, to_ms: i64) -> Result<Vec<Series>, RemoteError> {
        let Engine {
            runtime,
            client,
            dialect,
            ..
        } = self.engine;
        let mut read: BTreeSet<Arc<Labels>> = BTreeSet::new();
        let mut all = Vec::new();
        for matchers in &self.selectors {
            let found = runtime.block_on(client.raw(matchers, self.next_ms, to_ms, *dialect))?;
            // One that several selectors select comes once.
            all.extend(
                found
                    .into_iter()
                    .filter(|series| read.insert(Arc::clone(&series.labels))),
            );
        }
        Ok(all)
    }
}

impl Source for EngineSource<'_> {
    type Error = ReplayError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, ReplayError> {
        loop {
            if self.next_ms >= self.to_ms {
                return Ok(false);
            }
            let to_ms = self.next_ms.saturating_add(self.page_ms).min(self.to_ms);
            let found = match self.read(to_ms) {
                Err(RemoteError::TooLarge { .. }) if self.page_ms > 60_000 => {
                    self.page_ms /= 2;
                    continue;
                }
                other => other.map_err(|source| ReplayError::Engine {
                    url: self.engine.url.clone(),
                    source,
                })?,
            };
            self.next_ms = to_ms;
            for series in &found {
                let number = batch.series(&series.labels);
                for (t_ms, value) in &series.samples {
                    batch.push(Sample {
                        series: number,
                        t_ms: *t_ms,
                        value: *value,
                        created_ms: None,
                    });
                }
            }
            if batch.samples().len() < FEW_SAMPLES {
                self.page_ms = (self.page_ms * 2).min(PAGE_MAX_MS);
            }
            return Ok(true);
        }
    }
}
