//! The commands of everyday work against a running server: from an alert that comes in to the post-mortem.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::catalogs::copy_of_catalog;
use crate::harness::{PATIENCE, Server, until};
use crate::{mainstay, told};

#[test]
fn an_incident_is_worked_on_from_the_command_line() {
    let server = Server::start();
    assert_eq!(server.json(&["incident", "list"]), json!([]));
    assert!(server.told(&["oncall", "who"]).contains("Primary on-call"));
    let slos = server.json(&["slo", "status"]);
    assert!(slos.as_array().is_some_and(|slos| !slos.is_empty()));
    for slo in slos.as_array().into_iter().flatten() {
        assert_eq!(slo["status"], "unknown", "nothing was counted: {slo}");
        assert!(
            slo["value"].is_null() && slo["unknown_reason"].is_string(),
            "{slo}"
        );
    }
    assert_eq!(server.told(&["query", "1 + 1"]), "2\n");
    let wrong = server.ask(&["query", "sum("]);
    assert_eq!(wrong.status.code(), Some(1), "{}", told(&wrong));

    let labels =
        json!({"alertname": "HighErrorRate", "cell": "cell-5", "priority": "P1", "severity": "high"});
    let annotations = json!({"summary": "High error rate", "runbook": "high-error-rate"});
    server.post(
        "/api/v2/alerts",
        &json!([{ "labels": labels, "annotations": annotations }]),
    );
    let incidents = server.json(&["incident", "list", "--open"]);
    let id = incidents[0]["id"]
        .as_str()
        .expect("the alert is an incident")
        .to_owned();
    assert_eq!(incidents[0]["title"], "High error rate in cell-5");
    assert!(
        incidents[0]["failed_requests"].is_null(),
        "nothing counts requests here: {incidents}"
    );
    assert_eq!(server.json(&["alert", "list", "--firing"])[0]["incident"], *id);

    server.told(&["ack", &id]);
    let again = server.told(&["ack", &id]);
    assert!(again.contains("before"), "{again}");
    let unknown = server.ask(&["ack", "2025-01-15-001"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", told(&unknown));

    let blind = server.ask(&["runbook", "run", &id, "high-error-rate", "errors-by-cell"]);
    assert_eq!(
        blind.status.code(),
        Some(1),
        "no data is never what a step expects: {}",
        told(&blind)
    );
    assert!(told(&blind).contains("no data"), "{}", told(&blind));
    server.told(&["runbook", "run", &id, "high-error-rate", "recent-changes"]);
    let steps = server.told(&["runbook", "list", &id]);
    let line = steps
        .lines()
        .find(|line| line.starts_with("recent-changes"))
        .expect("the step is listed");
    assert!(line.contains("done"), "{steps}");

    server.told(&["incident", "note", &id, "the fraud provider is slow"]);
    let early = server.ask(&["incident", "resolve", &id]);
    assert_eq!(
        early.status.code(),
        Some(1),
        "its alert still fires: {}",
        told(&early)
    );
    server.told(&["incident", "resolve", &id, "--note", "a false alarm"]);
    assert_eq!(server.json(&["incident", "list", "--open"]), json!([]));

    let shown = server.told(&["incident", "show", &id]);
    assert!(
        shown.contains("the fraud provider is slow") && shown.contains("a false alarm"),
        "{shown}"
    );
    let draft = server.told(&["postmortem", &id]);
    assert!(
        draft.starts_with("# Post-mortem: High error rate in cell-5"),
        "{draft}"
    );

    let incident = server.json(&["incident", "show", &id]);
    let page = incident["timeline"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["kind"] == "page");
    let event = page
        .and_then(|entry| entry["event"].as_str())
        .expect("a page was asked for");
    let why = server.json(&["why", event]);
    let kinds: Vec<&str> = why["chain"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|step| step["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["incident.page_requested", "alert.fired"]);

    assert!(server.told(&["journal", "verify"]).contains("platform"));
    let journal = server.data.path().join("journal");
    let in_use = mainstay(&["journal", "verify"])
        .arg(&journal)
        .output()
        .expect("the program starts");
    assert_eq!(in_use.status.code(), Some(1), "{}", told(&in_use));
    let data = server.stop();
    let whole = mainstay(&["journal", "verify"])
        .arg(data.path().join("journal"))
        .output()
        .expect("the program starts");
    assert_eq!(whole.status.code(), Some(0), "{}", told(&whole));
}

/// Git owns the catalog: what is changed there is planned against what runs, and put in force without a restart.
#[test]
fn a_changed_catalog_is_planned_and_applied_without_a_restart() {
    let catalog = copy_of_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        catalog.path().to_str().expect("text"),
    );
    let path = catalog.path().to_str().expect("text");
    let alert = json!([{ "labels": {"alertname": "HighErrorRate", "cell": "cell-5", "priority": "P1"} }]);
    server.post("/api/v2/alerts", &alert);
    assert!(server.told(&["plan", path]).is_empty(), "nothing was changed yet");

    let rules = catalog.path().join("rules/payments.yml");
    let text = std::fs::read_to_string(&rules).expect("the rules");
    std::fs::write(&rules, text.replace("for: 10m", "for: 11m")).expect("written");
    let plan = server.told(&["plan", path]);
    assert!(plan.contains("rules/payments.yml"), "{plan}");
    let applied = server.told(&["apply"]);
    assert_eq!(applied.trim(), plan.trim(), "what was planned is what is done");
    assert!(server.told(&["plan", path]).is_empty());
    assert_eq!(
        server
            .json(&["incident", "list", "--open"])
            .as_array()
            .map(Vec::len),
        Some(1),
        "what was going on goes on"
    );

    std::fs::write(&rules, "groups: 7").expect("written");
    let refused = server.ask(&["apply"]);
    assert_eq!(refused.status.code(), Some(1), "{}", told(&refused));
    assert!(
        told(&refused).contains("rules/payments.yml:1:"),
        "{}",
        told(&refused)
    );
    let changes = server.told(&["change", "list"]);
    assert!(changes.contains("catalog put in force: 1 change"), "{changes}");
}

/// A Prometheus says until when to believe an alert; one that is not told again by then is over.
#[test]
fn an_alert_that_is_not_told_again_in_time_is_over() {
    let server = Server::start();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let alert = |name: &str, end: Option<String>| json!([{ "labels": {"alertname": name, "cell": "cell-5", "priority": "P1"}, "endsAt": end }]);
    server.post("/api/v2/alerts", &alert("Believed", Some(soon.to_string())));
    server.post("/api/v2/alerts", &alert("Firm", None));
    let firing = || {
        let alerts = server.json(&["alert", "list", "--firing"]);
        let names = alerts.as_array().into_iter().flatten();
        names
            .map(|alert| {
                alert["labels"]["alertname"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(firing().len(), 2);
    let since = Instant::now();
    while firing().len() > 1 {
        assert!(since.elapsed() < PATIENCE, "{:?}", firing());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(firing(), ["Firm"]);
}

#[test]
fn an_alert_whose_sender_is_gone_since_before_a_restart_is_over_in_time() {
    let server = Server::start();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let alert = |name: &str, end: Option<String>| json!([{ "labels": {"alertname": name}, "endsAt": end }]);
    server.post("/api/v2/alerts", &alert("Believed", Some(soon.to_string())));
    server.post("/api/v2/alerts", &alert("Firm", None));
    let server = Server::start_on(server.kill());
    let firing = || {
        let alerts = server.json(&["alert", "list", "--firing"]);
        let name = |alert: &serde_json::Value| alert["labels"]["alertname"].to_string();
        alerts
            .as_array()
            .into_iter()
            .flatten()
            .map(name)
            .collect::<Vec<_>>()
    };
    assert_eq!(firing().len(), 2, "its sender may be there still");
    until("what nobody tells of any more is over", || {
        firing() == ["\"Firm\""]
    });
}

/// A copy made under way is a data directory like any other.
#[test]
fn a_backup_of_a_running_server_opens_as_it_was() {
    let server = Server::start();
    let alert = json!([{ "labels": {"alertname": "HighErrorRate", "cell": "cell-5", "priority": "P1"} }]);
    server.post("/api/v2/alerts", &alert);
    let before = server.json(&["incident", "list"]);
    assert_eq!(before.as_array().map(Vec::len), Some(1));
    let made = server.json(&["backup"]);
    let directory = made["directory"].as_str().expect("its directory");
    // What happens after it is not in it.
    let id = before[0]["id"].as_str().expect("an id");
    server.told(&["incident", "note", id, "after the backup"]);

    let copy = tempfile::tempdir().expect("a directory");
    for part in ["journal", "series"] {
        std::fs::rename(std::path::Path::new(directory).join(part), copy.path().join(part)).expect("moved");
    }
    drop(server.stop());
    let restored = Server::start_on(copy);
    assert_eq!(restored.json(&["incident", "list"])[0]["id"], id);
    let shown = restored.told(&["incident", "show", id]);
    assert!(!shown.contains("after the backup"), "{shown}");
    assert!(restored.told(&["journal", "verify"]).contains("platform"));
}

#[test]
fn nobody_there_is_said_with_a_way_out() {
    let output = mainstay(&["incident", "list", "--server", "http://127.0.0.1:9"])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let text = told(&output);
    assert!(
        text.contains("does not answer") && text.contains("mainstay serve"),
        "{text}"
    );
}
