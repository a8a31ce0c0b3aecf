//! Series, labels, states.

use serde_json::Value;

use super::{Pair, exactly};
use crate::harness::Reply;

#[test]
fn series_labels_and_states_are_those_of_prometheus() {
    let Some(pair) = Pair::start() else { return };
    let (start, end) = (pair.base_s.to_string(), (pair.base_s + 3_000).to_string());
    let range = [("start", start.as_str()), ("end", end.as_str())];
    for selectors in [
        &["http_requests_total"][..],
        &["{job=\"api\"}"],
        &["odd{kind=~\"e.*\"}", "temperature", "odd{kind=\"e21\"}"],
        &["nothing_like_this"],
        &["{__name__=~\".*_total\",cell!=\"cell-1\"}"],
    ] {
        let selectors: Vec<(&str, &str)> = selectors.iter().map(|selector| ("match[]", *selector)).collect();
        for times in [&range[..], &[], &[("start", "1000"), ("end", "2000")]] {
            let parameters = [&selectors[..], times].concat();
            pair.same("/api/v1/series", &parameters, true, |json| {
                // Of one selector, series come in the order of Prometheus' index.
                if let Some(series) = json["data"].as_array_mut() {
                    series.sort_by_key(Value::to_string);
                }
            });
            pair.same("/api/v1/labels", &parameters, false, exactly);
            for label in ["__name__", "kind", "room", "nothing"] {
                pair.same(
                    &format!("/api/v1/label/{label}/values"),
                    &parameters,
                    false,
                    exactly,
                );
            }
        }
    }
    pair.same("/api/v1/labels", &range, false, exactly);
    pair.same("/api/v1/label/__name__/values", &range, false, exactly);
    pair.same("/api/v1/label/cell/values", &[], false, exactly);

    pair.same("/api/v1/query_exemplars", &[("query", "odd")], true, exactly);
    pair.same("/api/v1/metadata", &[], false, exactly);
    pair.same("/api/v1/targets/metadata", &[], false, exactly);
    pair.same("/api/v1/alerts", &[], false, exactly);
    pair.same("/api/v1/rules", &[], false, exactly);
    pair.same("/api/v1/alertmanagers", &[], false, exactly);
    pair.same("/api/v1/targets", &[], false, |json| {
        // Since version 2.48 there are counts too.
        if let Some(data) = json["data"].as_object_mut() {
            data.remove("droppedTargetCounts");
        }
    });
    for path in ["buildinfo", "config", "flags", "runtimeinfo", "tsdb", "walreplay"] {
        let [ours, theirs] = pair.asked(&format!("/api/v1/status/{path}"), &[], false);
        assert_eq!((ours.status, theirs.status), (200, 200), "{path}");
        // What a program is, is its own; but a client that reads it finds the same kind of thing.
        let kind = |reply: &Reply| reply.json()["data"].is_object();
        assert_eq!(kind(&ours), kind(&theirs), "{path}");
    }
    for path in ["/-/healthy", "/-/ready"] {
        assert!(
            pair.asked(path, &[], false)
                .iter()
                .all(|reply| reply.status == 200)
        );
    }
}
