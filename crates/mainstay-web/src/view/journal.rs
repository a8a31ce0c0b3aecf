//! The journal's answers: why, whether it is whole; the catalog in force; the demo's inbox.

use jiff::Timestamp;
use mainstay_kernel::{EventId, IncidentId};
use schemars::JsonSchema;
use serde::Serialize;

use super::Utc;

/// Why an event came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Why {
    /// The event itself first, then what caused it, and so on to the root.
    pub chain: Vec<WhyStep>,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WhyStep {
    /// The event.
    #[schemars(with = "String")]
    pub event: EventId,
    /// When it was decided.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// Its kind: `incident.declared`.
    pub kind: String,
    /// Who or what decided it.
    pub actor: String,
    /// One line about it.
    pub text: String,
    /// The stream it belongs to.
    pub stream: String,
    /// The digest that the hash chain holds of it.
    pub digest: String,
}

/// Why somebody was told of an alert, a page or an incident, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explained {
    /// What was asked about.
    pub subject: String,
    /// Which of several it is, or that it is over, where the question left that open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Every decision, in the order in which they were made.
    pub decisions: Vec<Decided>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Decided {
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// Of which kind: `rule`, `route`, `inhibition`, `silence`, `grouping`, `incident`, `on-call`, `channel`, `receipt`,
    /// `acknowledged`.
    pub step: String,
    /// What was decided, in a sentence.
    pub text: String,
    /// The event that holds it.
    #[schemars(with = "String")]
    pub event: EventId,
}

/// A copy of everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BackupMade {
    /// Its directory on the server; `serve --data` opens it as it is.
    pub directory: String,
    /// The instant whose state it has.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
}

/// Whether the journal is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JournalReport {
    /// Whether every chain verifies.
    pub whole: bool,
    /// One entry per hash chain.
    pub partitions: Vec<PartitionReport>,
}

/// One hash chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PartitionReport {
    /// The tenant, or `platform`.
    pub partition: String,
    /// How many events it holds.
    pub events: u64,
    /// The digest of its last link.
    pub head: String,
    /// The first thing wrong with it.
    pub problem: Option<String>,
}

/// The catalog in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CatalogInfo {
    /// Its digest.
    pub digest: String,
    /// When it was applied.
    #[schemars(with = "Option<Utc>")]
    pub applied_at: Option<Timestamp>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// How many documents of each kind it holds.
    pub documents: Vec<DocumentCount>,
}

/// A catalog that was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Applied {
    /// Its digest.
    pub digest: String,
    /// What changed by it, one line each; none if it was in force already.
    pub changes: Vec<String>,
}

/// How many documents of one kind there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DocumentCount {
    /// The kind: `services`, `alert rules`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// A message that the demo's inbox received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InboxMessage {
    /// When it arrived.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// By which channel: `email`, `chat`.
    pub channel: String,
    /// To whom.
    pub to: String,
    /// Its first line.
    pub subject: String,
    /// The rest, plain text.
    pub body: String,
    /// The incident it is about.
    #[schemars(with = "Option<String>")]
    pub incident: Option<IncidentId>,
}
