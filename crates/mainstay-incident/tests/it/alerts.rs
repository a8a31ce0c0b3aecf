//! Alerts and incidents.

use mainstay_incident::{IncidentCommand, IncidentRefusal};
use mainstay_kernel::{Scope, Severity, TenantId};

use crate::bench::{Bench, alert, cell};

const DECLARED: [&str; 3] = ["declared", "alerts_attached", "page_requested"];

#[test]
fn what_fails_in_one_place_at_one_time_is_one_incident() {
    let mut bench = Bench::new();
    assert_eq!(bench.fire("g1", &cell("c1"), Severity::P1, &["A"]), DECLARED);
    bench.pass(5);
    // Another group, service and tenant, the same cell: the same incident, and no second page.
    let other = Scope {
        tenant: TenantId::new("t1").ok(),
        ..cell("c1")
    };
    assert_eq!(
        bench.fire("g2", &other, Severity::P1, &["B"]),
        ["alerts_attached"]
    );
    // Another alert in another cell, a while later, is another incident.
    bench.pass(1);
    assert_eq!(bench.fire("g3", &cell("c2"), Severity::P1, &["C"]), DECLARED);
    assert_eq!(bench.state.open().count(), 2);
    let names: Vec<&str> = bench.state.all().map(|incident| incident.id.as_str()).collect();
    assert_eq!(names, ["2026-03-02-001", "2026-03-02-002"]);
    assert_eq!(bench.replayed(), bench.state);
}

#[test]
fn what_pages_nobody_declares_nothing_but_joins_what_is_open() {
    let mut bench = Bench::new();
    for severity in [Severity::P2, Severity::P3] {
        assert_eq!(bench.fire("g1", &cell("c1"), severity, &["A"]), [""; 0]);
    }
    bench.fire("g2", &cell("c1"), Severity::P1, &["B"]);
    assert_eq!(
        bench.fire("g1", &cell("c1"), Severity::P2, &["A"]),
        ["alerts_attached"]
    );
}

#[test]
fn a_worse_alert_makes_it_worse_and_pages_anew() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P1, &["A"]);
    assert_eq!(
        bench.fire("g1", &cell("c1"), Severity::P0, &["A", "B"]),
        ["alerts_attached", "severity_changed", "page_requested"]
    );
    let incident = bench.last();
    assert_eq!(incident.severity, Severity::P0);
    let pages: Vec<&str> = incident.pages.iter().map(|page| page.as_str()).collect();
    assert_eq!(pages, ["2026-03-02-001-p1", "2026-03-02-001-p2"]);
    // A milder one does not make it better.
    bench.fire("g2", &cell("c1"), Severity::P1, &["C"]);
    assert_eq!(bench.last().severity, Severity::P0);
}

#[test]
fn the_same_alerts_told_again_are_no_news() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P1, &["A", "B"]);
    assert_eq!(bench.fire("g1", &cell("c1"), Severity::P1, &["A", "B"]), [""; 0]);
}

#[test]
fn all_clear_when_the_last_alert_ends_and_not_before() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P1, &["A"]);
    bench.fire("g2", &cell("c1"), Severity::P1, &["B"]);
    assert_eq!(bench.over("g1", &["A"]), ["alerts_cleared"]);
    assert_eq!(bench.last().all_clear_at, None);
    bench.pass(3);
    assert_eq!(bench.over("g2", &["B"]), ["alerts_cleared", "all_clear"]);
    assert_eq!(bench.last().all_clear_at, Some(bench.now));
    assert_eq!(bench.over("g2", &["B"]), [""; 0], "told twice, noted once");
    // It fires again: attached anew, nothing is clear, and whoever had it is paged again.
    assert_eq!(
        bench.fire("g2", &cell("c1"), Severity::P1, &["B"]),
        ["alerts_attached", "page_requested"]
    );
    assert_eq!(bench.last().all_clear_at, None);
    assert_eq!(bench.last().firing().count(), 1);
}

/// A group tells of one alert less and one more: the one that is missing is over, and must not keep the incident open.
#[test]
fn what_a_group_no_longer_names_is_over() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P1, &["A", "B"]);
    bench.fire("g2", &cell("c1"), Severity::P1, &["X"]);
    assert_eq!(
        bench.fire("g1", &cell("c1"), Severity::P1, &["B", "C"]),
        ["alerts_cleared", "alerts_attached"]
    );
    let mut names: Vec<&str> = bench.last().firing().map(|alert| alert.name()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["B", "C", "X"],
        "another group's alerts are not this group's business"
    );
    bench.over("g2", &["X"]);
    assert_eq!(bench.over("g1", &["B", "C"]), ["alerts_cleared", "all_clear"]);
    let id = bench.last().id.clone();
    bench.resolve(&id);
}

#[test]
fn it_is_not_resolved_while_alerts_fire_unless_somebody_says_why() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P1, &["A", "B"]);
    let id = bench.last().id.clone();
    let resolve = |force: Option<&str>| IncidentCommand::Resolve {
        incident: id.clone(),
        force: force.map(ToOwned::to_owned),
    };
    let refused = bench.ask(resolve(None)).expect_err("alerts fire").to_string();
    assert!(refused.contains("still has 2 firing"), "{refused}");
    assert!(matches!(
        bench.ask(resolve(Some("  "))),
        Err(IncidentRefusal::Text { .. })
    ));
    assert_eq!(bench.does(resolve(Some("the alert is wrong"))), ["resolved"]);
    let last = bench
        .incident(&id)
        .timeline
        .last()
        .map(|entry| entry.text.clone());
    assert_eq!(
        last.as_deref(),
        Some("resolved although alerts fire: the alert is wrong")
    );
    assert_eq!(
        bench.ask(resolve(None)),
        Err(IncidentRefusal::AlreadyResolved(id.clone()))
    );
    // What comes after belongs to a new one.
    assert_eq!(bench.fire("g1", &cell("c1"), Severity::P1, &["A", "C"]), DECLARED);
    assert_eq!(bench.last().id.as_str(), "2026-03-02-002");
}

#[test]
fn force_without_need_is_not_written_down_as_force() {
    let mut bench = Bench::new();
    let id = bench.declare(Severity::P2, "slow", cell("c1"));
    bench.does(IncidentCommand::Resolve {
        incident: id.clone(),
        force: Some("done".to_owned()),
    });
    let last = bench
        .incident(&id)
        .timeline
        .last()
        .map(|entry| entry.text.clone());
    assert_eq!(last.as_deref(), Some("resolved"));
}

#[test]
fn the_thousandth_incident_of_a_day_has_an_id_of_its_own() {
    let mut bench = Bench::new();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..1_005 {
        let id = bench.declare(Severity::P3, "small", Scope::platform());
        bench.resolve(&id);
        assert!(ids.insert(id.clone()), "{id} twice");
    }
    assert!(ids.iter().any(|id| id.as_str() == "2026-03-02-1005"));
    bench.pass(24 * 60);
    let id = bench.declare(Severity::P3, "small", Scope::platform());
    assert_eq!(id.as_str(), "2026-03-03-001");
}

#[test]
fn the_state_is_bounded_and_what_was_just_resolved_is_kept() {
    let mut bench = Bench::new();
    let old = bench.declare(Severity::P3, "old", cell("c1"));
    for _ in 0..mainstay_incident::model::ENDED_AT_HAND + 20 {
        bench.pass(1);
        let id = bench.declare(Severity::P3, "small", cell("c2"));
        bench.resolve(&id);
    }
    bench.pass(1);
    bench.resolve(&old);
    assert_eq!(bench.state.all().count(), mainstay_incident::model::ENDED_AT_HAND);
    assert!(
        bench.state.get(&old).is_some(),
        "the oldest by its beginning, the newest by its end"
    );
}

/// Nobody closed it and all was over: who took it on may be asleep by now.
#[test]
fn what_begins_again_after_all_was_over_pages_again() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P0, &["A"]);
    let id = bench.state.open().next().expect("it is open").id.clone();
    bench.fire("g1", &cell("c1"), Severity::P0, &["A", "B"]);
    assert_eq!(
        bench.state.get(&id).expect("it").pages.len(),
        1,
        "more of the same is no news"
    );
    bench.over("g1", &["A", "B"]);
    let kinds = bench.fire("g1", &cell("c1"), Severity::P0, &["C"]);
    assert!(kinds.contains(&"page_requested"), "{kinds:?}");
    assert_eq!(bench.state.get(&id).expect("it").pages.len(), 2);
}

/// An open incident of one cell does not hide that the platform is down, nor does it hide another cell.
#[test]
fn what_concerns_more_is_an_incident_of_its_own() {
    let mut bench = Bench::new();
    bench.fire("g1", &cell("c1"), Severity::P0, &["A"]);
    bench.pass(6);
    let kinds = bench.fire("g2", &Scope::platform(), Severity::P0, &["Absent"]);
    assert!(
        kinds.contains(&"declared") && kinds.contains(&"page_requested"),
        "{kinds:?}"
    );
    // The other way round it is part of it.
    let kinds = bench.fire("g3", &cell("c2"), Severity::P0, &["B"]);
    assert_eq!(kinds, ["alerts_attached"]);
}

/// An alert whose receiver pages nobody is evidence, never an incident.
#[test]
fn a_receiver_that_pages_nobody_begins_no_incident() {
    let mut bench = Bench::new();
    let quiet = |bench: &Bench, name: &str| IncidentCommand::AlertsFired {
        fact: bench.fired("quiet", &cell("c1"), Severity::P0, &[name]),
        impact: None,
        changes: Vec::new(),
        pages: false,
    };
    let command = quiet(&bench, "Staging");
    assert!(bench.does(command).is_empty());
    bench.fire("g1", &cell("c1"), Severity::P1, &["A"]);
    let command = quiet(&bench, "PoolHigh");
    let kinds = bench.does(command);
    assert!(kinds.contains(&"alerts_attached"), "{kinds:?}");
}

/// The clock of a sender is not ours: an alert of 1970 does not make an incident of half a century.
#[test]
fn an_incident_began_a_day_ago_at_the_earliest() {
    let mut bench = Bench::new();
    let mut fact = bench.fired("g1", &cell("c1"), Severity::P0, &["A"]);
    fact.firing[0].starts_at = jiff::Timestamp::UNIX_EPOCH;
    bench.does(IncidentCommand::AlertsFired {
        fact,
        impact: None,
        changes: Vec::new(),
        pages: true,
    });
    let began = bench.state.open().next().expect("it is open").began_at;
    assert_eq!(
        bench.now.duration_since(began),
        jiff::SignedDuration::from_hours(24)
    );
}

/// One that goes on for long, or through a storm, does not grow with every alert that came and went.
#[test]
fn of_alerts_that_are_over_those_that_ended_last_are_kept() {
    use mainstay_incident::model::{ENDED_ALERTS_AT_HAND, ENDED_ALERTS_AT_HAND_RESOLVED};

    let mut bench = Bench::new();
    bench.fire("stays", &cell("c1"), Severity::P1, &["Stays"]);
    let batch = 500;
    let batches = ENDED_ALERTS_AT_HAND / batch + 4;
    for number in 0..batches {
        let names: Vec<String> = (0..batch).map(|n| format!("A{number}-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        bench.fire("storm", &cell("c1"), Severity::P1, &names);
        bench.pass(1);
        bench.over("storm", &names);
    }
    let is_kept = |bench: &Bench, name: &str| {
        let id = alert(name, bench.now).fingerprint;
        bench
            .state
            .all()
            .any(|incident| incident.alerts.contains_key(&id))
    };
    let kept = bench.last().alerts.len();
    assert!(
        (ENDED_ALERTS_AT_HAND..=ENDED_ALERTS_AT_HAND + batch + 1).contains(&kept),
        "{kept}"
    );
    let newest = format!("A{}-0", batches - 1);
    assert!(!is_kept(&bench, "A0-0") && is_kept(&bench, &newest));
    assert!(is_kept(&bench, "Stays"), "what fires is kept however many ended");
    assert_eq!(bench.last().firing().count(), 1);
    bench.over("stays", &["Stays"]);
    bench.pass(1);
    let id = bench.last().id.clone();
    bench.resolve(&id);
    assert_eq!(bench.last().alerts.len(), ENDED_ALERTS_AT_HAND_RESOLVED);
    assert!(is_kept(&bench, "Stays"), "the last to end");
    assert_eq!(bench.replayed(), bench.state);
}
