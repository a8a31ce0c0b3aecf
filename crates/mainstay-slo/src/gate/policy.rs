//! Error budget policies: what a state of a budget calls for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::duration;
use mainstay_kernel::effect::{Channel, Recipient};
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{CellId, Labels, Ratio, Role, Scope, ServiceId, SloId};
use serde::{Deserialize, Serialize};

use crate::objective::group_of;

/// How long an answer holds while the server is away, where a policy says nothing.
pub const LAST_ANSWER_VALID: SignedDuration = SignedDuration::from_mins(15);
/// Over which rolling window an exhausted period must recover, where a policy says nothing (ruling R36).
pub const RECOVERY_WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What one state of a budget calls for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// Receivers to tell when a budget comes into the state, by name.
    pub notify: Vec<String>,
    /// Who must approve a change, at least.
    pub require_approval: Option<Role>,
    /// Whether changes are refused.
    pub freeze: bool,
}

impl Action {
    /// Whether it holds changes up.
    #[must_use]
    pub fn restricts(&self) -> bool {
        self.freeze || self.require_approval.is_some()
    }
}

/// What each state calls for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actions {
    /// At least half is left, by default.
    pub healthy: Action,
    /// Less than that.
    pub warning: Action,
    /// Less than a fifth is left, by default.
    pub critical: Action,
    /// Nothing is left.
    pub exhausted: Action,
    /// Who must approve a change while nothing is seen, besides what the last known state calls for.
    pub unknown_approval: Option<Role>,
}

impl Actions {
    /// What a known state calls for; nothing where the state is unknown.
    #[must_use]
    pub fn of(&self, state: BudgetState) -> Option<&Action> {
        match state {
            BudgetState::Unknown => None,
            BudgetState::Healthy => Some(&self.healthy),
            BudgetState::Warning => Some(&self.warning),
            BudgetState::Critical => Some(&self.critical),
            BudgetState::Exhausted => Some(&self.exhausted),
        }
    }
}

/// A new period is no amnesty (ruling R36): after one that was exhausted, changes need approval until so much of the rolling
/// window's budget is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The rolling window.
    pub window: SignedDuration,
    /// How much of its budget must be left; the objective's own threshold of `critical` where nothing is said.
    pub left: Option<Ratio>,
    /// Who must approve until then, at least.
    pub approval: Role,
}

impl Recovery {
    /// The window in milliseconds.
    #[must_use]
    pub fn window_ms(&self) -> i64 {
        i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Changes that go out although the policy holds them up: agreed on beforehand, for a reason, by somebody, until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Why.
    pub reason: String,
    /// Who answers for it: a person or a team.
    pub owner: String,
    /// Until when.
    pub expires: Timestamp,
    /// Of which service; `None`: of every one.
    pub service: Option<ServiceId>,
    /// In which cell; `None`: in every one.
    pub cell: Option<CellId>,
}

impl Exception {
    /// Whether it holds for a change at `now`.
    #[must_use]
    pub fn covers(&self, service: &ServiceId, cell: &CellId, now: Timestamp) -> bool {
        now < self.expires
            && self.service.as_ref().is_none_or(|own| own == service)
            && self.cell.as_ref().is_none_or(|own| own == cell)
    }
}

/// What holds when the server cannot be asked and its last answer is too old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailMode {
    /// Changes go out.
    Allow,
    /// Somebody must decide.
    #[default]
    NeedsApproval,
    /// Nothing goes out but what is never refused.
    Refuse,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Services whose changes its objectives judge besides those of the objectives' own service.
    pub applies_to: BTreeSet<ServiceId>,
    /// What each state calls for.
    pub actions: Actions,
    /// What an exhausted period leaves behind.
    pub recovery: Recovery,
    /// What goes out all the same.
    pub exceptions: Vec<Exception>,
    /// What holds when the server is away.
    pub fail_mode: FailMode,
    /// For how long an answer holds while the server is away.
    pub last_answer_valid: SignedDuration,
}

impl Policy {
    /// [`Policy::last_answer_valid`] as a catalog writes it.
    #[must_use]
    pub fn last_answer_valid_text(&self) -> String {
        duration::format(self.last_answer_valid)
    }
}

/// An objective that a policy covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The objective.
    pub slo: SloId,
    /// The service it is about.
    pub service: Option<ServiceId>,
    /// The labels of its groups that say where something runs.
    pub place_labels: Vec<String>,
    /// All labels that it is judged by.
    group_by: Vec<String>,
    /// The policy, as its place among the policies.
    policy: usize,
}

/// Every policy of a catalog, and which objective falls under which. An objective falls under one at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    policies: Vec<Policy>,
    covered: BTreeMap<SloId, Covered>,
    /// Whom the receivers that are told reach.
    receivers: BTreeMap<String, Vec<(Channel, Recipient)>>,
}

impl Policies {
    pub(super) fn new(
        policies: Vec<Policy>,
        covered: impl IntoIterator<Item = (Covered, usize)>,
        receivers: BTreeMap<String, Vec<(Channel, Recipient)>>,
    ) -> Self {
        let covered = covered
            .into_iter()
            .map(|(covered, policy)| Covered { policy, ..covered });
        Self {
            policies,
            covered: covered.map(|covered| (covered.slo.clone(), covered)).collect(),
            receivers,
        }
    }

    /// The policies, in the catalog's order.
    #[must_use]
    pub fn all(&self) -> &[Policy] {
        &self.policies
    }

    /// Every objective that falls under a policy, with the policy.
    pub fn covered(&self) -> impl Iterator<Item = (&Covered, &Policy)> {
        self.covered
            .values()
            .filter_map(|covered| Some((covered, self.policies.get(covered.policy)?)))
    }

    /// What an objective falls under.
    #[must_use]
    pub fn of(&self, slo: &SloId) -> Option<(&Covered, &Policy)> {
        let covered = self.covered.get(slo)?;
        Some((covered, self.policies.get(covered.policy)?))
    }

    /// The objectives by which changes of a service are judged. Cost: the objectives under policies.
    pub fn judging<'a>(&'a self, service: &'a ServiceId) -> impl Iterator<Item = (&'a Covered, &'a Policy)> {
        self.covered().filter(move |(covered, policy)| {
            covered.service.as_ref() == Some(service) || policy.applies_to.contains(service)
        })
    }

    /// Whom a receiver reaches.
    pub(super) fn recipients(&self, receiver: &str) -> &[(Channel, Recipient)] {
        self.receivers.get(receiver).map_or(&[], Vec::as_slice)
    }
}

impl Covered {
    pub(super) fn new(objective: &crate::Objective) -> Self {
        Self {
            slo: objective.id.clone(),
            service: objective.service.clone(),
            place_labels: objective.place_labels(),
            group_by: objective.group_by.clone(),
            policy: 0,
        }
    }

    /// The group that a change to a part of the platform is judged by.
    #[must_use]
    pub fn group_of(&self, scope: &Scope) -> Labels {
        group_of(&self.group_by, scope)
    }

    /// Whether changes for all tenants are judged by this group.
    #[must_use]
    pub fn is_place(&self, group: &Labels) -> bool {
        group.len() == self.place_labels.len()
            && self.place_labels.iter().all(|label| group.get(label).is_some())
    }
}

/// A role's name in the words of a reason: `a responder`, `an administrator`.
pub(super) fn role_words(role: Role) -> &'static str {
    match role {
        Role::Viewer | Role::Responder => "a responder",
        Role::Admin => "an administrator",
    }
}
