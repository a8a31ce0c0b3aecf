//! Runbooks that run: what a step does, what it is judged by, and that no run is mistaken for another.

use jiff::Timestamp;
use mainstay_catalog::runbook::{RunbookDoc, build};
use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_journal::Machine;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::{Act, Effect, EffectBody};
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, CellId, EventId, IncidentId, RunbookId};
use mainstay_runbook::{
    Answer, RunbookCommand, RunbookEvent, RunbookRefusal, RunbookState, Runbooks, StepStatus,
};

const TEXT: &str = "---
title: Trouble
severity: P1
impact: Payments fail
owner: payments
last_reviewed: 2026-01-01
alerts: [A]
---
# Steps

```step id=restart action=restart service=payment-service timeout=5m
Restart it.
```

```step id=here action=scale service=payment-service cell=cell-9 replicas=7 timeout=5m
More of it.
```

```step id=rate action=query expect=\"< 0.01\" timeout=1m
sum(rate(errors[5m]))
```

```step id=look action=manual timeout=1m
Look at it.
```
";

struct Bench {
    state: RunbookState,
    runbooks: Vec<RunbookDoc>,
    events: Vec<(RunbookEvent, Meta)>,
    effects: Vec<Effect>,
    entropy: SeededEntropy,
}

fn incident() -> IncidentId {
    IncidentId::new("2026-03-02-001").expect("a name")
}

impl Bench {
    fn new() -> Self {
        let (documents, mut diagnostics) = Documents::from_texts([("runbooks/trouble.md", TEXT)]);
        let runbooks = build(&documents, &Platform::default(), &mut diagnostics);
        assert_eq!(runbooks.len(), 1, "{}", shown(&diagnostics));
        assert_eq!(runbooks[0].steps.len(), 4, "{}", shown(&diagnostics));
        Self {
            state: RunbookState::default(),
            runbooks,
            events: Vec::new(),
            effects: Vec::new(),
            entropy: SeededEntropy::new(1),
        }
    }

    fn ask(&mut self, command: RunbookCommand) -> Result<usize, RunbookRefusal> {
        let at = Timestamp::UNIX_EPOCH;
        let decided = Runbooks::decide(&self.state, &self.runbooks, command, at)?;
        let count = decided.len();
        for event in decided {
            let meta = Meta {
                id: EventId::generate(at, &self.entropy),
                at,
                actor: Actor::person("ana"),
                cause: None,
            };
            Runbooks::apply(&mut self.state, &event, &meta);
            let reaction = Runbooks::react(&self.state, &self.runbooks, &event, &meta);
            self.effects.extend(reaction.effects);
            self.events.push((event, meta));
        }
        Ok(count)
    }

    fn run(
        &mut self,
        step: &str,
        cell: Option<&str>,
        answer: Option<Answer>,
    ) -> Result<usize, RunbookRefusal> {
        self.run_for(&incident(), step, cell, answer)
    }

    fn run_for(
        &mut self,
        incident: &IncidentId,
        step: &str,
        cell: Option<&str>,
        answer: Option<Answer>,
    ) -> Result<usize, RunbookRefusal> {
        self.ask(RunbookCommand::Run {
            incident: incident.clone(),
            runbook: RunbookId::new("trouble").expect("a name"),
            step: step.to_owned(),
            cell: cell.and_then(|name| CellId::new(name).ok()),
            answer,
        })
    }

    fn finish(&mut self, key: &str, ok: bool) -> Result<usize, RunbookRefusal> {
        self.ask(RunbookCommand::Finished {
            key: key.to_owned(),
            ok,
            text: "revision 7".to_owned(),
        })
    }

    fn keys(&self) -> Vec<&str> {
        self.effects.iter().map(|effect| effect.key.as_str()).collect()
    }

    fn last(&self) -> (StepStatus, String) {
        let incident = incident();
        let (_, run) = self.state.runs_of(&incident).last().expect("a run");
        (run.status.clone(), run.text.clone())
    }
}

fn shown(diagnostics: &Diagnostics) -> String {
    format!("{diagnostics:?}")
}

#[test]
fn a_running_step_is_not_begun_a_second_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("restart", Some("cell-5"), None), Ok(1));
    assert_eq!(
        bench.run("restart", Some("cell-5"), None),
        Err(RunbookRefusal::Running("restart".to_owned()))
    );
    // Another step, and the same step for another incident, may run.
    assert_eq!(bench.run("here", None, None), Ok(1));
    let other = IncidentId::new("2026-03-02-002").expect("a name");
    assert_eq!(bench.run_for(&other, "restart", Some("cell-5"), None), Ok(1));
    let key = "runbook/2026-03-02-001/trouble/restart/1";
    assert_eq!(bench.finish(key, true), Ok(1));
    assert_eq!(
        bench.finish(key, true),
        Err(RunbookRefusal::NotRunning(key.to_owned())),
        "a result is taken once"
    );
    assert_eq!(
        bench.run("restart", Some("cell-5"), None),
        Ok(1),
        "and then it may run again"
    );
    assert_eq!(
        bench.keys(),
        [
            "runbook/2026-03-02-001/trouble/restart/1",
            "runbook/2026-03-02-001/trouble/here/1",
            "runbook/2026-03-02-002/trouble/restart/1",
            "runbook/2026-03-02-001/trouble/restart/2",
        ]
    );
}

#[test]
fn a_step_acts_in_its_own_cell_or_in_the_incident_s() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.run("restart", None, None),
        Err(RunbookRefusal::NoCell("restart".to_owned()))
    );
    bench.run("restart", Some("cell-5"), None).expect("it runs");
    bench.run("here", Some("cell-5"), None).expect("it runs");
    let cells: Vec<&str> = bench
        .effects
        .iter()
        .filter_map(|effect| match &effect.body {
            EffectBody::Act(Act::Restart { cell, .. } | Act::Scale { cell, .. }) => Some(cell.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(cells, ["cell-5", "cell-9"]);
}

#[test]
fn no_data_is_never_what_is_expected() {
    let mut bench = Bench::new();
    let asked = |bench: &mut Bench, values: &[f64]| {
        assert_eq!(
            bench.run("rate", None, Some(Answer::Values(values.to_vec()))),
            Ok(2)
        );
        bench.last()
    };
    assert_eq!(asked(&mut bench, &[]), (StepStatus::Failed, "no data".to_owned()));
    assert_eq!(
        asked(&mut bench, &[f64::NAN]),
        (StepStatus::Failed, "NaN".to_owned())
    );
    assert_eq!(
        asked(&mut bench, &[0.001]),
        (StepStatus::Done, "0.001".to_owned())
    );
    assert_eq!(
        asked(&mut bench, &[0.001, 0.5]).0,
        StepStatus::Failed,
        "every series counts"
    );
    assert_eq!(asked(&mut bench, &[0.001, f64::NAN]).0, StepStatus::Failed);
    assert_eq!(asked(&mut bench, &[0.01]).0, StepStatus::Failed);
    assert_eq!(
        bench.run("rate", None, None),
        Err(RunbookRefusal::NoAnswer("rate".to_owned()))
    );
    assert_eq!(
        bench.run("rate", None, Some(Answer::Seen("looks fine".to_owned()))),
        Err(RunbookRefusal::NoAnswer("rate".to_owned())),
        "what somebody saw is not what the metrics say"
    );
    assert!(bench.effects.is_empty(), "asking changes nothing");
}

#[test]
fn what_a_human_saw_is_written_down() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.run("look", None, Some(Answer::Seen("all red".to_owned()))),
        Ok(2)
    );
    assert_eq!(bench.last(), (StepStatus::Done, "all red".to_owned()));
    assert_eq!(
        bench.run("look", None, Some(Answer::Values(vec![1.0]))),
        Err(RunbookRefusal::NoAnswer("look".to_owned()))
    );
}

#[test]
fn unknown_names_are_answered_with_what_there_is() {
    let mut bench = Bench::new();
    let refused = bench
        .run("reboot", None, None)
        .expect_err("no such step")
        .to_string();
    assert_eq!(
        refused,
        r#"runbook trouble has no step "reboot"; its steps are restart, here, rate, look"#
    );
    let unknown = RunbookCommand::Run {
        incident: incident(),
        runbook: RunbookId::new("nothing").expect("a name"),
        step: "restart".to_owned(),
        cell: None,
        answer: None,
    };
    assert!(matches!(
        bench.ask(unknown),
        Err(RunbookRefusal::UnknownRunbook(_))
    ));
}

/// A key that came back would be an act that the outbox takes for done.
#[test]
fn keys_count_up_although_old_runs_are_forgotten() {
    let mut bench = Bench::new();
    for number in 1..=2_100 {
        bench.run("restart", Some("cell-5"), None).expect("it runs");
        let key = format!("runbook/2026-03-02-001/trouble/restart/{number}");
        assert_eq!(bench.keys().last(), Some(&key.as_str()));
        bench.finish(&key, number % 2 == 0).expect("it was running");
    }
    assert_eq!(bench.state.runs_of(&incident()).count(), 2_000, "bounded");
}

#[test]
fn the_journal_gives_the_same_state_back() {
    let mut bench = Bench::new();
    bench.run("restart", Some("cell-5"), None).expect("it runs");
    bench
        .finish("runbook/2026-03-02-001/trouble/restart/1", false)
        .expect("it was running");
    bench
        .run("rate", None, Some(Answer::Values(vec![0.5])))
        .expect("it runs");
    bench.run("here", None, None).expect("it runs");
    let mut replayed = RunbookState::default();
    for (event, meta) in &bench.events {
        let text = serde_json::to_string(event).expect("events are JSON");
        let read: RunbookEvent = serde_json::from_str(&text).expect("they can be read");
        assert_eq!(read, *event);
        Runbooks::apply(&mut replayed, &read, meta);
    }
    assert_eq!(replayed, bench.state);
}
