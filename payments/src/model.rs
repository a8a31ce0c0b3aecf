//! Payments as they travel: a subset of pain.001 as JSON, and the status of a payment.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Header that names the tenant a request is for.
pub const TENANT: &str = "x-tenant";
/// Header with the epoch of the route that the client knows.
pub const ROUTE_EPOCH: &str = "x-route-epoch";
/// Header that makes a payment initiation repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The names of the services, as manifests, discovery and metrics spell them.
pub mod service {
    #![expect(missing_docs, reason = "each constant is the service's name")]
    pub const GATEWAY: &str = "api-gateway";
    pub const PAYMENT: &str = "payment-service";
    pub const VALIDATION: &str = "validation-service";
    pub const FRAUD: &str = "fraud-service";
    pub const ACCOUNT: &str = "account-adapter";
    pub const SAGA: &str = "saga-orchestrator";
    pub const CLEARING: &str = "clearing-adapter";
    pub const NOTIFICATION: &str = "notification-service";
}

/// Who pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debtor {
    /// Name (`Dbtr/Nm`), at most 140 characters.
    pub name: String,
    /// Account (`DbtrAcct/Id`).
    pub account: String,
}

/// Who is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creditor {
    /// Name (`Cdtr/Nm`), at most 140 characters.
    pub name: String,
    /// Account (`CdtrAcct/Id`).
    pub account: String,
    /// The creditor's bank (`CdtrAgt/FinInstnId/BICFI`).
    pub agent: String,
}

/// A payment initiation: the subset of pain.001 that the platform takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initiation {
    /// `GrpHdr/MsgId`, at most 35 characters.
    pub msg_id: String,
    /// `PmtId/EndToEndId`, at most 35 characters.
    pub end_to_end_id: String,
    /// `InstdAmt` in minor units (cents).
    pub amount_minor: i64,
    /// `InstdAmt/@Ccy`, ISO 4217.
    pub currency: String,
    /// Who pays.
    pub debtor: Debtor,
    /// Who is paid.
    pub creditor: Creditor,
    /// `RmtInf/Ustrd`, at most 140 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remittance_information: Option<String>,
}

/// A payment that was accepted, as the services of its flow hand it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Derived from tenant and idempotency key, so a repeated request can only ever be the same payment.
    pub payment_id: String,
    /// Whose.
    pub tenant: String,
    /// W3C trace context of the request that brought it.
    pub traceparent: String,
    /// What was asked for.
    pub initiation: Initiation,
}

/// How far a payment is. ISO 20022 status codes in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Taken and durable (`ACTC`).
    Accepted,
    /// Settled and posted (`ACSC`).
    Completed,
    /// Refused for a reason of business (`RJCT`).
    Rejected,
    /// Given up for a technical reason; everything was undone.
    Failed,
}

impl Status {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// The payment's id: the first 128 bits of SHA-256 over tenant and key.
pub(crate) fn payment_id(tenant: &str, idempotency_key: &str) -> String {
    format!(
        "pay_{}",
        &hex(&Sha256::new()
            .chain_update(tenant)
            .chain_update([0])
            .chain_update(idempotency_key)
            .finalize())[..32]
    )
}

/// SHA-256 of a request body, to tell a repeated request from another one under the same key.
pub(crate) fn request_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// The customer accounts that every tenant of a cell is opened with, in its own currency.
pub const ACCOUNTS_PER_TENANT: u32 = 16;

/// The name of one of them; `number` counts from 1.
pub fn customer_account(tenant: &str, number: u32) -> String {
    format!("{tenant}-{number:04}")
}

/// The account that collects what a tenant owes to other banks.
pub(crate) fn settlement_account(tenant: &str) -> String {
    format!("{tenant}-settlement")
}

/// The account that opening balances come from.
pub(crate) fn treasury_account(tenant: &str) -> String {
    format!("{tenant}-treasury")
}

impl Initiation {
    /// What is wrong with the message itself, before any account is looked at.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let text = |value: &str, longest: usize| !value.trim().is_empty() && value.chars().count() <= longest;
        if !text(&self.msg_id, 35) {
            Some("msg_id must have 1 to 35 characters")
        } else if !text(&self.end_to_end_id, 35) {
            Some("end_to_end_id must have 1 to 35 characters")
        } else if self.amount_minor <= 0 {
            Some("amount_minor must be positive")
        } else if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            Some("currency must be an ISO 4217 code of three capital letters")
        } else if !text(&self.debtor.name, 140) || !text(&self.creditor.name, 140) {
            Some("debtor.name and creditor.name must have 1 to 140 characters")
        } else if !text(&self.debtor.account, 34) || !text(&self.creditor.account, 34) {
            Some("debtor.account and creditor.account must have 1 to 34 characters")
        } else if ![8, 11].contains(&self.creditor.agent.len())
            || !self.creditor.agent.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            Some("creditor.agent must be a BIC of 8 or 11 letters and digits")
        } else if self
            .remittance_information
            .as_deref()
            .is_some_and(|r| r.chars().count() > 140)
        {
            Some("remittance_information must have at most 140 characters")
        } else {
            None
        }
    }
}
