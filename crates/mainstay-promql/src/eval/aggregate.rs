//! Aggregation over series.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;

use crate::ast::{Aggregate, AggregateOp, Grouping, Span};
use crate::error::QueryError;
use crate::format;

use crate::histogram::{self, Incompatible};
use crate::statistics::{Mean, Sum, quantile};
use crate::value::SampleValue;

use super::label::label_name;
use super::notes::Notes;
use super::scalar::text;
use super::totals::Totals;
use super::{Evaluator, Sample, order};

/// The labels of a group, and of a match between series.
pub(super) fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::Keep(names) if names.is_empty() => Labels::new(),
        Grouping::Keep(names) => labels.filtered(|name| names.iter().any(|kept| kept == name)),
        Grouping::Drop(names) => {
            labels.filtered(|name| name != METRIC_NAME && !names.iter().any(|dropped| dropped == name))
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        span: Span,
        at_ms: i64,
    ) -> Result<Vec<Sample>, QueryError> {
        let parameter = match &aggregate.parameter {
            Some(expr) if aggregate.op != AggregateOp::CountValues => {
                self.parameter(aggregate, expr, at_ms)?
            }
            _ => 0.0,
        };
        let samples = self.vector(&aggregate.expr, at_ms)?;
        if aggregate.op == AggregateOp::CountValues {
            let into = aggregate.parameter.as_ref().map_or(&[][..], text);
            return count_values(samples, into, &aggregate.grouping);
        }
        let mut index: BTreeMap<Labels, usize> = BTreeMap::new();
        let mut groups: Vec<(Labels, Vec<Sample>)> = Vec::new();
        for sample in samples {
            let labels = group_labels(&sample.labels, &aggregate.grouping);
            let group = *index.entry(labels).or_insert_with_key(|labels| {
                groups.push((labels.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(sample);
        }
        let mut results = Vec::new();
        for (labels, members) in groups {
            if chooses(aggregate.op) {
                results.extend(self.choose(aggregate.op, span, parameter, members));
                continue;
            }
            let mut notes = self.notes(aggregate.expr.span);
            if let Some(value) = reduce(aggregate.op, parameter, &members, &mut notes) {
                results.push(Sample {
                    labels: Arc::new(labels),
                    drop_name: members.iter().any(|member| member.drop_name),
                    value,
                });
            }
        }
        Ok(results)
    }

    /// The members of a group that stay, for the operators that choose.
    fn choose(
        &mut self,
        op: AggregateOp,
        span: Span,
        parameter: f64,
        mut members: Vec<Sample>,
    ) -> Vec<Sample> {
        if op == AggregateOp::LimitRatio {
            members.retain(|sample| is_in_ratio(&sample.labels, parameter));
            return members;
        }
        if parameter < 1.0 {
            return Vec::new();
        }
        if op != AggregateOp::Limitk {
            if members.iter().any(|member| member.value.histogram().is_some()) {
                self.notes(span).histogram_ignored_in_aggregation(op.name());
            }
            order::by_value(&mut members, op == AggregateOp::Topk);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and it saturates"
        )]
        members.truncate(parameter as usize);
        members
    }

    fn parameter(
        &mut self,
        aggregate: &Aggregate,
        expr: &crate::ast::Expr,
        at_ms: i64,
    ) -> Result<f64, QueryError> {
        let value = self.scalar(expr, at_ms)?;
        match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk if value.is_nan() => {
                Err(QueryError::Execution("Parameter value is NaN".to_owned()))
            }
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk if value >= 9.2e18 => {
                let shown = format::general(value);
                Err(QueryError::Execution(format!(
                    "Scalar value {shown} overflows int64"
                )))
            }
            AggregateOp::LimitRatio if value.is_nan() => {
                Err(QueryError::Execution("Ratio value is NaN".to_owned()))
            }
            AggregateOp::LimitRatio if value.abs() > 1.0 => {
                let (shown, capped) = (format::general(value), value.signum());
                let message =
                    format!("ratio value should be between -1 and 1, got {shown}, capping to {capped}");
                self.notes(expr.span).warn(message);
                Ok(capped)
            }
            AggregateOp::Quantile => {
                self.check_quantile(value, expr.span);
                Ok(value)
            }
            _ => Ok(value),
        }
    }
}

/// Whether the operator keeps some members of a group, instead of making one value of them.
fn chooses(op: AggregateOp) -> bool {
    matches!(
        op,
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio
    )
}

/// One value for a group, for the operators that make one.
fn reduce(op: AggregateOp, parameter: f64, members: &[Sample], notes: &mut Notes<'_>) -> Option<SampleValue> {
    let has_histograms = members.iter().any(|member| member.value.histogram().is_some());
    if has_histograms && matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
        return histograms(op, members, notes);
    }
    let mut values = members.iter().filter_map(|sample| sample.value.float());
    let value = match op {
        AggregateOp::Sum => values.collect::<Sum>().value(),
        AggregateOp::Avg => {
            let mut mean = Mean::starting_with(values.next()?);
            values.for_each(|value| mean.add(value));
            mean.value()
        }
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer series than 2^53")]
        AggregateOp::Count => members.len() as f64,
        AggregateOp::Group => 1.0,
        _ => {
            if has_histograms {
                notes.histogram_ignored_in_aggregation(op.name());
            }
            let first = values.next()?;
            let values = std::iter::once(first).chain(values);
            match op {
                AggregateOp::Min => {
                    values.reduce(|least, v| if v < least || least.is_nan() { v } else { least })?
                }
                AggregateOp::Max => {
                    values.reduce(|most, v| if v > most || most.is_nan() { v } else { most })?
                }
                AggregateOp::Stdvar => variance(values),
                AggregateOp::Stddev => variance(values).sqrt(),
                AggregateOp::Quantile => quantile(parameter, values.collect()),
                _ => return None,
            }
        }
    };
    Some(SampleValue::Float(value))
}

/// The sum or mean of histograms; of a mix of floats and histograms there is none.
fn histograms(op: AggregateOp, members: &[Sample], notes: &mut Notes<'_>) -> Option<SampleValue> {
    let mut totals: Option<Totals> = None;
    for member in members {
        let Some(histogram) = member.value.histogram() else {
            notes.floats_and_histograms_aggregated();
            return None;
        };
        let added = match &mut totals {
            None => {
                totals = Some(Totals::starting_with(histogram));
                Ok(())
            }
            Some(totals) if op == AggregateOp::Sum => totals.add(histogram),
            Some(totals) => totals.average(histogram),
        };
        if let Err(Incompatible) = added {
            notes.exponential_and_custom(&member.labels);
            return None;
        }
    }
    let totals = totals?;
    let tally = if op == AggregateOp::Sum {
        totals.sum(notes)
    } else {
        totals.mean(notes)
    };
    Some(tally.compact().into())
}

/// The population variance (Welford), NaN as soon as a value is not finite.
fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        if !value.is_finite() {
            return f64::NAN;
        }
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// Whether a series belongs to the sampled part: the same series for the same ratio, and for `-r` just those that
/// `1 - r` leaves out.
fn is_in_ratio(labels: &Labels, ratio: f64) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a position in 0..1 needs no more than 53 bits"
    )]
    let position = hash(labels) as f64 / u64::MAX as f64;
    if ratio >= 0.0 {
        position < ratio || ratio >= 1.0
    } else {
        position >= 1.0 + ratio
    }
}

/// FNV-1a over names and values, with a final mix so that all bits count.
fn hash(labels: &Labels) -> u64 {
    let bytes = labels
        .iter()
        .flat_map(|(n, v)| n.bytes().chain([0xff]).chain(v.bytes()).chain([0xff]));
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// How many series have each value, with the value in the label `into`.
fn count_values(samples: Vec<Sample>, into: &[u8], grouping: &Grouping) -> Result<Vec<Sample>, QueryError> {
    let into = label_name(into, "").map_err(QueryError::Execution)?;
    let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
    for sample in samples {
        let value = match &sample.value {
            SampleValue::Float(value) => format::float(*value),
            SampleValue::Histogram(histogram) => histogram::text(histogram),
        };
        let labels = group_labels(&sample.labels, grouping).with(into, value);
        *counts.entry(labels).or_default() += 1.0;
    }
    let counted = counts.into_iter();
    Ok(counted
        .map(|(labels, value)| Sample {
            labels: Arc::new(labels),
            drop_name: false,
            value: value.into(),
        })
        .collect())
}
