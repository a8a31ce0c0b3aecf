//! clearing-adapter: sends instructions to the bank (pacs.008), keeps its word (pacs.002), cancels (camt.056).
//!
//! The bank is simulated here, behind [`Bank`]; the connector to it is part of the release and can be bad.

use super::answer::{Problem, json, parse};
use crate::{
    error::Result,
    metrics::Counters,
    model::{Payment, service},
    pod::{Pod, PodArgs},
    store::{
        ReaderPool, Writer,
        clearing::{self, Instruction},
    },
    version::Version,
};
use axum::{
    Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::Response,
    routing::{get, post, put},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Options of clearing-adapter.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// The cell's database.
    #[arg(long, env = "PAYD_DB")]
    db: PathBuf,
    /// How long the bank takes to answer, in milliseconds.
    #[arg(long, env = "PAYD_BANK_LATENCY_MS", default_value_t = 10)]
    bank_latency_ms: u64,
}

/// The bank as this release of the connector reaches it.
struct Bank {
    failures_percent: u64,
    latency: Duration,
    calls: AtomicU64,
    outcomes: Counters,
}

/// The bank answered with a 5xx: it has not taken the message.
struct Unavailable;

impl Bank {
    fn new(version: Version, latency: Duration, outcomes: Counters) -> Self {
        for operation in ["participant", "pacs.008"] {
            for outcome in ["2xx", "5xx"] {
                outcomes.with(&[operation, outcome]);
            }
        }
        Self {
            failures_percent: version.bank_failures_percent().into(),
            latency,
            calls: AtomicU64::new(0),
            outcomes,
        }
    }

    /// One exchange. Which of them fail under a bad connector looks random (a hash of their number): failures at a
    /// regular distance would fall in step with what callers do.
    async fn exchange(&self, operation: &str) -> std::result::Result<(), Unavailable> {
        tokio::time::sleep(self.latency).await;
        let fails = scatter(self.calls.fetch_add(1, Ordering::Relaxed)) % 100 < self.failures_percent;
        self.outcomes
            .with(&[operation, if fails { "5xx" } else { "2xx" }])
            .increment();
        if fails { Err(Unavailable) } else { Ok(()) }
    }

    /// The bank's word on a payment: creditor accounts that end in 99 are closed there.
    fn word(payment: &Payment) -> Instruction {
        let closed = payment.initiation.creditor.account.ends_with("99");
        Instruction {
            status: if closed { "rejected" } else { "settled" }.to_owned(),
            bank_reference: format!("BNK-{}", payment.payment_id.trim_start_matches("pay_")),
            reason: closed.then(|| "AC04 the creditor's account is closed".to_owned()),
        }
    }
}

/// The finalizer of `SplitMix64`: neighbouring numbers become unrelated ones.
const fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

struct App {
    bank: Bank,
    writer: Writer,
    readers: ReaderPool,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::CLEARING, options.pod)?;
    let outcomes = pod.metrics.counters(
        "clearing_bank_requests_total",
        "Exchanges with the bank, by what it answered.",
        &["operation", "outcome"],
    );
    let app = Arc::new(App {
        bank: Bank::new(
            pod.version,
            Duration::from_millis(options.bank_latency_ms),
            outcomes,
        ),
        writer: Writer::open(&options.db).await?,
        readers: ReaderPool::open(&options.db, 2, service::CLEARING, &pod.metrics),
    });
    let router = Router::new()
        .route("/v1/participants/{bic}", get(participant))
        .route("/v1/instructions/{payment}", put(instruct).get(status))
        .route("/v1/instructions/{payment}/cancel", post(cancel))
        .with_state(app);
    let router = pod.measured(router);
    pod.serve(router).await
}

fn unavailable(_: Unavailable) -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "the bank answered 503 Service Unavailable",
    )
}

/// Whether a bank takes part in the clearing: those of the test country `XX` do not.
async fn participant(
    State(app): State<Arc<App>>,
    UrlPath(bic): UrlPath<String>,
) -> std::result::Result<StatusCode, Problem> {
    app.bank.exchange("participant").await.map_err(unavailable)?;
    if bic.get(4..6) == Some("XX") {
        Err(Problem::not_found("not a participant"))
    } else {
        Ok(StatusCode::NO_CONTENT)
    }
}

async fn instruct(
    State(app): State<Arc<App>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> std::result::Result<Response, Problem> {
    let payment: Payment = parse(&body)?;
    // The bank keeps one word a payment, however often it is told.
    app.bank.exchange("pacs.008").await.map_err(unavailable)?;
    Ok(json(
        StatusCode::OK,
        &clearing::settle(&app.writer, id, Bank::word(&payment)).await?,
    ))
}

async fn status(
    State(app): State<Arc<App>>,
    UrlPath(id): UrlPath<String>,
) -> std::result::Result<Response, Problem> {
    let mut reader = app.readers.acquire().await?;
    match clearing::find(&mut reader, &id).await? {
        Some(word) => Ok(json(StatusCode::OK, &word)),
        None => Err(Problem::not_found("the bank knows nothing of this payment")),
    }
}

/// Cancels unless the bank has spoken; the word that stands is the answer. A later instruction gets the same word.
async fn cancel(
    State(app): State<Arc<App>>,
    UrlPath(id): UrlPath<String>,
) -> std::result::Result<Response, Problem> {
    let word = Instruction {
        status: "cancelled".to_owned(),
        bank_reference: String::new(),
        reason: None,
    };
    Ok(json(
        StatusCode::OK,
        &clearing::settle(&app.writer, id, word).await?,
    ))
}
