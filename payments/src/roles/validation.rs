//! validation-service: the checks of business that need no data but the payment.

use super::answer::{Problem, json, parse};
use crate::{
    error::Result,
    model::{Payment, service, settlement_account, treasury_account},
    pod::{Pod, PodArgs},
};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::Response, routing::post};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Options of validation-service.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pod: PodArgs,
    /// Largest amount of one payment, in minor units.
    #[arg(long, env = "PAYD_MAX_AMOUNT_MINOR", default_value_t = 100_000_000)]
    max_amount_minor: i64,
}

/// A check's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) approved: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Verdict {
    pub(crate) fn of(refusal: Option<String>) -> Self {
        Self {
            approved: refusal.is_none(),
            reason: refusal,
        }
    }
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let pod = Pod::start(service::VALIDATION, options.pod)?;
    let limit = Arc::new(options.max_amount_minor);
    let router = pod.measured(
        Router::new()
            .route("/v1/validations", post(validate))
            .with_state(limit),
    );
    pod.serve(router).await
}

async fn validate(State(limit): State<Arc<i64>>, body: Bytes) -> std::result::Result<Response, Problem> {
    let payment: Payment = parse(&body)?;
    Ok(json(StatusCode::OK, &Verdict::of(refusal(&payment, *limit))))
}

fn refusal(payment: &Payment, max_amount_minor: i64) -> Option<String> {
    let initiation = &payment.initiation;
    let debtor = initiation.debtor.account.as_str();
    if let Some(fault) = initiation.fault() {
        Some(fault.to_owned())
    } else if initiation.amount_minor > max_amount_minor {
        Some(format!("AM02 amount is above the limit of {max_amount_minor}"))
    } else if debtor == initiation.creditor.account {
        Some("AC01 debtor and creditor are the same account".to_owned())
    } else if [
        settlement_account(&payment.tenant),
        treasury_account(&payment.tenant),
    ]
    .iter()
    .any(|a| a == debtor)
    {
        Some("AC06 the debtor's account is blocked for payments".to_owned())
    } else {
        None
    }
}
