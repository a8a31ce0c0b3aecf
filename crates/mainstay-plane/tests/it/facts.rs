//! Facts travel: alert, incident, page, message; and each once.

use std::collections::BTreeSet;

use futures::executor::block_on;
use mainstay_incident::Impact;
use mainstay_kernel::{IncidentId, Severity, TenantId};
use mainstay_oncall::OncallCommand;
use mainstay_plane::judge::Verdict;
use mainstay_plane::{ApplyError, Command};

use crate::bench::{Bench, changed, lookup};

const P1: &str = "cell=cell-5 priority=P1 job=payment-service";

#[test]
fn an_alert_becomes_an_incident_a_page_and_messages() {
    let bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    let kinds = bench.kinds();
    let place = |kind: &str| kinds.iter().position(|found| found == kind).expect(kind);
    let way = [
        "alert.started",
        "alert.fired",
        "incident.declared",
        "incident.page_requested",
        "oncall.opened",
        "oncall.notified",
        "delivery.delivered",
        "incident.page_delivered",
    ];
    let places: Vec<usize> = way.iter().map(|kind| place(kind)).collect();
    assert!(places.is_sorted(), "{kinds:?}");
    let pages = bench
        .sent()
        .into_iter()
        .filter(|(key, _)| key.starts_with("page/"));
    assert_eq!(pages.count(), 2, "chat and mail to the one who is on call");
    let incident = block_on(bench.plane.look(|states| states.incidents.open().next().cloned()));
    assert!(incident.expect("one").page_delivered_at.is_some());
}

/// Nobody is called again for what somebody has taken on.
#[test]
fn what_is_acknowledged_is_not_tried_again() {
    let bench = Bench::new();
    bench.busy(true);
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    let tried = |bench: &Bench| {
        bench
            .sent()
            .iter()
            .filter(|(key, _)| key.starts_with("page/"))
            .count()
    };
    let before = tried(&bench);
    assert!(before >= 2, "SMS and mail");
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: IncidentId::new("2026-03-02-001").expect("an id"),
        by: None,
    }));
    bench.pass(5);
    assert_eq!(tried(&bench), before);
    let withdrawn = bench
        .kinds()
        .iter()
        .filter(|kind| *kind == "delivery.withdrawn")
        .count();
    assert_eq!(withdrawn, before);
}

/// Not even where a call that rang may have been heard.
#[test]
fn who_has_taken_it_on_is_not_called_again() {
    let bench = Bench::new();
    bench.busy(true);
    bench.observe("LedgerDown", "cell=cell-5 priority=P0 job=ledger-service", false);
    bench.work();
    let calls = |bench: &Bench| {
        let sent = bench.sent();
        sent.iter()
            .filter(|(key, _)| key.ends_with("/thandi/voice"))
            .count()
    };
    assert_eq!(calls(&bench), 1);
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: IncidentId::new("2026-03-02-001").expect("an id"),
        by: None,
    }));
    bench.pass(5);
    assert_eq!(calls(&bench), 1);
}

#[test]
fn a_new_process_repeats_nothing_and_forgets_nothing() {
    let mut bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    let (events, sent) = (bench.records().len(), bench.sent());
    for saved in [false, true, true] {
        if saved {
            block_on(bench.plane.save()).expect("the journal works");
        }
        bench.reopen();
        bench.work();
        assert_eq!(bench.records().len(), events);
        assert_eq!(bench.sent(), sent);
        // The source says again what is known.
        bench.observe("HighErrorRate", P1, false);
        bench.work();
        assert_eq!(bench.records().len(), events);
    }
    // The clock of the escalation goes on.
    bench.pass(6);
    assert!(
        bench.sent().len() > sent.len(),
        "the second level is told after five minutes"
    );
    let keys: BTreeSet<String> = bench.sent().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), bench.sent().len(), "no message left twice");
}

/// Two receivers, two policies: the page climbs by that of the receiver to which the alert was routed, although another
/// route takes the alert first and pages nobody.
#[test]
fn the_receiver_of_the_alert_chooses_the_policy() {
    let catalog = changed("routing.yaml", |text| {
        text.replace(
            "    - {name: monitoring,",
            "    - {name: all-posts, chat: [\"#all\"]}\n    - {name: zz-night, page: night}\n    - {name: monitoring,",
        )
        .replace(
            "    routes:\n",
            "    routes:
      - {receiver: all-posts, matchers: ['team=\"night\"'], group_wait: 0s, continue: true}
      - {receiver: zz-night, matchers: ['team=\"night\"'], group_wait: 0s}
",
        ) + "---
apiVersion: mainstay/v1
kind: EscalationPolicy
metadata: {name: night}
spec:
  title: Night
  channels: {P0: [chat], P1: [chat]}
  levels: [{after: 0s, targets: [{person: amina}]}, {after: 5m, targets: [{person: james}]}]
"
    });
    assert!(
        catalog.response.policies.contains_key("night"),
        "the catalog is as meant"
    );
    let bench = Bench::over(catalog);
    bench.observe("Dark", "cell=cell-5 priority=P1 team=night", false);
    bench.observe("Dark", "cell=cell-6 priority=P1 team=day", false);
    let policies: Vec<String> = block_on(bench.plane.look(|states| {
        let climbing = states.oncall.climbing();
        climbing.map(|page| page.policy.clone()).collect()
    }));
    assert_eq!(policies, ["night", "payments"]);
}

#[test]
fn another_catalog_routes_what_comes_after_it() {
    let bench = Bench::new();
    bench.observe("HighErrorRate", "cell=cell-5 priority=P2", false);
    let catalog = changed("routing.yaml", |text| {
        text.replace("priority=\"P2\"", "priority=\"P9\"")
    });
    let digest = catalog.digest;
    block_on(bench.plane.apply_catalog(catalog, lookup)).expect("a good catalog");
    bench.observe("HighErrorRate", "cell=cell-6 priority=P2", false);
    bench.observe("HighErrorRate", "cell=cell-5 priority=P2", false);
    let receivers: Vec<String> = block_on(bench.plane.look(|states| {
        let groups = states.alerts.groups();
        groups
            .map(|(_, group)| group.placement.receiver.clone())
            .collect()
    }));
    assert_eq!(
        receivers,
        ["alerts", "monitoring"],
        "what fires already stays where it is"
    );
    let last = bench.records().pop().expect("events");
    assert_eq!(
        last.envelope.catalog, digest,
        "events name the catalog that they were decided under"
    );
}

#[test]
fn a_catalog_that_does_away_with_the_policy_of_an_open_page_waits_until_somebody_has_it() {
    let bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    let catalog = changed("oncall.yaml", |text| {
        text.replace("metadata: {name: payments}", "metadata: {name: other}")
    });
    assert!(!catalog.response.policies.contains_key("payments"));
    let refused = block_on(bench.plane.apply_catalog(catalog.clone(), lookup));
    assert!(
        matches!(&refused, Err(ApplyError::PolicyInUse(policy)) if policy == "payments"),
        "{refused:?}"
    );
    let incident = IncidentId::new("2026-03-02-001").expect("a name");
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident,
        by: None,
    }));
    block_on(bench.plane.apply_catalog(catalog, lookup)).expect("nobody waits for it");
}

#[test]
fn what_the_counts_say_makes_it_worse_and_says_when_it_is_over() {
    let bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    let say = |tenants: &[&str], last_bad_at, recovered_at| {
        let impact = Impact {
            tenants: tenants
                .iter()
                .filter_map(|name| TenantId::new(*name).ok())
                .collect(),
            bad: 10,
            total: 100,
            first_bad_at: None,
            last_bad_at: Some(last_bad_at),
        };
        *bench.judge.0.lock().expect("not poisoned") = Some(Verdict { impact, recovered_at });
        block_on(bench.plane.measure()).expect("the journal works");
    };
    let now = mainstay_kernel::Clock::now(&*bench.clock);
    say(&["t1"], now, None);
    let first =
        || block_on(bench.plane.look(|states| states.incidents.open().next().cloned())).expect("open");
    assert_eq!(first().severity, Severity::P1);
    say(&["t1", "t2"], now, None);
    assert_eq!(first().severity, Severity::P0);
    let pages = block_on(bench.plane.look(|states| states.oncall.climbing().count()));
    assert_eq!(pages, 1, "the page that says so takes the place of the first");
    assert_eq!(first().pages.len(), 2);
    let events = bench.records().len();
    say(&["t1", "t2"], now, None);
    assert_eq!(bench.records().len(), events, "no news, no events");
    say(&["t1", "t2"], now, Some(now));
    assert_eq!(first().mitigated_at, Some(now));
    // Nobody knows: nothing is concluded.
    *bench.judge.0.lock().expect("not poisoned") = None;
    let events = bench.records().len();
    block_on(bench.plane.measure()).expect("the journal works");
    assert_eq!(bench.records().len(), events);
}

#[test]
fn relief_travels_too() {
    let bench = Bench::new();
    for name in ["A", "B"] {
        bench.observe(name, P1, false);
    }
    bench.pass(2);
    // One ends, another begins: the group tells of two, the incident must not wait for the one that is gone.
    bench.observe("A", P1, true);
    bench.observe("C", P1, false);
    bench.pass(2);
    bench.observe("B", P1, true);
    bench.observe("C", P1, true);
    bench.work();
    let incident =
        block_on(bench.plane.look(|states| states.incidents.open().next().cloned())).expect("open");
    assert_eq!(incident.firing().count(), 0, "{:?}", incident.alerts);
    assert!(incident.all_clear_at.is_some());
}

/// Told after the end that it is told of, a beginning would stay open at its receiver for good.
#[test]
fn a_beginning_that_could_not_be_told_is_not_told_after_its_end() {
    const P3: &str = "cell=cell-5 priority=P3 job=payment-service";
    let bench = Bench::new();
    bench.busy(true);
    bench.observe("Slow", P3, false);
    bench.pass(6);
    let tried = bench.sent().len();
    assert!(tried > 0, "it is tried, and refused");
    bench.observe("Slow", P3, true);
    bench.busy(false);
    bench.pass(6);
    let delivered = |kind: &str| bench.kinds().iter().filter(|found| *found == kind).count();
    assert_eq!(delivered("delivery.withdrawn"), 1, "{:?}", bench.kinds());
    assert_eq!(delivered("delivery.delivered"), 1, "the end");
}

/// Nor does the end overtake a beginning that is on its way.
#[test]
fn an_end_waits_for_the_beginning_that_is_on_its_way() {
    let bench = Bench::new();
    bench.observe("Slow", "cell=cell-5 priority=P3 job=payment-service", false);
    bench.clock.advance(jiff::SignedDuration::from_mins(6));
    block_on(bench.plane.tick()).expect("the journal works");
    let claim = || {
        block_on(bench.plane.claim(1))
            .expect("the journal works")
            .remove(0)
    };
    let beginning = claim();
    let answer = bench.hold_next();
    bench.observe("Slow", "cell=cell-5 priority=P3 job=payment-service", true);
    let end = claim();
    let mut first = Box::pin(bench.plane.perform(beginning));
    block_on(futures::future::poll_fn(|context| {
        assert!(first.as_mut().poll(context).is_pending(), "it is not answered");
        std::task::Poll::Ready(())
    }));
    block_on(bench.plane.perform(end)).expect("the journal works");
    assert_eq!(bench.sent().len(), 1, "the beginning");
    answer.send(()).expect("it waits");
    block_on(first).expect("the journal works");
    bench.pass(1);
    let sent: Vec<String> = bench.sent().into_iter().map(|(_, subject)| subject).collect();
    assert!(sent[0].starts_with("firing") && sent.len() == 2, "{sent:?}");
}
