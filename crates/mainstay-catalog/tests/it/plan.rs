use mainstay_catalog::plan::plan;
use mainstay_catalog::{Catalog, Diagnostics, Documents};

use crate::here;

/// The good catalog, with `replace` applied to the texts of its files.
fn changed(replace: &[(&str, &str, &str)]) -> Catalog {
    let (good, _) = Documents::load(&here("tests/good"));
    let texts = good.files().map(|(name, text)| {
        let mut text = text.to_owned();
        for (file, from, to) in replace {
            if *file == name {
                assert!(text.contains(from), "{name} has no {from:?}");
                text = text.replace(from, to);
            }
        }
        (name.to_owned(), text)
    });
    let (documents, _) = Documents::from_texts(texts);
    Catalog::build(documents, &mut Diagnostics::new())
}

#[test]
fn it_says_what_changes_and_nothing_else() {
    let old = changed(&[]);
    let new = changed(&[
        ("services.yaml", "soft: [fraud-service]", "soft: []"),
        (
            "services.yaml",
            "{id: kafka-1, cluster: events, zone: 1}",
            "{id: kafka-2, cluster: events, zone: 2}",
        ),
        ("rules.yml", "> 0.05", "> 0.01"),
        ("routing.yaml", "group_wait: 10s", "group_wait: 0s"),
        ("teams.yaml", "apiVersion", "# Only a comment.\napiVersion"),
        (
            "runbooks/high-error-rate.md",
            "previous revision",
            "revision before",
        ),
        (
            "oncall.yaml",
            "repeat: {times: 2, every: 30m}",
            "repeat: {every: 30m, times: 2}",
        ),
    ]);
    let changes: Vec<String> = plan(&old, &new).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(changes.join("\n"));
    assert!(plan(&old, &old).is_empty());
}

#[test]
fn everything_is_new_to_an_empty_catalog() {
    let changes = plan(&Catalog::default(), &changed(&[]));
    assert!(changes.iter().all(|change| change.to_string().starts_with('+')));
    let kinds: Vec<&str> = changes.iter().map(|change| change.kind.as_str()).collect();
    for kind in [
        "Service",
        "Person",
        "AlertRule",
        "RuleGroup",
        "Rota",
        "Runbook",
        "Platform",
        "Tenant",
    ] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
}
