//! A process that starts with a catalog which lacks the policy of an open page, or is asked for one that is not there.

use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{PageId, Scope, Severity};
use mainstay_oncall::OncallCommand;

use crate::escalation::{Bench, CHAIN, incident, policy};
use crate::rota::person;

const SHORT: &str = r#"{"title": "Short", "channels": {"P0": ["email"], "P1": ["email"]},
    "levels": [
        {"after": "0s", "targets": [{"person": "cto"}]},
        {"after": "0s", "targets": [{"person": "ben"}], "inform": true}]}"#;

/// A P1 that climbs by a policy that is not there any more; another is the default.
fn without_its_policy(chain: &str) -> Bench {
    let mut bench = Bench::with(|spec| {
        spec.policies.insert("chain".to_owned(), policy(chain));
    });
    bench.page("p1", "P1");
    bench.pass(1);
    bench.restart();
    bench.spec.policies = [("short".to_owned(), policy(SHORT))].into();
    bench.spec.default_policy = Some("short".to_owned());
    bench
}

#[test]
fn a_page_whose_policy_is_gone_climbs_by_the_default_one() {
    let mut bench = without_its_policy(CHAIN);
    bench.pass(24 * 60);
    // The third level comes when it would have; the default policy has none, so its last that pages is told.
    assert_eq!(bench.said(), ["0m ana", "5m cto", "15m cto", "120m cto"]);
    let keys: std::collections::BTreeSet<&str> =
        bench.effects.iter().map(|effect| effect.key.as_str()).collect();
    assert_eq!(keys.len(), bench.effects.len(), "each is a message of its own");
    bench.restart();

    let mut bench = without_its_policy(CHAIN);
    bench.pass(5);
    bench.acknowledge("cto").expect("it waits");
    bench.pass(24 * 60);
    assert_eq!(bench.said(), ["0m ana", "5m cto"], "nobody is paged any more");
}

#[test]
fn where_the_default_policy_has_the_level_it_is_told() {
    let mut bench = without_its_policy(CHAIN);
    bench.spec.policies = [(
        "short".to_owned(),
        policy(&CHAIN.replace(r#"{"rota": "secondary"}"#, r#"{"person": "cto"}"#)),
    )]
    .into();
    bench.pass(60);
    assert_eq!(bench.said(), ["0m ana", "5m cto", "15m manager"]);
}

#[test]
fn whoever_is_left_is_told_at_once_when_nobody_was_reached() {
    let mut bench = without_its_policy(CHAIN);
    let page = PageId::new("p1").expect("a name");
    let undeliverable = |person| OncallCommand::Undeliverable {
        page: page.clone(),
        person,
    };
    bench.ask(undeliverable(person("ana"))).expect("it is noted");
    assert_eq!(bench.said(), ["0m ana", "1m cto"]);
    bench.ask(undeliverable(person("cto"))).expect("it is noted");
    bench.pass(10);
    assert_eq!(bench.said()[..2], ["0m ana", "1m cto"]);
}

#[test]
fn its_rounds_go_on_too() {
    let again = CHAIN.replace(
        r#""levels""#,
        r#""repeat": {"times": 1, "every": "20m"}, "levels""#,
    );
    let mut bench = without_its_policy(&again);
    bench.pass(30);
    assert_eq!(
        bench.said(),
        ["0m ana", "5m cto", "15m cto", "20m cto", "20m (ben)"]
    );
}

#[test]
fn a_page_that_asks_for_a_policy_that_is_not_there_is_opened_by_the_default_one() {
    let mut bench = Bench::new();
    let request = PageRequested {
        page: PageId::new("p1").expect("a name"),
        incident: incident(),
        severity: Severity::P1,
        title: "Payments fail".to_owned(),
        scope: Scope::platform(),
        policy: None,
    };
    let page = OncallCommand::Page {
        request,
        policy: Some("gone".to_owned()),
    };
    bench.ask(page).expect("a page is taken");
    bench.pass(6);
    assert_eq!(bench.said(), ["0m ana", "5m dan"]);
}
