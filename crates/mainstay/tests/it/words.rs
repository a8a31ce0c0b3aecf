//! What is said to whoever mistypes, asks about what is over, or silences.

use serde_json::json;

use crate::harness::{Server, http, quiet_catalog};
use crate::{mainstay, run, told};

#[test]
fn what_is_mistyped_is_answered_with_what_would_do() {
    let text = told(&run(&["oncall", "schedule", "--until", "2h"]));
    assert!(
        text.starts_with("exit code: 2") && text.contains("as in 2026-12-24T16:00:00Z"),
        "{text}"
    );
    let of_server = |name: &str, value: &str| {
        let output = mainstay(&["incident", "list"])
            .env(name, value)
            .output()
            .expect("it runs");
        told(&output)
    };
    let text = of_server("MAINSTAY_SERVER", "127.0.0.1:7070");
    assert!(text.contains("write it as in http://127.0.0.1:7070"), "{text}");
    let text = of_server("MAINSTAY_TOKEN", "secret\n");
    assert!(
        text.contains("the token has a line break") && !text.contains("secret"),
        "{text}"
    );
    let text = told(&run(&["route", "explain", "--catalog", "nodir"]));
    assert!(text.contains("mainstay: nodir is not a directory"), "{text}");
    let text = told(&run(&["silence", "add", "cell=cell-5", "--comment", " "]));
    assert!(
        text.starts_with("exit code: 2") && text.contains("say why"),
        "{text}"
    );
}

#[test]
fn every_variable_that_is_missing_is_named_at_once() {
    let data = tempfile::tempdir().expect("a directory");
    let output = mainstay(&[
        "serve",
        "--catalog",
        "catalogs/payments",
        "--listen",
        "127.0.0.1:0",
    ])
    .arg("--data")
    .arg(data.path())
    .env("MAINSTAY_SMTP_PORT", "25")
    .output()
    .expect("it runs");
    let text = told(&output);
    assert!(text.starts_with("exit code: 1"), "{text}");
    for name in [
        "SMTP_HOST",
        "CHAT_URL",
        "TELEPHONE_ACCOUNT",
        "TELEPHONE_TOKEN",
        "TELEPHONE_URL",
        "TELEPHONE_CALLBACK_URL",
        "TELEPHONE_CALLBACK_LISTEN",
    ] {
        assert!(text.contains(&format!("MAINSTAY_{name}")), "{name}: {text}");
    }
    assert!(
        !text.contains("SMTP_PORT") && text.contains("are not set"),
        "{text}"
    );
}

#[test]
fn an_alert_is_asked_about_by_every_name_that_it_has_while_it_fires_and_after() {
    let catalog = quiet_catalog();
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        catalog.path().to_str().expect("text"),
    );
    let labels =
        |cell: &str, priority: &str| json!({"alertname": "Slow", "cell": cell, "priority": priority});
    server.post(
        "/api/v2/alerts",
        &json!([
            {"labels": labels("cell-4", "P3")},
            {"labels": labels("cell-5", "P2")},
            {"labels": labels("cell-6", "P3")},
        ]),
    );
    let why = |word: &str| {
        let output = server.ask(&["why", word]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        told(&output)
    };
    let listed = server.told(&["alert", "list"]);
    assert!(listed.contains("cell=cell-4"), "{listed}");
    let text = why("Slow");
    assert!(
        text.contains("3 alerts of this name fire; this is the one with {cell=\"cell-5\", priority=\"P2\"}"),
        "the worst, with what tells it apart: {text}"
    );
    assert!(
        text.contains("Slow {alertname=\"Slow\", cell=\"cell-5\""),
        "{text}"
    );
    let as_alertmanager = http(
        &server.address,
        "/api/v2/alerts?filter=cell%3D%22cell-6%22",
        None,
        "",
    );
    let fingerprint = as_alertmanager.json()[0]["fingerprint"].clone();
    let fingerprint = fingerprint.as_str().expect("text");
    assert_eq!(fingerprint.len(), 16);
    assert!(why(fingerprint).contains("cell=\"cell-6\""));

    let made = server.ask(&[
        "silence",
        "add",
        "alertname=Slow",
        "cell=~cell-[56]",
        "--comment",
        "disks",
    ]);
    assert_eq!(
        String::from_utf8_lossy(&made.stdout).trim().len(),
        36,
        "{}",
        told(&made)
    );
    assert!(told(&made).contains("It holds back 2 alerts."), "{}", told(&made));
    let made = server.ask(&["silence", "add", "alertname=Unknown", "--comment", "disks"]);
    assert!(
        told(&made).contains("It matches no alert that fires"),
        "{}",
        told(&made)
    );

    let over = "2026-01-01T00:00:01Z";
    let ended = |cell: &str, priority: &str| json!({"labels": labels(cell, priority), "startsAt": "2026-01-01T00:00:00Z", "endsAt": over});
    server.post(
        "/api/v2/alerts",
        &json!([
            ended("cell-4", "P3"),
            ended("cell-5", "P2"),
            ended("cell-6", "P3")
        ]),
    );
    let text = why("Slow");
    assert!(
        text.contains("No alert of this name fires; the last that did was"),
        "{text}"
    );
    assert!(why(fingerprint).contains("cell=\"cell-6\""));
    let unknown = server.ask(&["why", "NeverHeardOf"]);
    assert!(
        told(&unknown).contains("alert, page or incident NeverHeardOf is not known"),
        "{}",
        told(&unknown)
    );
}
