//! The data of selectors and subqueries: fetched once, then windowed by cursors that only move forward.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;

use crate::ast::{Expr, ExprKind, Extension, Selector};
use crate::error::QueryError;
use crate::source::{is_stale, is_stale_histogram};
use crate::value::SampleValue;

use super::notes::Notes;
use super::over_time::seconds;
use super::shared::{Found, Shared};
use super::starts::Starts;
use super::summarised::Edges;
use super::{Evaluator, Sample, Track};

/// What a function made of the window of each series.
pub(super) type Told = Vec<(Arc<Labels>, f64)>;

/// The data of one selector or subquery.
#[derive(Default)]
pub(super) struct Leaf {
    pub(super) series: Vec<LeafSeries>,
    /// The width of its window in milliseconds.
    pub(super) width_ms: i64,
    offset_ms: i64,
    at_ms: Option<i64>,
    /// By the time of evaluation, what a function made of its windows, where that is known without its samples.
    pub(super) told: Option<BTreeMap<i64, Told>>,
    /// Up to which time samples are known by records of which width, the oldest first.
    pub(super) records: Vec<(i64, i64)>,
    pub(super) extension: Option<Extension>,
    /// How far it looks beyond the left and the right edge of its window, in milliseconds.
    pub(super) beyond_ms: (i64, i64),
}

pub(super) struct LeafSeries {
    pub(super) labels: Arc<Labels>,
    drop_name: bool,
    pub(super) floats: Cursor<f64>,
    pub(super) histograms: Cursor<Arc<Histogram>>,
    /// What windows over the floats share.
    pub(super) shared: Shared,
    /// Whether a window of it has given something.
    has_given: bool,
}

/// Points in order of time, and the window over them.
pub(super) struct Cursor<T> {
    pub(super) points: Vec<(i64, T)>,
    /// When the counts of the points began; empty, if that is of no interest.
    pub(super) starts: Vec<i64>,
    /// The window last asked for: the first point in it, and one past the last.
    pub(super) from: usize,
    pub(super) to: usize,
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
    pub(super) fn set_starts(&mut self, starts: &[(i64, i64)]) {
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
            shared: Shared::Nothing,
            has_given: false,
        }
    }
}

impl Window<'_> {
    pub(super) fn edges(&self) -> Edges {
        Edges {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            is_condensed: false,
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
        let min_ms = self.looks_back_to(max_ms);
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

    /// From when on samples are current at a time. A record has its last sample somewhere in a slice of its width, and
    /// so the next one may come as much later.
    pub(super) fn looks_back_to(&self, max_ms: i64) -> i64 {
        let min_ms = max_ms.saturating_sub(self.width_ms);
        let records = self.records.iter().find(|(until_ms, _)| min_ms < *until_ms);
        min_ms.saturating_sub(records.map_or(0, |(_, width_ms)| *width_ms))
    }

    /// The time the leaf looks back from when the query stands at `at_ms`.
    pub(super) fn reference_ms(&self, at_ms: i64) -> i64 {
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
    /// Whether no window of this series has given anything yet.
    pub(super) is_first: bool,
    /// What was found without looking at every sample.
    pub(super) found: Found<'w>,
}

impl Evaluator<'_> {
    /// When the counts of the newest samples of a selector began, in seconds; 0 where it is not known.
    pub(super) fn newest_starts(&mut self, selector: &Selector, at_ms: i64) -> Vec<Sample> {
        let leaf = &mut self.leaves[selector.leaf];
        let max_ms = leaf.reference_ms(at_ms);
        let min_ms = leaf.looks_back_to(max_ms);
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
                is_first: !series.has_given,
                found: series.shared.find(&series.floats),
            };
            if let Some(value) = compute(&window, &mut notes) {
                series.has_given = true;
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
