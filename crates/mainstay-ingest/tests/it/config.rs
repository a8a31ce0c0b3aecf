use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_ingest::ScrapeTarget;
use mainstay_ingest::config::{ScrapeConfig, ScrapeJob, TargetGroup, target_groups};

fn targets(job: &ScrapeJob, groups: &[TargetGroup]) -> Vec<ScrapeTarget> {
    let found = job.targets(groups, &Default::default());
    assert_eq!(found.refused, [""; 0]);
    found.active
}

const CONFIG: &str = r"
global:
  scrape_interval: 15s
  external_labels: {a: b}
rule_files: [x.yml]
scrape_configs:
  - job_name: payments
    scrape_interval: 5s
    sample_limit: 50
    metric_relabel_configs: []
    static_configs:
      - targets: ['127.0.0.1:9100', 'pay-2:80']
        labels: {cell: cell-1, __metrics_path__: /m}
    file_sd_configs:
      - files: ['sd/*.json', other.json]
        refresh_interval: 1m
  - job_name: node
    scrape_timeout: 2s
    metrics_path: /probe
    honor_labels: true
    static_configs: [{targets: [n]}]
";

#[test]
fn prometheus_configuration_becomes_targets_and_what_has_no_effect_is_named() {
    let config = ScrapeConfig::parse("p.yml", CONFIG).expect("reads");
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "p.yml:5:1: rule_files has no effect here",
            "p.yml:16:9: refresh_interval has no effect here",
        ]
    );
    let [payments, node] = &config.jobs[..] else {
        panic!("two jobs")
    };
    assert_eq!(config.external_labels.to_string(), r#"{a="b"}"#);
    let of_payments = targets(payments, &payments.static_groups);
    assert_eq!(of_payments[0].url, "http://127.0.0.1:9100/m");
    assert_eq!(
        of_payments[1].target_labels().to_string(),
        r#"{cell="cell-1", instance="pay-2:80", job="payments"}"#
    );
    assert_eq!(
        (of_payments[0].interval, of_payments[0].timeout),
        (Duration::from_secs(5), Duration::from_secs(5))
    );
    assert_eq!(of_payments[0].limits.samples, 50);
    let of_node = targets(node, &node.static_groups);
    assert_eq!(
        (&*of_node[0].url, of_node[0].honor_labels),
        ("http://n/probe", true)
    );
    assert_eq!(
        (node.interval, node.timeout),
        (Duration::from_secs(15), Duration::from_secs(2))
    );
    let named: Vec<&Path> = payments.target_files.iter().map(PathBuf::as_path).collect();
    assert_eq!(named, [Path::new("sd/*.json"), Path::new("other.json")]);
    let groups =
        target_groups("a.json", r#"[{"targets": ["a:1", "a:2"], "labels": {"x": "1"}}]"#).expect("read");
    let found = targets(payments, &groups);
    assert_eq!(
        found[1].target_labels().to_string(),
        r#"{instance="a:2", job="payments", x="1"}"#
    );
}

#[test]
fn refusals_say_where() {
    let job = "scrape_configs:\n  - job_name: a\n    ";
    let cases = [
        (
            "scrape_config: []\n".to_owned(),
            "p.yml:1:1: scrape_config is no key of the configuration",
        ),
        (
            format!("{job}intervall: 5s\n"),
            "p.yml:3:5: intervall is no key of a scrape configuration",
        ),
        (
            format!("{job}scrape_interval: 5\n"),
            "p.yml:3:22: \"5\" is no duration above zero, such as 15s or 1m30s",
        ),
        (
            format!("{job}scrape_timeout: 2m\n"),
            "p.yml:3:21: scrape_timeout is above scrape_interval",
        ),
        (
            format!("{job}scheme: ftp\n"),
            "p.yml:3:13: the scheme is http or https, not \"ftp\"",
        ),
        (
            format!("{job}static_configs: [{{targets: ['http://x/']}}]\n"),
            "p.yml:3:33: \"http://x/\" is no host:port",
        ),
        (
            "scrape_configs:\n  - metrics_path: /x\n".to_owned(),
            "p.yml:2:5: a scrape configuration needs a job_name",
        ),
        (
            format!("{job}honor_labels: true\n  - job_name: a\n"),
            "p.yml:4:15: a second job a",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            ScrapeConfig::parse("p.yml", &text).expect_err(&text).to_string(),
            expected,
            "{text}"
        );
    }
    let bad = ScrapeConfig::parse("p.yml", "scrape_configs: 3\n").expect_err("no list");
    assert_eq!((bad.line, bad.column), (1, 17), "{bad}");
    let bad =
        target_groups("t.json", r#"[{"targets": ["a"], "labels": {"1x": "y"}}]"#).expect_err("no label name");
    assert!(bad.to_string().contains("\"1x\" is no label name"), "{bad}");
    assert_eq!(
        ScrapeConfig::parse("p.yml", "").expect("nothing is a configuration too"),
        ScrapeConfig::default()
    );
}

#[test]
fn receivers_are_read_and_what_has_no_effect_is_named() {
    let text = "global: {external_labels: {site: east}}
remote_write:
- url: https://ada:secret@mimir.example/api/v1/push
  headers: {X-Scope-OrgID: shop}
  protobuf_message: io.prometheus.write.v2.Request
  send_exemplars: true
  queue_config:
    capacity: 10
    max_samples_per_send: 500
  write_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop}]
- {url: 'http://h/w', name: plain, metadata_config: {send: false}}
";
    let config = ScrapeConfig::parse("p.yml", text).expect("it reads");
    let [mimir, plain] = &config.remote_write[..] else {
        panic!("{:?}", config.remote_write);
    };
    assert_eq!(mimir.name, "https://mimir.example/api/v1/push");
    assert!(mimir.version_2 && !plain.version_2);
    assert_eq!(
        (mimir.queue.samples_per_send, plain.queue.samples_per_send),
        (500, 2_000)
    );
    assert_eq!((mimir.relabel.len(), plain.relabel.len()), (1, 0));
    assert_eq!(mimir.http.headers[0].0, "X-Scope-OrgID");
    assert_eq!(
        (mimir.metadata.is_some(), plain.metadata.is_some()),
        (true, false)
    );
    assert_eq!(plain.name, "plain");
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "p.yml:6:19: send_exemplars has no effect here",
            "p.yml:8:5: capacity has no effect here"
        ]
    );
    for (text, error) in [
        (
            "remote_write: [{url: 'http://h/w', sigv4: {region: x}}]",
            "p.yml:1:43: sigv4 is not supported here",
        ),
        (
            "remote_write:\n- {url: 'http://h/w', oauth2: {client_id: x}}",
            "p.yml:2:31: oauth2 is not supported here",
        ),
        (
            "remote_write: [{url: 'http://h/w'}, {url: 'http://u:p@h/w'}]",
            "p.yml:1:37: a second receiver http://h/w: give each a name",
        ),
        (
            "remote_write: [{url: 'http://h/w', protobuf_message: x}]",
            "p.yml:1:54: \"x\" is no message of remote write: expected prometheus.WriteRequest or io.prometheus.write.v2.Request",
        ),
    ] {
        let refused = ScrapeConfig::parse("p.yml", text).expect_err(text);
        assert_eq!(refused.to_string(), error);
    }
}
