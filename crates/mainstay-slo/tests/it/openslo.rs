//! OpenSLO documents: what becomes of good ones, and where broken ones are said to be broken.

use std::path::{Path, PathBuf};

use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_kernel::Severity;
use mainstay_slo::burn::window_text;
use mainstay_slo::{Counters, Marked, Promise, SliDefinition, SloCatalog, spec};

const GOOD: &str = r#"apiVersion: openslo/v1
kind: SLI
metadata:
  name: api
spec:
  ratioMetric:
    counter: true
    bad:
      metricSource: {type: prometheus, spec: {query: 'http_requests_total{status=~"5..|429"}'}}
    total:
      metricSource: {type: prometheus, spec: {query: http_requests_total}}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: api-month
  displayName: API, calendar month
  labels: {team: platform, env: [prod, dev]}
  annotations:
    mainstay/group-by: tenant, cell
    mainstay/runbook: high-error-rate
spec:
  service: gateway
  indicatorRef: api
  budgetingMethod: Occurrences
  timeWindow:
    - duration: 1M
      isRolling: false
      calendar: {startTime: "2026-01-01 00:00:00", timeZone: Africa/Johannesburg}
  objectives:
    - {displayName: Ours, target: 0.9995}
    - {displayName: Internal goal, targetPercent: 99.99}
  alertPolicies:
    - alertPolicyRef: fast
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: api-contract
  annotations: {mainstay/promise: agreement, mainstay/group-by: tenant}
spec:
  service: gateway
  indicatorRef: api
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.999}]
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata:
  name: fast
  annotations: {mainstay/short-window: 5m, mainstay/priority: P0, mainstay/min-bad-events: "10"}
spec:
  alertWhenBreaching: true
  conditions:
    - kind: AlertCondition
      metadata: {name: fast-burn}
      spec:
        severity: critical
        condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h, alertAfter: 0m}
  notificationTargets: []
"#;

fn counters(indicator: &SliDefinition) -> &Counters {
    indicator.events.counters().expect("counters")
}

pub(crate) fn load(text: &str) -> (SloCatalog, Diagnostics) {
    let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", text)]);
    let catalog = spec::load(&documents, &Platform::default(), &mut diagnostics);
    (catalog, diagnostics)
}

#[test]
fn a_good_catalog_is_read_to_the_last_digit() {
    let (catalog, diagnostics) = load(GOOD);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_short());
    let [indicator] = catalog.indicators() else {
        panic!("one indicator: {catalog:?}")
    };
    assert_eq!(indicator.name, "api");
    assert_eq!(counters(indicator).marked, Marked::Bad);
    assert_eq!(indicator.group_by, ["tenant", "cell"]);
    assert_eq!(
        counters(indicator).marked_by[0].to_string(),
        r#"http_requests_total{status=~"5..|429"}"#
    );
    let texts: Vec<String> = catalog
        .objectives()
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {:?} by {}",
                one.id,
                one.target,
                one.window,
                one.promise,
                one.group_by.join("+")
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            "api-contract 0.999 rolling 30d Agreement by tenant",
            "api-month/ours 0.9995 calendar 1M in Africa/Johannesburg Objective by tenant+cell",
            "api-month/internal-goal 0.9999 calendar 1M in Africa/Johannesburg Objective by tenant+cell",
        ]
    );
    let [contract, month, _] = catalog.objectives() else {
        panic!("three objectives")
    };
    assert!(contract.burn.pairs.is_empty() && contract.promise == Promise::Agreement);
    let pair = month.burn.pairs[0];
    assert_eq!(
        (window_text(pair.long_ms), window_text(pair.short_ms)),
        ("1h".to_owned(), "5m".to_owned())
    );
    assert_eq!(
        (pair.severity, pair.min_bad, pair.inclusive),
        (Severity::P0, 10, true)
    );
    assert_eq!(pair.factor, "14.4".parse().expect("a factor"));
    assert_eq!(month.labels.to_string(), r#"{team="platform"}"#);
    assert_eq!(month.runbook.as_deref(), Some("high-error-rate"));
}

/// One defect each: what is replaced, by what, where it is found and with which words.
const DEFECTS: &[(&str, &str, &str, &str)] = &[
    (
        "indicatorRef: api\n",
        "indicatorRef: apy\n",
        "24:17: error",
        "there is no SLI \"apy\"",
    ),
    (
        "alertPolicyRef: fast",
        "alertPolicyRef: fats",
        "34:23: error",
        "there is no AlertPolicy \"fats\"",
    ),
    (
        "target: 0.9995",
        "target: 1.5",
        "31:35: error",
        "leaves no budget",
    ),
    (
        "target: 0.9995",
        "target: -0.5",
        "31:35: error",
        "expected a decimal",
    ),
    (
        "targetPercent: 99.99}",
        "targetPercent: 99.99, target: 0.5}",
        "32:21: error",
        "either a `target`",
    ),
    ("duration: 1M", "duration: 1 month", "27:17: error", "bad window"),
    (
        "duration: 1M",
        "duration: 1m",
        "27:17: warning",
        "shorter than an hour",
    ),
    (
        "Africa/Johannesburg",
        "Africa/Atlantis",
        "29:62: error",
        "not a time zone",
    ),
    (
        "2026-01-01 00:00:00",
        "2026-13-01",
        "29:29: error",
        "not a date and a time",
    ),
    (
        "isRolling: false",
        "isRolling: true",
        "29:29: error",
        "a rolling window has no calendar",
    ),
    (
        "budgetingMethod: Occurrences",
        "budgetingMethod: Occurences",
        "25:20: error",
        "none of the words",
    ),
    (
        "budgetingMethod: Occurrences",
        "budgetingMethod: Timeslices",
        "31:21: error",
        "timeSliceTarget",
    ),
    (
        "mainstay/runbook",
        "mainstay/runbok",
        "21:22: error",
        "unknown annotation",
    ),
    (
        "tenant, cell",
        "tenant, cell, zone, pod",
        "20:24: error",
        "cannot be read",
    ),
    (
        "service: gateway",
        "servise: gateway",
        "23:3: error",
        "unknown key",
    ),
    ("name: api\n", "name: Api\n", "4:9: error", "is not a name"),
    (
        "threshold: 14.4",
        "threshold: 3000",
        "31:35: error",
        "can never burn",
    ),
    ("op: gte", "op: lte", "60:41: warning", "is not judged"),
    (
        "mainstay/priority: P0",
        "mainstay/priority: P9",
        "52:63: error",
        "cannot be read",
    ),
    (
        "query: http_requests_total}",
        "query: avg(http_requests_total)}",
        "11:54: warning",
        "not an event count",
    ),
    (
        "    bad:\n",
        "    good:\n      metricSource: {spec: {query: x}}\n    bad:\n",
        "4:9: error",
        "a ratio is",
    ),
    (
        "name: api-contract",
        "name: api-month",
        "39:9: error",
        "two documents",
    ),
    (
        "kind: AlertPolicy\n",
        "kind: AlertPolicies\n",
        "47:1: error",
        "unknown kind",
    ),
];

#[test]
fn every_defect_is_found_where_it_stands() {
    let mut failures = String::new();
    for (old, new, place, words) in DEFECTS {
        assert!(GOOD.contains(old), "{old}");
        let (_, diagnostics) = load(&GOOD.replacen(old, new, 1));
        let text = diagnostics.render_short();
        let found = text
            .lines()
            .any(|line| line.starts_with(&format!("slo.yaml:{place}")) && line.contains(words));
        if !found {
            failures.push_str(&format!("{new:?} should be at {place} ({words}):\n{text}\n"));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_service_must_be_one_of_the_platform() {
    let service = "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: gatewey}\nspec: {}\n";
    let (_, diagnostics) = load(&format!("{GOOD}{service}"));
    assert_eq!(diagnostics.errors(), 2, "{}", diagnostics.render_short());
    assert!(diagnostics.iter().all(|found| found.help.contains("gatewey")));
}

#[test]
fn the_payments_catalog_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs/payments");
    let (documents, mut diagnostics) = Documents::load(&folder);
    let platform = Platform::build(&documents, &mut diagnostics);
    let mut diagnostics = Diagnostics::new();
    let catalog = spec::load(&documents, &platform, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_short());
    let find = |id: &str| {
        catalog
            .objectives()
            .iter()
            .find(|one| one.id.as_str() == id)
            .expect(id)
    };
    // Ruling R4: the calendar month decides about freezes, the rolling 30 days page.
    let (month, rolling) = (find("api-availability"), find("api-availability-30d"));
    assert!(month.burn.pairs.is_empty() && month.window.to_string().starts_with("calendar 1M"));
    assert!(
        rolling
            .burn
            .pairs
            .iter()
            .any(|pair| pair.severity == Severity::P1)
    );
    assert_eq!(rolling.window.to_string(), "rolling 30d");
    assert_eq!(month.target, "99.95%".parse().expect("a target"));
    assert_eq!(find("api-availability-sla").promise, Promise::Agreement);
    // Rulings R1 and R39: what spends budget.
    let indicator = catalog
        .indicators()
        .iter()
        .find(|one| one.name == month.sli)
        .expect("its indicator");
    let answer = |status: &str| {
        let labels = [
            ("__name__", "http_requests_total"),
            ("job", "api-gateway"),
            ("status", status),
        ];
        counters(indicator).marked_by[0].matches(&labels.into_iter().collect())
    };
    let bad: Vec<&str> = ["200", "302", "400", "404", "408", "429", "499", "500", "503"]
        .into_iter()
        .filter(|status| answer(status))
        .collect();
    assert_eq!(bad, ["408", "429", "499", "500", "503"]);
}

/// The published data, or `None` with a notice where it is not on this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "where the data lies and whether it must be there are set from outside"
)]
fn conformance(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var_os("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
    assert!(!required, "{} is not there", path.display());
    eprintln!("skipped: no conformance data at {}", path.display());
    None
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known))
        {
            found.push(path);
        }
    }
}

/// A sequence of objects as a stream of documents: each entry begins a document, indented by two.
fn as_stream(text: &str) -> String {
    if let Ok(serde_json::Value::Array(objects)) = serde_json::from_str(text) {
        return objects.iter().map(|object| format!("---\n{object}\n")).collect();
    }
    if !text.lines().any(|line| line.starts_with("- ")) {
        return text.to_owned();
    }
    text.lines()
        .map(|line| match line.strip_prefix("- ") {
            Some(rest) => format!("---\n  {rest}\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn published_documents_are_read_or_refused_for_a_reason() {
    let Some(folder) = conformance("openslo") else {
        return;
    };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    // Sloth's examples are of an older version of OpenSLO.
    let mut others = Vec::new();
    files(&folder.join("../sloth"), &mut others);
    others.retain(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with("openslo-") && path.parent().is_some_and(|folder| folder.ends_with("sloth"))
    });
    assert_eq!(others.len(), 2, "{others:?}");
    paths.extend(others);
    paths.sort();
    let (mut read, mut refused, mut said) = (0, Vec::new(), String::new());
    for path in paths {
        let name = path
            .strip_prefix(&folder)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let text = as_stream(&std::fs::read_to_string(&path).expect("a file"));
        let (documents, mut diagnostics) = Documents::from_texts([(name.as_str(), text)]);
        let catalog = spec::load(&documents, &Platform::default(), &mut diagnostics);
        said.push_str(&format!("{name}: {} objectives\n", catalog.objectives().len()));
        for found in diagnostics.iter() {
            let level = format!("{:?}", found.level).to_lowercase();
            said.push_str(&format!("  {level} {}: {}\n", found.place(), found.message));
        }
        // Examples name objects of other files; only those that are named invalid mean to.
        let errors: Vec<String> = diagnostics
            .iter()
            .filter(|found| found.level == mainstay_catalog::Level::Error)
            .filter(|found| found.lint != mainstay_catalog::lint::UNKNOWN_REFERENCE)
            .map(|found| format!("{}: {} ({})", found.place(), found.message, found.help))
            .collect();
        let dangling = diagnostics
            .iter()
            .any(|found| found.lint == mainstay_catalog::lint::UNKNOWN_REFERENCE);
        if name.contains("_invalid_") {
            assert!(
                dangling,
                "{name} has a reference that leads nowhere:\n{}",
                diagnostics.render_short()
            );
        }
        if errors.is_empty() {
            read += 1;
        } else {
            refused.push(errors.join("\n"));
        }
    }
    eprintln!(
        "{read} files are read, {} refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
    // One file of examples holds two services of one name, which no catalog can.
    assert!(
        refused
            .iter()
            .all(|error| error.contains("there are two documents of kind")),
        "{refused:#?}"
    );
    assert!(read > 30);
    // Every finding of every file, read by a person once.
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openslo.txt");
    #[expect(
        clippy::disallowed_methods,
        reason = "asked for by whoever changes what is said"
    )]
    if let Some(directory) = std::env::var_os("MAINSTAY_WRITE_GOLDEN") {
        std::fs::write(Path::new(&directory).join("openslo.txt"), &said).expect("written");
    }
    let expected = std::fs::read_to_string(&golden).expect("the golden file");
    assert!(
        said == expected,
        "what is said of the published files changed:\n{said}"
    );
}
