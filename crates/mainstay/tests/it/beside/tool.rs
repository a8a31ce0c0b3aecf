//! Prometheus' own programs as clients: promtool asks, Prometheus writes.

use std::process::Command;
use std::time::Instant;

use super::{Pair, Peer, STEP_S, difference, free_port, in_any_order, required};
use crate::harness::{PATIENCE, Server, encoded, http, quiet_catalog};

/// Debian's promtool prints the same, whichever server it asks; with a token as password too.
#[test]
fn promtool_prints_the_same() {
    let Some(pair) = Pair::start() else { return };
    let at = |step: i64| (pair.base_s + step * STEP_S + 7).to_string();
    let (now, early, late) = (at(230), at(20), at(60));
    let range = ["--start", &early, "--end", &late];
    let told = |server: &str, arguments: &[&str]| {
        let (options, operands): (Vec<&str>, Vec<&str>) = match arguments.split_last() {
            Some((last, options)) if !last.starts_with("--match") => (options.to_vec(), vec![last]),
            _ => (arguments.to_vec(), Vec::new()),
        };
        let output = Command::new("promtool")
            .arg("query")
            .args(options)
            .arg(server)
            .args(operands)
            .output()
            .expect("promtool stands beside Prometheus");
        let mut lines: Vec<String> = String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .map(str::to_owned)
            .collect();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        lines.sort();
        lines
    };
    let series = |selector: &'static str| [&["series", selector][..], &range].concat();
    let labels = [&["labels"][..], &range, &["kind"]].concat();
    let steps = [
        &["range", "--step=60s"][..],
        &range,
        &["rate(http_requests_total[5m])"],
    ]
    .concat();
    let questions: [Vec<&str>; 7] = [
        vec!["instant", "--time", &now, "http_requests_total"],
        vec!["instant", "--time", &now, "odd"],
        vec!["instant", "--time", &now, "sum(rate(http_requests_total[5m]))"],
        vec!["instant", "--time", &now, "temperature[61s]"],
        steps,
        [&labels[..]].concat(),
        vec!["labels", "cell"],
    ];
    for question in &questions {
        let [ours, theirs] = [&pair.ours.address, &pair.theirs.address].map(|server| told(server, question));
        assert!(!ours.is_empty(), "{question:?}");
        assert_eq!(ours, theirs, "{question:?}");
    }
    for selector in ["--match=odd", "--match={job=\"api\"}"] {
        let mut question = series(selector);
        // The selector stands last, and no operand after it.
        question.rotate_left(0);
        let arguments = [&question[..1], &question[2..], &question[1..2]].concat();
        let [ours, theirs] =
            [&pair.ours.address, &pair.theirs.address].map(|server| told(server, &arguments));
        assert!(!ours.is_empty(), "{arguments:?}");
        assert_eq!(ours, theirs, "{arguments:?}");
    }
}

/// A real Prometheus scrapes itself and writes what it finds here: what is asked of it is answered from here the same.
#[test]
fn what_prometheus_writes_here_is_answered_from_here() {
    let catalog = quiet_catalog();
    let data = tempfile::tempdir().expect("a directory");
    let ours = Server::start_with(data, catalog.path().to_str().expect("text"));
    let directory = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: own, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n\
         remote_write: [{{url: '{}/api/v1/write', queue_config: {{batch_send_deadline: 100ms}}}}]\n",
        ours.address
    );
    let Some(theirs) = Peer::prometheus_at(directory, &config, port) else {
        return;
    };
    let count = |server: &str, at_s: i64| {
        let parameters = encoded(&[("query", "count({job=\"own\"})"), ("time", &at_s.to_string())]);
        let answer = http(server, &format!("/api/v1/query?{parameters}"), None, "").json();
        answer["data"]["result"][0]["value"][1].clone()
    };
    let since = Instant::now();
    // Until both have the scrapes of a whole second that is over.
    let at_s = loop {
        let at_s = jiff::Timestamp::now().as_second() - 2;
        let ours = count(&ours.address, at_s);
        if !ours.is_null() && ours == count(&theirs.address, at_s) {
            break at_s;
        }
        assert!(since.elapsed() < PATIENCE, "nothing was written");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    for query in [
        "{job=\"own\",__name__!~\"scrape_.*|go_.*|process_.*\"}",
        "prometheus_build_info",
        "up",
    ] {
        let parameters = encoded(&[("query", query), ("time", &at_s.to_string())]);
        let [ours, theirs] = [&ours.address, &theirs.address].map(|server| {
            let mut json = http(server, &format!("/api/v1/query?{parameters}"), None, "").json();
            in_any_order(&mut json);
            json
        });
        assert!(
            theirs["data"]["result"]
                .as_array()
                .is_some_and(|result| !result.is_empty())
        );
        assert_eq!(difference(&ours, &theirs), None, "{query}");
    }
    let refused = http(&ours.address, "/api/v1/write", Some("not snappy"), "");
    assert_eq!(refused.status, 415, "a form is no remote write: {}", refused.body);
}

/// Where everybody is asked who they are, a token stands in the address as a password.
#[test]
fn promtool_brings_its_token_as_a_password() {
    let catalog = quiet_catalog();
    let tokens = tempfile::NamedTempFile::new().expect("a file");
    let digest = mainstay_kernel::Digest::of(b"secret");
    let account = format!("tokens: [{{name: tool, role: viewer, tenants: all, sha256: \"{digest}\"}}]\n");
    std::fs::write(tokens.path(), account).expect("written");
    let server = Server::start_for(
        tempfile::tempdir().expect("a directory"),
        catalog.path().to_str().expect("text"),
        &["--tokens", tokens.path().to_str().expect("text")],
    );
    let authority = server.address.strip_prefix("http://").expect("an address");
    let asked = |address: String| {
        let output = Command::new("promtool")
            .args(["query", "instant", &address, "1+1"])
            .output();
        match output {
            Ok(output) => Some(output),
            Err(error) => {
                assert!(!required(), "promtool is required: {error}");
                println!("skipped: no promtool: {error}");
                None
            }
        }
    };
    let Some(known) = asked(format!("http://any:secret@{authority}")) else {
        return;
    };
    assert!(
        String::from_utf8_lossy(&known.stdout).starts_with("scalar: 2 @"),
        "{known:?}"
    );
    let unknown = asked(format!("http://any:guessed@{authority}")).expect("it is there");
    assert!(!unknown.status.success(), "{unknown:?}");
}
