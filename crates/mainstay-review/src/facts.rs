//! What is known about an incident when its post-mortem is drafted.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::fact::ChangeRecorded;
use mainstay_kernel::{IncidentId, Ratio, Scope, Severity};
use serde::Serialize;

/// Everything the draft is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The incident.
    pub incident: IncidentId,
    /// One line: what was wrong, where.
    pub title: String,
    /// How bad it was, at its worst judgement.
    pub severity: Severity,
    /// What it concerned.
    pub scope: Scope,
    /// The first bad event, at the earliest.
    pub began_at: Timestamp,
    /// How much later it may have been: counts are kept in slices.
    pub began_within: SignedDuration,
    /// When the first alert made it known.
    pub detected_at: Timestamp,
    /// When the first page reached a receiver.
    pub page_delivered_at: Option<Timestamp>,
    /// When a human took it on, and who.
    pub acknowledged: Option<(Timestamp, String)>,
    /// The last bad event before it stayed good.
    pub mitigated_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// The tenants that were hit.
    pub tenants: Vec<String>,
    /// Bad events while it lasted, counted.
    pub bad: u64,
    /// All events while it lasted, counted.
    pub total: u64,
    /// What it cost each objective.
    pub budgets: Vec<BudgetCost>,
    /// Its alerts.
    pub alerts: Vec<AlertLine>,
    /// Changes near by.
    pub changes: Vec<ChangeRecorded>,
    /// What happened, in order of time.
    pub timeline: Vec<TimelineLine>,
}

/// What an incident cost one objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetCost {
    /// The objective and its group.
    pub slo: String,
    /// Its target.
    pub target: Ratio,
    /// Bad events that its window allows at the traffic so far.
    pub allowed: u64,
    /// Bad events that the incident spent.
    pub spent_by_incident: u64,
    /// Bad events spent in the window, the incident's included.
    pub spent: u64,
}

/// An alert of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertLine {
    /// Its name.
    pub name: String,
    /// Its one-line summary.
    pub summary: String,
    /// What it is about.
    pub scope: Scope,
    /// Since when it fired.
    pub starts_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineLine {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub text: String,
    /// Who did it.
    pub actor: String,
}

impl Facts {
    /// From the first bad event to `at`.
    #[must_use]
    pub fn since_began(&self, at: Timestamp) -> SignedDuration {
        at.duration_since(self.began_at)
    }
}
