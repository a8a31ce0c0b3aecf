//! A small store in memory, for tests of rules and queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::histogram::{Histogram, ResetHint};
use mainstay_kernel::{Labels, Matcher, Summary, is_stale};

use crate::error::SourceError;
use crate::histogram::has_reset;
use crate::source::{Samples, Series, is_stale_histogram};
use crate::value::SampleValue;

/// Samples in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySamples {
    series: BTreeMap<Arc<Labels>, Held>,
}

#[derive(Debug, Clone, Default)]
struct Held {
    samples: Vec<(i64, f64)>,
    histograms: Vec<(i64, Arc<Histogram>)>,
    starts: Vec<(i64, i64)>,
}

impl Held {
    /// What Prometheus' storage hands back for a histogram behind those held: what was said of a gauge or of a reset
    /// holds; otherwise it says that there was none where it found none between two that directly follow each other, and
    /// nothing anywhere else.
    fn hinted(&self, histogram: Arc<Histogram>) -> Arc<Histogram> {
        if matches!(histogram.reset_hint, ResetHint::Gauge | ResetHint::Reset) {
            return histogram;
        }
        let mut histogram = Histogram::clone(&histogram);
        histogram.reset_hint = ResetHint::Unknown;
        let continues = self.histograms.last().is_some_and(|(at, before)| {
            self.samples.last().is_none_or(|(float, _)| float < at)
                && before.reset_hint != ResetHint::Gauge
                && !is_stale_histogram(before)
                && histogram.schema == before.schema
                && histogram.zero_threshold == before.zero_threshold
                && histogram.custom_values == before.custom_values
                && !has_reset(&histogram, before)
        });
        if continues {
            histogram.reset_hint = ResetHint::NotReset;
        }
        Arc::new(histogram)
    }
}

impl MemorySamples {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. Of two samples of one time the first holds; a sample out of order is put in its place.
    pub fn append(&mut self, labels: &Arc<Labels>, at_ms: i64, value: impl Into<SampleValue>) {
        let held = match self.series.get_mut(labels) {
            Some(held) => held,
            None => self.series.entry(Arc::clone(labels)).or_default(),
        };
        match value.into() {
            SampleValue::Float(value) if is_free(&held.histograms, at_ms) => {
                put(&mut held.samples, at_ms, value);
            }
            SampleValue::Histogram(histogram) if is_free(&held.samples, at_ms) => {
                let histogram = held.hinted(histogram);
                put(&mut held.histograms, at_ms, histogram);
            }
            _ => {}
        }
    }

    /// Says when the count began that the sample of this time goes on with.
    pub fn set_start(&mut self, labels: &Arc<Labels>, at_ms: i64, start_ms: i64) {
        let held = self.series.entry(Arc::clone(labels)).or_default();
        put(&mut held.starts, at_ms, start_ms);
    }

    /// Every series with its samples and the starts of these, in order of labels.
    pub fn all(&self) -> impl Iterator<Item = (Series, &[(i64, i64)])> {
        self.series.iter().map(|(labels, held)| {
            let series = Series {
                labels: Arc::clone(labels),
                samples: held.samples.clone(),
                histograms: held.histograms.clone(),
            };
            (series, held.starts.as_slice())
        })
    }

    /// Every series with its numbers, in order of labels.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[(i64, f64)])> {
        self.series
            .iter()
            .map(|(labels, held)| (&**labels, held.samples.as_slice()))
    }
}

fn put<T>(points: &mut Vec<(i64, T)>, at_ms: i64, value: T) {
    if points.last().is_none_or(|(last, _)| *last < at_ms) {
        points.push((at_ms, value));
    } else if let Err(index) = points.binary_search_by_key(&at_ms, |(time, _)| *time) {
        points.insert(index, (at_ms, value));
    }
}

fn is_free<T>(points: &[(i64, T)], at_ms: i64) -> bool {
    points.binary_search_by_key(&at_ms, |(time, _)| *time).is_err()
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
            .map(|(labels, held)| Series {
                labels: Arc::clone(labels),
                samples: between(&held.samples, min_ms_exclusive, max_ms_inclusive),
                histograms: between(&held.histograms, min_ms_exclusive, max_ms_inclusive),
            })
            .filter(|series| !series.samples.is_empty() || !series.histograms.is_empty())
            .collect())
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        end_ms: i64,
        visit: &mut dyn FnMut(&Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        let selected = self.select(matchers, end_ms.saturating_sub(range_ms), end_ms)?;
        if selected.iter().any(|series| !series.histograms.is_empty()) {
            return Ok(false);
        }
        for mut series in selected {
            series.samples.retain(|(_, value)| !is_stale(*value));
            if let Some(summary) = Summary::of_all(&series.samples) {
                visit(&series.labels, &summary);
            }
        }
        Ok(true)
    }

    fn starts(
        &self,
        labels: &Labels,
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<(i64, i64)>, SourceError> {
        let held = self.series.get(labels);
        Ok(held
            .map(|held| between(&held.starts, min_ms_exclusive, max_ms_inclusive))
            .unwrap_or_default())
    }
}

fn between<T: Clone>(points: &[(i64, T)], min_ms_exclusive: i64, max_ms_inclusive: i64) -> Vec<(i64, T)> {
    let from = points.partition_point(|(at, _)| *at <= min_ms_exclusive);
    let to = points.partition_point(|(at, _)| *at <= max_ms_inclusive);
    points.get(from..to).map(<[_]>::to_vec).unwrap_or_default()
}
