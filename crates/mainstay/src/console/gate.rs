//! The gate, for who asks it: answers are signed, and say everything that was looked at.

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::suggest;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::Principal;
use mainstay_kernel::fact::BudgetState;
use mainstay_plane::{Command, States};
use mainstay_slo::gate::policy::{Action, Policy};
use mainstay_slo::gate::{
    Approval, Approve, BudgetRead, ChangeKind, FailMode, GateCommand, PeriodRead, Reason, RecordedAnswer,
    Request, Verdict,
};
use mainstay_web::Failure;
use mainstay_web::view::{
    Done, GateAnswer, GateApproval, GateApproved, GateBudget, GateException, GateJudge, GateKind, GatePeriod,
    GatePolicies, GatePolicy, GateReason, GateRequest, GateService, GateStatement, GateVerdict, Share,
};

use super::{PlaneConsole, failure};

/// For how long an approval holds where nothing is said.
const APPROVED_FOR_MS: u64 = 2 * 3_600_000;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn ask_the_gate(
        &self,
        who: &Principal,
        asked: GateRequest,
    ) -> Result<GateAnswer, Failure> {
        self.known_place(&asked).await?;
        let request = Request {
            service: asked.service,
            cell: asked.cell,
            version: asked.version,
            kind: match asked.kind {
                GateKind::Deploy => ChangeKind::Deploy,
                GateKind::Configuration => ChangeKind::Configuration,
                GateKind::Rollback => ChangeKind::Rollback,
                GateKind::SecurityFix => ChangeKind::SecurityFix,
                GateKind::ReliabilityFix => ChangeKind::ReliabilityFix,
            },
            tenant: asked.tenant,
        };
        let answered = self.plane.ask_gate(who.actor.clone(), request).await;
        let recorded = answered
            .map_err(|error| failure(error, "See /api/v1/openapi.json for what may be asked."))?
            .ok_or_else(|| Failure::Unavailable {
                message: "the answer is in the journal, but not at hand any more".to_owned(),
            })?;
        let answer = statement(&recorded);
        let statement = serde_json::to_string(&answer).map_err(|error| Failure::Internal {
            detail: error.to_string(),
        })?;
        let key = &self.program.key;
        Ok(GateAnswer {
            answer,
            signature: key.sign(statement.as_bytes()),
            public_key: key.public().to_string(),
            statement,
        })
    }

    /// A service or cell that does not exist is a mistake of who asks: nothing judges it, and nothing must let it pass.
    async fn known_place(&self, asked: &GateRequest) -> Result<(), Failure> {
        self.plane
            .look(|states| {
                let platform = &states.catalog.platform;
                let service = asked.service.as_str();
                if !platform.services.contains_key(&asked.service) {
                    return Err(unknown(
                        "service",
                        service,
                        platform.services.keys().map(AsRef::as_ref),
                    ));
                }
                if !platform.cells.contains_key(&asked.cell) {
                    let cells = platform.cells.keys().map(AsRef::as_ref);
                    return Err(unknown("cell", asked.cell.as_str(), cells));
                }
                match &asked.tenant {
                    Some(tenant) if !platform.tenants.contains_key(tenant) => {
                        let tenants = platform.tenants.keys().map(AsRef::as_ref);
                        Err(unknown("tenant", tenant.as_str(), tenants))
                    }
                    _ => Ok(()),
                }
            })
            .await
    }

    pub(super) async fn approve_changes(
        &self,
        who: &Principal,
        given: GateApproval,
    ) -> Result<Done, Failure> {
        let place = GateRequest {
            service: given.service.clone(),
            cell: given.cell.clone(),
            version: None,
            kind: GateKind::Deploy,
            tenant: None,
        };
        self.known_place(&place).await?;
        let for_ms = i64::try_from(given.for_ms.unwrap_or(APPROVED_FOR_MS)).unwrap_or(i64::MAX);
        let until = self.now().saturating_add(SignedDuration::from_millis(for_ms));
        let until = until.unwrap_or(Timestamp::MAX);
        let what = match &given.version {
            Some(version) => format!("{} {version} in {}", given.service, given.cell),
            None => format!("{} in {}", given.service, given.cell),
        };
        let approve = Approve {
            service: given.service,
            cell: given.cell,
            version: given.version,
            reason: given.reason,
            until,
            role: who.role,
        };
        let command = Command::Gate(GateCommand::Approve(approve));
        let help = "Say why, and for how long: seven days at most.";
        let events = self.order(who, command, help).await?;
        Ok(Done {
            message: format!("Changes of {what} are approved until {until}."),
            events,
        })
    }

    pub(super) async fn answers_given(&self) -> Vec<GateStatement> {
        let newest_first = |states: &States<'_>| states.gate.answers().rev().map(statement).collect();
        self.plane.look(newest_first).await
    }

    pub(super) async fn policies_in_force(&self) -> GatePolicies {
        let now = self.now();
        self.plane
            .look(|states| {
                let services = states.catalog.platform.services.keys().filter_map(|service| {
                    let judges = states
                        .policies
                        .judging(service)
                        .map(|(covered, policy)| GateJudge {
                            slo: covered.slo.clone(),
                            policy: policy.name.clone(),
                        });
                    let judged_by: Vec<GateJudge> = judges.collect();
                    (!judged_by.is_empty()).then(|| GateService {
                        service: service.clone(),
                        judged_by,
                    })
                });
                GatePolicies {
                    services: services.collect(),
                    policies: states
                        .policies
                        .all()
                        .iter()
                        .map(|policy| in_words(policy, now))
                        .collect(),
                    approvals: states.gate.approvals(now).map(approved).collect(),
                }
            })
            .await
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    Failure::Invalid {
        message: format!("there is no {what} {name:?} in the catalog"),
        help: suggest(name, what, known),
    }
}

pub(super) fn verdict(verdict: Verdict) -> GateVerdict {
    match verdict {
        Verdict::Allow => GateVerdict::Allow,
        Verdict::NeedsApproval => GateVerdict::NeedsApproval,
        Verdict::Refuse => GateVerdict::Refuse,
    }
}

fn fail_mode(mode: FailMode) -> GateVerdict {
    match mode {
        FailMode::Allow => GateVerdict::Allow,
        FailMode::NeedsApproval => GateVerdict::NeedsApproval,
        FailMode::Refuse => GateVerdict::Refuse,
    }
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn statement(recorded: &RecordedAnswer) -> GateStatement {
    let answer = &recorded.answer;
    let request = &answer.request;
    let valid = SignedDuration::from_millis(answer.valid_ms);
    GateStatement {
        verdict: verdict(answer.verdict),
        answer: answer.answer.clone(),
        request: GateRequest {
            service: request.service.clone(),
            cell: request.cell.clone(),
            version: request.version.clone(),
            kind: match request.kind {
                ChangeKind::Deploy => GateKind::Deploy,
                ChangeKind::Configuration => GateKind::Configuration,
                ChangeKind::Rollback => GateKind::Rollback,
                ChangeKind::SecurityFix => GateKind::SecurityFix,
                ChangeKind::ReliabilityFix => GateKind::ReliabilityFix,
            },
            tenant: request.tenant.clone(),
        },
        reasons: answer.reasons.iter().map(reason).collect(),
        budgets: answer.budgets.iter().map(budget).collect(),
        at: recorded.at,
        by: recorded.by.to_string(),
        event: recorded.event,
        valid_until: recorded.at.saturating_add(valid).unwrap_or(Timestamp::MAX),
        fail_mode: fail_mode(answer.fail_mode),
        for_version_only: answer.for_version_only,
    }
}

pub(super) fn reason(reason: &Reason) -> GateReason {
    GateReason {
        rule: reason.rule.word().to_owned(),
        verdict: verdict(reason.verdict),
        policy: reason.policy.clone(),
        slo: reason.slo.clone(),
        event: reason.event,
        text: reason.text.clone(),
    }
}

fn budget(read: &BudgetRead) -> GateBudget {
    GateBudget {
        slo: read.slo.clone(),
        group: read
            .group
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        policy: read.policy.clone(),
        state: read.state,
        target: Share(read.target),
        bad: read.bad,
        total: read.total,
        allowed: read.allowed,
        left: read.left,
        window: read.window.clone(),
        from: instant(read.from_ms),
        to: instant(read.to_ms),
        blind_since: read.blind_since_ms.map(instant),
        exhausted_period: read.exhausted_period.as_ref().map(period),
    }
}

fn period(read: &PeriodRead) -> GatePeriod {
    GatePeriod {
        from: instant(read.from_ms),
        to: instant(read.to_ms),
        bad: read.bad,
        total: read.total,
        allowed: read.allowed,
        rolling_ms: read.rolling_ms,
        rolling_bad: read.rolling_bad,
        rolling_total: read.rolling_total,
        rolling_allowed: read.rolling_allowed,
    }
}

fn approved(approval: &Approval) -> GateApproved {
    let approve = &approval.approve;
    GateApproved {
        service: approve.service.clone(),
        cell: approve.cell.clone(),
        version: approve.version.clone(),
        reason: approve.reason.clone(),
        by: approval.by.to_string(),
        role: approve.role,
        until: approve.until,
        event: approval.event,
    }
}

pub(super) fn in_words(policy: &Policy, now: Timestamp) -> GatePolicy {
    let states = [
        BudgetState::Healthy,
        BudgetState::Warning,
        BudgetState::Critical,
        BudgetState::Exhausted,
    ];
    let known = states.into_iter().filter_map(|state| {
        let words = action_words(policy.actions.of(state)?);
        (!words.is_empty()).then(|| (state.word().to_owned(), words))
    });
    let unseen = policy.actions.unknown_approval.map(|role| {
        let words = format!("changes need the approval of: {role}; the last known state holds");
        (BudgetState::Unknown.word().to_owned(), words)
    });
    let recovery = &policy.recovery;
    let left = recovery.left.map_or_else(
        || "the share is left that `critical` begins below".to_owned(),
        |left| format!("{} is left", left.percent(1)),
    );
    let holding = policy
        .exceptions
        .iter()
        .filter(|exception| now < exception.expires);
    GatePolicy {
        name: policy.name.clone(),
        title: policy.title.clone(),
        states: known.chain(unseen).collect(),
        recovery: format!(
            "after an exhausted period, changes need the approval of: {}, until of the last {} {left}",
            recovery.approval,
            mainstay_catalog::duration::format(recovery.window)
        ),
        exceptions: holding
            .map(|exception| GateException {
                reason: exception.reason.clone(),
                owner: exception.owner.clone(),
                expires: exception.expires,
                service: exception.service.clone(),
                cell: exception.cell.clone(),
            })
            .collect(),
        fail_mode: fail_mode(policy.fail_mode),
        last_answer_valid: policy.last_answer_valid_text(),
    }
}

pub(super) fn action_words(action: &Action) -> String {
    let hold = match (action.freeze, action.require_approval) {
        (true, _) => Some("changes are frozen".to_owned()),
        (false, Some(role)) => Some(format!("changes need the approval of: {role}")),
        (false, None) => None,
    };
    let tell = (!action.notify.is_empty()).then(|| format!("told: {}", action.notify.join(", ")));
    let words: Vec<String> = hold.into_iter().chain(tell).collect();
    words.join("; ")
}
