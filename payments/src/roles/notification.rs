//! notification-service: tells the debtor how the payment ended, once per payment and process.

use super::answer::{Problem, parse};
use crate::{
    error::Result,
    metrics::Counters,
    model::service,
    pod::{Pod, PodArgs},
};
use axum::{
    Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    routing::put,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Payments that are remembered, so that a repeated call does not notify twice.
const REMEMBERED: usize = 50_000;

/// Options of notification-service.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
}

/// What to tell.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) tenant: String,
    pub(crate) status: crate::model::Status,
}

struct App {
    sent: Counters,
    recent: Mutex<(BTreeSet<String>, VecDeque<String>)>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::NOTIFICATION, options.pod)?;
    let sent = pod.metrics.counters(
        "notifications_total",
        "Notifications sent.",
        &["tenant", "status"],
    );
    let app = Arc::new(App {
        sent,
        recent: Mutex::default(),
    });
    let router = pod.measured(
        Router::new()
            .route("/v1/notifications/{payment}", put(notify))
            .with_state(app),
    );
    pod.serve(router).await
}

async fn notify(
    State(app): State<Arc<App>>,
    UrlPath(payment): UrlPath<String>,
    body: Bytes,
) -> std::result::Result<StatusCode, Problem> {
    let notice: Notice = parse(&body)?;
    let mut recent = app.recent.lock().unwrap_or_else(PoisonError::into_inner);
    let (known, order) = &mut *recent;
    if known.insert(payment.clone()) {
        order.push_back(payment);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        app.sent
            .with(&[&notice.tenant, notice.status.as_str()])
            .increment();
    }
    Ok(StatusCode::NO_CONTENT)
}
