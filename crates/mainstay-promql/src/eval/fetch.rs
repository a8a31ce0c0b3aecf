//! Fetching what a query looks at, once, before its steps.

use std::sync::Arc;

use mainstay_kernel::Matcher;
use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::ast::{At, Expr, ExprKind, Extension, Selector, Shift, Span};
use crate::error::QueryError;
use crate::histogram::has_reset;
use crate::source::{is_stale, is_stale_histogram};

use super::extended;
use super::leaf::{Leaf, LeafSeries};
use super::shared::Shared;
use super::{Evaluator, SERIES_BYTES, Times, Track};

/// The functions that look at when counts began.
const LOOK_AT_STARTS: [&str; 5] = ["increase", "irate", "rate", "resets", "start_timestamp"];

impl Evaluator<'_> {
    /// Fetches everything the expression will need at these times.
    pub(super) fn prepare(&mut self, expr: &Expr, times: Times, detail: Detail) -> Result<(), QueryError> {
        let detail = detail.below(expr);
        match &expr.kind {
            ExprKind::Selector(selector) => {
                self.fetch(selector, self.limits.lookback_ms, times, false, detail, expr.span)
            }
            ExprKind::Matrix { selector, range } => {
                let width_ms = self.duration_ms(range, false)?;
                self.fetch(selector, width_ms, times, true, detail, expr.span)
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
                    end_ms: data.reference_ms(times.last_ms()),
                    step_ms,
                };
                self.prepare(inner, inner_times, detail)?;
                let mut tracks = self.steps(inner, inner_times)?;
                tracks.iter_mut().for_each(forget_resets);
                data.series = tracks.into_iter().map(LeafSeries::from).collect();
                self.put(*leaf, data);
                Ok(())
            }
            ExprKind::Call { function, args } if function.name == "info" => {
                let base = args.iter().take(1);
                base.into_iter()
                    .try_for_each(|arg| self.prepare(arg, times, detail))?;
                self.prepare_info(expr, args, times)
            }
            ExprKind::Call { function, args } => {
                extended::check(function.name, args)?;
                if let [arg] = &args[..]
                    && self.summarise(function.name, arg, times)?
                {
                    return Ok(());
                }
                args.iter().try_for_each(|arg| self.prepare(arg, times, detail))?;
                if self.limits.use_starts && LOOK_AT_STARTS.contains(&function.name) {
                    args.iter().try_for_each(|arg| self.fetch_starts(arg))?;
                }
                args.iter().for_each(|arg| self.share(function.name, arg, times));
                Ok(())
            }
            _ => expr
                .children()
                .into_iter()
                .try_for_each(|child| self.prepare(child, times, detail)),
        }
    }

    pub(super) fn shifted(&mut self, shift: &Shift, width_ms: i64) -> Result<Leaf, QueryError> {
        let offset_ms = match &shift.offset {
            Some(offset) => self.duration_ms(offset, true)?,
            None => 0,
        };
        let at_ms = shift.at.map(|at| match at {
            At::Start => self.query.start_ms,
            At::End => self.query.end_ms,
            At::Millis(at_ms) => at_ms,
        });
        Ok(Leaf::looking_back(width_ms, offset_ms, at_ms))
    }

    pub(super) fn put(&mut self, index: usize, leaf: Leaf) {
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
        selector_span: Span,
    ) -> Result<(), QueryError> {
        if (self.limits.cancelled)() {
            return Err(QueryError::Cancelled);
        }
        let mut data = self.shifted(&selector.shift, width_ms)?;
        let lookback_ms = self.limits.lookback_ms;
        data.extension = selector.extension;
        data.beyond_ms = match (selector.extension, is_range) {
            (None, _) | (Some(Extension::Anchored), false) => (0, 0),
            (Some(Extension::Anchored), true) => (lookback_ms, 0),
            (Some(Extension::Smoothed), true) => (lookback_ms, lookback_ms),
            (Some(Extension::Smoothed), false) => (0, lookback_ms),
        };
        let (before_ms, after_ms) = data.beyond_ms;
        let min_ms = data
            .reference_ms(times.start_ms)
            .saturating_sub(width_ms)
            .saturating_sub(before_ms);
        let max_ms = data.reference_ms(times.end_ms).saturating_add(after_ms);
        let resolution = self.source.resolution(min_ms, max_ms);
        let mut min_ms = min_ms;
        if !is_range {
            data.records.clone_from(&resolution.records);
            min_ms = min_ms.min(data.looks_back_to(data.reference_ms(times.start_ms)));
        }
        let fetched = self.source.select(&selector.matchers, min_ms, max_ms)?;
        for series in fetched {
            let mut track = Track {
                labels: series.labels,
                drop_name: false,
                samples: series.samples,
                histograms: series.histograms,
            };
            if is_range || selector.extension == Some(Extension::Smoothed) {
                track.samples.retain(|(_, value)| !is_stale(*value));
                track
                    .histograms
                    .retain(|(_, histogram)| !is_stale_histogram(histogram));
            }
            if detail == Detail::Counts {
                keep_counts(&mut track.histograms);
            }
            self.weigh(SERIES_BYTES)?;
            self.count(track.samples.len())?;
            self.count(track.histograms.iter().map(|(_, held)| weight(held)).sum())?;
            if !track.samples.is_empty() || !track.histograms.is_empty() {
                data.series.push(LeafSeries::from(track));
            }
        }
        if !data.series.is_empty() {
            self.note_samples(&resolution, selector_span);
        }
        self.put(selector.leaf, data);
        Ok(())
    }

    /// Makes ready what windows of a range vector share, where they overlap.
    fn share(&mut self, function: &str, arg: &Expr, times: Times) {
        let index = match &arg.unwrapped().kind {
            ExprKind::Matrix { selector, .. } => selector.leaf,
            ExprKind::Subquery { leaf, .. } => *leaf,
            _ => return,
        };
        let Some(leaf) = self.leaves.get_mut(index) else {
            return;
        };
        let has_overlap = times.start_ms < times.end_ms && times.step_ms < leaf.width_ms;
        if !has_overlap || leaf.extension.is_some() {
            return;
        }
        for series in &mut leaf.series {
            if series.histograms.points.is_empty() && series.floats.starts.is_empty() {
                series.shared = Shared::of(function, &series.floats.points);
            }
        }
    }

    /// Fetches when the counts of the samples of a selector began. What comes of a subquery began nowhere.
    fn fetch_starts(&mut self, arg: &Expr) -> Result<(), QueryError> {
        let index = match &arg.unwrapped().kind {
            ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => selector.leaf,
            _ => return Ok(()),
        };
        let Some(leaf) = self.leaves.get_mut(index) else {
            return Ok(());
        };
        for series in &mut leaf.series {
            let times = [
                series.floats.points.first().map(|(at, _)| *at),
                series.floats.points.last().map(|(at, _)| *at),
                series.histograms.points.first().map(|(at, _)| *at),
                series.histograms.points.last().map(|(at, _)| *at),
            ];
            let times = times.into_iter().flatten();
            let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
                continue;
            };
            let starts = self
                .source
                .starts(&series.labels, first.saturating_sub(1), last)?;
            if !starts.is_empty() {
                series.floats.set_starts(&starts);
                series.histograms.set_starts(&starts);
            }
        }
        Ok(())
    }

    /// A leaf with the series that all matchers hold for.
    pub(super) fn filled(
        &mut self,
        mut leaf: Leaf,
        matchers: &[Matcher],
        times: Times,
    ) -> Result<Leaf, QueryError> {
        let min_ms = leaf.reference_ms(times.start_ms).saturating_sub(leaf.width_ms);
        for series in self
            .source
            .select(matchers, min_ms, leaf.reference_ms(times.end_ms))?
        {
            self.weigh(SERIES_BYTES)?;
            self.count(series.samples.len())?;
            leaf.series.push(LeafSeries::from(Track {
                labels: series.labels,
                drop_name: false,
                samples: series.samples,
                histograms: series.histograms,
            }));
        }
        Ok(leaf)
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
