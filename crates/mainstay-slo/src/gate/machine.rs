//! The machine: every answer, every approval and every budget whose state changed is an event.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Machine, Reaction, StreamId};
use mainstay_kernel::effect::{Deliver, Effect, EffectBody, EffectClass, Message};
use mainstay_kernel::fact::{BudgetState, BudgetStateChanged};
use mainstay_kernel::{Actor, CellId, Digest, EventId, Labels, Role, Scope, ServiceId, Severity, SloId};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Request};
use super::decide::{decide, state_of};
use super::policy::Policies;
use crate::engine::Standing;

/// How many answers are kept at hand; all of them are in the journal.
const ANSWERS_AT_HAND: usize = 500;
/// How many approvals are kept at hand; those that are over go first.
const APPROVALS_MAX: usize = 1_000;
/// How many groups' last states are kept; beyond it, those go that have been healthy for longest.
const LAST_STATES_MAX: usize = 100_000;
/// The longest reason of an approval, in bytes.
const REASON_MAX_BYTES: usize = 2_000;
/// The longest version, in bytes.
const VERSION_MAX_BYTES: usize = 256;
/// The longest that an approval holds.
const APPROVAL_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The gate.
pub struct Gate;

/// Approves changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approve {
    /// Of which service.
    pub service: ServiceId,
    /// In which cell.
    pub cell: CellId,
    /// Of this version only.
    pub version: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
    /// The role of who approves.
    pub role: Role,
}

/// What it can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum GateCommand {
    /// May this change go out? With how the objectives stand that judge it.
    Ask(Request, Vec<Standing>),
    /// Approve changes.
    Approve(Approve),
    /// Take note of how the groups stand that changes are judged by.
    Judge(Vec<Standing>),
    /// Take note of other budgets whose state changed.
    Changed(Vec<BudgetStateChanged>),
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum GateEvent {
    /// A change was asked about.
    Answered(Box<Answer>),
    /// Changes were approved.
    Approved(Approve),
    /// A budget's state is another.
    BudgetChanged(BudgetStateChanged),
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateRefusal {
    /// An approval says why.
    #[error("an approval needs a reason of 1 to {REASON_MAX_BYTES} bytes")]
    Reason,
    /// A version is a name.
    #[error("a version has 1 to {VERSION_MAX_BYTES} bytes")]
    Version,
    /// An approval is over some time.
    #[error("an approval ends in the future, and within 7 days")]
    Until,
}

/// An approval at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The event by which it was given.
    pub event: EventId,
    /// By whom.
    pub by: Actor,
    /// What for.
    pub approve: Approve,
}

/// The last state of a group's budget that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastState {
    /// The state.
    pub state: BudgetState,
    /// Since when.
    pub at: Timestamp,
    /// The event by which it came into it.
    pub event: EventId,
    /// The event by which it was last exhausted.
    pub exhausted: Option<EventId>,
}

/// An answer at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedAnswer {
    /// The event.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub by: Actor,
    /// What was answered.
    pub answer: Answer,
}

/// What it remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateState {
    /// By objective and group. A group that never left its first healthy state is not there.
    last: BTreeMap<String, LastState>,
    /// Oldest first.
    approvals: Vec<Approval>,
    /// Oldest first.
    answers: VecDeque<RecordedAnswer>,
}

fn key(slo: &SloId, group: &Labels) -> String {
    format!("{slo} {group}")
}

impl GateState {
    /// The last state of a group's budget that was written down.
    #[must_use]
    pub fn last(&self, slo: &SloId, group: &Labels) -> Option<&LastState> {
        self.last.get(&key(slo, group))
    }

    /// The newest approval of a change by somebody of at least this role.
    #[must_use]
    pub fn approval(&self, request: &Request, role: Role, now: Timestamp) -> Option<&Approval> {
        self.approvals.iter().rev().find(|Approval { approve, .. }| {
            let same_version = approve.version.is_none() || approve.version == request.version;
            let same_place = approve.service == request.service && approve.cell == request.cell;
            same_place && same_version && approve.role >= role && now < approve.until
        })
    }

    /// Approvals that are not over at `now`, oldest first.
    pub fn approvals(&self, now: Timestamp) -> impl Iterator<Item = &Approval> {
        self.approvals
            .iter()
            .filter(move |approval| now < approval.approve.until)
    }

    /// The newest answers, oldest first.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = &RecordedAnswer> {
        self.answers.iter()
    }

    /// The event that a command's answer follows from.
    #[must_use]
    pub fn cause(&self, policies: &Policies, command: &GateCommand, now: Timestamp) -> Option<EventId> {
        match command {
            GateCommand::Ask(request, standings) => decide(self, policies, request, standings, now).cause(),
            _ => None,
        }
    }

    fn state(&self, slo: &SloId, group: &Labels) -> BudgetState {
        self.last(slo, group)
            .map_or(BudgetState::Unknown, |last| last.state)
    }

    fn note_state(&mut self, changed: &BudgetStateChanged, meta: &Meta) {
        let key = key(&changed.slo, &changed.group);
        let before = self.last.get(&key).and_then(|last| last.exhausted);
        let exhausted = (changed.to == BudgetState::Exhausted)
            .then_some(meta.id)
            .or(before);
        let last = LastState {
            state: changed.to,
            at: meta.at,
            event: meta.id,
            exhausted,
        };
        self.last.insert(key, last);
        if self.last.len() > LAST_STATES_MAX {
            let oldest = self.last.iter().min_by_key(|(_, last)| (last.state, last.at));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.last.remove(&key);
            }
        }
    }
}

impl DomainEvent for GateEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Answered(_) => "gate.answered",
            Self::Approved(_) => "gate.approved",
            Self::BudgetChanged(_) => "gate.budget_changed",
        }
    }

    fn stream(&self) -> StreamId {
        match self {
            Self::Answered(answer) => place_stream(&answer.request.service, &answer.request.cell),
            Self::Approved(approve) => place_stream(&approve.service, &approve.cell),
            Self::BudgetChanged(changed) => {
                let key = key(&changed.slo, &changed.group);
                StreamId::new("budget", Digest::of(key.as_bytes()).short())
            }
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Answered(answer) => answer.request.scope(),
            Self::Approved(approve) => Scope {
                cell: Some(approve.cell.clone()),
                service: Some(approve.service.clone()),
                ..Scope::default()
            },
            Self::BudgetChanged(changed) => changed.scope.clone(),
        }
    }
}

fn place_stream(service: &ServiceId, cell: &CellId) -> StreamId {
    StreamId::new("gate", format!("{service}@{cell}"))
}

impl Machine for Gate {
    const NAME: &'static str = "gate";
    type Spec = Policies;
    type State = GateState;
    type Command = GateCommand;
    type Event = GateEvent;
    type Refusal = GateRefusal;

    fn decide(
        state: &GateState,
        policies: &Policies,
        command: GateCommand,
        now: Timestamp,
    ) -> Result<Vec<GateEvent>, GateRefusal> {
        match command {
            GateCommand::Ask(request, standings) => {
                check_version(request.version.as_deref())?;
                let answer = decide(state, policies, &request, &standings, now);
                Ok(vec![GateEvent::Answered(Box::new(answer))])
            }
            GateCommand::Approve(approve) => {
                check_version(approve.version.as_deref())?;
                if approve.reason.trim().is_empty() || approve.reason.len() > REASON_MAX_BYTES {
                    return Err(GateRefusal::Reason);
                }
                if approve.until <= now || approve.until.duration_since(now) > APPROVAL_MAX {
                    return Err(GateRefusal::Until);
                }
                Ok(vec![GateEvent::Approved(approve)])
            }
            GateCommand::Judge(standings) => {
                let changes = standings
                    .iter()
                    .filter_map(|standing| transition(state, standing));
                Ok(changes.map(GateEvent::BudgetChanged).collect())
            }
            GateCommand::Changed(changes) => {
                let news = changes
                    .into_iter()
                    .filter_map(|change| elsewhere(state, policies, change));
                Ok(news.map(GateEvent::BudgetChanged).collect())
            }
        }
    }

    fn apply(state: &mut GateState, event: &GateEvent, meta: &Meta) {
        match event {
            GateEvent::Answered(answer) => {
                state.answers.push_back(RecordedAnswer {
                    event: meta.id,
                    at: meta.at,
                    by: meta.actor.clone(),
                    answer: (**answer).clone(),
                });
                if state.answers.len() > ANSWERS_AT_HAND {
                    state.answers.pop_front();
                }
            }
            GateEvent::Approved(approve) => {
                state
                    .approvals
                    .retain(|approval| meta.at < approval.approve.until);
                if state.approvals.len() >= APPROVALS_MAX {
                    state.approvals.remove(0);
                }
                state.approvals.push(Approval {
                    event: meta.id,
                    by: meta.actor.clone(),
                    approve: approve.clone(),
                });
            }
            GateEvent::BudgetChanged(changed) => state.note_state(changed, meta),
        }
    }

    fn react(_state: &GateState, policies: &Policies, event: &GateEvent, meta: &Meta) -> Reaction {
        let GateEvent::BudgetChanged(changed) = event else {
            return Reaction::default();
        };
        Reaction {
            effects: tell(policies, changed, meta),
            ..Reaction::default()
        }
    }
}

fn check_version(version: Option<&str>) -> Result<(), GateRefusal> {
    match version {
        Some(version) if version.is_empty() || version.len() > VERSION_MAX_BYTES => Err(GateRefusal::Version),
        _ => Ok(()),
    }
}

/// The change of a group's state, if there is one. What is not seen changes nothing; a budget that is healthy when it is
/// first known says nothing.
fn transition(state: &GateState, standing: &Standing) -> Option<BudgetStateChanged> {
    if !standing.sight.seen || standing.sight.blind_since_ms.is_some() {
        return None;
    }
    let last = state.last(&standing.slo, &standing.group);
    let from = last.map_or(BudgetState::Unknown, |last| last.state);
    let to = state_of(standing, last);
    let news = from != to && (from, to) != (BudgetState::Unknown, BudgetState::Healthy);
    news.then(|| BudgetStateChanged {
        slo: standing.slo.clone(),
        group: standing.group.clone(),
        scope: standing.scope.clone(),
        from,
        to,
        bad: standing.budget.counts.bad,
        total: standing.budget.counts.total,
    })
}

/// A change of a group that changes are not judged by, if it is news.
fn elsewhere(
    state: &GateState,
    policies: &Policies,
    change: BudgetStateChanged,
) -> Option<BudgetStateChanged> {
    let judged = policies
        .of(&change.slo)
        .is_some_and(|(covered, _)| covered.is_place(&change.group));
    let from = match state.state(&change.slo, &change.group) {
        BudgetState::Unknown => change.from,
        known => known,
    };
    (!judged && from != change.to).then_some(BudgetStateChanged { from, ..change })
}

/// One message to everybody whom the policy tells of the state. Only of groups that changes are judged by: what each tenant
/// has left is in the journal.
fn tell(policies: &Policies, changed: &BudgetStateChanged, meta: &Meta) -> Vec<Effect> {
    let Some((covered, policy)) = policies.of(&changed.slo) else {
        return Vec::new();
    };
    let action = policy.actions.of(changed.to);
    let Some(action) = action.filter(|_| covered.is_place(&changed.group)) else {
        return Vec::new();
    };
    let recipients = action
        .notify
        .iter()
        .flat_map(|receiver| policies.recipients(receiver));
    let mut effects: Vec<Effect> = Vec::new();
    for (channel, to) in recipients {
        let key = format!("gate/{}/{}/{}", meta.id, channel.name(), to.name());
        // Two receivers may lead to one channel.
        if effects.iter().all(|effect| effect.key != key) {
            effects.push(Effect {
                key,
                class: EffectClass::Once,
                body: EffectBody::Deliver(Deliver {
                    channel: *channel,
                    to: to.clone(),
                    message: message(changed, &policy.title, action.freeze),
                }),
            });
        }
    }
    effects
}

fn message(changed: &BudgetStateChanged, policy: &str, freezes: bool) -> Message {
    let consequence = if freezes { "; changes are frozen" } else { "" };
    Message {
        subject: format!(
            "budget {}: {} ({}){consequence}",
            changed.to.word(),
            changed.slo,
            changed.scope
        ),
        body: format!(
            "It was {} before. {} of {} events in the window were bad. Policy: {policy}.",
            changed.from.word(),
            changed.bad,
            changed.total
        ),
        severity: match changed.to {
            BudgetState::Critical | BudgetState::Exhausted => Severity::P2,
            _ => Severity::P3,
        },
        resolved: changed.to == BudgetState::Healthy,
        incident: None,
        page: None,
        path: format!("/slos/{}", changed.slo),
        notification: None,
        change: None,
    }
}
