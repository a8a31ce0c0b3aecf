//! Coming from Prometheus, Sloth and Pyrra, and going back.

mod burning;
mod foreign;
mod golden;
mod init;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_slo::SloCatalog;

use crate::beside::required;
use crate::{run, told};

/// What `mainstay` says, if all is well.
fn well(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// What promtool says; `None` if there is none and none is required.
fn promtool(arguments: &[&str]) -> Option<Output> {
    match Command::new("promtool").args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(!required(), "a promtool is required: {error}");
            println!("skipped: no promtool: {error}");
            None
        }
    }
}

/// The rules in a file are accepted by Prometheus' own tool and by ours.
fn accepted(rules: &Path) {
    let path = rules.to_str().expect("a path in UTF-8");
    well(&["check", path]);
    if let Some(output) = promtool(&["check", "rules", path]) {
        assert!(output.status.success(), "{}", told(&output));
    }
}

/// The folder of published test data; `None`, with a line, when it is not there and not required.
fn published(folder: &str) -> Option<PathBuf> {
    let root = std::env::var("MAINSTAY_CONFORMANCE")
        .map_or_else(|_| crate::root().join("../shared/conformance"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(!required(), "no conformance data at {}", path.display());
    println!("skipped: no conformance data at {}", path.display());
    None
}

/// The objectives of a file.
fn objectives(path: &Path) -> (SloCatalog, Diagnostics) {
    let (documents, mut findings) = Documents::load(path);
    let catalog = mainstay_slo::spec::load(&documents, &Platform::default(), &mut findings);
    (catalog, findings)
}

#[test]
fn the_payments_catalog_is_rules_that_a_prometheus_takes() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("slo.yml");
    let name = file.to_str().expect("text");
    let text = well(&["slo", "export", "--catalog", "catalogs/payments"]);
    well(&["slo", "export", "--catalog", "catalogs/payments", "-o", name]);
    assert_eq!(
        std::fs::read_to_string(&file).expect("it was written"),
        text,
        "the same bytes again"
    );
    accepted(&file);
    let (catalog, _) = objectives(&crate::root().join("catalogs/payments"));
    assert!(catalog.objectives().len() > 3);
    for objective in catalog.objectives() {
        let mut indicators = catalog.indicators().iter();
        let indicator = indicators.find(|sli| sli.name == objective.sli);
        let counts = indicator.is_some_and(|sli| sli.events.counters().is_some());
        let named = format!("mainstay-slo-{}", objective.id);
        assert_eq!(text.contains(&named), counts, "{named}");
        assert!(
            text.contains(objective.id.as_str()),
            "what is left out is named: {named}"
        );
    }
    assert!(
        !text.contains("0000000001") && !text.contains("99999999"),
        "every number is exact"
    );
    let one = catalog.objectives()[0].id.to_string();
    let of_one = well(&["slo", "export", "--catalog", "catalogs/payments", "--slo", &one]);
    assert!(
        of_one.len() < text.len() && of_one.contains(&format!("slo: {one}")),
        "{of_one}"
    );
    let none = run(&[
        "slo",
        "export",
        "--catalog",
        "catalogs/payments",
        "--slo",
        "no-such",
    ]);
    assert_eq!(none.status.code(), Some(1), "{}", told(&none));
}
