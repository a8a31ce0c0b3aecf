//! Alertmanager's configuration files, as they are published, packaged and written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstay_catalog::{Catalog, Diagnostics, Documents, Level};
use mainstay_kernel::Labels;

/// What the caller of the tests asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's parameters come by the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn conformance(folder: &str) -> Option<PathBuf> {
    let root = environment("MAINSTAY_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let required = environment("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
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

pub(crate) fn check(text: &str) -> (Catalog, Diagnostics) {
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

/// Nothing ends because five minutes went by: whoever moves over must not think so.
#[test]
fn what_stands_in_the_place_of_a_timeout_is_said_as_it_is() {
    let (_, found) = check("route: {receiver: a}\nreceivers: [{name: a}]\nglobal: {resolve_timeout: 5m}\n");
    let said = found.render_short();
    assert!(
        said.contains("an alert with `endsAt` fires until then, one without until its end is told"),
        "{said}"
    );
}

/// A generator of label sets: the same seed, the same sets.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("small")
    }
}

/// The labels that routes look at, each with values that they may want, parts of them and others.
fn vocabulary(route: &mainstay_catalog::response::Route, words: &mut BTreeMap<String, Vec<String>>) {
    for matcher in &route.matchers {
        let values = words.entry(matcher.name().to_owned()).or_default();
        values.push(matcher.value().to_owned());
        let pattern = |c: char| "^$()|[]*+?.{}".contains(c);
        let parts = matcher.value().split(pattern).filter(|part| !part.is_empty());
        values.extend(parts.map(str::to_owned));
    }
    route.routes.iter().for_each(|below| vocabulary(below, words));
}

fn labels(words: &BTreeMap<String, Vec<String>>, dice: &mut Dice) -> Vec<(String, String)> {
    const OTHERS: [&str; 8] = ["1", "12", "critical", "x y", "ünï", "a-b", "0", "foo1"];
    let mut labels = Vec::new();
    for (name, values) in words {
        match dice.roll(8) {
            0 | 1 => {}
            2 => labels.push((name.clone(), OTHERS[dice.roll(OTHERS.len())].to_owned())),
            3 => {
                let (one, other) = (dice.roll(values.len()), dice.roll(values.len()));
                labels.push((name.clone(), format!("{}{}", values[one], values[other])));
            }
            _ => labels.push((name.clone(), values[dice.roll(values.len())].clone())),
        }
    }
    if labels.is_empty() || dice.roll(3) == 0 {
        labels.push(("other".to_owned(), OTHERS[dice.roll(OTHERS.len())].to_owned()));
    }
    labels
}

/// What amtool says which receivers take an alert with these labels; `None` if it does not take the file.
fn amtool(path: &Path, labels: &[(String, String)]) -> Option<Vec<String>> {
    let output = Command::new("amtool")
        .args(["config", "routes", "test"])
        .arg(format!("--config.file={}", path.display()))
        .args(labels.iter().map(|(name, value)| format!("{name}={value}")))
        .output()
        .expect("amtool runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output
        .status
        .success()
        .then(|| text.trim().split(',').map(str::to_owned).collect())
}

/// Files that are richer in routes than those that are published.
const OWN: [(&str, &str); 2] = [
    (
        "matchers.yml",
        r#"
route:
  receiver: all
  group_by: [alertname]
  routes:
    - matchers: ['{severity="critical", team=~"db|web"}', zone!=a]
      receiver: pager
      continue: true
      routes:
        - matchers: [ 'service = "pay,ments"' ]
          receiver: payments
        - match_re: {service: "(foo|bar)[0-9]{1,2}"}
          match: {team: db}
          receiver: numbered
    - matchers: ['zone!~"[ab]|eu-.*"', severity=~"crit.*|warning"]
      receiver: far
      continue: true
    - matchers: ['job=~^api.+$', host=""]
      receiver: api
    - matchers: ["path=\"C:\\\\dir\""]
      receiver: path
    - matchers: ['code=~"\\d{3}"']
      receiver: code
    - receiver: rest
      matchers: ['team!=""']
      routes:
        - matchers: [severity="critical"]
          continue: true
        - matchers: ['severity=~".+"']
          receiver: last
receivers: [{name: all}, {name: pager}, {name: payments}, {name: numbered}, {name: far}, {name: api}, {name: path}, {name: code}, {name: rest}, {name: last}]
"#,
    ),
    (
        "nested.yml",
        r"
route:
  receiver: a
  routes:
    - match: {x: 1}
      continue: true
      routes:
        - match: {y: yes}
          receiver: b
          continue: true
        - match_re: {y: 'y.*|no'}
          receiver: c
    - match: {x: 0x10}
      receiver: d
    - match_re: {x: '1|0x10|2.50'}
      receiver: e
      routes: [{match: {y: ''}, receiver: f}, {match: {z: true}, receiver: g, continue: true}, {match: {z: 'true'}, receiver: h}]
receivers: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: f}, {name: g}, {name: h}]
",
    ),
];

#[test]
fn routes_lead_where_amtool_says() {
    let Some(folder) = conformance("alertmanager") else {
        return;
    };
    if Command::new("amtool").arg("--version").output().is_err() {
        eprintln!("skipped: amtool is not installed");
        return;
    }
    let own = tempfile::tempdir().expect("a directory");
    let mut paths = files(&folder);
    for (name, text) in OWN {
        let path = own.path().join(name);
        std::fs::write(&path, text).expect("written");
        paths.push(path);
    }
    let packaged = PathBuf::from("/etc/prometheus/alertmanager.yml");
    paths.extend(Some(packaged).filter(|path| path.is_file()));
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    let full = environment("MAINSTAY_FULL").is_some_and(|full| full == "1");
    let (mut compared, mut with_routes) = (0, 0);
    for path in paths {
        let (catalog, found) = Catalog::check(&path);
        let taken = amtool(&path, &[("some".to_owned(), "label".to_owned())]).is_some();
        assert!(
            !taken || !found.has_errors(),
            "{}: {}",
            path.display(),
            found.render_short()
        );
        if !taken {
            continue;
        }
        let route = &catalog.response.routing.route;
        let mut words = BTreeMap::new();
        vocabulary(route, &mut words);
        // Where everything goes to the root, more label sets say no more.
        let count = match (full, words.is_empty()) {
            (true, _) => 10_000,
            (false, true) => 3,
            (false, false) => 60,
        };
        with_routes += usize::from(!words.is_empty());
        let mut dice = Dice(seed);
        for _ in 0..count {
            let labels = labels(&words, &mut dice);
            let theirs = amtool(&path, &labels).expect("it took the file before");
            let set: Labels = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let ours: Vec<String> = route
                .matching(&set)
                .into_iter()
                .map(|(_, route)| route.receiver.clone())
                .collect();
            assert_eq!(ours, theirs, "seed {seed}, {}: {labels:?}", path.display());
            compared += 1;
        }
    }
    println!(
        "MAINSTAY_SEED={seed}: {compared} label sets alike, {with_routes} files with routes below the root"
    );
    assert!(with_routes >= 9, "{with_routes}");
}
