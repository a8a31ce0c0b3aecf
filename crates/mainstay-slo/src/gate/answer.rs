//! What is asked of the gate, and what it answers.

use std::fmt;

use jiff::Timestamp;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{CellId, EventId, Labels, Ratio, Scope, ServiceId, SloId, TenantId};
use serde::{Deserialize, Serialize};

use super::policy::FailMode;
use crate::engine::Standing;
use crate::objective::Budget;
use crate::window::Bounds;

/// What a change is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A new version.
    #[default]
    Deploy,
    /// A setting.
    Configuration,
    /// Back to the version before.
    Rollback,
    /// It closes a hole.
    SecurityFix,
    /// It makes the service reliable again.
    ReliabilityFix,
}

impl ChangeKind {
    /// Whether it goes out whatever is left of a budget: to hold it up would spend more.
    #[must_use]
    pub fn is_never_refused(self) -> bool {
        matches!(self, Self::Rollback | Self::SecurityFix | Self::ReliabilityFix)
    }

    /// `a rollback`.
    fn words(self) -> &'static str {
        match self {
            Self::Deploy => "a deploy",
            Self::Configuration => "a change of configuration",
            Self::Rollback => "a rollback",
            Self::SecurityFix => "a security fix",
            Self::ReliabilityFix => "a reliability fix",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// Whether a change may go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Of which service.
    pub service: ServiceId,
    /// In which cell.
    pub cell: CellId,
    /// To which version.
    pub version: Option<String>,
    /// What for.
    pub kind: ChangeKind,
    /// For which tenant alone.
    pub tenant: Option<TenantId>,
}

impl Request {
    /// The part of the platform that is changed.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            tenant: self.tenant.clone(),
            cell: Some(self.cell.clone()),
            service: Some(self.service.clone()),
            ..Scope::default()
        }
    }
}

/// What the gate says, the most lenient first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may go out.
    Allow,
    /// It may go out when somebody has approved it.
    NeedsApproval,
    /// It may not.
    Refuse,
}

impl Verdict {
    /// `allow`, `needs-approval`, `refuse`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::NeedsApproval => "needs-approval",
            Self::Refuse => "refuse",
        }
    }
}

/// By which rule a reason holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The policy freezes changes in the budget's state.
    Frozen,
    /// The policy wants changes approved in the budget's state.
    ApprovalRequired,
    /// A period that was exhausted has not recovered (ruling R36).
    Recovering,
    /// The policy wants changes approved while nothing is seen.
    BlindApproval,
    /// Nothing is seen: the last known state holds.
    Blind,
    /// Nothing was ever seen.
    NeverSeen,
    /// A kind of change that is never refused.
    NeverRefused,
    /// An exception of the policy.
    Excepted,
    /// Somebody approved it.
    Approved,
    /// Enough is left.
    WithinBudget,
    /// No policy judges the service.
    NoPolicy,
}

impl Rule {
    /// As it is written: `approval-required`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::ApprovalRequired => "approval-required",
            Self::Recovering => "recovering",
            Self::BlindApproval => "blind-approval",
            Self::Blind => "blind",
            Self::NeverSeen => "never-seen",
            Self::NeverRefused => "never-refused",
            Self::Excepted => "excepted",
            Self::Approved => "approved",
            Self::WithinBudget => "within-budget",
            Self::NoPolicy => "no-policy",
        }
    }
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// By which rule.
    pub rule: Rule,
    /// What it alone calls for.
    pub verdict: Verdict,
    /// By which policy.
    pub policy: Option<String>,
    /// By which objective.
    pub slo: Option<SloId>,
    /// The event behind it: by which the budget came into its state, or the approval.
    pub event: Option<EventId>,
    /// In words, with the counts.
    pub text: String,
}

/// A budget that was looked at, in events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRead {
    /// The objective.
    pub slo: SloId,
    /// Its group; empty: the whole.
    pub group: Labels,
    /// The policy that it falls under.
    pub policy: String,
    /// Its state: the last one known.
    pub state: BudgetState,
    /// The least share of good events.
    pub target: Ratio,
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
    /// Where the window begins, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Where it ends: of a calendar's period, in the future.
    pub to_ms: i64,
    /// Since when nothing is seen, in milliseconds since the epoch: the counts are of then.
    pub blind_since_ms: Option<i64>,
    /// An earlier period that was exhausted, while the rolling window still holds some of it.
    pub exhausted_period: Option<PeriodRead>,
}

/// A period that was exhausted, and the rolling window that must recover from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodRead {
    /// Where it began, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Where it ended.
    pub to_ms: i64,
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

impl BudgetRead {
    pub(super) fn of(standing: &Standing, state: BudgetState, policy: &str) -> Self {
        let budget = &standing.budget;
        let Bounds { start_ms, end_ms } = standing.bounds;
        Self {
            slo: standing.slo.clone(),
            group: standing.group.clone(),
            policy: policy.to_owned(),
            state,
            target: budget.target,
            bad: budget.counts.bad,
            total: budget.counts.total,
            allowed: budget.allowed(),
            left: left(budget),
            window: standing.window.clone(),
            from_ms: start_ms,
            to_ms: end_ms,
            blind_since_ms: standing.sight.blind_since_ms,
            exhausted_period: standing.exhausted.as_ref().map(|exhausted| PeriodRead {
                from_ms: exhausted.period.start_ms,
                to_ms: exhausted.period.end_ms,
                bad: exhausted.budget.counts.bad,
                total: exhausted.budget.counts.total,
                allowed: exhausted.budget.allowed(),
                rolling_ms: exhausted.rolling.window_ms,
                rolling_bad: exhausted.rolling.counts.bad,
                rolling_total: exhausted.rolling.counts.total,
                rolling_allowed: exhausted.rolling.allowed(),
            }),
        }
    }
}

fn left(budget: &Budget) -> i64 {
    i64::try_from(budget.remaining()).unwrap_or(if budget.remaining() < 0 {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// The gate's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// In one sentence.
    pub answer: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What was asked.
    pub request: Request,
    /// Why, what decides first.
    pub reasons: Vec<Reason>,
    /// Every budget that was looked at.
    pub budgets: Vec<BudgetRead>,
    /// Whether it holds for this version only: an approval of it decides.
    pub for_version_only: bool,
    /// What holds when the server cannot be asked and this answer is too old: the strictest of the policies.
    pub fail_mode: FailMode,
    /// For how long it holds while the server cannot be asked, in milliseconds: the shortest of the policies.
    pub valid_ms: i64,
}

impl Answer {
    /// The event that it follows from: what stands behind its first reason.
    #[must_use]
    pub fn cause(&self) -> Option<EventId> {
        self.reasons.first()?.event
    }
}

/// An instant of milliseconds, for words.
pub(super) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
