//! What becomes of payments is told, whatever happens to who listens and to who tells.

use crate::{
    http::Sink,
    platform::{Client, Platform, count, eventually, payment},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The events of each payment, in the order in which they were told: type and data.
fn told(sink: &Sink) -> BTreeMap<String, Vec<(String, Value)>> {
    let mut told: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    for event in sink
        .accepted()
        .iter()
        .flat_map(|batch| batch.as_array().cloned().unwrap_or_default())
    {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (text("specversion"), text("source")),
            ("1.0".to_owned(), "/payments/cell-5".to_owned())
        );
        let kind = text("type")
            .trim_start_matches("com.mainstay.completion.")
            .to_owned();
        told.entry(text("subject"))
            .or_default()
            .push((kind, event["data"].clone()));
    }
    told
}

#[test]
fn every_payment_is_told_of_over_refusals_and_a_kill_of_who_tells() {
    let sink = Sink::refusing_first(2);
    let platform = Platform::start_with("cell-5", &["--completions", &sink.url]);
    let client = |platform: &Platform| Client {
        gateway: platform.gateway("cell-5"),
        tenant: "STD-001",
        epoch: "1",
    };
    let good = client(&platform).pay("good", &payment("STD-001"));
    let mut dear = payment("STD-001");
    dear["amount_minor"] = json!(900_000_000_000_i64);
    let dear = client(&platform).pay("dear", &dear);
    assert_eq!(client(&platform).ended(&good)["status"], "completed");
    assert_eq!(client(&platform).ended(&dear)["status"], "rejected");
    let last = client(&platform).pay("last", &payment("STD-001"));
    let data = platform.kill();
    // It goes on with what the first one could not tell any more.
    let platform = Platform::start_in(data, "cell-5", &["--completions", &sink.url]);
    assert_eq!(client(&platform).ended(&last)["status"], "completed");

    let id = |accepted: &crate::http::Answer| {
        let answer: Value = serde_json::from_str(&accepted.text).expect("JSON");
        answer["payment_id"].as_str().expect("an id").to_owned()
    };
    let ids = [id(&good), id(&dear), id(&last)];
    let told = eventually("the ends of all payments", || {
        let told = told(&sink);
        let has_ended = |id: &String| {
            told.get(id)
                .is_some_and(|events| events.iter().any(|(kind, _)| kind == "finished"))
        };
        ids.iter().all(has_ended).then_some(told)
    });
    let begun = json!({ "stream": "payments", "cell": "cell-5", "tenant": "STD-001" });
    let ends = [
        json!({ "stream": "payments", "state": "COMPLETED" }),
        json!({ "stream": "payments", "state": "REJECTED", "reason": "AM02" }),
        json!({ "stream": "payments", "state": "COMPLETED" }),
    ];
    for (id, end) in ids.iter().zip(ends) {
        assert_eq!(told[id][0], ("initiated".to_owned(), begun.clone()), "{id}");
        for (kind, data) in &told[id] {
            let expected = if kind == "initiated" { &begun } else { &end };
            assert_eq!(data, expected, "{id}");
        }
    }
    assert!(
        told[""]
            .iter()
            .all(|(kind, data)| kind == "heartbeat" && data["cell"] == "cell-5")
    );
    let payments = count(&platform.db("cell-5"), "SELECT count(*) FROM payments");
    assert_eq!((payments, told.len()), (3, 4), "each of them, and the heartbeats");
}
