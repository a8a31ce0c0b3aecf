//! The published facts: the few events by which capabilities learn of each other. A capability's other events are its
//! own business.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::effect::{Channel, Recipient};
use crate::id::{EventId, IncidentId, PageId, PersonId, SloId};
use crate::labels::Labels;
use crate::notification::GroupKey;
use crate::scope::Scope;
use crate::severity::Severity;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// An alert, as it travels between capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertFact {
    /// The digest of its labels: the alert's identity.
    pub fingerprint: Digest,
    /// Its labels, `alertname` among them.
    pub labels: Labels,
    /// Its annotations: summary, description, runbook, impact.
    pub annotations: Labels,
    /// Since when it has been firing.
    pub starts_at: Timestamp,
    /// When it ended; `None` while it fires, and where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl AlertFact {
    /// The alert's name, or "".
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get(crate::labels::ALERT_NAME).unwrap_or_default()
    }
}

/// A group of alerts is to be told about: something new fires in it, or all of it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertFired {
    /// The group, named by the route and the labels it groups by.
    pub group: String,
    /// The receiver that the route chose.
    pub receiver: String,
    /// The worst severity in the group.
    pub severity: Severity,
    /// What the alerts have in common.
    pub scope: Scope,
    /// The alerts that fire now.
    pub firing: Vec<AlertFact>,
    /// Those that ended since the group was last told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<AlertFact>,
    /// What the group is called outside.
    #[serde(default)]
    pub key: GroupKey,
    /// Whether its route is in shadow: what follows is recorded, and nothing leaves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
}

/// Every alert of a group is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertResolved {
    /// The group.
    pub group: String,
    /// The receiver that was told when it fired.
    pub receiver: String,
    /// What the alerts had in common.
    pub scope: Scope,
    /// The alerts that were firing.
    pub resolved: Vec<AlertFact>,
    /// What the group is called outside.
    #[serde(default)]
    pub key: GroupKey,
    /// Whether its route is in shadow: what follows is recorded, and nothing leaves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
}

/// Something is wrong enough to have a name, an owner and a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentDeclared {
    /// Its id.
    pub incident: IncidentId,
    /// How bad it is.
    pub severity: Severity,
    /// One line: what is wrong, where.
    pub title: String,
    /// What it concerns.
    pub scope: Scope,
    /// Whether only alerts of routes in shadow began it: what follows is recorded, and nothing leaves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
}

/// A human is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequested {
    /// The page.
    pub page: PageId,
    /// For which incident.
    pub incident: IncidentId,
    /// How bad it is.
    pub severity: Severity,
    /// One line: what is wrong, where.
    pub title: String,
    /// What it concerns.
    pub scope: Scope,
    /// By which escalation policy, where it is not that of the incident's first alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// A receiver took a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The effect's idempotency key.
    pub key: String,
    /// By which channel.
    pub channel: Channel,
    /// To whom.
    pub to: Recipient,
    /// The page it carried, if any.
    pub page: Option<PageId>,
    /// The incident it was about, if any.
    pub incident: Option<IncidentId>,
    /// What the receiver answered.
    pub receipt: String,
    /// Which attempt succeeded; 1 is the first.
    pub attempt: u32,
    /// Whether an earlier attempt may have arrived too: the message said so.
    pub possible_duplicate: bool,
}

/// A human took a page on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The page.
    pub page: PageId,
    /// For which incident.
    pub incident: IncidentId,
    /// Who, where it was a person of the catalog.
    pub by: Option<PersonId>,
}

/// How much of an error budget is left, in words (ruling R7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetState {
    /// Not enough data to say.
    Unknown,
    /// At least half is left.
    Healthy,
    /// Less than half is left.
    Warning,
    /// Less than a fifth is left.
    Critical,
    /// Nothing is left.
    Exhausted,
}

impl BudgetState {
    /// `unknown`, `healthy`, `warning`, `critical`, `exhausted`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Exhausted => "exhausted",
        }
    }
}

/// A budget's state is another than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStateChanged {
    /// The objective.
    pub slo: SloId,
    /// The group of the objective.
    pub group: Labels,
    /// What the group is of the platform.
    pub scope: Scope,
    /// Before.
    pub from: BudgetState,
    /// Now.
    pub to: BudgetState,
    /// Bad events counted in the window.
    pub bad: u64,
    /// All events counted in the window.
    pub total: u64,
}

/// What kind of change was made to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// A new version was rolled out.
    Deploy,
    /// The previous version was brought back.
    Rollback,
    /// A setting was changed.
    Configuration,
}

/// Somebody or something changed the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecorded {
    /// The id its source gave it (CloudEvents `id`, unique per `source`).
    pub id: String,
    /// Where the report came from (CloudEvents `source`).
    pub source: String,
    /// What kind of change.
    pub kind: ChangeKind,
    /// What was changed.
    pub scope: Scope,
    /// The version before, where known.
    pub from_version: Option<String>,
    /// The version after, where known.
    pub to_version: Option<String>,
    /// One line about it.
    pub summary: String,
    /// When it happened, by its source's clock.
    pub at: Timestamp,
    /// The event that caused it, where Mainstay made the change itself.
    pub cause: Option<EventId>,
}
