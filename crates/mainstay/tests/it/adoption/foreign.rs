//! Files of Sloth and Pyrra, in the shapes that they come in.

use mainstay_catalog::Documents;
use mainstay_slo::SloCatalog;
use mainstay_slo::burn::window_text;

use super::{accepted, objectives, published, well};
use crate::{run, told};

const SLOTH_OBJECT: &str = r#"apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: shop, namespace: monitoring, labels: {release: stack}}
spec:
  service: Shop
  labels: {owner: shop-team}
  slos:
    - name: requests
      objective: 99.95
      sli:
        events:
          errorQuery: |
            sum(rate(http_requests_total{job="shop",code=~"5.."}[{{.window}}])) by (tenant)
            or vector(0)
          totalQuery: sum(rate(http_requests_total{job="shop"}[{{.window}}])) by (tenant)
      alerting:
        annotations: {runbook: "https://runbooks.example/shop"}
        pageAlert: {labels: {severity: critical}}
        ticketAlert: {disable: true}
    - name: latency
      objective: 80
      sli:
        events:
          errorQuery: (sum(rate(latency_count[{{.window}}])) - sum(rate(latency_bucket{le="0.5"}[{{.window}}])))
          totalQuery: sum(rate(latency_count[{{.window}}]))
      alerting: {pageAlert: {labels: {severity: critical, room: ops}}}
    - name: by-plugin
      objective: 99
      sli: {plugin: {id: "vendor/availability", options: {filter: "x"}}}
      alerting: {pageAlert: {disable: true}, ticketAlert: {disable: true}}
    - name: raw
      objective: 99
      sli: {raw: {errorRatioQuery: "1 - avg(up)"}}
      alerting: {pageAlert: {disable: true}, ticketAlert: {disable: true}}
"#;

const PYRRA: &str = r#"apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata:
  name: shop-errors
  namespace: monitoring
  labels: {prometheus: k8s, pyrra.dev/team: shop}
  annotations: {pyrra.dev/runbook: "https://runbooks.example/shop"}
spec:
  target: "99.5"
  window: 2w
  description: Orders that are taken.
  indicator:
    ratio:
      errors: {metric: 'grpc_server_handled_total{job="shop",grpc_code=~"Internal|Unavailable"}'}
      total: {metric: 'grpc_server_handled_total{job="shop"}'}
      grouping: [grpc_service, grpc_method]
  alerting: {severities: {fastBurn: critical, slowBurn: sev4}}
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: shop-latency, namespace: monitoring}
spec:
  target: "90"
  window: 4w
  indicator:
    latency:
      success: {metric: 'http_request_duration_seconds_bucket{app="web",le="0.05"}'}
      total: {metric: 'http_request_duration_seconds_count{app="web"}'}
  alerting: {name: TooSlow, absent: false}
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: shop-native}
spec:
  target: "99"
  window: 1w
  indicator: {latencyNative: {latency: 200ms, total: {metric: 'http_request_duration_seconds{app="web"}'}, grouping: [method]}}
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: shop-probe}
spec:
  target: "99"
  window: 1w
  indicator: {bool_gauge: {metric: probe_success, grouping: [target]}}
  alerting: {burnrates: false}
"#;

/// A line for each objective: what it promises, how it counts, when it alerts.
fn summary(catalog: &SloCatalog) -> Vec<String> {
    let line = |one: &mainstay_slo::Objective| {
        let indicator = catalog.indicators().iter().find(|sli| sli.name == one.sli);
        let indicator = indicator.expect("its indicator");
        let counts = match (indicator.events.counters(), indicator.events.recording()) {
            (Some(counters), _) => format!(
                "{:?} {} of {}",
                counters.marked, counters.marked_by[0], counters.total[0]
            ),
            (None, recording) => format!("sampled {recording:?}"),
        };
        let pairs: Vec<String> = one
            .burn
            .pairs
            .iter()
            .map(|pair| {
                let (long, short) = (window_text(pair.long_ms), window_text(pair.short_ms));
                format!("{} {}x {long} {short}", pair.severity, pair.factor)
            })
            .collect();
        format!(
            "{} of {} {} {} by {:?} {counts} labels {} runbook {:?} | {}",
            one.id,
            one.service.as_ref().map_or("nobody", |service| service.as_str()),
            one.target,
            one.window,
            one.group_by,
            one.labels,
            one.runbook,
            pairs.join(", ")
        )
    };
    catalog.objectives().iter().map(line).collect()
}

/// What a file says read directly, and what it says imported: the same.
fn read(tool: &str, text: &str) -> (Vec<String>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("shop.yaml");
    std::fs::write(&file, text).expect("written");
    let (catalog, findings) = objectives(&file);
    let direct = summary(&catalog);
    let name = file.to_str().expect("text");
    let imported = directory.path().join("imported");
    well(&["check", name]);
    well(&["import", tool, name, "-o", imported.to_str().expect("text")]);
    let (catalog, left) = objectives(&imported.join("shop.yaml"));
    assert!(!left.has_errors(), "{}", left.render_short());
    assert_eq!(summary(&catalog), direct, "imported");
    // What was imported goes back to a Prometheus.
    let rules = directory.path().join("rules.yml");
    let arguments = [
        "slo",
        "export",
        "--catalog",
        imported.to_str().expect("text"),
        "-o",
    ];
    well(&[&arguments[..], &[rules.to_str().expect("text")]].concat());
    accepted(&rules);
    // A second time would replace what is there.
    let again = run(&["import", tool, name, "-o", imported.to_str().expect("text")]);
    assert_eq!(again.status.code(), Some(1), "{}", told(&again));
    (direct, findings.render_short())
}

#[test]
fn a_sloth_object_is_read_to_the_label() {
    let (objectives, findings) = read("sloth", SLOTH_OBJECT);
    insta::assert_snapshot!(format!("{}\n---\n{findings}", objectives.join("\n")));
}

#[test]
fn pyrras_objectives_keep_their_factors_and_windows() {
    let (objectives, findings) = read("pyrra", PYRRA);
    insta::assert_snapshot!(format!("{}\n---\n{findings}", objectives.join("\n")));
}

#[test]
fn every_published_file_of_sloth_loads() {
    let Some(folder) = published("sloth") else {
        return;
    };
    let (documents, found) = Documents::load(&folder);
    assert!(!found.has_errors(), "{}", found.render_short());
    assert!(documents.files().len() >= 12);
    let (catalog, findings) = objectives(&folder);
    assert!(!findings.has_errors(), "{}", findings.render_short());
    assert!(catalog.objectives().len() >= 8, "{:?}", summary(&catalog));
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    for (tool, text, from, to, place) in [
        (
            "sloth",
            SLOTH_OBJECT,
            "objective: 99.95",
            "objective: 100",
            "9:18: error[bad-value]",
        ),
        (
            "sloth",
            SLOTH_OBJECT,
            "errorQuery: (sum",
            "error_kwery: (sum",
            "24:11: error[unknown-key]",
        ),
        (
            "pyrra",
            PYRRA,
            "window: 2w",
            "window: 2 weeks",
            "10:11: error[bad-value]",
        ),
        (
            "pyrra",
            PYRRA,
            "target: \"99.5\"",
            "target: many",
            "9:3: error[bad-value]",
        ),
        (
            "pyrra",
            PYRRA,
            "fastBurn",
            "veryFastBurn",
            "17:41: error[unknown-key]",
        ),
    ] {
        assert!(text.contains(from));
        let file = directory.path().join("broken.yaml");
        std::fs::write(&file, text.replacen(from, to, 1)).expect("written");
        let name = file.to_str().expect("text");
        let output = run(&["check", "-o", "short", name]);
        assert_eq!(output.status.code(), Some(3), "{to}: {}", told(&output));
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(said.contains(place), "{to}: {said}");
        let output = run(&["import", tool, name]);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(3), 0),
            "{to}: {}",
            told(&output)
        );
    }
}
