//! Catalogs with one defect each: `tests/broken/NN-name` holds the files in which they differ from `tests/good`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mainstay_catalog::{Catalog, Diagnostic, Diagnostics, Documents};

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
    let (mut report, mut failures) = (String::new(), Vec::new());
    for case in cases {
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        let diagnostics = check(&case);
        report.push_str(&format!("=== {name}\n{}", diagnostics.render(None, false)));
        let complete =
            |finding: &Diagnostic| finding.at.line > 0 && finding.at.column > 0 && !finding.help.is_empty();
        if diagnostics.len() != 1 || !diagnostics.iter().all(complete) {
            failures.push(name);
        }
    }
    insta::assert_snapshot!(report);
    assert!(
        failures.is_empty(),
        "not one finding with a place and a help: {failures:?}"
    );
}

/// Words that mean the same page alike; a catalog whose rules all have a priority need not know a word.
#[test]
fn who_pages_for_one_word_pages_for_all_that_mean_the_same() {
    let findings = |words: &str| {
        let routing = fs::read_to_string(here("tests/good/routing.yaml")).expect("it is there");
        let route = format!(
            "    routes:\n      - {{receiver: pages, matchers: ['priority=\"\"', 'severity=~\"{words}\"']}}\n"
        );
        assert!(routing.contains("    routes:\n"), "{routing}");
        let overlay = tempfile::tempdir().expect("a directory");
        let routing = routing.replacen("    routes:\n", &route, 1);
        fs::write(overlay.path().join("routing.yaml"), routing).expect("written");
        let found = check(overlay.path());
        found.iter().map(|one| one.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(findings("critical|page|high|error"), Vec::<String>::new());
    assert_eq!(findings("nothing"), Vec::<String>::new());
    assert_eq!(
        findings("critical|page"),
        [
            "an alert with severity=\"error\" goes to chat, which pages nobody",
            "an alert with severity=\"high\" goes to chat, which pages nobody",
        ]
    );
}
