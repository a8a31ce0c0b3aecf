//! saga-orchestrator: takes every accepted payment to its end, whatever breaks on the way.
//!
//! validate, fraud, reserve, clear, post, notify. Every step is idempotent by payment id, so a saga that lost its
//! orchestrator is simply driven again from its last durable state. Nothing is undone before that decision is
//! durable, and nothing that the bank may have taken is undone before the bank has been asked.

mod state;
mod steps;

pub(crate) use state::State;

use super::account::TransferState;
use crate::{
    breaker::Breaker,
    client::Services,
    clock,
    error::Result,
    log::{About, Level},
    metrics::{Counter, Counters, Histogram},
    model::{Payment, Status, service},
    pod::{Pod, PodArgs},
    store::{
        ReaderPool, Writer,
        ledger::Outcome,
        sagas::{self, End, LEASE_MS, Saga},
    },
};
use axum::Router;
use http::Method;
use serde::Serialize;
use state::{Step, StepState, Undo};
use std::{
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
    claims: [Counter; 2],
    compensations: [Counter; 2],
    completion: Histogram,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::SAGA, options.pod)?;
    let metrics = &pod.metrics;
    let claims = metrics.counters("saga_claims_total", "Looks at the outbox.", &["outcome"]);
    let compensations = metrics.counters(
        "saga_compensations_total",
        "Payments that were undone.",
        &["outcome"],
    );
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
        claims: ["ok", "error"].map(|outcome| claims.with(&[outcome])),
        compensations: ["compensated", "by_hand"].map(|outcome| compensations.with(&[outcome])),
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
    // What has not happened yet is 0, not absent: every way to end of every tenant of the cell.
    let topology = app.pod.topology_known().await;
    for (tenant, _) in topology
        .tenants
        .iter()
        .filter(|(_, route)| route.cell == app.pod.args.cell)
    {
        for status in [Status::Completed, Status::Rejected, Status::Failed] {
            app.ended.with(&[tenant, status.as_str()]);
        }
    }
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
            let claimed = app.claim(room).await;
            let [ok, error] = &app.claims;
            if claimed.is_ok() { ok } else { error }.increment();
            claimed
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
                let [compensated, by_hand] = &self.compensations;
                let undone = saga.state.is(Step::Reserve, StepState::Compensated);
                if undone { compensated } else { by_hand }.increment();
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
                    "rejected" => Undo::rejected(word.reason.as_deref().unwrap_or("refused by the bank")),
                    _ => Undo::failed("the bank could not be reached; the instruction was cancelled"),
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
            return Ok(Some(Undo::failed(
                "settled by the bank, but the reservation was gone: to be returned by hand",
            )));
        }
        Ok(None)
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

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}
