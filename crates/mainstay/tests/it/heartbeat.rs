//! Heartbeats of others: a job that does not report is told like any alert, over kills and restarts.

use std::time::Duration;

use crate::harness::{Server, quiet_catalog, until};

fn catalog(heartbeats: &str) -> tempfile::TempDir {
    let catalog = quiet_catalog();
    let text = format!("apiVersion: mainstay/v1\nkind: Heartbeats\nitems:\n{heartbeats}");
    std::fs::write(catalog.path().join("heartbeats.yaml"), text).expect("written");
    catalog
}

fn state(server: &Server) -> String {
    let output = server.ask(&["heartbeat", "list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        output.status.code(),
        Some(if listed[0]["state"] == "missed" { 3 } else { 0 })
    );
    listed[0]["state"].as_str().expect("a state").to_owned()
}

#[test]
fn a_job_that_stops_reporting_opens_an_incident_and_its_next_beat_ends_the_alert() {
    let catalog = catalog(
        "  - {id: nightly-backup, interval: 3s, grace: 2s, severity: P1, summary: The backup of the ledger, labels: {cell: cell-5}}\n",
    );
    let directory = catalog.path().to_str().expect("a path");
    let server = Server::start_with(tempfile::tempdir().expect("a directory"), directory);
    assert_eq!(state(&server), "waiting");
    let table = server.told(&["heartbeat", "list"]);
    assert!(
        table.contains("DUE (UTC)") && !table.contains("MISSED"),
        "{table}"
    );
    let unknown = server.ask(&["heartbeat", "send", "nightly-bakcup"]);
    assert_eq!(unknown.status.code(), Some(1));
    server.told(&["heartbeat", "send", "nightly-backup"]);
    assert!(["ok", "late"].contains(&state(&server).as_str()));
    // Killed at once: what was acknowledged is not forgotten.
    let server = Server::start_with(server.kill(), directory);
    let listed = server.ask(&["heartbeat", "list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert!(listed[0]["last_at"].is_string(), "{listed}");
    until("it is missed", || state(&server) == "missed");
    until("it is an incident of its cell that pages", || {
        let incidents = server.json(&["incident", "list"]);
        incidents[0]["scope"]["cell"] == "cell-5"
    });
    // A restart neither ends it nor tells it again.
    let server = Server::start_with(server.kill(), directory);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(state(&server), "missed");
    assert_eq!(
        server
            .json(&["incident", "list"])
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    let said = server.told(&["heartbeat", "send", "nightly-backup"]);
    assert!(said.contains("that is over"), "{said}");
    assert!(["ok", "late"].contains(&state(&server).as_str()));
    let alerts = server.json(&["alert", "list"]);
    assert_ne!(alerts[0]["state"], "firing", "{alerts}");
    server.stop();
}

#[test]
fn what_cannot_be_meant_is_an_error_with_its_place() {
    let catalog = catalog(
        "  - {id: Bad Name, interval: 3s, grace: 2s, severity: P1, summary: s}\n  \
         - {id: b, interval: 0s, grace: 2s, severity: P1, summary: s}\n  \
         - {id: c, interval: 1m, grace: 2s, severity: P1, summary: s, labels: {cell: cell-99}}\n  \
         - {id: d, interval: 1m, grace: 2s, severity: P1, summary: s, labels: {priority: P0}}\n  \
         - {id: e, interval: 1m, grace: 2s, severity: P1, summary: s, runbook: no-such}\n  \
         - {id: e, interval: 1m, grace: 2s, severity: P3, summary: s}\n",
    );
    let output = crate::run(&["check", "-o", "short", catalog.path().to_str().expect("a path")]);
    let said = crate::told(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for line in [
        "heartbeats.yaml:4:10: error",
        "heartbeats.yaml:5:23: error",
        "heartbeats.yaml:6:79: error",
        "heartbeats.yaml:7:83: error",
        "heartbeats.yaml:8:73: error",
        "heartbeats.yaml:9:10: error",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
}
