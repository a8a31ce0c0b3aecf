//! The outage of 2025-01-15 as the specification tells it, and a second one with another cause.

use jiff::SignedDuration;
use jiff::Timestamp;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{CellId, IncidentId, Scope, ServiceId, Severity};
use mainstay_review::facts::{AlertLine, BudgetCost, TimelineLine};
use mainstay_review::{Facts, draft, suspects};

fn at(clock: &str) -> Timestamp {
    format!("2025-01-15T{clock}:00Z").parse().expect("an instant")
}

fn scope(service: &str) -> Scope {
    Scope {
        cell: CellId::new("cell-5").ok(),
        service: ServiceId::new(service).ok(),
        ..Scope::default()
    }
}

fn change(kind: ChangeKind, clock: &str, service: &str, from: &str, to: &str) -> ChangeRecorded {
    ChangeRecorded {
        id: clock.to_owned(),
        source: "/supervisor/cell-5".to_owned(),
        kind,
        scope: scope(service),
        from_version: Some(from.to_owned()),
        to_version: Some(to.to_owned()),
        summary: format!("{service} {from} to {to} in cell-5"),
        at: at(clock),
        cause: None,
    }
}

fn outage() -> Facts {
    Facts {
        incident: IncidentId::new("2025-01-15-001").expect("a name"),
        title: "Payments failing in cell-5, 2 tenants".to_owned(),
        severity: Severity::P0,
        scope: scope("payment-service"),
        began_at: at("10:15"),
        began_within: SignedDuration::from_secs(10),
        detected_at: at("10:18"),
        page_delivered_at: Some(at("10:18")),
        acknowledged: Some((at("10:20"), "person:engineer-a".to_owned())),
        mitigated_at: Some(at("10:33")),
        resolved_at: Some(at("10:40")),
        tenants: vec!["STD-009".to_owned(), "STD-010".to_owned()],
        bad: 36_000,
        total: 240_000,
        budgets: vec![BudgetCost {
            slo: "api-availability, cell-5".to_owned(),
            target: "99.95%".parse().expect("a ratio"),
            allowed: 120,
            spent_by_incident: 36_000,
            spent: 36_000,
        }],
        alerts: vec![AlertLine {
            name: "DatabaseConnectionPoolHigh".to_owned(),
            summary: "Database connection pool utilization high".to_owned(),
            scope: scope("payment-service"),
            starts_at: at("10:17"),
            ended_at: Some(at("10:35")),
        }],
        changes: vec![
            change(
                ChangeKind::Configuration,
                "09:50",
                "notification-service",
                "a",
                "b",
            ),
            change(ChangeKind::Deploy, "10:00", "payment-service", "v1.5.0", "v1.6.0"),
            change(
                ChangeKind::Rollback,
                "10:32",
                "payment-service",
                "v1.6.0",
                "v1.5.0",
            ),
        ],
        timeline: vec![
            TimelineLine {
                at: at("10:00"),
                text: "payment-service v1.5.0 to v1.6.0".to_owned(),
                actor: "token:ci".to_owned(),
            },
            TimelineLine {
                at: at("10:18"),
                text: "declared P0 | pipes stay in".to_owned(),
                actor: "machine:alert".to_owned(),
            },
        ],
    }
}

#[test]
fn the_outage_of_the_specification() {
    insta::assert_snapshot!(draft(&outage()));
}

/// Counts are kept in slices: a failure right after a deploy is known as early as the slice begins, before the deploy.
#[test]
fn a_change_in_the_slice_of_the_first_failure_is_suspected() {
    let mut facts = outage();
    let deploy = &mut facts.changes[1];
    deploy.at = facts.began_at + SignedDuration::from_secs(3);
    let found = suspects(&facts);
    assert_eq!(found[0].change.scope.to_string(), "payment-service in cell-5");
    assert!(
        found[0]
            .evidence
            .contains(&"it came less than 7 s before the first failing request".to_owned()),
        "{:?}",
        found[0].evidence
    );
    facts.changes[1].at = facts.began_at + SignedDuration::from_secs(11);
    let after = suspects(&facts)
        .iter()
        .any(|suspect| suspect.change.at > facts.began_at);
    assert!(!after, "what came after the first failure is no cause");
}

#[test]
fn the_change_that_was_taken_back_with_effect_ranks_first() {
    let facts = outage();
    let ranked: Vec<String> = suspects(&facts)
        .iter()
        .map(|suspect| suspect.change.scope.to_string())
        .collect();
    assert_eq!(
        ranked,
        ["payment-service in cell-5", "notification-service in cell-5"]
    );

    // The same outage, but the rollback changed nothing: the suspicion weakens.
    let useless = Facts {
        mitigated_at: Some(at("10:39")),
        ..outage()
    };
    assert!(suspects(&useless)[0].weight < suspects(&facts)[0].weight);
}

#[test]
fn without_a_change_there_is_no_suspect_and_the_draft_says_where_to_look() {
    let facts = Facts {
        changes: Vec::new(),
        ..outage()
    };
    assert!(suspects(&facts).is_empty());
    assert!(draft(&facts).contains("No change was recorded in the hour before the first failure"));
}
