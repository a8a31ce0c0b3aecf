use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use mainstay_catalog::lint::{ALL, Status};
use mainstay_catalog::{Catalog, Documents, Level};

use crate::here;

/// What the catalog alone can see; the binary's tests look at all of it.
#[test]
fn the_specifications_own_numbers_break_the_rulings_about_documents() {
    let (documents, mut diagnostics) = Documents::load(&here("../../catalogs/as-written"));
    assert!(
        diagnostics.is_empty(),
        "every document is of a known format: {}",
        diagnostics.render(None, false)
    );
    let _ = Catalog::build(documents, &mut diagnostics);
    insta::assert_snapshot!(diagnostics.render(None, false));
    let found: BTreeSet<&str> = diagnostics.iter().filter_map(|finding| finding.ruling).collect();
    assert_eq!(found, BTreeSet::from(["R15", "R16", "R18", "R38"]));
}

const REFERENCE: &str = "../../docs/reference/lints.md";
const BEGIN: &str = "<!-- the registry, written by the test `write_the_reference_of_checks` -->\n";

/// The registry as a table.
fn table() -> String {
    let mut table = "| check | level | ruling | finds |\n|---|---|---|---|\n".to_owned();
    for lint in ALL.iter().map(|id| id.lint()) {
        let level = match lint.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let later = match lint.status {
            Status::Implemented => String::new(),
            Status::Planned(capability) => format!(" (not looked for yet: comes with {capability})"),
        };
        let ruling = lint.ruling.unwrap_or_default();
        writeln!(
            table,
            "| `{}` | {level} | {ruling} | {}{later} |",
            lint.id, lint.finds
        )
        .expect("text");
    }
    table
}

#[test]
fn the_reference_of_checks_is_the_registry() {
    let text = fs::read_to_string(here(REFERENCE)).expect("the reference");
    let (_, written) = text.split_once(BEGIN).expect("its table");
    assert!(
        written == table(),
        "docs/reference/lints.md is old: cargo test -p mainstay-catalog write_the_reference -- --ignored"
    );
}

#[test]
#[ignore = "writes into the source tree"]
fn write_the_reference_of_checks() {
    let text = fs::read_to_string(here(REFERENCE)).expect("the reference");
    let (head, _) = text.split_once(BEGIN).expect("its table");
    fs::write(here(REFERENCE), format!("{head}{BEGIN}{}", table())).expect("it is written");
}
