//! What PagerDuty hears besides alerts, where it asked for it: acknowledgements and changes, each once, by the outbox.

use std::sync::Arc;

use futures::executor::block_on;
use mainstay_catalog::Catalog;
use mainstay_change::ChangeCommand;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{Actor, CellId, IncidentId, PageId, Scope};
use mainstay_oncall::OncallCommand;
use mainstay_plane::{Command, Step, Subject, why};

use crate::bench::{Bench, changed};

const P1: &str = "cell=cell-5 priority=P1 job=payment-service";

/// What pages is told to two services of PagerDuty as well, of which one asked for more.
fn catalog(shadow: bool) -> Arc<Catalog> {
    changed("routing.yaml", |text| {
        let shadow = if shadow {
            "group_wait: 0s\n        shadow: true"
        } else {
            "group_wait: 0s"
        };
        text.replace(
            "  chat:\n",
            "  pagerduty:\n    payments: {routing_key: \"${KEY}\", changes: true, acknowledge: true}\n    \
             quiet: {routing_key: \"${KEY}\"}\n  chat:\n",
        )
        .replace("page: payments,", "page: payments, webhooks: [payments, quiet],")
        .replace("group_wait: 0s", shadow)
    })
}

fn told(bench: &Bench, prefix: &str) -> Vec<String> {
    let sent = bench.sent().into_iter().map(|(key, _)| key);
    sent.filter(|key| key.starts_with(prefix)).collect()
}

fn acknowledge(bench: &Bench) {
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: IncidentId::new("2026-03-02-001").expect("an id"),
        by: None,
    }));
    bench.work();
}

#[test]
fn an_acknowledgement_is_passed_on_once_to_whoever_asked_and_was_told() {
    let mut bench = Bench::over(catalog(false));
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    assert_eq!(told(&bench, "alert/").len(), 3, "chat and two services");
    bench.busy(true);
    acknowledge(&bench);
    let [key] = told(&bench, "acknowledged/").try_into().expect("one");
    assert!(
        key.starts_with("acknowledged/2026-03-02-001-p1/") && key.ends_with("/payments"),
        "{key}"
    );
    // It is kept, and tried until it is taken, by whichever process.
    bench.busy(false);
    bench.reopen();
    bench.pass(2);
    assert_eq!(told(&bench, "acknowledged/"), [key.clone(), key.clone()]);
    bench.reopen();
    bench.pass(5);
    assert_eq!(told(&bench, "acknowledged/").len(), 2, "it was taken");
    let kinds = bench.kinds();
    let passed_on = kinds
        .iter()
        .filter(|kind| *kind == "incident.acknowledgement_passed_on");
    assert_eq!(passed_on.count(), 1);
    let subject = Subject::Page(PageId::new("2026-03-02-001-p1").expect("an id"));
    let decisions = block_on(why(&*bench.journal, &subject)).expect("the journal works");
    let said = |step: Step, words: &str| {
        decisions
            .iter()
            .any(|one| one.step == step && one.text.contains(words))
    };
    assert!(
        said(
            Step::Acknowledgement,
            "The acknowledgement is passed on to payments for {}"
        ),
        "{decisions:#?}"
    );
    assert!(
        said(Step::Receipt, "webhook to payments: delivered at attempt 2"),
        "{decisions:#?}"
    );
}

#[test]
fn who_was_not_told_of_the_alert_or_did_not_ask_hears_of_no_acknowledgement() {
    // Nothing left: the route is in shadow.
    let bench = Bench::over(catalog(true));
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    acknowledge(&bench);
    assert_eq!(told(&bench, ""), [""; 0]);
    // Nobody asked.
    let bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    acknowledge(&bench);
    assert_eq!(told(&bench, "acknowledged/"), [""; 0]);
    assert!(
        !bench
            .kinds()
            .iter()
            .any(|kind| kind == "incident.acknowledgement_passed_on")
    );
}

#[test]
fn a_change_is_told_once_to_whoever_asked() {
    let mut bench = Bench::over(catalog(false));
    let report = |id: &str| {
        Command::Change(ChangeCommand::Record(ChangeRecorded {
            id: id.to_owned(),
            source: "/ci".to_owned(),
            kind: ChangeKind::Deploy,
            scope: Scope {
                cell: CellId::new("cell-5").ok(),
                ..Scope::default()
            },
            from_version: None,
            to_version: Some("v2".to_owned()),
            summary: "payment-service to v2".to_owned(),
            at: "2026-03-02T09:59:00Z".parse().expect("an instant"),
            cause: None,
        }))
    };
    bench.busy(true);
    bench.submit(report("1"));
    bench.work();
    bench.busy(false);
    bench.reopen();
    bench.pass(2);
    // The sender repeats itself.
    assert!(block_on(bench.plane.submit(Actor::token("ci"), report("1"))).is_err());
    bench.work();
    bench.submit(report("2"));
    bench.work();
    let keys = told(&bench, "change/");
    assert_eq!(keys.len(), 3, "the first twice, for it was not taken: {keys:?}");
    assert!(keys[0] == keys[1] && keys[1] != keys[2]);
    assert!(keys.iter().all(|key| key.ends_with("/payments")));
    let delivered = bench
        .kinds()
        .iter()
        .filter(|kind| *kind == "delivery.delivered")
        .count();
    assert_eq!(delivered, 2);
    let bench = Bench::new();
    bench.submit(report("1"));
    bench.work();
    assert_eq!(told(&bench, ""), [""; 0]);
}
