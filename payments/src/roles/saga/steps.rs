//! The steps of a saga: one call each, or several until it is known how the step stands.

use super::{
    App, Driven,
    state::{Step, StepState, Undo},
};
use crate::{
    client::{Answer, Call, CallError},
    clock,
    model::{Payment, Status, service},
    roles::{account::TransferState, notification::Notice, validation::Verdict},
    store::{
        clearing::Instruction,
        ledger::{Outcome, Reserve},
        sagas::Saga,
    },
};
use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tokio::time::Instant;

/// How long one call of a step may take.
const STEP_TIMEOUT: Duration = Duration::from_millis(1000);
/// How long the fraud check may take before the payment goes on without it.
const FRAUD_TIMEOUT: Duration = Duration::from_millis(500);
/// Age at which a payment that has not been sent to the bank is given up.
const GIVE_UP_AFTER_MS: i64 = 60_000;
/// How often an instruction is offered to the bank.
const CLEARING_ATTEMPTS: u32 = 4;

impl App {
    pub(super) async fn validate(&self, saga: &mut Saga) -> Option<Undo> {
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
            Some(verdict) => Some(Undo::rejected(verdict.reason.as_deref().unwrap_or("invalid"))),
            None => Some(Undo::failed("validation-service could not be reached")),
        }
    }

    /// One try, behind a breaker: a payment does not wait for the fraud service, a human makes up for the check.
    pub(super) async fn check_fraud(&self, saga: &mut Saga) -> Option<Undo> {
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
                Some(Undo::rejected(verdict.reason.as_deref().unwrap_or("fraud"))),
            ),
        };
        saga.state.steps.insert(Step::Fraud, state);
        undo
    }

    pub(super) async fn reserve(&self, saga: &mut Saga) -> Option<Undo> {
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
            Some(Outcome::InsufficientFunds) => Some(Undo::rejected("AM04 insufficient funds")),
            Some(Outcome::UnknownAccount) => Some(Undo::rejected("AC01 no such account in this currency")),
            Some(Outcome::Voided | Outcome::NotFound) => Some(Undo::failed("the reservation was given back")),
            None => Some(Undo::failed("account-adapter could not be reached")),
        }
    }

    /// Offers the instruction until the bank has a word on it. An offer without answer is asked about before it is
    /// repeated; after the last one it is cancelled, and what stands then is the word.
    pub(super) async fn clear(&self, saga: &mut Saga) -> Driven<Instruction> {
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

    pub(super) async fn compensate(&self, saga: &mut Saga) {
        // Also when no reservation is known: an orchestrator that crashed may have made one and not said so.
        if !saga.state.steps.contains_key(&Step::Post) {
            let path = format!("/v1/transfers/{}/void", saga.payment.payment_id);
            let _: TransferState = self
                .insist(service::ACCOUNT, &Method::POST, &path, &saga.payment, &())
                .await;
            saga.state.steps.insert(Step::Reserve, StepState::Compensated);
        }
    }

    pub(super) async fn notify(&self, saga: &mut Saga, status: Status) {
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
    pub(super) async fn insist<T: DeserializeOwned>(
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
