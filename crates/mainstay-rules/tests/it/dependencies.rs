//! What rules see of each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_promql::{Limits, MemorySamples};
use mainstay_rules::dependency::depends;
use mainstay_rules::{Group, GroupContext, GroupSpec, RuleFile, RuleSample, RuleSpec, RuleStore};

fn spec(rules: &[String]) -> GroupSpec {
    let text = format!(
        "groups:\n  - name: g\n    interval: 1m\n    rules:\n{}",
        rules.concat()
    );
    let file = RuleFile::parse("rules.yml", &text).unwrap_or_else(|error| panic!("{error}"));
    file.groups.into_iter().next().expect("a group")
}

fn rule(text: &str) -> RuleSpec {
    spec(&[format!("      - {text}\n")]).rules.remove(0)
}

#[test]
fn a_rule_depends_on_what_its_selectors_can_select() {
    let recorded = rule("{record: 'job:up', expr: up, labels: {team: sre}}");
    let alert = rule("{alert: Down, expr: up == 0, labels: {severity: page, cell: '{{ $labels.cell }}'}}");
    for (query, on_recorded, on_alert) in [
        ("job:up", true, false),
        ("up", false, false),
        ("sum(rate(job:up[5m])) / 2", true, false),
        ("max_over_time(sum(job:up)[1h:1m])", true, false),
        (r#"{__name__=~"job:.*"}"#, true, false),
        (r#"{__name__!="job:up", job="a"}"#, false, true),
        (r#"{job="a"}"#, true, true),
        (r#"job:up{team="payments"}"#, false, false),
        ("ALERTS", false, true),
        (r#"ALERTS{alertname="Down", alertstate="firing"}"#, false, true),
        (r#"ALERTS{alertname="Other"}"#, false, false),
        (r#"ALERTS_FOR_STATE{severity="page", cell="cell-5"}"#, false, true),
        (r#"ALERTS{severity="ticket"}"#, false, false),
        ("vector(1)", false, false),
    ] {
        let reader = rule(&format!("{{record: r, expr: '{query}'}}"));
        let found = (depends(&reader, &recorded), depends(&reader, &alert));
        assert_eq!(found, (on_recorded, on_alert), "{query}");
    }
    let asking = rule(r#"{alert: A, expr: up, annotations: {text: '{{ query "job:up" | first | value }}'}}"#);
    assert!(depends(&asking, &recorded));
}

/// A generator of small numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn rule(&mut self, number: usize) -> String {
        let read = |dice: &mut Self| match dice.below(6) {
            0 => "x".to_owned(),
            1 => format!("ALERTS{{alertname=\"A{}\"}}", dice.below(6)),
            2 => "ALERTS_FOR_STATE".to_owned(),
            3 => format!("{{__name__=~\"r[{}-{}]\"}}", dice.below(3), 3 + dice.below(3)),
            _ => format!("r{}", dice.below(6)),
        };
        let (one, other) = (read(self), read(self));
        let expr = format!("sum by (i) ({one}) + on (i) group_left sum by (i) ({other} or x)");
        if self.below(2) == 0 {
            format!("      - {{record: r{number}, expr: '{expr}'}}\n")
        } else {
            format!(
                "      - {{alert: A{number}, expr: '({expr}) % 3 > 1', for: {}m}}\n",
                self.below(3)
            )
        }
    }
}

struct Written<'a>(&'a mut MemorySamples, BTreeMap<String, String>);

impl mainstay_promql::Samples for Written<'_> {
    fn select(
        &self,
        matchers: &[mainstay_kernel::Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<Vec<mainstay_promql::Series>, mainstay_promql::SourceError> {
        self.0.select(matchers, min_ms, max_ms)
    }
}

impl RuleStore for Written<'_> {
    fn record(&mut self, samples: &[RuleSample]) -> Result<(), mainstay_promql::SourceError> {
        for sample in samples {
            let value = sample.value.float().map(f64::to_bits);
            self.1.insert(sample.labels.to_string(), format!("{value:?}"));
        }
        self.0.record(samples)
    }
}

/// Every minute, what the rules wrote.
fn run(rules: &[String]) -> Vec<BTreeMap<String, String>> {
    let mut group = Group::new(spec(rules), GroupContext::default());
    let mut samples = MemorySamples::new();
    let series = ["x{i=\"1\"}", "x{i=\"2\"}"]
        .map(|text| Arc::new(mainstay_promql::notation::parse_series(text).expect("a series").0));
    let minutes = (0..12_u8).map(|minute| {
        let at_ms = i64::from(minute) * 60_000;
        for (labels, factor) in series.iter().zip([1, 2]) {
            samples.append(labels, at_ms, f64::from(minute * factor % 5));
        }
        let mut store = Written(&mut samples, BTreeMap::new());
        let evaluation = group.evaluate(at_ms, &mut store, &Limits::default());
        let failures = evaluation
            .failures
            .into_iter()
            .map(|failure| (failure.rule, failure.message));
        store.1.extend(failures);
        store.1
    });
    minutes.collect()
}

/// Rules that do not depend on each other may be evaluated in any order, or side by side: nothing comes out otherwise.
#[test]
fn independent_rules_may_change_places() {
    let (mut swapped, mut held_back, mut mattered) = (0, 0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut rules: Vec<String> = (0..6).map(|number| dice.rule(number)).collect();
        let wanted = run(&rules);
        for _ in 0..12 {
            let at = dice.below(5);
            let specs = spec(&rules).rules;
            let free = !depends(&specs[at], &specs[at + 1]) && !depends(&specs[at + 1], &specs[at]);
            rules.swap(at, at + 1);
            let same = run(&rules) == wanted;
            if free {
                assert!(same, "seed {seed}: {rules:#?}");
                swapped += 1;
            } else {
                held_back += 1;
                mattered += usize::from(!same);
                rules.swap(at, at + 1);
            }
        }
    }
    assert!(
        swapped > 50 && mattered > 20,
        "{swapped} swapped, {held_back} held back, {mattered} of them with reason"
    );
}

#[test]
fn reading_what_is_recorded_later_is_remarked_on() {
    let text = "groups:\n- name: g\n  rules:\n  - {record: a, expr: sum(b)}\n  - {record: b, expr: up}\n  - {record: c, expr: sum(b)}\n";
    let file = RuleFile::parse("rules.yml", text).expect("it loads");
    let warnings: Vec<String> = file.warnings.iter().map(ToString::to_string).collect();
    let wanted = "rules.yml:4:1: \"a\" reads \"b\", which is recorded after it, at line 5: it sees the evaluation before";
    assert_eq!(warnings, [wanted]);
}
