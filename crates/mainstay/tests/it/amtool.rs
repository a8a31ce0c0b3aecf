//! Debian's amtool as a client: alerts, silences, and routes that are tested beside its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mainstay_catalog::response::Routing;
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;
use serde_json::{Value, json};

use crate::harness::{Server, quiet_catalog};
use crate::told;

fn amtool(arguments: &[&str]) -> Output {
    Command::new("amtool")
        .args(arguments)
        .output()
        .expect("the package prometheus-alertmanager is installed")
}

struct Client<'a>(&'a Server);

impl Client<'_> {
    fn ask(&self, arguments: &[&str]) -> Output {
        let url = format!("--alertmanager.url={}", self.0.address);
        let arguments: Vec<&str> = arguments.iter().copied().chain([url.as_str()]).collect();
        amtool(&arguments)
    }

    fn told(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.told(&arguments)).expect("JSON")
    }
}

#[test]
fn amtool_lists_silences_and_ends_as_with_an_alertmanager() {
    let catalog = quiet_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    let client = Client(&server);
    client.told(&[
        "alert",
        "add",
        "Slow",
        "cell=cell-5",
        "priority=P3",
        "--annotation=summary=slow",
    ]);
    client.told(&["alert", "add", "Slow", "cell=cell-6", "priority=P3"]);
    let firing = client.json(&["alert", "query", "cell=cell-5"]);
    assert_eq!(firing.as_array().map(Vec::len), Some(1), "{firing}");
    assert_eq!(firing[0]["labels"]["alertname"], "Slow");
    assert_eq!(firing[0]["annotations"], json!({"summary": "slow"}));
    assert_eq!(firing[0]["receivers"], json!([{"name": "monitoring"}]));
    assert_eq!(firing[0]["status"]["state"], "active");

    let name = client.told(&[
        "silence",
        "add",
        "alertname=Slow",
        "cell=~cell-[5]",
        "--comment=planned",
        "--author=thandi",
        "--duration=2h",
    ]);
    let name = name.trim();
    let silences = client.json(&["silence", "query"]);
    assert_eq!(silences[0]["id"], name, "{silences}");
    assert_eq!(silences[0]["status"]["state"], "active");
    assert_eq!(silences[0]["createdBy"], "thandi");
    let silenced = client.json(&["alert", "query", "--silenced"]);
    assert_eq!(silenced.as_array().map(Vec::len), Some(1), "{silenced}");
    assert_eq!(silenced[0]["status"]["silencedBy"], json!([name]));
    let listed = server.told(&["silence", "list"]);
    assert!(
        listed.contains(name) && listed.contains("cell=~\"cell-[5]\""),
        "{listed}"
    );

    // A restart changes nothing.
    let address = server.address.clone();
    let server = Server::start_with(server.kill(), &catalog.path().display().to_string());
    assert_ne!(server.address, address);
    let client = Client(&server);
    assert_eq!(client.json(&["silence", "query"])[0]["id"], name);

    client.told(&["silence", "update", name, "--duration=5h", "--comment=longer"]);
    let silences = client.json(&["silence", "query"]);
    assert_eq!(silences.as_array().map(Vec::len), Some(1), "{silences}");
    client.told(&["silence", "expire", silences[0]["id"].as_str().expect("a name")]);
    assert_eq!(client.json(&["silence", "query"]), json!([]));
    let unknown = client.ask(&["silence", "expire", "0b8f6e0a-0000-4000-8000-000000000000"]);
    assert!(
        !unknown.status.success() && told(&unknown).contains("404"),
        "{}",
        told(&unknown)
    );
    assert_eq!(client.json(&["alert", "query", "--silenced"]), json!([]));

    let config = client.told(&["config", "show"]);
    assert!(
        config.contains("receiver: monitoring") || config.contains("\"receiver\": \"monitoring\""),
        "{config}"
    );
    let routed = client.told(&["config", "routes", "test", "priority=P0", "cell=cell-5"]);
    assert_eq!(routed.trim(), "on-call");
}

#[test]
fn our_own_command_makes_and_ends_silences() {
    let catalog = quiet_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    let name = server.told(&[
        "silence",
        "add",
        "cell=cell-5",
        "--for",
        "90m",
        "--comment",
        "planned",
    ]);
    let listed = server.json(&["silence", "list"]);
    assert_eq!(listed[0]["id"], name.trim(), "{listed}");
    server.told(&["silence", "end", name.trim()]);
    assert_eq!(server.json(&["silence", "list"]), json!([]));
    let again = server.ask(&["silence", "end", name.trim()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(told(&again).contains("is over"), "{}", told(&again));
    let everything = server.ask(&["silence", "add", "cell=~.*", "--comment", "no"]);
    assert_eq!(everything.status.code(), Some(1));
    assert!(
        told(&everything).contains("empty string"),
        "{}",
        told(&everything)
    );
}

const NAMES: [&str; 4] = ["team", "cell", "severity", "job"];
const VALUES: [&str; 4] = ["a", "b", "ab", ""];

fn pick<'a>(entropy: &SeededEntropy, of: &[&'a str]) -> &'a str {
    of[usize::try_from(entropy.below(of.len() as u64)).expect("few")]
}

/// A route with routes below it, as YAML in flow style.
fn route(entropy: &SeededEntropy, depth: u64, receivers: u64) -> String {
    let mut parts = vec![format!("receiver: r{}", entropy.below(receivers))];
    if depth > 0 {
        let matchers: Vec<String> = (0..1 + entropy.below(2))
            .map(|_| {
                let (name, value) = (pick(entropy, &NAMES), pick(entropy, &VALUES));
                let op = pick(entropy, &["=", "!=", "=~", "!~"]);
                let value = match op {
                    "=~" | "!~" if entropy.below(2) == 0 => pick(entropy, &["a.*", "a|b", ".+", "[ab]"]),
                    _ => value,
                };
                format!("'{name}{op}\"{value}\"'")
            })
            .collect();
        parts.push(format!("matchers: [{}]", matchers.join(", ")));
        if entropy.below(3) == 0 {
            parts.push("continue: true".to_owned());
        }
    }
    if depth < 3 {
        let below = entropy.below(4);
        let below: Vec<String> = (0..below).map(|_| route(entropy, depth + 1, receivers)).collect();
        parts.push(format!("routes: [{}]", below.join(", ")));
    }
    format!("{{{}}}", parts.join(", "))
}

fn routing(route: &str, receivers: u64) -> Routing {
    let receivers: Vec<String> = (0..receivers)
        .map(|number| format!("{{name: r{number}}}"))
        .collect();
    let text = format!(
        "apiVersion: mainstay/v1\nkind: Routing\nmetadata: {{name: routing}}\nspec:\n  receivers: [{}]\n  route: {route}\n",
        receivers.join(", ")
    );
    let (documents, diagnostics) = Documents::from_texts([("routing.yaml", text.as_str())]);
    assert!(!diagnostics.has_errors(), "{text}");
    Catalog::build(documents, &mut Diagnostics::new())
        .response
        .routing
}

/// The receivers that amtool says take an alert with these labels.
fn by_amtool(config: &Path, labels: &Labels) -> Vec<String> {
    let config = format!("--config.file={}", config.display());
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut arguments = vec!["config", "routes", "test", config.as_str()];
    arguments.extend(labels.iter().map(String::as_str));
    let output = amtool(&arguments);
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().split(',').map(str::to_owned).collect()
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn random_trees_of_routes_send_alerts_where_amtool_sends_them() {
    let (trees, alerts) = if environment("MAINSTAY_FULL") == Some(1) {
        (100, 100)
    } else {
        (10, 20)
    };
    let seed = environment("MAINSTAY_SEED").unwrap_or(0x5eed);
    println!("MAINSTAY_SEED={seed}, {trees} trees, {alerts} alerts each");
    let entropy = SeededEntropy::new(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("alertmanager.yml");
    let mut continued = 0;
    for _ in 0..trees {
        let written = route(&entropy, 0, 6);
        let routing = routing(&written, 6);
        fs::write(&config, routing.to_alertmanager().to_string()).expect("written");
        for _ in 0..alerts {
            let mut labels = Labels::new();
            for name in NAMES {
                // An empty label is none.
                labels.set(name, pick(&entropy, &VALUES));
            }
            let taken = routing.route.matching(&labels);
            let ours: Vec<String> = taken.iter().map(|(_, route)| route.receiver.clone()).collect();
            assert_eq!(
                ours,
                by_amtool(&config, &labels),
                "seed {seed}: {labels:?} in {written}"
            );
            continued += u64::from(ours.len() > 1);
        }
    }
    assert!(continued > 0, "no alert went on to a second route");
}
