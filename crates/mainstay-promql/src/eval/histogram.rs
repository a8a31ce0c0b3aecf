//! Quantiles and fractions of classic histograms: series with an `le` label.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;

use crate::annotation::Level;
use crate::ast::Span;
use crate::format::{self, quoted};

use super::{Evaluator, Sample};

/// The label that holds a bucket's upper bound.
const BUCKET: &str = "le";
/// Relative differences below this are rounding, not a shrinking bucket.
const ROUNDING: f64 = 1e-12;

/// A cumulative bucket.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// A histogram: what its series have in common, and its buckets by upper bound, each bound once.
pub(super) struct Histogram {
    labels: Arc<Labels>,
    buckets: Vec<Bucket>,
}

impl Evaluator<'_> {
    /// Puts bucket series together.
    pub(super) fn histograms(&mut self, samples: Vec<Sample>, span: Span) -> Vec<Histogram> {
        let mut groups: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
        for sample in samples {
            let text = sample.labels.get(BUCKET).unwrap_or_default();
            let Some(upper) = upper_bound(text) else {
                let message = format!(
                    "bucket label \"le\" is missing or has a malformed value of {} for metric name {}",
                    quoted(text.as_bytes()),
                    quoted(sample.labels.metric_name().as_bytes())
                );
                self.warn(span, message);
                continue;
            };
            let labels = sample.labels.filtered(|name| name != BUCKET);
            groups.entry(labels).or_default().push(Bucket {
                upper,
                count: sample.value,
            });
        }
        let joined = groups.into_iter().map(|(labels, mut buckets)| {
            buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
            buckets.dedup_by(|next, kept| {
                let same = next.upper == kept.upper;
                if same {
                    kept.count += next.count;
                }
                same
            });
            Histogram {
                labels: Arc::new(labels),
                buckets,
            }
        });
        joined.collect()
    }

    /// The quantile of each histogram. Counts that fall from one bucket to the next are repaired, with a remark.
    pub(super) fn histogram_quantile(
        &mut self,
        quantile: f64,
        histograms: &mut [Histogram],
        span: Span,
    ) -> Vec<Sample> {
        let mut results = Vec::with_capacity(histograms.len());
        for histogram in histograms {
            let repaired = histogram.make_monotonic();
            if repaired {
                let name = histogram.labels.get(METRIC_NAME).unwrap_or_default();
                let message = format!(
                    "input to histogram_quantile needed to be fixed for monotonicity \
                     (see https://prometheus.io/docs/practices/histograms/#errors-of-quantile-estimation) \
                     for metric name {}",
                    quoted(name.as_bytes())
                );
                self.annotate(Level::Info, span, message);
            }
            let labels = Arc::clone(&histogram.labels);
            results.push(Sample {
                labels,
                drop_name: true,
                value: histogram.quantile(quantile),
            });
        }
        results
    }

    /// Warns of a quantile outside of 0 to 1.
    pub(super) fn check_quantile(&mut self, quantile: f64, span: Span) {
        if !(0.0..=1.0).contains(&quantile) {
            let shown = format::float(quantile);
            self.warn(
                span,
                format!("quantile value should be between 0 and 1, got {shown}"),
            );
        }
    }
}

/// The fraction of observations between two values, of each histogram.
pub(super) fn fractions(lower: f64, upper: f64, histograms: &[Histogram]) -> Vec<Sample> {
    let fraction = |histogram: &Histogram| Sample {
        labels: Arc::clone(&histogram.labels),
        drop_name: true,
        value: histogram.fraction(lower, upper),
    };
    histograms.iter().map(fraction).collect()
}

fn upper_bound(text: &str) -> Option<f64> {
    let is_number = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'));
    if is_number { text.parse().ok() } else { None }
}

impl Histogram {
    fn make_monotonic(&mut self) -> bool {
        let mut repaired = false;
        let mut before = match self.buckets.first() {
            Some(first) => first.count,
            None => return false,
        };
        for bucket in self.buckets.iter_mut().skip(1) {
            if bucket.count == before {
                continue;
            }
            let is_rounding = (bucket.count - before).abs() / (bucket.count.abs() + before.abs()) < ROUNDING;
            if is_rounding || bucket.count < before {
                repaired |= !is_rounding;
                bucket.count = before;
            } else {
                before = bucket.count;
            }
        }
        repaired
    }

    fn quantile(&self, quantile: f64) -> f64 {
        let [.., before_last, last] = self.buckets.as_slice() else {
            return f64::NAN;
        };
        if quantile.is_nan() || last.upper != f64::INFINITY || last.count == 0.0 || last.count.is_nan() {
            return f64::NAN;
        }
        if !(0.0..=1.0).contains(&quantile) {
            return if quantile < 0.0 {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
        }
        let rank = quantile * last.count;
        let finite = &self.buckets[..self.buckets.len() - 1];
        let Some(index) = finite.iter().position(|bucket| bucket.count >= rank) else {
            return before_last.upper;
        };
        let found = finite[index];
        if index == 0 {
            return if found.upper <= 0.0 {
                found.upper
            } else {
                found.upper * (rank / found.count)
            };
        }
        let below = finite[index - 1];
        below.upper + (found.upper - below.upper) * ((rank - below.count) / (found.count - below.count))
    }

    fn fraction(&self, lower: f64, upper: f64) -> f64 {
        let Some(last) = self.buckets.last().filter(|last| last.upper == f64::INFINITY) else {
            return f64::NAN;
        };
        if last.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        (self.observations_below(upper, last.count) - self.observations_below(lower, last.count)) / last.count
    }

    /// How many observations lie below a value, by linear interpolation inside of its bucket. A bucket of infinite
    /// width adds nothing: below the first bound all of it counts, above the last finite bound none of it.
    fn observations_below(&self, value: f64, total: f64) -> f64 {
        let mut below = 0.0;
        let mut lower = f64::NEG_INFINITY;
        for (index, bucket) in self.buckets.iter().enumerate() {
            if index == 0 && bucket.upper > 0.0 {
                lower = 0.0;
            }
            if lower >= value {
                return below;
            }
            if bucket.upper > value {
                if lower == f64::NEG_INFINITY {
                    return bucket.count.min(total);
                }
                return (below + (bucket.count - below) * (value - lower) / (bucket.upper - lower))
                    .min(total);
            }
            below = bucket.count;
            lower = bucket.upper;
        }
        total
    }
}
