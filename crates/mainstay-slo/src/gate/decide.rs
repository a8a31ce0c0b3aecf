//! The decision.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::duration;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{EventId, Role, SloId};

use super::answer::{Answer, BudgetRead, Reason, Request, Rule, Verdict, instant};
use super::machine::{Approval, GateState, LastState};
use super::policy::{Exception, FailMode, LAST_ANSWER_VALID, Policies, Policy, role_words};
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

/// Decides on a change by the objectives that judge its service ([`Policies::judging`]), given how they stand; one that is
/// not among `standings` was never seen. Cost: those objectives, each by the exceptions and approvals there are.
#[must_use]
pub fn decide(
    memory: &GateState,
    policies: &Policies,
    request: &Request,
    standings: &[Standing],
    now: Timestamp,
) -> Answer {
    let mut scales = Scales::default();
    for (covered, policy) in policies.judging(&request.service) {
        let standing = standings.iter().find(|standing| standing.slo == covered.slo);
        let last = standing.and_then(|standing| memory.last(&standing.slo, &standing.group));
        let case = Case {
            slo: &covered.slo,
            policy,
            standing,
            state: standing.map_or(BudgetState::Unknown, |standing| state_of(standing, last)),
            last,
        };
        scales.weigh(&case, memory, request, now);
    }
    scales.answer(request, now)
}

/// What the objectives say, taken together.
#[derive(Default)]
struct Scales {
    reasons: Vec<Reason>,
    budgets: Vec<BudgetRead>,
    /// Whether an approval of one version lifts something.
    for_version_only: bool,
    /// The strictest of the policies.
    fail_mode: Option<FailMode>,
    /// The shortest of the policies.
    valid: Option<SignedDuration>,
    /// When the first exception or approval ends that lifts something.
    lifted_until: Option<Timestamp>,
}

impl Scales {
    /// Takes in what one objective says.
    fn weigh(&mut self, case: &Case<'_>, memory: &GateState, request: &Request, now: Timestamp) {
        let policy = case.policy;
        self.fail_mode = self.fail_mode.max(Some(policy.fail_mode));
        self.valid = Some(earliest(self.valid, policy.last_answer_valid));
        let read = |standing| BudgetRead::of(standing, case.state, &policy.name);
        self.budgets.extend(case.standing.map(read));
        let demands = case.demands();
        if demands.is_empty() {
            self.reasons.push(case.nothing_demanded());
        }
        let mut exceptions = policy.exceptions.iter();
        let excepted = exceptions.find(|exception| exception.covers(&request.service, &request.cell, now));
        for demand in demands {
            let approver = demand.approval.filter(|_| excepted.is_none());
            let approved = approver.and_then(|role| memory.approval(request, role, now));
            let reason = if let Some(exception) = excepted {
                self.lifted_until = Some(earliest(self.lifted_until, exception.expires));
                let text = format!("{}; {}", demand.text, exception_words(exception));
                case.reason(Rule::Excepted, Verdict::Allow, demand.event, text)
            } else if let Some(approval) = approved {
                self.lifted_until = Some(earliest(self.lifted_until, approval.approve.until));
                self.for_version_only |= approval.approve.version.is_some();
                let text = format!("{}; {}", demand.text, approval_words(approval));
                case.reason(Rule::Approved, Verdict::Allow, Some(approval.event), text)
            } else {
                case.reason(demand.rule, demand.verdict(), demand.event, demand.text)
            };
            self.reasons.push(reason);
        }
    }

    fn answer(mut self, request: &Request, now: Timestamp) -> Answer {
        if self.reasons.is_empty() {
            let text = format!("no error budget policy judges changes of {}", request.service);
            self.reasons.push(of_no_policy(Rule::NoPolicy, None, text));
        }
        // What decides first; what only says that nothing is wrong last.
        self.reasons
            .sort_by_key(|reason| (Reverse(reason.verdict), reason.rule == Rule::WithinBudget));
        let demanded = self
            .reasons
            .first()
            .map_or(Verdict::Allow, |reason| reason.verdict);
        let spared = demanded > Verdict::Allow && request.kind.is_never_refused();
        if spared {
            let event = self.reasons.first().and_then(|reason| reason.event);
            let text = format!("{} is never refused", request.kind);
            self.reasons
                .insert(0, of_no_policy(Rule::NeverRefused, event, text));
        }
        let verdict = if spared { Verdict::Allow } else { demanded };
        // Without the server nobody sees an exception or an approval end.
        let valid = self.valid.unwrap_or(LAST_ANSWER_VALID);
        let valid = self
            .lifted_until
            .map_or(valid, |until| until.duration_since(now).min(valid));
        Answer {
            answer: sentence(verdict, &self.reasons),
            verdict,
            request: request.clone(),
            reasons: self.reasons,
            budgets: self.budgets,
            for_version_only: self.for_version_only && verdict == Verdict::Allow && !spared,
            fail_mode: self.fail_mode.unwrap_or(FailMode::Allow),
            valid_ms: i64::try_from(valid.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

fn earliest<T: Ord>(known: Option<T>, other: T) -> T {
    match known {
        Some(known) => known.min(other),
        None => other,
    }
}

fn of_no_policy(rule: Rule, event: Option<EventId>, text: String) -> Reason {
    Reason {
        rule,
        verdict: Verdict::Allow,
        policy: None,
        slo: None,
        event,
        text,
    }
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

/// One objective that judges a change.
struct Case<'a> {
    slo: &'a SloId,
    policy: &'a Policy,
    standing: Option<&'a Standing>,
    state: BudgetState,
    last: Option<&'a LastState>,
}

impl Case<'_> {
    fn reason(&self, rule: Rule, verdict: Verdict, event: Option<EventId>, text: String) -> Reason {
        Reason {
            rule,
            verdict,
            policy: Some(self.policy.name.clone()),
            slo: Some(self.slo.clone()),
            event,
            text,
        }
    }

    /// What holds the change up.
    fn demands(&self) -> Vec<Demand> {
        let by_state = self.standing.and_then(|standing| self.by_state(standing));
        let recovering = self.standing.and_then(|standing| self.recovering(standing));
        let unseen = match self.standing.map(|standing| standing.sight) {
            Some(sight) => !sight.seen || sight.blind_since_ms.is_some(),
            None => true,
        };
        let approver = self.policy.actions.unknown_approval.filter(|_| unseen);
        let blind = approver.map(|role| Demand {
            rule: Rule::BlindApproval,
            approval: Some(role),
            event: None,
            text: format!(
                "{}: {} must approve changes",
                self.sight_words(),
                role_words(role)
            ),
        });
        by_state.into_iter().chain(recovering).chain(blind).collect()
    }

    fn by_state(&self, standing: &Standing) -> Option<Demand> {
        let action = self.policy.actions.of(self.state)?;
        let event = self
            .last
            .filter(|last| last.state == self.state)
            .map(|last| last.event);
        let words = state_words(standing, self.state);
        if action.freeze {
            return Some(Demand {
                rule: Rule::Frozen,
                approval: None,
                event,
                text: format!("{words}: changes are frozen"),
            });
        }
        let role = action.require_approval?;
        Some(Demand {
            rule: Rule::ApprovalRequired,
            approval: Some(role),
            event,
            text: format!("{words}: {} must approve changes", role_words(role)),
        })
    }

    /// A new period is no amnesty (ruling R36), where the old one's exhaustion held changes up.
    fn recovering(&self, standing: &Standing) -> Option<Demand> {
        let exhausted = standing
            .exhausted
            .as_ref()
            .filter(|_| self.policy.actions.exhausted.restricts())?;
        let recovery = &self.policy.recovery;
        let due = recovery.left.unwrap_or(standing.policy.critical_below);
        if exhausted.rolling.is_left(due) {
            return None;
        }
        let text = format!(
            "{}: the period up to {} was exhausted ({} bad of {} allowed), and of the last {} {} where {} must be left ({} \
             bad of {} allowed): {} must approve changes",
            place(standing),
            instant(exhausted.period.end_ms),
            exhausted.budget.counts.bad,
            exhausted.budget.allowed(),
            duration::format(recovery.window),
            exhausted.rolling.words(),
            due.percent(1),
            exhausted.rolling.counts.bad,
            exhausted.rolling.allowed(),
            role_words(recovery.approval),
        );
        Some(Demand {
            rule: Rule::Recovering,
            approval: Some(recovery.approval),
            event: self.last.and_then(|last| last.exhausted),
            text,
        })
    }

    /// What is said where nothing holds the change up.
    fn nothing_demanded(&self) -> Reason {
        let (rule, text) = match self.standing {
            Some(standing) if standing.sight.seen => match standing.sight.blind_since_ms {
                Some(_) => (Rule::Blind, self.sight_words()),
                None => (Rule::WithinBudget, state_words(standing, self.state)),
            },
            _ => (Rule::NeverSeen, self.sight_words()),
        };
        self.reason(rule, Verdict::Allow, None, text)
    }

    /// What is not seen, and what holds meanwhile.
    fn sight_words(&self) -> String {
        let what = self.standing.map_or_else(|| self.slo.to_string(), place);
        if self.state == BudgetState::Unknown {
            return format!("{what}: nothing was ever seen of it, and unknown freezes nothing");
        }
        let since = self.standing.and_then(|standing| standing.sight.blind_since_ms);
        let since = since.map_or_else(String::new, |since_ms| format!(" since {}", instant(since_ms)));
        format!(
            "{what}: nothing is seen of it{since}; the last known state, {}, holds",
            self.state.word()
        )
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

fn exception_words(exception: &Exception) -> String {
    format!(
        "excepted until {} by {}: {}",
        exception.expires, exception.owner, exception.reason
    )
}

fn approval_words(approval: &Approval) -> String {
    let version = approval.approve.version.as_ref();
    let version = version.map_or_else(String::new, |version| format!(" for {version}"));
    format!(
        "approved{version} by {} until {}: {}",
        approval.by, approval.approve.until, approval.approve.reason
    )
}
