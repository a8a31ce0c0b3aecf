//! A real Prometheus that tells its alerts to a real Alertmanager and to Mainstay: both receivers hear the same.

use jiff::Timestamp;
use serde_json::Value;

use super::record::{Recorder, Told};
use super::scenarios::{SCENARIOS, Scenario};
use super::{ours, theirs};
use crate::beside::Peer;
use crate::harness::until;

/// From when until when the rule's condition holds, in seconds: a Prometheus finds its Alertmanagers after 5 s, and what it
/// could tell nobody it tells again after a minute.
const HOLDS_S: [i64; 2] = [8, 13];

#[test]
fn a_prometheus_that_tells_both_is_heard_alike() {
    let scenario: &Scenario = SCENARIOS
        .iter()
        .find(|scenario| scenario.name == "prometheus")
        .expect("it is there");
    let recorders = [Recorder::start(), Recorder::start()];
    let Some(theirs) = theirs(&recorders[0]) else {
        return;
    };
    let (ours, _catalog) = ours(&recorders[1]);
    let directory = tempfile::tempdir().expect("a directory");
    let [begin_s, end_s] = HOLDS_S.map(|seconds| Timestamp::now().as_second() + seconds);
    let rules = format!(
        "groups:
- name: g
  interval: 1s
  rules:
  - alert: Late
    expr: label_replace(vector(41.5), 'queue', 'pay-outs', '', '') and on () (vector(time()) >= {begin_s} < {end_s})
    labels: {{scenario: prometheus, cell: c1, severity: '{{{{ if gt $value 40.0 }}}}low{{{{ end }}}}'}}
    annotations: {{summary: '{{{{ $labels.queue }}}} stands at {{{{ $value }}}}', empty: ''}}
"
    );
    std::fs::write(directory.path().join("rules.yml"), rules).expect("written");
    let target = |server: &str| server.trim_start_matches("http://").to_owned();
    let config = format!(
        "global: {{evaluation_interval: 1s, external_labels: {{region: eu-central-1, replica: a}}}}
rule_files: [rules.yml]
alerting:
  alert_relabel_configs: [{{action: labeldrop, regex: replica}}]
  alertmanagers: [{{api_version: v2, static_configs: [{{targets: ['{}', '{}']}}]}}]
",
        target(&theirs.address),
        target(&ours.address)
    );
    let began = std::time::Instant::now();
    recorders.iter().for_each(|recorder| recorder.begin(began));
    let Some(_prometheus) = Peer::prometheus(directory, &config) else {
        return;
    };
    let told = || recorders.each_ref().map(|recorder| recorder.told(scenario));
    until("both were told of the beginning and of the end", || {
        told().iter().all(|told| told.len() >= 2)
    });
    let [mut theirs, ours] = told();
    // An annotation without text is none here.
    for payload in theirs.iter_mut().filter_map(|told| told.payload.as_mut()) {
        for place in ["/alerts/0/annotations", "/commonAnnotations"] {
            let annotations = payload.pointer_mut(place).and_then(Value::as_object_mut);
            let empty = annotations.and_then(|annotations| annotations.remove("empty"));
            assert_eq!(empty, Some("".into()));
        }
    }
    let said = |told: &[Told]| {
        let said = told
            .iter()
            .map(|told| (told.alerts.clone(), told.payload.clone()));
        said.collect::<Vec<_>>()
    };
    assert_eq!(said(&ours), said(&theirs));
    let words: Vec<&str> = ours.iter().map(|told| told.alerts.as_str()).collect();
    assert_eq!(words, ["Late/c1", "-Late/c1"]);
    let alert = &ours[0].payload.as_ref().expect("a payload")["alerts"][0];
    assert_eq!(
        alert["labels"],
        serde_json::json!({
            "alertname": "Late", "cell": "c1", "queue": "pay-outs", "region": "eu-central-1", "scenario": "prometheus",
            "severity": "low",
        })
    );
    assert_eq!(
        alert["annotations"],
        serde_json::json!({"summary": "pay-outs stands at 41.5"})
    );
    let link = alert["generatorURL"].as_str().expect("text");
    assert!(link.contains("/graph?g0.expr="), "{link}");
}
