//! The published test scripts of Prometheus, and a ratchet over how many of them pass.

use std::path::PathBuf;

use mainstay_promql::promqltest;

/// File, passed, not supported. Nothing fails.
const EXPECTED: [(&str, usize, usize); 10] = [
    ("aggregators", 125, 35),
    ("collision", 2, 0),
    ("functions", 326, 105),
    ("histograms", 93, 92),
    ("limit", 1, 36),
    ("literals", 25, 0),
    ("operators", 142, 72),
    ("range_queries", 17, 1),
    ("selectors", 31, 0),
    ("trig_functions", 19, 0),
];

/// The folder of published test data; `None`, with a line on stderr, when it is not there and not required.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the published data is"
)]
fn published(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/conformance"
            ))
        },
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("MAINSTAY_CONFORMANCE_REQUIRED").is_ok_and(|value| value == "1");
    assert!(!required, "no conformance data at {}", path.display());
    eprintln!("skipped: no conformance data at {}", path.display());
    None
}

#[test]
fn scripts_pass_as_published() {
    let Some(folder) = published("promql") else { return };
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for (name, _, _) in EXPECTED {
        let text = std::fs::read_to_string(folder.join(format!("{name}.test"))).expect("a script");
        let report = promqltest::run(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (failed, unsupported) = (report.failed.len(), report.unsupported.len());
        eprintln!(
            "{name}: {} passed, {failed} failed, {unsupported} not supported",
            report.passed
        );
        failures.extend(report.failed.iter().map(|finding| format!("{name}: {finding}")));
        found.push((name, report.passed, unsupported));
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(found, EXPECTED, "the counts changed");
}
