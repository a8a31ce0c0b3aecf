//! The samples of a script.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, Histogram};
use mainstay_kernel::labels::METRIC_NAME;

use crate::memory::MemorySamples;
use crate::notation::Point;
use crate::value::SampleValue;

/// Adds the series of one `load`; of a series given twice, the last holds. With `with_custom_buckets`, classic
/// histograms are added as native ones with bounds of their own, too.
pub(super) fn load(
    store: &mut MemorySamples,
    step_ms: i64,
    series: &[(Labels, Vec<Point>)],
    with_custom_buckets: bool,
) {
    let last: BTreeMap<&Labels, &Vec<Point>> =
        series.iter().map(|(labels, points)| (labels, points)).collect();
    let mut converted: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for (labels, points) in last {
        let part = if with_custom_buckets {
            Part::of(labels)
        } else {
            None
        };
        let labels = Arc::new(labels.clone());
        let mut at_ms = 0;
        for point in points {
            match point {
                Point::Missing => {}
                Point::Float(value) => {
                    store.append(&labels, at_ms, *value);
                    if let Some((base, part)) = &part {
                        let classic = converted.entry(base.clone()).or_default();
                        classic.entry(at_ms).or_default().set(*part, *value);
                    }
                }
                Point::Histogram { histogram, .. } => {
                    store.append(&labels, at_ms, SampleValue::Histogram(Arc::clone(histogram)));
                }
            }
            at_ms = at_ms.saturating_add(step_ms);
        }
    }
    for (labels, by_time) in converted {
        let labels = Arc::new(labels);
        for (at_ms, classic) in by_time {
            store.append(&labels, at_ms, classic.native());
        }
    }
}

/// Says when the counts of the samples of one `load` began, given by how far from each sample that is.
pub(super) fn load_starts(store: &mut MemorySamples, step_ms: i64, starts: &[(Labels, Vec<Option<i64>>)]) {
    for (labels, offsets) in starts {
        let labels = Arc::new(labels.clone());
        let mut at_ms = 0;
        for offset in offsets {
            if let Some(offset) = offset {
                store.set_start(&labels, at_ms, at_ms.saturating_add(*offset));
            }
            at_ms = at_ms.saturating_add(step_ms);
        }
    }
}

/// What a series of a classic histogram holds.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

impl Part {
    /// The part, and the labels of the native histogram.
    fn of(labels: &Labels) -> Option<(Labels, Self)> {
        let name = labels.metric_name();
        let (name, part) = if let Some(name) = name.strip_suffix("_bucket") {
            let bound = crate::parse::number(labels.get("le")?).filter(|bound| !bound.is_nan())?;
            (name, Self::Bucket(bound))
        } else if let Some(name) = name.strip_suffix("_count") {
            (name, Self::Count)
        } else {
            (name.strip_suffix("_sum")?, Self::Sum)
        };
        let base = labels.filtered(|label| label != "le").with(METRIC_NAME, name);
        Some((base, part))
    }
}

/// A classic histogram at one time.
#[derive(Default)]
struct Classic {
    /// Cumulative, by upper bound.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    fn set(&mut self, part: Part, value: f64) {
        match part {
            Part::Bucket(bound) => self.buckets.push((bound, value)),
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = value,
        }
    }

    fn native(mut self) -> Histogram {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let greatest = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(greatest);
        if self
            .buckets
            .last()
            .is_none_or(|(bound, _)| *bound != f64::INFINITY)
        {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let positive_buckets: Vec<f64> = self
            .buckets
            .iter()
            .map(|(_, count)| count - std::mem::replace(&mut before, *count))
            .collect();
        self.buckets.pop();
        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![BucketSpan {
                offset: 0,
                length: u32::try_from(positive_buckets.len()).unwrap_or(u32::MAX),
            }],
            positive_buckets,
            custom_values: self.buckets.into_iter().map(|(bound, _)| bound).collect(),
            ..Histogram::default()
        }
    }
}
