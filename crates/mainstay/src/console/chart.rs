//! Charts of expressions. Their instants are whole multiples of the step, so that what was computed for one reader serves
//! the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_promql::Series as Answered;
use mainstay_ui::chart::{Chart, Limit, Mark, Series};
use mainstay_ui::{Unit, number, time};

use super::question::Questions;

/// About how many points a line has.
const POINTS: i64 = 120;
/// The smallest step, in milliseconds.
const STEP_MIN_MS: i64 = 15_000;
/// How many answers are kept for the next reader.
const KEPT: usize = 64;
/// The most lines that a chart shows.
const LINES_MAX: usize = 12;

/// What a chart shows and how.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// Unique on its page.
    pub(super) id: &'static str,
    /// What is shown.
    pub(super) title: String,
    /// What the values count.
    pub(super) unit: Unit,
    /// The expression; `{window}` in it stands for a window that fits the step.
    pub(super) expr: String,
    /// The label by whose value lines are named.
    pub(super) named_by: &'static str,
    /// Lines to compare with.
    pub(super) limits: Vec<Limit>,
    /// Whether the reader may ask the same question.
    pub(super) linked: bool,
}

/// The instants of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    step_ms: i64,
}

impl Span {
    /// The `range_ms` before `now`.
    pub(super) fn until(now: Timestamp, range_ms: u64) -> Self {
        let range_ms = i64::try_from(range_ms).unwrap_or(i64::MAX / 2);
        Self::between(
            now.as_millisecond().saturating_sub(range_ms),
            now.as_millisecond(),
        )
    }

    /// From one instant to another.
    pub(super) fn between(start_ms: i64, end_ms: i64) -> Self {
        let step_ms = ((end_ms - start_ms) / POINTS / STEP_MIN_MS * STEP_MIN_MS).max(STEP_MIN_MS);
        let whole = |ms: i64| ms.div_euclid(step_ms) * step_ms;
        Self {
            start_ms: whole(start_ms),
            end_ms: whole(end_ms),
            step_ms,
        }
    }

    /// A window for rates: four steps, at least two minutes.
    pub(super) fn window(self) -> String {
        format!("{}s", (4 * self.step_ms).max(120_000) / 1_000)
    }
}

type Key = (String, i64, i64, i64);

/// Draws charts.
pub(super) struct Charts {
    questions: Questions,
    kept: Mutex<BTreeMap<Key, Arc<Vec<Answered>>>>,
}

impl Charts {
    pub(super) fn new(questions: Questions) -> Self {
        Self {
            questions,
            kept: Mutex::default(),
        }
    }

    async fn series(&self, expr: &str, span: Span) -> Option<Arc<Vec<Answered>>> {
        let key = (expr.to_owned(), span.start_ms, span.end_ms, span.step_ms);
        if let Some(series) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Some(Arc::clone(series));
        }
        let answered = self
            .questions
            .series(expr, (span.start_ms, span.end_ms, span.step_ms))
            .await;
        match answered {
            Ok(series) => {
                let series = Arc::new(series);
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                // What ends earliest is asked for least.
                while kept.len() >= KEPT
                    && let Some(oldest) = kept.keys().min_by_key(|key| key.2).cloned()
                {
                    kept.remove(&oldest);
                }
                kept.insert(key, Arc::clone(&series));
                Some(series)
            }
            Err(error) => {
                tracing::warn!(expr, %error, "a chart could not be drawn");
                None
            }
        }
    }

    /// Draws one.
    pub(super) async fn draw(&self, plot: Plot, span: Span, marks: Vec<Mark>) -> Chart {
        let answered = self.series(&plot.expr, span).await;
        let mut series: Vec<Series> = answered
            .iter()
            .flat_map(|series| series.iter())
            .map(|one| line(one, plot.named_by, span))
            .collect();
        series.sort_by(|a, b| a.name.cmp(&b.name));
        let shown = series.len().min(LINES_MAX);
        let left_out = series.len() - shown;
        series.truncate(LINES_MAX);
        Chart {
            id: plot.id.to_owned(),
            title: plot.title,
            sentence: match answered {
                None => "The samples could not be asked.".to_owned(),
                Some(_) => sentence(&series, plot.unit, left_out),
            },
            unit: plot.unit,
            start_ms: span.start_ms,
            end_ms: span.end_ms,
            series,
            limits: plot.limits,
            marks,
            query: plot.linked.then_some(plot.expr),
        }
    }
}

/// A line with a place for every step: where there is no sample, nothing is known.
fn line(answered: &Answered, named_by: &str, span: Span) -> Series {
    let known: BTreeMap<i64, f64> = answered.samples.iter().copied().collect();
    let steps = (span.end_ms - span.start_ms) / span.step_ms;
    let points = (0..=steps).map(|step| {
        let at_ms = span.start_ms + step * span.step_ms;
        (
            at_ms,
            known.get(&at_ms).copied().filter(|value| value.is_finite()),
        )
    });
    Series {
        name: name(&answered.labels, named_by),
        points: points.collect(),
    }
}

fn name(labels: &Labels, named_by: &str) -> String {
    match labels.get(named_by) {
        Some(value) => value.to_owned(),
        None if labels.is_empty() => "all".to_owned(),
        None => labels.to_string(),
    }
}

/// What the lines show, for who cannot see them.
fn sentence(series: &[Series], unit: Unit, left_out: usize) -> String {
    if series.is_empty() {
        return "No data in this range.".to_owned();
    }
    let mut parts: Vec<String> = series.iter().take(3).map(|one| described(one, unit)).collect();
    let more = series.len().saturating_sub(3) + left_out;
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    format!("{}.", parts.join("; "))
}

fn described(series: &Series, unit: Unit) -> String {
    let last = series.points.last().and_then(|(at_ms, value)| {
        let at = Timestamp::from_millisecond(*at_ms).ok()?;
        let value = value.map_or_else(|| "unknown".to_owned(), |value| number::measured(value, unit));
        Some(format!("{value} at {}", at.strftime("%H:%M:%S")))
    });
    let last = last.unwrap_or_default();
    let known = series
        .points
        .iter()
        .filter_map(|(at_ms, value)| value.map(|value| (*at_ms, value)));
    let highest = known.max_by(|a, b| a.1.total_cmp(&b.1));
    let highest = highest.and_then(|(at_ms, value)| {
        let at = Timestamp::from_millisecond(at_ms).ok()?;
        Some(format!(
            ", at most {} at {}",
            number::measured(value, unit),
            time::hour_minute(at)
        ))
    });
    format!("{} {last}{}", series.name, highest.unwrap_or_default())
}
