//! A small store in memory, for tests of rules and queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher};

use crate::error::SourceError;
use crate::source::{Samples, Series};

/// Samples in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySamples {
    series: BTreeMap<Arc<Labels>, Vec<(i64, f64)>>,
}

impl MemorySamples {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. Of two samples of one time the first holds; a sample out of order is put in its place.
    pub fn append(&mut self, labels: &Arc<Labels>, at_ms: i64, value: f64) {
        let samples = match self.series.get_mut(labels) {
            Some(samples) => samples,
            None => self.series.entry(Arc::clone(labels)).or_default(),
        };
        if samples.last().is_none_or(|(last, _)| *last < at_ms) {
            samples.push((at_ms, value));
        } else if let Err(index) = samples.binary_search_by_key(&at_ms, |(time, _)| *time) {
            samples.insert(index, (at_ms, value));
        }
    }

    /// Every series, in order of labels.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[(i64, f64)])> {
        self.series
            .iter()
            .map(|(labels, samples)| (&**labels, samples.as_slice()))
    }
}

impl Samples for MemorySamples {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let selected = self
            .series
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|m| m.matches(labels)));
        Ok(selected
            .filter_map(|(labels, samples)| {
                let from = samples.partition_point(|(at, _)| *at <= min_ms_exclusive);
                let to = samples.partition_point(|(at, _)| *at <= max_ms_inclusive);
                let samples = samples
                    .get(from..to)
                    .filter(|samples| !samples.is_empty())?
                    .to_vec();
                Some(Series {
                    labels: Arc::clone(labels),
                    samples,
                })
            })
            .collect())
    }
}
