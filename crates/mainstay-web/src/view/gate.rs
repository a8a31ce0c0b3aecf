//! The gate: what is asked, what is answered, by which policies.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{CellId, EventId, Role, ServiceId, SloId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::slo::BudgetStateSchema;
use super::{Share, Utc};

/// What a change is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateKind {
    /// A new version.
    #[default]
    Deploy,
    /// A setting.
    Configuration,
    /// Back to the version before; never refused.
    Rollback,
    /// It closes a hole; never refused.
    SecurityFix,
    /// It makes the service reliable again; never refused.
    ReliabilityFix,
}

/// Whether a change may go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateRequest {
    /// Of which service.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// In which cell.
    #[schemars(with = "String")]
    pub cell: CellId,
    /// To which version.
    #[serde(default)]
    pub version: Option<String>,
    /// What for; a deploy where nothing is said.
    #[serde(default)]
    pub kind: GateKind,
    /// For which tenant alone.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
}

/// Changes are approved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateApproval {
    /// Of which service.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// In which cell.
    #[schemars(with = "String")]
    pub cell: CellId,
    /// Of this version only.
    #[serde(default)]
    pub version: Option<String>,
    /// Why; 1 to 2,000 bytes.
    pub reason: String,
    /// For how long, in milliseconds; two hours where nothing is said, seven days at most.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// It may go out.
    Allow,
    /// It may go out when somebody has approved it.
    NeedsApproval,
    /// It may not.
    Refuse,
}

/// An answer, and what makes it believable without the server.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GateAnswer {
    /// The answer.
    pub answer: GateStatement,
    /// The answer as a text, byte for byte as it is signed.
    pub statement: String,
    /// The signature of that text: Ed25519, base64.
    pub signature: String,
    /// The key that verifies it: 32 bytes, base64.
    pub public_key: String,
}

/// What was asked and answered.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GateStatement {
    /// The verdict.
    pub verdict: GateVerdict,
    /// In one sentence.
    pub answer: String,
    /// What was asked.
    pub request: GateRequest,
    /// Why, what decides first.
    pub reasons: Vec<GateReason>,
    /// Every budget that was looked at.
    pub budgets: Vec<GateBudget>,
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// Who asked.
    pub by: String,
    /// The event in the journal.
    #[schemars(with = "String")]
    pub event: EventId,
    /// Until when it holds while the server cannot be asked.
    #[schemars(with = "Utc")]
    pub valid_until: Timestamp,
    /// What holds then.
    pub fail_mode: GateVerdict,
    /// Whether it holds for this version only: an approval of it decides.
    pub for_version_only: bool,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GateReason {
    /// By which rule: `frozen`, `approval-required`, `recovering`, `blind-approval`, `blind`, `never-seen`, `never-refused`,
    /// `excepted`, `approved`, `within-budget` or `no-policy`.
    pub rule: String,
    /// What it alone calls for.
    pub verdict: GateVerdict,
    /// By which policy.
    pub policy: Option<String>,
    /// By which objective.
    #[schemars(with = "Option<String>")]
    pub slo: Option<SloId>,
    /// The event behind it: by which the budget came into its state, or the approval.
    #[schemars(with = "Option<String>")]
    pub event: Option<EventId>,
    /// In words, with the counts.
    pub text: String,
}

/// A budget that was looked at, in events.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GateBudget {
    /// The objective.
    #[schemars(with = "String")]
    pub slo: SloId,
    /// Its group; empty: the whole.
    pub group: BTreeMap<String, String>,
    /// The policy that it falls under.
    pub policy: String,
    /// Its state: the last one known.
    #[schemars(with = "BudgetStateSchema")]
    pub state: BudgetState,
    /// The least share of good events.
    pub target: Share,
    /// Bad events counted in the window.
    pub bad: u64,
    /// All events counted in the window.
    pub total: u64,
    /// How many may be bad among them.
    pub allowed: u64,
    /// How many more may be; negative where more were.
    pub left: i64,
    /// The window, in words.
    pub window: String,
    /// Where the window begins.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Where it ends: of a calendar's period, in the future.
    #[schemars(with = "Utc")]
    pub to: Timestamp,
    /// Since when nothing is seen: the counts are of then.
    #[schemars(with = "Option<Utc>")]
    pub blind_since: Option<Timestamp>,
    /// An earlier period that was exhausted, while the rolling window still holds some of it.
    pub exhausted_period: Option<GatePeriod>,
}

/// A period that was exhausted, and the rolling window that must recover from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatePeriod {
    /// Where it began.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Where it ended.
    #[schemars(with = "Utc")]
    pub to: Timestamp,
    /// Bad events in it.
    pub bad: u64,
    /// All events in it.
    pub total: u64,
    /// How many were allowed to be bad.
    pub allowed: u64,
    /// How long the rolling window is, in milliseconds.
    pub rolling_ms: i64,
    /// Bad events in the rolling window.
    pub rolling_bad: u64,
    /// All events in the rolling window.
    pub rolling_total: u64,
    /// How many may be bad among them.
    pub rolling_allowed: u64,
}

/// What the gate would say now to a deploy for all tenants of a service in a cell. Nobody may go by it: who deploys asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatePlace {
    /// The service.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// The cell.
    #[schemars(with = "String")]
    pub cell: CellId,
    /// The verdict.
    pub verdict: GateVerdict,
    /// In one sentence.
    pub answer: String,
    /// What decides, the strictest first.
    pub reasons: Vec<GateReason>,
    /// Since when the budget that decides is in its state.
    #[schemars(with = "Option<Utc>")]
    pub since: Option<Timestamp>,
}

impl GatePlace {
    /// Whether it is let through for want of anything that is seen, and not for a budget that is left.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        let rule = self.reasons.first().map(|reason| reason.rule.as_str());
        self.verdict == GateVerdict::Allow && matches!(rule, Some("blind" | "never-seen"))
    }
}

/// The policies in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatePolicies {
    /// By which objectives changes of each service are judged. A service that is not there is judged by none.
    pub services: Vec<GateService>,
    /// The policies.
    pub policies: Vec<GatePolicy>,
    /// Approvals that hold.
    pub approvals: Vec<GateApproved>,
}

/// By what changes of a service are judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GateService {
    /// The service.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// By which objectives, each under which policy.
    pub judged_by: Vec<GateJudge>,
}

/// An objective under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GateJudge {
    /// The objective.
    #[schemars(with = "String")]
    pub slo: SloId,
    /// The policy.
    pub policy: String,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatePolicy {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What each state calls for, in words; a state that calls for nothing is not there.
    pub states: BTreeMap<String, String>,
    /// What an exhausted period leaves behind, in words.
    pub recovery: String,
    /// Exceptions that hold now.
    pub exceptions: Vec<GateException>,
    /// What holds while the server cannot be asked and its last answer is too old.
    pub fail_mode: GateVerdict,
    /// For how long an answer holds while the server cannot be asked.
    pub last_answer_valid: String,
}

/// An exception of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GateException {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Until when.
    #[schemars(with = "Utc")]
    pub expires: Timestamp,
    /// Of which service; none: of every one.
    #[schemars(with = "Option<String>")]
    pub service: Option<ServiceId>,
    /// In which cell; none: in every one.
    #[schemars(with = "Option<String>")]
    pub cell: Option<CellId>,
}

/// An approval that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GateApproved {
    /// Of which service.
    #[schemars(with = "String")]
    pub service: ServiceId,
    /// In which cell.
    #[schemars(with = "String")]
    pub cell: CellId,
    /// Of this version only.
    pub version: Option<String>,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// The role of who approved.
    #[schemars(with = "RoleSchema")]
    pub role: Role,
    /// Until when.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
    /// The event in the journal.
    #[schemars(with = "String")]
    pub event: EventId,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum RoleSchema {
    Viewer,
    Responder,
    Admin,
}
