//! In shadow all is decided and written down, and nothing leaves: no message, no page, no act on the platform.

use mainstay_alert::AlertCommand;
use mainstay_alert::shadow::CutOf;
use mainstay_delivery::DeliveryEvent;
use mainstay_journal::runner::decode;
use mainstay_kernel::{CellId, IncidentId, RunbookId};
use mainstay_oncall::OncallCommand;
use mainstay_plane::Command;
use mainstay_runbook::{RunbookCommand, RunbookEvent};

use crate::bench::{Bench, changed};

const P1: &str = "cell=cell-5 priority=P1 job=payment-service";

/// The payments platform, all of it in shadow but what has no label `priority`.
fn in_shadow() -> Bench {
    Bench::over(changed("routing.yaml", |text| {
        let written = "    receiver: monitoring\n    group_by";
        let text = text.replace(
            written,
            "    receiver: monitoring\n    shadow: true\n    group_by",
        );
        text.replace(
            "      - receiver: on-call\n        matchers: ['priority=\"\"'",
            "      - receiver: on-call\n        shadow: false\n        matchers: ['priority=\"\"'",
        )
    }))
}

fn incident(name: &str) -> IncidentId {
    IncidentId::new(name).expect("an id")
}

fn run_rollback(bench: &Bench, of: &str) {
    bench.submit(Command::Runbook(RunbookCommand::Run {
        incident: incident(of),
        runbook: RunbookId::new("high-error-rate").expect("an id"),
        step: "rollback".to_owned(),
        cell: Some(CellId::new("cell-5").expect("an id")),
        answer: None,
    }));
    bench.work();
}

/// What became of the acts: whether they were done, and in which words.
fn acts(bench: &Bench) -> Vec<(bool, String)> {
    let records = bench.records().into_iter();
    let of_runbook = records.filter(|record| record.envelope.kind == "runbook.step_finished");
    let finished = of_runbook.filter_map(|record| match decode(&record).expect("readable")? {
        RunbookEvent::StepFinished { ok, text, .. } => Some((ok, text)),
        RunbookEvent::StepStarted { .. } => None,
    });
    finished.collect()
}

/// The keys of what was held back.
fn withheld(bench: &Bench) -> Vec<String> {
    let records = bench.records().into_iter();
    let of_delivery = records.filter(|record| record.envelope.kind == "delivery.withheld");
    let held = of_delivery.filter_map(|record| match decode(&record).expect("readable")? {
        DeliveryEvent::Withheld { key, .. } => Some(key),
        _ => None,
    });
    held.collect()
}

#[test]
fn nothing_of_an_incident_in_shadow_leaves() {
    let bench = in_shadow();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    // Nobody acknowledges: others are called, by other channels, and that is recorded too.
    bench.pass(30);
    run_rollback(&bench, "2026-03-02-001");
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: incident("2026-03-02-001"),
        by: None,
    }));
    bench.observe("HighErrorRate", P1, true);
    bench.pass(5);
    assert_eq!(bench.sent(), [], "no message left");
    assert_eq!(
        bench.acted(),
        [] as [String; 0],
        "nothing was done to the platform"
    );
    let held = withheld(&bench);
    let has = |part: &str| held.iter().any(|key| key.contains(part));
    assert!(has("/chat/#alerts") && has("2026-03-02-001-p1"), "{held:?}");
    assert!(held.len() > 5, "the page climbs as ever: {held:?}");
    let [(done, words)] = &acts(&bench)[..] else {
        panic!("one step: {:?}", acts(&bench));
    };
    assert!(!done && words.contains("in shadow"), "{words}");
}

#[test]
fn what_is_not_in_shadow_leaves_as_ever_and_so_does_what_is_cut_over() {
    let bench = in_shadow();
    bench.observe("Shadowed", P1, false);
    bench.observe("Live", "cell=cell-1 severity=critical job=payment-service", false);
    bench.work();
    let sent = bench.sent();
    assert!(
        !sent.is_empty() && sent.iter().all(|(_, subject)| subject.contains("Live")),
        "{sent:?}"
    );
    run_rollback(&bench, "2026-03-02-001");
    assert_eq!(bench.acted(), [] as [String; 0]);
    run_rollback(&bench, "2026-03-02-002");
    assert_eq!(
        bench.acted(),
        ["runbook/2026-03-02-002/high-error-rate/rollback/1"]
    );
    // What fires is told now, as an incident of its own: that of the shadow stays there.
    let cut = |live| {
        let of = CutOf::Route("{priority=~\"P[01]\"}".to_owned());
        bench.submit(Command::Alert(AlertCommand::CutOver { of, live }));
        bench.work();
    };
    // Later than that it would be the same outage.
    bench.pass(10);
    let before = bench.sent().len();
    cut(Some(true));
    let sent = bench.sent().split_off(before);
    assert!(
        sent.iter().any(|(key, _)| key.contains("2026-03-02-003-p1")),
        "{sent:?}"
    );
    assert!(
        sent.iter().all(|(_, subject)| subject.contains("Shadowed")),
        "{sent:?}"
    );
    run_rollback(&bench, "2026-03-02-003");
    run_rollback(&bench, "2026-03-02-001");
    assert_eq!(bench.acted().len(), 2, "{:?}", bench.acted());
    cut(Some(false));
    let before = bench.sent().len();
    bench.observe("Later", "cell=cell-4 priority=P0 job=payment-service", false);
    bench.work();
    assert_eq!(
        bench.sent().split_off(before),
        [],
        "what begins now is in shadow again"
    );
}
