//! The gate: who may change what, by what is left.

mod documents;
mod month;

use mainstay_journal::Machine as _;
use mainstay_journal::machine::Meta;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, CellId, EventId, Labels, Role, Scope, ServiceId, SloId};
use mainstay_slo::engine::{ExhaustedPeriod, Sight, Standing};
use mainstay_slo::gate::{
    Answer, Approve, ChangeKind, FailMode, Gate, GateCommand, GateEvent, GateRefusal, GateState, Policies,
    Request, Rule, Verdict, decide,
};
use mainstay_slo::window::Bounds;
use mainstay_slo::{Budget, BudgetPolicy, Counts};

use crate::fixture::{at, labels};
use documents::{catalog, policies, policy, read};

const T0: i64 = 1_750_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn slo() -> SloId {
    SloId::new("availability").expect("a name")
}

fn cell_5() -> Labels {
    labels(&[("cell", "cell-5")])
}

fn budget(bad: u64, total: u64) -> Budget {
    Budget {
        target: "99.9%".parse().expect("a target"),
        window_ms: 30 * DAY_MS,
        counts: Counts { bad, total },
    }
}

/// The cell with so many bad events of a million, of which 1,000 may be bad.
fn standing(bad: u64) -> Standing {
    Standing {
        slo: slo(),
        group: cell_5(),
        scope: Scope::from_labels(&cell_5()),
        window: "calendar 1M in Europe/Berlin".to_owned(),
        is_calendar: true,
        bounds: Bounds {
            start_ms: T0 - 10 * DAY_MS,
            end_ms: T0 + 20 * DAY_MS,
        },
        budget: budget(bad, 1_000_000),
        policy: BudgetPolicy::default(),
        sight: Sight {
            seen: true,
            blind_since_ms: None,
        },
        exhausted: None,
    }
}

fn request(kind: ChangeKind) -> Request {
    Request {
        service: ServiceId::new("payments").expect("a name"),
        cell: CellId::new("cell-5").expect("a name"),
        version: Some("v2".to_owned()),
        kind,
        tenant: None,
    }
}

fn ask(state: &GateState, policies: &Policies, standing: Standing, kind: ChangeKind) -> Answer {
    decide(state, policies, &request(kind), &[standing], at(T0))
}

fn deploy(standing: Standing) -> Answer {
    ask(&GateState::default(), &policies(""), standing, ChangeKind::Deploy)
}

/// A gate that remembers, and what it wrote down.
#[derive(Default)]
struct Running {
    state: GateState,
    events: Vec<(EventId, GateEvent)>,
    effects: usize,
}

impl Running {
    fn command(
        &mut self,
        policies: &Policies,
        command: GateCommand,
        now_ms: i64,
    ) -> Result<usize, GateRefusal> {
        let events = Gate::decide(&self.state, policies, command, at(now_ms))?;
        let count = events.len();
        for event in events {
            let meta = Meta {
                id: EventId::generate(at(now_ms), &SeededEntropy::new(self.events.len() as u64)),
                at: at(now_ms),
                actor: Actor::person("ada"),
                cause: None,
            };
            Gate::apply(&mut self.state, &event, &meta);
            self.effects += Gate::react(&self.state, policies, &event, &meta).effects.len();
            self.events.push((meta.id, event));
        }
        Ok(count)
    }

    fn approve(&mut self, version: Option<&str>, role: Role, until_ms: i64) -> Result<usize, GateRefusal> {
        let approve = Approve {
            service: request(ChangeKind::Deploy).service,
            cell: request(ChangeKind::Deploy).cell,
            version: version.map(str::to_owned),
            reason: "the fix is in it".to_owned(),
            until: at(until_ms),
            role,
        };
        self.command(&policies(""), GateCommand::Approve(approve), T0)
    }
}

#[test]
fn the_state_of_the_budget_decides() {
    for (bad, verdict, rule, state) in [
        (0, Verdict::Allow, Rule::WithinBudget, BudgetState::Healthy),
        (500, Verdict::Allow, Rule::WithinBudget, BudgetState::Healthy),
        (501, Verdict::Allow, Rule::WithinBudget, BudgetState::Warning),
        (800, Verdict::Allow, Rule::WithinBudget, BudgetState::Warning),
        (
            801,
            Verdict::NeedsApproval,
            Rule::ApprovalRequired,
            BudgetState::Critical,
        ),
        (
            999,
            Verdict::NeedsApproval,
            Rule::ApprovalRequired,
            BudgetState::Critical,
        ),
        (1_000, Verdict::Refuse, Rule::Frozen, BudgetState::Exhausted),
    ] {
        let answer = deploy(standing(bad));
        assert_eq!(
            (answer.verdict, answer.reasons[0].rule),
            (verdict, rule),
            "{bad} bad"
        );
        let read = &answer.budgets[0];
        assert_eq!((read.state, read.bad, read.allowed), (state, bad, 1_000));
        assert_eq!(read.left, 1_000 - i64::try_from(bad).expect("small"));
    }
    let refused = deploy(standing(1_100));
    assert_eq!(
        refused.answer,
        "refused: availability (cell-5) is exhausted: the budget is spent 1.1 times over (1100 bad of 1000 allowed among \
         1000000, calendar 1M in Europe/Berlin): changes are frozen"
    );
    assert_eq!(refused.fail_mode, FailMode::NeedsApproval);
    assert_eq!(refused.valid_ms, 15 * 60_000);
}

#[test]
fn what_mends_is_never_refused_and_what_no_policy_judges_passes() {
    let state = GateState::default();
    for kind in [
        ChangeKind::Rollback,
        ChangeKind::SecurityFix,
        ChangeKind::ReliabilityFix,
    ] {
        let answer = ask(&state, &policies(""), standing(5_000), kind);
        assert_eq!(answer.verdict, Verdict::Allow, "{kind}");
        assert_eq!(answer.reasons[0].rule, Rule::NeverRefused);
        assert_eq!(answer.reasons[1].rule, Rule::Frozen, "what it passes by is said");
    }
    let configuration = ask(&state, &policies(""), standing(5_000), ChangeKind::Configuration);
    assert_eq!(configuration.verdict, Verdict::Refuse);
    let other = Request {
        service: ServiceId::new("ledger").expect("a name"),
        ..request(ChangeKind::Deploy)
    };
    let answer = decide(&state, &policies(""), &other, &[standing(5_000)], at(T0));
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::Allow, Rule::NoPolicy)
    );
    assert!(answer.budgets.is_empty());
}

#[test]
fn unknown_neither_freezes_nor_thaws() {
    let blind = |bad, since_ms| Standing {
        sight: Sight {
            seen: true,
            blind_since_ms: Some(since_ms),
        },
        ..standing(bad)
    };
    // Healthy when last seen: nothing freezes it. Exhausted when last seen: nothing thaws it.
    let answer = deploy(blind(0, T0 - 60_000));
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::Allow, Rule::Blind)
    );
    assert!(
        answer.answer.contains("the last known state, healthy, holds"),
        "{}",
        answer.answer
    );
    let answer = deploy(blind(1_500, T0 - 60_000));
    assert_eq!(answer.verdict, Verdict::Refuse);
    assert!(
        answer.answer.contains("nothing is seen of it since"),
        "{}",
        answer.answer
    );

    // What the journal has holds, even if the counts that are left say better: the files were lost, say.
    let mut gate = Running::default();
    let policies = policies("");
    assert_eq!(
        gate.command(&policies, GateCommand::Judge(vec![standing(1_500)]), T0),
        Ok(1)
    );
    let never = Standing {
        sight: Sight::default(),
        ..standing(0)
    };
    for unseen in [blind(0, T0 - 1), never.clone()] {
        let answer = ask(&gate.state, &policies, unseen.clone(), ChangeKind::Deploy);
        assert_eq!(
            (answer.verdict, answer.budgets[0].state),
            (Verdict::Refuse, BudgetState::Exhausted)
        );
        assert_eq!(
            gate.command(&policies, GateCommand::Judge(vec![unseen]), T0 + 1),
            Ok(0),
            "blindness is no change"
        );
    }
    // Nothing is known at all: that freezes nothing, unless the policy wants somebody to look.
    let answer = deploy(never.clone());
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::Allow, Rule::NeverSeen)
    );
    let careful = self::policies("    unknown: {requireApproval: responder}\n");
    let answer = ask(&GateState::default(), &careful, never, ChangeKind::Deploy);
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::NeedsApproval, Rule::BlindApproval)
    );
    let unheard = decide(
        &GateState::default(),
        &careful,
        &request(ChangeKind::Deploy),
        &[],
        at(T0),
    );
    assert_eq!(unheard.verdict, Verdict::NeedsApproval);
}

#[test]
fn a_state_turns_better_only_past_the_hysteresis_and_with_a_new_period() {
    let mut gate = Running::default();
    let policies = policies("");
    assert_eq!(
        gate.command(&policies, GateCommand::Judge(vec![standing(1_000)]), T0),
        Ok(1)
    );
    let verdict =
        |gate: &Running, standing| ask(&gate.state, &policies, standing, ChangeKind::Deploy).verdict;
    assert_eq!(
        verdict(&gate, standing(990)),
        Verdict::Refuse,
        "1% is left: still frozen"
    );
    assert_eq!(verdict(&gate, standing(980)), Verdict::NeedsApproval);
    let next_month = Standing {
        bounds: Bounds {
            start_ms: T0 + 1,
            end_ms: T0 + 30 * DAY_MS,
        },
        ..standing(990)
    };
    assert_eq!(
        verdict(&gate, next_month),
        Verdict::NeedsApproval,
        "by its own counts"
    );
}

#[test]
fn a_new_month_is_no_amnesty() {
    let after = |rolling_bad| Standing {
        exhausted: Some(ExhaustedPeriod {
            period: Bounds {
                start_ms: T0 - 40 * DAY_MS,
                end_ms: T0 - 10 * DAY_MS,
            },
            budget: budget(1_200, 1_000_000),
            rolling: budget(rolling_bad, 1_000_000),
        }),
        ..standing(0)
    };
    let answer = deploy(after(801));
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::NeedsApproval, Rule::Recovering)
    );
    assert_eq!(answer.budgets[0].state, BudgetState::Healthy);
    assert_eq!(
        deploy(after(800)).verdict,
        Verdict::Allow,
        "a fifth is left again"
    );
    let strict = policies("  recovery: {left: 50%, requireApproval: admin}\n");
    let answer = ask(&GateState::default(), &strict, after(501), ChangeKind::Deploy);
    assert_eq!(answer.verdict, Verdict::NeedsApproval);
    let rollback = ask(&GateState::default(), &strict, after(501), ChangeKind::Rollback);
    assert_eq!(rollback.verdict, Verdict::Allow);
}

#[test]
fn an_exception_holds_where_it_says_and_until_it_says() {
    let exception = |expires: &str, service: &str, cell: &str| {
        let text = format!(
            "  exceptions:\n    - {{reason: audited by hand, owner: sre, expires: {expires}, service: {service}, cell: {cell}}}\n"
        );
        let (policies, said) = read(&policy(&text), at(T0));
        let answer = ask(
            &GateState::default(),
            &policies,
            standing(2_000),
            ChangeKind::Deploy,
        );
        (answer, said)
    };
    let later = at(T0 + DAY_MS).to_string();
    let (answer, said) = exception(&later, "payments", "'*'");
    assert!(said.is_empty(), "{}", said.render_short());
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::Allow, Rule::Excepted)
    );
    assert!(
        answer.answer.contains("by sre: audited by hand"),
        "{}",
        answer.answer
    );
    assert_eq!(exception(&later, "gateway", "'*'").0.verdict, Verdict::Refuse);
    let (answer, said) = exception(&at(T0).to_string(), "'*'", "'*'");
    assert_eq!(
        answer.verdict,
        Verdict::Refuse,
        "over at the instant that it names"
    );
    assert_eq!((said.errors(), said.len()), (0, 1));
    assert!(
        said.render_short()
            .starts_with("policy.yaml:12:54: warning[expired-exception]"),
        "{}",
        said.render_short()
    );
}

#[test]
fn approvals_lift_what_needs_approval_and_no_freeze() {
    let mut gate = Running::default();
    let policies = policies("");
    let ask_now = |gate: &Running, bad| ask(&gate.state, &policies, standing(bad), ChangeKind::Deploy);
    gate.approve(Some("v1"), Role::Responder, T0 + 1)
        .expect("approved");
    assert_eq!(
        ask_now(&gate, 900).verdict,
        Verdict::NeedsApproval,
        "of another version"
    );
    gate.approve(Some("v2"), Role::Responder, T0 + 1)
        .expect("approved");
    let answer = ask_now(&gate, 900);
    assert_eq!(
        (answer.verdict, answer.reasons[0].rule),
        (Verdict::Allow, Rule::Approved)
    );
    assert!(answer.for_version_only);
    assert_eq!(
        answer.valid_ms, 1,
        "no longer than the approval, even without the server"
    );
    assert_eq!(
        answer.cause(),
        Some(gate.events[1].0),
        "it follows from the approval"
    );
    assert_eq!(ask_now(&gate, 1_000).verdict, Verdict::Refuse);
    let over = decide(
        &gate.state,
        &policies,
        &request(ChangeKind::Deploy),
        &[standing(900)],
        at(T0 + 1),
    );
    assert_eq!(over.verdict, Verdict::NeedsApproval, "it is over");

    let admin = self::policies("    healthy: {requireApproval: admin}\n");
    gate.approve(None, Role::Responder, T0 + 1).expect("approved");
    assert_eq!(
        ask(&gate.state, &admin, standing(0), ChangeKind::Deploy).verdict,
        Verdict::NeedsApproval
    );
    gate.approve(None, Role::Admin, T0 + 1).expect("approved");
    assert_eq!(
        ask(&gate.state, &admin, standing(0), ChangeKind::Deploy).verdict,
        Verdict::Allow
    );

    assert_eq!(gate.approve(None, Role::Admin, T0), Err(GateRefusal::Until));
    assert_eq!(
        gate.approve(None, Role::Admin, T0 + 8 * DAY_MS),
        Err(GateRefusal::Until)
    );
    assert_eq!(
        gate.approve(Some(""), Role::Admin, T0 + 1),
        Err(GateRefusal::Version)
    );
}

#[test]
fn a_transition_is_written_and_told_once_and_stands_behind_the_refusal() {
    let mut gate = Running::default();
    let policies = policies("");
    let judge = |gate: &mut Running, bad, t_ms| {
        gate.command(&policies, GateCommand::Judge(vec![standing(bad)]), t_ms)
    };
    assert_eq!(
        judge(&mut gate, 100, T0),
        Ok(0),
        "healthy when first seen is no news"
    );
    assert_eq!(judge(&mut gate, 1_000, T0 + 1), Ok(1));
    assert_eq!(judge(&mut gate, 1_010, T0 + 2), Ok(0), "and no news again");
    assert_eq!(gate.effects, 1, "the exhausted state tells ops");
    let answer = ask(&gate.state, &policies, standing(1_010), ChangeKind::Deploy);
    assert_eq!(answer.cause(), Some(gate.events[0].0));

    // What a tenant has left is written down, and tells nobody.
    let mut change = match &gate.events[0].1 {
        GateEvent::BudgetChanged(change) => change.clone(),
        other => panic!("{other:?}"),
    };
    change.group = labels(&[("cell", "cell-5"), ("tenant", "std-001")]);
    let told = GateCommand::Changed(vec![change.clone()]);
    assert_eq!(gate.command(&policies, told.clone(), T0 + 3), Ok(1));
    assert_eq!(gate.command(&policies, told, T0 + 4), Ok(0), "told again");
    change.group = cell_5();
    assert_eq!(
        gate.command(&policies, GateCommand::Changed(vec![change]), T0 + 5),
        Ok(0),
        "judged here"
    );
    assert_eq!(gate.effects, 1);

    let bytes = serde_json::to_vec(&gate.state).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<GateState>(&bytes).expect("the same"),
        gate.state
    );
    let (_, event) = &gate.events[0];
    let bytes = serde_json::to_vec(event).expect("JSON");
    assert_eq!(
        &serde_json::from_slice::<GateEvent>(&bytes).expect("the same"),
        event
    );
    let answered = GateEvent::Answered(Box::new(answer));
    let bytes = serde_json::to_vec(&answered).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<GateEvent>(&bytes).expect("the same"),
        answered
    );
}
