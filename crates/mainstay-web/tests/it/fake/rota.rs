//! A rota with an override and a gap, and heartbeats.

use mainstay_kernel::{Scope, Severity};
use mainstay_web::view::*;

use super::data::at;

fn shift(person: &str, from: &str, until: &str, by: &str) -> RotaShift {
    RotaShift {
        person: person.to_owned(),
        name: person.to_owned(),
        from: at(from),
        until: at(until),
        by: by.to_owned(),
    }
}

pub(super) fn schedule() -> RotaSchedule {
    RotaSchedule {
        rota: "primary".to_owned(),
        title: "Primary on-call".to_owned(),
        from: at("2025-01-15T10:18:04Z"),
        until: at("2025-04-15T10:18:04Z"),
        shifts: vec![
            shift(
                "ada",
                "2025-01-13T09:00:00Z",
                "2025-01-16T16:00:00Z",
                "layer base",
            ),
            shift(
                "grace",
                "2025-01-16T16:00:00Z",
                "2025-01-17T06:00:00Z",
                "override",
            ),
            shift(
                "ada",
                "2025-01-17T08:00:00Z",
                "2025-04-15T10:18:04Z",
                "layer base",
            ),
        ],
        gaps: vec![RotaGap {
            from: at("2025-01-17T06:00:00Z"),
            until: at("2025-01-17T08:00:00Z"),
        }],
    }
}

pub(super) fn duties() -> Vec<RotaDuty> {
    let shifts = schedule().shifts;
    vec![RotaDuty {
        rota: "primary".to_owned(),
        title: "Primary on-call".to_owned(),
        at: at(super::NOW),
        shift: shifts.first().cloned(),
        next: shifts.get(1).cloned(),
        why: vec![DutyStep {
            what: "layer base".to_owned(),
            verdict: "decides".to_owned(),
            person: Some("ada".to_owned()),
            why: "turn 3 of the layer".to_owned(),
        }],
    }]
}

pub(super) fn turns() -> Vec<OncallTurns> {
    let target = |target: &str, person: Option<&str>, passed_over: Option<&str>| OncallTarget {
        target: target.to_owned(),
        person: person.map(str::to_owned),
        passed_over: passed_over.map(str::to_owned),
    };
    vec![OncallTurns {
        policy: "payments".to_owned(),
        level: 2,
        next: Some("grace".to_owned()),
        why: "it is the turn of person grace: the incident before began with rota primary".to_owned(),
        last_page: Some("2025-01-14-001-p1".to_owned()),
        last_at: Some(at("2025-01-14T08:00:00Z")),
        targets: vec![
            target("rota primary", Some("ada"), None),
            target("person grace", Some("grace"), None),
            target("rota nights", None, Some("nobody is on call in rota nights")),
        ],
    }]
}

pub(super) fn heartbeats() -> Vec<Heartbeat> {
    let of = |name: &str, state, last: Option<&str>, missed: &str| Heartbeat {
        name: name.to_owned(),
        summary: "a job".to_owned(),
        state,
        last_at: last.map(at),
        missed_at: at(missed),
        interval_ms: 86_400_000,
        grace_ms: 3_600_000,
        severity: Severity::P1,
        scope: Scope::platform(),
    };
    let last = Some("2025-01-15T02:00:00Z");
    vec![
        of("nightly-backup", HeartbeatState::Ok, last, "2025-01-16T03:00:00Z"),
        of(
            "settlement",
            HeartbeatState::Waiting,
            None,
            "2025-01-16T03:00:00Z",
        ),
        of(
            "reconciliation",
            HeartbeatState::Missed,
            last,
            "2025-01-15T09:00:00Z",
        ),
    ]
}
