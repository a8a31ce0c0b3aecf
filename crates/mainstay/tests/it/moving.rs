//! Moving in beside a live Alertmanager: the same file in both, the same alerts to both, and receivers that write down who
//! told them what. Then one route is cut over, and back.

mod as_it_is;
mod desk;
mod imports;
mod routes;

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::beside::Peer;
use crate::blackbox::request;
use crate::harness::{Server, quiet_catalog};
use desk::Desk;

/// An Alertmanager's file; `DESK` is where its receivers are, `COPY` a further webhook of each.
const FILE: &str = r##"
templates: [words.tmpl]
route:
  receiver: rest
  group_by: [alertname, cell]
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 4h
  routes:
    - {receiver: shop, matchers: ['team="shop"'], group_by: [cell]}
    - {receiver: bank, matchers: ['team="bank"']}
inhibit_rules:
  - {source_matchers: ['severity="critical"'], target_matchers: ['severity="low"'], equal: [cell]}
receivers:
  - name: rest
    webhook_configs: [{url: 'DESK/rest'}COPY]
  - name: shop
    webhook_configs: [{url: 'DESK/shop'}COPY]
    slack_configs:
      - {api_url: 'DESK/slack', channel: '#shop', title: '{{ template "words.title" . }}', text: '{{ range .Alerts }}{{ .Annotations.summary }};{{ end }}'}
  - name: bank
    webhook_configs: [{url: 'DESK/bank'}COPY]
"##;
const WORDS: &str = r#"{{ define "words.title" }}{{ .Status | toUpper }} {{ .GroupLabels.cell }} {{ len .Alerts.Firing }}{{ end }}"#;

/// The file, with copies of all to the server at an address.
fn file(desk: &Desk, copies_to: Option<&str>) -> String {
    let copy = copies_to.map(|address| format!(", {{url: '{address}/api/v1/shadow/alertmanager'}}"));
    FILE.replace("DESK", &desk.address)
        .replace("COPY", copy.as_deref().unwrap_or_default())
}

/// A catalog whose routing is the file as it is.
fn catalog(desk: &Desk, shadow: bool) -> tempfile::TempDir {
    let catalog = quiet_catalog();
    let write = |name: &str, text: &str| std::fs::write(catalog.path().join(name), text).expect("written");
    let routing = std::fs::read_to_string(catalog.path().join("routing.yaml")).expect("it was there");
    let (channels, _) = routing.split_once("\n---").expect("two documents");
    write("routing.yaml", channels);
    write("alertmanager.yml", &file(desk, None));
    write("words.tmpl", WORDS);
    if shadow {
        write(
            "adopted.yaml",
            "apiVersion: mainstay/v1\nkind: AlertmanagerRouting\nmetadata: {name: routing}\nspec:\n  file: alertmanager.yml\n  shadow: true\n",
        );
    }
    catalog
}

/// An Alertmanager with the file.
fn alertmanager(desk: &Desk, copies_to: Option<&str>) -> Option<Peer> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("words.tmpl"), WORDS).expect("written");
    Peer::alertmanager(directory, &file(desk, copies_to))
}

fn serve(data: tempfile::TempDir, catalog: &Path) -> Server {
    Server::start_with(data, catalog.to_str().expect("text"))
}

/// Tells both of alerts, `Down cell=c1 team=shop`, that fire or are over; each says its own name in its summary.
fn tell(places: &[&str], alerts: &[&str], over: bool) {
    let now = Timestamp::now();
    let body: Vec<Value> = alerts
        .iter()
        .map(|text| {
            let mut words = text.split(' ');
            let name = words.next().unwrap_or_default();
            let mut labels = serde_json::Map::new();
            labels.insert("alertname".to_owned(), json!(name));
            for (name, value) in words.filter_map(|word| word.split_once('=')) {
                labels.insert(name.to_owned(), json!(value));
            }
            let mut alert = json!({"labels": labels, "annotations": {"summary": format!("{name} it is")}});
            if over {
                alert["endsAt"] = json!(now);
            }
            alert
        })
        .collect();
    for place in places {
        let taken = request(place, "POST", "/api/v2/alerts", "", &json!(body).to_string());
        assert_eq!(taken.status, 200, "{place}: {}", taken.body);
    }
}
