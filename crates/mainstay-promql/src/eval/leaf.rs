//! The data of selectors and subqueries: fetched once, then windowed by cursors that only move forward.

use std::sync::Arc;

use mainstay_kernel::Labels;

use crate::ast::{At, Expr, ExprKind, Selector, Shift};
use crate::error::QueryError;
use crate::source::is_stale;

use super::{Evaluator, Sample, Times};

/// The data of one selector or subquery.
#[derive(Default)]
pub(super) struct Leaf {
    series: Vec<LeafSeries>,
    /// The width of its window in milliseconds.
    width_ms: i64,
    offset_ms: i64,
    at_ms: Option<i64>,
}

struct LeafSeries {
    labels: Arc<Labels>,
    drop_name: bool,
    samples: Vec<(i64, f64)>,
    from: usize,
    to: usize,
}

impl LeafSeries {
    /// The samples with `min_ms < time <= max_ms`. Times never go back within a query.
    fn window(&mut self, min_ms: i64, max_ms: i64) -> &[(i64, f64)] {
        while self.samples.get(self.to).is_some_and(|(at, _)| *at <= max_ms) {
            self.to += 1;
        }
        while self.from < self.to && self.samples[self.from].0 <= min_ms {
            self.from += 1;
        }
        &self.samples[self.from..self.to]
    }
}

impl Leaf {
    /// The time the leaf looks back from when the query stands at `at_ms`.
    fn reference_ms(&self, at_ms: i64) -> i64 {
        self.at_ms.unwrap_or(at_ms).saturating_sub(self.offset_ms)
    }
}

/// One series' samples in a window.
pub(super) struct Window<'w> {
    pub(super) labels: &'w Arc<Labels>,
    pub(super) drop_name: bool,
    /// Never empty.
    pub(super) samples: &'w [(i64, f64)],
    /// Left edge, exclusive.
    pub(super) start_ms: i64,
    /// Right edge, inclusive.
    pub(super) end_ms: i64,
    /// The time of evaluation, which an offset or `@` does not move.
    pub(super) at_ms: i64,
}

impl Evaluator<'_> {
    /// Fetches everything the expression will need at these times.
    pub(super) fn prepare(&mut self, expr: &Expr, times: Times) -> Result<(), QueryError> {
        match &expr.kind {
            ExprKind::Selector(selector) => self.fetch(selector, self.limits.lookback_ms, times, false),
            ExprKind::Matrix { selector, range } => {
                let width_ms = self.duration_ms(range, false)?;
                self.fetch(selector, width_ms, times, true)
            }
            ExprKind::Subquery {
                expr: inner,
                range,
                step,
                shift,
                leaf,
            } => {
                let width_ms = self.duration_ms(range, false)?;
                let step_ms = match step {
                    Some(step) => self.duration_ms(step, false)?,
                    None => self.limits.subquery_step_ms,
                };
                let mut data = self.shifted(shift, width_ms)?;
                let earliest_ms = data.reference_ms(times.start_ms).saturating_sub(width_ms);
                // The first multiple of the step after the window's open left edge.
                let start_ms = (earliest_ms.div_euclid(step_ms) + 1) * step_ms;
                let inner_times = Times {
                    start_ms,
                    end_ms: data.reference_ms(times.end_ms),
                    step_ms,
                };
                self.prepare(inner, inner_times)?;
                let tracks = self.steps(inner, inner_times)?;
                data.series = tracks
                    .into_iter()
                    .map(|track| LeafSeries {
                        labels: track.labels,
                        drop_name: track.drop_name,
                        samples: track.samples,
                        from: 0,
                        to: 0,
                    })
                    .collect();
                self.put(*leaf, data);
                Ok(())
            }
            _ => expr
                .children()
                .into_iter()
                .try_for_each(|child| self.prepare(child, times)),
        }
    }

    fn shifted(&mut self, shift: &Shift, width_ms: i64) -> Result<Leaf, QueryError> {
        let offset_ms = match &shift.offset {
            Some(offset) => self.duration_ms(offset, true)?,
            None => 0,
        };
        let at_ms = shift.at.map(|at| match at {
            At::Start => self.query.start_ms,
            At::End => self.query.end_ms,
            At::Millis(at_ms) => at_ms,
        });
        Ok(Leaf {
            series: Vec::new(),
            width_ms,
            offset_ms,
            at_ms,
        })
    }

    fn put(&mut self, index: usize, leaf: Leaf) {
        if self.leaves.len() <= index {
            self.leaves.resize_with(index + 1, Leaf::default);
        }
        self.leaves[index] = leaf;
    }

    fn fetch(
        &mut self,
        selector: &Selector,
        width_ms: i64,
        times: Times,
        is_range: bool,
    ) -> Result<(), QueryError> {
        if (self.limits.cancelled)() {
            return Err(QueryError::Cancelled);
        }
        let mut data = self.shifted(&selector.shift, width_ms)?;
        let min_ms = data.reference_ms(times.start_ms).saturating_sub(width_ms);
        let fetched = self
            .source
            .select(&selector.matchers, min_ms, data.reference_ms(times.end_ms))?;
        for series in fetched {
            let mut samples = series.samples;
            if is_range {
                samples.retain(|(_, value)| !is_stale(*value));
            }
            self.count(samples.len())?;
            if !samples.is_empty() {
                data.series.push(LeafSeries {
                    labels: series.labels,
                    drop_name: false,
                    samples,
                    from: 0,
                    to: 0,
                });
            }
        }
        self.put(selector.leaf, data);
        Ok(())
    }

    /// The newest sample of every series, with its time, unless it is too old or stale.
    pub(super) fn current(&mut self, selector: &Selector, at_ms: i64) -> Vec<(i64, Sample)> {
        let leaf = &mut self.leaves[selector.leaf];
        let max_ms = leaf.reference_ms(at_ms);
        let min_ms = max_ms.saturating_sub(leaf.width_ms);
        let mut current = Vec::with_capacity(leaf.series.len());
        for series in &mut leaf.series {
            if let Some((time_ms, value)) = series.window(min_ms, max_ms).last().copied()
                && !is_stale(value)
            {
                let labels = Arc::clone(&series.labels);
                current.push((
                    time_ms,
                    Sample {
                        labels,
                        drop_name: series.drop_name,
                        value,
                    },
                ));
            }
        }
        current
    }

    /// Calls `compute` with the window of every series that has samples in it; what it gives becomes a sample.
    pub(super) fn each_window(
        &mut self,
        expr: &Expr,
        at_ms: i64,
        mut compute: impl FnMut(&Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Sample>, QueryError> {
        let index = match &expr.unwrapped().kind {
            ExprKind::Matrix { selector, .. } => selector.leaf,
            ExprKind::Subquery { leaf, .. } => *leaf,
            _ => return Err(QueryError::Unsupported("this kind of range vector".to_owned())),
        };
        let leaf = &mut self.leaves[index];
        let end_ms = leaf.reference_ms(at_ms);
        let start_ms = end_ms.saturating_sub(leaf.width_ms);
        let mut results = Vec::with_capacity(leaf.series.len());
        for series in &mut leaf.series {
            let (labels, drop_name) = (Arc::clone(&series.labels), series.drop_name);
            let samples = series.window(start_ms, end_ms);
            if samples.is_empty() {
                continue;
            }
            let window = Window {
                labels: &labels,
                drop_name,
                samples,
                start_ms,
                end_ms,
                at_ms,
            };
            if let Some(value) = compute(&window) {
                results.push(Sample {
                    labels,
                    drop_name,
                    value,
                });
            }
        }
        Ok(results)
    }
}
