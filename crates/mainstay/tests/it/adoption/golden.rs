//! What Sloth generates of its own files, and what we do: over the same samples the same shares, and the same limits of
//! alerts, to 1e-12.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_promql::{Limits, MemorySamples, Value, instant};
use mainstay_rules::{RuleFile, RuleKind, RuleSpec};

use super::{accepted, objectives, published, well};

const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];
const MINUTE_MS: i64 = 60_000;
const END_MS: i64 = 4 * 1_440 * MINUTE_MS;

/// Four days of the counters that Sloth's examples name, a sample a minute, from nothing.
fn samples() -> MemorySamples {
    let mut samples = MemorySamples::new();
    let mut add = |name: &str, labels: &[(&str, &str)], per_minute: i64, every: i64| {
        let labels = labels.iter().copied().chain([("__name__", name)]);
        let labels = Arc::new(labels.collect::<Labels>());
        let mut count = 0_i64;
        for minute in 0..=END_MS / MINUTE_MS {
            // With `every` it comes in bursts, the last of them at the end.
            if ((END_MS / MINUTE_MS - minute) / every) % 3 == 0 {
                count += per_minute + minute % 7;
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            samples.append(&labels, minute * MINUTE_MS, count as f64);
        }
    };
    for job in ["myservice", "myapp"] {
        let name = "http_request_duration_seconds_count";
        add(name, &[("job", job), ("code", "200")], 900, 1);
        add(name, &[("job", job), ("code", "503")], 1, 45);
        add(name, &[("job", job), ("code", "429")], 2, 700);
        add(name, &[("job", job), ("code", "404")], 5, 9);
    }
    add(
        "apiserver_request_total",
        &[("verb", "GET"), ("code", "200")],
        3_000,
        1,
    );
    add(
        "apiserver_request_total",
        &[("verb", "PUT"), ("code", "500")],
        1,
        200,
    );
    for (verb, factor) in [("GET", 10), ("WATCH", 3)] {
        let labels = |le: &'static str| [("verb", verb), ("le", le)];
        add(
            "apiserver_request_duration_seconds_bucket",
            &labels("0.4"),
            80 * factor,
            1,
        );
        add(
            "apiserver_request_duration_seconds_bucket",
            &labels("5"),
            99 * factor,
            1,
        );
        add(
            "apiserver_request_duration_seconds_count",
            &[("verb", verb)],
            100 * factor,
            1,
        );
    }
    samples
}

/// The rules of a file, which may have several documents, by objective in order of their names.
fn by_objective(text: &str, label: &str) -> Vec<Vec<RuleSpec>> {
    let mut all: Vec<(String, Vec<RuleSpec>)> = Vec::new();
    for text in text.split("\n---\n") {
        let Ok(file) = RuleFile::parse("rules.yml", text) else {
            continue;
        };
        for rule in file.groups.into_iter().flat_map(|group| group.rules) {
            let named = rule.labels.get(label).map(|id| id.text().to_owned());
            // Sloth's alerts get the label from the series.
            let id = named.unwrap_or_else(|| all.last().expect("recorded before").0.clone());
            match all.iter_mut().find(|(known, _)| *known == id) {
                Some((_, rules)) => rules.push(rule),
                None => all.push((id, vec![rule])),
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter().map(|(_, rules)| rules).collect()
}

fn share(rules: &[RuleSpec], window: &str, samples: &MemorySamples) -> f64 {
    let wanted = format!("slo:sli_error:ratio_rate{window}");
    let rule = rules
        .iter()
        .find(|rule| rule.name() == wanted)
        .expect("every window");
    let outcome = instant(&rule.expr, END_MS, samples, &Limits::default()).expect("it is computed");
    match outcome.value {
        Value::Vector(vector) => match vector.as_slice() {
            [one] => one.value.float().expect("a number"),
            other => panic!("{wanted}: {other:?}"),
        },
        other => panic!("{wanted}: {other:?}"),
    }
}

/// Each limit of the alerts: the window, and the number that the share is held against.
fn limits(rules: &[RuleSpec]) -> Vec<(String, f64)> {
    let mut found = BTreeSet::new();
    for rule in rules
        .iter()
        .filter(|rule| matches!(rule.kind, RuleKind::Alert { .. }))
    {
        for part in rule.query.split("slo:sli_error:ratio_rate").skip(1) {
            let (window, rest) = part.split_once('{').expect("a selector");
            let limit = rest.split_once("} > ").expect("a limit").1;
            let limit = limit.split([')', '\n']).next().unwrap_or_default();
            found.insert((window.to_owned(), limit.trim_start_matches('(').to_owned()));
        }
    }
    let number = |text: &str| text.trim().parse::<f64>().expect("a number");
    let mut limits: Vec<(String, f64)> = found
        .into_iter()
        .map(|(window, text)| (window, text.split('*').map(number).product()))
        .collect();
    limits.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    limits
}

fn compare(file: &Path, golden: &Path, samples: &MemorySamples) -> usize {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    let imported = directory.path().join("imported");
    well(&["import", "sloth", &path(file), "-o", &path(&imported)]);
    let stem = file.file_stem().expect("a name").to_string_lossy();
    let document = imported.join(format!("{stem}.yaml"));
    let (_, findings) = objectives(&document);
    assert!(findings.is_empty(), "{}", findings.render_short());
    let rules = directory.path().join("rules.yml");
    well(&[
        "slo",
        "export",
        "--catalog",
        &path(&imported),
        "-o",
        &path(&rules),
    ]);
    accepted(&rules);
    let ours = by_objective(&std::fs::read_to_string(&rules).expect("written"), "slo");
    let theirs = by_objective(&std::fs::read_to_string(golden).expect("published"), "sloth_id");
    assert_eq!(ours.len(), theirs.len(), "{}", file.display());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for window in WINDOWS {
            let (ours, theirs) = (share(ours, window, samples), share(theirs, window, samples));
            assert!(theirs > 0.0, "the samples fail at {window}: {}", file.display());
            assert!(
                (ours - theirs).abs() <= 1e-12,
                "{}: {window}: {ours} is not {theirs}",
                file.display()
            );
        }
        let (ours, theirs) = (limits(ours), limits(theirs));
        // v1alpha has no alerts; Sloth makes its own for such files.
        if !ours.is_empty() {
            assert_eq!(ours.len(), theirs.len(), "{ours:?} {theirs:?}");
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.0, theirs.0);
            assert!((ours.1 - theirs.1).abs() <= 1e-12, "{ours:?} is not {theirs:?}");
        }
    }
    ours.len()
}

#[test]
fn rules_of_imported_files_are_the_ones_that_sloth_makes() {
    let Some(folder) = published("sloth") else {
        return;
    };
    let samples = samples();
    let mut compared = 0;
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let file = entry.expect("an entry").path();
        let golden = folder.join("_gen").join(file.file_name().expect("a name"));
        // Its indicators are gauges that are sampled: no counts.
        if file.is_file() && golden.is_file() && !file.ends_with("home-wifi.yml") {
            compared += compare(&file, &golden, &samples);
        }
    }
    assert!(compared >= 8, "{compared} objectives were compared");
}

const SEVERAL: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata:
  name: odd
  displayName: "Odd {{ $name }}"
  labels: {note: "a {{ b"}
  annotations: {mainstay/group-by: cell}
spec:
  service: shop
  indicator:
    metadata: {name: events}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'failed_bucket{le="1",why!="\""}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: 'a_total + b_total'}}}
  budgetingMethod: Occurrences
  timeWindow: [{duration: 1M, calendar: {startTime: "2026-01-01 00:00:00", timeZone: UTC}}]
  objectives: [{target: 0.999}]
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: fast}
      spec: {conditions: [{kind: AlertCondition, metadata: {name: fast}, spec: {severity: critical, condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h}}}]}
"#;

/// Metrics whose other labels are the same, a cell that only one of them has, a cell without failures, an edge of a bucket
/// that is written in another way, and texts that look like templates.
#[test]
fn several_metrics_and_odd_texts_come_through() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    std::fs::write(path("slo.yaml"), SEVERAL).expect("written");
    well(&[
        "slo",
        "export",
        "--catalog",
        &path("slo.yaml"),
        "-o",
        &path("rules.yml"),
    ]);
    accepted(&directory.path().join("rules.yml"));
    let text = std::fs::read_to_string(path("rules.yml")).expect("written");
    assert!(
        text.contains("slo:sli_error:ratio_rate1h{slo=\"odd\"} >= 0.0144"),
        "{text}"
    );
    assert!(text.contains("this is of the last 30d"), "{text}");
    let mut samples = MemorySamples::new();
    let mut add = |name: &str, cell: &str, le: &str, per_minute: i32| {
        let labels = [("__name__", name), ("cell", cell), ("instance", "x"), ("le", le)];
        let labels = Arc::new(labels.into_iter().collect::<Labels>());
        for minute in 0..=60 {
            samples.append(
                &labels,
                END_MS - (60 - i64::from(minute)) * MINUTE_MS,
                f64::from(minute * per_minute),
            );
        }
    };
    add("a_total", "1", "", 30);
    add("b_total", "1", "", 70);
    add("b_total", "2", "", 5);
    add("failed_bucket", "1", "1.0", 2);
    let rules = by_objective(&text, "slo").pop().expect("one objective");
    let rule = rules
        .iter()
        .find(|rule| rule.name() == "slo:sli_error:ratio_rate30m")
        .expect("its window");
    let outcome = instant(&rule.expr, END_MS, &samples, &Limits::default()).expect("it is computed");
    let Value::Vector(mut vector) = outcome.value else {
        panic!("a vector: {:?}", outcome.value)
    };
    vector.sort_by(|a, b| a.labels.cmp(&b.labels));
    let told: Vec<(&str, f64)> = vector
        .iter()
        .map(|one| {
            (
                one.labels.get("cell").expect("a cell"),
                one.value.float().expect("a number"),
            )
        })
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!((told[0].1 - 0.02).abs() < 1e-12 && told[0].0 == "1", "{told:?}");
    assert_eq!(told[1], ("2", 0.0));
}
