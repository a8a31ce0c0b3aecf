//! What counts say: severity by rule, recovery and relapse.

use mainstay_incident::{Impact, IncidentCommand, Phase};
use mainstay_kernel::{IncidentId, Severity};

use crate::bench::{Bench, cell, impact};

fn open(bench: &mut Bench) -> IncidentId {
    bench.fire("g1", &cell("c1"), Severity::P1, &["A"]);
    bench.last().id.clone()
}

/// Ruling R26: several tenants is P0, and the change from P1 is on record.
#[test]
fn several_tenants_make_it_a_p0() {
    let mut bench = Bench::new();
    let fact = bench.fired("g1", &cell("c1"), Severity::P1, &["A"]);
    let began = bench.now - jiff::SignedDuration::from_mins(3);
    let hit = Impact {
        first_bad_at: Some(began),
        ..impact(&["t1", "t2"], 5, bench.now)
    };
    let kinds = bench.does(IncidentCommand::AlertsFired {
        fact,
        impact: Some(hit),
        changes: Vec::new(),
        pages: true,
    });
    assert_eq!(
        kinds,
        [
            "declared",
            "alerts_attached",
            "impact_measured",
            "severity_changed",
            "page_requested"
        ]
    );
    let incident = bench.last();
    assert_eq!(
        (incident.severity, incident.pages.len()),
        (Severity::P0, 1),
        "one page, for the P0"
    );
    assert_eq!(
        incident.began_at, began,
        "it began with the first failure, not with the alert"
    );
    assert_eq!(incident.title, "A in c1, 2 tenants");
    let texts: Vec<&str> = incident
        .timeline
        .iter()
        .map(|entry| entry.text.as_str())
        .collect();
    assert!(texts.contains(&"severity P1 to P0: 2 tenants are affected (rule: multiple tenants)"));
}

#[test]
fn a_second_tenant_makes_it_worse_later() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let now = bench.now;
    assert_eq!(
        bench.measure(&id, impact(&["t1"], 5, now), None),
        ["impact_measured"]
    );
    assert_eq!(
        bench.measure(&id, impact(&["t1", "t2"], 9, now), None),
        ["impact_measured", "severity_changed", "page_requested"]
    );
    assert_eq!(bench.incident(&id).severity, Severity::P0);
}

/// A human who calls it a P2 is not overruled every ten seconds by what was known when they said so.
#[test]
fn the_rule_does_not_overrule_a_human_without_news() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let now = bench.now;
    bench.measure(&id, impact(&["t1", "t2"], 9, now), None);
    bench.does(IncidentCommand::SetSeverity {
        incident: id.clone(),
        to: Severity::P2,
        reason: "test tenants".to_owned(),
    });
    assert_eq!(bench.measure(&id, impact(&["t1", "t2"], 12, now), None), [""; 0]);
    assert_eq!(bench.incident(&id).severity, Severity::P2);
    bench.measure(&id, impact(&["t1", "t2", "t3"], 20, now), None);
    assert_eq!(
        bench.incident(&id).severity,
        Severity::P0,
        "a third tenant is news"
    );
}

#[test]
fn only_news_are_written_down() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    for bad in 1..100 {
        bench.pass(1);
        let now = bench.now;
        bench.measure(&id, impact(&["t1"], bad, now), None);
    }
    let measured = bench
        .events
        .iter()
        .filter(|(event, _)| matches!(event, mainstay_incident::IncidentEvent::ImpactMeasured { .. }));
    assert_eq!(measured.count(), 1);
}

#[test]
fn it_recovers_relapses_and_recovers() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let first = bench.now;
    bench.measure(&id, impact(&["t1"], 5, first), None);
    bench.pass(10);
    assert_eq!(
        bench.measure(&id, impact(&["t1"], 5, first), Some(first)),
        ["impact_measured", "recovered", "phase_changed"]
    );
    let incident = bench.incident(&id);
    assert_eq!(
        incident.mitigated_at,
        Some(first),
        "when the last request failed, not when it was noticed"
    );
    assert_eq!(incident.phase, Phase::Investigation);
    assert_eq!(
        bench.measure(&id, impact(&["t1"], 5, first), Some(first)),
        [""; 0]
    );

    bench.pass(10);
    let second = bench.now;
    assert_eq!(
        bench.measure(&id, impact(&["t1"], 9, second), None),
        ["impact_measured", "relapsed"]
    );
    assert_eq!(bench.incident(&id).mitigated_at, None);
    assert_eq!(bench.measure(&id, impact(&["t1"], 9, second), None), [""; 0]);
    bench.pass(5);
    bench.measure(&id, impact(&["t1"], 9, second), Some(second));
    assert_eq!(bench.incident(&id).mitigated_at, Some(second));
    assert_eq!(bench.replayed(), bench.state);
}

/// Trouble that came and went between two measurements: the end of the trouble moves, once.
#[test]
fn a_relapse_that_is_over_when_it_is_seen_is_noted_once() {
    let mut bench = Bench::new();
    let id = open(&mut bench);
    let first = bench.now;
    bench.measure(&id, impact(&["t1"], 5, first), Some(first));
    bench.pass(10);
    let second = bench.now;
    bench.pass(2);
    let again = impact(&["t1"], 9, second);
    assert_eq!(
        bench.measure(&id, again.clone(), Some(second)),
        ["impact_measured", "relapsed", "recovered"]
    );
    assert_eq!(bench.incident(&id).mitigated_at, Some(second));
    for _ in 0..10 {
        assert_eq!(bench.measure(&id, again.clone(), Some(second)), [""; 0]);
    }
}
