//! The alert rules of the platform's specification: their unit tests, and random series on which Mainstay and
//! Prometheus' own promtool must agree at every evaluation.

mod script;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_promql::notation::{Point, parse_series};
use mainstay_promql::{Limits, MemorySamples, Value, instant, parse};
use mainstay_rules::unit_test::test_rules;
use mainstay_rules::{ActiveAlert, AlertState, Group, GroupContext, RuleFile, RuleKind};

use super::support::{Disk, environment, workspace};

const RULES: &str = "catalogs/payments/compat/specification-rules.yml";
const TESTS: &str = "catalogs/payments/compat/specification-rules.test.yml";
const EVALUATION_MS: i64 = 30_000;
/// Between samples. Not a divisor of the evaluation interval, so that no sample stands on the edge of a window, where
/// Prometheus 2 and 3 differ.
const SAMPLE_MS: i64 = 30_007;
const EVALUATIONS: i64 = 100;

/// Whether Prometheus' tool is installed.
fn has_promtool() -> bool {
    let found = Command::new("promtool")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: no promtool on the path");
    }
    found
}

/// Runs promtool on test files and gives what it says when they fail.
fn promtool(files: &[String]) -> Result<(), String> {
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .args(files)
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err([output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat())
}

#[test]
fn every_rule_of_the_specification_fires_and_resolves() {
    let path = workspace(TESTS).to_string_lossy().into_owned();
    let report = test_rules(std::slice::from_ref(&path), &Disk);
    assert!(report.is_success(), "{:#?}", report.failures);
    assert_eq!(report.passed, 22);
    if has_promtool() {
        promtool(&[path]).unwrap_or_else(|said| panic!("promtool disagrees:\n{said}"));
    }
}

#[test]
fn the_specification_is_a_rule_file() {
    let text = std::fs::read_to_string(workspace(RULES)).expect("the rules");
    let file = RuleFile::parse(RULES, &text).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = file.groups[0].rules.iter().map(|rule| rule.name()).collect();
    let expected = [
        "PaymentServiceDown",
        "HighErrorRate",
        "SLOBudgetExhausted",
        "HighLatency",
        "DatabaseConnectionPoolHigh",
        "HighMemoryUsage",
        "CircuitBreakerOpen",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        (file.groups[0].interval_ms, file.warnings.len()),
        (Some(30_000), 0)
    );
}

/// How many tests share the seeds, so that they run side by side.
const PARTS: u64 = 10;

macro_rules! promtool_agrees_on_random_series {
    ($($part:literal $name:ident)*) => {
        $(#[test]
        fn $name() {
            agree($part);
        })*
    };
}

promtool_agrees_on_random_series! {
    0 promtool_agrees_on_random_series_0
    1 promtool_agrees_on_random_series_1
    2 promtool_agrees_on_random_series_2
    3 promtool_agrees_on_random_series_3
    4 promtool_agrees_on_random_series_4
    5 promtool_agrees_on_random_series_5
    6 promtool_agrees_on_random_series_6
    7 promtool_agrees_on_random_series_7
    8 promtool_agrees_on_random_series_8
    9 promtool_agrees_on_random_series_9
}

/// 20 seeds in all, 200 with `MAINSTAY_FULL=1`, from `MAINSTAY_SEED` on.
fn agree(part: u64) {
    if !has_promtool() {
        return;
    }
    let all = if environment("MAINSTAY_FULL").is_some_and(|value| value == "1") {
        200
    } else {
        20
    };
    let seeds = all / PARTS;
    let first = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1_u64)
        + part * seeds;
    eprintln!("seeds {first}..{}", first + seeds);
    let folder = tempfile::tempdir().expect("a folder");
    let specification = std::fs::read_to_string(workspace(RULES)).expect("the rules");
    for (name, text) in [
        ("specification.yml", specification.as_str()),
        ("derived.yml", script::DERIVED_RULES),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a rule file");
    }
    let mut files = Vec::new();
    let mut firing = BTreeMap::new();
    for seed in first..first + seeds {
        let path = folder.path().join(format!("seed-{seed}.yml"));
        std::fs::write(&path, derived_test(seed, folder.path(), &mut firing)).expect("a test file");
        files.push(path.to_string_lossy().into_owned());
    }
    eprintln!("firing evaluations by rule: {firing:?}");
    assert!(firing.len() >= 7, "some rules never fire: {firing:?}");
    if let Err(said) = promtool(&files) {
        let kept = folder.keep();
        panic!(
            "promtool disagrees, see {}:\n{}",
            kept.display(),
            said.chars().take(6000).collect::<String>()
        );
    }
    let report = test_rules(&files[..1], &Disk);
    assert!(report.is_success(), "{:#?}", report.failures.first());
    // The comparison itself can fail: one digit makes both refuse.
    let text = std::fs::read_to_string(&files[0]).expect("a test file");
    let at = text.rfind("value: ").expect("a value") + "value: ".len();
    let wrong = folder.path().join("wrong.yml").to_string_lossy().into_owned();
    std::fs::write(
        &wrong,
        format!("{}7{}", &text[..at], &text[at..].trim_start_matches('-')),
    )
    .expect("a test file");
    assert!(promtool(std::slice::from_ref(&wrong)).is_err());
    assert!(!test_rules(&[wrong], &Disk).is_success());
}

/// A test file that says, at every evaluation, which alerts this engine has firing.
fn derived_test(seed: u64, folder: &Path, fired: &mut BTreeMap<String, usize>) -> String {
    let series = script::series(seed);
    let mut text = format!(
        "# seed {seed}\nrule_files: [specification.yml, derived.yml]\nevaluation_interval: 30s\n\
         group_eval_order: [payment_service_alerts, derived]\ntests:\n  - interval: {SAMPLE_MS}ms\n    input_series:\n"
    )
    .replace("30007ms", "30s7ms");
    for (name, values) in &series {
        writeln!(text, "      - series: '{name}'\n        values: '{values}'").expect("writing to a text");
    }
    let mut groups: Vec<Group> = ["specification.yml", "derived.yml"]
        .into_iter()
        .flat_map(|name| {
            let rules = std::fs::read_to_string(folder.join(name)).expect("a rule file");
            RuleFile::parse(name, &rules)
                .unwrap_or_else(|error| panic!("{error}"))
                .groups
        })
        .map(|spec| Group::new(spec, GroupContext::default()))
        .collect();
    let names: Vec<String> = groups
        .iter()
        .flat_map(|group| &group.spec().rules)
        .filter(|rule| matches!(rule.kind, RuleKind::Alert { .. }))
        .map(|rule| rule.name().to_owned())
        .collect();
    let mut input: BTreeMap<i64, Vec<(Arc<Labels>, f64)>> = BTreeMap::new();
    for (name, values) in &series {
        let (labels, points) = parse_series(&format!("{name} {values}")).expect("a series");
        let labels = Arc::new(labels);
        for (at_ms, point) in (0..)
            .step_by(usize::try_from(SAMPLE_MS).expect("positive"))
            .zip(points)
        {
            if let Point::Float(value) = point {
                input.entry(at_ms).or_default().push((Arc::clone(&labels), value));
            }
        }
    }
    let mut store = MemorySamples::new();
    text.push_str("    alert_rule_test:\n");
    for at_ms in (0..EVALUATIONS).map(|index| index * EVALUATION_MS) {
        let later = input.split_off(&(at_ms + 1));
        for (time_ms, samples) in std::mem::replace(&mut input, later) {
            samples
                .iter()
                .for_each(|(labels, value)| store.append(labels, time_ms, *value));
        }
        for group in &mut groups {
            let evaluation = group.evaluate(at_ms, &mut store, &Limits::default());
            assert_eq!(evaluation.failures, [], "seed {seed}");
        }
        let firing: Vec<ActiveAlert> = groups
            .iter()
            .flat_map(Group::alerts)
            .filter(|alert| alert.state == AlertState::Firing)
            .cloned()
            .collect();
        for name in &names {
            let alerts = firing.iter().filter(|alert| alert.rule == *name);
            *fired.entry(name.clone()).or_default() += alerts.clone().count();
            write_alerts(&mut text, name, at_ms, alerts);
        }
    }
    fired.retain(|_, count| *count > 0);
    write_queries(&mut text, &store);
    text
}

fn write_alerts<'a>(
    text: &mut String,
    name: &str,
    at_ms: i64,
    alerts: impl Iterator<Item = &'a ActiveAlert>,
) {
    let time = at_ms / 1000;
    writeln!(
        text,
        "      - eval_time: {time}s\n        alertname: {name}\n        exp_alerts:"
    )
    .expect("writing");
    for alert in alerts {
        text.push_str("          - exp_labels:\n");
        for (label, value) in alert.labels.iter().filter(|(label, _)| *label != "alertname") {
            writeln!(text, "              {label}: {value:?}").expect("writing to a text");
        }
        text.push_str("            exp_annotations:\n");
        for (annotation, value) in &alert.annotations {
            writeln!(text, "              {annotation}: {value:?}").expect("writing to a text");
        }
        if alert.annotations.is_empty() {
            text.truncate(text.len() - 1);
            text.push_str(" {}\n");
        }
    }
}

fn write_queries(text: &mut String, store: &MemorySamples) {
    text.push_str("    promql_expr_test:\n");
    for query in script::QUERIES {
        let expr = parse(query).expect("a query");
        for at_ms in [610_000, 1_510_000, (EVALUATIONS - 1) * EVALUATION_MS] {
            let outcome = instant(&expr, at_ms, store, &Limits::default()).expect("a value");
            let Value::Vector(samples) = outcome.value else {
                panic!("{query} gives no vector")
            };
            if samples
                .iter()
                .any(|sample| sample.value.float().is_none_or(f64::is_nan))
            {
                continue;
            }
            let time = at_ms / 1000;
            writeln!(
                text,
                "      - expr: '{query}'\n        eval_time: {time}s\n        exp_samples:"
            )
            .expect("writing");
            for sample in samples {
                let value = format!("{:e}", sample.value.float().expect("a float")).replace("inf", ".inf");
                writeln!(
                    text,
                    "          - labels: '{}'\n            value: {value}",
                    sample.labels
                )
                .expect("writing");
            }
        }
    }
}
