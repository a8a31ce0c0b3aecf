//! What Mainstay would have told, beside what another system told.

use jiff::Timestamp;
use mainstay_kernel::EventId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

/// What one side told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShadowTold {
    /// The event that says so: ask why.
    #[schemars(with = "String")]
    pub event: EventId,
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// Whom, by that side's own name.
    pub receiver: String,
    /// One line.
    pub title: String,
    /// Whether it says that all is over.
    pub resolved: bool,
}

/// What both told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShadowPair {
    /// What Mainstay would have told.
    pub ours: ShadowTold,
    /// What the other told.
    pub theirs: ShadowTold,
}

/// Both sides of a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShadowReport {
    /// Since when.
    #[schemars(with = "Utc")]
    pub since: Timestamp,
    /// What both told.
    pub both: Vec<ShadowPair>,
    /// What only Mainstay would have told.
    pub only_ours: Vec<ShadowTold>,
    /// What only the other told.
    pub only_theirs: Vec<ShadowTold>,
    /// Whether there was more than is looked through: ask for less.
    pub truncated: bool,
}

/// A notification of another system, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldElsewhere {
    /// An Alertmanager's webhook, version 4.
    Alertmanager(super::WebhookMessage),
    /// PagerDuty's webhook, version 3.
    PagerDuty(PagerDutyMessage),
}

/// A message of PagerDuty's webhooks, version 3.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PagerDutyMessage {
    /// What happened.
    pub event: PagerDutyEvent,
}

/// An event of PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PagerDutyEvent {
    /// Which kind: `incident.triggered`, `incident.resolved`; others are taken and left.
    pub event_type: String,
    /// The incident.
    pub data: PagerDutyIncident,
}

/// An incident of PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PagerDutyIncident {
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// The deduplication key of what began it.
    #[serde(default)]
    pub incident_key: Option<String>,
    /// The service.
    #[serde(default)]
    pub service: Option<PagerDutyReference>,
}

/// Something of PagerDuty by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PagerDutyReference {
    /// Its name.
    #[serde(default)]
    pub summary: String,
}

/// Whether what routes tell leaves: those of a name and all below it, or those that tell a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CutOver {
    /// The route, by its name or the end of it: `root > {team="shop"}`. Either this or `receiver`.
    #[serde(default)]
    pub route: Option<String>,
    /// The receiver, as the catalog names it. Either this or `route`.
    #[serde(default)]
    pub receiver: Option<String>,
    /// true: it leaves; false: it is only recorded; null: as the catalog says.
    pub live: Option<bool>,
}

/// A route, and whether what it tells leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RouteInForce {
    /// Its name: the conditions that lead to it.
    pub route: String,
    /// Whom it tells.
    pub receiver: String,
    /// Whether what it tells is only recorded.
    pub shadow: bool,
    /// Whether the catalog says so.
    pub written: bool,
    /// The route that was cut over or back, if that is why: it, or one above it.
    pub by_route: Option<String>,
    /// The receiver that was cut over or back, if that is why.
    pub by_receiver: Option<String>,
}
