//! The outage of the specification, eighteen minutes in, as fixed data.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::fact::ChangeKind;
use mainstay_kernel::{
    CellId, Entropy, EventId, IncidentId, Labels, PageId, RunbookId, Scope, ServiceId, Severity,
};
use mainstay_web::view::*;

use super::alertmanager::held_alert;
use super::{INCIDENT, Mood, NOW, TENANT};

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// An event id that depends on nothing but `text` and `seed`.
struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

pub(super) fn event(instant: &str, seed: u8) -> EventId {
    EventId::generate(at(instant), &Fixed(seed))
}

pub(super) fn scope(service: &str) -> Scope {
    Scope {
        cell: Some(CellId::new("cell-5").expect("a name")),
        service: Some(ServiceId::new(service).expect("a name")),
        ..Scope::default()
    }
}

pub(super) fn share(text: &str) -> Share {
    Share(text.parse().expect("a percentage"))
}

pub(super) fn change() -> Change {
    Change {
        id: "deploy-4711".to_owned(),
        source: "ci".to_owned(),
        kind: ChangeKind::Deploy,
        scope: scope("payment-service"),
        from_version: Some("v1.5.0".to_owned()),
        to_version: Some("v1.6.0".to_owned()),
        summary: "payment-service v1.6.0 to 100 %".to_owned(),
        at: at("2025-01-15T10:00:00Z"),
        event: event("2025-01-15T10:00:00Z", 1),
    }
}

pub(super) fn alert(name: &str, severity: Severity, value: &str, query: &str) -> Alert {
    let labels: Labels = [
        ("alertname", name),
        ("cell", "cell-5"),
        ("service", "payment-service"),
    ]
    .into_iter()
    .collect();
    Alert {
        fingerprint: labels.fingerprint().to_string(),
        name: name.to_owned(),
        severity,
        state: AlertState::Firing,
        scope: scope("payment-service"),
        summary: "payments are failing".to_owned(),
        labels,
        since: at("2025-01-15T10:16:00Z"),
        value: Some(value.to_owned()),
        query: Some(query.to_owned()),
        runbook: Some("payment-service-down".to_owned()),
        incident: Some(IncidentId::new(INCIDENT).expect("a name")),
        told: vec!["email to ada".to_owned(), "chat #sre-alerts".to_owned()],
        silenced_by: None,
        held_back: Vec::new(),
        routes: vec![AlertRoute {
            path: "root > {priority=~\"P[01]\"}".to_owned(),
            receiver: "on-call".to_owned(),
            tells: vec!["pages by payments".to_owned(), "chat #sre-alerts".to_owned()],
        }],
    }
}

pub(super) fn alerts() -> Vec<Alert> {
    vec![
        alert(
            "PaymentAvailabilityBurn",
            Severity::P0,
            "1,044× budget",
            "slo:burn_rate:5m{slo=\"payments-availability\"}",
        ),
        alert(
            "DatabaseConnectionPoolExhausted",
            Severity::P1,
            "100%",
            "hikaricp_connections_active / hikaricp_connections_max",
        ),
        held_alert(),
    ]
}

pub(super) fn summary() -> IncidentSummary {
    IncidentSummary {
        id: IncidentId::new(INCIDENT).expect("a name"),
        severity: Severity::P0,
        title: "Payments failing in cell-5".to_owned(),
        phase: "declared".to_owned(),
        shadow: false,
        scope: scope("payment-service"),
        started_at: at("2025-01-15T10:15:00Z"),
        resolved_at: None,
        tenants: vec![TENANT.to_owned(), "std-014".to_owned()],
        failed_requests: Some(19_142),
        acknowledged_by: None,
        suspect: Some("v1.6.0 of payment-service, deployed 10:00 UTC".to_owned()),
    }
}

/// A line that wobbles, and after minute 45 of 60 goes where the outage takes it.
pub(super) fn line(calm: f64, outage: f64, mood: Mood) -> Vec<(i64, Option<f64>)> {
    let end_ms = at(NOW).as_millisecond();
    (0..240_i64)
        .map(|step| {
            let at_ms = end_ms - (240 - step) * 15_000;
            let wobble = 1.0 + f64::from(u32::try_from(step * 7_919 % 13).expect("small")) / 100.0;
            let base = if mood == Mood::Breached && step > 226 {
                outage
            } else {
                calm
            };
            let known = mood != Mood::Unknown && !(100..106).contains(&step);
            (at_ms, known.then_some(base * wobble))
        })
        .collect()
}

pub(super) fn charts(mood: Mood) -> Vec<Chart> {
    let end_ms = at(NOW).as_millisecond();
    let marks = if mood == Mood::Breached {
        vec![Mark {
            at_ms: at("2025-01-15T10:00:00Z").as_millisecond(),
            text: "deploy payment-service v1.6.0".to_owned(),
            href: Some("/changes".to_owned()),
        }]
    } else {
        Vec::new()
    };
    let chart =
        |id: &str, title: &str, sentence: &str, unit: Unit, series: Vec<Series>, limits: Vec<Limit>| Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            sentence: sentence.to_owned(),
            unit,
            start_ms: end_ms - 3_600_000,
            end_ms,
            series,
            limits,
            marks: marks.clone(),
            query: Some("sum by (cell) (rate(http_requests_total[1m]))".to_owned()),
        };
    let series = |name: &str, points| Series {
        name: name.to_owned(),
        points,
    };
    vec![
        chart(
            "errors",
            "Failing requests",
            "The share of requests that failed at the gateways, by cell.",
            Unit::Ratio,
            vec![
                series("cell-5", line(0.0002, 0.53, mood)),
                series("cell-6", line(0.0001, 0.0001, mood)),
            ],
            vec![Limit {
                name: "objective".to_owned(),
                value: 0.0005,
            }],
        ),
        chart(
            "traffic",
            "Requests",
            "Requests per second at the gateways, by cell.",
            Unit::PerSecond,
            vec![
                series("cell-5", line(398.0, 371.0, mood)),
                series("cell-6", line(402.0, 405.0, mood)),
            ],
            Vec::new(),
        ),
    ]
}

pub(super) fn grid(mood: Mood) -> Grid {
    let services = [
        "payment-service",
        "validation-service",
        "account-service",
        "clearing-service",
        "fraud-service",
    ];
    let cell = |service: &str, cell: &str| {
        let (status, signal) = match mood {
            Mood::Ok => (Status::Ok, None),
            Mood::Unknown => (Status::Unknown, Some("no data")),
            Mood::Breached if cell != "cell-5" => (Status::Ok, None),
            Mood::Breached => match service {
                "payment-service" => (Status::Breached, Some("errors 53%")),
                "account-service" => (Status::Warning, Some("pool 82%")),
                "fraud-service" => (Status::Unknown, Some("scrape fails")),
                _ => (Status::Ok, None),
            },
        };
        GridCell {
            status,
            signal: signal.map(str::to_owned),
            query: Some(format!("up{{service=\"{service}\", cell=\"{cell}\"}}")),
        }
    };
    let cells = ["cell-5", "cell-6"];
    Grid {
        cells: cells.map(str::to_owned).to_vec(),
        rows: services
            .map(|service| GridRow {
                service: service.to_owned(),
                cells: cells.map(|name| Some(cell(service, name))).to_vec(),
            })
            .to_vec(),
    }
}

pub(super) fn figures(mood: Mood) -> Vec<FigureGroup> {
    let known = mood != Mood::Unknown;
    let figure = |label: &str, value: f64, unit: Unit, status: Status, target: Option<&str>| Figure {
        label: label.to_owned(),
        value: known.then_some(value),
        unit,
        status,
        target: target.map(str::to_owned),
        query: None,
    };
    let group = |title: &str, figures: Vec<Figure>| FigureGroup {
        title: title.to_owned(),
        figures,
    };
    vec![
        group(
            "Traffic",
            vec![
                figure("Requests now", 800.0, Unit::PerSecond, Status::Neutral, None),
                figure("Peak, 24 h", 1_204.0, Unit::PerSecond, Status::Neutral, None),
                figure(
                    "Of proven capacity",
                    0.41,
                    Unit::Ratio,
                    Status::Ok,
                    Some("of 1,950 /s, measured to break"),
                ),
            ],
        ),
        group(
            "Last 30 days",
            vec![
                figure("P0 incidents", 1.0, Unit::Count, Status::Neutral, None),
                figure(
                    "Time to mitigate",
                    1_080.0,
                    Unit::Seconds,
                    Status::Ok,
                    Some("target < 30 min"),
                ),
                figure(
                    "Deployments",
                    45.0,
                    Unit::Count,
                    Status::Neutral,
                    Some("1 rolled back"),
                ),
            ],
        ),
    ]
}

pub(super) fn incident() -> Incident {
    let page_at = at("2025-01-15T10:16:32Z");
    let entry = |instant: &str, kind: &str, actor: &str, text: &str, seed: u8| TimelineEntry {
        at: at(instant),
        kind: kind.to_owned(),
        actor: actor.to_owned(),
        text: text.to_owned(),
        event: Some(event(instant, seed)),
        link: None,
    };
    let step = |id: &str, text: &str, expected: &str, action: Option<&str>, state: StepState| Step {
        id: id.to_owned(),
        text: text.to_owned(),
        expected: Some(expected.to_owned()),
        action: action.map(str::to_owned),
        state,
        result: (state == StepState::Done).then(|| "0 of 3 pods answer".to_owned()),
        by: (state == StepState::Done).then(|| "ada".to_owned()),
        at: (state == StepState::Done).then(|| at("2025-01-15T10:17:40Z")),
    };
    Incident {
        summary: summary(),
        bridge: Some(Bridge {
            url: "https://meet.shop.example/p0?a=1&b=2".to_owned(),
            phone: Some("+27115550100,,1234#".to_owned()),
        }),
        clocks: vec![
            Clock {
                name: "acknowledge".to_owned(),
                target_ms: 300_000,
                elapsed_ms: 92_000,
                running: true,
                status: Status::Ok,
            },
            Clock {
                name: "mitigate".to_owned(),
                target_ms: 1_800_000,
                elapsed_ms: 184_000,
                running: true,
                status: Status::Ok,
            },
        ],
        impact: Impact {
            text: "Half of all payments in cell-5 fail for two tenants.".to_owned(),
            tenants: vec![
                TenantImpact {
                    tenant: TENANT.to_owned(),
                    failed_requests: Some(12_010),
                },
                TenantImpact {
                    tenant: "std-014".to_owned(),
                    failed_requests: Some(7_132),
                },
            ],
            failed_requests: Some(19_142),
            total_requests: Some(36_117),
            query: Some("sum by (tenant) (increase(http_requests_total{status=~\"5..\"}[5m]))".to_owned()),
        },
        pages: vec![Page {
            id: PageId::new("page-1").expect("a name"),
            at: page_at,
            to: "ada".to_owned(),
            level: 1,
            state: "delivered".to_owned(),
            status: Status::Warning,
            receipts: vec![Receipt {
                channel: "email".to_owned(),
                to: "ada".to_owned(),
                at: page_at + SignedDuration::from_millis(410),
                answer: "250 2.0.0 Ok: queued as 4F1B".to_owned(),
                attempt: 1,
                possible_duplicate: false,
            }],
            acknowledged_by: None,
            acknowledged_at: None,
            escalates_at: Some(at("2025-01-15T10:21:32Z")),
        }],
        timeline: vec![
            entry(
                "2025-01-15T10:00:00Z",
                "change",
                "token:ci",
                "deploy payment-service v1.6.0 to 100 %",
                1,
            ),
            entry(
                "2025-01-15T10:16:00Z",
                "alert",
                "machine:rules",
                "PaymentAvailabilityBurn fires in cell-5",
                2,
            ),
            entry(
                "2025-01-15T10:16:30Z",
                "phase",
                "machine:incident",
                "declared P0: several tenants",
                3,
            ),
            entry(
                "2025-01-15T10:16:32Z",
                "page",
                "machine:oncall",
                "ada paged, level 1",
                4,
            ),
        ],
        suspects: vec![Suspect {
            title: "Deploy of payment-service v1.6.0 in cell-5".to_owned(),
            at: at("2025-01-15T10:00:00Z"),
            evidence: vec![
                "15 min before the first failure, the only change in 24 h".to_owned(),
                "p95 rose from 87 ms to 512 ms in cell-5 only; cell-6 runs v1.5.0 and did not move"
                    .to_owned(),
            ],
            event: Some(event("2025-01-15T10:00:00Z", 1)),
        }],
        alerts: alerts(),
        changes: vec![change()],
        runbooks: vec![Runbook {
            id: RunbookId::new("payment-service-down").expect("a name"),
            title: "Payment Service Down".to_owned(),
            serves: vec!["PaymentAvailabilityBurn".to_owned()],
            steps: vec![
                step(
                    "1",
                    "Check the pods of payment-service",
                    "3 pods running",
                    None,
                    StepState::Done,
                ),
                step(
                    "2",
                    "Roll back to the previous version",
                    "errors below 0.05 % within 2 min",
                    Some("roll back payment-service in cell-5"),
                    StepState::Open,
                ),
            ],
        }],
        charts: charts(Mood::Breached).into_iter().take(1).collect(),
        awaits_acknowledgement: true,
        resolve_blocked: Some("2 alerts still fire".to_owned()),
        has_postmortem: true,
    }
}

pub(super) fn done() -> Done {
    Done {
        message: "Done.".to_owned(),
        events: vec![event("2025-01-15T10:18:04Z", 7)],
    }
}

/// A budget that goes down, and where it goes: spent in one to five days.
pub(super) fn burn_down(mood: Mood) -> Chart {
    let now_ms = at(NOW).as_millisecond();
    let day_ms = 86_400_000;
    let known = mood != Mood::Unknown;
    let left = (0..=14_i64).map(|day| {
        let spent = f64::from(u32::try_from(day).expect("small")) * 700.0;
        (now_ms - (14 - day) * day_ms, known.then_some(12_000.0 - spent))
    });
    let ahead = |name: &str, days: i64| Series {
        name: name.to_owned(),
        points: vec![(now_ms, Some(2_200.0)), (now_ms + days * day_ms, Some(0.0))],
    };
    let left = Series {
        name: "left".to_owned(),
        points: left.collect(),
    };
    let ahead = known.then(|| {
        [
            ahead("spent at the earliest, 2025-01-16 10:18:04 UTC", 1),
            ahead("spent most likely, 2025-01-18 10:18:04 UTC", 3),
            ahead("spent at the latest, 2025-01-20 10:18:04 UTC", 5),
        ]
    });
    let limit = |name: &str, value: f64| Limit {
        name: name.to_owned(),
        value,
    };
    Chart {
        id: "burn-down".to_owned(),
        title: "Budget left, in events".to_owned(),
        sentence: "9,800 of 24,310,882 events were bad by 10:18:04 UTC.".to_owned(),
        unit: Unit::Count,
        start_ms: now_ms - 14 * day_ms,
        end_ms: now_ms + 17 * day_ms,
        series: std::iter::once(left).chain(ahead.into_iter().flatten()).collect(),
        limits: vec![
            limit("spent", 0.0),
            limit("critical below", 2_400.0),
            limit("SLA broken", -12_000.0),
        ],
        marks: vec![Mark {
            at_ms: now_ms,
            text: "now".to_owned(),
            href: None,
        }],
        query: None,
    }
}
