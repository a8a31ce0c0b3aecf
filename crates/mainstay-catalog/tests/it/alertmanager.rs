//! Alertmanager's configuration files, as they are published, packaged and written.

use std::path::{Path, PathBuf};

use mainstay_catalog::{Catalog, Diagnostics, Documents, Level};

#[expect(
    clippy::disallowed_methods,
    reason = "where the data lies and whether it must be there are set from outside"
)]
pub(crate) fn conformance(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var_os("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
    assert!(!required, "{} is not there", path.display());
    eprintln!("skipped: no conformance data at {}", path.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whether a file is one that Alertmanager refuses, by the name that it was published under.
fn is_bad(name: &str) -> bool {
    let refused = [
        "both",
        "-no-",
        "nil-",
        "invalid",
        "old-team",
        "and-webhook",
        ".bad.",
    ];
    refused.iter().any(|part| name.contains(part)) && !name.contains("no-username")
}

/// What stands in the published files that nobody may see.
const SECRETS: [&str; 12] = [
    "mysecret",
    "asd132",
    "qwe456",
    "xoxb",
    "hooks.slack.com/services",
    "token123",
    "token456",
    "id456",
    "myprecious",
    "secret_ket",
    "/hooks/xxxx",
    "my_inline_secret",
];

#[test]
fn published_files_are_accepted_and_refused_as_by_alertmanager() {
    let Some(folder) = conformance("alertmanager") else {
        return;
    };
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for path in files(&folder) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let (catalog, found) = Catalog::check(&path);
        let errors: Vec<_> = found.iter().filter(|found| found.level == Level::Error).collect();
        match (is_bad(&name), errors.is_empty()) {
            (true, false) => bad += 1,
            (false, true) => good += 1,
            (true, true) => wrong.push(format!("{name} is accepted")),
            (false, false) => wrong.push(format!("{name} is refused: {}", found.render_short())),
        }
        for error in errors {
            assert!(
                error.at.line > 0 && error.at.column > 0,
                "{name}: {}",
                error.message
            );
            assert!(!error.help.is_empty(), "{name}: {}", error.message);
        }
        let kept = String::from_utf8_lossy(&catalog.documents.to_bytes()).into_owned();
        let shown = format!(
            "{kept}{}{}{catalog:?}{}",
            found.render(None, false),
            found.render_short(),
            serde_json::to_string(&catalog.response).expect("JSON")
        );
        for secret in SECRETS {
            let leaks = shown.matches(secret).count();
            assert_eq!(leaks, 0, "{name}: {secret} is shown");
        }
    }
    println!("{good} accepted, {bad} refused");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good >= 18 && bad >= 20, "{good} accepted, {bad} refused");
}

fn check(text: &str) -> (Catalog, Diagnostics) {
    let (documents, mut found) = Documents::from_texts([("alertmanager.yml", text)]);
    let catalog = Catalog::build(documents, &mut found);
    (catalog, found)
}

#[test]
fn what_is_wrong_has_a_place_and_a_remedy() {
    let receivers = "receivers: [{name: a}, {name: b}]\n";
    for (text, place, message) in [
        (
            "route: {receiver: a, grup_by: [x]}\n",
            "1:22",
            "unknown key \"grup_by\"",
        ),
        ("route: {receiver: c}\n", "1:19", "there is no receiver \"c\""),
        (
            "route: {receiver: a, match: {x: y}}\n",
            "1:30",
            "root route has matchers",
        ),
        (
            "route: {receiver: a, continue: true}\n",
            "1:8",
            "root route continues",
        ),
        (
            "route: {receiver: a, group_interval: 0s}\n",
            "1:38",
            "`group_interval` is 0",
        ),
        ("route: {receiver: a, group_by: [x, x]}\n", "1:36", "there twice"),
        (
            "route: {receiver: a, group_by: ['...', x]}\n",
            "1:33",
            "beside other labels",
        ),
        (
            "route: {receiver: a, group_wait: 1.5m}\n",
            "1:34",
            "cannot be used",
        ),
        (
            "route: {receiver: a, routes: [{matchers: ['x=~\"(\"']}]}\n",
            "1:43",
            "is not a matcher",
        ),
        (
            "route: {receiver: a, routes: [{match_re: {x: '['}}]}\n",
            "1:46",
            "no regular expression",
        ),
        (
            "route: {receiver: a, routes: [{mute_time_intervals: [n]}]}\n",
            "1:54",
            "no time interval",
        ),
        (
            "route: {receiver: a, routes: {receiver: a}}\n",
            "1:30",
            "found a mapping",
        ),
        ("route: {group_by: [x]}\n", "1:8", "no receiver"),
        (
            "route: {receiver: a}\ntime_intervals: [{name: x}, {name: x}]\n",
            "2:36",
            "there twice",
        ),
        (
            "route: {receiver: a}\ntime_intervals: [{name: x, time_intervals: [{weekdays: ['friday:monday']}]}]\n",
            "2:57",
            "not part of a time interval",
        ),
        (
            "route: {receiver: a}\nglobal: {smtp_smarthost: mail}\n",
            "2:26",
            "cannot be used",
        ),
        (
            "route: {receiver: a}\nglobal: {pagerduty_url: pagerduty}\n",
            "2:25",
            "cannot be used",
        ),
    ] {
        let (_, found) = check(&format!("{text}{receivers}"));
        let errors: Vec<_> = found
            .iter()
            .filter(|found| found.level == Level::Error && *found.file == *"alertmanager.yml")
            .collect();
        assert_eq!(errors.len(), 1, "{text}: {}", found.render_short());
        assert_eq!(
            errors[0].place(),
            format!("alertmanager.yml:{place}"),
            "{text}: {}",
            errors[0].message
        );
        assert!(
            errors[0].message.contains(message),
            "{text}: {}",
            errors[0].message
        );
        assert!(!errors[0].help.is_empty(), "{text}");
    }
}
