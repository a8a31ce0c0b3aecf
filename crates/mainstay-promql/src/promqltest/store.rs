//! The samples of a script, and what it loads that cannot be stored as floats.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, Matcher};

use crate::error::SourceError;
use crate::memory::MemorySamples;
use crate::notation::Point;
use crate::source::{Samples, Series};

/// Samples of a script. It notices when a query reaches for a native histogram.
#[derive(Default)]
pub(super) struct ScriptStore {
    floats: MemorySamples,
    histograms: BTreeMap<Labels, Vec<i64>>,
    reached_histogram: Cell<bool>,
}

impl ScriptStore {
    /// Adds the series of one `load`; of a series given twice, the last holds.
    pub(super) fn load(&mut self, step_ms: i64, series: &[(Labels, Vec<Point>)], with_custom_buckets: bool) {
        let last: BTreeMap<&Labels, &Vec<Point>> =
            series.iter().map(|(labels, points)| (labels, points)).collect();
        for (labels, points) in last {
            let labels = Arc::new(labels.clone());
            let converted = if with_custom_buckets {
                converted(&labels)
            } else {
                None
            };
            let mut at_ms = 0;
            for point in points {
                match point {
                    Point::Missing => {}
                    Point::Float(value) => {
                        self.floats.append(&labels, at_ms, *value);
                        if let Some(converted) = &converted {
                            self.histograms.entry(converted.clone()).or_default().push(at_ms);
                        }
                    }
                    Point::Histogram(_) => {
                        self.histograms
                            .entry(Labels::clone(&labels))
                            .or_default()
                            .push(at_ms);
                    }
                }
                at_ms += step_ms;
            }
        }
    }

    /// Whether a query since the last call reached for a native histogram.
    pub(super) fn take_reached_histogram(&self) -> bool {
        self.reached_histogram.replace(false)
    }
}

/// The native histogram that Prometheus makes of a classic bucket series.
fn converted(labels: &Labels) -> Option<Labels> {
    let name = labels.metric_name().strip_suffix("_bucket")?;
    labels.get("le")?;
    Some(labels.filtered(|label| label != "le").with(METRIC_NAME, name))
}

impl Samples for ScriptStore {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        let reached = self.histograms.iter().any(|(labels, times)| {
            matchers.iter().all(|matcher| matcher.matches(labels))
                && times
                    .iter()
                    .any(|at_ms| *at_ms > min_ms_exclusive && *at_ms <= max_ms_inclusive)
        });
        if reached {
            self.reached_histogram.set(true);
        }
        self.floats.select(matchers, min_ms_exclusive, max_ms_inclusive)
    }
}
