//! Expressions, asked of the samples: beside the other work, with limits on samples, time and how many run at once.

pub(super) mod turns;
mod within;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_kernel::{Labels, Reach};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::{QueryTurn, Reason, StoreSamples, TenantLimits};
use mainstay_promql::{Expr, Limits, Outcome, QueryError as PromqlError, Samples, Series, Value, parse};
use mainstay_web::view::{InstantQuery, QueryAnswer, QueryCost, QueryError, QueryOptions, RangeQuery};

use turns::Turns;
use within::Within;

/// The longest that a question of the console's own pages may take, waiting for its turn included.
const OWN: QueryOptions = QueryOptions {
    timeout_ms: 10_000,
    lookback_ms: None,
};

/// How many questions are worked on at once; further ones wait.
const AT_ONCE: usize = 4;

/// Answers for the console's own pages are this many milliseconds old at most.
const LATELY_MS: i64 = 5_000;
/// How many of them are kept.
const KEPT: usize = 128;

type Values = Vec<(Labels, f64)>;

/// Asks the samples.
#[derive(Clone)]
pub(super) struct Questions {
    samples: StoreSamples,
    turns: Arc<Turns>,
    /// Has the limits of those who ask; the console's own questions have none but the defaults.
    telemetry: Option<Arc<Telemetry>>,
    lately: Arc<Mutex<BTreeMap<(i64, String), Values>>>,
}

/// Tells the evaluation to stop once nobody waits for it any more.
struct StopWhenGone(Arc<AtomicBool>);

impl Drop for StopWhenGone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Questions {
    pub(super) fn new(samples: StoreSamples) -> Self {
        Self {
            samples,
            turns: Arc::new(Turns::new(AT_ONCE)),
            telemetry: None,
            lately: Arc::default(),
        }
    }

    /// Those of others: what each may ask is limited, and counted.
    pub(super) fn of_others(telemetry: &Arc<Telemetry>) -> Self {
        Self {
            telemetry: Some(Arc::clone(telemetry)),
            ..Self::new(telemetry.samples())
        }
    }

    async fn ask(
        &self,
        expr: &str,
        options: QueryOptions,
        reach: &Reach,
        evaluate: impl FnOnce(&Expr, &dyn Samples, &Limits<'_>) -> Result<Outcome, PromqlError> + Send + 'static,
    ) -> Result<(Outcome, QueryCost), QueryError> {
        let expr = parse(expr).map_err(|error| QueryError::Parse(error.to_string()))?;
        let asked = Instant::now();
        let turn = match &self.telemetry {
            None => None,
            Some(telemetry) => {
                let turn = telemetry.begin_query(reach);
                Some(turn.map_err(|refused| QueryError::TooMany(refused.to_string()))?)
            }
        };
        let bounds = turn
            .as_ref()
            .map_or_else(TenantLimits::default, |turn| turn.limits);
        let deadline = asked + Duration::from_millis(options.timeout_ms.min(bounds.query_ms));
        let Ok(slot) = tokio::time::timeout_at(deadline.into(), self.turns.take(reach)).await else {
            note(turn.as_ref(), Some(Reason::QueryTime));
            return Err(QueryError::Timeout("query queue"));
        };
        let gone = StopWhenGone(Arc::new(AtomicBool::new(false)));
        let (samples, reach, stop) = (self.samples.clone(), reach.clone(), Arc::clone(&gone.0));
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let started = Instant::now();
            let default = Limits::default();
            let limits = Limits {
                max_samples: bounds.query_samples,
                max_bytes: bounds.query_bytes,
                lookback_ms: options.lookback_ms.unwrap_or(default.lookback_ms),
                cancelled: &|| stop.load(Ordering::Relaxed) || Instant::now() >= deadline,
                ..default
            };
            let samples = Within::new(&samples, &reach, bounds);
            let outcome = evaluate(&expr, &samples, &limits);
            let is_late = Instant::now() >= deadline;
            note(
                turn.as_ref(),
                outcome.as_ref().err().and_then(|error| ended_by(error, is_late)),
            );
            let cost = QueryCost {
                queued_s: started.duration_since(asked).as_secs_f64(),
                evaluated_s: started.elapsed().as_secs_f64(),
                samples_read: samples.samples_read(),
            };
            Ok((outcome?, cost))
        });
        let answer = tokio::time::timeout_at(deadline.into(), work)
            .await
            .map_err(|_| QueryError::Timeout(EVALUATION))?;
        drop(gone);
        match answer {
            Ok(outcome) => outcome.map_err(refusal),
            Err(panic) => Err(QueryError::Internal(format!("the evaluation broke off: {panic}"))),
        }
    }

    /// Evaluates at one instant, for the console's own pages.
    pub(super) async fn instant(&self, expr: &str, at_ms: i64) -> Result<Outcome, QueryError> {
        let work = move |expr: &Expr, samples: &dyn Samples, limits: &Limits<'_>| {
            mainstay_promql::instant(expr, at_ms, samples, limits)
        };
        self.ask(expr, OWN, &Reach::All, work)
            .await
            .map(|(outcome, _)| outcome)
    }

    /// The value per series at one instant; none if the question fails: unknown.
    pub(super) async fn values(&self, expr: &str, at_ms: i64) -> Values {
        match self.instant(expr, at_ms).await {
            Ok(Outcome {
                value: Value::Vector(samples),
                ..
            }) => samples
                .into_iter()
                .filter_map(|sample| Some(((*sample.labels).clone(), sample.value.float()?)))
                .collect(),
            Ok(Outcome {
                value: Value::Scalar(value),
                ..
            }) => vec![(Labels::new(), value)],
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::warn!(expr, %error, "a question of the console failed");
                Vec::new()
            }
        }
    }

    /// The same, up to five seconds old: many readers look at one page.
    pub(super) async fn values_lately(&self, expr: &str, now_ms: i64) -> Values {
        let at_ms = now_ms.div_euclid(LATELY_MS) * LATELY_MS;
        let key = (at_ms, expr.to_owned());
        let held = self
            .lately
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(values) = held {
            return values;
        }
        let values = self.values(expr, at_ms).await;
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        while lately.len() >= KEPT {
            lately.pop_first();
        }
        lately.insert(key, values.clone());
        values
    }

    /// The series over a range, for the console's own pages.
    pub(super) async fn series(
        &self,
        expr: &str,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
    ) -> Result<Vec<Series>, QueryError> {
        let work = move |expr: &Expr, samples: &dyn Samples, limits: &Limits<'_>| {
            mainstay_promql::range(expr, start_ms, end_ms, step_ms, samples, limits)
        };
        let (outcome, _) = self.ask(expr, OWN, &Reach::All, work).await?;
        Ok(match outcome.value {
            Value::Matrix(series) => series,
            _ => Vec::new(),
        })
    }

    /// Answers somebody else's instant query.
    pub(super) async fn answer_instant(&self, query: &InstantQuery) -> Result<QueryAnswer, QueryError> {
        let at_ms = query.at_ms;
        let work = move |expr: &Expr, samples: &dyn Samples, limits: &Limits<'_>| {
            mainstay_promql::instant(expr, at_ms, samples, limits)
        };
        let (outcome, cost) = self.ask(&query.expr, query.options, &query.reach, work).await?;
        Ok(QueryAnswer { outcome, at_ms, cost })
    }

    /// Answers somebody else's range query.
    pub(super) async fn answer_range(&self, query: &RangeQuery) -> Result<QueryAnswer, QueryError> {
        let (start_ms, end_ms, step_ms) = (query.start_ms, query.end_ms, query.step_ms);
        let work = move |expr: &Expr, samples: &dyn Samples, limits: &Limits<'_>| {
            // Eleven thousand steps are the limit, so there are that many points and one more, as in Prometheus.
            let limits = Limits {
                max_steps: limits.max_steps + 1,
                ..*limits
            };
            mainstay_promql::range(expr, start_ms, end_ms, step_ms, samples, &limits)
        };
        let (outcome, cost) = self.ask(&query.expr, query.options, &query.reach, work).await?;
        Ok(QueryAnswer {
            outcome,
            at_ms: end_ms,
            cost,
        })
    }
}

/// Where Prometheus says that a query ran out of time.
const EVALUATION: &str = "expression evaluation";

/// Counts that a limit ended a question, if one did.
fn note(turn: Option<&QueryTurn>, reason: Option<Reason>) {
    if let (Some(turn), Some(reason)) = (turn, reason) {
        turn.ended_by(reason);
    }
}

/// The limit that ended an evaluation; one that nobody waited for any more was ended by none.
fn ended_by(error: &PromqlError, is_late: bool) -> Option<Reason> {
    match error {
        PromqlError::TooManySamples { .. } => Some(Reason::QuerySamples),
        PromqlError::TooManySeries { .. } => Some(Reason::QuerySeries),
        PromqlError::TooManyBytes { .. } => Some(Reason::QueryBytes),
        PromqlError::Cancelled if is_late => Some(Reason::QueryTime),
        _ => None,
    }
}

fn refusal(error: PromqlError) -> QueryError {
    let text = error.to_string();
    match error {
        PromqlError::BadRange(_) => QueryError::BadData(text),
        PromqlError::Cancelled => QueryError::Timeout(EVALUATION),
        PromqlError::Source(_) => QueryError::Internal(text),
        PromqlError::Execution(_)
        | PromqlError::Unsupported(_)
        | PromqlError::TooManySamples { .. }
        | PromqlError::TooManySeries { .. }
        | PromqlError::TooManyBytes { .. } => QueryError::Execution(text),
    }
}
