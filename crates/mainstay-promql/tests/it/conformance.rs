//! The published test scripts of Prometheus, and a ratchet over how many of them pass.

use mainstay_promql::promqltest;

use super::support::published;

/// File, passed, failed.
const EXPECTED: [(&str, usize, usize); 17] = [
    ("aggregators", 160, 0),
    ("collision", 2, 0),
    ("duration_expression", 59, 0),
    ("extended_vectors", 169, 0),
    ("fill-modifier", 46, 0),
    ("functions", 431, 0),
    ("histograms", 185, 0),
    ("info", 53, 0),
    ("limit", 37, 0),
    ("literals", 25, 0),
    ("native_histograms", 522, 0),
    ("operators", 214, 0),
    ("range_queries", 18, 0),
    ("selectors", 31, 0),
    ("start_timestamps", 26, 0),
    ("trig_functions", 19, 0),
    ("type_and_unit", 58, 0),
];

#[test]
fn scripts_pass_as_published() {
    let Some(folder) = published("promql") else { return };
    let mut found = Vec::new();
    for (name, ..) in EXPECTED {
        let text = std::fs::read_to_string(folder.join(format!("{name}.test"))).expect("a script");
        let (passed, failed) = match promqltest::run(&text) {
            Ok(report) => {
                for finding in &report.failed {
                    eprintln!("{name}: {finding}");
                }
                (report.passed, report.failed.len())
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                (0, 0)
            }
        };
        eprintln!("{name}: {passed} passed, {failed} failed");
        found.push((name, passed, failed));
    }
    assert_eq!(found, EXPECTED, "the counts changed");
}
