//! Those who speak Prometheus' protocols, as Debian has them: a Prometheus that writes to us, one that reads from us, one
//! that scrapes the same as we do, an exporter that is scraped, receivers that are sent to.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use mainstay_kernel::Digest;
use serde_json::{Value, json};

use crate::beside::{Peer, free_port, required};
use crate::harness::{PATIENCE, Server, encoded, http, quiet_catalog, until};

/// The node exporter that is installed.
struct NodeExporter {
    child: Child,
    address: String,
}

impl NodeExporter {
    /// `None` if there is none and none is required.
    fn start() -> Option<Self> {
        let address = format!("127.0.0.1:{}", free_port());
        let spawned = Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address={address}"))
            // What does not change between two scrapes: names and labels are compared.
            .args(["--collector.disable-defaults"])
            .args(
                ["cpu", "loadavg", "meminfo", "stat", "time", "uname", "vmstat"]
                    .map(|name| format!("--collector.{name}")),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                assert!(!required(), "a node exporter is required: {error}");
                println!("skipped: no node exporter: {error}");
                return None;
            }
        };
        let started = Self { child, address };
        let since = Instant::now();
        while std::net::TcpStream::connect(&started.address).is_err() {
            assert!(since.elapsed() < PATIENCE, "the exporter does not listen");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(started)
    }
}

impl Drop for NodeExporter {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn asked(server: &str, query: &str, headers: &str) -> Value {
    let reply = http(
        server,
        "/api/v1/query",
        Some(&encoded(&[("query", query)])),
        headers,
    );
    reply.json()["data"]["result"].take()
}

/// The label sets of what a selector selects.
fn series(server: &str, selector: &str) -> BTreeSet<String> {
    let path = format!("/api/v1/series?{}", encoded(&[("match[]", selector)]));
    let found = http(server, &path, None, "").json();
    let found = found["data"].as_array().cloned().unwrap_or_default();
    found.iter().map(Value::to_string).collect()
}

/// A list in the data of an answer; nothing if there is none.
fn list<'a>(answer: &'a mut Value, name: &str) -> &'a mut [Value] {
    let list = answer["data"].get_mut(name).and_then(Value::as_array_mut);
    list.map(Vec::as_mut_slice).unwrap_or_default()
}

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn server(options: &[&str]) -> Server {
    let catalog = quiet_catalog();
    let data = tempfile::tempdir().expect("a directory");
    Server::start_for(data, &catalog.path().display().to_string(), options)
}

/// A server with an account that may write, `writer-token`, and one that may read.
fn guarded(directory: &tempfile::TempDir) -> Server {
    let account = |name: &str, role: &str| {
        let digest = Digest::of(format!("{name}-token").as_bytes());
        format!("  - {{name: {name}, role: {role}, tenants: all, sha256: \"{digest}\"}}\n")
    };
    let accounts = [account("writer", "responder"), account("reader", "viewer")].concat();
    let tokens = file(directory, "tokens.yaml", &format!("tokens:\n{accounts}"));
    server(&["--tokens", &tokens])
}

const READER: &str = "Authorization: Bearer reader-token\r\n";

#[test]
fn an_exporter_is_scraped_and_its_targets_are_shown_as_prometheus_does() {
    let Some(exporter) = NodeExporter::start() else {
        return;
    };
    let address = &exporter.address;
    let config = format!(
        "global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: node
  static_configs: [{{targets: ['{address}'], labels: {{site: east}}}}, {{targets: ['127.0.0.1:1'], labels: {{__meta_skip: 'yes'}}}}]
  relabel_configs: [{{source_labels: [__meta_skip], regex: 'yes', action: drop}}]
- job_name: renamed
  metrics_path: /nothing
  static_configs: [{{targets: ['{address}']}}]
  relabel_configs: [{{target_label: job, replacement: other}}]
- job_name: empty
"
    );
    let Some(theirs) = Peer::prometheus(tempfile::tempdir().expect("a directory"), &config) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let ours = server(&["--scrape-config", &file(&directory, "prometheus.yml", &config)]);
    let servers = [&ours.address, &theirs.address];
    until("both have scraped both", || {
        servers.iter().all(|server| {
            let up = asked(server, "sum by (job) (up) * 0 + sum by (job) (up)", "");
            up.as_array().map(Vec::len) == Some(2)
        })
    });
    until("the last scrapes are shown", || {
        servers.iter().all(|server| {
            let targets = http(server, "/api/v1/targets", None, "").json();
            let active = targets["data"]["activeTargets"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            active.len() == 2 && active.iter().all(|target| target["health"] != "unknown")
        })
    });
    let [found, expected] = servers.map(|server| series(server, "{job=\"node\"}"));
    assert_eq!(found, expected);
    assert!(found.len() > 100, "{}", found.len());

    for path in [
        "/api/v1/targets",
        "/api/v1/targets?state=active",
        "/api/v1/targets?state=dropped",
        "/api/v1/targets?scrapePool=renamed",
        "/api/v1/targets?state=ACTIVE&scrapePool=empty",
        "/api/v1/scrape_pools",
        "/api/v1/targets/metadata?metric=node_cpu_seconds_total",
        "/api/v1/targets/metadata?match_target=%7Bjob%3D%22other%22%7D",
        "/api/v1/metadata?metric=node_load1",
    ] {
        let [found, expected] = servers.map(|server| {
            let reply = http(server, path, None, "");
            assert_eq!(reply.status, 200, "{path}");
            let mut json = reply.json();
            if let Some(data) = json["data"].as_object_mut() {
                // Newer than Debian's.
                data.remove("droppedTargetCounts");
            }
            for target in list(&mut json, "activeTargets") {
                for moment in ["lastScrape", "lastScrapeDuration"] {
                    assert!(!target[moment].is_null(), "{path}");
                    target[moment] = Value::Null;
                }
                // Prometheus puts the machine's name in the place of a loopback address.
                target["globalUrl"] = Value::Null;
                if target["scrapePool"] == "renamed" {
                    // Debian's shows what relabelling made of it.
                    target["discoveredLabels"]["job"] = Value::Null;
                }
                if target["lastError"] != "" {
                    target["lastError"] = json!("it has one");
                }
            }
            for target in list(&mut json, "droppedTargets") {
                if let Some(target) = target.as_object_mut() {
                    // Newer than Debian's.
                    target.remove("scrapePool");
                }
            }
            for name in ["activeTargets", "scrapePools"] {
                list(&mut json, name).sort_by_key(Value::to_string);
            }
            json
        });
        assert_eq!(found, expected, "{path}: ours is left, Prometheus' right");
    }
    let counts = http(&ours.address, "/api/v1/targets", None, "").json();
    assert_eq!(
        counts["data"]["droppedTargetCounts"],
        json!({"empty": 0, "node": 1, "renamed": 0})
    );
    assert_eq!(counts["data"]["droppedTargets"][0]["scrapePool"], "node");
    let renamed = http(&ours.address, "/api/v1/targets?scrapePool=renamed", None, "").json();
    let renamed = &renamed["data"]["activeTargets"][0];
    assert_eq!(
        (&renamed["discoveredLabels"]["job"], &renamed["labels"]["job"]),
        (&json!("renamed"), &json!("other"))
    );
}

#[test]
fn a_prometheus_writes_what_it_scrapes_to_us_and_another_reads_it() {
    let Some(exporter) = NodeExporter::start() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let ours = guarded(&directory);
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{site: east}}}}
scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{}']}}]}}]
remote_write:
- url: {}/api/v1/write
  authorization: {{credentials: writer-token}}
  queue_config: {{batch_send_deadline: 200ms}}
  metadata_config: {{send_interval: 1s}}
",
        exporter.address, ours.address
    );
    let Some(writer) = Peer::prometheus(tempfile::tempdir().expect("a directory"), &config) else {
        return;
    };
    let of = "count({job=\"node\",site=\"east\",__name__=~\"node_.+\"})";
    until("what it scraped is here", || {
        asked(&ours.address, of, READER) != json!([])
    });
    let count = |server: &str, query, headers| asked(server, query, headers)[0]["value"][1].clone();
    assert_eq!(
        count(&ours.address, of, READER),
        count(&writer.address, "count({job=\"node\",__name__=~\"node_.+\"})", "")
    );
    until("so is what it knows of metrics", || {
        let said = http(
            &ours.address,
            "/api/v1/metadata?metric=node_cpu_seconds_total",
            None,
            READER,
        )
        .json();
        said["data"]["node_cpu_seconds_total"][0]["type"] == "counter"
    });

    let config = format!(
        "scrape_configs:
- job_name: mainstay
  scrape_interval: 1s
  honor_labels: true
  metrics_path: /federate
  params: {{\"match[]\": ['{{__name__=~\"node_.+\"}}']}}
  authorization: {{credentials: reader-token}}
  static_configs: [{{targets: ['{}']}}]
",
        ours.address.trim_start_matches("http://")
    );
    let Some(reader) = Peer::prometheus(tempfile::tempdir().expect("a directory"), &config) else {
        return;
    };
    until("it is read", || asked(&reader.address, of, "") != json!([]));
    assert_eq!(count(&reader.address, of, ""), count(&ours.address, of, READER));
}

#[test]
fn samples_go_where_a_configuration_says_with_what_is_known_of_them() {
    let Some(exporter) = NodeExporter::start() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let config = "global: {scrape_interval: 1h}\n";
    let Some(prometheus) = Peer::prometheus(tempfile::tempdir().expect("a directory"), config) else {
        return;
    };
    let (first, second) = (tempfile::tempdir(), tempfile::tempdir());
    let [first, second] = [first, second].map(|directory| guarded(&directory.expect("a directory")));
    file(&directory, "token", "writer-token\n");
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{site: east, job: not this}}}}
scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{}']}}]}}]
remote_write:
- url: {}/api/v1/write
  queue_config: {{batch_send_deadline: 200ms, max_samples_per_send: 50}}
  write_relabel_configs:
  - {{source_labels: [site, __name__], regex: 'east;(up|node_load1)', action: keep}}
  - {{target_label: way, replacement: prometheus}}
- url: {}/api/v1/write
  authorization: {{credentials_file: token}}
  queue_config: {{batch_send_deadline: 200ms}}
  metadata_config: {{send_interval: 1s}}
- url: {}/api/v1/write
  name: second
  authorization: {{credentials: writer-token}}
  protobuf_message: io.prometheus.write.v2.Request
  queue_config: {{batch_send_deadline: 200ms}}
  metadata_config: {{send_interval: 1s}}
",
        exporter.address, prometheus.address, first.address, second.address
    );
    let ours = server(&["--scrape-config", &file(&directory, "prometheus.yml", &config)]);
    until("Prometheus has it", || {
        asked(
            &prometheus.address,
            "node_load1{site=\"east\",way=\"prometheus\",job=\"node\"}",
            "",
        ) != json!([])
    });
    let names = series(&prometheus.address, "{way=\"prometheus\"}");
    assert_eq!(names.len(), 2, "{names:?}");
    let all = "count({job=\"node\",__name__=~\"node_.+\"})";
    for receiver in [&first, &second] {
        until("the receiver has all of it", || {
            let theirs = asked(
                &receiver.address,
                "count({job=\"node\",site=\"east\",__name__=~\"node_.+\"})",
                READER,
            );
            let ours = asked(&ours.address, all, "");
            theirs != json!([]) && theirs[0]["value"][1] == ours[0]["value"][1]
        });
        until("it knows what it is", || {
            let path = "/api/v1/metadata?metric=node_cpu_seconds_total";
            let said = http(&receiver.address, path, None, READER).json();
            said["data"]["node_cpu_seconds_total"][0]["help"] == "Seconds the CPUs spent in each mode."
        });
    }
}
