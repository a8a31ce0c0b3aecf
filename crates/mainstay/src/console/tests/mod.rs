//! The console over a plane in memory: a bad release in one cell, seen by an engineer and by two banks.

mod desk;
mod editions;
mod full_house;
mod gate;
mod pages;
mod reports;
mod world;

use mainstay_delivery::telephone::Acknowledge as _;
use mainstay_kernel::{Clock as _, Labels, PageId, PersonId, Reach};
use mainstay_promql::Value as Found;
use mainstay_web::Metrics as _;
use mainstay_web::view::{InstantQuery, QueryError, QueryOptions, Share, Status, StepState};

use super::*;
use crate::serve::telephone::Desk;
use world::*;

#[tokio::test]
async fn before_any_data_nothing_is_said_to_be_well() {
    let world = World::new().await;
    let overview = world
        .console
        .overview(&reader(&[]), &everywhere())
        .await
        .expect("an overview");
    assert_eq!(
        overview.sentence.status,
        Status::Unknown,
        "{:?}",
        overview.sentence
    );
    assert!(
        overview
            .slos
            .iter()
            .all(|slo| slo.status == Status::Unknown && slo.value.is_none())
    );
    assert!(
        overview
            .slos
            .iter()
            .all(|slo| slo.burn_1h.is_none() && slo.unknown_reason.is_some())
    );
    assert!(overview.grid.rows.is_empty());
    let silent = overview
        .banners
        .iter()
        .any(|banner| banner.text.contains("17 of 17 services"));
    assert!(silent, "{:?}", overview.banners);
    let figures = overview.figures.iter().flat_map(|group| &group.figures);
    let failing = figures
        .clone()
        .find(|figure| figure.label == "Failing now")
        .expect("it is shown");
    assert_eq!((failing.value, failing.status), (None, Status::Unknown));
    assert!(overview.charts.iter().all(|chart| chart.series.is_empty()));
}

#[tokio::test]
async fn an_engineer_sees_what_fails_where_since_when_and_why() {
    let (world, id) = World::outage().await;
    let who = reader(&[]);
    let overview = world
        .console
        .overview(&who, &everywhere())
        .await
        .expect("an overview");
    assert_eq!(overview.sentence.status, Status::Breached);
    let text = &overview.sentence.text;
    for part in [
        "cell-5",
        "since 10:01 UTC",
        "SOU-001 and STD-001",
        "payment-service v1.6.0 in cell-5, deployed 10:01:00 UTC",
    ] {
        assert!(text.contains(part), "{text:?} says {part:?}");
    }
    let cells: Vec<Status> = overview
        .grid
        .rows
        .iter()
        .flat_map(|row| &row.cells)
        .flatten()
        .map(|cell| cell.status)
        .collect();
    assert_eq!(overview.grid.cells, ["cell-1", "cell-5"]);
    assert_eq!(cells, [Status::Ok, Status::Breached, Status::Ok, Status::Ok]);
    let slo = overview
        .slos
        .iter()
        .find(|slo| slo.id.as_str() == "api-availability")
        .expect("it is defined");
    // 24 steps with six failures for each of two tenants. Counters first seen above zero start to count there.
    assert_eq!(slo.bad, 24 * 6 * 2);
    assert_eq!(slo.total, (12 + 4 + 24 - 1) * 30);
    assert_eq!(slo.value, Share::good(slo.bad, slo.total));
    assert_eq!(
        slo.budget_left,
        i64::try_from(slo.budget_allowed).expect("small") - 288
    );
    assert_eq!(slo.status, Status::Breached);

    let incident = world.console.incident(&who, &id).await.expect("an incident");
    assert_eq!(incident.impact.failed_requests, Some(288));
    let hit: Vec<(&str, Option<u64>)> = incident
        .impact
        .tenants
        .iter()
        .map(|hit| (hit.tenant.as_str(), hit.failed_requests))
        .collect();
    assert_eq!(hit, [("SOU-001", Some(144)), ("STD-001", Some(144))]);
    assert_eq!(
        incident.suspects[0].title,
        "Deploy of payment-service v1.6.0 in cell-5"
    );
    assert!(incident.suspects[0].event.is_some());
    assert!(incident.awaits_acknowledgement && incident.resolve_blocked.is_some());
    let page = &incident.pages[0];
    assert_eq!(page.state, "delivered");
    assert!(
        page.receipts
            .iter()
            .all(|receipt| receipt.answer == "taken, attempt 1"),
        "{:?}",
        page.receipts
    );
    assert!(page.escalates_at.is_some_and(|at| at > world.clock.now()));
    let runbook = incident.runbooks.first().expect("a runbook serves it");
    assert_eq!(runbook.id.as_str(), "high-error-rate");
    assert!(incident.timeline.iter().all(|entry| entry.event.is_some()));
    assert!(
        incident
            .charts
            .iter()
            .any(|chart| chart.id == "errors" && !chart.series.is_empty())
    );
    let value = incident.alerts.iter().find_map(|alert| alert.value.clone());
    assert!(
        value.is_some_and(|value| value.ends_with('%')),
        "{:?}",
        incident.alerts
    );
}

#[tokio::test]
async fn a_bank_sees_its_own_tenants_and_nobody_elses() {
    let (world, id) = World::outage().await;
    let (hit, spared) = (reader(&["STD-001"]), reader(&["HIG-001"]));
    let list = world
        .console
        .incidents(&hit, &everywhere())
        .await
        .expect("a list");
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].tenants, ["STD-001"]);
    assert_eq!(list[0].failed_requests, Some(144), "its own, not everybody's");
    let incident = world.console.incident(&hit, &id).await.expect("it is hit");
    let everything = serde_json::to_string(&incident).expect("JSON");
    let overview = world
        .console
        .overview(&hit, &everywhere())
        .await
        .expect("an overview");
    let overview = serde_json::to_string(&overview).expect("JSON");
    let slos = world.console.slos(&hit, &everywhere()).await.expect("objectives");
    let alerts = world.console.alerts(&hit, &everywhere()).await.expect("alerts");
    let rest = serde_json::to_string(&(&slos, &alerts)).expect("JSON");
    for text in [&everything, &overview, &rest] {
        for foreign in [
            "SOU-001",
            "HIG-001",
            "payment-service",
            "wanjiru",
            "thandi",
            "2 tenants",
        ] {
            assert!(
                !text.contains(foreign),
                "{foreign:?} is none of its business: {text}"
            );
        }
    }
    assert!(!slos.is_empty() && slos.iter().all(|slo| slo.query.is_none()));
    assert!(
        alerts
            .iter()
            .all(|alert| alert.labels.get("tenant") == Some("STD-001"))
    );
    let unknown = |what: &str| Failure::NotFound {
        what: what.to_owned(),
    };
    let draft = world.console.postmortem(&hit, &id).await;
    assert_eq!(draft, Err(unknown(&format!("the post-mortem of incident {id}"))));
    let target = AckTarget::Incident(id.clone());
    assert!(matches!(
        world.console.acknowledge(&hit, &target).await,
        Err(Failure::Refused { .. })
    ));

    assert_eq!(
        world.console.incidents(&spared, &everywhere()).await,
        Ok(Vec::new())
    );
    assert_eq!(
        world.console.incident(&spared, &id).await.err(),
        Some(unknown(&format!("incident {id}")))
    );
    assert_eq!(
        world.console.acknowledge(&spared, &target).await,
        Err(unknown(&format!("incident {id}")))
    );
    let situation = world.console.situation(&spared).await.expect("a situation");
    assert_eq!(
        (situation.firing, situation.places.tenants),
        (0, vec!["HIG-001".to_owned()])
    );
}

#[tokio::test]
async fn a_key_in_a_call_acknowledges_the_page_in_the_name_of_who_was_called() {
    let (world, _) = World::outage().await;
    let World { console, plane, .. } = world;
    let page = plane.look(|states| {
        states
            .oncall
            .climbing()
            .next()
            .map(|page| page.request.page.clone())
    });
    let page = page.await.expect("a page");
    let desk = Desk::new(Arc::new(console));
    let called = |name: &str| PersonId::new(name).expect("a name");
    let nothing = PageId::new("page-of-nothing").expect("an id");
    assert_eq!(desk.acknowledge(called("sipho"), nothing).await, None);
    let first = desk.acknowledge(called("sipho"), page.clone()).await;
    assert_eq!(first.as_deref(), Some("Acknowledged by sipho."));
    let late = desk.acknowledge(called("thandi"), page.clone()).await;
    assert_eq!(late.as_deref(), Some("It was acknowledged by sipho before."));
    let by = plane.look(|states| {
        states
            .oncall
            .page(&page)
            .and_then(|page| page.acknowledged.clone())
    });
    let (_, by) = by.await.expect("it is acknowledged");
    assert_eq!(by.subject, "sipho");
}

#[tokio::test]
async fn it_is_worked_on_to_the_end() {
    let (mut world, id) = World::outage().await;
    let who = reader(&[]);
    let target = AckTarget::Incident(id.clone());
    let first = world
        .console
        .acknowledge(&who, &target)
        .await
        .expect("it is taken on");
    assert!(!first.events.is_empty());
    let again = world
        .console
        .acknowledge(&who, &target)
        .await
        .expect("a repetition changes nothing");
    assert!(again.events.is_empty(), "{again:?}");
    let repeated = world.deploy().await.expect("a repetition is a success");
    assert!(repeated.events.is_empty());

    let runbook = RunbookId::new("high-error-rate").expect("a name");
    let looked = world
        .console
        .run_step(&who, &id, &runbook, "errors-by-cell")
        .await
        .expect("it asks");
    assert!(
        looked.message.contains("did not find"),
        "60% is not below 5%: {looked:?}"
    );
    world
        .console
        .run_step(&who, &id, &runbook, "rollback")
        .await
        .expect("it acts");
    world.work().await;
    let step = |incident: &Incident, name: &str| {
        let steps = incident.runbooks.iter().flat_map(|runbook| &runbook.steps);
        steps
            .clone()
            .find(|step| step.id == name)
            .expect("the step")
            .clone()
    };
    let incident = world.console.incident(&who, &id).await.expect("an incident");
    let rollback = step(&incident, "rollback");
    assert_eq!(rollback.state, StepState::Done);
    assert!(
        rollback.result.is_some_and(|text| text.contains("cell-5")),
        "it acted in the incident's cell"
    );
    assert_eq!(incident.pages[0].acknowledged_by.as_deref(), Some("thandi"));
    let missing = world.console.run_step(&who, &id, &runbook, "no-such").await;
    assert!(matches!(missing, Err(Failure::NotFound { .. })), "{missing:?}");

    let early = world.console.resolve(&who, &id, None).await;
    assert!(
        matches!(early, Err(Failure::Refused { .. })),
        "its alerts still fire: {early:?}"
    );
    world.run(90, 0).await;
    let incident = world.console.incident(&who, &id).await.expect("an incident");
    assert_eq!(incident.resolve_blocked, None, "the short window is clean again");
    world
        .console
        .resolve(&who, &id, Some("rolled back"))
        .await
        .expect("it ends");
    let incident = world.console.incident(&who, &id).await.expect("an incident");
    assert!(incident.summary.resolved_at.is_some());
    assert_eq!(
        incident.impact.failed_requests,
        Some(288),
        "nothing failed after the rollback"
    );
    assert!(incident.clocks.iter().all(|clock| !clock.running));
    let draft = world.console.postmortem(&who, &id).await.expect("a draft");
    assert!(draft.contains("288 of") && draft.contains("v1.6.0"), "{draft}");
    let event = incident
        .timeline
        .last()
        .and_then(|entry| entry.event)
        .expect("an event");
    assert_eq!(
        world.console.why(&who, event).await.expect("a chain").chain[0].event,
        event
    );
    let report = world.console.verify_journal(&who).await.expect("a report");
    assert!(
        report.whole
            && report
                .partitions
                .iter()
                .any(|part| part.partition == "tenant:STD-001")
    );
}

#[tokio::test]
async fn questions_are_answered_within_limits() {
    let mut world = World::new().await;
    world.run(4, 0).await;
    let query = |expr: &str, timeout_ms| InstantQuery {
        reach: Reach::All,
        expr: expr.to_owned(),
        at_ms: world.clock.now().as_millisecond(),
        options: QueryOptions {
            timeout_ms,
            lookback_ms: None,
        },
    };
    let answer = world
        .console
        .query(&query("sum(up)", 5_000))
        .await
        .expect("an answer");
    assert!(
        matches!(&answer.outcome.value, Found::Vector(series) if series[0].value == 4.0.into()),
        "{answer:?}"
    );
    let wrong = world.console.query(&query("sum(", 5_000)).await;
    assert!(matches!(wrong, Err(QueryError::Parse(_))), "{wrong:?}");
    let late = world.console.query(&query("sum(up)", 0)).await;
    assert!(matches!(late, Err(QueryError::Timeout(_))), "{late:?}");
    let alerts = vec![PostableAlert {
        labels: Labels::new(),
        annotations: Labels::new(),
        starts_at: None,
        ends_at: None,
        generator_url: None,
    }];
    let refused = world.console.receive_alerts(&reader(&[]), alerts).await;
    assert!(matches!(refused, Err(Failure::Invalid { .. })), "{refused:?}");
}
