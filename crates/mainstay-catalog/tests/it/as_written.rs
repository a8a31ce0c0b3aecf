use std::collections::BTreeSet;

use mainstay_catalog::lint::{ALL, Status};
use mainstay_catalog::{Catalog, Documents};

use crate::here;

#[test]
fn the_specifications_own_numbers_break_the_rulings_that_can_be_seen_today() {
    let (documents, mut diagnostics) = Documents::load(&here("../../catalogs/as-written"));
    assert!(
        diagnostics.is_empty(),
        "every document is of a known format: {}",
        diagnostics.render(None, false)
    );
    let _ = Catalog::build(documents, &mut diagnostics);
    insta::assert_snapshot!(diagnostics.render(None, false));
    let found: BTreeSet<&str> = diagnostics.iter().filter_map(|finding| finding.ruling).collect();
    let implemented = ALL
        .iter()
        .filter(|lint| lint.lint().status == Status::Implemented);
    let expected: BTreeSet<&str> = implemented.filter_map(|lint| lint.lint().ruling).collect();
    assert_eq!(
        found, expected,
        "what is implemented is found here, and nothing else has a ruling"
    );
}
