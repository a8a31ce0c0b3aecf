//! From data points to samples.

use std::sync::Arc;

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, STALE_NAN, SampleValue};

use super::attributes::{ResourceLabels, text};
use super::exponential::native;
use super::model::{
    Exemplar as OtlpExemplar, ExponentialHistograms, HistogramPoint, Histograms, KeyValue, Metric, Numbers,
    Request, Summaries, Temporality,
};
use super::names::{NameKind, metric_name};
use super::{OtlpBatch, OtlpSettings};
use crate::exposition::MetricKind;
use crate::metadata::FamilyMetadata;
use crate::sample::{Exemplar, SeriesSample};

const NANOS_PER_MS: u64 = 1_000_000;
/// The flag of a point that says only that there is nothing more.
const NO_RECORDED_VALUE: u32 = 1;
/// The most characters that an exemplar's labels may have, beyond which its attributes are left out.
const EXEMPLAR_CHARS: usize = 128;
const NOT_CUMULATIVE: &str =
    "only cumulative sums and histograms can be taken, this one is a delta or does not say";

pub(super) fn translate(request: &Request<'_>, settings: &OtlpSettings) -> OtlpBatch {
    let mut batch = OtlpBatch::default();
    for metrics in &request.resource_metrics {
        let resource = ResourceLabels::new(&metrics.resource, settings);
        let first = batch.samples.len();
        for metric in metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            translate_metric(metric, &resource, &mut batch);
        }
        let newest = batch.samples[first..].iter().map(|sample| sample.t_ms).max();
        if let (Some(info), Some(t_ms)) = (resource.info, newest) {
            batch.samples.push(SeriesSample {
                labels: Arc::new(info.with(METRIC_NAME, "target_info")),
                created_ms: None,
                t_ms,
                value: SampleValue::Float(1.0),
                exemplars: Vec::new(),
            });
        }
    }
    batch
}

fn translate_metric(metric: &Metric<'_>, resource: &ResourceLabels, batch: &mut OtlpBatch) {
    let kind = match (&metric.sum, &metric.gauge) {
        (Some(sum), _) if sum.is_monotonic => NameKind::Counter,
        (None, Some(_)) => NameKind::Gauge,
        _ => NameKind::Other,
    };
    let name = metric_name(&metric.name, &metric.unit, kind);
    if !name.is_empty() {
        let said = FamilyMetadata::new(&name, metric_kind(metric), &metric.description, &metric.unit);
        batch.metadata.push(said);
    }
    let mut out = Out {
        name: &name,
        resource,
        batch,
    };
    let cumulative = |temporality| temporality == Temporality::Cumulative;
    if name.is_empty() {
        let points = points(metric);
        out.batch.reject(
            points,
            format!("nothing of {:?} can be a metric's name", metric.name),
        );
    } else if let Some(gauge) = &metric.gauge {
        out.numbers(gauge, false);
    } else if let Some(sum) = &metric.sum {
        if cumulative(sum.aggregation_temporality) {
            out.numbers(sum, sum.is_monotonic);
        } else {
            out.batch
                .reject(points(metric), format!("{name}: {NOT_CUMULATIVE}"));
        }
    } else if let Some(histogram) = &metric.histogram {
        if cumulative(histogram.aggregation_temporality) {
            out.histograms(histogram);
        } else {
            out.batch
                .reject(points(metric), format!("{name}: {NOT_CUMULATIVE}"));
        }
    } else if let Some(histogram) = &metric.exponential_histogram {
        if cumulative(histogram.aggregation_temporality) {
            out.exponential(histogram);
        } else {
            out.batch
                .reject(points(metric), format!("{name}: {NOT_CUMULATIVE}"));
        }
    } else if let Some(summary) = &metric.summary {
        out.summaries(summary);
    }
}

fn metric_kind(metric: &Metric<'_>) -> MetricKind {
    if let Some(sum) = &metric.sum {
        // A sum that also falls is read like a gauge.
        if sum.is_monotonic {
            MetricKind::Counter
        } else {
            MetricKind::Gauge
        }
    } else if metric.gauge.is_some() {
        MetricKind::Gauge
    } else if metric.histogram.is_some() || metric.exponential_histogram.is_some() {
        MetricKind::Histogram
    } else if metric.summary.is_some() {
        MetricKind::Summary
    } else {
        MetricKind::Unknown
    }
}

fn points(metric: &Metric<'_>) -> u64 {
    let numbers = |numbers: &Option<Numbers<'_>>| numbers.as_ref().map_or(0, |n| n.data_points.len());
    let points = numbers(&metric.gauge)
        + numbers(&metric.sum)
        + metric.histogram.as_ref().map_or(0, |h| h.data_points.len())
        + metric
            .exponential_histogram
            .as_ref()
            .map_or(0, |h| h.data_points.len())
        + metric.summary.as_ref().map_or(0, |s| s.data_points.len());
    points as u64
}

/// Where the samples of a metric go.
struct Out<'o> {
    name: &'o str,
    resource: &'o ResourceLabels,
    batch: &'o mut OtlpBatch,
}

/// What all samples of a data point share.
struct Point {
    labels: Labels,
    created_ms: Option<i64>,
    t_ms: i64,
    is_stale: bool,
}

impl Out<'_> {
    /// Begins with a data point.
    fn point(&mut self, attributes: &[KeyValue<'_>], start_nano: u64, nano: u64, flags: u32) -> Point {
        let first = self.batch.samples.len();
        self.batch.points.push(first..first);
        Point {
            labels: self.resource.of_point(attributes),
            created_ms: Some(as_ms(start_nano)).filter(|start_ms| *start_ms != 0),
            t_ms: as_ms(nano),
            is_stale: flags & NO_RECORDED_VALUE != 0,
        }
    }

    fn sample(
        &mut self,
        point: &Point,
        suffix: &str,
        value: impl Into<SampleValue>,
        exemplars: Vec<Exemplar>,
    ) {
        let labels = point.labels.clone();
        self.sample_of(point, labels, suffix, value, exemplars);
    }

    /// A sample with labels of its own.
    fn sample_of(
        &mut self,
        point: &Point,
        labels: Labels,
        suffix: &str,
        value: impl Into<SampleValue>,
        exemplars: Vec<Exemplar>,
    ) {
        let value = match value.into() {
            SampleValue::Float(_) if point.is_stale => SampleValue::Float(STALE_NAN),
            value => value,
        };
        let name = format!("{}{suffix}", self.name);
        self.batch.samples.push(SeriesSample {
            labels: Arc::new(labels.with(METRIC_NAME, name)),
            created_ms: point.created_ms,
            t_ms: point.t_ms,
            value,
            exemplars,
        });
        if let Some(point) = self.batch.points.last_mut() {
            point.end = self.batch.samples.len();
        }
    }

    fn numbers(&mut self, numbers: &Numbers<'_>, is_counter: bool) {
        for number in &numbers.data_points {
            let mut point = self.point(
                &number.attributes,
                number.start_time_unix_nano,
                number.time_unix_nano,
                number.flags,
            );
            if !is_counter {
                point.created_ms = None;
            }
            let value = value(number.as_double, number.as_int).unwrap_or(0.0);
            let exemplars = number.exemplars.iter().map(exemplar).collect();
            self.sample(&point, "", value, exemplars);
        }
    }

    fn summaries(&mut self, summaries: &Summaries<'_>) {
        for summary in &summaries.data_points {
            let point = self.point(
                &summary.attributes,
                summary.start_time_unix_nano,
                summary.time_unix_nano,
                summary.flags,
            );
            self.sample(&point, "_sum", summary.sum, Vec::new());
            self.sample(&point, "_count", float(summary.count), Vec::new());
            for quantile in &summary.quantile_values {
                let labels = point
                    .labels
                    .clone()
                    .with("quantile", quantile.quantile.to_string());
                self.sample_of(&point, labels, "", quantile.value, Vec::new());
            }
        }
    }

    fn histograms(&mut self, histograms: &Histograms<'_>) {
        for histogram in &histograms.data_points {
            let bounds = &histogram.explicit_bounds;
            let counts = &histogram.bucket_counts;
            if !counts.is_empty() && counts.len() != bounds.len() + 1 {
                let reason = format!(
                    "{}: a histogram with {} bounds has {} buckets, not one more",
                    self.name,
                    bounds.len(),
                    counts.len()
                );
                self.batch.reject(1, reason);
                continue;
            }
            self.histogram(histogram);
        }
    }

    fn histogram(&mut self, histogram: &HistogramPoint<'_>) {
        let point = self.point(
            &histogram.attributes,
            histogram.start_time_unix_nano,
            histogram.time_unix_nano,
            histogram.flags,
        );
        if let Some(sum) = histogram.sum {
            self.sample(&point, "_sum", sum, Vec::new());
        }
        self.sample(&point, "_count", float(histogram.count), Vec::new());
        let mut exemplars: Vec<Exemplar> = histogram.exemplars.iter().map(exemplar).collect();
        let mut total = 0u64;
        for (bound, count) in histogram.explicit_bounds.iter().zip(&histogram.bucket_counts) {
            total = total.saturating_add(*count);
            // An exemplar stands at the first bucket that counts it.
            let here = exemplars
                .extract_if(.., |exemplar| exemplar.value <= *bound)
                .collect();
            let labels = point.labels.clone().with("le", bound.to_string());
            self.sample_of(&point, labels, "_bucket", float(total), here);
        }
        let labels = point.labels.clone().with("le", "+Inf");
        self.sample_of(&point, labels, "_bucket", float(histogram.count), exemplars);
    }

    fn exponential(&mut self, histograms: &ExponentialHistograms<'_>) {
        for histogram in &histograms.data_points {
            let point = self.point(
                &histogram.attributes,
                histogram.start_time_unix_nano,
                histogram.time_unix_nano,
                histogram.flags,
            );
            match native(histogram, point.is_stale) {
                Ok(native) => {
                    let exemplars = histogram.exemplars.iter().map(exemplar).collect();
                    self.sample(&point, "", SampleValue::Histogram(Arc::new(native)), exemplars);
                }
                Err(refusal) => self.batch.reject(1, format!("{}: {refusal}", self.name)),
            }
        }
    }
}

fn value(as_double: Option<f64>, as_int: Option<i64>) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "samples are floats, here as in Prometheus"
    )]
    as_double.or(as_int.map(|whole| whole as f64))
}

fn exemplar(exemplar: &OtlpExemplar<'_>) -> Exemplar {
    let mut labels = Labels::new();
    for (name, value) in [("trace_id", &exemplar.trace_id), ("span_id", &exemplar.span_id)] {
        labels.set(name, value);
    }
    let mut full = labels.clone();
    for pair in &exemplar.filtered_attributes {
        full.set(&pair.key, text(&pair.value));
    }
    let chars: usize = full
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum();
    if chars <= EXEMPLAR_CHARS {
        labels = full;
    }
    Exemplar {
        labels,
        value: value(exemplar.as_double, exemplar.as_int).unwrap_or(0.0),
        t_ms: Some(as_ms(exemplar.time_unix_nano)).filter(|t_ms| *t_ms != 0),
    }
}

fn as_ms(nano: u64) -> i64 {
    i64::try_from(nano / NANOS_PER_MS).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "classic counts are floats wherever they go"
)]
fn float(count: u64) -> f64 {
    count as f64
}
