//! The two wire formats.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::observation::{
    ALERT_MAX_BYTES, ObservationError, PostableAlert, Webhook, from_api, from_webhook,
};
use mainstay_alert::{AlertCommand, Observation};
use mainstay_catalog::response::Routing;
use proptest::prelude::*;

use crate::bench::{Bench, routing};

fn now() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().expect("a timestamp")
}

fn at(minutes: i64) -> Timestamp {
    now()
        .checked_add(SignedDuration::from_mins(minutes))
        .expect("in range")
}

fn api(json: &str) -> (Vec<Observation>, Vec<ObservationError>) {
    let alerts: Vec<PostableAlert> = serde_json::from_str(json).expect(json);
    from_api(alerts, now())
}

fn times(json: &str) -> (Timestamp, Option<Timestamp>) {
    let (good, bad) = api(&format!(r#"[{{"labels":{{"alertname":"A"}}{json}}}]"#));
    assert_eq!(bad, []);
    (good[0].starts_at, good[0].ended_at)
}

#[test]
fn times_as_alertmanager_reads_them() {
    assert_eq!(times(""), (now(), None), "nothing given: it fires now");
    assert_eq!(times(r#","startsAt":"2026-03-02T09:50:00Z""#), (at(-10), None));
    assert_eq!(
        times(r#","startsAt":"2026-03-02T09:50:00Z","endsAt":"2026-03-02T10:04:00Z""#),
        (at(-10), None),
        "an end that lies ahead is how long to believe it"
    );
    assert_eq!(
        times(r#","startsAt":"2026-03-02T09:50:00Z","endsAt":"2026-03-02T09:59:00Z""#),
        (at(-10), Some(at(-1)))
    );
    assert_eq!(
        times(r#","startsAt":"2026-03-02T09:50:00Z","endsAt":"2026-03-02T10:00:00Z""#),
        (at(-10), Some(now())),
        "what ends now has ended"
    );
    assert_eq!(
        times(r#","endsAt":"2026-03-02T09:59:00Z""#),
        (at(-1), Some(at(-1))),
        "without a start it starts where it ends"
    );
    assert_eq!(
        times(r#","endsAt":"2026-03-02T10:04:00Z""#),
        (now(), None),
        "but never in the future"
    );
    assert_eq!(
        times(r#","startsAt":"2026-03-02T12:50:00+03:00""#),
        (at(-10), None),
        "offsets count"
    );
}

/// `amtool alert add` sends Go's zero time for both.
#[test]
fn a_zero_time_of_go_is_no_time() {
    let zero = r#","startsAt":"0001-01-01T00:00:00.000Z","endsAt":"0001-01-01T00:00:00.000Z""#;
    assert_eq!(times(zero), (now(), None));
}

#[test]
fn good_alerts_are_taken_beside_bad_ones_and_the_bad_ones_are_numbered() {
    let (good, bad) = api(
        r#"[{"labels":{"alertname":"A","empty":""},"annotations":{"summary":"s"},"generatorURL":"http://x"},
            {"labels":{"job":"x"}},
            {"labels":{"alertname":""}},
            {"labels":{"alertname":"B"},"startsAt":"2026-03-02T09:50:00Z","endsAt":"2026-03-02T09:40:00Z"},
            {"labels":{"alertname":"C"}},
            {"labels":{"alertname":"D","a b":"1"}},
            {"labels":{"alertname":"E","":"1"}},
            {"labels":{"alertname":"F","a b":""}}]"#,
    );
    let names: Vec<String> = good.iter().map(|seen| seen.labels.to_string()).collect();
    assert_eq!(
        names,
        [
            r#"{alertname="A"}"#,
            r#"{alertname="C"}"#,
            r#"{a b="1", alertname="D"}"#,
            r#"{alertname="F"}"#
        ],
        "labels without a value are none"
    );
    assert_eq!(
        bad,
        [
            ObservationError::NoName(2),
            ObservationError::NoName(3),
            ObservationError::EndsBeforeStart(4),
            ObservationError::NoLabelName(7),
        ]
    );
    assert_eq!(
        bad[0].to_string(),
        "alert 2 has no label alertname; every alert needs one"
    );
}

#[test]
fn what_is_too_large_is_refused_at_the_byte() {
    let with = |bytes: usize| {
        let json = format!(
            r#"[{{"labels":{{"alertname":"A"}},"annotations":{{"x":"{}"}}}}]"#,
            "y".repeat(bytes - "alertnameAx".len())
        );
        api(&json)
    };
    assert_eq!(with(ALERT_MAX_BYTES).1, []);
    let (good, bad) = with(ALERT_MAX_BYTES + 1);
    assert!(good.is_empty());
    assert_eq!(
        bad,
        [ObservationError::TooLarge {
            index: 1,
            bytes: ALERT_MAX_BYTES + 1,
            limit: ALERT_MAX_BYTES
        }]
    );
}

fn webhook(version: &str, alerts: &str) -> Result<Vec<Observation>, ObservationError> {
    let json = format!(
        r#"{{"version":"{version}","groupKey":"{{}}:{{}}","truncatedAlerts":0,"status":"firing","receiver":"r",
            "groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"http://am:9093",
            "alerts":[{alerts}]}}"#
    );
    let body: Webhook = serde_json::from_str(&json).expect(&json);
    from_webhook(body, now())
}

/// A body as Alertmanager 0.28 sends it: alerts that fire end at Go's zero time.
#[test]
fn a_webhook_says_of_each_alert_whether_it_fires() {
    let seen = webhook(
        "4",
        r#"{"status":"firing","labels":{"alertname":"A"},"annotations":{"summary":"s"},
            "startsAt":"2026-03-02T09:50:00.123456789Z","endsAt":"0001-01-01T00:00:00Z",
            "generatorURL":"http://p","fingerprint":"c0ffee"},
           {"status":"resolved","labels":{"alertname":"B"},"startsAt":"2026-03-02T09:50:00Z",
            "endsAt":"2026-03-02T09:58:00Z"},
           {"status":"resolved","labels":{"alertname":"C"},"startsAt":"2026-03-02T09:50:00Z",
            "endsAt":"0001-01-01T00:00:00Z"},
           {"status":"resolved","labels":{"alertname":"D"},"startsAt":"2026-03-02T09:50:00Z"}"#,
    )
    .expect("a good body");
    let ends: Vec<Option<Timestamp>> = seen.iter().map(|seen| seen.ended_at).collect();
    assert_eq!(ends, [None, Some(at(-2)), Some(now()), Some(now())]);
    assert_eq!(seen[0].annotations.get("summary"), Some("s"));
}

#[test]
fn a_webhook_is_taken_whole_or_not_at_all() {
    let good = r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-03-02T09:50:00Z"}"#;
    let bad = r#"{"status":"firing","labels":{"job":"A"},"startsAt":"2026-03-02T09:50:00Z"}"#;
    assert_eq!(
        webhook("4", &format!("{good},{bad}")),
        Err(ObservationError::NoName(2))
    );
    assert_eq!(webhook("3", good), Err(ObservationError::Version("3".to_owned())));
    assert_eq!(webhook("4", "").as_deref(), Ok([].as_slice()));
}

/// A text that a stranger might send.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("alertname".to_owned()),
        Just("\u{0}\n\"\\{}@".to_owned()),
        "\\PC{0,12}",
        "[a-z]{1,3}",
    ]
}

/// Any instant that the format can say, the ends of time among them.
fn instant() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0001-01-01T00:00:00Z".to_owned()),
        Just("9999-12-30T22:00:00.999Z".to_owned()),
        Just("-009999-01-02T01:59:59Z".to_owned()),
        (-1_000_i64..1_000).prop_map(|minutes| at(minutes).to_string()),
    ]
}

fn wire_alert() -> impl Strategy<Value = serde_json::Value> {
    let map = || prop::collection::btree_map(hostile(), hostile(), 0..4);
    let time = || prop::option::of(instant());
    (map(), map(), time(), time(), any::<bool>()).prop_map(|(labels, annotations, starts, ends, resolved)| {
        serde_json::json!({
            "status": if resolved { "resolved" } else { "firing" },
            "labels": labels, "annotations": annotations,
            "startsAt": starts.unwrap_or_else(|| now().to_string()), "endsAt": ends,
        })
    })
}

static EACH_ALONE: LazyLock<Routing> =
    LazyLock::new(|| routing(&["team"], "{receiver: team, group_by: ['...']}"));

proptest! {
    /// Whatever is sent is either refused or handled: no panic, and every good alert has a name and a sane end.
    #[test]
    fn hostile_input_is_refused_or_handled(alerts in prop::collection::vec(wire_alert(), 0..6)) {
        let sent = alerts.len();
        let posted: Vec<PostableAlert> = serde_json::from_value(alerts.clone().into()).expect("well-formed");
        let (good, bad) = from_api(posted, now());
        prop_assert_eq!(good.len() + bad.len(), sent);
        for seen in &good {
            prop_assert!(seen.labels.get("alertname").is_some_and(|name| !name.is_empty()));
            prop_assert!(seen.ended_at.is_none_or(|end| end >= seen.starts_at && end <= now()));
        }
        let body: Webhook = serde_json::from_value(serde_json::json!({"version": "4", "alerts": alerts}))
            .expect("well-formed");
        let mut bench = Bench::new(EACH_ALONE.clone());
        bench.ask(AlertCommand::Observe(good)).expect("few");
        if let Ok(seen) = from_webhook(body, now()) {
            bench.ask(AlertCommand::Observe(seen)).expect("few");
        }
        bench.pass(SignedDuration::from_hours(5));
        prop_assert_eq!(bench.replayed(), bench.state);
    }
}
