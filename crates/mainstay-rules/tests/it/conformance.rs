//! The published rule files and rule unit tests.

use mainstay_promql::{Limits, MemorySamples, instant};
use mainstay_rules::RuleFile;
use mainstay_rules::unit_test::test_rules;

use super::support::{Disk, files_in, published};

/// Test files that promtool passes.
const GOOD_TESTS: [&str; 6] = [
    "at-modifier-test.yml",
    "long-period.yml",
    "negative-offset-test.yml",
    "no-test-group-interval.yml",
    "start-time-test.yml",
    "unittest.yml",
];

/// Test files that promtool fails: file, the line of a finding, and a part of its message.
const BAD_TESTS: [(&str, &str, usize, &str); 8] = [
    ("bad-input-series.yml", "bad-input-series.yml", 3, "unexpected"),
    (
        "bad-promql.yml",
        "bad-promql.yml",
        12,
        "many-to-many matching not allowed",
    ),
    (
        "bad-rules-error-test.yml",
        "bad-rules-error.yml",
        6,
        "many-to-many matching not allowed",
    ),
    (
        "bad-rules-syntax-test.yml",
        "bad-rules-syntax.yml",
        7,
        "unexpected end of input",
    ),
    ("failing.yml", "failing.yml", 13, "got"),
    ("rules_run.yml", "rules_run.yml", 26, "wrong test"),
    (
        "rules_run_fuzzy.yml",
        "rules_run_fuzzy.yml",
        34,
        "wrong fuzzy match",
    ),
    (
        "rules_run_no_fuzzy.yml",
        "rules_run_no_fuzzy.yml",
        15,
        "correct fuzzy match",
    ),
];

/// Rule files that load.
const GOOD_RULES: [&str; 6] = [
    "at-modifier.yml",
    "bad-rules-error.yml",
    "negative-offset.yml",
    "prometheus-rules.lint.yml",
    "rules.yml",
    "rules_duplicates.yml",
];

/// Rule files that are refused: file, line, column, a part of the message.
const BAD_RULES: [(&str, usize, usize, &str); 3] = [
    ("bad-rules-syntax.yml", 7, 22, "unexpected end of input"),
    ("rules-bad.yml", 12, 33, "undefined variable \"$label\""),
    ("rules_extrafields.yml", 7, 5, "unknown key \"namespace\""),
];

#[test]
fn published_rule_tests_pass_or_fail_as_they_should() {
    let Some(folder) = published("promtool") else {
        return;
    };
    let run = |name: &str| test_rules(&[folder.join(name).to_string_lossy().into_owned()], &Disk);
    for name in GOOD_TESTS {
        let report = run(name);
        assert!(report.is_success(), "{name}: {:#?}", report.failures);
        eprintln!("{name}: {} passed", report.passed);
    }
    for (name, file, line, part) in BAD_TESTS {
        let report = run(name);
        let fits = report
            .failures
            .iter()
            .any(|found| found.file.ends_with(file) && found.line == line && found.message.contains(part));
        assert!(fits, "{name}: {:#?}", report.failures);
    }
    assert_eq!(run("failing.yml").failures.len(), 4);
    let known: Vec<&str> = GOOD_TESTS
        .into_iter()
        .chain(BAD_TESTS.map(|(name, ..)| name))
        .chain(GOOD_RULES)
        .chain(BAD_RULES.map(|(name, ..)| name))
        .collect();
    for path in files_in(&folder) {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        assert!(known.contains(&name.as_str()), "{name} is not judged");
    }
}

#[test]
fn published_rule_files_load_or_are_refused() {
    let Some(folder) = published("promtool") else {
        return;
    };
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).expect("a rule file");
        RuleFile::parse(name, &text)
    };
    for name in GOOD_RULES {
        read(name).unwrap_or_else(|error| panic!("{error}"));
    }
    for (name, line, column, part) in BAD_RULES {
        let error = read(name).expect_err(name);
        let first = &error.0[0];
        assert_eq!((first.line, first.column), (line, column), "{error}");
        assert!(first.message.contains(part), "{error}");
    }
    assert_eq!(
        read("rules_duplicates.yml").map(|file| file.warnings.len()),
        Ok(2)
    );
    assert_eq!(
        read("prometheus-rules.lint.yml").map(|file| file.warnings.len()),
        Ok(1)
    );
}

#[test]
fn rules_in_use_load_and_evaluate() {
    let Some(folder) = published("rules") else { return };
    let store = MemorySamples::new();
    let (mut files, mut rules) = (0, 0);
    for origin in ["kube-prometheus", "awesome-prometheus-alerts"] {
        for path in files_in(&folder.join(origin)) {
            let name = path.to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a rule file");
            if text.contains("\nkind: CustomResourceDefinition") {
                let error = RuleFile::parse(&name, &text).expect_err("it defines rules, it has none");
                assert!(
                    error
                        .to_string()
                        .contains("found kind \"CustomResourceDefinition\""),
                    "{error}"
                );
                continue;
            }
            let file = RuleFile::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
            files += 1;
            for rule in file.groups.iter().flat_map(|group| &group.rules) {
                instant(&rule.expr, 1_700_000_000_000, &store, &Limits::default())
                    .unwrap_or_else(|error| panic!("{name}:{}: {error}", rule.line));
                rules += 1;
            }
        }
    }
    eprintln!("{files} files, {rules} rules");
    assert!(rules > 500, "only {rules} rules");
    let text =
        std::fs::read_to_string(folder.join("../alert-generator/rules.yaml")).expect("the compliance rules");
    assert_eq!(
        RuleFile::parse("rules.yaml", &text).map(|file| file.groups.len()),
        Ok(4)
    );
}

/// A query between two evaluations sees the samples of the earlier one: promtool loads no further.
#[test]
fn queries_see_what_the_last_evaluation_saw() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.yml").to_string_lossy().into_owned();
    let text = "evaluation_interval: 1m\ntests:\n  - interval: 30s\n    input_series: [{series: x, values: 0+1x10}]\n    \
                promql_expr_test: [{expr: x, eval_time: 90s, exp_samples: [{labels: x, value: 2}]}]\n";
    std::fs::write(&path, text).expect("a test file");
    let report = test_rules(&[path], &Disk);
    assert!(report.is_success(), "{:#?}", report.failures);
}

/// Each alert beside the one it resembles, label by label; each sample beside what it should be.
#[test]
fn what_does_not_hold_is_told_difference_by_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = "groups:\n- name: g\n  rules:\n  - alert: QueueLong\n    expr: queue > 10\n    labels: {severity: page}\n    \
                 annotations: {summary: '{{ $value }} wait'}\n  - {record: 'cell:queue', expr: queue}\n";
    std::fs::write(folder.path().join("r.yml"), rules).expect("a rule file");
    let test = "rule_files: [r.yml]\ntests:\n- name: queues\n  interval: 1m\n  input_series:\n  \
                - {series: 'queue{cell=\"a\"}', values: '50x9'}\n  - {series: 'queue{cell=\"b\"}', values: '60x9'}\n  \
                alert_rule_test:\n  - eval_time: 5m\n    alertname: QueueLong\n    exp_alerts:\n    \
                - exp_labels: {cell: a, severity: P1}\n      exp_annotations: {summary: 51 wait}\n  \
                promql_expr_test:\n  - expr: cell:queue\n    eval_time: 5m\n    exp_samples:\n    \
                - {labels: 'cell:queue{cell=\"a\"}', value: 51}\n    - {labels: 'cell:queue{cell=\"c\"}', value: 60}\n";
    let path = folder.path().join("t.yml").to_string_lossy().into_owned();
    std::fs::write(&path, test).expect("a test file");
    let report = test_rules(std::slice::from_ref(&path), &Disk);
    let told: Vec<String> = report
        .failures
        .iter()
        .map(|found| found.to_string().replace(&path, "t.yml"))
        .collect();
    let wanted = r#"t.yml:9:5: queues: alert QueueLong at 5m: 3 differences
    ! alert {cell="a"}, label severity
        expected  "P1"
        got       "page"
    ! alert {cell="a"}, annotation summary
        expected  "51 wait"
        got       "50 wait"
    + alert {cell="b", severity="page"}
        expected  nothing
        got       firing
t.yml:15:11: queues: query cell:queue at 5m: 3 differences
    ! cell:queue{cell="a"}
        expected  51
        got       50
    + cell:queue{cell="b"}
        expected  nothing
        got       60
    - cell:queue{cell="c"}
        expected  60
        got       nothing"#;
    assert_eq!(told.join("\n"), wanted);
}
