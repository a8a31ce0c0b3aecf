//! The data of selectors and subqueries: fetched once, then windowed by cursors that only move forward.

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::ast::{At, Expr, ExprKind, Selector, Shift};
use crate::error::QueryError;
use crate::histogram::has_reset;
use crate::source::{is_stale, is_stale_histogram};
use crate::value::SampleValue;

use super::notes::Notes;
use super::{Evaluator, Sample, Times, Track};

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
    floats: Cursor<f64>,
    histograms: Cursor<Arc<Histogram>>,
}

/// Points in order of time, and the window over them.
struct Cursor<T> {
    points: Vec<(i64, T)>,
    from: usize,
    to: usize,
}

impl<T> Cursor<T> {
    fn over(points: Vec<(i64, T)>) -> Self {
        Self {
            points,
            from: 0,
            to: 0,
        }
    }

    /// The points with `min_ms < time <= max_ms`. Times never go back within a query.
    fn window(&mut self, min_ms: i64, max_ms: i64) -> &[(i64, T)] {
        while self.points.get(self.to).is_some_and(|(at, _)| *at <= max_ms) {
            self.to += 1;
        }
        while self.from < self.to && self.points[self.from].0 <= min_ms {
            self.from += 1;
        }
        &self.points[self.from..self.to]
    }
}

impl LeafSeries {
    /// The newest sample with `min_ms < time <= max_ms`, unless it marks the end of the series.
    fn newest(&mut self, min_ms: i64, max_ms: i64) -> Option<(i64, SampleValue)> {
        let float = self.floats.window(min_ms, max_ms).last();
        let histogram = self.histograms.window(min_ms, max_ms).last();
        match (float, histogram) {
            (Some((at, value)), other) if other.is_none_or(|(other, _)| other < at) => {
                (!is_stale(*value)).then_some((*at, SampleValue::Float(*value)))
            }
            (_, Some((at, histogram))) => {
                (!is_stale_histogram(histogram)).then(|| (*at, SampleValue::Histogram(Arc::clone(histogram))))
            }
            _ => None,
        }
    }
}

impl From<Track> for LeafSeries {
    fn from(track: Track) -> Self {
        Self {
            labels: track.labels,
            drop_name: track.drop_name,
            floats: Cursor::over(track.samples),
            histograms: Cursor::over(track.histograms),
        }
    }
}

impl Leaf {
    /// The time the leaf looks back from when the query stands at `at_ms`.
    fn reference_ms(&self, at_ms: i64) -> i64 {
        self.at_ms.unwrap_or(at_ms).saturating_sub(self.offset_ms)
    }
}

/// One series' samples in a window; there is at least one.
pub(super) struct Window<'w> {
    pub(super) labels: &'w Arc<Labels>,
    pub(super) drop_name: bool,
    pub(super) floats: &'w [(i64, f64)],
    pub(super) histograms: &'w [(i64, Arc<Histogram>)],
    /// Left edge, exclusive.
    pub(super) start_ms: i64,
    /// Right edge, inclusive.
    pub(super) end_ms: i64,
    /// The time of evaluation, which an offset or `@` does not move.
    pub(super) at_ms: i64,
}

impl Evaluator<'_> {
    /// Fetches everything the expression will need at these times.
    pub(super) fn prepare(&mut self, expr: &Expr, times: Times, detail: Detail) -> Result<(), QueryError> {
        let detail = detail.below(expr);
        match &expr.kind {
            ExprKind::Selector(selector) => {
                self.fetch(selector, self.limits.lookback_ms, times, false, detail)
            }
            ExprKind::Matrix { selector, range } => {
                let width_ms = self.duration_ms(range, false)?;
                self.fetch(selector, width_ms, times, true, detail)
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
                self.prepare(inner, inner_times, detail)?;
                let mut tracks = self.steps(inner, inner_times)?;
                tracks.iter_mut().for_each(forget_resets);
                data.series = tracks.into_iter().map(LeafSeries::from).collect();
                self.put(*leaf, data);
                Ok(())
            }
            _ => expr
                .children()
                .into_iter()
                .try_for_each(|child| self.prepare(child, times, detail)),
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
        detail: Detail,
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
            let mut track = Track {
                labels: series.labels,
                drop_name: false,
                samples: series.samples,
                histograms: series.histograms,
            };
            if is_range {
                track.samples.retain(|(_, value)| !is_stale(*value));
                track
                    .histograms
                    .retain(|(_, histogram)| !is_stale_histogram(histogram));
            }
            if detail == Detail::Counts {
                keep_counts(&mut track.histograms);
            }
            self.count(track.samples.len())?;
            self.count(track.histograms.iter().map(|(_, held)| weight(held)).sum())?;
            if !track.samples.is_empty() || !track.histograms.is_empty() {
                data.series.push(LeafSeries::from(track));
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
            if let Some((time_ms, value)) = series.newest(min_ms, max_ms) {
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
        mut compute: impl FnMut(&Window<'_>, &mut Notes<'_>) -> Option<SampleValue>,
    ) -> Result<Vec<Sample>, QueryError> {
        let expr = expr.unwrapped();
        let index = match &expr.kind {
            ExprKind::Matrix { selector, .. } => selector.leaf,
            ExprKind::Subquery { leaf, .. } => *leaf,
            _ => return Err(QueryError::Unsupported("this kind of range vector".to_owned())),
        };
        let leaf = &mut self.leaves[index];
        let mut notes = Notes {
            annotations: &mut self.annotations,
            span: expr.span,
        };
        let end_ms = leaf.reference_ms(at_ms);
        let start_ms = end_ms.saturating_sub(leaf.width_ms);
        let mut results = Vec::with_capacity(leaf.series.len());
        for series in &mut leaf.series {
            let drop_name = series.drop_name;
            let floats = series.floats.window(start_ms, end_ms);
            let histograms = series.histograms.window(start_ms, end_ms);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let window = Window {
                labels: &series.labels,
                drop_name,
                floats,
                histograms,
                start_ms,
                end_ms,
                at_ms,
            };
            if let Some(value) = compute(&window, &mut notes) {
                results.push(Sample {
                    labels: Arc::clone(&series.labels),
                    drop_name,
                    value,
                });
            }
        }
        Ok(results)
    }
}

/// What of its histograms a query looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All, so far.
    Undecided,
    /// Number and sum of observations.
    Counts,
    /// All, whatever stands further down.
    Buckets,
}

impl Detail {
    /// What is looked at below an expression.
    fn below(self, expr: &Expr) -> Self {
        match (&expr.kind, self) {
            (_, Self::Buckets) | (ExprKind::Subquery { .. }, _) => Self::Buckets,
            (ExprKind::Binary(binary), _) if binary.op.is_trim() => Self::Buckets,
            (ExprKind::Call { function, .. }, _) => match function.name {
                "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => Self::Buckets,
                "histogram_count" | "histogram_sum" | "histogram_avg" => Self::Counts,
                _ => self,
            },
            _ => self,
        }
    }
}

/// Leaves of each histogram number and sum of its observations. As resets can then no longer be found, they are looked
/// for here.
fn keep_counts(histograms: &mut [(i64, Arc<Histogram>)]) {
    let mut before: Option<Arc<Histogram>> = None;
    for (_, held) in histograms {
        if is_stale_histogram(held) {
            continue;
        }
        let mut reset_hint = held.reset_hint;
        if let Some(before) = before.as_ref().filter(|_| reset_hint == ResetHint::Unknown) {
            reset_hint = if has_reset(held, before) {
                ResetHint::Reset
            } else {
                ResetHint::NotReset
            };
        }
        let counts = Histogram {
            reset_hint,
            schema: held.schema,
            count: held.count,
            sum: held.sum,
            ..Histogram::default()
        };
        before = Some(std::mem::replace(held, Arc::new(counts)));
    }
}

/// What a histogram counts against the limit of samples: one for each 16 bytes, the size of a number and its time.
fn weight(histogram: &Histogram) -> usize {
    histogram.bytes().div_ceil(16)
}

/// What histograms say of resets holds between neighbours of the series they come from. A subquery may leave some out
/// and repeat others.
fn forget_resets(track: &mut Track) {
    for (_, histogram) in &mut track.histograms {
        if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(histogram).reset_hint = ResetHint::Unknown;
        }
    }
}
