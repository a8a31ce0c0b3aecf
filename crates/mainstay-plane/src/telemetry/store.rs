//! The series store as PromQL and the rules see it.

use std::sync::Arc;

use mainstay_kernel::Matcher;
use mainstay_promql::{Samples, Series, SourceError};
use mainstay_series::Store;

/// The most samples that one selector may load.
const SELECT_SAMPLES_MAX: usize = 20_000_000;

/// A store that can be asked.
#[derive(Debug, Clone)]
pub struct StoreSamples {
    store: Arc<Store>,
}

impl StoreSamples {
    /// Asks `store`.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
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
            .map_err(|error| SourceError(error.to_string()))?;
        Ok(selected
            .into_iter()
            .map(|series| Series {
                labels: series.labels,
                samples: series.samples,
                histograms: series.histograms,
            })
            .collect())
    }
}
