//! Input that nobody would write by hand.

use std::fs;

use mainstay_catalog::{Catalog, Documents, documents};
use proptest::prelude::*;

use crate::here;

fn check(name: &str, text: &str) -> usize {
    let (documents, mut diagnostics) = Documents::from_texts([(name, text)]);
    let catalog = Catalog::build(documents, &mut diagnostics);
    // Rendering must survive every place that a finding can name.
    assert!(!diagnostics.render(None, true).is_empty());
    let _ = mainstay_catalog::plan::plan(&Catalog::default(), &catalog);
    diagnostics.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_the_loader(text in any::<String>(), file in prop::sample::select(vec!["a.yaml", "a.md"])) {
        check(file, &text);
    }

    /// A good file with bytes cut out, put in and moved: near enough to YAML to come far.
    #[test]
    fn no_mutilated_document_panics_the_loader(
        file in prop::sample::select(vec![
            "platform.yaml", "services.yaml", "teams.yaml", "oncall.yaml", "routing.yaml", "rules.yml",
            "runbooks/high-error-rate.md",
        ]),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, "[ -~\n\té€]{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = fs::read_to_string(here("tests/good").join(file)).expect("it is there").chars().collect();
        for (at, len, insert) in cuts {
            let start = at.index(text.len() + 1);
            let end = (start + len).min(text.len());
            text.splice(start..end, insert.chars());
        }
        check(file, &text.into_iter().collect::<String>());
    }
}

#[test]
fn what_is_too_large_is_refused_with_its_limit() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("big.yaml"),
        vec![b'#'; documents::FILE_MAX_BYTES + 1],
    )
    .expect("written");
    fs::write(directory.path().join("binary.yaml"), [0xff, 0xfe, 0x00]).expect("written");
    let (_, diagnostics) = Documents::load(directory.path());
    let short = diagnostics.render_short();
    assert!(short.contains("big.yaml: error[too-large]"), "{short}");
    assert!(short.contains("binary.yaml: error[syntax]"), "{short}");

    let many = "---\na: 1\n".repeat(300);
    let (_, diagnostics) = Documents::from_texts([("many.yaml", many)]);
    assert!(diagnostics.render_short().contains("300 documents in one file"));

    let deep = format!(
        "apiVersion: mainstay/v1\nkind: Platform\nmetadata: {}{}\n",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let (_, diagnostics) = Documents::from_texts([("deep.yaml", deep)]);
    assert!(diagnostics.has_errors());

    // Aliases that double nine times per line would be a billion nodes.
    let mut laughs = "apiVersion: mainstay/v1\nkind: Platform\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in ('b'..='i').zip('a'..='h') {
        laughs.push_str(&format!(
            "{name}: &{name} [{}]\n",
            vec![format!("*{of}"); 9].join(",")
        ));
    }
    let (_, diagnostics) = Documents::from_texts([("laughs.yaml", laughs)]);
    assert!(diagnostics.has_errors());
}

#[test]
fn a_directory_that_is_not_there_is_a_finding() {
    let (documents, diagnostics) = Documents::load(&here("tests/no-such-catalog"));
    assert_eq!(documents.iter().len(), 0);
    assert!(
        diagnostics.render_short().contains("error[unreadable]"),
        "{}",
        diagnostics.render_short()
    );
}

#[test]
fn a_flood_of_findings_is_bounded_and_still_an_error() {
    let mut text = "apiVersion: mainstay/v1\nkind: Databases\nitems:\n".to_owned();
    for number in 0..5_000 {
        text.push_str(&format!(
            "  - {{id: db-{number}, team: nobody, availability: 99.99%}}\n"
        ));
    }
    let (documents, mut diagnostics) = Documents::from_texts([("many.yaml", text)]);
    let _ = Catalog::build(documents, &mut diagnostics);
    assert_eq!(diagnostics.len(), mainstay_catalog::diagnostic::MAX_FINDINGS);
    assert!(
        diagnostics.errors() > 5_000,
        "what is not kept is counted: {}",
        diagnostics.errors()
    );
}

#[test]
fn the_caret_finds_its_place_in_a_long_line_of_wide_letters() {
    let filler = "é".repeat(5_000);
    let text = format!(
        "apiVersion: mainstay/v1\nkind: Teams\nitems: [{{title: {filler}, id: a, lead: ann, teh: 1}}]\n"
    );
    let (documents, mut diagnostics) = Documents::from_texts([("teams.yaml", text)]);
    let _ = Catalog::build(documents, &mut diagnostics);
    let finding = diagnostics
        .iter()
        .find(|finding| finding.lint.id() == "unknown-key")
        .expect("it is found");
    assert_eq!((finding.at.line, finding.at.column), (3, 5_037));
    let shown = diagnostics.render(None, false);
    assert!(shown.contains("--> teams.yaml:3:5037"), "{shown}");
    assert!(
        shown.lines().all(|line| line.chars().count() < 400),
        "the line is cut"
    );
}
