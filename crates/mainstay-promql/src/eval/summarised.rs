//! Functions over windows that the source knows summaries of: their values are, bit for bit, those of a scan over the
//! samples, and no sample is read.

use std::sync::Arc;

use mainstay_kernel::{Labels, Summary};

use crate::ast::{Expr, ExprKind};
use crate::error::QueryError;

use super::leaf::Told;
use super::over_time::{count, seconds};
use super::rate::Sampled;
use super::{Evaluator, Sample, Times};

/// What a function makes of a window: the outer `None` if a summary does not tell, the inner one if there is no value.
type Value = Option<Option<f64>>;

/// The edges of a window in milliseconds: the left one is not part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edges {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Whether some of its samples are known by their summaries only.
    pub(super) is_condensed: bool,
}

impl Edges {
    /// The sum of the samples. Where they can still be scanned, only if that could not give another.
    fn sum(self, summary: &Summary) -> Option<f64> {
        let rounded = || summary.rounded_sum().filter(|_| self.is_condensed);
        summary.exact_sum().or_else(rounded)
    }
}

/// The function of this name, if a summary may tell its value.
fn named(name: &str) -> Option<fn(&Summary, Edges) -> Value> {
    Some(match name {
        "rate" => |summary, edges| Some(extrapolated(summary, edges, true, true)),
        "increase" => |summary, edges| Some(extrapolated(summary, edges, true, false)),
        "delta" => |summary, edges| Some(extrapolated(summary, edges, false, false)),
        "resets" => |summary, _| Some(Some(count(summary.resets.len()))),
        "changes" => |summary, _| Some(Some(whole(summary.changes))),
        "count_over_time" => |summary, _| Some(Some(whole(summary.count))),
        "present_over_time" => |_, _| Some(Some(1.0)),
        "first_over_time" => |summary, _| Some(Some(summary.first.1)),
        "last_over_time" => |summary, _| Some(Some(summary.last.1)),
        "ts_of_first_over_time" => |summary, _| Some(Some(seconds(summary.first.0))),
        "ts_of_last_over_time" => |summary, _| Some(Some(seconds(summary.last.0))),
        "min_over_time" => |summary, _| Some(Some(summary.min)),
        "max_over_time" => |summary, _| Some(Some(summary.max)),
        "sum_over_time" => |summary, edges| edges.sum(summary).map(Some),
        "avg_over_time" => |summary, edges| edges.sum(summary).map(|sum| Some(sum / whole(summary.count))),
        _ => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer samples than 2^53")]
fn whole(number: u64) -> f64 {
    number as f64
}

fn extrapolated(summary: &Summary, edges: Edges, is_counter: bool, is_rate: bool) -> Option<f64> {
    if summary.count < 2 {
        return None;
    }
    let first = summary.first.1;
    let difference = if is_counter {
        summary.increase()
    } else {
        summary.last.1 - first
    };
    let sampled = Sampled {
        first_ms: summary.first.0,
        last_ms: summary.last.0,
        count: usize::try_from(summary.count).unwrap_or(usize::MAX),
        zero_ms: None,
        zero_at: (is_counter && difference > 0.0 && first >= 0.0).then(|| first / difference),
    };
    Some(difference * sampled.factor(edges, is_rate))
}

impl Evaluator<'_> {
    /// Works a function over a window out of summaries, if the source and the function make that possible: for one time,
    /// or where the windows reach what is known by records only. Then nothing else is fetched for it.
    pub(super) fn summarise(&mut self, function: &str, arg: &Expr, times: Times) -> Result<bool, QueryError> {
        let ExprKind::Matrix { selector, range } = &arg.unwrapped().kind else {
            return Ok(false);
        };
        let Some(compute) = named(function) else {
            return Ok(false);
        };
        if selector.extension.is_some() || self.limits.use_starts {
            return Ok(false);
        }
        if (self.limits.cancelled)() {
            return Err(QueryError::Cancelled);
        }
        let width_ms = self.duration_ms(range, false)?;
        let mut leaf = self.shifted(&selector.shift, width_ms)?;
        let ends_ms = times.all().map(|at_ms| leaf.reference_ms(at_ms));
        let ends_ms: Vec<i64> = match times.start_ms == times.end_ms {
            true => ends_ms.take(1).collect(),
            false => ends_ms.collect(),
        };
        let (Some(first_ms), Some(last_ms)) = (ends_ms.first(), ends_ms.last()) else {
            return Ok(false);
        };
        let resolution = self
            .source
            .resolution(first_ms.saturating_sub(width_ms), *last_ms);
        let is_condensed = !resolution.records.is_empty();
        if times.start_ms != times.end_ms && !is_condensed {
            return Ok(false);
        }
        let edges = |end_ms: i64| Edges {
            start_ms: end_ms.saturating_sub(width_ms),
            end_ms,
            is_condensed,
        };
        let (mut found, most) = (0, self.limits.max_samples);
        let mut told: Option<Vec<Told>> = Some(vec![Vec::new(); ends_ms.len()]);
        let mut visit = |at: usize, labels: &Arc<Labels>, summary: &Summary| {
            let (Some(told_all), Some(end_ms)) = (&mut told, ends_ms.get(at)) else {
                return;
            };
            match compute(summary, edges(*end_ms)) {
                Some(Some(value)) if found <= most => {
                    found += 1;
                    told_all[at].push((Arc::clone(labels), value));
                }
                Some(_) => {}
                None => told = None,
            }
        };
        let answered = match &ends_ms[..] {
            [end_ms] => {
                self.source
                    .summaries(&selector.matchers, width_ms, *end_ms, &mut |labels, summary| {
                        visit(0, labels, summary);
                    })?
            }
            ends_ms => self.source.moving_summaries(
                &selector.matchers,
                width_ms,
                ends_ms,
                self.limits.cancelled,
                &mut visit,
            )?,
        };
        if !answered && (self.limits.cancelled)() {
            return Err(QueryError::Cancelled);
        }
        let Some(told) = told.filter(|_| answered) else {
            return Ok(false);
        };
        self.count(usize::try_from(found).unwrap_or(usize::MAX))?;
        if found > 0 {
            self.note_windows(&resolution, ends_ms.iter().map(|end_ms| edges(*end_ms)), arg);
        }
        leaf.told = Some(times.all().zip(told).collect());
        self.put(selector.leaf, leaf);
        Ok(true)
    }

    /// What was worked out of summaries for this argument of a function.
    pub(super) fn told(&self, arg: &Expr, at_ms: i64, drop_name: bool) -> Option<Vec<Sample>> {
        let ExprKind::Matrix { selector, .. } = &arg.unwrapped().kind else {
            return None;
        };
        let told = self.leaves.get(selector.leaf)?.told.as_ref()?;
        let sample = |(labels, value): &(Arc<Labels>, f64)| Sample {
            labels: Arc::clone(labels),
            drop_name,
            value: (*value).into(),
        };
        Some(told.get(&at_ms).into_iter().flatten().map(sample).collect())
    }
}
