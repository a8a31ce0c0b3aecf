//! Incidents.

use jiff::Timestamp;
use mainstay_kernel::{EventId, IncidentId, PageId, RunbookId, Scope, Severity};
use mainstay_ui::{Chart, Status};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Alert, Change, ScopeSchema, SeveritySchema, Utc};

/// An incident in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IncidentSummary {
    /// Its id.
    #[schemars(with = "String")]
    pub id: IncidentId,
    /// How bad it is.
    #[schemars(with = "SeveritySchema")]
    pub severity: Severity,
    /// What is wrong, where: `Payments failing in cell-5`.
    pub title: String,
    /// Its phase: `declared`, `acknowledged`, `mitigated`, `resolved`.
    pub phase: String,
    /// Whether only alerts of routes in shadow began it: nobody is told of it.
    pub shadow: bool,
    /// What it concerns.
    #[schemars(with = "ScopeSchema")]
    pub scope: Scope,
    /// When the impact began.
    #[schemars(with = "Utc")]
    pub started_at: Timestamp,
    /// When it was over.
    #[schemars(with = "Option<Utc>")]
    pub resolved_at: Option<Timestamp>,
    /// The tenants hit.
    pub tenants: Vec<String>,
    /// Requests that failed; none: unknown.
    pub failed_requests: Option<u64>,
    /// Who took it on.
    pub acknowledged_by: Option<String>,
    /// The likeliest cause so far: `v1.6.0 of payment-service, deployed 10:00`.
    pub suspect: Option<String>,
}

/// An incident in full.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Incident {
    /// What the list says.
    pub summary: IncidentSummary,
    /// Where those who work on it meet: of an incident of P0, while it is open, for those who may see the whole platform.
    pub bridge: Option<Bridge>,
    /// The clocks that run: acknowledge, mitigate, resolve, next update.
    pub clocks: Vec<Clock>,
    /// Whom it hits, and how hard.
    pub impact: Impact,
    /// The pages sent for it, newest first.
    pub pages: Vec<Page>,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// What may have caused it, likeliest first. The verdict is a human's.
    pub suspects: Vec<Suspect>,
    /// The alerts that belong to it.
    pub alerts: Vec<Alert>,
    /// Changes shortly before and during it.
    pub changes: Vec<Change>,
    /// The runbooks that serve its alerts.
    pub runbooks: Vec<Runbook>,
    /// The signals that show it.
    pub charts: Vec<Chart>,
    /// Whether it waits for an acknowledgement.
    pub awaits_acknowledgement: bool,
    /// Why it cannot be resolved yet; none if it can, or is.
    pub resolve_blocked: Option<String>,
    /// Whether a post-mortem draft exists.
    pub has_postmortem: bool,
}

/// A conference bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bridge {
    /// The meeting's link.
    pub url: String,
    /// The number to dial in by, with what is to be keyed.
    pub phone: Option<String>,
}

/// A clock that runs against a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Clock {
    /// What for: `acknowledge`.
    pub name: String,
    /// How long it may take, in milliseconds.
    pub target_ms: u64,
    /// How long it has taken, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether it still runs.
    pub running: bool,
    /// Whether the target is kept.
    pub status: Status,
}

/// Whom an incident hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Impact {
    /// In one sentence.
    pub text: String,
    /// Bad events counted since it began, by tenant, worst first; only tenants that this reader may see.
    pub tenants: Vec<TenantImpact>,
    /// All bad events since it began; none: unknown.
    pub failed_requests: Option<u64>,
    /// All events since it began; none: unknown.
    pub total_requests: Option<u64>,
    /// The expression behind it.
    pub query: Option<String>,
}

/// What an incident did to one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TenantImpact {
    /// The tenant.
    pub tenant: String,
    /// Its bad events since the incident began; none: only an alert names it, nothing is counted.
    pub failed_requests: Option<u64>,
}

/// One page: a request that a human take the incident on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page {
    /// Its id.
    #[schemars(with = "String")]
    pub id: PageId,
    /// When it was asked for.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// To whom it went last.
    pub to: String,
    /// Which level of the escalation chain that is; 1 is the first.
    pub level: u32,
    /// Where it stands: `sent`, `delivered`, `acknowledged`, `failed`.
    pub state: String,
    /// How that is judged.
    pub status: Status,
    /// What receivers answered.
    pub receipts: Vec<Receipt>,
    /// Who took it on, and when.
    pub acknowledged_by: Option<String>,
    /// When.
    #[schemars(with = "Option<Utc>")]
    pub acknowledged_at: Option<Timestamp>,
    /// When the next level is paged, if nobody acknowledges.
    #[schemars(with = "Option<Utc>")]
    pub escalates_at: Option<Timestamp>,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Receipt {
    /// By which channel.
    pub channel: String,
    /// To whom.
    pub to: String,
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// The receiver's own words.
    pub answer: String,
    /// Which attempt it was.
    pub attempt: u32,
    /// Whether an earlier attempt may have arrived too.
    pub possible_duplicate: bool,
}

/// One line of an incident's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimelineEntry {
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// What kind: `alert`, `page`, `change`, `note`, `action`, `phase`. One word of lower-case letters.
    pub kind: String,
    /// Who or what.
    pub actor: String,
    /// One line about it.
    pub text: String,
    /// The event that proves it.
    #[schemars(with = "Option<String>")]
    pub event: Option<EventId>,
    /// A page that says more: a path of this console.
    pub link: Option<String>,
}

/// What may have caused an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Suspect {
    /// What: `Deploy of payment-service v1.6.0 in cell-5`.
    pub title: String,
    /// When it happened.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// What speaks for and against it, each with its numbers.
    pub evidence: Vec<String>,
    /// The event behind it.
    #[schemars(with = "Option<String>")]
    pub event: Option<EventId>,
}

/// A runbook that serves an alert of the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Runbook {
    /// Its id.
    #[schemars(with = "String")]
    pub id: RunbookId,
    /// Its title.
    pub title: String,
    /// The alerts of this incident that it serves.
    pub serves: Vec<String>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// Its number or name, unique in the runbook.
    pub id: String,
    /// What to do.
    pub text: String,
    /// What should be seen then.
    pub expected: Option<String>,
    /// What Mainstay does itself when the step is run: `roll back payment-service in cell-5`; none: a human does it.
    pub action: Option<String>,
    /// Where it stands.
    pub state: StepState,
    /// What came of it, once run.
    pub result: Option<String>,
    /// Who ran it.
    pub by: Option<String>,
    /// When.
    #[schemars(with = "Option<Utc>")]
    pub at: Option<Timestamp>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Not begun.
    Open,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// It did not work.
    Failed,
}

impl StepState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// How that is shown.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Open => Status::Neutral,
            Self::Running => Status::Warning,
            Self::Done => Status::Ok,
            Self::Failed => Status::Breached,
        }
    }
}

/// What is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckTarget {
    /// One page.
    Page(PageId),
    /// Every page of an incident.
    Incident(IncidentId),
}
