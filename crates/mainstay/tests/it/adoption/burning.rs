//! One stream into our engine, our evaluation of the exported rules, and Prometheus' own: alerts fire at the same time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use mainstay_kernel::{Labels, SloId};
use mainstay_promql::{Limits, MemorySamples};
use mainstay_rules::{AlertState, Group, GroupContext, RuleFile};
use mainstay_slo::export::prometheus_rules;
use mainstay_slo::{RawSample, Settings, SloEngine};

use super::{objectives, promtool};
use crate::told;

const STEP_MS: i64 = 30_000;
const STEPS: i64 = 960;
/// When failures begin.
const BREAKS_AT: i64 = 780;

const SLO: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata:
  name: api
  labels: {team: shop}
  annotations: {mainstay/group-by: cell}
spec:
  service: gateway
  indicator:
    metadata: {name: events}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'requests_total{code=~"5.."}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: requests_total}}}
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.999}]
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: fast}
      spec: {conditions: [{kind: AlertCondition, metadata: {name: fast}, spec: {severity: critical, condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}}}]}
    - kind: AlertPolicy
      metadata: {name: slow}
      spec: {conditions: [{kind: AlertCondition, metadata: {name: slow}, spec: {severity: high, condition: {kind: burnrate, op: gt, threshold: 6, lookbackWindow: 6h}}}]}
"#;

/// 200 requests a step in cell-1, of which 10 in the end fail; 2 an hour in cell-2, which then all fail: too few to page.
fn counts(step: i64) -> [(&'static str, &'static str, i64); 4] {
    let broken = (step - BREAKS_AT).max(0);
    let quiet = step / 60;
    let quiet_broken = (quiet - BREAKS_AT / 60).max(0);
    [
        ("cell-1", "200", step * 200 - broken * 10),
        ("cell-1", "503", broken * 10),
        ("cell-2", "200", quiet - quiet_broken),
        ("cell-2", "503", quiet_broken),
    ]
}

fn series(cell: &str, code: &str) -> Labels {
    [
        ("__name__", "requests_total"),
        ("cell", cell),
        ("code", code),
        ("instance", "a"),
    ]
    .into_iter()
    .collect()
}

/// When each alert first fired, by its labels: of our engine, and of the exported rules.
fn first_firings(rules: &str, engine: &mut SloEngine) -> [BTreeMap<Labels, i64>; 2] {
    let file = RuleFile::parse("rules.yml", rules).unwrap_or_else(|error| panic!("{error}"));
    let context = GroupContext {
        interval_ms: STEP_MS,
        ..GroupContext::default()
    };
    let group = file.groups.into_iter().next().expect("a group");
    let mut group = Group::new(group, context);
    let mut store = MemorySamples::new();
    let [mut counted, mut ruled] = [BTreeMap::new(), BTreeMap::new()];
    for step in 0..STEPS {
        let at_ms = step * STEP_MS;
        let held: Vec<(Labels, f64)> = counts(step)
            .into_iter()
            .map(|(cell, code, count)| {
                (
                    series(cell, code),
                    f64::from(i32::try_from(count).expect("small")),
                )
            })
            .collect();
        for (labels, value) in &held {
            store.append(&Arc::new(labels.clone()), at_ms, *value);
        }
        let samples = held.iter().map(|(labels, value)| RawSample {
            labels,
            t_ms: at_ms,
            value: *value,
            created_ms: None,
        });
        engine.on_samples(u64::try_from(step).expect("positive") + 1, samples);
        let now = jiff::Timestamp::from_millisecond(at_ms).expect("in range");
        for alert in engine.evaluate(now).alerts {
            if alert.firing {
                counted.entry(alert.alert.labels).or_insert(step);
            }
        }
        let evaluation = group.evaluate(at_ms, &mut store, &Limits::default());
        assert!(evaluation.failures.is_empty(), "{:?}", evaluation.failures);
        for transition in evaluation.transitions {
            if transition.alert.state == AlertState::Firing {
                ruled.entry(transition.alert.labels.clone()).or_insert(step);
            }
        }
    }
    [counted, ruled]
}

#[test]
fn exported_alerts_fire_when_counted_ones_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("slo.yaml");
    std::fs::write(&file, SLO).expect("written");
    let (catalog, findings) = objectives(&file);
    assert!(findings.is_empty(), "{}", findings.render_short());
    let rules = prometheus_rules(&catalog, Some(&SloId::new("api").expect("a name")))
        .expect("rules")
        .text;
    let settings = Settings {
        scrape_interval_ms: STEP_MS,
        ..Settings::default()
    };
    let mut engine = SloEngine::new(catalog, settings, jiff::Timestamp::UNIX_EPOCH);
    let [counted, ruled] = first_firings(&rules, &mut engine);
    let labels: Vec<String> = counted.keys().map(ToString::to_string).collect();
    assert_eq!(
        counted.keys().collect::<Vec<_>>(),
        ruled.keys().collect::<Vec<_>>(),
        "the same alerts, label by label"
    );
    assert_eq!(
        counted.len(),
        2,
        "both pairs of cell-1, none of the quiet cell-2: {labels:?}"
    );
    for (labels, step) in &counted {
        let difference = (step - ruled[labels]).abs();
        assert!(
            difference <= 1,
            "{labels}: step {step} and step {}",
            ruled[labels]
        );
        assert!(*step > BREAKS_AT, "{labels} fires at {step}");
    }
    by_promtool(directory.path(), &rules, &counted);
}

/// Prometheus' own evaluation: not firing two steps before the count says so, firing one step after it.
fn by_promtool(directory: &std::path::Path, rules: &str, counted: &BTreeMap<Labels, i64>) {
    std::fs::write(directory.join("rules.yml"), rules).expect("written");
    let mut test = String::from(
        "rule_files: [rules.yml]\nevaluation_interval: 30s\ntests:\n  - interval: 30s\n    input_series:\n",
    );
    for (place, (cell, code, _)) in counts(0).iter().enumerate() {
        let values: Vec<String> = (0..STEPS).map(|step| counts(step)[place].2.to_string()).collect();
        let labels = format!("requests_total{{cell=\"{cell}\",code=\"{code}\",instance=\"a\"}}");
        writeln!(
            test,
            "      - {{series: '{labels}', values: '{}'}}",
            values.join(" ")
        )
        .expect("a String");
    }
    test.push_str("    promql_expr_test:\n");
    for (labels, step) in counted {
        let priority = labels.get("priority").expect("a priority");
        for (step, firing) in [(step - 2, 0), (step + 1, 1)] {
            writeln!(
                test,
                "      - {{expr: 'count(ALERTS{{alertname=\"SloBurnRate\",alertstate=\"firing\",priority=\"{priority}\",cell=\"cell-1\",team=\"shop\",service=\"gateway\"}}) or vector(0)', \
                 eval_time: {}s, exp_samples: [{{labels: '{{}}', value: {firing}}}]}}",
                step * STEP_MS / 1_000
            )
            .expect("a String");
        }
    }
    let file = directory.join("test.yml");
    std::fs::write(&file, test).expect("written");
    let path = file.to_str().expect("text");
    let ours = crate::run(&["test", "rules", path]);
    assert_eq!(ours.status.code(), Some(0), "{}", told(&ours));
    if let Some(theirs) = promtool(&["test", "rules", path]) {
        assert!(theirs.status.success(), "{}", told(&theirs));
    }
}
