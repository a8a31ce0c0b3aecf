//! Rules: how they stand, and how they are laid out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Pair, Peer, difference, required};
use crate::harness::{PATIENCE, Reply, Server, http, quiet_catalog};

/// The rules of a file stand in both; what they are and how they stand is the same.
#[test]
fn rules_and_alerts_stand_as_in_prometheus() {
    const RULES: &str = r#"
groups:
  - name: b
    interval: 1s
    limit: 7
    rules:
      - record: two
        expr: 1  +  1
        labels: {team: x}
      - alert: Always
        expr: vector(0.25) > 0.1
        labels: {severity: high, at: "{{ $value }}"}
        annotations: {summary: "it is {{ $value }}"}
      - alert: Soon
        expr: vector(3)
        for: 1h
        keep_firing_for: 5m
      - alert: Never
        expr: sum by(a)(two) > 5
  - name: a
    interval: 1s
    rules:
      - record: fails
        expr: two * on () group_left () (two or vector(1))
"#;
    let theirs = tempfile::tempdir().expect("a directory");
    std::fs::write(theirs.path().join("test.yml"), RULES).expect("written");
    let config = "global: {evaluation_interval: 1s}\nrule_files: [test.yml]\n";
    let Some(theirs) = Peer::prometheus(theirs, config) else {
        return;
    };
    let catalog = quiet_catalog();
    std::fs::create_dir(catalog.path().join("rules")).expect("a folder");
    std::fs::write(catalog.path().join("rules/test.yml"), RULES).expect("written");
    let data = tempfile::tempdir().expect("a directory");
    let ours = Server::start_with(data, catalog.path().to_str().expect("text"));
    let mended = |server: &str, path: &str| {
        let since = Instant::now();
        loop {
            let reply = http(server, path, None, "");
            // Until what holds fires, and what fails has failed.
            let has = |text| reply.body.contains(text);
            if has("\"state\":\"firing\"")
                && has("\"state\":\"pending\"")
                && (path != "/api/v1/rules" || has("\"health\":\"err\""))
            {
                let mut json = reply.json();
                mend_rules(&mut json);
                return json;
            }
            assert!(since.elapsed() < PATIENCE, "{reply:?}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    for path in ["/api/v1/rules", "/api/v1/rules?type=alert", "/api/v1/alerts"] {
        assert_eq!(
            mended(&ours.address, path),
            mended(&theirs.address, path),
            "{path}"
        );
    }
    let recording = |server: &str| {
        let mut json = http(server, "/api/v1/rules?type=record", None, "").json();
        mend_rules(&mut json);
        json
    };
    assert_eq!(
        difference(&recording(&ours.address), &recording(&theirs.address)),
        None
    );
}

/// Leaves out when something happened and how long it took, and what newer versions of Prometheus say in addition.
fn mend_rules(json: &mut Value) {
    match json {
        Value::Array(items) => {
            // Since version 2.54 groups without any wanted rule are left out.
            items.retain(|item| item.get("rules") != Some(&json!([])));
            items.iter_mut().for_each(mend_rules);
        }
        Value::Object(fields) => {
            for name in ["activeAt", "evaluationTime", "lastEvaluation"] {
                if let Some(value) = fields.get_mut(name) {
                    *value = Value::Null;
                }
            }
            // The paths of files are each server's own.
            if let Some(file) = fields.get_mut("file") {
                *file = "test.yml".into();
            }
            // Why a rule fails is said in the words of the evaluation.
            if let Some(error) = fields.get_mut("lastError") {
                *error = Value::Null;
            }
            // Since version 2.54 recording rules have labels even where there are none.
            if fields.get("labels") == Some(&json!({})) && fields.get("type") == Some(&json!("recording")) {
                fields.remove("labels");
            }
            // Version 2.42 writes no blank between a keyword and its labels.
            if let Some(Value::String(query)) = fields.get_mut("query") {
                query.retain(|c| c != ' ');
            }
            fields.values_mut().for_each(mend_rules);
        }
        _ => {}
    }
}

/// Every rule that others published, laid out.
#[test]
fn expressions_are_laid_out_as_by_prometheus() {
    let Some(pair) = Pair::start() else { return };
    let Some(folder) = conformance("rules") else {
        return;
    };
    let mut queries = Vec::new();
    collect(&folder, &mut queries);
    assert!(queries.len() > 500, "{}", queries.len());
    let laid_out = |reply: &Reply| reply.json()["data"].as_str().map(str::to_owned);
    for query in &queries {
        let [ours, theirs] = pair.asked("/api/v1/format_query", &[("query", query)], true);
        let (Some(ours), Some(theirs)) = (laid_out(&ours), laid_out(&theirs)) else {
            // What is newer than version 2.42 does not parse there.
            assert_ne!(theirs.status, 200, "{query}: {ours:?}");
            continue;
        };
        // Version 2.42 writes large numbers with exponents: it is still the same expression.
        if theirs.contains("e+") {
            let [again, _] = pair.asked("/api/v1/format_query", &[("query", &theirs)], true);
            assert_eq!(laid_out(&again), Some(ours), "{query}");
            continue;
        }
        // It writes no blank between a keyword and its labels, and counts the line without it.
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(plain(&ours), plain(&theirs), "{query}");
    }
}

/// A folder of what others published; `None` if it is not there and need not be.
fn conformance(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MAINSTAY_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let folder = root.join(folder);
    if !folder.is_dir() {
        assert!(!required(), "{} is required", folder.display());
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

/// The expressions of all rule files below a folder.
fn collect(folder: &Path, queries: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, queries);
        } else if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(file) = mainstay_rules::RuleFile::parse("rules.yml", &text)
        {
            let rules = file.groups.into_iter().flat_map(|group| group.rules);
            queries.extend(rules.map(|rule| rule.query));
        }
    }
}
