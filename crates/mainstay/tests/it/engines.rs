//! A real Prometheus has the samples: rules are about them, and what rules record is sent to it.

use crate::beside::Peer;
use crate::harness::{Server, encoded, http, quiet_catalog, until};

const RULES: &str = "groups:
- name: engine
  interval: 1s
  rules:
  - record: engine:up:sum
    expr: sum(up)
  - alert: EngineUp
    expr: engine:up:sum == 1
    labels: {priority: P3}
";

/// It scrapes itself, which Mainstay does not.
const CONFIG: &str = "global: {scrape_interval: 1s}
scrape_configs:
- job_name: self
  static_configs: [{targets: ['LISTEN']}]
";

#[test]
fn rules_are_about_what_a_prometheus_has_and_what_they_record_is_sent_to_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(prometheus) = Peer::prometheus(directory, CONFIG) else {
        return;
    };
    let catalog = quiet_catalog();
    let rules = catalog.path().join("rules");
    std::fs::create_dir_all(&rules).expect("a directory");
    std::fs::write(rules.join("engine.yml"), RULES).expect("written");
    let receiver = format!("{}/api/v1/write", prometheus.address);
    let options = [
        "--engine-url",
        &prometheus.address,
        "--remote-write-url",
        &receiver,
        "--remote-write-2",
        "--remote-write-label",
        "sent_by=mainstay",
    ];
    let server = Server::start_for(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
        &options,
    );
    until("a query sees what was only scraped there", || {
        server.told(&["query", "sum(up)"]).contains('1')
    });
    until("the alert fires here", || {
        let firing = server.json(&["alert", "list", "--firing"]).to_string();
        firing.contains("EngineUp")
    });
    let asked = |query: &str| {
        http(
            &prometheus.address,
            "/api/v1/query",
            Some(&encoded(&[("query", query)])),
            "",
        )
    };
    until("what was recorded is there", || {
        let recorded = asked(r#"engine:up:sum{sent_by="mainstay"}"#).json();
        recorded["data"]["result"][0]["value"][1] == "1"
    });
    until("the alert is there", || {
        let alerts = asked(r#"ALERTS{alertname="EngineUp",alertstate="firing",sent_by="mainstay"}"#).json();
        alerts["data"]["result"][0]["value"][1] == "1"
    });
}
