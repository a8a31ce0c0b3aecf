//! Warnings and remarks in the words of Prometheus.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

use crate::annotation::{Annotation, Annotations, Level};
use crate::ast::{Position, Span};
use crate::format::{general, quoted};

use super::Evaluator;

/// Where a computation leaves what there is to say about it: the annotations of the query, and the part of the query
/// that it is about.
pub(super) struct Notes<'n> {
    pub(super) annotations: &'n mut Annotations,
    pub(super) overlaps: &'n mut OverlapsByMetric,
    pub(super) span: Span,
}

/// How often counts began before the sample before, though not when that one's did: where in the query, of which metric.
pub(super) type OverlapsByMetric = BTreeMap<(Position, String), u64>;

impl Notes<'_> {
    pub(super) fn starts_overlap(&mut self, labels: &Labels) {
        *self
            .overlaps
            .entry((self.span.position, name(labels)))
            .or_default() += 1;
    }

    pub(super) fn warn(&mut self, message: String) {
        self.note(Level::Warning, message);
    }

    pub(super) fn info(&mut self, message: String) {
        self.note(Level::Info, message);
    }

    fn note(&mut self, level: Level, message: String) {
        self.annotations.insert(Annotation {
            level,
            message,
            position: self.span.position,
        });
    }

    pub(super) fn bad_quantile(&mut self, quantile: f64) {
        self.warn(format!(
            "quantile value should be between 0 and 1, got {}",
            general(quantile)
        ));
    }

    pub(super) fn bad_bucket(&mut self, labels: &Labels, bound: &str) {
        self.warn(format!(
            "bucket label \"le\" is missing or has a malformed value of {}{}",
            quoted(bound.as_bytes()),
            for_metric(labels)
        ));
    }

    pub(super) fn classic_and_native(&mut self, labels: &Labels) {
        self.warn(format!(
            "vector contains a mix of classic and native histograms{}",
            for_metric(labels)
        ));
    }

    pub(super) fn floats_and_histograms(&mut self, labels: &Labels) {
        self.warn(format!(
            "encountered a mix of histograms and floats for metric name {}",
            name(labels)
        ));
    }

    pub(super) fn floats_and_histograms_aggregated(&mut self) {
        self.warn("encountered a mix of histograms and floats for aggregation".to_owned());
    }

    pub(super) fn exponential_and_custom(&mut self, labels: &Labels) {
        self.warn(format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
            name(labels)
        ));
    }

    pub(super) fn maybe_not_a_counter(&mut self, labels: &Labels) {
        const ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        let metric = labels.metric_name();
        if metric.is_empty() || ENDINGS.iter().any(|ending| metric.ends_with(ending)) {
            return;
        }
        self.info(format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
            name(labels)
        ));
    }

    pub(super) fn not_a_counter(&mut self, labels: &Labels) {
        self.warn(format!(
            "this native histogram metric is not a counter: {}",
            name(labels)
        ));
    }

    pub(super) fn not_a_gauge(&mut self, labels: &Labels) {
        self.warn(format!(
            "this native histogram metric is not a gauge: {}",
            name(labels)
        ));
    }

    pub(super) fn bounds_reconciled(&mut self, during: &str) {
        self.info(format!(
            "mismatched custom buckets were reconciled during {during}"
        ));
    }

    pub(super) fn resets_collide(&mut self, during: &str) {
        self.warn(format!("conflicting counter resets during histogram {during}"));
    }

    pub(super) fn histograms_ignored_in_range(&mut self, labels: &Labels) {
        self.info(format!(
            "ignored histograms in a range containing both floats and histograms for metric name {}",
            name(labels)
        ));
    }

    pub(super) fn histogram_ignored_in_aggregation(&mut self, aggregation: &str) {
        self.info(format!("ignored histogram in {aggregation} aggregation"));
    }

    pub(super) fn incompatible_types(&mut self, lhs: &str, operator: &str, rhs: &str) {
        self.info(format!(
            "incompatible sample types encountered for binary operator {operator:?}: {lhs} {operator} {rhs}"
        ));
    }

    pub(super) fn incompatible_buckets(&mut self, operator: &str) {
        self.warn(format!(
            "incompatible bucket layout encountered for binary operator {operator}"
        ));
    }

    pub(super) fn quantile_is_nan(&mut self, labels: &Labels) {
        self.info(format!(
            "input to histogram_quantile has NaN observations, result is NaN{}",
            for_metric(labels)
        ));
    }

    pub(super) fn quantile_is_skewed(&mut self, labels: &Labels) {
        self.info(format!(
            "input to histogram_quantile has NaN observations, result is skewed higher{}",
            for_metric(labels)
        ));
    }

    pub(super) fn fraction_without_nans(&mut self, labels: &Labels) {
        self.info(format!(
            "input to histogram_fraction has NaN observations, which are excluded from all fractions{}",
            for_metric(labels)
        ));
    }
}

fn name(labels: &Labels) -> String {
    quoted(labels.metric_name().as_bytes())
}

/// ` for metric name "x"`, if it has one.
pub(super) fn for_metric(labels: &Labels) -> String {
    if labels.metric_name().is_empty() {
        return String::new();
    }
    format!(" for metric name {}", name(labels))
}

impl Evaluator<'_> {
    /// Says at the end of a query where starts overlap with samples.
    pub(super) fn report_overlaps(&mut self) {
        for ((position, metric), count) in std::mem::take(&mut self.overlaps) {
            let message = "sample has start time that overlaps with previous sample timestamp for metric";
            let times = if count > 1 {
                format!(" ({count} occurrences)")
            } else {
                String::new()
            };
            let span = Span {
                position,
                ..Span::default()
            };
            self.notes(span).warn(format!("{message} {metric}{times}"));
        }
    }
}
