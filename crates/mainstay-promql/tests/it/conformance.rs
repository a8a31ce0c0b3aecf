//! The published test scripts of Prometheus, and a ratchet over how many of them pass.

use mainstay_promql::promqltest;

use super::support::published;

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

/// File, passed, failed, not supported: scripts of experimental syntax and of native histograms, to see them move.
const FURTHER: [(&str, usize, usize, usize); 7] = [
    ("duration_expression", 59, 0, 0),
    ("extended_vectors", 30, 135, 4),
    ("fill-modifier", 46, 0, 0),
    ("info", 1, 52, 0),
    ("native_histograms", 3, 16, 503),
    ("start_timestamps", 0, 0, 0),
    ("type_and_unit", 43, 15, 0),
];

#[test]
fn further_scripts_do_not_fall_back() {
    let Some(folder) = published("promql") else { return };
    let mut found = Vec::new();
    for (name, ..) in FURTHER {
        let text = std::fs::read_to_string(folder.join(format!("{name}.test"))).expect("a script");
        match promqltest::run(&text) {
            Ok(report) => {
                for finding in report.failed.iter().take(6) {
                    eprintln!("{name}: {finding}");
                }
                found.push((name, report.passed, report.failed.len(), report.unsupported.len()));
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                found.push((name, 0, 0, 0));
            }
        }
    }
    assert_eq!(found, FURTHER, "the counts changed");
}
