//! The decision.

use jiff::Timestamp;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{EventId, Role};

use super::answer::{Answer, BudgetRead, Reason, Request, Rule, Verdict, instant};
use super::machine::{Approval, GateState, LastState};
use super::policy::{FailMode, LAST_ANSWER_VALID, Policies, Policy, role_words};
use crate::engine::Standing;

/// The state of a budget, given the last one that was written down: worse at once, better past the hysteresis, a new
/// calendar period without regard to the old one. Of what is not seen, never better than what was last known.
#[must_use]
pub fn state_of(standing: &Standing, last: Option<&LastState>) -> BudgetState {
    if !standing.sight.seen {
        return last.map_or(BudgetState::Unknown, |last| last.state);
    }
    let same_period =
        |last: &&LastState| !standing.is_calendar || last.at.as_millisecond() > standing.bounds.start_ms;
    let before = last
        .filter(same_period)
        .map_or(BudgetState::Unknown, |last| last.state);
    let counted = standing.budget.state_after(before, standing.policy);
    if standing.sight.blind_since_ms.is_some() {
        counted.max(before)
    } else {
        counted
    }
}

/// Something that holds a change up.
struct Demand {
    rule: Rule,
    /// Who can lift it by approving the change; nobody lifts a freeze.
    approval: Option<Role>,
    event: Option<EventId>,
    text: String,
}

impl Demand {
    fn verdict(&self) -> Verdict {
        match self.approval {
            Some(_) => Verdict::NeedsApproval,
            None => Verdict::Refuse,
        }
    }
}

/// Decides on a change. `standings` are those of the objectives that judge the service ([`Policies::judging`]); ones that
/// fall under no policy say nothing. Cost: the standings, each by the exceptions and approvals there are.
#[must_use]
pub fn decide(
    memory: &GateState,
    policies: &Policies,
    request: &Request,
    standings: &[Standing],
    now: Timestamp,
) -> Answer {
    let mut reasons = Vec::new();
    let mut budgets = Vec::new();
    let (mut fail_mode, mut valid) = (FailMode::Allow, None);
    let mut for_version_only = false;
    for standing in standings {
        let Some((_, policy)) = policies.of(&standing.slo) else {
            continue;
        };
        fail_mode = fail_mode.max(policy.fail_mode);
        valid = Some(valid.map_or(policy.last_answer_valid, |valid| {
            policy.last_answer_valid.min(valid)
        }));
        let last = memory.last(&standing.slo, &standing.group);
        let state = state_of(standing, last);
        budgets.push(BudgetRead::of(standing, state, &policy.name));
        let reason = |rule, verdict, event, text| Reason {
            rule,
            verdict,
            policy: Some(policy.name.clone()),
            slo: Some(standing.slo.clone()),
            event,
            text,
        };
        let demands = demands(standing, state, last, policy);
        let excepted = policy
            .exceptions
            .iter()
            .find(|exception| exception.covers(&request.service, &request.cell, now));
        if demands.is_empty() {
            let (rule, text) = nothing_demanded(standing, state);
            reasons.push(reason(rule, Verdict::Allow, None, text));
        }
        for demand in demands {
            let approved = demand
                .approval
                .and_then(|role| memory.approval(request, role, now));
            reasons.push(match (excepted, approved) {
                (Some(exception), _) => {
                    let text = format!(
                        "{}; excepted until {} by {}: {}",
                        demand.text, exception.expires, exception.owner, exception.reason
                    );
                    reason(Rule::Excepted, Verdict::Allow, demand.event, text)
                }
                (None, Some(approval)) => {
                    for_version_only |= approval.approve.version.is_some();
                    let text = format!("{}; {}", demand.text, approved_words(approval));
                    reason(Rule::Approved, Verdict::Allow, Some(approval.event), text)
                }
                (None, None) => reason(demand.rule, demand.verdict(), demand.event, demand.text),
            });
        }
    }
    if budgets.is_empty() {
        reasons.push(Reason {
            rule: Rule::NoPolicy,
            verdict: Verdict::Allow,
            policy: None,
            slo: None,
            event: None,
            text: format!("no error budget policy judges changes of {}", request.service),
        });
    }
    reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.verdict), is_plain(reason.rule)));
    let demanded = reasons.first().map_or(Verdict::Allow, |reason| reason.verdict);
    let verdict = if demanded > Verdict::Allow && request.kind.is_never_refused() {
        let reason = Reason {
            rule: Rule::NeverRefused,
            verdict: Verdict::Allow,
            policy: None,
            slo: None,
            event: reasons.first().and_then(|reason| reason.event),
            text: format!("{} is never refused", request.kind),
        };
        reasons.insert(0, reason);
        Verdict::Allow
    } else {
        demanded
    };
    Answer {
        answer: sentence(verdict, &reasons),
        verdict,
        request: request.clone(),
        reasons,
        budgets,
        for_version_only: for_version_only && verdict == Verdict::Allow && !request.kind.is_never_refused(),
        fail_mode,
        valid_ms: i64::try_from(valid.unwrap_or(LAST_ANSWER_VALID).as_millis()).unwrap_or(i64::MAX),
    }
}

/// Whether a reason only says that nothing is wrong.
fn is_plain(rule: Rule) -> bool {
    matches!(rule, Rule::WithinBudget)
}

fn sentence(verdict: Verdict, reasons: &[Reason]) -> String {
    let said = match verdict {
        Verdict::Allow => "allowed",
        Verdict::NeedsApproval => "needs approval",
        Verdict::Refuse => "refused",
    };
    let why = reasons.first().map_or("", |reason| &reason.text);
    format!("{said}: {why}")
}

/// What holds a change up, by one objective.
fn demands(
    standing: &Standing,
    state: BudgetState,
    last: Option<&LastState>,
    policy: &Policy,
) -> Vec<Demand> {
    let mut demands = Vec::new();
    let event = last.filter(|last| last.state == state).map(|last| last.event);
    let action = policy.actions.of(state);
    if action.is_some_and(|action| action.freeze) {
        demands.push(Demand {
            rule: Rule::Frozen,
            approval: None,
            event,
            text: format!("{}: changes are frozen", state_words(standing, state)),
        });
    } else if let Some(role) = action.and_then(|action| action.require_approval) {
        demands.push(Demand {
            rule: Rule::ApprovalRequired,
            approval: Some(role),
            event,
            text: format!(
                "{}: {} must approve changes",
                state_words(standing, state),
                role_words(role)
            ),
        });
    }
    let holds_up = policy.actions.exhausted.restricts();
    if let Some(exhausted) = standing.exhausted.as_ref().filter(|_| holds_up) {
        let left = policy.recovery.left.unwrap_or(standing.policy.critical_below);
        if !exhausted.rolling.is_left(left) {
            let days = exhausted.rolling.window_ms / 86_400_000;
            let text = format!(
                "{}: the period up to {} was exhausted ({} of {} allowed bad events), and of the last {days} days {} \
                 where {} must be ({} of {} allowed): {} must approve changes",
                place(standing),
                instant(exhausted.period.end_ms),
                exhausted.budget.counts.bad,
                exhausted.budget.allowed(),
                exhausted.rolling.words(),
                left.percent(1),
                exhausted.rolling.counts.bad,
                exhausted.rolling.allowed(),
                role_words(policy.recovery.approval),
            );
            demands.push(Demand {
                rule: Rule::Recovering,
                approval: Some(policy.recovery.approval),
                event: last.and_then(|last| last.exhausted),
                text,
            });
        }
    }
    let unseen = !standing.sight.seen || standing.sight.blind_since_ms.is_some();
    if let Some(role) = policy.actions.unknown_approval.filter(|_| unseen) {
        demands.push(Demand {
            rule: Rule::BlindApproval,
            approval: Some(role),
            event: None,
            text: format!(
                "{}: {} must approve changes",
                sight_words(standing, state),
                role_words(role)
            ),
        });
    }
    demands
}

/// What is said where nothing holds a change up.
fn nothing_demanded(standing: &Standing, state: BudgetState) -> (Rule, String) {
    if !standing.sight.seen {
        (Rule::NeverSeen, sight_words(standing, state))
    } else if standing.sight.blind_since_ms.is_some() {
        (Rule::Blind, sight_words(standing, state))
    } else {
        (Rule::WithinBudget, state_words(standing, state))
    }
}

fn place(standing: &Standing) -> String {
    if standing.group.is_empty() {
        standing.slo.to_string()
    } else {
        let values: Vec<&str> = standing.group.iter().map(|(_, value)| value).collect();
        format!("{} ({})", standing.slo, values.join(", "))
    }
}

fn state_words(standing: &Standing, state: BudgetState) -> String {
    let budget = &standing.budget;
    let seen = match standing.sight.blind_since_ms {
        Some(since_ms) => format!(
            "; nothing is seen of it since {}, so this state holds",
            instant(since_ms)
        ),
        None => String::new(),
    };
    format!(
        "{} is {}: {} ({} bad of {} allowed among {}, {}{})",
        place(standing),
        state.word(),
        budget.words(),
        budget.counts.bad,
        budget.allowed(),
        budget.counts.total,
        standing.window,
        seen,
    )
}

fn sight_words(standing: &Standing, state: BudgetState) -> String {
    match (standing.sight.seen, standing.sight.blind_since_ms) {
        (true, Some(since_ms)) => format!(
            "{}: nothing is seen of it since {}; the last known state, {}, holds",
            place(standing),
            instant(since_ms),
            state.word()
        ),
        _ if state == BudgetState::Unknown => {
            format!(
                "{}: nothing was ever seen of it, and unknown freezes nothing",
                place(standing)
            )
        }
        _ => format!(
            "{}: nothing is seen of it; the last known state, {}, holds",
            place(standing),
            state.word()
        ),
    }
}

fn approved_words(approval: &Approval) -> String {
    let version = approval.approve.version.as_ref();
    let version = version.map_or_else(String::new, |version| format!(" for {version}"));
    format!(
        "approved{version} by {} until {}: {}",
        approval.by, approval.approve.until, approval.approve.reason
    )
}
