//! fraud-service: scores a payment by its amount and by how often its debtor pays.

use super::{
    answer::{Problem, json, parse},
    validation::Verdict,
};
use crate::{
    error::Result,
    model::{Payment, service},
    pod::{Pod, PodArgs},
};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::Response, routing::post};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How far back the velocity rule looks.
const WINDOW: Duration = Duration::from_secs(10);
/// Accounts that are remembered; the rule forgets everything rather than grow beyond.
const MAX_ACCOUNTS: usize = 100_000;

/// Options of fraud-service.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// Payments of one debtor in ten seconds above which more are refused.
    #[arg(long, env = "PAYD_MAX_VELOCITY", default_value_t = 500)]
    max_velocity: usize,
}

struct App {
    max_velocity: usize,
    recent: Mutex<BTreeMap<String, VecDeque<Instant>>>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::FRAUD, options.pod)?;
    let app = Arc::new(App {
        max_velocity: options.max_velocity,
        recent: Mutex::default(),
    });
    let router = pod.measured(Router::new().route("/v1/scores", post(score)).with_state(app));
    pod.serve(router).await
}

async fn score(State(app): State<Arc<App>>, body: Bytes) -> std::result::Result<Response, Problem> {
    let payment: Payment = parse(&body)?;
    Ok(json(
        StatusCode::OK,
        &Verdict::of(app.refusal(&payment, Instant::now())),
    ))
}

impl App {
    fn refusal(&self, payment: &Payment, now: Instant) -> Option<String> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= MAX_ACCOUNTS {
            recent.clear();
        }
        let seen = recent
            .entry(payment.initiation.debtor.account.clone())
            .or_default();
        while seen.front().is_some_and(|&at| now.duration_since(at) > WINDOW) {
            seen.pop_front();
        }
        if seen.len() >= self.max_velocity {
            return Some("FR01 too many payments of this debtor".to_owned());
        }
        seen.push_back(now);
        None
    }
}
