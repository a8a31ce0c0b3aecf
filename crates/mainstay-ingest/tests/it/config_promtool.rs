//! Prometheus' own reader as the judge of configurations.

use std::process::{Command, Stdio};

use mainstay_ingest::config::ScrapeConfig;

use crate::environment;

/// What `promtool check config` says, if it is there.
fn promtool(text: &str) -> Option<Result<(), String>> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("prometheus.yml");
    std::fs::write(&path, text).expect("written");
    // Files that are named must be there for it.
    for name in ["ca.pem", "password", "token"] {
        std::fs::write(dir.path().join(name), "x").expect("written");
    }
    let run = Command::new("promtool")
        .args(["check", "config", "--syntax-only"])
        .arg(&path)
        .stdout(Stdio::null())
        .output();
    match run {
        Ok(output) if output.status.success() => Some(Ok(())),
        Ok(output) => Some(Err(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) => {
            let required = environment("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
            assert!(!required, "promtool is required: {error}");
            println!("skipped: no promtool: {error}");
            None
        }
    }
}

const GOOD: &[&str] = &[
    "global: {scrape_interval: 15s, scrape_timeout: 10s, external_labels: {a: b}, query_log_file: x}",
    "scrape_configs: [{job_name: a, scrape_interval: 1h30m, params: {m: [x, y]}, scheme: https}]",
    "scrape_configs: [{job_name: a, basic_auth: {username: u, password: p}}]",
    "scrape_configs: [{job_name: a, basic_auth: {username: u, password_file: password}}]",
    "scrape_configs: [{job_name: a, authorization: {type: Bearer, credentials: t}}]",
    "scrape_configs: [{job_name: a, authorization: {credentials_file: token}}]",
    "scrape_configs: [{job_name: a, bearer_token: t}]",
    "scrape_configs: [{job_name: a, tls_config: {ca_file: ca.pem, server_name: x, insecure_skip_verify: true, min_version: TLS13}}]",
    "scrape_configs: [{job_name: a, proxy_url: 'http://p:1', follow_redirects: false, enable_http2: false}]",
    "scrape_configs: [{job_name: a, honor_labels: true, honor_timestamps: false, sample_limit: 10, label_limit: 5, label_name_length_limit: 9, label_value_length_limit: 9, target_limit: 3, body_size_limit: 10MB}]",
    "scrape_configs: [{job_name: a, body_size_limit: 0}]",
    "scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1', 'h'], labels: {x: y, __param_z: q}}]}]",
    "scrape_configs: [{job_name: a, file_sd_configs: [{files: ['x.json', 'd/*.yml', 'y*.yaml'], refresh_interval: 1m}]}]",
    "scrape_configs: [{job_name: a, http_sd_configs: [{url: 'http://h/x', refresh_interval: 1m, basic_auth: {username: u, password: p}}]}]",
    "scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x]}, {names: [y], type: A, port: 9100, refresh_interval: 1m}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{source_labels: [x], target_label: y}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{source_labels: [x], action: hashmod, modulus: 3, target_label: y}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: labelmap, regex: 'a(.+)'}, {action: labeldrop, regex: x}, {action: Keep, source_labels: [a], regex: x}]}]",
    "scrape_configs: [{job_name: a, metric_relabel_configs: [{action: keepequal, source_labels: [a], target_label: b}, {action: lowercase, source_labels: [a], target_label: b}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{source_labels: [x], target_label: 'a_${1}_b', regex: '(.)', replacement: '$1'}]}]",
    "scrape_configs: [{job_name: a}, {job_name: b}]",
    "scrape_configs: []",
    "scrape_configs:",
    "rule_files: [x.yml]",
    "remote_write: [{url: 'http://h/w'}, {url: 'http://u:p@h/w', name: other}]",
    "remote_write: [{url: 'https://h/w', remote_timeout: 10s, headers: {X-Scope-OrgID: a}, basic_auth: {username: u, password_file: password}}]",
    "remote_write: [{url: 'https://h/w', authorization: {credentials_file: token}, tls_config: {ca_file: ca.pem}, proxy_url: 'http://p:1', follow_redirects: false}]",
    "remote_write: [{url: 'http://h/w', write_relabel_configs: [{source_labels: [x], regex: y, action: drop}], send_exemplars: true, send_native_histograms: true}]",
    "remote_write: [{url: 'http://h/w', queue_config: {capacity: 10, max_shards: 2, min_shards: 1, max_samples_per_send: 5, batch_send_deadline: 1s, min_backoff: 1s, max_backoff: 2s, retry_on_http_429: true}}]",
    "remote_write: [{url: 'http://h/w', metadata_config: {send: false, send_interval: 2m, max_samples_per_send: 5}}]",
];

const BAD: &[&str] = &[
    "scrape_config: []",
    "global: {scrape_intervall: 1s}",
    "global: {scrape_interval: 1x}",
    "global: {scrape_interval: 1s, scrape_timeout: 2s}",
    "global: {external_labels: {'a b': c}}",
    "scrape_configs: [{scrape_interval: 1s}]",
    "scrape_configs: [{job_name: ''}]",
    "scrape_configs: [{job_name: a}, {job_name: a}]",
    "scrape_configs: [{job_name: a, scrape_timeout: 2m}]",
    "scrape_configs: [{job_name: a, unknown: 1}]",
    "remote_write: [{}]",
    "remote_write: [{url: 'http://h/w', name: a}, {url: 'http://h/x', name: a}]",
    "remote_write: [{url: 'http://h/w', unknown: 1}]",
    "remote_write: [{url: 'http://h/w', headers: {Authorization: x}}]",
    "remote_write: [{url: 'http://h/w', headers: {x-prometheus-remote-write-version: x}}]",
    "remote_write: [{url: 'http://h/w', basic_auth: {username: u}, authorization: {credentials: t}}]",
    "remote_write: [{url: 'http://h/w', write_relabel_configs: [{action: explode}]}]",
    "remote_write: [{url: 'http://h/w', queue_config: {max_samples_per_send: many}}]",
    "remote_write: [{url: 'http://h/w', remote_timeout: 1x}]",
    "scrape_configs: [{job_name: a, sample_limit: many}]",
    "scrape_configs: [{job_name: a, body_size_limit: 10XB}]",
    "scrape_configs: [{job_name: a, honor_labels: perhaps}]",
    "scrape_configs: [{job_name: a, params: {m: {x: y}}}]",
    "scrape_configs: [{job_name: a, basic_auth: {username: u, password: p, password_file: password}}]",
    "scrape_configs: [{job_name: a, basic_auth: {username: u}, bearer_token: t}]",
    "scrape_configs: [{job_name: a, basic_auth: {username: u}, authorization: {credentials: t}}]",
    "scrape_configs: [{job_name: a, basic_auth: {user: u}}]",
    "scrape_configs: [{job_name: a, authorization: {type: Basic, credentials: t}}]",
    "scrape_configs: [{job_name: a, authorization: {credentials: t, credentials_file: token}}]",
    "scrape_configs: [{job_name: a, bearer_token: t, bearer_token_file: token}]",
    "scrape_configs: [{job_name: a, tls_config: {ca: 1, unknown: x}}]",
    "scrape_configs: [{job_name: a, tls_config: {min_version: TLS9}}]",
    "scrape_configs: [{job_name: a, tls_config: {cert_file: ca.pem}}]",
    "scrape_configs: [{job_name: a, static_configs: [{targets: ['http://h']}]}]",
    "scrape_configs: [{job_name: a, static_configs: [{targets: [h], labels: {'1x': y}}]}]",
    "scrape_configs: [{job_name: a, static_configs: [{target: [h]}]}]",
    "scrape_configs: [{job_name: a, file_sd_configs: [{files: ['x.txt']}]}]",
    "scrape_configs: [{job_name: a, http_sd_configs: [{}]}]",
    "scrape_configs: [{job_name: a, http_sd_configs: [{url: 'ftp://h'}]}]",
    "scrape_configs: [{job_name: a, dns_sd_configs: [{names: []}]}]",
    "scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: A}]}]",
    "scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: TXT, port: 1}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{source_labels: [x]}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: explode}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: hashmod, target_label: y}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{target_label: y, regex: '('}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{target_label: 'y z'}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{target_label: '${'}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: labeldrop, source_labels: [x], regex: y}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: keepequal, source_labels: [x], target_label: y, regex: z}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: labelmap, replacement: 'a b'}]}]",
    "scrape_configs: [{job_name: a, relabel_configs: [{action: uppercase, source_labels: [x], target_label: y, replacement: z}]}]",
];

#[test]
fn what_prometheus_reads_we_read_and_what_it_refuses_we_refuse() {
    let mut differ = Vec::new();
    for (texts, good) in [(GOOD, true), (BAD, false)] {
        for text in texts {
            let Some(theirs) = promtool(text) else { return };
            let ours = ScrapeConfig::parse("p.yml", text);
            if theirs.is_ok() != good || ours.is_ok() != good {
                differ.push(format!(
                    "{text}\n  expected {good}\n  promtool: {theirs:?}\n  ours: {:?}",
                    ours.map(|_| ()).map_err(|error| error.to_string())
                ));
            } else if let Err(error) = ours {
                assert!(error.line == 1 && error.column > 0, "{text}: {error}");
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn what_cannot_be_done_here_is_refused_where_it_stands() {
    let cases = [
        ("oauth2: {client_id: x}", "oauth2 is not supported here"),
        (
            "proxy_from_environment: true",
            "proxy_from_environment is not supported here: name the proxy in proxy_url",
        ),
        (
            "tls_config: {server_name: x}",
            "server_name is supported together with a ca only",
        ),
        (
            "scrape_protocols: [PrometheusProto, Smoke]",
            "\"Smoke\" is no scrape protocol: expected PrometheusProto, PrometheusText0.0.4, PrometheusText1.0.0, \
             OpenMetricsText0.0.1, OpenMetricsText1.0.0",
        ),
        (
            "scrape_protocols: [PrometheusProto, PrometheusProto]",
            "PrometheusProto stands twice",
        ),
    ];
    for (keys, expected) in cases {
        let text = format!("scrape_configs:\n  - job_name: a\n    {keys}\n");
        let error = ScrapeConfig::parse("p.yml", &text).expect_err(keys);
        assert_eq!((error.line, error.reason.as_str()), (3, expected), "{keys}");
    }
}

/// Debian's Prometheus is built without Kubernetes, so these are judged by its documentation.
#[test]
fn kubernetes_discovery_is_read_as_documented() {
    let good = [
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod}]}]",
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: endpointslice, api_server: 'https://k:6443', bearer_token_file: token, namespaces: {names: [x, y]}, attach_metadata: {node: true}, selectors: [{role: pod, label: 'a=b', field: 'status.phase=Running'}, {role: service, label: 'c'}]}]}]",
    ];
    let bad = [
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{}]}]",
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: deployment}]}]",
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, bearer_token: x}]}]",
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: service, label: x}]}]}]",
        "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: x}, {role: pod, label: y}]}]}]",
    ];
    for (texts, is_good) in [(&good[..], true), (&bad[..], false)] {
        for text in texts {
            assert_eq!(ScrapeConfig::parse("p.yml", text).is_ok(), is_good, "{text}");
        }
    }
    let config = ScrapeConfig::parse("p.yml", good[0]).expect("reads");
    let inside = config.jobs[0].kubernetes_discovery[0]
        .clone()
        .in_cluster("fd00::1", "443");
    assert_eq!(inside.api_server.as_deref(), Some("https://[fd00::1]:443"));
    let read = |path: &std::path::Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("token") => Ok("t0ken\n".to_owned()),
        Some("ca.crt") => Ok("PEM".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let settings = inside.http.resolve(&read).expect("both are there");
    assert_eq!(settings.headers[0].1.0, "Bearer t0ken");
    assert_eq!(settings.ca.map(|ca| ca.0).as_deref(), Some("PEM"));
}
