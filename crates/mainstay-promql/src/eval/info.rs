//! `info`: adds the labels of info metrics, which say what a target is, to the series of that target.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, MatchOp, Matcher};

use crate::ast::{At, Expr, ExprKind, Shift};
use crate::error::QueryError;
use crate::format;
use crate::value::SampleValue;

use super::leaf::Leaf;
use super::{Evaluator, Sample, Times};

/// The info metric that is meant when none is named.
const TARGET_INFO: &str = "target_info";
/// The labels by which series of one target know each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Which labels of which info metrics are wanted.
struct Wanted {
    names: Vec<Matcher>,
    labels: Vec<Matcher>,
}

impl Wanted {
    fn of(args: &[Expr]) -> Result<Self, QueryError> {
        let matchers = match args.get(1).map(|arg| &arg.unwrapped().kind) {
            Some(ExprKind::Selector(selector)) => selector.matchers.as_slice(),
            _ => &[],
        };
        let (mut names, labels): (Vec<Matcher>, Vec<Matcher>) = matchers
            .iter()
            .cloned()
            .partition(|matcher| matcher.name() == METRIC_NAME);
        let is_positive = |matcher: &Matcher| matches!(matcher.op(), MatchOp::Equal | MatchOp::Matches);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
        } else if !names.iter().any(is_positive) {
            let any_info = Matcher::new(METRIC_NAME, MatchOp::Matches, ".+_info")
                .map_err(|error| QueryError::Execution(error.to_string()))?;
            names.insert(0, any_info);
        }
        Ok(Self { names, labels })
    }

    /// Whether a series is an info metric itself.
    fn names(&self, labels: &Labels) -> bool {
        let name = labels.metric_name();
        self.names.iter().all(|matcher| matcher.matches_value(name))
    }
}

impl Evaluator<'_> {
    /// Fetches the info metrics, as of the times that the first selector of the argument looks at.
    pub(super) fn prepare_info(
        &mut self,
        expr: &Expr,
        args: &[Expr],
        times: Times,
    ) -> Result<(), QueryError> {
        let wanted = Wanted::of(args)?;
        let (mut offset_ms, mut at) = (0_i64, None);
        for shift in args.first().and_then(shifts).unwrap_or_default() {
            if let Some(offset) = &shift.offset {
                offset_ms = offset_ms.saturating_add(self.duration_ms(offset, true)?);
            }
            at = shift.at;
            if at.is_some() {
                break;
            }
        }
        let at_ms = at.map(|at| match at {
            At::Start => self.query.start_ms,
            At::End => self.query.end_ms,
            At::Millis(at_ms) => at_ms,
        });
        let leaf = Leaf::looking_back(self.limits.lookback_ms, offset_ms, at_ms);
        let matchers: Vec<Matcher> = wanted.names.into_iter().chain(wanted.labels).collect();
        let leaf = self.filled(leaf, &matchers, times)?;
        self.infos.insert(expr.span.start, leaf);
        Ok(())
    }

    pub(super) fn info(&mut self, expr: &Expr, args: &[Expr], at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let Some(first) = args.first() else {
            return Ok(Vec::new());
        };
        let wanted = Wanted::of(args)?;
        let samples = self.vector(first, at_ms)?;
        let newest = match self.infos.get_mut(&expr.span.start) {
            Some(leaf) => leaf.newest(at_ms),
            None => Vec::new(),
        };
        // By target and name of the info metric.
        let mut infos: BTreeMap<Labels, Vec<(i64, Arc<Labels>)>> = BTreeMap::new();
        for (time_ms, info) in newest {
            if let SampleValue::Histogram(_) = info.value {
                let message = "this should be an info metric, with float samples:";
                return Err(QueryError::Execution(format!(
                    "{message} {}",
                    format::labels(&info.labels)
                )));
            }
            infos
                .entry(target(&info.labels))
                .or_default()
                .push((time_ms, info.labels));
        }
        let mut results = Vec::with_capacity(samples.len());
        for sample in samples {
            if wanted.names(&sample.labels) {
                results.push(sample);
                continue;
            }
            let target = target(&sample.labels);
            let found = infos.get(&target).filter(|_| !target.is_empty());
            let added = match found {
                Some(found) => added(found, &sample.labels, &wanted.labels)?,
                None if wanted.labels.iter().all(|matcher| matcher.matches_value("")) => Vec::new(),
                None => continue,
            };
            let mut labels = Labels::clone(&sample.labels);
            for (name, value) in added {
                labels.set(name, value);
            }
            results.push(Sample {
                labels: Arc::new(labels),
                ..sample
            });
        }
        Ok(results)
    }
}

/// The labels that identify the target of a series.
fn target(labels: &Labels) -> Labels {
    labels.filtered(|name| IDENTIFYING.contains(&name))
}

/// The labels that the newest series of each info metric adds to a series.
fn added<'i>(
    found: &'i [(i64, Arc<Labels>)],
    base: &Labels,
    wanted: &[Matcher],
) -> Result<Vec<(&'i str, &'i str)>, QueryError> {
    let mut newest: BTreeMap<&str, (i64, &Arc<Labels>)> = BTreeMap::new();
    for (time_ms, labels) in found {
        match newest.get(labels.metric_name()) {
            Some((other, _)) if other > time_ms => {}
            Some((other, held)) if other == time_ms => {
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {other}, new {} @ {time_ms}",
                    format::labels(held),
                    format::labels(labels),
                )));
            }
            _ => {
                newest.insert(labels.metric_name(), (*time_ms, labels));
            }
        }
    }
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, labels) in newest.into_values() {
        for (name, value) in labels.iter() {
            let is_wanted = wanted.is_empty() || wanted.iter().any(|matcher| matcher.name() == name);
            if name == METRIC_NAME || !is_wanted {
                continue;
            }
            if added.get(name).is_some_and(|held| *held != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    Ok(added.into_iter().collect())
}

/// The time shifts of the first selector, from the innermost outwards.
fn shifts(expr: &Expr) -> Option<Vec<&Shift>> {
    match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => Some(vec![&selector.shift]),
        ExprKind::Subquery { expr, shift, .. } => {
            let mut found = shifts(expr)?;
            found.push(shift);
            Some(found)
        }
        _ => expr.children().into_iter().find_map(shifts),
    }
}
