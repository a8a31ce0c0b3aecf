//! Reports of the month of an outage: what they say, who may read them, and an auditor who counts again.

use std::collections::BTreeMap;

use mainstay_kernel::{Clock as _, Reach, TenantId};
use mainstay_promql::Value as Found;
use mainstay_slo::report::{Promised, Report, Verdict};
use mainstay_web::view::{InstantQuery, QueryOptions, ReportForm, Wanted};
use mainstay_web::{Metrics as _, Reports as _};

use super::*;
use world::*;

const MONTH: &str = "2026-11";

pub(super) fn ask(tenant: Option<&str>, edition: Wanted, form: ReportForm) -> ReportAsk {
    ReportAsk {
        tenant: tenant.map(|name| TenantId::new(name).expect("a name")),
        month: MONTH.to_owned(),
        edition,
        form,
    }
}

/// The outage, and the first day of the next month.
pub(super) async fn after_the_month() -> World {
    let (mut world, _) = World::outage().await;
    world.run(24, 0).await;
    world.clock.advance(jiff::SignedDuration::from_hours(7 * 24));
    world
}

pub(super) async fn text(world: &World, tenant: Option<&str>, edition: Wanted, form: ReportForm) -> String {
    let asked = ask(tenant, edition, form);
    let file = world.console.report(&reader(&[]), &asked).await;
    file.expect("a report").text
}

pub(super) async fn draft(world: &World, tenant: Option<&str>) -> Report {
    let json = text(world, tenant, Wanted::Draft, ReportForm::Json).await;
    serde_json::from_str(&json).expect("a report")
}

pub(super) async fn issue(world: &World, tenant: Option<&str>) -> IssuedReport {
    let asked = ask(tenant, Wanted::Last, ReportForm::Json);
    world
        .console
        .issue_report(&reader(&[]), &asked)
        .await
        .expect("it is issued")
}

pub(super) fn promise<'a>(report: &'a Report, id: &str) -> &'a Promised {
    report
        .promises
        .iter()
        .find(|one| one.objective == id)
        .expect("the promise")
}

pub(super) fn exclusion(tenant: Option<&str>) -> NewAdjustment {
    NewAdjustment {
        objective: Some("api-availability-sla".to_owned()),
        service: None,
        tenant: tenant.map(|name| TenantId::new(name).expect("a name")),
        cell: None,
        from: "2026-11-24T10:00:00Z".parse().expect("an instant"),
        to: "2026-11-24T10:15:00Z".parse().expect("an instant"),
        reason: "the bank's own network".to_owned(),
        ticket: Some("CHG-7".to_owned()),
    }
}

/// What an auditor does with the raw samples of a month: differences between neighbours, a counter that fell began anew,
/// and the first value of a counter that was there when counting began is where it is counted from.
fn recount(samples: &BTreeMap<String, Vec<(i64, f64)>>, from_ms: i64, to_ms: i64) -> u64 {
    let mut events = 0.0;
    for series in samples.values() {
        for pair in series.windows(2) {
            let [(_, before), (t_ms, now)] = [pair[0], pair[1]];
            if t_ms > from_ms && t_ms <= to_ms {
                events += if now < before { now } else { now - before };
            }
        }
    }
    events as u64
}

/// The raw samples of the gateway's counters of a tenant, whatever the report says.
async fn raw_samples(world: &World, tenant: &str, more: &str) -> BTreeMap<String, Vec<(i64, f64)>> {
    let query = InstantQuery {
        expr: format!("http_requests_total{{job=\"api-gateway\",tenant=\"{tenant}\"{more}}}[10d]"),
        at_ms: world.clock.now().as_millisecond(),
        options: QueryOptions {
            timeout_ms: 60_000,
            lookback_ms: None,
        },
        reach: Reach::All,
    };
    let Found::Matrix(series) = world
        .console
        .query(&query)
        .await
        .expect("an answer")
        .outcome
        .value
    else {
        panic!("raw samples are a matrix");
    };
    let all = series
        .into_iter()
        .map(|one| (one.labels.to_string(), one.samples));
    all.collect()
}

#[tokio::test]
async fn an_auditor_counts_the_same_integers_from_the_raw_samples() {
    let world = after_the_month().await;
    let bounds = ["2026-10-31T22:00:00Z", "2026-11-30T22:00:00Z"]
        .map(|text| text.parse::<Timestamp>().expect("an instant").as_millisecond());
    let mut bad = 0;
    for tenant in ["STD-001", "SOU-001", "HIG-001"] {
        let report = draft(&world, Some(tenant)).await;
        let figure = &promise(&report, "api-availability-sla").raw;
        let all = recount(&raw_samples(&world, tenant, "").await, bounds[0], bounds[1]);
        let failed = raw_samples(&world, tenant, ",status=~\"5..|408|429|499\"").await;
        let failed = recount(&failed, bounds[0], bounds[1]);
        assert_eq!((figure.bad, figure.total), (failed, all), "{tenant}");
        bad += failed;
    }
    let platform = draft(&world, None).await;
    let whole = promise(&platform, "api-availability-sla");
    assert!(
        bad > 0 && whole.raw.bad == bad,
        "the whole is the sum of the tenants"
    );
    assert_eq!(whole.tenants.iter().map(|line| line.raw.bad).sum::<u64>(), bad);
}

#[tokio::test]
async fn a_report_says_what_was_promised_counted_and_not_seen_and_where_the_bad_events_belong() {
    let world = after_the_month().await;
    let report = draft(&world, None).await;
    assert_eq!(
        (report.zone.as_str(), report.until.as_deref()),
        ("Africa/Johannesburg", None)
    );
    assert_eq!(
        report.period.from,
        "2026-11-01T00:00:00+02:00[Africa/Johannesburg]"
    );
    let agreement = promise(&report, "api-availability-sla");
    assert_eq!(
        (agreement.verdict, agreement.target.as_str()),
        (Verdict::Breached, "99.9%")
    );
    assert_eq!(agreement.raw, agreement.adjusted);
    let attribution = &agreement.attribution;
    let incident = attribution.incidents.first().expect("the incident");
    assert_eq!(incident.bad, i64::try_from(agreement.raw.bad).expect("few"));
    assert!(
        incident.suspects.iter().any(|suspect| suspect.contains("v1.6.0")),
        "{:?}",
        incident.suspects
    );
    assert_eq!((attribution.excluded, attribution.background), (0, 0));
    let buffer = agreement
        .buffer
        .as_ref()
        .expect("our objective on the same events");
    assert_eq!(
        (buffer.objective.as_str(), buffer.verdict),
        ("api-availability", Verdict::Breached)
    );
    assert!(buffer.events > 0);
    // Counting began on the 24th and the last sample is of that day.
    assert!(agreement.unknown_ms > 29 * 86_400_000, "{}", agreement.unknown_ms);
    assert!(
        agreement
            .bad_query
            .as_ref()
            .is_some_and(|query| query.contains("[2592000s] @ 1796076000")),
        "{:?}",
        agreement.bad_query
    );

    // A bank reads of its own figures, and nothing of what was said about the whole platform.
    let own = draft(&world, Some("STD-001")).await;
    let part = promise(&own, "api-availability-sla")
        .attribution
        .incidents
        .first()
        .cloned()
        .expect("it hit it");
    assert_eq!((part.title, part.suspects.len()), (None, 0));
    for form in [
        ReportForm::Markdown,
        ReportForm::Html,
        ReportForm::Csv,
        ReportForm::Json,
    ] {
        let text = text(&world, Some("STD-001"), Wanted::Draft, form).await;
        assert!(!text.contains("SOU-001") && !text.contains("v1.6.0"), "{text}");
    }
}

#[tokio::test]
async fn a_report_says_what_is_given_back_and_when_work_was_agreed() {
    let world = after_the_month().await;
    let own = draft(&world, Some("STD-001")).await;
    let credit = promise(&own, "api-availability-sla")
        .credit
        .clone()
        .expect("a table");
    let platform = draft(&world, None).await;
    let agreement = promise(&platform, "api-availability-sla");
    let line = |tenant: &str| {
        let line = agreement.tenants.iter().find(|line| line.tenant == tenant);
        line.and_then(|line| line.credit.clone()).expect("a table")
    };
    assert_eq!(line("STD-001"), credit);
    assert_eq!(
        (
            credit.table.as_str(),
            credit.percent.as_str(),
            credit.below.as_deref()
        ),
        ("availability-large", "12.5%", Some("99.9%"))
    );
    let kept = line("HIG-001");
    assert_eq!(
        (kept.table.as_str(), kept.percent.as_str(), kept.below),
        ("availability-highveld", "0%", None),
        "it has a table of its own"
    );
    assert!(
        promise(&own, "api-availability").credit.is_none(),
        "a promise to ourselves gives nothing back"
    );
    let sundays: Vec<&str> = own
        .adjustments
        .iter()
        .map(|one| &one.stretch.from[..16])
        .collect();
    assert_eq!(
        sundays,
        [
            "2026-11-01T02:00",
            "2026-11-08T02:00",
            "2026-11-15T02:00",
            "2026-11-22T02:00",
            "2026-11-29T02:00"
        ]
    );
    assert!(
        own.adjustments
            .iter()
            .all(|one| one.source == "maintenance databases" && one.of == ["every objective of api-gateway"])
    );
}

#[tokio::test]
async fn the_same_counts_give_the_same_bytes_after_a_restart_too() {
    let world = after_the_month().await;
    world
        .console
        .adjust(&reader(&[]), &exclusion(Some("STD-001")))
        .await
        .expect("it is taken");
    let forms = [
        ReportForm::Markdown,
        ReportForm::Html,
        ReportForm::Csv,
        ReportForm::Json,
    ];
    let mut before = Vec::new();
    for form in forms {
        for tenant in [None, Some("STD-001")] {
            let one = text(&world, tenant, Wanted::Draft, form).await;
            assert_eq!(one, text(&world, tenant, Wanted::Draft, form).await);
            before.push(one);
        }
    }
    world.clock.advance(jiff::SignedDuration::from_hours(30));
    let world = world.restarted().await;
    let mut after = Vec::new();
    for form in forms {
        for tenant in [None, Some("STD-001")] {
            after.push(text(&world, tenant, Wanted::Draft, form).await);
        }
    }
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_bank_reads_its_own_report_and_learns_of_no_other() {
    let world = after_the_month().await;
    let bank = reader(&["STD-001"]);
    let own = ask(Some("STD-001"), Wanted::Draft, ReportForm::Json);
    world.console.report(&bank, &own).await.expect("its own");
    let messages =
        [Some("SOU-001"), Some("NO-SUCH"), None].map(|tenant| ask(tenant, Wanted::Draft, ReportForm::Json));
    for other in &messages {
        let refused = world.console.report(&bank, other).await;
        assert!(matches!(refused, Err(Failure::NotFound { .. })), "{refused:?}");
    }
    let unknown = world.console.report(&reader(&[]), &messages[1]).await;
    assert!(
        matches!(unknown, Err(Failure::NotFound { .. })),
        "nobody has that name: {unknown:?}"
    );
    world
        .console
        .adjust(&reader(&[]), &exclusion(Some("SOU-001")))
        .await
        .expect("it is taken");
    world
        .console
        .adjust(&reader(&[]), &exclusion(None))
        .await
        .expect("it is taken");
    let seen = world.console.adjustments(&bank).await.expect("a list");
    let numbers: Vec<Option<u32>> = seen.iter().map(|one| one.number).collect();
    let of_ledger: Vec<Option<u32>> = numbers.into_iter().filter(Option::is_some).collect();
    assert_eq!(of_ledger, [Some(2)], "what is about everybody is about it");
    let sundays = seen
        .iter()
        .filter(|one| one.window.as_deref() == Some("databases"));
    assert_eq!(sundays.count(), 9, "of the last and next 31 days");
}

#[tokio::test]
async fn a_month_that_is_not_over_is_a_draft_and_says_so() {
    let (world, _) = World::outage().await;
    let report = draft(&world, None).await;
    assert!(
        report
            .until
            .as_ref()
            .is_some_and(|until| until.starts_with("2026-11-24T12:0")),
        "{:?}",
        report.until
    );
    let asked = ask(None, Wanted::Last, ReportForm::Json);
    let refused = world.console.issue_report(&reader(&[]), &asked).await;
    assert!(
        matches!(&refused, Err(Failure::Refused { message, .. }) if message.contains("not over")),
        "{refused:?}"
    );
    let none = world.console.report(&reader(&[]), &asked).await;
    assert!(matches!(none, Err(Failure::NotFound { .. })));
    let nonsense = ReportAsk {
        month: "2026-13".to_owned(),
        ..asked
    };
    assert!(matches!(
        world.console.report(&reader(&[]), &nonsense).await,
        Err(Failure::Invalid { .. })
    ));
}

#[tokio::test]
async fn an_adjustment_moves_budget_and_screen_at_once_and_is_explained() {
    let (world, _) = World::outage().await;
    world.clock.advance(jiff::SignedDuration::from_mins(30));
    let id = SloId::new("api-availability-sla").expect("a name");
    let mut look = everywhere();
    look.scope.tenant = TenantId::new("STD-001").ok();
    let before = world
        .console
        .slo(&reader(&[]), &id, &look)
        .await
        .expect("it is there")
        .slo;
    assert!(before.bad > 0 && before.bad == before.adjusted_bad);
    world
        .console
        .adjust(&reader(&[]), &exclusion(Some("STD-001")))
        .await
        .expect("it is taken");
    let after = world
        .console
        .slo(&reader(&[]), &id, &look)
        .await
        .expect("it is there")
        .slo;
    assert_eq!(
        (after.bad, after.total),
        (before.bad, before.total),
        "the raw figure stays"
    );
    assert_eq!((after.adjusted_bad, after.budget_left >= 0), (0, true));
    assert!(after.excluded.is_some_and(|words| words.starts_with("495 min")));
    let words = world
        .console
        .explain(&reader(&[]), &id, &look)
        .await
        .expect("words");
    assert!(
        words.contains("2026-11-24T12:00:00+02:00[Africa/Johannesburg] to 2026-11-24T12:15:00"),
        "{words}"
    );

    let refused = |new: NewAdjustment| {
        let console = &world.console;
        async move {
            console
                .adjust(&reader(&[]), &new)
                .await
                .expect_err("it is refused")
                .to_string()
        }
    };
    let of = |objective: &str| NewAdjustment {
        objective: Some(objective.to_owned()),
        ..exclusion(None)
    };
    assert!(refused(of("api-availabilty")).await.contains("no objective"));
    let crooked = NewAdjustment {
        to: "2026-11-24T10:16:00Z".parse().expect("an instant"),
        ..exclusion(None)
    };
    assert!(
        refused(crooked)
            .await
            .contains("10:15:00Z or 2026-11-24T10:30:00Z")
    );
}
