//! The evaluator. Every selector is fetched once per query; each step then moves cursors over what was fetched.

mod aggregate;
mod binary;
mod calendar;
mod classic;
mod extended;
mod fetch;
mod info;
mod label;
mod leaf;
mod notes;
mod operate;
mod order;
mod over_time;
mod rate;
mod resolution;
mod scalar;
mod shared;
mod starts;
mod summarised;
mod totals;
mod vector;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;
use mainstay_kernel::labels::METRIC_NAME;

use crate::annotation::Annotations;
use crate::ast::{Duration, Expr, ExprKind, Span, ValueType};
use crate::error::QueryError;
use crate::source::{Samples, Series};
use crate::value::{Outcome, SampleValue, Value, VectorSample};

use classic::RepairsByMetric;
use fetch::Detail;
use leaf::Leaf;
use notes::{Notes, OverlapsByMetric};

/// What a query may cost, and the defaults it runs with.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// How many samples may be loaded and produced.
    pub max_samples: u64,
    /// How many bytes what is loaded and produced may take: 16 a sample, the size of a histogram, 160 a series.
    pub max_bytes: u64,
    /// How many steps a range query may have.
    pub max_steps: u64,
    /// How old a sample may be to count as current, in milliseconds.
    pub lookback_ms: i64,
    /// Resolution of subqueries that name none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Whether `rate`, `irate`, `increase` and `resets` look at when counts began ([`Samples::starts`]), where that is
    /// known. Prometheus does so only when asked.
    pub use_starts: bool,
    /// Whether the query should stop now; asked once per step and selector.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Default for Limits<'_> {
    /// Prometheus' own: 50 million samples, of any size, 11,000 steps, 5 minutes, 1 minute, no deadline.
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            max_bytes: u64::MAX,
            max_steps: 11_000,
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            use_starts: false,
            cancelled: &|| false,
        }
    }
}

/// What a series takes beside its samples, about, in bytes. Its labels are the store's.
pub(crate) const SERIES_BYTES: u64 = 160;
/// What a sample takes: a time and a number.
const SAMPLE_BYTES: u64 = 16;

/// The times of a query or of a subquery.
#[derive(Debug, Clone, Copy)]
struct Times {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Times {
    /// Every time, the last one being that of the last step.
    fn all(self) -> impl Iterator<Item = i64> {
        let step_ms = self.step_ms.max(1);
        std::iter::successors(Some(self.start_ms), move |at_ms| at_ms.checked_add(step_ms))
            .take_while(move |at_ms| *at_ms <= self.end_ms)
    }

    /// The last step, which need not fall on the end.
    fn last_ms(self) -> i64 {
        let length_ms = self.end_ms.saturating_sub(self.start_ms);
        self.end_ms.saturating_sub(length_ms.rem_euclid(self.step_ms))
    }
}

/// A sample on its way through a query.
#[derive(Debug, Clone)]
struct Sample {
    labels: Arc<Labels>,
    /// Whether the metric's name goes when the query ends.
    drop_name: bool,
    value: SampleValue,
}

impl Sample {
    fn anonymous(value: f64) -> Self {
        Self {
            labels: Arc::new(Labels::new()),
            drop_name: false,
            value: SampleValue::Float(value),
        }
    }

    /// The same series with a computed value: the name no longer describes it.
    fn computed(self, value: impl Into<SampleValue>) -> Self {
        Self {
            drop_name: true,
            value: value.into(),
            ..self
        }
    }

    fn final_labels(&self) -> Arc<Labels> {
        if self.drop_name {
            without_name(&self.labels)
        } else {
            Arc::clone(&self.labels)
        }
    }
}

/// Whether a label says what a metric is: its name, its type, its unit. A computed value has none of them.
fn is_metadata(label: &str) -> bool {
    matches!(label, METRIC_NAME | "__type__" | "__unit__")
}

fn without_name(labels: &Arc<Labels>) -> Arc<Labels> {
    if labels.iter().any(|(name, _)| is_metadata(name)) {
        Arc::new(labels.filtered(|name| !is_metadata(name)))
    } else {
        Arc::clone(labels)
    }
}

/// A series on its way through a query.
#[derive(Debug, Clone)]
struct Track {
    labels: Arc<Labels>,
    drop_name: bool,
    samples: Vec<(i64, f64)>,
    histograms: Vec<(i64, Arc<Histogram>)>,
}

impl Track {
    fn push(&mut self, at_ms: i64, value: SampleValue) -> Result<(), QueryError> {
        let is_held = self.samples.last().is_some_and(|(at, _)| *at == at_ms)
            || self.histograms.last().is_some_and(|(at, _)| *at == at_ms);
        if is_held {
            return Err(QueryError::Execution(SAME_LABELS.to_owned()));
        }
        match value {
            SampleValue::Float(value) => self.samples.push((at_ms, value)),
            SampleValue::Histogram(histogram) => self.histograms.push((at_ms, histogram)),
        }
        Ok(())
    }
}

/// The farthest time from 1970 that queries reach, in milliseconds: differences of times then fit into 64 bits.
pub(crate) const FARTHEST_MS: i64 = 9_000_000_000_000_000;

const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// Evaluates at one time (milliseconds since 1970).
///
/// # Errors
/// When the source fails, a limit is met, or the query cannot be evaluated over the data.
pub fn instant(
    expr: &Expr,
    at_ms: i64,
    source: &dyn Samples,
    limits: &Limits<'_>,
) -> Result<Outcome, QueryError> {
    check_time(at_ms)?;
    let times = Times {
        start_ms: at_ms,
        end_ms: at_ms,
        step_ms: 1,
    };
    let mut evaluator = Evaluator::new(source, limits, times, true);
    evaluator.prepare(expr, times, Detail::Undecided)?;
    let value = match expr.value_type() {
        ValueType::Scalar => Value::Scalar(evaluator.scalar(expr, at_ms)?),
        ValueType::String => Value::String(String::from_utf8_lossy(scalar::text(expr)).into_owned()),
        ValueType::Matrix => Value::Matrix(evaluator.matrix(expr, at_ms)?),
        ValueType::Vector => {
            let samples = evaluator.vector(expr, at_ms)?;
            let finished = samples
                .into_iter()
                .map(|sample| VectorSample {
                    labels: sample.final_labels(),
                    at_ms,
                    value: sample.value,
                })
                .collect::<Vec<_>>();
            if has_same_labels(finished.iter().map(|sample| &*sample.labels)) {
                return Err(QueryError::Execution(SAME_LABELS.to_owned()));
            }
            Value::Vector(finished)
        }
    };
    Ok(Outcome {
        value,
        annotations: evaluator.into_annotations(),
    })
}

/// Evaluates at `start_ms`, `start_ms + step_ms` and so on up to `end_ms`; the value is a matrix.
///
/// # Errors
/// As [`instant`]; and when the range is empty, has no step or too many, or the expression is a string or a range
/// vector.
pub fn range(
    expr: &Expr,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    source: &dyn Samples,
    limits: &Limits<'_>,
) -> Result<Outcome, QueryError> {
    let bad = |message: String| Err(QueryError::BadRange(message));
    check_time(start_ms)?;
    check_time(end_ms)?;
    if step_ms <= 0 {
        return bad(format!("the step must be positive, got {step_ms} ms"));
    }
    if end_ms < start_ms {
        return bad("the end lies before the start".to_owned());
    }
    if (end_ms - start_ms).unsigned_abs() / step_ms.unsigned_abs() >= limits.max_steps {
        return bad(format!(
            "more than {} steps: take a larger step",
            limits.max_steps
        ));
    }
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        let found = expr.value_type();
        return bad(format!(
            "expected an expression of type scalar or instant vector, got {found}"
        ));
    }
    let times = Times {
        start_ms,
        end_ms,
        step_ms,
    };
    let mut evaluator = Evaluator::new(source, limits, times, false);
    evaluator.prepare(expr, times, Detail::Undecided)?;
    let tracks = evaluator.steps(expr, times)?;
    let value = Value::Matrix(finish(tracks)?);
    Ok(Outcome {
        value,
        annotations: evaluator.into_annotations(),
    })
}

fn check_time(at_ms: i64) -> Result<(), QueryError> {
    if (-FARTHEST_MS..=FARTHEST_MS).contains(&at_ms) {
        return Ok(());
    }
    Err(QueryError::BadRange(format!(
        "the time {at_ms} ms lies too far from 1970"
    )))
}

/// Drops names that go, and joins series that then are one; two samples of one time cannot be joined.
fn finish(tracks: Vec<Track>) -> Result<Vec<Series>, QueryError> {
    let mut finished: BTreeMap<Arc<Labels>, Series> = BTreeMap::new();
    for track in tracks {
        let labels = if track.drop_name {
            without_name(&track.labels)
        } else {
            track.labels
        };
        match finished.entry(labels) {
            Entry::Vacant(vacant) => {
                let labels = Arc::clone(vacant.key());
                vacant.insert(Series {
                    labels,
                    samples: track.samples,
                    histograms: track.histograms,
                });
            }
            Entry::Occupied(mut occupied) => {
                let series = occupied.get_mut();
                joined(&mut series.samples, track.samples)?;
                joined(&mut series.histograms, track.histograms)?;
                let are_apart =
                    |(at, _): &(i64, f64)| series.histograms.binary_search_by_key(at, |(at, _)| *at).is_err();
                if !series.samples.iter().all(are_apart) {
                    return Err(QueryError::Execution(SAME_LABELS.to_owned()));
                }
            }
        }
    }
    Ok(finished.into_values().collect())
}

fn joined<T>(points: &mut Vec<(i64, T)>, more: Vec<(i64, T)>) -> Result<(), QueryError> {
    points.extend(more);
    points.sort_by_key(|(at, _)| *at);
    if points.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(QueryError::Execution(SAME_LABELS.to_owned()));
    }
    Ok(())
}

fn has_same_labels<'l>(labels: impl Iterator<Item = &'l Labels>) -> bool {
    let mut all: Vec<&Labels> = labels.collect();
    all.sort_unstable();
    all.windows(2).any(|pair| pair[0] == pair[1])
}

struct Evaluator<'a> {
    source: &'a dyn Samples,
    limits: &'a Limits<'a>,
    query: Times,
    is_instant: bool,
    leaves: Vec<Leaf>,
    /// The data of calls of `info`, by the first byte of the call.
    infos: BTreeMap<usize, Leaf>,
    annotations: Annotations,
    repairs: RepairsByMetric,
    overlaps: OverlapsByMetric,
    loaded: u64,
    bytes: u64,
}

impl<'a> Evaluator<'a> {
    fn new(source: &'a dyn Samples, limits: &'a Limits<'a>, query: Times, is_instant: bool) -> Self {
        Self {
            source,
            limits,
            query,
            is_instant,
            leaves: Vec::new(),
            infos: BTreeMap::new(),
            annotations: Annotations::new(),
            repairs: RepairsByMetric::new(),
            overlaps: OverlapsByMetric::new(),
            loaded: 0,
            bytes: 0,
        }
    }

    /// Where to say something about a part of the query.
    fn notes(&mut self, span: Span) -> Notes<'_> {
        Notes {
            annotations: &mut self.annotations,
            overlaps: &mut self.overlaps,
            span,
        }
    }

    fn into_annotations(mut self) -> Annotations {
        self.report_repairs();
        self.report_overlaps();
        self.annotations
    }

    /// Counts samples against the limit.
    fn count(&mut self, samples: usize) -> Result<(), QueryError> {
        self.loaded = self.loaded.saturating_add(samples as u64);
        if self.loaded > self.limits.max_samples {
            return Err(QueryError::TooManySamples {
                limit: self.limits.max_samples,
            });
        }
        self.weigh(SAMPLE_BYTES.saturating_mul(samples as u64))
    }

    /// Counts what something takes against the limit of memory.
    fn weigh(&mut self, bytes: u64) -> Result<(), QueryError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.max_bytes {
            return Err(QueryError::TooManyBytes {
                limit_bytes: self.limits.max_bytes,
            });
        }
        Ok(())
    }

    /// Evaluates at every step and lines the results up by series.
    fn steps(&mut self, expr: &Expr, times: Times) -> Result<Vec<Track>, QueryError> {
        let mut tracks: Vec<Track> = Vec::new();
        let mut index: BTreeMap<(Arc<Labels>, bool), usize> = BTreeMap::new();
        let mut at_ms = times.start_ms;
        while at_ms <= times.end_ms {
            if (self.limits.cancelled)() {
                return Err(QueryError::Cancelled);
            }
            let samples = match expr.value_type() {
                ValueType::Scalar => vec![Sample::anonymous(self.scalar(expr, at_ms)?)],
                _ => self.vector(expr, at_ms)?,
            };
            // A step costs something even when it gives nothing.
            self.count(samples.len() + 1)?;
            let known = tracks.len();
            for (position, sample) in samples.into_iter().enumerate() {
                // Series mostly come in the order of the step before.
                let same = tracks.get(position).is_some_and(|track| {
                    track.drop_name == sample.drop_name
                        && (Arc::ptr_eq(&track.labels, &sample.labels) || track.labels == sample.labels)
                });
                let track = if same {
                    position
                } else {
                    *index
                        .entry((Arc::clone(&sample.labels), sample.drop_name))
                        .or_insert_with(|| {
                            tracks.push(Track {
                                labels: Arc::clone(&sample.labels),
                                drop_name: sample.drop_name,
                                samples: Vec::new(),
                                histograms: Vec::new(),
                            });
                            tracks.len() - 1
                        })
                };
                tracks[track].push(at_ms, sample.value)?;
            }
            self.weigh(SERIES_BYTES.saturating_mul((tracks.len() - known) as u64))?;
            match at_ms.checked_add(times.step_ms) {
                Some(next) => at_ms = next,
                None => break,
            }
        }
        Ok(tracks)
    }

    /// The milliseconds of a duration; a computed one sees the step and the range of the whole query.
    fn duration_ms(&mut self, duration: &Duration, is_offset: bool) -> Result<i64, QueryError> {
        match duration {
            Duration::Millis(millis) => Ok(*millis),
            Duration::Computed(expr) => {
                let seconds = self.scalar(expr, self.query.start_ms)?;
                crate::parse::duration_ms(seconds, is_offset)
                    .map_err(|message| QueryError::Execution(format!("{}: {message}", expr.span.position)))
            }
        }
    }

    /// The windows of a range vector as they are, for an instant query that asks for them.
    fn matrix(&mut self, expr: &Expr, at_ms: i64) -> Result<Vec<Series>, QueryError> {
        let mut tracks = Vec::new();
        self.each_window(expr, at_ms, |window, _| {
            let samples = match window.extension {
                Some(extension) => extended::matrix(window, extension),
                None => Ok(window.floats.to_vec()),
            };
            tracks.push(samples.map(|samples| Track {
                labels: Arc::clone(window.labels),
                drop_name: window.drop_name,
                samples,
                histograms: window.histograms.to_vec(),
            }));
            None
        })?;
        let mut tracks = tracks.into_iter().collect::<Result<Vec<Track>, _>>()?;
        tracks.retain(|track| !track.samples.is_empty() || !track.histograms.is_empty());
        finish(tracks)
    }
}

/// Whether the expression is one of the range functions applied to something with a metric name of its own.
fn argument(expr: &Expr) -> &[Expr] {
    match &expr.kind {
        ExprKind::Call { args, .. } => args,
        _ => &[],
    }
}
