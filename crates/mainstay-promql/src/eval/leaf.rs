//! The data of selectors and subqueries: fetched once, then windowed by cursors that only move forward.

use std::sync::Arc;

use mainstay_kernel::histogram::{Histogram, ResetHint};
use mainstay_kernel::{Labels, Matcher};

use crate::ast::{At, Expr, ExprKind, Extension, Selector, Shift};
use crate::error::QueryError;
use crate::histogram::has_reset;
use crate::source::{is_stale, is_stale_histogram};
use crate::value::SampleValue;

use super::extended;
use super::notes::Notes;
use super::over_time::seconds;
use super::starts::Starts;
use super::{Evaluator, Sample, Times, Track};

/// The functions that look at when counts began.
const LOOK_AT_STARTS: [&str; 5] = ["increase", "irate", "rate", "resets", "start_timestamp"];

/// The data of one selector or subquery.
#[derive(Default)]
pub(super) struct Leaf {
    series: Vec<LeafSeries>,
    /// The width of its window in milliseconds.
    width_ms: i64,
    offset_ms: i64,
    at_ms: Option<i64>,
    extension: Option<Extension>,
    /// How far it looks beyond the left and the right edge of its window, in milliseconds.
    beyond_ms: (i64, i64),
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
    /// When the counts of the points began; empty, if that is of no interest.
    starts: Vec<i64>,
    from: usize,
    to: usize,
}

impl<T> Cursor<T> {
    fn over(points: Vec<(i64, T)>) -> Self {
        Self {
            points,
            starts: Vec::new(),
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
        self.held()
    }

    /// The points of the window last asked for.
    fn held(&self) -> &[(i64, T)] {
        &self.points[self.from..self.to]
    }

    /// The starts of the points in the window last asked for.
    fn starts(&self) -> Starts<'_> {
        Starts(self.starts.get(self.from..self.to).unwrap_or_default())
    }

    /// Takes in starts, given by the times of samples.
    fn set_starts(&mut self, starts: &[(i64, i64)]) {
        let start = |(at_ms, _): &(i64, T)| {
            let found = starts.binary_search_by_key(at_ms, |(at_ms, _)| *at_ms);
            found
                .ok()
                .and_then(|index| starts.get(index))
                .map_or(0, |(_, start)| *start)
        };
        self.starts = self.points.iter().map(start).collect();
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
    /// One that looks back from a time.
    pub(super) fn looking_back(width_ms: i64, offset_ms: i64, at_ms: Option<i64>) -> Self {
        Self {
            width_ms,
            offset_ms,
            at_ms,
            ..Self::default()
        }
    }

    /// The newest sample of every series, with its time, unless it is too old or stale.
    pub(super) fn newest(&mut self, at_ms: i64) -> Vec<(i64, Sample)> {
        let max_ms = self.reference_ms(at_ms);
        let min_ms = max_ms.saturating_sub(self.width_ms);
        let mut newest = Vec::with_capacity(self.series.len());
        for series in &mut self.series {
            if let Some((time_ms, value)) = series.newest(min_ms, max_ms) {
                let labels = Arc::clone(&series.labels);
                newest.push((
                    time_ms,
                    Sample {
                        labels,
                        drop_name: series.drop_name,
                        value,
                    },
                ));
            }
        }
        newest
    }

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
    /// If it is there, there may be samples beyond the edges.
    pub(super) extension: Option<Extension>,
    /// When the counts of the floats began.
    pub(super) float_starts: Starts<'w>,
    /// When the counts of the histograms began.
    pub(super) histogram_starts: Starts<'w>,
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
            ExprKind::Call { function, args } if function.name == "info" => {
                let base = args.iter().take(1);
                base.into_iter()
                    .try_for_each(|arg| self.prepare(arg, times, detail))?;
                self.prepare_info(expr, args, times)
            }
            ExprKind::Call { function, args } => {
                extended::check(function.name, args)?;
                args.iter().try_for_each(|arg| self.prepare(arg, times, detail))?;
                if self.limits.use_starts && LOOK_AT_STARTS.contains(&function.name) {
                    args.iter().try_for_each(|arg| self.fetch_starts(arg))?;
                }
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
        Ok(Leaf::looking_back(width_ms, offset_ms, at_ms))
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
            self.count(track.samples.len())?;
            self.count(track.histograms.iter().map(|(_, held)| weight(held)).sum())?;
            if !track.samples.is_empty() || !track.histograms.is_empty() {
                data.series.push(LeafSeries::from(track));
            }
        }
        self.put(selector.leaf, data);
        Ok(())
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

    /// When the counts of the newest samples of a selector began, in seconds; 0 where it is not known.
    pub(super) fn newest_starts(&mut self, selector: &Selector, at_ms: i64) -> Vec<Sample> {
        let leaf = &mut self.leaves[selector.leaf];
        let max_ms = leaf.reference_ms(at_ms);
        let min_ms = max_ms.saturating_sub(leaf.width_ms);
        let starts = leaf.series.iter_mut().filter_map(|series| {
            let starts = match series.newest(min_ms, max_ms)? {
                (_, SampleValue::Float(_)) => series.floats.starts(),
                (_, SampleValue::Histogram(_)) => series.histograms.starts(),
            };
            Some(Sample {
                labels: Arc::clone(&series.labels),
                drop_name: true,
                value: seconds(starts.0.last().copied().unwrap_or_default()).into(),
            })
        });
        starts.collect()
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

    /// The newest sample of every series, with its time, unless it is too old or stale.
    pub(super) fn current(&mut self, selector: &Selector, at_ms: i64) -> Vec<(i64, Sample)> {
        self.leaves[selector.leaf].newest(at_ms)
    }

    /// Calls `compute` with the window of every series that has samples in it; what it gives becomes a sample. The
    /// window of an instant vector selector is its lookback.
    pub(super) fn each_window(
        &mut self,
        expr: &Expr,
        at_ms: i64,
        mut compute: impl FnMut(&Window<'_>, &mut Notes<'_>) -> Option<SampleValue>,
    ) -> Result<Vec<Sample>, QueryError> {
        let expr = expr.unwrapped();
        let index = match &expr.kind {
            ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => selector.leaf,
            ExprKind::Subquery { leaf, .. } => *leaf,
            _ => return Err(QueryError::Unsupported("this kind of range vector".to_owned())),
        };
        let leaf = &mut self.leaves[index];
        let mut notes = Notes {
            annotations: &mut self.annotations,
            overlaps: &mut self.overlaps,
            span: expr.span,
        };
        let end_ms = leaf.reference_ms(at_ms);
        let start_ms = end_ms.saturating_sub(leaf.width_ms);
        let from_ms = start_ms.saturating_sub(leaf.beyond_ms.0);
        let to_ms = end_ms.saturating_add(leaf.beyond_ms.1);
        let mut results = Vec::with_capacity(leaf.series.len());
        for series in &mut leaf.series {
            let drop_name = series.drop_name;
            series.floats.window(from_ms, to_ms);
            series.histograms.window(from_ms, to_ms);
            let (floats, histograms) = (series.floats.held(), series.histograms.held());
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
                extension: leaf.extension,
                float_starts: series.floats.starts(),
                histogram_starts: series.histograms.starts(),
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
