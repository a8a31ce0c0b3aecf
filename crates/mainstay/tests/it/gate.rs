//! The gate as a pipeline meets it: exit codes, the journal, and what holds when the server is away.

use std::path::{Path, PathBuf};
use std::process::Output;

use jiff::Timestamp;
use serde_json::Value;

use crate::catalogs::copy_of_catalog;
use crate::harness::{Server, until};
use crate::otlp::{JSON, export};
use crate::{mainstay, told};

const KEY_OF_ANOTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn server(catalog: &Path) -> Server {
    Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.display().to_string(),
    )
}

/// So many requests of a bank in a cell have been answered since the gateway began.
fn gateway_counted(server: &Server, cell: &str, good: u64, bad: u64) {
    let now_nano = Timestamp::now().as_nanosecond();
    let point = |status: &str, count: u64| {
        let attributes = [("tenant", "STD-001"), ("cell", cell), ("status", status)]
            .map(|(key, value)| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#));
        format!(
            r#"{{"timeUnixNano":"{now_nano}","asInt":"{count}","attributes":[{}]}}"#,
            attributes.join(",")
        )
    };
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"api-gateway"}}}}]}},
        "scopeMetrics":[{{"metrics":[{{"name":"http.requests","sum":{{"aggregationTemporality":2,"isMonotonic":true,
        "dataPoints":[{},{}]}}}}]}}]}}]}}"#,
        point("200", good),
        point("503", bad),
    );
    let (status, _, answer) = export(server, &[JSON], body.as_bytes());
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
}

/// A gateway that begins, and then counts.
fn traffic(server: &Server, good: u64, bad: u64) {
    gateway_counted(server, "cell-5", 0, 0);
    gateway_counted(server, "cell-5", good, bad);
}

struct Pipeline<'a> {
    server: &'a str,
    state: &'a Path,
}

impl Pipeline<'_> {
    fn ask(&self, service: &str, more: &[&str]) -> Output {
        let mut command = mainstay(&[
            "gate",
            "deploy",
            "--service",
            service,
            "--server",
            self.server,
            "-o",
            "json",
        ]);
        command.arg("--state-dir").arg(self.state);
        if !more.contains(&"--cell") {
            command.args(["--cell", "cell-5"]);
        }
        command.args(more).output().expect("the program starts")
    }

    fn exit(&self, service: &str, more: &[&str]) -> Option<i32> {
        self.ask(service, more).status.code()
    }

    fn answer(&self, service: &str) -> (Option<i32>, Value) {
        let output = self.ask(service, &[]);
        let answer = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", told(&output)));
        (output.status.code(), answer)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_spent_budget_freezes_its_cell_and_the_journal_says_why() {
    let catalog = copy_of_catalog();
    let server = server(catalog.path());
    let state = tempfile::tempdir().expect("a directory");
    let pipeline = Pipeline {
        server: &server.address,
        state: state.path(),
    };
    let (exit, answer) = pipeline.answer("fraud-service");
    assert_eq!((exit, &answer["verdict"]), (Some(0), &Value::from("allow")));
    assert_eq!(
        answer["reasons"][0]["rule"], "never-seen",
        "unknown freezes nothing"
    );

    // 5 of 10,100 may be bad.
    traffic(&server, 10_000, 100);
    let mut asked = 1;
    let mut refused = Value::Null;
    // The answer is by the counts at once; that the budget changed is written by the next evaluation.
    until("the refusal has an event behind it", || {
        asked += 1;
        let (exit, answer) = pipeline.answer("fraud-service");
        assert_eq!(
            (exit, &answer["verdict"]),
            (Some(4), &Value::from("refuse")),
            "{answer}"
        );
        refused = answer;
        !refused["reasons"][0]["event"].is_null()
    });
    let budget = &refused["budgets"][0];
    assert_eq!(
        (
            &budget["bad"],
            &budget["allowed"],
            &budget["left"],
            &budget["total"]
        ),
        (&100.into(), &5.into(), &(-95).into(), &10_100.into())
    );
    assert_eq!(budget["group"], serde_json::json!({"cell": "cell-5"}));
    let event = refused["event"].as_str().expect("an event");
    let why = server.told(&["why", event]);
    assert!(
        why.contains("gate.answered") && why.contains("gate.budget_changed"),
        "{why}"
    );
    assert!(
        why.contains("bad 100") && why.contains("changes are frozen"),
        "{why}"
    );

    // Elsewhere, and for what mends it, the way is free. What does not exist is a mistake, and nothing passes by it.
    assert_eq!(pipeline.exit("fraud-service", &["--cell", "cell-3"]), Some(0));
    for kind in ["rollback", "security-fix", "reliability-fix"] {
        assert_eq!(
            pipeline.exit("fraud-service", &["--kind", kind]),
            Some(0),
            "{kind}"
        );
    }
    assert_eq!(pipeline.exit("fraud-service", &["--tenant", "STD-001"]), Some(4));
    asked += 5;
    let typo = pipeline.ask("fraud-servise", &[]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(stderr(&typo).contains("fraud-service"), "{}", stderr(&typo));
    // No approval lifts a freeze.
    let approve = [
        "gate",
        "approve",
        "--service",
        "fraud-service",
        "--cell",
        "cell-5",
        "--reason",
        "please",
    ];
    server.told(&approve);
    assert_eq!(pipeline.exit("fraud-service", &[]), Some(4));
    asked += 1;
    let answers = server.json(&["gate", "answers"]);
    assert_eq!(answers.as_array().map(Vec::len), Some(asked));
    let policy = server.told(&["gate", "policy"]);
    assert!(
        policy.contains("changes are frozen; told: alerts") && policy.contains("please"),
        "{policy}"
    );
    server.told(&["journal", "verify"]);

    // Killed and back: the last known state holds.
    let server = Server::start_with(server.kill(), &catalog.path().display().to_string());
    let pipeline = Pipeline {
        server: &server.address,
        state: state.path(),
    };
    let (exit, answer) = pipeline.answer("fraud-service");
    assert_eq!(
        (exit, &answer["budgets"][0]["state"]),
        (Some(4), &Value::from("exhausted")),
        "{answer}"
    );
    assert_eq!(
        server.json(&["gate", "answers"]).as_array().map(Vec::len),
        Some(asked + 1)
    );
    server.told(&["journal", "verify"]);
}

#[test]
fn a_critical_budget_waits_for_an_approval_of_this_version() {
    let catalog = copy_of_catalog();
    let server = server(catalog.path());
    let state = tempfile::tempdir().expect("a directory");
    let pipeline = Pipeline {
        server: &server.address,
        state: state.path(),
    };
    // 9 of 10 are spent.
    traffic(&server, 19_991, 9);
    assert_eq!(pipeline.exit("fraud-service", &["--version", "v2"]), Some(8));
    server.told(&[
        "gate",
        "approve",
        "--service",
        "fraud-service",
        "--cell",
        "cell-5",
        "--version",
        "v2",
        "--reason",
        "the fix",
    ]);
    assert_eq!(pipeline.exit("fraud-service", &["--version", "v2"]), Some(0));
    assert_eq!(pipeline.exit("fraud-service", &["--version", "v3"]), Some(8));
    assert_eq!(pipeline.exit("fraud-service", &["--version", "v2"]), Some(0));
    let url = server.address.clone();
    server.stop();
    let pipeline = Pipeline {
        server: &url,
        state: state.path(),
    };
    let held = pipeline.ask("fraud-service", &["--version", "v2"]);
    assert_eq!(held.status.code(), Some(0), "{}", told(&held));
    assert!(
        stderr(&held).contains("the last answer holds"),
        "{}",
        stderr(&held)
    );
    let other = pipeline.ask("fraud-service", &["--version", "v3"]);
    assert_eq!(other.status.code(), Some(8), "{}", told(&other));
    assert!(
        stderr(&other).contains("an approval of another version"),
        "{}",
        stderr(&other)
    );
}

/// Every file of answers below a state directory.
fn kept(state: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let servers = entries(&state.join("gate"));
    let files = servers.iter().flat_map(|server| entries(server));
    files
        .filter(|file| file.extension().is_some_and(|ending| ending == "json"))
        .collect()
}

#[test]
fn without_the_server_only_what_it_signed_is_believed() {
    let catalog = copy_of_catalog();
    let server = server(catalog.path());
    let state = tempfile::tempdir().expect("a directory");
    let url = server.address.clone();
    let pipeline = Pipeline {
        server: &url,
        state: state.path(),
    };
    traffic(&server, 10_000, 100);
    assert_eq!(pipeline.exit("fraud-service", &[]), Some(4));
    assert_eq!(pipeline.exit("fraud-service", &["--cell", "cell-3"]), Some(0));
    let key = server.told(&["gate", "key"]);
    assert_eq!(
        pipeline.exit("fraud-service", &["--public-key", key.trim()]),
        Some(4)
    );
    // An answer by another key than the pinned one is none.
    let foreign = pipeline.ask("fraud-service", &["--public-key", KEY_OF_ANOTHER]);
    assert_eq!(foreign.status.code(), Some(1), "{}", told(&foreign));
    server.stop();

    let held = pipeline.ask("fraud-service", &[]);
    assert_eq!(held.status.code(), Some(4), "{}", told(&held));
    assert!(
        stderr(&held).contains("the last answer holds"),
        "{}",
        stderr(&held)
    );
    assert_eq!(pipeline.exit("fraud-service", &["--cell", "cell-3"]), Some(0));
    assert_eq!(pipeline.exit("fraud-service", &["--kind", "rollback"]), Some(0));
    let unheard = pipeline.ask("clearing-adapter", &[]);
    assert_eq!(unheard.status.code(), Some(8));
    assert!(
        stderr(&unheard).contains("there is no last answer"),
        "{}",
        stderr(&unheard)
    );
    assert_eq!(
        pipeline.exit("fraud-service", &["--public-key", KEY_OF_ANOTHER]),
        Some(8)
    );

    let files = kept(state.path());
    assert_eq!(files.len(), 2);
    let texts: Vec<String> = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a file"))
        .collect();
    // Signed, of another cell.
    std::fs::write(&files[0], &texts[1]).expect("written");
    std::fs::write(&files[1], &texts[0]).expect("written");
    let moved = pipeline.ask("fraud-service", &[]);
    assert_eq!(moved.status.code(), Some(8), "{}", told(&moved));
    assert!(stderr(&moved).contains("of another change"), "{}", stderr(&moved));
    // Of this cell, with another verdict.
    for (file, text) in files.iter().zip(&texts) {
        std::fs::write(
            file,
            text.replace(r#"\"verdict\":\"refuse\""#, r#"\"verdict\":\"allow\""#),
        )
        .expect("written");
    }
    let forged = pipeline.ask("fraud-service", &[]);
    assert_eq!(forged.status.code(), Some(8), "{}", told(&forged));
    assert!(stderr(&forged).contains("tampered with"), "{}", stderr(&forged));
}

#[test]
fn an_answer_that_is_too_old_gives_way_to_the_fail_mode_that_was_signed() {
    for (mode, exit) in [("allow", 0), ("needs-approval", 8), ("refuse", 4)] {
        let catalog = copy_of_catalog();
        let file = catalog.path().join("slo/policy.yaml");
        let text = std::fs::read_to_string(&file).expect("the policy");
        let text = text.replace("lastAnswerValid: 15m", "lastAnswerValid: 0s");
        std::fs::write(
            &file,
            text.replace("failMode: needs-approval", &format!("failMode: {mode}")),
        )
        .expect("written");
        let server = server(catalog.path());
        let state = tempfile::tempdir().expect("a directory");
        let url = server.address.clone();
        let pipeline = Pipeline {
            server: &url,
            state: state.path(),
        };
        assert_eq!(pipeline.exit("fraud-service", &[]), Some(0));
        server.stop();
        let output = pipeline.ask("fraud-service", &[]);
        assert_eq!(output.status.code(), Some(exit), "{mode}: {}", told(&output));
        assert!(
            stderr(&output).contains("the last answer is too old"),
            "{}",
            stderr(&output)
        );
    }
}
