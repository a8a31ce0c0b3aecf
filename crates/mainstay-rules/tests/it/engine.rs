//! Groups over time: what becomes of alerts and series.

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_promql::{Limits, MemorySamples, is_stale};
use mainstay_rules::{
    ActiveAlert, AlertState, Change, Evaluation, Group, GroupContext, RuleFile, RuleSample, RuleStore,
    Transition,
};

const MINUTE_MS: i64 = 60_000;

fn groups(text: &str) -> Vec<Group> {
    let file = RuleFile::parse("rules.yml", text).unwrap_or_else(|error| panic!("{error}"));
    file.groups
        .into_iter()
        .map(|spec| Group::new(spec, GroupContext::default()))
        .collect()
}

fn group(rules: &str) -> Group {
    let text = format!("groups:\n  - name: g\n    interval: 1m\n{rules}");
    groups(&text).pop().expect("a group")
}

fn labels(text: &str) -> Arc<Labels> {
    Arc::new(mainstay_promql::notation::parse_series(text).expect("a series").0)
}

/// A store that can be told which values a gauge has at the next minute.
#[derive(Default)]
struct Store {
    samples: MemorySamples,
    written: Vec<RuleSample>,
}

impl mainstay_promql::Samples for Store {
    fn select(
        &self,
        matchers: &[mainstay_kernel::Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Vec<mainstay_promql::Series>, mainstay_promql::SourceError> {
        if matchers
            .iter()
            .any(|matcher| matcher.value() == "unreachable" && self.written.len() > 1)
        {
            return Err(mainstay_promql::SourceError::Failed(
                "the store is away".to_owned(),
            ));
        }
        self.samples.select(matchers, min_ms, max_ms)
    }
}

impl RuleStore for Store {
    fn record(&mut self, samples: &[RuleSample]) -> Result<(), mainstay_promql::SourceError> {
        self.written.extend_from_slice(samples);
        self.samples.record(samples)
    }
}

impl Store {
    /// Sets gauges at a minute, then evaluates.
    fn step(&mut self, group: &mut Group, minute: i64, gauges: &[(&str, f64)]) -> Evaluation {
        self.written.clear();
        for (series, value) in gauges {
            self.samples.append(&labels(series), minute * MINUTE_MS, *value);
        }
        group.evaluate(minute * MINUTE_MS, self, &Limits::default())
    }

    fn shown(&self) -> Vec<String> {
        let text = |value: f64| {
            if is_stale(value) {
                "stale".to_owned()
            } else {
                value.to_string()
            }
        };
        self.written
            .iter()
            .map(|sample| {
                format!(
                    "{} {}",
                    sample.labels,
                    text(sample.value.float().expect("a float"))
                )
            })
            .collect()
    }
}

fn alerts(group: &Group) -> Vec<ActiveAlert> {
    group.alerts().cloned().collect()
}

fn changes(evaluation: &Evaluation) -> Vec<Change> {
    evaluation
        .transitions
        .iter()
        .map(|transition| transition.change)
        .collect()
}

#[test]
fn an_alert_is_pending_then_fires_then_is_over() {
    let mut group = group("    rules: [{alert: A, expr: 'x > 0', for: 2m, labels: {severity: page}}]");
    let mut store = Store::default();
    let mut at = |minute, value| {
        let evaluation = store.step(&mut group, minute, &[(r#"x{i="1"}"#, value)]);
        (changes(&evaluation), store.shown(), alerts(&group))
    };
    assert_eq!(at(0, 0.0).0, []);
    let (found, written, _) = at(1, 1.0);
    assert_eq!(found, [Change::BecamePending]);
    let series = r#"{alertname="A", alertstate="pending", i="1", severity="page"}"#;
    let since = r#"ALERTS_FOR_STATE{alertname="A", i="1", severity="page"} 60"#;
    assert_eq!(written, [format!("ALERTS{series} 1"), since.to_owned()]);
    assert_eq!(at(2, 1.0).0, []);
    let (found, written, alerts) = at(3, 5.0);
    assert_eq!(found, [Change::BecameFiring]);
    let firing = series.replace("pending", "firing");
    assert_eq!(
        written,
        [
            format!("ALERTS{firing} 1"),
            since.to_owned(),
            format!("ALERTS{series} stale")
        ]
    );
    assert_eq!(
        (alerts[0].active_at_ms, alerts[0].fired_at_ms),
        (MINUTE_MS, Some(3 * MINUTE_MS))
    );
    assert_eq!(alerts[0].value, 5.0);
    assert_eq!(at(4, 1.0).0, [], "only changes are told");
    let (found, written, alerts) = at(5, 0.0);
    assert_eq!(found, [Change::Resolved]);
    assert_eq!(written.len(), 2);
    assert!(written.iter().all(|line| line.ends_with("stale")));
    assert_eq!(alerts[0].resolved_at_ms, Some(5 * MINUTE_MS));
    assert_eq!(at(20, 0.0).2.len(), 1, "kept for 15 minutes");
    assert_eq!(at(21, 0.0).2.len(), 0);
}

#[test]
fn a_pending_alert_that_vanishes_is_dropped_and_a_resolved_one_starts_anew() {
    let mut group = group("    rules: [{alert: A, expr: 'x > 0', for: 1m}]");
    let mut store = Store::default();
    let script: [(f64, &[Change]); 8] = [
        (1.0, &[Change::BecamePending]),
        (0.0, &[Change::Dropped]),
        (1.0, &[Change::BecamePending]),
        (1.0, &[Change::BecameFiring]),
        (0.0, &[Change::Resolved]),
        (1.0, &[Change::BecamePending]),
        (1.0, &[Change::BecameFiring]),
        (1.0, &[]),
    ];
    for (minute, (value, expected)) in (0..).zip(script) {
        let evaluation = store.step(&mut group, minute, &[("x", value)]);
        assert_eq!(changes(&evaluation), expected, "minute {minute}");
    }
    assert_eq!(alerts(&group)[0].active_at_ms, 5 * MINUTE_MS);
}

#[test]
fn keep_firing_for_holds_a_firing_alert_only() {
    let mut group = group("    rules: [{alert: A, expr: 'x > 0', for: 1m, keep_firing_for: 2m}]");
    let mut store = Store::default();
    let values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let told: Vec<Vec<Change>> = (0..)
        .zip(values)
        .map(|(minute, value)| changes(&store.step(&mut group, minute, &[("x", value)])))
        .collect();
    let expected: [&[Change]; 10] = [
        &[Change::BecamePending],
        &[Change::Dropped],
        &[Change::BecamePending],
        &[Change::BecameFiring],
        &[],
        &[],
        &[],
        &[],
        &[Change::Resolved],
        &[],
    ];
    assert_eq!(told, expected);
}

#[test]
fn too_many_alerts_drop_them_all() {
    let mut group = group("    limit: 1\n    rules: [{alert: A, expr: 'x > 0'}, {record: r, expr: x}]");
    let mut store = Store::default();
    assert_eq!(
        changes(&store.step(&mut group, 0, &[(r#"x{i="1"}"#, 1.0)])),
        [Change::BecameFiring]
    );
    let evaluation = store.step(&mut group, 1, &[(r#"x{i="1"}"#, 1.0), (r#"x{i="2"}"#, 1.0)]);
    assert_eq!(changes(&evaluation), [Change::Dropped]);
    let messages: Vec<&str> = evaluation
        .failures
        .iter()
        .map(|failure| failure.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "exceeded limit of 1 with 2 alerts",
            "exceeded limit of 1 with 2 series"
        ]
    );
    assert_eq!((store.shown().len(), alerts(&group).len()), (0, 0));
}

#[test]
fn a_query_that_fails_changes_nothing() {
    let mut group = group("    rules: [{alert: A, expr: 'x{a!=\"unreachable\"} > 0'}]");
    let mut store = Store::default();
    store.step(&mut group, 0, &[("x", 1.0)]);
    let before = alerts(&group);
    store.written = vec![before_sample(), before_sample()];
    let evaluation = group.evaluate(MINUTE_MS, &mut store, &Limits::default());
    assert_eq!(evaluation.failures[0].message, "the store is away");
    assert_eq!((evaluation.transitions.len(), evaluation.samples_written), (0, 0));
    assert_eq!(alerts(&group), before);
}

fn before_sample() -> RuleSample {
    RuleSample {
        labels: labels("x"),
        at_ms: 0,
        value: 1.0.into(),
    }
}

#[test]
fn the_same_labels_twice_are_an_error() {
    let mut group = group(
        "    rules: [{alert: A, expr: 'x', labels: {i: same}}, {record: r, expr: x, labels: {i: same}}]",
    );
    let evaluation = Store::default().step(&mut group, 0, &[(r#"x{i="1"}"#, 1.0), (r#"x{i="2"}"#, 1.0)]);
    let messages: Vec<&str> = evaluation
        .failures
        .iter()
        .map(|failure| failure.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "vector contains metrics with the same labelset after applying alert labels",
            "vector contains metrics with the same labelset after applying rule labels"
        ]
    );
}

#[test]
fn later_rules_see_what_earlier_ones_gave_and_lost_series_end() {
    let mut group = group(
        "    labels: {team: sre}\n    rules: [{record: a, expr: 'x * 2'}, {record: b, expr: 'a + 1'}, {alert: C, expr: 'b > 4'}]",
    );
    let mut store = Store::default();
    let evaluation = store.step(&mut group, 0, &[("x", 2.0)]);
    assert_eq!(changes(&evaluation), [Change::BecameFiring]);
    assert_eq!(store.shown()[..2], [r#"a{team="sre"} 4"#, r#"b{team="sre"} 5"#]);
    let evaluation = store.step(&mut group, 1, &[("x", mainstay_promql::stale_marker())]);
    assert_eq!(changes(&evaluation), [Change::Resolved]);
    assert_eq!(
        store.shown()[..2],
        [r#"a{team="sre"} stale"#, r#"b{team="sre"} stale"#]
    );
    assert_eq!(store.shown().len(), 4);
    assert_eq!(store.step(&mut group, 2, &[]).samples_written, 0, "ended once");
}

#[test]
fn the_query_offset_moves_query_and_samples() {
    let mut group = group("    query_offset: 1m\n    rules: [{record: a, expr: x}]");
    let mut store = Store::default();
    store.step(&mut group, 0, &[("x", 1.0)]);
    assert_eq!(store.shown(), [] as [String; 0]);
    store.step(&mut group, 1, &[("x", 2.0)]);
    assert_eq!(store.shown(), ["a 1"]);
    assert_eq!(store.written[0].at_ms, 0);
}

#[test]
fn missed_evaluations_are_counted() {
    let mut group = group("    rules: [{record: a, expr: '1'}]");
    let mut store = MemorySamples::new();
    let first = group.next_evaluation_after(0);
    let second = group.next_evaluation_after(first + 3 * MINUTE_MS);
    assert_eq!(group.evaluate(first, &mut store, &Limits::default()).missed, 0);
    assert_eq!(group.evaluate(second, &mut store, &Limits::default()).missed, 3);
    assert_eq!(group.missed_evaluations(), 3);
}

/// A restart at any evaluation must not be noticed: the restored group tells the same changes and writes the same
/// samples as the one that went on.
#[test]
fn restoring_alerts_is_exact() {
    let rules = "    rules: [{alert: A, expr: 'x > 0', for: 2m, keep_firing_for: 2m, annotations: {v: '{{ $value }}'}}, \
                 {alert: A, expr: 'x > 1', labels: {severity: page}}]";
    let values = [
        1, 1, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 2, 2, 2, 0, 0, 0, 0, 0, 1, 1, 1, 1,
    ];
    let mut whole = group(rules);
    let mut whole_store = Store::default();
    let mut restored_store = Store::default();
    let mut memory = group(rules).memory();
    let mut told = 0;
    for (minute, value) in (0..).zip(values) {
        let gauges = [
            (r#"x{i="1"}"#, f64::from(value)),
            (r#"x{i="2"}"#, f64::from(value % 2)),
        ];
        let mut restored = group(rules);
        assert_eq!(
            restored.resume(memory, minute * MINUTE_MS - 1, minute * MINUTE_MS),
            []
        );
        let expected = whole_store.step(&mut whole, minute, &gauges);
        let found = restored_store.step(&mut restored, minute, &gauges);
        assert_eq!(found.transitions, expected.transitions, "minute {minute}");
        assert_eq!(restored_store.shown(), whole_store.shown(), "minute {minute}");
        memory = restored.memory();
        assert_eq!(memory, whole.memory(), "minute {minute}");
        told += found.transitions.len();
    }
    assert!(told > 15, "only {told} changes");
    let mut other = group("    rules: [{alert: B, expr: 'x > 0'}]");
    let given_back = other.resume(memory.clone(), 0, 0);
    assert_eq!(given_back, memory.rules, "what no rule answers for is given back");
}

#[test]
fn transitions_carry_the_alert_as_it_is_then() {
    let mut group = group(
        "    rules: [{alert: A, expr: 'x > 0', annotations: {text: '{{ $value }} on {{ .Labels.i }}'}}]",
    );
    let evaluation = Store::default().step(&mut group, 0, &[(r#"x{i="1"}"#, 1.5)]);
    let [
        Transition {
            change: Change::BecameFiring,
            at_ms: 0,
            alert,
        },
    ] = evaluation.transitions.as_slice()
    else {
        panic!("{:?}", evaluation.transitions)
    };
    assert_eq!(alert.annotations["text"], "1.5 on 1");
    assert_eq!((alert.state, alert.rule.as_str()), (AlertState::Firing, "A"));
}

#[test]
fn a_reload_keeps_what_is_still_there_and_ends_the_rest() {
    let mut before = group(
        "    rules: [{alert: A, expr: 'x > 0', for: 2m}, {alert: B, expr: 'x > 0'}, {record: r, expr: x}]",
    );
    let mut store = Store::default();
    store.step(&mut before, 0, &[("x", 1.0)]);
    let mut after =
        group("    rules: [{record: r, expr: x}, {alert: A, expr: 'x > 0', for: 1m}, {record: s, expr: x}]");
    let given_back = after.resume(before.memory(), 1, 1);
    let alerts = given_back.iter().flat_map(|rule| &rule.alerts);
    assert_eq!(alerts.map(|alert| alert.rule.as_str()).collect::<Vec<_>>(), ["B"]);
    after.orphan(given_back.into_iter().flat_map(|rule| rule.series).collect());
    let evaluation = store.step(&mut after, 1, &[("x", 1.0)]);
    assert_eq!(
        changes(&evaluation),
        [Change::BecameFiring],
        "the new `for` counts from the old start"
    );
    let ended: Vec<String> = store
        .shown()
        .into_iter()
        .filter(|line| line.ends_with("stale"))
        .collect();
    let expected = [
        r#"ALERTS{alertname="A", alertstate="pending"} stale"#,
        r#"ALERTS{alertname="B", alertstate="firing"} stale"#,
        r#"ALERTS_FOR_STATE{alertname="B"} stale"#,
    ];
    assert_eq!(ended, expected);
    assert_eq!(
        store.step(&mut after, 2, &[("x", 1.0)]).samples_written,
        4,
        "ended once"
    );
}

/// A threshold that is turned, a duration that is changed: it stays the same rule, and its alert the same alert.
#[test]
fn a_rule_that_asks_something_else_keeps_its_alerts() {
    let mut before = group("    rules: [{alert: A, expr: 'x > 0', for: 1m}]");
    let mut store = Store::default();
    store.step(&mut before, 0, &[("x", 5.0)]);
    store.step(&mut before, 1, &[("x", 5.0)]);
    let mut after = group("    rules: [{alert: A, expr: 'x > 3', for: 1m}]");
    assert_eq!(after.resume(before.memory(), MINUTE_MS + 1, 0), []);
    assert_eq!(changes(&store.step(&mut after, 2, &[("x", 5.0)])), []);
    assert_eq!(alerts(&after)[0].active_at_ms, 0);
    assert_eq!(
        changes(&store.step(&mut after, 3, &[("x", 2.0)])),
        [Change::Resolved]
    );
}

#[test]
fn a_longer_for_moves_a_firing_alert_back_to_pending() {
    let mut before = group("    rules: [{alert: A, expr: 'x > 0', for: 1m}]");
    let mut store = Store::default();
    store.step(&mut before, 0, &[("x", 1.0)]);
    assert_eq!(
        changes(&store.step(&mut before, 1, &[("x", 1.0)])),
        [Change::BecameFiring]
    );
    let mut after = group("    rules: [{alert: A, expr: 'x > 0', for: 3m}]");
    after.resume(before.memory(), MINUTE_MS + 1, 0);
    assert_eq!(
        changes(&store.step(&mut after, 2, &[("x", 1.0)])),
        [Change::BackToPending]
    );
    let ended = r#"ALERTS{alertname="A", alertstate="firing"} stale"#.to_owned();
    assert!(store.shown().contains(&ended), "{:?}", store.shown());
    assert_eq!(
        changes(&store.step(&mut after, 3, &[("x", 1.0)])),
        [Change::BecameFiring]
    );
    assert_eq!(alerts(&after)[0].active_at_ms, 0);
}

/// After evaluations were missed, nothing there is no evidence until everything was scraped again; an alert that began
/// since then is judged as always.
#[test]
fn alerts_of_before_an_outage_wait_for_the_first_scrapes() {
    let rules = "    rules: [{alert: A, expr: 'x > 0', for: 2m}]";
    let mut before = group(rules);
    let mut store = Store::default();
    let both = [(r#"x{i="1"}"#, 1.0), (r#"x{i="2"}"#, 1.0)];
    for minute in 0..=2 {
        store.step(&mut before, minute, &both[..1]);
    }
    store.step(&mut before, 3, &both);
    let mut after = group(rules);
    after.resume(before.memory(), 20 * MINUTE_MS - 1, 22 * MINUTE_MS);
    assert_eq!(
        changes(&store.step(&mut after, 20, &[])),
        [],
        "neither resolved nor dropped"
    );
    assert_eq!(
        changes(&store.step(&mut after, 21, &[(r#"x{i="3"}"#, 1.0)])),
        [Change::BecamePending]
    );
    let gone = mainstay_promql::stale_marker();
    let evaluation = store.step(&mut after, 22, &[both[0], both[1], (r#"x{i="3"}"#, gone)]);
    assert_eq!(
        changes(&evaluation),
        [Change::BecameFiring, Change::Dropped],
        "the second one fires"
    );
    assert_eq!(alerts(&after).len(), 2);
    let since: Vec<i64> = alerts(&after).iter().map(|alert| alert.active_at_ms).collect();
    assert_eq!(since, [0, 3 * MINUTE_MS]);
    let evaluation = store.step(&mut after, 23, &[both[0], (r#"x{i="2"}"#, gone)]);
    assert_eq!(changes(&evaluation), [Change::Resolved]);
}
