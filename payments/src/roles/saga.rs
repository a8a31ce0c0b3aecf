//! saga-orchestrator: takes every accepted payment to its end, whatever breaks on the way.
//!
//! validate, fraud, reserve, clear, post, notify. Every step is idempotent by payment id, so a saga that lost its
//! orchestrator is simply driven again from its last durable state. Nothing is undone before that decision is
//! durable, and nothing that the bank may have taken is undone before the bank has been asked.

use super::{account::TransferState, notification::Notice, validation::Verdict};
use crate::{
    breaker::Breaker,
    client::{Answer, Call, CallError, Services},
    clock,
    error::Result,
    log::{About, Level},
    metrics::{Counters, Histogram},
    model::{Payment, Status, service},
    pod::{Pod, PodArgs},
    store::{
        ReaderPool, Writer,
        clearing::Instruction,
        ledger::{Outcome, Reserve},
        sagas::{self, End, LEASE_MS, Saga},
    },
};
use axum::Router;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// Sagas that one orchestrator drives at a time: few enough that their writes do not crowd out new payments.
const MAX_DRIVEN: usize = 24;
/// Most sagas taken in one transaction.
const MAX_CLAIM: usize = 8;
/// How often the outbox is looked at while payments come in, and when none have come for a while.
const POLL: Duration = Duration::from_millis(25);
const IDLE_POLL: Duration = Duration::from_millis(100);
/// How long none must have come.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// How long one call of a step may take.
const STEP_TIMEOUT: Duration = Duration::from_millis(1000);
/// How long the fraud check may take before the payment goes on without it.
const FRAUD_TIMEOUT: Duration = Duration::from_millis(500);
/// Age at which a payment that has not been sent to the bank is given up.
const GIVE_UP_AFTER_MS: i64 = 60_000;
/// How often an instruction is offered to the bank.
const CLEARING_ATTEMPTS: u32 = 4;
/// End-to-end durations, in seconds.
const COMPLETION_BUCKETS_SECONDS: &[f64] = &[0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Options of saga-orchestrator.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// The cell's database.
    #[arg(long, env = "PAYD_DB")]
    db: PathBuf,
}

/// A step of the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Validate,
    Fraud,
    Reserve,
    Clear,
    Post,
    Notify,
}

/// How a step stands. `Unknown`: it was sent and no answer came, so it may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    Running,
    Succeeded,
    Failed,
    Unknown,
    Skipped,
    Compensated,
}

/// The decision to undo, durable before anything is undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) status: Status,
    pub(crate) reason: String,
}

/// What of a saga is durable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) steps: BTreeMap<Step, StepState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Undo>,
}

impl State {
    fn is(&self, step: Step, state: StepState) -> bool {
        self.steps.get(&step) == Some(&state)
    }

    fn passed(&self, step: Step) -> bool {
        self.is(step, StepState::Succeeded) || self.is(step, StepState::Skipped)
    }
}

/// Another orchestrator owns the saga by now.
struct LetGo;

type Driven<T> = std::result::Result<T, LetGo>;

struct App {
    pod: Arc<Pod>,
    owner: String,
    writer: Writer,
    readers: ReaderPool,
    services: Services,
    fraud: Breaker,
    steps: Counters,
    ended: Counters,
    completion: Histogram,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::SAGA, options.pod)?;
    let metrics = &pod.metrics;
    let app = Arc::new(App {
        owner: format!("{}/{}/{}", pod.args.pod, std::process::id(), clock::unix_ms()),
        writer: Writer::open(&options.db).await?,
        readers: ReaderPool::open(&options.db, 2, service::SAGA, metrics),
        services: pod.services(),
        fraud: Breaker::new(service::FRAUD, metrics),
        steps: metrics.counters(
            "saga_steps_total",
            "Steps of sagas that ended.",
            &["step", "state"],
        ),
        ended: metrics.counters(
            "payments_ended_total",
            "Payments by how they ended.",
            &["tenant", "status"],
        ),
        completion: metrics
            .histograms(
                "payment_completion_seconds",
                "Time from acceptance to the end of a payment.",
                &[],
                COMPLETION_BUCKETS_SECONDS,
            )
            .with(&[]),
        pod: Arc::clone(&pod),
    });
    let stopping = Arc::new(AtomicBool::new(false));
    let slots = Arc::new(Semaphore::new(MAX_DRIVEN));
    let claiming = tokio::spawn(claim(Arc::clone(&app), Arc::clone(&slots), Arc::clone(&stopping)));
    tokio::spawn(keep_leases(Arc::clone(&app), Arc::clone(&slots)));
    tokio::spawn(watch_backlog(app));
    pod.serve(Router::new()).await?;
    stopping.store(true, Ordering::Relaxed);
    let _ = claiming.await;
    // What is still on its way is finished here if it is quick, else resumed by another orchestrator.
    let _ = tokio::time::timeout(Duration::from_secs(5), slots.acquire_many(MAX_DRIVEN as u32)).await;
    Ok(())
}

async fn claim(app: Arc<App>, slots: Arc<Semaphore>, stopping: Arc<AtomicBool>) {
    let mut busy_at = Instant::now();
    while !stopping.load(Ordering::Relaxed) {
        let room = slots.available_permits().min(MAX_CLAIM);
        let claimed = if room == 0 {
            Ok(Vec::new())
        } else {
            app.claim(room).await
        };
        match claimed {
            Ok(sagas) if sagas.is_empty() => {
                tokio::time::sleep(if busy_at.elapsed() > IDLE_AFTER {
                    IDLE_POLL
                } else {
                    POLL
                })
                .await;
            }
            Ok(sagas) => {
                busy_at = Instant::now();
                for saga in sagas {
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                        return;
                    };
                    let app = Arc::clone(&app);
                    tokio::spawn(async move {
                        // A saga that another orchestrator took over is no longer ours to end.
                        let _ = app.drive(saga).await;
                        drop(slot);
                    });
                }
            }
            Err(error) => {
                app.pod.log.error("cannot claim sagas", &error);
                tokio::time::sleep(POLL * 10).await;
            }
        }
    }
}

async fn keep_leases(app: Arc<App>, slots: Arc<Semaphore>) {
    loop {
        tokio::time::sleep(Duration::from_millis(LEASE_MS.unsigned_abs() / 4)).await;
        if slots.available_permits() == MAX_DRIVEN {
            continue;
        }
        if let Err(error) = sagas::renew(&app.writer, app.owner.clone()).await {
            app.pod.log.error("cannot renew leases", &error);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and ages are small")]
async fn watch_backlog(app: Arc<App>) {
    let gauge = |name, help| app.pod.metrics.gauges(name, help, &[]).with(&[]);
    let open = gauge("saga_open", "Payments of the cell that have not ended.");
    let oldest = gauge(
        "saga_oldest_age_seconds",
        "Age of the oldest payment of the cell that has not ended.",
    );
    let reviews = gauge(
        "payment_manual_reviews",
        "Payments of the cell whose fraud check a human must make up for.",
    );
    loop {
        let counted = async { sagas::backlog(&mut *app.readers.acquire().await?).await };
        match counted.await {
            Ok([count, age_ms, waiting]) => {
                open.set(count as f64);
                oldest.set(age_ms as f64 / 1000.0);
                reviews.set(waiting as f64);
            }
            Err(error) => app.pod.log.warn("cannot read the backlog", &error),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

impl App {
    async fn claim(&self, room: usize) -> std::result::Result<Vec<Saga>, crate::store::StoreError> {
        let mut reader = self.readers.acquire().await?;
        let waiting = sagas::waiting(&mut reader).await?;
        drop(reader);
        if !waiting {
            return Ok(Vec::new());
        }
        sagas::claim(
            &self.writer,
            self.owner.clone(),
            u32::try_from(room).unwrap_or(u32::MAX),
        )
        .await
    }

    async fn drive(&self, mut saga: Saga) -> Driven<()> {
        if saga.state.undo.is_none()
            && let Some(undo) = self.forward(&mut saga).await?
        {
            saga.state.undo = Some(undo);
            self.save(&saga, None).await?;
        }
        let status = match saga.state.undo.clone() {
            Some(undo) => {
                self.compensate(&mut saga).await;
                undo.status
            }
            None => Status::Completed,
        };
        self.notify(&mut saga, status).await;
        let end = End {
            status,
            reason: saga.state.undo.as_ref().map(|undo| undo.reason.clone()),
            degraded: saga.state.is(Step::Fraud, StepState::Skipped),
        };
        self.save(&saga, Some(end)).await?;
        self.count(&saga, status);
        Ok(())
    }

    /// Takes the payment as far as it goes; answers with what makes it necessary to undo.
    async fn forward(&self, saga: &mut Saga) -> Driven<Option<Undo>> {
        let payment = saga.payment.clone();
        if !saga.state.passed(Step::Clear) {
            for step in [Step::Validate, Step::Fraud, Step::Reserve] {
                if saga.state.passed(step) {
                    continue;
                }
                let refusal = match step {
                    Step::Validate => self.validate(saga).await,
                    Step::Fraud => self.check_fraud(saga).await,
                    _ => self.reserve(saga).await,
                };
                if let Some(undo) = refusal {
                    saga.state.steps.insert(step, StepState::Failed);
                    return Ok(Some(undo));
                }
            }
            // From here on the bank may have the money's instruction: say so before it is sent.
            saga.state.steps.insert(Step::Clear, StepState::Running);
            self.save(saga, None).await?;
            let word = self.clear(saga).await?;
            if word.status != "settled" {
                saga.state.steps.insert(Step::Clear, StepState::Failed);
                return Ok(Some(match word.status.as_str() {
                    "rejected" => rejected(word.reason.as_deref().unwrap_or("refused by the bank")),
                    _ => failed("the bank could not be reached; the instruction was cancelled"),
                }));
            }
            // Not saved: who drives the saga after a crash is told the same word again.
            saga.state.steps.insert(Step::Clear, StepState::Succeeded);
        }
        let path = format!("/v1/transfers/{}/post", payment.payment_id);
        let posted: TransferState = self
            .insist(service::ACCOUNT, &Method::POST, &path, &payment, &())
            .await;
        saga.state.steps.insert(Step::Post, StepState::Succeeded);
        if posted.state != Outcome::Posted {
            saga.state.steps.insert(Step::Post, StepState::Failed);
            self.log(
                &payment,
                "settled payment could not be posted",
                &format!("{:?}", posted.state),
            );
            return Ok(Some(failed(
                "settled by the bank, but the reservation was gone: to be returned by hand",
            )));
        }
        Ok(None)
    }

    async fn validate(&self, saga: &mut Saga) -> Option<Undo> {
        let payment = &saga.payment;
        let asked: Option<Verdict> = self
            .ask(
                service::VALIDATION,
                &Method::POST,
                "/v1/validations",
                payment,
                payment,
                give_up_at(saga),
            )
            .await;
        match asked {
            Some(verdict) if verdict.approved => {
                saga.state.steps.insert(Step::Validate, StepState::Succeeded);
                None
            }
            Some(verdict) => Some(rejected(verdict.reason.as_deref().unwrap_or("invalid"))),
            None => Some(failed("validation-service could not be reached")),
        }
    }

    /// One try, behind a breaker: a payment does not wait for the fraud service, a human makes up for the check.
    async fn check_fraud(&self, saga: &mut Saga) -> Option<Undo> {
        let payment = &saga.payment;
        let verdict = if self.fraud.admit(Instant::now()) {
            let call = Call::new(
                service::FRAUD,
                Method::POST,
                "/v1/scores".to_owned(),
                Instant::now() + FRAUD_TIMEOUT,
            )
            .json(payment)
            .trace(&payment.traceparent);
            let verdict: Option<Verdict> = self
                .services
                .call(&call)
                .await
                .ok()
                .and_then(|answer| read(&answer));
            self.fraud.record(verdict.is_some(), Instant::now());
            verdict
        } else {
            None
        };
        let (state, undo) = match verdict {
            None => (StepState::Skipped, None),
            Some(verdict) if verdict.approved => (StepState::Succeeded, None),
            Some(verdict) => (
                StepState::Failed,
                Some(rejected(verdict.reason.as_deref().unwrap_or("fraud"))),
            ),
        };
        saga.state.steps.insert(Step::Fraud, state);
        undo
    }

    async fn reserve(&self, saga: &mut Saga) -> Option<Undo> {
        let payment = &saga.payment;
        let wanted = Reserve {
            tenant: payment.tenant.clone(),
            debit_account: payment.initiation.debtor.account.clone(),
            amount_minor: payment.initiation.amount_minor,
            currency: payment.initiation.currency.clone(),
        };
        let path = format!("/v1/transfers/{}", payment.payment_id);
        let asked: Option<TransferState> = self
            .ask(
                service::ACCOUNT,
                &Method::PUT,
                &path,
                payment,
                &wanted,
                give_up_at(saga),
            )
            .await;
        match asked.map(|answer| answer.state) {
            Some(Outcome::Pending | Outcome::Posted) => {
                saga.state.steps.insert(Step::Reserve, StepState::Succeeded);
                None
            }
            Some(Outcome::InsufficientFunds) => Some(rejected("AM04 insufficient funds")),
            Some(Outcome::UnknownAccount) => Some(rejected("AC01 no such account in this currency")),
            Some(Outcome::Voided | Outcome::NotFound) => Some(failed("the reservation was given back")),
            None => Some(failed("account-adapter could not be reached")),
        }
    }

    /// Offers the instruction until the bank has a word on it. An offer without answer is asked about before it is
    /// repeated; after the last one it is cancelled, and what stands then is the word.
    async fn clear(&self, saga: &mut Saga) -> Driven<Instruction> {
        let payment = saga.payment.clone();
        let path = format!("/v1/instructions/{}", payment.payment_id);
        for attempt in 0..CLEARING_ATTEMPTS {
            tokio::time::sleep(Duration::from_millis(100) * attempt * attempt).await;
            let offer = Call::new(
                service::CLEARING,
                Method::PUT,
                path.clone(),
                Instant::now() + STEP_TIMEOUT,
            )
            .json(&payment)
            .trace(&payment.traceparent);
            match self.services.call(&offer).await {
                Ok(answer) => {
                    if let Some(word) = read(&answer) {
                        return Ok(word);
                    }
                }
                Err(CallError::Unsent(_)) => {}
                Err(CallError::Broken(..) | CallError::Deadline(_)) => {
                    saga.state.steps.insert(Step::Clear, StepState::Unknown);
                    self.save(saga, None).await?;
                    let query = Call::new(
                        service::CLEARING,
                        Method::GET,
                        path.clone(),
                        Instant::now() + STEP_TIMEOUT,
                    )
                    .trace(&payment.traceparent);
                    if let Some(word) = self
                        .services
                        .call(&query)
                        .await
                        .ok()
                        .and_then(|answer| read(&answer))
                    {
                        return Ok(word);
                    }
                }
            }
        }
        Ok(self
            .insist(
                service::CLEARING,
                &Method::POST,
                &format!("{path}/cancel"),
                &payment,
                &(),
            )
            .await)
    }

    async fn compensate(&self, saga: &mut Saga) {
        if saga.state.steps.contains_key(&Step::Reserve) && !saga.state.steps.contains_key(&Step::Post) {
            let path = format!("/v1/transfers/{}/void", saga.payment.payment_id);
            let _: TransferState = self
                .insist(service::ACCOUNT, &Method::POST, &path, &saga.payment, &())
                .await;
            saga.state.steps.insert(Step::Reserve, StepState::Compensated);
        }
    }

    async fn notify(&self, saga: &mut Saga, status: Status) {
        let notice = Notice {
            tenant: saga.payment.tenant.clone(),
            status,
        };
        let path = format!("/v1/notifications/{}", saga.payment.payment_id);
        let call = Call::new(
            service::NOTIFICATION,
            Method::PUT,
            path,
            Instant::now() + STEP_TIMEOUT,
        )
        .json(&notice)
        .trace(&saga.payment.traceparent);
        let told = self
            .services
            .call(&call)
            .await
            .is_ok_and(|answer| answer.status.is_success());
        // A payment does not fail because nobody could be told.
        saga.state.steps.insert(
            Step::Notify,
            if told {
                StepState::Succeeded
            } else {
                StepState::Skipped
            },
        );
    }

    /// Asks until there is an answer, or until it is no longer worth it.
    async fn ask<T: DeserializeOwned>(
        &self,
        service: &'static str,
        method: &Method,
        path: &str,
        payment: &Payment,
        body: &impl Serialize,
        give_up: Option<Instant>,
    ) -> Option<T> {
        let mut pause = Duration::from_millis(50);
        loop {
            let call = Call::new(
                service,
                method.clone(),
                path.to_owned(),
                Instant::now() + STEP_TIMEOUT,
            )
            .json(body)
            .trace(&payment.traceparent);
            match self.services.call(&call).await {
                Ok(answer) => match read(&answer) {
                    Some(value) => return Some(value),
                    None => self.log(payment, "step failed, will be repeated", &answer.status),
                },
                Err(error) => self.log(payment, "step failed, will be repeated", &error),
            }
            if give_up.is_some_and(|at| Instant::now() >= at) {
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Asks for ever: for steps that must happen.
    async fn insist<T: DeserializeOwned>(
        &self,
        service: &'static str,
        method: &Method,
        path: &str,
        payment: &Payment,
        body: &impl Serialize,
    ) -> T {
        loop {
            if let Some(value) = self.ask(service, method, path, payment, body, None).await {
                return value;
            }
        }
    }

    /// Saves until it is durable or the saga is somebody else's.
    async fn save(&self, saga: &Saga, end: Option<End>) -> Driven<()> {
        loop {
            match sagas::save(&self.writer, self.owner.clone(), saga.clone(), end.clone()).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(LetGo),
                Err(error) => self.log(&saga.payment, "cannot save the saga, will be repeated", &error),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "durations are small")]
    fn count(&self, saga: &Saga, status: Status) {
        for (step, state) in &saga.state.steps {
            self.steps.with(&[&word(step), &word(state)]).increment();
        }
        self.ended
            .with(&[&saga.payment.tenant, status.as_str()])
            .increment();
        self.completion
            .observe((clock::unix_ms() - saga.created_at_ms).max(0) as f64 / 1000.0);
    }

    fn log(&self, payment: &Payment, message: &str, cause: &dyn std::fmt::Display) {
        let trace_id = payment.traceparent.split('-').nth(1).unwrap_or_default();
        let about = About {
            trace_id,
            tenant: &payment.tenant,
        };
        self.pod.log.write(Level::Warn, about, message, Some(cause));
    }
}

fn rejected(reason: &str) -> Undo {
    Undo {
        status: Status::Rejected,
        reason: reason.to_owned(),
    }
}

fn failed(reason: &str) -> Undo {
    Undo {
        status: Status::Failed,
        reason: reason.to_owned(),
    }
}

fn give_up_at(saga: &Saga) -> Option<Instant> {
    let left_ms = (saga.created_at_ms + GIVE_UP_AFTER_MS - clock::unix_ms()).max(0);
    Some(Instant::now() + Duration::from_millis(left_ms.unsigned_abs()))
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Option<T> {
    (answer.status == StatusCode::OK)
        .then(|| serde_json::from_slice(&answer.body).ok())
        .flatten()
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}
