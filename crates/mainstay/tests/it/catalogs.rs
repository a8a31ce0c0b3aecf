//! Commands that need no server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{root, run, told};

/// A copy of the payments catalog, to be changed.
pub(crate) fn copy_of_catalog() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("the catalog") {
            let entry = entry.expect("an entry");
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).expect("a copy");
            }
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    copy(&root().join("catalogs/payments"), directory.path());
    directory
}

pub(crate) fn edit(directory: &Path, file: &str, from: &str, to: &str) {
    let path = directory.join(file);
    let text = fs::read_to_string(&path).expect("a file of the catalog");
    assert!(text.contains(from), "{file} has {from:?}");
    fs::write(&path, text.replacen(from, to, 1)).expect("it is written");
}

/// Whoever copies the guide's first catalog word for word has one without a finding.
#[test]
fn the_catalog_of_the_first_hour_has_no_finding() {
    let guide = fs::read_to_string(root().join("docs/guide/first-hour.md")).expect("the guide");
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = 0;
    for part in guide.split("\n`reliability/").skip(1) {
        let (name, rest) = part.split_once("`:").expect("a file and what it is");
        let (_, block) = rest.split_once("\n```yaml\n").expect("its text");
        let (text, _) = block.split_once("```").expect("its end");
        fs::write(directory.path().join(name), text).expect("it is written");
        files += 1;
    }
    assert_eq!(files, 4, "as many as the guide says");
    let output = run(&["check", directory.path().to_str().expect("a path in UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(!told(&output).contains("warning["), "{}", told(&output));
}

#[test]
fn check_says_where_and_how_to_mend_it() {
    for name in ["04-unknown-key", "05-duplicate-key", "30-bad-duration"] {
        let path = format!("crates/mainstay-catalog/tests/broken/{name}");
        insta::assert_snapshot!(format!("check_{name}"), told(&run(&["check", &path])));
    }
}

#[test]
fn check_places_what_is_wrong_with_rules_in_their_file() {
    let catalog = copy_of_catalog();
    edit(catalog.path(), "rules/payments.yml", "for: 1m", "fur: 1m");
    let path = catalog.path().to_str().expect("a path in UTF-8");
    let output = run(&["check", "-o", "short", path]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    let line = fs::read_to_string(catalog.path().join("rules/payments.yml"))
        .expect("the rules")
        .lines()
        .position(|line| line.contains("fur: 1m"))
        .expect("the defect")
        + 1;
    let place = format!("{path}/rules/payments.yml:{line}:9: error[");
    assert!(text.starts_with(&place), "{text} starts with {place}");
    assert!(text.contains("fur"), "{text}");
}

/// Defects that only the whole program sees, each at its place and with a way to mend it.
#[test]
fn check_finds_what_would_fail_at_three_in_the_morning() {
    let cases = [
        (
            "rules/payments.yml",
            "priority: P0",
            "priority: P9",
            "`priority` is P0, P1, P2 or P3",
        ),
        ("rules/payments.yml", ") == 0\n", ") = 0\n", "write PromQL"),
        (
            "rules/payments.yml",
            "for: 1m",
            "for: 1 minute",
            "large units first",
        ),
        (
            "rules/payments.yml",
            "{{ $value }} tenants",
            "{{ $valu }} tenants",
            "a template knows",
        ),
        (
            "runbooks/high-error-rate.md",
            "max by (cell) (hikari",
            "max by (cell) ((hikari",
            "write PromQL",
        ),
    ];
    for (file, from, to, help) in cases {
        let catalog = copy_of_catalog();
        edit(catalog.path(), file, from, to);
        let text = fs::read_to_string(catalog.path().join(file)).expect("the file");
        let at = text.find(to).expect("the defect");
        let line = text[..at].lines().count() + usize::from(text[..at].ends_with('\n'));
        let path = catalog.path().to_str().expect("a path in UTF-8");
        let output = run(&["check", path]);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(3), "{to}: {told}");
        let near = (line..=line + 1).any(|line| told.contains(&format!("{path}/{file}:{line}:")));
        assert!(near && told.contains(help), "{to} in line {line}: {told}");
    }
}

/// What lies in a catalog's directory and is not read is named, never dropped in silence.
#[test]
fn check_names_what_it_does_not_read() {
    let catalog = copy_of_catalog();
    let at = |name: &str| catalog.path().join(name);
    fs::rename(at("calendars/kenya.yaml"), at("calendars/kenya.json")).expect("renamed");
    std::os::unix::fs::symlink(at("slo"), at("linked")).expect("a link");
    fs::write(at("calendars/more.YAML"), "").expect("written");
    let made = std::process::Command::new("mkfifo").arg(at("pipe.yaml")).status();
    assert!(made.expect("mkfifo").success());
    let output = run(&["check", "-o", "short", catalog.path().to_str().expect("UTF-8")]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for (name, why) in [
        ("calendars/kenya.json", "its ending is none that is read"),
        ("calendars/more.YAML", "its ending is none that is read"),
        ("linked", "it is a link to a directory"),
        ("pipe.yaml", "it is not a regular file"),
    ] {
        assert!(
            told.lines().any(|line| line.contains(name) && line.contains(why)),
            "{name}: {told}"
        );
    }
}

#[test]
fn the_catalog_of_the_demo_has_no_errors() {
    let output = run(&["check", "catalogs/payments", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&found[0]["errors"], &found[0]["warnings"]),
        (&0.into(), &0.into())
    );
    assert!(
        found[0]["files"].as_u64().is_some_and(|files| files > 10),
        "{found}"
    );
}

/// Every ruling that is looked for is found in the specification's own numbers, each at a line of a file and with a way to
/// mend it. Its budget states alone (R7) contradict nothing: the ruling takes them over.
#[test]
fn what_the_specification_contradicts_is_found() {
    let output = run(&["check", "catalogs/as-written", "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = found[0]["findings"].as_array().expect("findings");
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().map(str::to_owned);
    let rulings: BTreeSet<String> = findings.iter().filter_map(|one| text(one, "ruling")).collect();
    let looked_for = mainstay_catalog::lint::ALL
        .iter()
        .map(|id| id.lint())
        .filter(|lint| lint.status == mainstay_catalog::lint::Status::Implemented)
        .filter_map(|lint| lint.ruling)
        .filter(|ruling| *ruling != "R7");
    let looked_for: BTreeSet<String> = looked_for.map(str::to_owned).collect();
    assert_eq!(rulings, looked_for);
    for finding in findings.iter().filter(|one| text(one, "ruling").is_some()) {
        let placed = finding["line"].as_u64().is_some_and(|line| line > 0);
        assert!(
            placed && text(finding, "help").is_some_and(|help| !help.is_empty()),
            "{finding}"
        );
    }
}

#[test]
fn check_of_nothing_is_a_mistake_of_the_caller() {
    insta::assert_snapshot!(told(&run(&["check", "no/such/catalog"])));
}

#[test]
fn what_another_engine_sees_differently_is_shown_where_it_stands() {
    let output = run(&[
        "check",
        "catalogs/payments",
        "--engine",
        "victoriametrics",
        "-o",
        "short",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find(|line| line.contains("no-extrapolation"))
        .expect("rates are not extrapolated there");
    assert!(
        line.starts_with("catalogs/payments/rules/payments.yml:"),
        "{line}"
    );
    let same = run(&[
        "check",
        "catalogs/payments",
        "--engine",
        "prometheus",
        "-o",
        "short",
    ]);
    assert!(!told(&same).contains("dialect"), "{}", told(&same));
}

#[test]
fn plan_says_what_a_new_version_changes() {
    let new = copy_of_catalog();
    edit(new.path(), "slo/api-latency.yaml", "target: 0.95", "target: 0.99");
    edit(new.path(), "rules/payments.yml", "for: 1m", "for: 2m");
    fs::remove_file(new.path().join("runbooks/payment-service-down.md")).expect("it was there");
    edit(
        new.path(),
        "rules/payments.yml",
        "runbook: payment-service-down",
        "runbook: high-error-rate",
    );
    let path = new.path().to_str().expect("a path in UTF-8");
    let output = run(&["plan", path, "--against", "catalogs/payments"]);
    insta::assert_snapshot!(told(&output).replace(path, "NEW"));
}

#[test]
fn plan_refuses_a_catalog_with_errors() {
    let broken = copy_of_catalog();
    edit(
        broken.path(),
        "services.yaml",
        "id: payment-service",
        "idd: payment-service",
    );
    let path = broken.path().to_str().expect("a path in UTF-8");
    let output = run(&["plan", path, "--against", "catalogs/payments"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
}

#[test]
fn rule_tests_pass_and_fail_as_written() {
    let output = run(&[
        "test",
        "rules",
        "catalogs/payments/compat/specification-rules.test.yml",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));

    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("it is written");
    write(
        "down.rules.yml",
        "groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: up == 0\n",
    );
    let test = "rule_files: ['*.rules.yml']\ntests:\n- interval: 1m\n  input_series:\n  - {series: up, values: '0 0 1'}\n  \
                alert_rule_test:\n  - {eval_time: 1m, alertname: Down, exp_alerts: [{}]}\n  \
                - {eval_time: 2m, alertname: Down, exp_alerts: [{}]}\n";
    write("down.test.yml", test);
    let path = directory.path().join("down.test.yml");
    let path = path.to_str().expect("a path in UTF-8");
    let output = run(&["test", "rules", path]);
    insta::assert_snapshot!(told(&output).replace(path, "down.test.yml"));
}

#[test]
fn scripts_of_queries_pass_and_fail_as_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sum.test");
    let script = "load 1m\n  a{x=\"1\"} 1 2 3\n  a{x=\"2\"} 1 2 3\n\neval instant at 2m sum(a)\n  {} 6\n\neval instant at 1m sum(a)\n  {} 5\n";
    fs::write(&path, script).expect("it is written");
    let path = path.to_str().expect("a path in UTF-8");
    insta::assert_snapshot!(told(&run(&["test", "promql", path])).replace(path, "sum.test"));
}

#[test]
fn runbooks_of_a_catalog_are_listed_without_a_server() {
    let output = run(&["runbook", "list", "--catalog", "catalogs/payments"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("high-error-rate") && text.contains("HighErrorRate"),
        "{text}"
    );
}
