//! Quantiles and fractions of histograms: classic ones, which are series with an `le` label, beside native ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;

use crate::ast::{Position, Span};
use crate::format::{general, significant};
use crate::histogram::{self, Skew};

use super::notes::for_metric;
use super::{Evaluator, Sample, calendar};

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

/// A classic histogram: what its series have in common, and its buckets by upper bound, each bound once.
struct Classic {
    labels: Arc<Labels>,
    buckets: Vec<Bucket>,
}

/// The histograms of a vector, of both kinds.
pub(super) struct Histograms {
    native: Vec<(Arc<Labels>, Arc<Histogram>)>,
    classic: Vec<Classic>,
}

/// Counts that fell from one bucket to the next and were repaired, of all histograms of one metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repairs {
    first_ms: i64,
    last_ms: i64,
    least_bound: f64,
    greatest_bound: f64,
    greatest_fall: f64,
    count: u64,
}

impl Evaluator<'_> {
    /// Puts bucket series together. Where a native histogram bears the labels of a classic one, neither is evaluated.
    pub(super) fn histograms(&mut self, samples: Vec<Sample>, span: Span) -> Histograms {
        let mut groups: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
        let mut native = Vec::new();
        for sample in samples {
            let Some(count) = sample.value.float() else {
                if let Some(histogram) = sample.value.histogram() {
                    native.push((sample.labels, Arc::clone(histogram)));
                }
                continue;
            };
            let text = sample.labels.get(BUCKET).unwrap_or_default();
            let Some(upper) = upper_bound(text) else {
                self.notes(span).bad_bucket(&sample.labels, text);
                continue;
            };
            let labels = sample.labels.filtered(|name| name != BUCKET);
            groups.entry(labels).or_default().push(Bucket { upper, count });
        }
        let mut clashes = Vec::new();
        native.retain(|(labels, _)| {
            let clash = groups.contains_key(&**labels);
            if clash {
                clashes.push(Arc::clone(labels));
            }
            !clash
        });
        for labels in clashes {
            self.notes(span).classic_and_native(&labels);
            groups.remove(&*labels);
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
            Classic {
                labels: Arc::new(labels),
                buckets,
            }
        });
        Histograms {
            native,
            classic: joined.collect(),
        }
    }

    /// The quantile of each histogram. Counts that fall from one bucket to the next are repaired, with a remark.
    pub(super) fn histogram_quantile(
        &mut self,
        quantile: f64,
        histograms: &mut Histograms,
        span: Span,
        at_ms: i64,
    ) -> Vec<Sample> {
        let mut results = Vec::with_capacity(histograms.native.len() + histograms.classic.len());
        for (labels, histogram) in &histograms.native {
            let found = histogram::quantile(quantile, histogram);
            match found.skew {
                Skew::None => {}
                Skew::Some => self.notes(span).quantile_is_skewed(labels),
                Skew::All => self.notes(span).quantile_is_nan(labels),
            }
            results.push(result(labels, found.value));
        }
        for classic in &mut histograms.classic {
            let (value, repairs) = classic.quantile(quantile, at_ms);
            if let Some(repairs) = repairs {
                self.remark_on_repairs(span, &classic.labels, repairs);
            }
            results.push(result(&classic.labels, value));
        }
        results
    }

    /// The fraction of observations between two values, of each histogram.
    pub(super) fn histogram_fraction(
        &mut self,
        lower: f64,
        upper: f64,
        histograms: &Histograms,
        span: Span,
    ) -> Vec<Sample> {
        let mut results = Vec::with_capacity(histograms.native.len() + histograms.classic.len());
        for (labels, histogram) in &histograms.native {
            let (value, skew) = histogram::fraction(lower, upper, histogram);
            if skew != Skew::None {
                self.notes(span).fraction_without_nans(labels);
            }
            results.push(result(labels, value));
        }
        let of_classic = |classic: &Classic| result(&classic.labels, classic.fraction(lower, upper));
        results.extend(histograms.classic.iter().map(of_classic));
        results
    }

    /// Warns of a quantile outside of 0 to 1.
    pub(super) fn check_quantile(&mut self, quantile: f64, span: Span) {
        if !(0.0..=1.0).contains(&quantile) {
            self.notes(span).bad_quantile(quantile);
        }
    }

    fn remark_on_repairs(&mut self, span: Span, labels: &Labels, found: Repairs) {
        let known = self
            .repairs
            .entry((span.position, for_metric(labels)))
            .or_insert(Repairs { count: 0, ..found });
        known.first_ms = known.first_ms.min(found.first_ms);
        known.last_ms = known.last_ms.max(found.last_ms);
        known.least_bound = known.least_bound.min(found.least_bound);
        known.greatest_bound = known.greatest_bound.max(found.greatest_bound);
        known.greatest_fall = known.greatest_fall.max(found.greatest_fall);
        known.count += 1;
    }

    /// Says at the end of a query what was repaired.
    pub(super) fn report_repairs(&mut self) {
        for ((position, metric), repairs) in std::mem::take(&mut self.repairs) {
            let message = format!(
                "input to histogram_quantile needed to be fixed for monotonicity \
                 (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)\
                 {metric}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                general(repairs.least_bound),
                general(repairs.greatest_bound),
                significant(repairs.greatest_fall),
                repairs.count,
                calendar::rfc3339(repairs.first_ms),
                calendar::rfc3339(repairs.last_ms),
            );
            let span = Span {
                position,
                ..Span::default()
            };
            self.notes(span).info(message);
        }
    }
}

/// What was repaired: where in the query, of which metric.
pub(super) type RepairsByMetric = BTreeMap<(Position, String), Repairs>;

fn result(labels: &Arc<Labels>, value: f64) -> Sample {
    Sample {
        labels: Arc::clone(labels),
        drop_name: true,
        value: value.into(),
    }
}

fn upper_bound(text: &str) -> Option<f64> {
    let is_number = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-'));
    if is_number { text.parse().ok() } else { None }
}

impl Classic {
    /// Makes counts rise from bucket to bucket; says what had to be repaired beyond rounding.
    fn make_monotonic(&mut self, at_ms: i64) -> Option<Repairs> {
        let mut repairs: Option<Repairs> = None;
        let mut before = self.buckets.first()?.count;
        for bucket in self.buckets.iter_mut().skip(1) {
            if bucket.count == before {
                continue;
            }
            if (bucket.count - before).abs() / (bucket.count.abs() + before.abs()) < ROUNDING {
                bucket.count = before;
            } else if bucket.count < before {
                let fall = before - bucket.count;
                bucket.count = before;
                let repairs = repairs.get_or_insert(Repairs {
                    first_ms: at_ms,
                    last_ms: at_ms,
                    least_bound: bucket.upper,
                    greatest_bound: bucket.upper,
                    greatest_fall: fall,
                    count: 1,
                });
                repairs.greatest_bound = bucket.upper;
                repairs.greatest_fall = repairs.greatest_fall.max(fall);
            } else {
                before = bucket.count;
            }
        }
        repairs
    }

    /// The quantile, and what had to be repaired for it.
    fn quantile(&mut self, quantile: f64, at_ms: i64) -> (f64, Option<Repairs>) {
        if quantile.is_nan() {
            return (f64::NAN, None);
        }
        if !(0.0..=1.0).contains(&quantile) {
            return (f64::INFINITY.copysign(quantile), None);
        }
        if self.buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
            return (f64::NAN, None);
        }
        let repairs = self.make_monotonic(at_ms);
        (self.interpolated(quantile), repairs)
    }

    fn interpolated(&self, quantile: f64) -> f64 {
        let [.., before_last, last] = self.buckets.as_slice() else {
            return f64::NAN;
        };
        if last.count == 0.0 {
            return f64::NAN;
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
