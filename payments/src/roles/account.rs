//! account-adapter: owner of the ledger. Opens the accounts of the cell's tenants, reserves, posts and voids.

use super::answer::{Problem, json, parse};
use crate::{
    error::Result,
    model::service,
    pod::{Pod, PodArgs},
    store::{
        Writer,
        ledger::{self, Outcome, Reserve},
    },
};
use axum::{
    Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    response::Response,
    routing::{post, put},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Options of account-adapter.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// The cell's database.
    #[arg(long, env = "PAYD_DB")]
    db: PathBuf,
}

/// How a transfer stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TransferState {
    pub(crate) state: Outcome,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::ACCOUNT, options.pod)?;
    let writer = Writer::open(&options.db).await?;
    let topology = pod.topology_known().await;
    for (tenant, route) in topology
        .tenants
        .iter()
        .filter(|(_, route)| route.cell == pod.args.cell)
    {
        ledger::open_accounts(&writer, tenant.clone(), route.currency.clone()).await?;
    }
    let router = Router::new()
        .route("/v1/transfers/{payment}", put(reserve))
        .route("/v1/transfers/{payment}/post", post(book))
        .route("/v1/transfers/{payment}/void", post(void))
        .with_state(writer);
    let router = pod.measured(router);
    pod.serve(router).await
}

fn answer(state: Outcome) -> Response {
    json(StatusCode::OK, &TransferState { state })
}

async fn reserve(
    State(writer): State<Writer>,
    UrlPath(payment): UrlPath<String>,
    body: Bytes,
) -> std::result::Result<Response, Problem> {
    let wanted: Reserve = parse(&body)?;
    Ok(answer(ledger::reserve(&writer, payment, wanted).await?))
}

async fn book(
    State(writer): State<Writer>,
    UrlPath(payment): UrlPath<String>,
) -> std::result::Result<Response, Problem> {
    Ok(answer(ledger::post(&writer, payment).await?))
}

async fn void(
    State(writer): State<Writer>,
    UrlPath(payment): UrlPath<String>,
) -> std::result::Result<Response, Problem> {
    Ok(answer(ledger::void(&writer, payment).await?))
}
