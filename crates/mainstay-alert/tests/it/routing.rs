//! Which routes take an alert.

use mainstay_catalog::response::Routing;

use crate::bench::{Bench, labels, routing};

fn takers(routing: &Routing, text: &str) -> Vec<String> {
    let found = routing.route.matching(&labels(text));
    found.iter().map(|(_, route)| route.receiver.clone()).collect()
}

/// Alertmanager's own `conf.routing.yml` and the expectations of its `amtool config routes test`.
#[test]
fn routes_as_amtool_does() {
    let routing = routing(
        &["default", "test1", "test2"],
        "{receiver: default, routes: [
            {receiver: test1, matchers: ['test=~\"[12]\"'], continue: true},
            {receiver: test2, matchers: ['test=\"2\"']}]}",
    );
    assert_eq!(takers(&routing, "A test=1"), ["test1"]);
    assert_eq!(takers(&routing, "A test=2"), ["test1", "test2"]);
    assert_eq!(
        takers(&routing, "A test=12"),
        ["default"],
        "regular expressions are anchored"
    );
    assert_eq!(takers(&routing, "A"), ["default"]);
}

#[test]
fn the_deepest_match_takes_it_and_the_first_sibling_wins() {
    let routing = routing(
        &["root", "team", "db", "night", "late"],
        "{receiver: root, routes: [
            {receiver: team, matchers: ['team=pay'], routes: [
                {receiver: db, matchers: ['job=db'], continue: true},
                {receiver: night, matchers: ['job=~\"db|web\"']}]},
            {receiver: late, matchers: ['team=~\"pay|ops\"']}]}",
    );
    assert_eq!(
        takers(&routing, "A team=pay"),
        ["team"],
        "no child fits: the route itself"
    );
    assert_eq!(takers(&routing, "A team=pay job=db"), ["db", "night"]);
    assert_eq!(takers(&routing, "A team=pay job=web"), ["night"]);
    assert_eq!(takers(&routing, "A team=ops job=db"), ["late"]);
    assert_eq!(takers(&routing, "A team=x"), ["root"]);
}

#[test]
fn a_missing_label_is_an_empty_one() {
    let routing = routing(
        &["root", "none", "some"],
        "{receiver: root, routes: [
            {receiver: none, matchers: ['team=\"\"']},
            {receiver: some, matchers: ['team!=\"x\"']}]}",
    );
    assert_eq!(takers(&routing, "A"), ["none"]);
    assert_eq!(takers(&routing, "A team=y"), ["some"]);
    assert_eq!(takers(&routing, "A team=x"), ["root"]);
}

/// Three times the same receiver, by three routes: three groups, as in Alertmanager.
#[test]
fn each_route_has_its_own_groups() {
    let mut bench = Bench::new(routing(
        &["root", "team"],
        "{receiver: root, group_wait: 0s, routes: [
            {receiver: team, matchers: ['cell=~\".+\"'], group_by: [cell], continue: true},
            {receiver: team, matchers: ['cell=c1'], group_by: [alertname]}]}",
    ));
    bench.fire("A cell=c1");
    bench.fire("B cell=c1");
    bench.fire("A cell=c2");
    bench.fire("D");
    let groups: Vec<(&str, usize)> = bench
        .state
        .groups()
        .map(|(name, group)| (name, group.firing.len()))
        .collect();
    assert_eq!(
        groups,
        [
            (r#"root@{}"#, 1),
            (r#"team@0{cell="c1"}"#, 2),
            (r#"team@0{cell="c2"}"#, 1),
            (r#"team@1{alertname="A"}"#, 1),
            (r#"team@1{alertname="B"}"#, 1),
        ]
    );
}

#[test]
fn group_by_all_labels_and_by_none() {
    let by = |group_by: &str| {
        let route = format!("{{receiver: root, group_wait: 0s, group_by: {group_by}}}");
        let mut bench = Bench::new(routing(&["root"], &route));
        for text in ["A pod=1", "A pod=2", "B pod=1"] {
            bench.fire(text);
        }
        bench.state.groups().count()
    };
    assert_eq!(by("['...']"), 3);
    assert_eq!(by("[]"), 1);
    assert_eq!(by("[alertname]"), 2);
    assert_eq!(by("[pod, nothing]"), 2);
}

#[test]
fn timers_and_grouping_are_inherited_unless_said_otherwise() {
    let routing = routing(
        &["root", "child"],
        "{receiver: root, group_by: [cell], group_wait: 7s, repeat_interval: 9h, routes: [
            {receiver: child, matchers: ['a=b'], group_wait: 0s, group_interval: 2m}]}",
    );
    let mut bench = Bench::new(routing);
    bench.fire("A a=b cell=c1");
    let (name, group) = bench.state.groups().next().expect("one group");
    assert_eq!(name, r#"child@0{cell="c1"}"#);
    assert_eq!(group.placement.group_wait_ms, 0);
    assert_eq!(group.placement.group_interval_ms, 120_000);
    assert_eq!(group.placement.repeat_interval_ms, 9 * 3_600_000);
}
