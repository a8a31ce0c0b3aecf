//! Where samples of the past come from, a batch at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;

/// Raw samples in order of time.
pub trait Source {
    /// Why it cannot be read on.
    type Error;

    /// Adds the next samples to `batch`, in any order; none of them is earlier than one of a batch before, but for samples
    /// that came late. `false`: there were no more. A batch may be empty: time without samples.
    ///
    /// # Errors
    /// If the samples cannot be read.
    fn fill(&mut self, batch: &mut Batch) -> Result<bool, Self::Error>;
}

/// One raw sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The number of its series in its batch.
    pub series: u32,
    /// When it was read, in milliseconds since the epoch.
    pub t_ms: i64,
    /// Its value.
    pub value: f64,
    /// When its counter began, if that is known, in milliseconds since the epoch.
    pub created_ms: Option<i64>,
}

/// Samples, and the series that they and all before them are of.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    labels: Vec<Arc<Labels>>,
    by_labels: BTreeMap<Arc<Labels>, u32>,
    samples: Vec<Sample>,
}

impl Batch {
    /// The number of the series with these labels: the same one in every later batch.
    pub fn series(&mut self, labels: &Arc<Labels>) -> u32 {
        if let Some(number) = self.by_labels.get(labels) {
            return *number;
        }
        let number = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        self.labels.push(Arc::clone(labels));
        self.by_labels.insert(Arc::clone(labels), number);
        number
    }

    /// Adds a sample.
    pub fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The labels of a series.
    #[must_use]
    pub fn labels(&self, series: u32) -> Option<&Labels> {
        self.labels.get(series as usize).map(|labels| &**labels)
    }

    /// Its samples.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// By time; samples of one instant stay in the order in which they were added.
    pub(super) fn put_in_order(&mut self) {
        if !self.samples.is_sorted_by_key(|sample| sample.t_ms) {
            self.samples.sort_by_key(|sample| sample.t_ms);
        }
    }

    /// Lets its samples go; series keep their numbers.
    pub fn clear(&mut self) {
        self.samples.clear();
    }
}
