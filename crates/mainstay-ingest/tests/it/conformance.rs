//! The OpenMetrics project's own test data: what it calls bad is refused, the rest is read.

use std::fs;
use std::path::PathBuf;

use mainstay_ingest::exposition::{Format, HistogramForm, parse};

use crate::environment;

/// The folder of published test data, if it is there.
fn data() -> Option<PathBuf> {
    let root = environment("MAINSTAY_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let folder = root.join("openmetrics");
    if folder.is_dir() {
        return Some(folder);
    }
    let required = environment("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
    assert!(
        !required,
        "conformance data is required and {} is not there",
        folder.display()
    );
    println!("skipped: no conformance data at {}", folder.display());
    None
}

#[test]
fn openmetrics_accepts_and_refuses_as_published() {
    let Some(folder) = data() else { return };
    let mut cases = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).expect("listable") {
        let case = entry.expect("an entry").path();
        let Ok(body) = fs::read(case.join("metrics")) else {
            continue;
        };
        let test = fs::read_to_string(case.join("test.json")).expect("each case says what is expected");
        let should_parse = test.contains(r#""shouldParse": true"#);
        cases += 1;
        let outcome = parse(&body, Format::OpenMetrics, HistogramForm::Classic, |_| {});
        if outcome.is_ok() != should_parse {
            wrong.push(format!("{}: {outcome:?}", case.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases > 100, "{cases} cases");
    println!("{cases} cases agree");
}
