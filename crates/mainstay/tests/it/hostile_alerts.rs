//! Alerts of senders who mean harm, or are broken: refused with the reason, counted, and of no concern to others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay_kernel::Digest;
use serde_json::{Value, json};

use crate::beside::free_port;
use crate::blackbox::request;
use crate::harness::{SERVE, Server, http, quiet_catalog};
use crate::mainstay;

fn server() -> (Server, tempfile::TempDir) {
    let catalog = quiet_catalog();
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(data, &catalog.path().display().to_string());
    (server, catalog)
}

fn post(server: &Server, body: &str) -> (u16, String) {
    let reply = request(&server.address, "POST", "/api/v2/alerts", "", body);
    (reply.status, reply.body)
}

fn named(name: &str) -> Value {
    json!({"labels": {"alertname": name, "cell": "cell-5", "priority": "P3"}})
}

/// An alert of so many labels.
fn bomb(labels: usize) -> Value {
    let mut alert = named("Bomb");
    for n in 0..labels {
        alert["labels"][format!("label{n}")] = json!("value");
    }
    alert["endsAt"] = json!("2999-01-01T00:00:00Z");
    alert
}

fn counted(server: &Server, line: &str) -> bool {
    let metrics = http(&server.address, "/metrics", None, "").body;
    assert!(metrics.contains("mainstay_alerts_taken_total"), "{metrics}");
    metrics.contains(&format!("{line}\n"))
}

fn firing(server: &Server) -> Vec<String> {
    let alerts = http(&server.address, "/api/v2/alerts", None, "").json();
    let names = alerts.as_array().expect("a list").iter();
    names
        .map(|alert| alert["labels"]["alertname"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn what_is_no_alert_is_refused_with_the_reason_and_counted() {
    let (server, _catalog) = server();
    let long = "v".repeat(1 << 20);
    let with = |name: &str, value: &str| {
        let mut alert = named("Odd");
        alert[name] = json!(value);
        alert
    };
    let mut large = named("Large");
    large["labels"]["text"] = json!(long);
    let mut backwards = with("startsAt", "2025-01-02T00:00:00Z");
    backwards["endsAt"] = json!("2025-01-01T00:00:00Z");
    let unreadable = ["{", "[{}]", "{\"labels\": {}}", "[{\"labels\": {\"a\": 1}}]"];
    for body in unreadable {
        let (status, said) = post(&server, body);
        assert_eq!(status, 400, "{body}: {said}");
        assert!(said.contains("not as expected"), "{said}");
    }
    let (status, said) = post(&server, &json!([with("startsAt", "yesterday")]).to_string());
    assert_eq!(status, 400, "{said}");
    let malformed = [
        (json!({"labels": {"cell": "c"}}), "alertname"),
        (large, "at most 32768"),
        (bomb(10_000), "at most 32768"),
        (backwards, "before it starts"),
    ];
    for (alert, reason) in &malformed {
        let (status, said) = post(&server, &json!([alert]).to_string());
        assert_eq!(status, 400, "{reason}: {said}");
        assert!(said.contains(reason), "{said}");
    }
    let (status, said) = post(&server, &json!([bomb(10_000), named("Good")]).to_string());
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("The other 1 were taken"), "{said}");
    let (status, said) = post(&server, &" ".repeat((4 << 20) + 1));
    assert_eq!(status, 413, "{said}");
    assert!(counted(
        &server,
        "mainstay_requests_refused_total{status=\"413\"} 1"
    ));
    assert_eq!(firing(&server), ["Good"]);
    assert!(counted(
        &server,
        "mainstay_alerts_refused_total{reason=\"unreadable\"} 5"
    ));
    assert!(counted(
        &server,
        "mainstay_alerts_refused_total{reason=\"malformed\"} 5"
    ));
    assert!(counted(&server, "mainstay_alerts_taken_total 1"));
}

/// A server with two accounts that tell of alerts, `east` and `west`, and one of a tenant.
fn guarded() -> (Server, tempfile::TempDir) {
    let (catalog, data) = (quiet_catalog(), tempfile::tempdir().expect("a directory"));
    let account = |(name, tenants): (&str, &str)| {
        let digest = Digest::of(format!("{name}-token").as_bytes());
        format!("  - {{name: {name}, role: admin, tenants: {tenants}, sha256: \"{digest}\"}}\n")
    };
    let accounts = [("east", "all"), ("west", "all"), ("one", "[std-021]")].map(account);
    let tokens = catalog.path().with_extension("tokens.yaml");
    std::fs::write(&tokens, format!("tokens:\n{}", accounts.concat())).expect("written");
    let options = ["--tokens", &tokens.display().to_string()];
    let server = Server::start_for(data, &catalog.path().display().to_string(), &options);
    std::fs::remove_file(tokens).expect("it was there");
    (server, catalog)
}

#[test]
fn a_flood_of_bad_alerts_keeps_nobody_else_out() {
    let (server, _catalog) = guarded();
    let post = |account: &str, body: &str| {
        let token = format!("Authorization: Bearer {account}-token\r\n");
        let reply = request(&server.address, "POST", "/api/v2/alerts", &token, body);
        (reply.status, reply.body)
    };
    let before_bytes = server.peak_bytes();
    let stop = AtomicBool::new(false);
    let bombs: Vec<Value> = (0..5).map(|_| bomb(3_000)).collect();
    let body = Value::from(bombs).to_string();
    assert!(body.len() < 4 << 20, "{}", body.len());
    let flood_of = |account: &'static str, status: u16| {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(post(account, &body).0, status);
            sent += 1;
        }
        sent
    };
    let (sent, slowest) = std::thread::scope(|scope| {
        let flood: Vec<_> = (0..3).map(|_| scope.spawn(|| flood_of("east", 400))).collect();
        // A tenant tells of no alerts at all, not even of its own.
        let foreign = scope.spawn(|| flood_of("one", 403));
        let mut slowest = Duration::ZERO;
        for n in 0..20 {
            let since = Instant::now();
            let mut alert = named(&format!("Real{n}"));
            alert["labels"]["tenant"] = json!("std-022");
            let (status, said) = post("west", &json!([alert]).to_string());
            slowest = slowest.max(since.elapsed());
            if status != 200 {
                stop.store(true, Ordering::Relaxed);
            }
            assert_eq!(status, 200, "{said}");
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        let sent = flood
            .into_iter()
            .map(|flood| flood.join().expect("it is refused"));
        let sent = sent.sum::<usize>();
        assert!(foreign.join().expect("it is refused") > 0);
        (sent, slowest)
    });
    println!("{sent} times 15,000 labels beside 20 alerts, of which the slowest took {slowest:?}");
    assert!(sent > 0, "there was no flood");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    let all = "Authorization: Bearer west-token\r\n";
    let alerts = http(&server.address, "/api/v2/alerts", None, all).json();
    assert_eq!(alerts.as_array().map(Vec::len), Some(20), "{alerts}");
    let metrics = http(&server.address, "/metrics", None, all).body;
    let refused = format!(
        "mainstay_alerts_refused_total{{reason=\"malformed\"}} {}\n",
        sent * 5
    );
    assert!(metrics.contains(&refused), "{refused}");
    let grown = server.peak_bytes().saturating_sub(before_bytes);
    assert!(grown < 256 << 20, "{} MiB more", grown >> 20);
}

#[test]
fn an_acknowledgement_that_comes_again_changes_nothing_and_is_counted() {
    let (server, _catalog) = server();
    let mut alert = named("Down");
    alert["labels"]["priority"] = json!("P1");
    assert_eq!(post(&server, &json!([alert]).to_string()).0, 200);
    let incident = server.json(&["incident", "list"])[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/api/v1/incidents/{incident}/acknowledge");
    let ack = || request(&server.address, "POST", &path, "", "{}");
    let first = ack();
    assert_eq!(first.status, 200, "{}", first.body);
    for _ in 0..3 {
        let again = ack();
        assert_eq!(again.status, 200, "{}", again.body);
        assert!(again.body.contains("before"), "{}", again.body);
    }
    assert!(counted(&server, "mainstay_acknowledgements_repeated_total 3"));
    let unknown = request(
        &server.address,
        "POST",
        "/api/v1/pages/page-99/acknowledge",
        "",
        "{}",
    );
    assert_eq!(unknown.status, 404, "{}", unknown.body);
}

#[test]
fn a_call_that_the_provider_did_not_sign_is_refused_and_counted() {
    let (catalog, data) = (quiet_catalog(), tempfile::tempdir().expect("a directory"));
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = mainstay(&SERVE);
    command.env("MAINSTAY_TELEPHONE_CALLBACK_LISTEN", &listen);
    command.arg("--catalog").arg(catalog.path());
    command.arg("--data").arg(data.path());
    let server = Server::running(command, data);
    let call = |signature: &str| {
        let signature = format!("X-Twilio-Signature: {signature}\r\n");
        let path = "/telephone/call?key=page%2F1&page=page-1&person=thandi";
        request(&format!("http://{listen}"), "POST", path, &signature, "Digits=1").status
    };
    assert_eq!(call("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), 403);
    assert_eq!(call("%"), 403);
    for reason in ["wrong", "malformed"] {
        let line =
            format!("mainstay_acknowledgements_refused_total{{door=\"telephone\",reason=\"{reason}\"}} 1");
        assert!(counted(&server, &line), "{line}");
    }
}
