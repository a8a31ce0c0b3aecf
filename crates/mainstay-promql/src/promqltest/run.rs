//! Running scripts.

use crate::annotation::Annotations;
use crate::ast::{At, Duration, Expr, ExprKind, ValueType};
use crate::error::QueryError;
use crate::eval::{FARTHEST_MS, Limits, instant, range};
use crate::memory::MemorySamples;
use crate::parse::parse;
use crate::source::{Samples, Series};
use crate::value::{Outcome, SampleValue, Value, VectorSample};

use super::compare::{annotations, at_instant, matrix};
use super::script::{self, Command, Eval, Expected, When};
use super::store;
use super::{Finding, Report, ScriptError};

/// Runs a script.
///
/// Beside its own time, every instant evaluation is repeated as the middle step of a range query, unless it is ordered;
/// and with `@` and its time added to every selector, at other times.
///
/// # Errors
/// When the script cannot be read; evaluations that go wrong are in the report.
pub fn run(text: &str) -> Result<Report, ScriptError> {
    run_over(text, |samples| Box::new(samples.clone()))
}

/// [`run`], over a store that `stored` fills with what the script loaded.
///
/// # Errors
/// As `run`.
pub fn run_over(
    text: &str,
    stored: impl Fn(&MemorySamples) -> Box<dyn Samples>,
) -> Result<Report, ScriptError> {
    let commands = script::parse(text)?;
    let mut samples = MemorySamples::new();
    let mut filled = None;
    let mut report = Report::default();
    for command in commands {
        match command {
            Command::Clear => {
                samples = MemorySamples::new();
                filled = None;
            }
            Command::Load {
                step_ms,
                series,
                starts,
                with_custom_buckets,
            } => {
                store::load(&mut samples, step_ms, &series, with_custom_buckets);
                store::load_starts(&mut samples, step_ms, &starts);
                filled = None;
            }
            Command::Eval(eval) => match evaluate(&eval, &**filled.get_or_insert_with(|| stored(&samples))) {
                Ok(()) => report.passed += 1,
                Err(message) => report.failed.push(Finding {
                    line: eval.line,
                    column: column(text, &eval),
                    query: eval.query.clone(),
                    message,
                }),
            },
        }
    }
    Ok(report)
}

/// Where the query stands in its line, in characters from 1.
fn column(text: &str, eval: &Eval) -> usize {
    let line = text.lines().nth(eval.line.saturating_sub(1)).unwrap_or_default();
    let before = line.find(eval.query.as_str()).and_then(|at| line.get(..at));
    before.unwrap_or_default().chars().count() + 1
}

/// Everything that is experimental is on.
fn limits() -> Limits<'static> {
    Limits {
        use_starts: true,
        ..Limits::default()
    }
}

fn evaluate(eval: &Eval, samples: &dyn Samples) -> Result<(), String> {
    let expected = &eval.expected;
    let expr = match (parse(&eval.query), &expected.fails) {
        (Ok(expr), _) => expr,
        (Err(error), Some(wanted)) if wanted.holds(&error.message) => return Ok(()),
        (Err(error), Some(_)) => return Err(format!("failed with another message: {}", error.message)),
        (Err(error), None) => return Err(format!("failed: {}", error.message)),
    };
    let at_ms = match eval.when {
        When::At(at_ms) => at_ms,
        When::Over {
            start_ms,
            end_ms,
            step_ms,
        } => {
            let result = range(&expr, start_ms, end_ms, step_ms, samples, &limits());
            return match outcome(result, expected)? {
                Some(outcome) => matrix(&outcome, expected, start_ms, step_ms),
                None => Ok(()),
            };
        }
    };
    let mut queries = vec![(expr.clone(), at_ms, "")];
    if let Some(fixed) = with_time(&expr, at_ms) {
        let times = if at_ms == 0 {
            vec![-1000, 0, 1000]
        } else {
            vec![-10 * at_ms, 0, at_ms / 5, at_ms, 10 * at_ms]
        };
        queries.extend(
            times
                .into_iter()
                .map(|other_ms| (fixed.clone(), other_ms, "with @ added: ")),
        );
    }
    for (expr, at_ms, mode) in queries {
        at_time(&expr, at_ms, samples, expected).map_err(|error| format!("{mode}{error}"))?;
    }
    Ok(())
}

/// What came of an evaluation, with the annotations it should have; nothing, if it failed as it should.
fn outcome(result: Result<Outcome, QueryError>, expected: &Expected) -> Result<Option<Outcome>, String> {
    let outcome = match (result.map_err(|error| error.to_string()), &expected.fails) {
        (Err(error), Some(wanted)) if wanted.holds(&error) => return Ok(None),
        (Err(error), Some(_)) => return Err(format!("failed with another message: {error}")),
        (Err(error), None) => return Err(format!("failed: {error}")),
        (Ok(_), Some(_)) => return Err("did not fail".to_owned()),
        (Ok(outcome), None) => outcome,
    };
    annotations(&outcome.annotations, expected)?;
    Ok(Some(outcome))
}

fn at_time(expr: &Expr, at_ms: i64, samples: &dyn Samples, expected: &Expected) -> Result<(), String> {
    let result = instant(expr, at_ms, samples, &limits());
    let Some(outcome) = outcome(result, expected)? else {
        return Ok(());
    };
    at_instant(&outcome, expected, at_ms)?;
    if expected.is_ordered || !is_time_invariant(expr) {
        return Ok(());
    }
    as_middle_step(expr, at_ms, samples, expected)
        .map_err(|error| format!("as the middle step of a range query: {error}"))
}

/// The expression with `@` and this time at every selector and subquery that has none, outside of subqueries; nothing,
/// if a function in it looks at the time of evaluation itself.
fn with_time(expr: &Expr, at_ms: i64) -> Option<Expr> {
    const LOOK_AT_TIME: [&str; 16] = [
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "end",
        "hour",
        "minute",
        "month",
        "year",
        "predict_linear",
        "range",
        "start",
        "step",
        "time",
        "timestamp",
        "start_timestamp",
    ];
    let looks_at_time = &mut |expr: &Expr| {
        matches!(&expr.kind, ExprKind::Call { function, .. } if LOOK_AT_TIME.contains(&function.name))
            || has_computed_duration(expr)
    };
    let is_far = at_ms.abs() > FARTHEST_MS / 10;
    if is_far || expr.any(looks_at_time) {
        return None;
    }
    let mut fixed = expr.clone();
    fix(&mut fixed, At::Millis(at_ms));
    Some(fixed)
}

fn fix(expr: &mut Expr, at: At) {
    match &mut expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => {
            selector.shift.at.get_or_insert(at);
        }
        // What is inside of a subquery follows the subquery's own times.
        ExprKind::Subquery { shift, .. } => {
            shift.at.get_or_insert(at);
        }
        _ => expr.children_mut().into_iter().for_each(|child| fix(child, at)),
    }
}

/// Whether a range query may ask it at any step with the same answer as an instant query.
fn is_time_invariant(expr: &Expr) -> bool {
    let sees_range = &mut |expr: &Expr| match &expr.kind {
        _ if has_computed_duration(expr) => true,
        ExprKind::Call { function, .. } => matches!(function.name, "start" | "end" | "range" | "step"),
        ExprKind::Selector(s) | ExprKind::Matrix { selector: s, .. } => {
            matches!(s.shift.at, Some(At::Start | At::End))
        }
        ExprKind::Subquery { shift, .. } => matches!(shift.at, Some(At::Start | At::End)),
        _ => false,
    };
    matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) && !expr.any(sees_range)
}

/// Whether a duration of this expression may look at the query's step or range.
fn has_computed_duration(expr: &Expr) -> bool {
    let looks = &mut |expr: &Expr| matches!(&expr.kind, ExprKind::Call { function, .. } if matches!(function.name, "step" | "range"));
    let mut is_computed =
        |duration: Option<&Duration>| matches!(duration, Some(Duration::Computed(expr)) if expr.any(looks));
    match &expr.kind {
        ExprKind::Selector(selector) => is_computed(selector.shift.offset.as_ref()),
        ExprKind::Matrix { selector, range } => {
            is_computed(selector.shift.offset.as_ref()) || is_computed(Some(range))
        }
        ExprKind::Subquery {
            range, step, shift, ..
        } => [Some(range), step.as_ref(), shift.offset.as_ref()]
            .into_iter()
            .any(is_computed),
        _ => false,
    }
}

fn as_middle_step(expr: &Expr, at_ms: i64, samples: &dyn Samples, expected: &Expected) -> Result<(), String> {
    const STEP_MS: i64 = 60_000;
    let (start_ms, end_ms) = (at_ms - STEP_MS, at_ms + STEP_MS);
    let outcome =
        range(expr, start_ms, end_ms, STEP_MS, samples, &limits()).map_err(|error| error.to_string())?;
    let Value::Matrix(series) = outcome.value else {
        return Err("not a matrix".to_owned());
    };
    let middle: Vec<VectorSample> = series
        .into_iter()
        .filter_map(|series| {
            Some(VectorSample {
                value: value_at(&series, at_ms)?,
                labels: series.labels,
                at_ms,
            })
        })
        .collect();
    let value = match (expected.scalar, middle.as_slice()) {
        (
            Some(_),
            [
                VectorSample {
                    value: SampleValue::Float(only),
                    ..
                },
            ],
        ) => Value::Scalar(*only),
        _ => Value::Vector(middle),
    };
    let outcome = Outcome {
        value,
        annotations: Annotations::new(),
    };
    at_instant(&outcome, expected, at_ms)
}

fn value_at(series: &Series, at_ms: i64) -> Option<SampleValue> {
    let float = series.samples.iter().find(|(time_ms, _)| *time_ms == at_ms);
    let histogram = series.histograms.iter().find(|(time_ms, _)| *time_ms == at_ms);
    float
        .map(|(_, value)| SampleValue::Float(*value))
        .or_else(|| histogram.map(|(_, held)| SampleValue::Histogram(held.clone())))
}
