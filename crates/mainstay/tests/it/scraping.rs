//! A scrape configuration at work: who is asked how, and what becomes of what is answered.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Server, encoded, http, quiet_catalog, until};

/// A target and a list of targets in one: every request's head is kept.
fn serve(exposed: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (heads, own) = (Arc::clone(&seen), address.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap_or(0) == 0 {
                    break;
                }
            }
            let (kind, body) = if head.starts_with("GET /list ") {
                (
                    "application/json",
                    format!(r#"[{{"targets": ["{own}"], "labels": {{"__meta_team": "core"}}}}]"#),
                )
            } else if exposed.ends_with("# EOF\n") {
                ("application/openmetrics-text; version=1.0.0", exposed.to_owned())
            } else {
                ("text/plain", exposed.to_owned())
            };
            heads.lock().expect("sound").push(head);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            // Whoever hangs up has heard enough.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, seen)
}

#[test]
fn a_configuration_is_followed_from_discovery_to_the_store() {
    let (address, seen) =
        serve("# TYPE jobs_total counter\njobs_total{secret=\"x\",kind=\"a\"} 7\nnoise 1\n");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("token"), "t0ken\n").expect("written");
    let config = format!(
        "global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: found
  metrics_path: /probe
  params: {{module: [m]}}
  authorization: {{credentials_file: token}}
  http_sd_configs: [{{url: 'http://{address}/list', refresh_interval: 1s}}]
  relabel_configs:
  - {{source_labels: [__meta_team], target_label: team}}
  - {{target_label: instance, replacement: here}}
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: noise, action: drop}}
  - {{regex: secret, action: labeldrop}}
"
    );
    let path = directory.path().join("prometheus.yml");
    std::fs::write(&path, config).expect("written");
    let catalog = quiet_catalog();
    let server = Server::start_for(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
        &["--scrape-config", &path.display().to_string()],
    );
    let asked = |query: &str| {
        let form = encoded(&[("query", query)]);
        http(&server.address, "/api/v1/query", Some(&form), "").body
    };
    until("the sample is stored", || asked("jobs_total").contains("\"7\""));
    let found = asked("jobs_total");
    let labels =
        r#""metric":{"__name__":"jobs_total","instance":"here","job":"found","kind":"a","team":"core"}"#;
    assert!(found.contains(labels), "{found}");
    assert!(asked("noise").contains(r#""result":[]"#), "{}", asked("noise"));
    let heads = seen.lock().expect("sound").clone();
    let scrape = heads
        .iter()
        .find(|head| head.starts_with("GET /probe?module=m "))
        .expect("it was scraped");
    assert!(
        scrape.to_lowercase().contains("authorization: bearer t0ken"),
        "{scrape}"
    );
    // The credentials are the targets', not the list's.
    let list = heads
        .iter()
        .find(|head| head.starts_with("GET /list "))
        .expect("it was asked for");
    assert!(!list.to_lowercase().contains("authorization"), "{list}");
}

#[test]
fn what_targets_say_of_their_metrics_and_their_exemplars_can_be_asked() {
    let (address, _) = serve(
        "# TYPE jobs counter\n# HELP jobs What was done.\njobs_total{kind=\"a\"} 7 # {trace_id=\"7f\"} 0.5\n# EOF\n",
    );
    let directory = tempfile::tempdir().expect("a directory");
    let config = format!(
        "scrape_configs:\n- job_name: said\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs: [{{targets: ['{address}']}}]\n"
    );
    let path = directory.path().join("prometheus.yml");
    std::fs::write(&path, config).expect("written");
    let catalog = quiet_catalog();
    let server = Server::start_for(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
        &["--scrape-config", &path.display().to_string()],
    );
    let asked = |path: &str| http(&server.address, path, None, "").json()["data"].take();
    until("its metadata is known", || {
        asked("/api/v1/metadata")["jobs"].is_array()
    });
    assert_eq!(
        asked("/api/v1/metadata?metric=jobs"),
        json!({"jobs": [{"type": "counter", "help": "What was done.", "unit": ""}]})
    );
    let of_target = asked("/api/v1/targets/metadata?match_target=%7Bjob%3D%22said%22%7D");
    assert_eq!(
        of_target[0]["target"],
        json!({"job": "said", "instance": address})
    );
    assert_eq!(of_target[0]["metric"], "jobs");
    // However often it is exposed, it is one.
    let window = "start=0&end=9999999999";
    let found = asked(&format!(
        "/api/v1/query_exemplars?query=rate(jobs_total%5B1m%5D)&{window}"
    ));
    assert_eq!(
        found[0]["seriesLabels"],
        json!({"__name__": "jobs_total", "instance": address, "job": "said", "kind": "a"})
    );
    let exemplars = found[0]["exemplars"].as_array().expect("a list");
    assert_eq!(exemplars.len(), 1, "{found}");
    assert_eq!(exemplars[0]["labels"], json!({"trace_id": "7f"}));
    assert_eq!(exemplars[0]["value"], "0.5");
    assert_eq!(
        asked(&format!("/api/v1/query_exemplars?query=other&{window}")),
        json!([])
    );
}

#[test]
fn what_a_limit_takes_of_a_scrape_is_said_with_its_target() {
    let (address, _) = serve("a 1\nb 1\nc 1\n");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("prometheus.yml");
    let config = format!(
        "global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: many, fallback_scrape_protocol: PrometheusText0.0.4, static_configs: [{{targets: ['{address}']}}]}}]"
    );
    std::fs::write(&path, config).expect("written");
    let catalog = quiet_catalog();
    let server = Server::start_for(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
        &[
            "--scrape-config",
            &path.display().to_string(),
            "--metrics-max-series",
            "1",
        ],
    );
    until("the refusal is in the log", || {
        let log = server.log();
        log.lines()
            .any(|line| line.contains("the store holds 1 series, its limit") && line.contains(&address))
    });
}
