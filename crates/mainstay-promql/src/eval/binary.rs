//! Binary operations between vectors and scalars, and between vectors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_kernel::Labels;

use crate::ast::{Binary, BinaryOp, Cardinality, Grouping, Matching, Span, ValueType};
use crate::error::QueryError;
use crate::format;
use crate::value::SampleValue;

use super::aggregate::group_labels;
use super::notes::Notes;
use super::operate::{Operated, operate};
use super::{Evaluator, Sample, is_metadata};

impl Evaluator<'_> {
    pub(super) fn binary(
        &mut self,
        binary: &Binary,
        span: Span,
        at_ms: i64,
    ) -> Result<Vec<Sample>, QueryError> {
        match (binary.lhs.value_type(), binary.rhs.value_type()) {
            (ValueType::Scalar, _) => {
                let scalar = self.scalar(&binary.lhs, at_ms)?;
                let samples = self.vector(&binary.rhs, at_ms)?;
                Ok(with_scalar(binary, scalar, true, samples, &mut self.notes(span)))
            }
            (_, ValueType::Scalar) => {
                let samples = self.vector(&binary.lhs, at_ms)?;
                let scalar = self.scalar(&binary.rhs, at_ms)?;
                Ok(with_scalar(binary, scalar, false, samples, &mut self.notes(span)))
            }
            _ => {
                let (lhs, rhs) = (self.vector(&binary.lhs, at_ms)?, self.vector(&binary.rhs, at_ms)?);
                if binary.op.is_set() {
                    return Ok(set(binary.op, &binary.matching.labels, lhs, rhs));
                }
                between_vectors(binary, lhs, rhs, &mut self.notes(span))
            }
        }
    }
}

fn with_scalar(
    binary: &Binary,
    scalar: f64,
    scalar_is_left: bool,
    samples: Vec<Sample>,
    notes: &mut Notes<'_>,
) -> Vec<Sample> {
    let scalar = SampleValue::Float(scalar);
    let results = samples.into_iter().filter_map(|sample| {
        let (lhs, rhs) = if scalar_is_left {
            (&scalar, &sample.value)
        } else {
            (&sample.value, &scalar)
        };
        match operate(binary.op, lhs, rhs, notes)? {
            Operated::Computed(value) => Some(sample.computed(value)),
            Operated::Holds(holds) if binary.return_bool => Some(sample.computed(f64::from(u8::from(holds)))),
            Operated::Holds(holds) => holds.then_some(sample),
            // A histogram that was trimmed is still of its metric.
            Operated::Trimmed(value) => Some(Sample { value, ..sample }),
        }
    });
    results.collect()
}

fn set(op: BinaryOp, labels: &Grouping, lhs: Vec<Sample>, rhs: Vec<Sample>) -> Vec<Sample> {
    let key = |sample: &Sample| group_labels(&sample.labels, labels);
    if op == BinaryOp::Or {
        let present: BTreeSet<Labels> = lhs.iter().map(key).collect();
        let added = rhs.into_iter().filter(|sample| !present.contains(&key(sample)));
        return lhs.into_iter().chain(added).collect();
    }
    let present: BTreeSet<Labels> = rhs.iter().map(key).collect();
    let keeps = |sample: &Sample| present.contains(&key(sample)) == (op == BinaryOp::And);
    lhs.into_iter().filter(keeps).collect()
}

/// The sides of a match, whichever way round the query names them.
struct Sides<'b> {
    binary: &'b Binary,
    /// Whether the left side is the one side (`group_right`).
    is_swapped: bool,
}

fn between_vectors(
    binary: &Binary,
    lhs: Vec<Sample>,
    rhs: Vec<Sample>,
    notes: &mut Notes<'_>,
) -> Result<Vec<Sample>, QueryError> {
    let matching = &binary.matching;
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    if (lhs.is_empty() || rhs.is_empty()) && !fills {
        return Ok(Vec::new());
    }
    let is_swapped = matching.cardinality == Cardinality::OneToMany;
    let sides = Sides { binary, is_swapped };
    let (many, one) = if is_swapped { (rhs, lhs) } else { (lhs, rhs) };
    // `fill_left` fills the many side also under `group_right`, as Prometheus does it.
    let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
    let mut partners: BTreeMap<Labels, &Sample> = BTreeMap::new();
    for sample in &one {
        let key = group_labels(&sample.labels, &matching.labels);
        if let Some(other) = partners.insert(key.clone(), sample) {
            return Err(sides.duplicate(&key, other, sample));
        }
    }
    let mut seen: BTreeMap<Labels, BTreeSet<Labels>> = BTreeMap::new();
    let mut results = Vec::with_capacity(many.len());
    for sample in &many {
        let key = group_labels(&sample.labels, &matching.labels);
        let filler;
        let partner = match (partners.get(&key), fill_one) {
            (Some(partner), _) => *partner,
            (None, Some(value)) => {
                filler = Sample {
                    labels: Arc::new(key.clone()),
                    drop_name: false,
                    value: value.into(),
                };
                &filler
            }
            (None, None) => continue,
        };
        let Some((result, is_kept)) = sides.result(sample, partner, notes) else {
            continue;
        };
        let group = seen.entry(key).or_default();
        if matching.cardinality == Cardinality::OneToOne {
            if !group.is_empty() {
                let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(QueryError::Execution(message.to_owned()));
            }
            group.insert(Labels::new());
        } else if !group.insert(Labels::clone(&result.labels)) {
            let message = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(QueryError::Execution(message.to_owned()));
        }
        if is_kept {
            results.push(result);
        }
    }
    if let Some(value) = fill_many {
        for (key, partner) in partners.iter().filter(|(key, _)| !seen.contains_key(*key)) {
            let filler = Sample {
                labels: Arc::new(key.clone()),
                drop_name: false,
                value: value.into(),
            };
            if let Some((result, true)) = sides.result(&filler, partner, notes) {
                results.push(result);
            }
        }
    }
    Ok(results)
}

impl Sides<'_> {
    /// What a pair gives, and whether it passes the comparison; nothing, if the values do not go together.
    fn result(&self, many: &Sample, one: &Sample, notes: &mut Notes<'_>) -> Option<(Sample, bool)> {
        let Binary {
            op,
            return_bool,
            ref matching,
            ..
        } = *self.binary;
        let (lhs, rhs) = if self.is_swapped { (one, many) } else { (many, one) };
        let (value, holds, changes_meaning) = match operate(op, &lhs.value, &rhs.value, notes)? {
            Operated::Computed(value) => (value, true, true),
            Operated::Trimmed(value) => (value, true, false),
            Operated::Holds(holds) if return_bool => (f64::from(u8::from(holds)).into(), holds, false),
            Operated::Holds(holds) => (lhs.value.clone(), holds, false),
        };
        let mut labels = result_labels(&many.labels, &one.labels, matching);
        if changes_meaning {
            labels = labels.filtered(|name| !is_metadata(name));
        }
        let sample = Sample {
            labels: Arc::new(labels),
            drop_name: many.drop_name || return_bool,
            value,
        };
        Some((sample, holds || return_bool))
    }

    fn duplicate(&self, key: &Labels, a: &Sample, b: &Sample) -> QueryError {
        let side = if self.is_swapped { "left" } else { "right" };
        let mut pair = [&a.labels, &b.labels];
        pair.sort_unstable();
        QueryError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
            format::labels(key),
            format::labels(pair[0]),
            format::labels(pair[1]),
        ))
    }
}

fn result_labels(many: &Labels, one: &Labels, matching: &Matching) -> Labels {
    if matching.cardinality == Cardinality::OneToOne {
        return match &matching.labels {
            Grouping::Keep(names) => many.filtered(|name| names.iter().any(|kept| kept == name)),
            Grouping::Drop(names) => many.filtered(|name| !names.iter().any(|dropped| dropped == name)),
        };
    }
    let mut labels = many.clone();
    for name in &matching.include {
        labels.set(name.as_str(), one.get(name).unwrap_or_default());
    }
    labels
}
