//! What people do: phases, notes, changes, acknowledgements, and the timeline of it all.

use jiff::{SignedDuration, Timestamp};
use mainstay_incident::model::LinkedChange;
use mainstay_incident::{IncidentCommand, IncidentRefusal, Phase, TimelineKind};
use mainstay_kernel::effect::{Channel, Recipient};
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded, Delivered};
use mainstay_kernel::{EventId, IncidentId, RunbookId, Scope, Severity};

use crate::bench::{Bench, acknowledged, cell};

fn change(number: u8, kind: ChangeKind, scope: Scope, at: Timestamp) -> LinkedChange {
    LinkedChange {
        event: EventId::from_bytes([number; 16]),
        change: ChangeRecorded {
            id: number.to_string(),
            source: "/ci".to_owned(),
            kind,
            scope,
            from_version: None,
            to_version: None,
            summary: format!("change {number}"),
            at,
            cause: None,
        },
    }
}

fn open(bench: &mut Bench) -> IncidentId {
    bench.fire("g1", &cell("c1"), Severity::P1, &["A"]);
    bench.last().id.clone()
}

#[test]
fn work_moves_it_through_its_phases_and_never_back_by_itself() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    assert_eq!(bench.incident(&id).phase, Phase::Detection);
    assert_eq!(
        bench.does(acknowledged(&id, "ana")),
        ["acknowledged", "phase_changed"]
    );
    assert_eq!(bench.incident(&id).phase, Phase::Triage);
    let step = IncidentCommand::RunbookStep {
        incident: id.clone(),
        runbook: RunbookId::new("r").expect("a name"),
        step: "restart".to_owned(),
        ok: true,
        text: "done".to_owned(),
    };
    assert_eq!(bench.does(step.clone()), ["runbook_step", "phase_changed"]);
    assert_eq!(bench.incident(&id).phase, Phase::Mitigation);
    assert_eq!(bench.does(acknowledged(&id, "ben")), ["acknowledged"]);
    assert_eq!(bench.does(step), ["runbook_step"]);
    let (_, by) = bench.incident(&id).acknowledged.clone().expect("acknowledged");
    assert_eq!(by.to_string(), "person:ana", "the first one has it");
    // People may move it as they like, also back.
    let to = |to| IncidentCommand::SetPhase {
        incident: id.clone(),
        to,
    };
    assert_eq!(bench.does(to(Phase::Triage)), ["phase_changed"]);
    assert!(matches!(
        bench.ask(to(Phase::Triage)),
        Err(IncidentRefusal::NoChange { .. })
    ));
    bench.over("g1", &["A"]);
    bench.resolve(&id);
    assert_eq!(bench.incident(&id).phase, Phase::PostMortem);
    assert_eq!(
        bench.ask(to(Phase::Triage)),
        Err(IncidentRefusal::AlreadyResolved(id.clone()))
    );
}

#[test]
fn a_change_is_linked_once_where_it_happened() {
    let mut bench = Bench::new();
    let before = bench.now - SignedDuration::from_mins(5);
    let deploy = change(1, ChangeKind::Deploy, cell("c1"), before);
    let fact = bench.fired("g1", &cell("c1"), Severity::P1, &["A"]);
    bench.does(IncidentCommand::AlertsFired {
        fact,
        impact: None,
        changes: vec![deploy.clone()],
        pages: true,
    });
    let tell = |bench: &mut Bench, change: &LinkedChange| {
        bench.does(IncidentCommand::Change {
            change: change.clone(),
        })
    };
    assert_eq!(tell(&mut bench, &deploy), [""; 0], "it is linked already");
    let elsewhere = change(2, ChangeKind::Deploy, cell("c2"), bench.now);
    assert_eq!(tell(&mut bench, &elsewhere), [""; 0]);
    let rollback = change(3, ChangeKind::Rollback, cell("c1"), bench.now);
    assert_eq!(tell(&mut bench, &rollback), ["change_linked", "phase_changed"]);
    assert_eq!(tell(&mut bench, &rollback), [""; 0]);
    assert_eq!(bench.last().changes.len(), 2);
    assert_eq!(bench.last().phase, Phase::Mitigation);
}

/// What was learnt late stands where it happened; what happened at one instant stands in the order in which it became
/// known.
#[test]
fn the_timeline_is_in_order_of_time() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let start = bench.now;
    bench.pass(20);
    let late = change(
        1,
        ChangeKind::Deploy,
        cell("c1"),
        start - SignedDuration::from_mins(15),
    );
    bench.does(IncidentCommand::Change { change: late });
    bench.does(IncidentCommand::Note {
        incident: id.clone(),
        text: "it was the deploy".to_owned(),
    });
    let recovered = start + SignedDuration::from_mins(10);
    bench.measure(&id, crate::bench::impact(&["t1"], 3, recovered), Some(recovered));
    let entries = bench.incident(&id).timeline_by_time();
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| format!("{:+} {}", entry.at.duration_since(start).as_mins(), entry.text))
        .collect();
    assert_eq!(
        lines,
        [
            "-15 change 1",
            "+0 declared P1: A in c1",
            "+0 firing: A",
            "+0 page 2026-03-02-001-p1 asked for",
            "+10 last failing request; recovered",
            "+20 it was the deploy",
            "+20 3 of 30 requests failed, 1 tenant(s) hit",
            "+20 phase detection to investigation",
        ]
    );
    let events: std::collections::BTreeSet<EventId> = entries.iter().map(|entry| entry.event).collect();
    assert_eq!(events.len(), entries.len(), "each line names the event behind it");
    assert_eq!(entries[0].kind, TimelineKind::Change);
}

#[test]
fn the_first_delivered_page_counts_and_only_pages_do() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let delivered = |page: bool, incident: &IncidentId| IncidentCommand::PageDelivered {
        delivered: Delivered {
            key: "k".to_owned(),
            channel: Channel::Email,
            to: Recipient::Receiver("team".to_owned()),
            page: page.then(|| "p1".parse().expect("a name")),
            incident: Some(incident.clone()),
            receipt: "250 ok".to_owned(),
            attempt: 2,
            possible_duplicate: true,
        },
    };
    assert_eq!(bench.does(delivered(false, &id)), [""; 0], "for information only");
    bench.pass(1);
    let first = bench.now;
    assert_eq!(bench.does(delivered(true, &id)), ["page_delivered"]);
    bench.pass(1);
    bench.does(delivered(true, &id));
    assert_eq!(bench.incident(&id).page_delivered_at, Some(first));
    let last = bench
        .incident(&id)
        .timeline
        .last()
        .map(|entry| entry.text.clone());
    assert_eq!(
        last.as_deref(),
        Some("page delivered to team by email (attempt 2, possibly a second time)")
    );
    let unknown = IncidentId::new("2020-01-01-001").expect("a name");
    assert_eq!(bench.does(delivered(true, &unknown)), [""; 0]);
    assert_eq!(bench.does(acknowledged(&unknown, "ana")), [""; 0]);
}

#[test]
fn texts_have_limits() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let note = |text: String| IncidentCommand::Note {
        incident: id.clone(),
        text,
    };
    for bad in [String::new(), " \n".to_owned(), "x".repeat(4_097)] {
        let refused = bench.ask(note(bad)).expect_err("refused").to_string();
        assert_eq!(refused, "a note must have 1 to 4096 bytes");
    }
    assert_eq!(bench.does(note("x".repeat(4_096))), ["noted"]);
    let unknown = IncidentId::new("2020-01-01-001").expect("a name");
    assert_eq!(
        bench.ask(IncidentCommand::Note {
            incident: unknown.clone(),
            text: "x".to_owned()
        }),
        Err(IncidentRefusal::Unknown(unknown))
    );
}

#[test]
fn only_a_worse_severity_pages() {
    let mut bench = Bench::new();
    let id = bench.declare(Severity::P3, "slow", cell("c1"));
    assert_eq!(bench.incident(&id).pages.len(), 0);
    let mut set = |to: Severity| {
        bench.ask(IncidentCommand::SetSeverity {
            incident: id.clone(),
            to,
            reason: "because".to_owned(),
        })
    };
    assert_eq!(set(Severity::P2).expect("another"), ["severity_changed"]);
    assert_eq!(
        set(Severity::P1).expect("another"),
        ["severity_changed", "page_requested"]
    );
    assert!(matches!(set(Severity::P1), Err(IncidentRefusal::NoChange { .. })));
    assert_eq!(
        set(Severity::P0).expect("another"),
        ["severity_changed", "page_requested"]
    );
    assert_eq!(set(Severity::P1).expect("another"), ["severity_changed"]);
}

#[test]
fn a_long_incident_keeps_a_bounded_timeline() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    for number in 0..mainstay_incident::model::TIMELINE_AT_HAND + 10 {
        bench.does(IncidentCommand::Note {
            incident: id.clone(),
            text: format!("note {number}"),
        });
    }
    assert_eq!(
        bench.incident(&id).timeline.len(),
        mainstay_incident::model::TIMELINE_AT_HAND
    );
}
