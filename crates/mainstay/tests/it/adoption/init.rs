//! `mainstay init` beside a real Prometheus with 30 days of history and a real Alertmanager: what it drafts is right, what
//! it counts is the truth.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use crate::beside::{Peer, free_port};
use crate::harness::{Server, http, until};
use crate::{mainstay, run, told};

const STEP_S: i64 = 240;
/// An hour less than 30 days: all of it is in the window of an objective.
const STEPS: i64 = (30 * 24 - 1) * 3_600 / STEP_S;

/// A counter of the shop: its labels, how many events a step has, every how many steps, from which step on it is there.
struct Stream {
    series: &'static str,
    labels: &'static str,
    per_step: i64,
    every: i64,
    born: i64,
}

const STREAMS: [Stream; 6] = [
    Stream {
        series: "http_requests_total",
        labels: r#"code="200""#,
        per_step: 97,
        every: 1,
        born: 0,
    },
    Stream {
        series: "http_requests_total",
        labels: r#"code="503""#,
        per_step: 3,
        every: 500,
        born: 0,
    },
    Stream {
        series: "http_requests_total",
        labels: r#"code="404""#,
        per_step: 2,
        every: 3,
        born: 0,
    },
    Stream {
        series: "http_request_duration_seconds_bucket",
        labels: r#"le="0.1""#,
        per_step: 96,
        every: 1,
        born: 0,
    },
    Stream {
        series: "http_request_duration_seconds_bucket",
        labels: r#"le="0.5""#,
        per_step: 100,
        every: 1,
        born: 0,
    },
    Stream {
        series: "http_request_duration_seconds_bucket",
        labels: r#"le="+Inf""#,
        per_step: 101,
        every: 1,
        born: 0,
    },
];
/// The counter of the histogram follows its last bucket.
const COUNT: Stream = Stream {
    series: "http_request_duration_seconds_count",
    labels: "",
    per_step: 101,
    every: 1,
    born: 0,
};
/// The process restarts here, and every counter begins again.
const RESTART: i64 = STEPS / 3;

impl Stream {
    /// How many events there were up to a step.
    fn events(&self, step: i64) -> i64 {
        (step - self.born).max(0) / self.every * self.per_step
    }

    /// What the counter says at a step.
    fn value(&self, step: i64) -> i64 {
        if step < RESTART {
            self.events(step)
        } else {
            self.events(step) - self.events(RESTART - 1)
        }
    }

    /// How many events the samples show: those between the restart and the sample before it are in both.
    fn truth(&self) -> i64 {
        self.events(STEPS) - self.events(0)
    }

    fn named(&self, target: &str) -> String {
        let labels = if self.labels.is_empty() {
            String::new()
        } else {
            format!(",{}", self.labels)
        };
        format!(
            "{}{{job=\"shop\",instance=\"{target}\",team=\"storefront\"{labels}}}",
            self.series
        )
    }
}

fn streams() -> impl Iterator<Item = &'static Stream> {
    const LAST: &Stream = &COUNT;
    STREAMS.iter().chain([LAST])
}

/// The history as OpenMetrics with times, up to `end_s`.
fn history(target: &str, end_s: i64) -> String {
    let mut text = String::new();
    let mut streams: Vec<&Stream> = streams().collect();
    streams.sort_by_key(|stream| stream.series);
    for stream in streams {
        let name = stream.named(target);
        for step in 0..=STEPS {
            let at_s = end_s - (STEPS - step) * STEP_S;
            writeln!(text, "{name} {} {at_s}", stream.value(step)).expect("a String");
        }
    }
    text + "# EOF\n"
}

/// An exporter whose counters stand where the history ended. It serves until the test's process ends.
fn exporter() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = listener.local_addr().expect("an address").to_string();
    let mut body = String::new();
    for stream in streams() {
        let labels = if stream.labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", stream.labels)
        };
        writeln!(body, "{}{labels} {}", stream.series, stream.value(STEPS)).expect("a String");
    }
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4_096];
            // A scrape that ends early is no concern of this one.
            let _ = stream.read(&mut request);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    target
}

const ROUTES: &str = "\
route:
  receiver: mail
  group_by: [alertname, job]
  routes:
    - {matchers: ['team=\"search\"', 'severity=\"critical\"'], receiver: pager}
    - {matchers: ['team=\"storefront\"'], receiver: hook, repeat_interval: 2h, continue: true}
receivers:
  - {name: mail, email_configs: [{to: ops@shop.example, from: am@shop.example, smarthost: 'localhost:25'}]}
  - {name: pager, pagerduty_configs: [{service_key: secret}]}
  - {name: hook, webhook_configs: [{url: 'http://127.0.0.1:9/secret'}]}
inhibit_rules: [{source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=\"warning\"'], equal: [job]}]
";

fn alertmanager() -> Option<Peer> {
    Peer::alertmanager(tempfile::tempdir().expect("a directory"), ROUTES)
}

/// A Prometheus that has the shop's history and scrapes it.
fn prometheus() -> Option<Peer> {
    let target = exporter();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("history.om");
    let end_s = (jiff::Timestamp::now().as_second() / 60 - 2) * 60;
    std::fs::write(&file, history(&target, end_s)).expect("written");
    let made = Command::new("promtool")
        .args([
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            "--max-block-duration=720h",
        ])
        .arg(&file)
        .arg(directory.path().join("data"))
        .output();
    if let Ok(made) = made {
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: shop\n    \
         static_configs: [{{targets: ['{target}'], labels: {{team: storefront}}}}]\n"
    );
    let started = Peer::prometheus_keeping(directory, &config, "40d")?;
    until("the shop is scraped", || {
        let reply = http(&started.address, "/api/v1/query?query=up%3D%3D1", None, "");
        reply.json()["data"]["result"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    Some(started)
}

/// The cells of the line of an objective; two blanks or more stand between them.
fn line<'a>(table: &'a str, slo: &str) -> Vec<&'a str> {
    let line = table.lines().find(|line| line.starts_with(&format!("{slo} ")));
    let line = line.unwrap_or_else(|| panic!("{slo} is in {table}"));
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn a_catalog_is_drafted_and_its_first_budget_is_the_truth() {
    let (Some(prometheus), Some(alertmanager)) = (prometheus(), alertmanager()) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let drafted = directory.path().join("reliability");
    let name = drafted.to_str().expect("text");
    let arguments = [
        "init",
        "--prometheus",
        &prometheus.address,
        "--alertmanager",
        &alertmanager.address,
        "--dir",
        name,
    ];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let table = String::from_utf8(output.stdout.clone()).expect("text");
    let spaced = |count: i64| mainstay_ui::number::count(count.unsigned_abs());

    let requests: i64 = STREAMS[..3].iter().map(Stream::truth).sum();
    let availability = line(&table, "shop-availability");
    // 3 of 500 steps of 98 or so: 0.006 %, half of the budget of 99.99 % is 0.005 %.
    assert_eq!(
        availability[1..4],
        ["99.95%", &spaced(STREAMS[1].truth()), &spaced(requests)],
        "{table}"
    );
    let latency = line(&table, "shop-latency");
    let slow = COUNT.truth() - STREAMS[4].truth();
    assert_eq!(
        latency[1..4],
        ["98.00%", &spaced(slow), &spaced(COUNT.truth())],
        "{table}"
    );

    let file = |name: &str| std::fs::read_to_string(drafted.join(name)).expect("it was written");
    let slos = file("slo/shop.yaml");
    assert!(
        slos.contains(r#"http_request_duration_seconds_bucket{job="shop",le="0.5"}"#),
        "{slos}"
    );
    assert!(
        slos.contains("99.95% is the tightest usual target that was kept"),
        "{slos}"
    );
    assert!(file("platform.yaml").contains("- {id: shop, title: shop, team: storefront, tier: standard}"));
    let routing = file("routing.yaml");
    for part in [
        "repeat_interval: 2h",
        "page: mainstay-on-call",
        "MAINSTAY_WEBHOOK_HOOK",
        "ops@shop.example",
        "# Not as in the Alertmanager: 1 inhibit_rules",
    ] {
        assert!(routing.contains(part), "{part}: {routing}");
    }
    let checked = run(&["check", name]);
    assert_eq!(checked.status.code(), Some(0), "{}", told(&checked));
    let again = run(&arguments);
    assert_eq!(
        again.status.code(),
        Some(1),
        "nothing is replaced: {}",
        told(&again)
    );

    // The control plane runs on it, over that very Prometheus.
    let data = tempfile::tempdir().expect("a directory");
    let mut command = mainstay(&crate::harness::SERVE);
    command
        .args(["--catalog", name, "--engine-url", &prometheus.address, "--data"])
        .arg(data.path())
        .env("MAINSTAY_WEBHOOK_HOOK", "http://127.0.0.1:9/hook");
    let server = Server::running(command, data);
    let slos = server.json(&["slo", "status"]);
    assert_eq!(slos.as_array().map(Vec::len), Some(2), "{slos}");
}

#[test]
fn a_prometheus_that_is_away_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let drafted = directory.path().join("reliability");
    let name = drafted.to_str().expect("text");
    let address = format!("http://127.0.0.1:{}", free_port());
    let output = run(&["init", "--prometheus", &address, "--dir", name]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(!drafted.exists());
}
