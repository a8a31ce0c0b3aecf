//! Catalogs with one defect each: `tests/broken/NN-name` holds the files in which they differ from `tests/good`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mainstay_catalog::{Catalog, Diagnostics, Documents};

use crate::here;

fn check(overlay: &Path) -> Diagnostics {
    let (good, _) = Documents::load(&here("tests/good"));
    let mut files: BTreeMap<String, String> = good
        .files()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    let (defect, _) = Documents::load(overlay);
    assert!(defect.files().len() > 0, "{} holds no file", overlay.display());
    for (name, text) in defect.files() {
        assert!(
            files.insert(name.to_owned(), text.to_owned()).is_some(),
            "{name} is not a file of tests/good"
        );
    }
    let (documents, mut diagnostics) = Documents::from_texts(files);
    let _ = Catalog::build(documents, &mut diagnostics);
    diagnostics
}

#[test]
fn each_defect_is_found_at_its_place_and_says_how_to_mend_it() {
    let mut cases: Vec<_> = fs::read_dir(here("tests/broken"))
        .expect("the directory is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 20);
    for case in cases {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let diagnostics = check(&case);
        insta::assert_snapshot!(name.as_str(), diagnostics.render(None, false));
        assert_eq!(diagnostics.len(), 1, "{name}: one defect is one finding");
        let finding = diagnostics.iter().next().expect("one");
        assert!(
            finding.at.line > 0 && finding.at.column > 0,
            "{name} has no place"
        );
        assert!(!finding.help.is_empty(), "{name} does not say how to mend it");
    }
}
