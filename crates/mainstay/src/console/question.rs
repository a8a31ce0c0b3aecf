//! Expressions, asked of the samples: beside the other work, with limits on samples, time and how many run at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainstay_kernel::Labels;
use mainstay_plane::telemetry::StoreSamples;
use mainstay_promql::{Expr, Limits, Outcome, QueryError as PromqlError, Series, Value, parse};
use mainstay_web::view::{InstantQuery, QueryAnswer, QueryError, QueryResult, RangeQuery};
use tokio::sync::Semaphore;

/// The longest that a question may take, waiting for its turn included.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many questions are worked on at once; further ones wait.
const AT_ONCE: usize = 4;
/// How many samples one question may load and produce: about 320 MB.
const SAMPLES_MAX: u64 = 20_000_000;

/// Answers for the console's own pages are this many milliseconds old at most.
const LATELY_MS: i64 = 5_000;
/// How many of them are kept.
const KEPT: usize = 128;

type Values = Vec<(Labels, f64)>;

/// Asks the samples.
#[derive(Clone)]
pub(super) struct Questions {
    samples: StoreSamples,
    slots: Arc<Semaphore>,
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
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            lately: Arc::default(),
        }
    }

    async fn ask(
        &self,
        expr: &str,
        timeout: Duration,
        evaluate: impl FnOnce(&Expr, &StoreSamples, &Limits<'_>) -> Result<Outcome, PromqlError> + Send + 'static,
    ) -> Result<Outcome, QueryError> {
        let expr = parse(expr).map_err(|error| QueryError::BadData(error.to_string()))?;
        let deadline = Instant::now() + timeout.min(DEADLINE);
        let late = |_| {
            QueryError::Timeout(format!(
                "it took longer than {} s",
                timeout.min(DEADLINE).as_secs()
            ))
        };
        let gone = StopWhenGone(Arc::new(AtomicBool::new(false)));
        let (samples, slots, stop) = (self.samples.clone(), Arc::clone(&self.slots), Arc::clone(&gone.0));
        let work = async move {
            let slot = slots.acquire_owned().await;
            let work = move || {
                let _slot = slot;
                let limits = Limits {
                    max_samples: SAMPLES_MAX,
                    cancelled: &|| stop.load(Ordering::Relaxed) || Instant::now() >= deadline,
                    ..Limits::default()
                };
                evaluate(&expr, &samples, &limits)
            };
            tokio::task::spawn_blocking(work).await
        };
        let answer = tokio::time::timeout_at(deadline.into(), work)
            .await
            .map_err(late)?;
        drop(gone);
        match answer {
            Ok(outcome) => outcome.map_err(refusal),
            Err(panic) => Err(QueryError::Execution(format!(
                "the evaluation broke off: {panic}"
            ))),
        }
    }

    /// Evaluates at one instant.
    pub(super) async fn instant(
        &self,
        expr: &str,
        at_ms: i64,
        timeout: Duration,
    ) -> Result<Outcome, QueryError> {
        let work = move |expr: &Expr, samples: &StoreSamples, limits: &Limits<'_>| {
            mainstay_promql::instant(expr, at_ms, samples, limits)
        };
        self.ask(expr, timeout, work).await
    }

    /// The value per series at one instant; none if the question fails: unknown.
    pub(super) async fn values(&self, expr: &str, at_ms: i64) -> Values {
        match self.instant(expr, at_ms, DEADLINE).await {
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

    /// The series over a range.
    pub(super) async fn series(
        &self,
        expr: &str,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
    ) -> Result<Vec<Series>, QueryError> {
        let outcome = self.range(expr, (start_ms, end_ms, step_ms), DEADLINE).await?;
        Ok(match outcome.value {
            Value::Matrix(series) => series,
            _ => Vec::new(),
        })
    }

    async fn range(
        &self,
        expr: &str,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        timeout: Duration,
    ) -> Result<Outcome, QueryError> {
        let work = move |expr: &Expr, samples: &StoreSamples, limits: &Limits<'_>| {
            mainstay_promql::range(expr, start_ms, end_ms, step_ms, samples, limits)
        };
        self.ask(expr, timeout, work).await
    }

    /// Answers somebody else's instant query.
    pub(super) async fn answer_instant(&self, query: &InstantQuery) -> Result<QueryAnswer, QueryError> {
        let timeout = Duration::from_millis(query.timeout_ms);
        let outcome = self.instant(&query.expr, query.at_ms, timeout).await?;
        Ok(answer(outcome, query.at_ms))
    }

    /// Answers somebody else's range query.
    pub(super) async fn answer_range(&self, query: &RangeQuery) -> Result<QueryAnswer, QueryError> {
        let times = (query.start_ms, query.end_ms, query.step_ms);
        let outcome = self
            .range(&query.expr, times, Duration::from_millis(query.timeout_ms))
            .await?;
        Ok(answer(outcome, query.end_ms))
    }
}

fn refusal(error: PromqlError) -> QueryError {
    let text = error.to_string();
    match error {
        PromqlError::BadRange(_) => QueryError::BadData(text),
        PromqlError::Cancelled => QueryError::Timeout("its time was over".to_owned()),
        PromqlError::Source(_) => QueryError::Unavailable(text),
        PromqlError::Execution(_) | PromqlError::Unsupported(_) | PromqlError::TooManySamples { .. } => {
            QueryError::Execution(text)
        }
    }
}

fn answer(outcome: Outcome, at_ms: i64) -> QueryAnswer {
    let mut left_out = 0;
    let result = match outcome.value {
        Value::Scalar(value) => QueryResult::Scalar((at_ms, value)),
        Value::String(text) => QueryResult::Text(at_ms, text),
        Value::Vector(samples) => QueryResult::Vector(
            samples
                .into_iter()
                .filter_map(|sample| match sample.value.float() {
                    Some(value) => Some(((*sample.labels).clone(), (sample.at_ms, value))),
                    None => {
                        left_out += 1;
                        None
                    }
                })
                .collect(),
        ),
        Value::Matrix(series) => QueryResult::Matrix(
            series
                .into_iter()
                .map(|series| {
                    left_out += series.histograms.len();
                    ((*series.labels).clone(), series.samples)
                })
                .collect(),
        ),
    };
    let mut warnings: Vec<String> = outcome.annotations.iter().map(ToString::to_string).collect();
    if left_out > 0 {
        warnings.push(format!(
            "{left_out} samples are native histograms and are left out"
        ));
    }
    QueryAnswer { result, warnings }
}
