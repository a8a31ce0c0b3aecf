//! What PagerDuty, Teams, ntfy, Slack and receivers of signed webhooks are sent, and that it stays within their limits.

use jiff::Timestamp;
use mainstay_delivery::channel::{Address, ChannelOptions, Channels, Outgoing, RealChannels, Sent};
use mainstay_kernel::effect::{Channel, Deliver, Outcome};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::notification::{GroupKey, NOTIFICATION_MAX_BYTES, Notification};
use mainstay_kernel::{Labels, Severity};
use ring::hmac;
use serde_json::{Value, json};

use crate::provider::{Asked, Provider, SECRET, answer};
use crate::support::{deliver, now, word};

async fn send(address: &Address, deliver: &Deliver, at: Timestamp) -> Sent {
    let channels = RealChannels::new(ChannelOptions::default()).expect("channels");
    let outgoing = Outgoing {
        key: "group/7/webhook",
        attempt: 1,
        possible_duplicate: false,
        at,
        address,
        deliver,
        base_url: "https://mainstay.example",
        bridge: None,
    };
    channels.send(outgoing).await
}

async fn takes(status: &'static str, body: &'static str) -> Provider {
    Provider::start(move |_, _| Some(answer(status, "", body))).await
}

fn only(provider: &Provider) -> (Asked, Value) {
    let asked = provider.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let document = serde_json::from_str(&asked[0].body).expect("JSON");
    (asked[0].clone(), document)
}

/// A message whose every character is escaped in JSON.
fn huge() -> Deliver {
    let mut deliver = deliver(Channel::Webhook);
    deliver.message.subject = "\"".repeat(10_000);
    deliver.message.body = "\"".repeat(1_000_000);
    deliver.message.path = format!("/alerts/{}", "x".repeat(2_000));
    deliver.message.incident = None;
    deliver
}

fn pagerduty(provider: &Provider) -> Address {
    Address::PagerDuty {
        url: provider.url(),
        routing_key: SECRET.to_owned().into(),
    }
}

#[tokio::test]
async fn pagerduty_is_told_the_end_under_the_key_of_the_beginning() {
    let taken = r#"{"status":"success","dedup_key":"mainstay/incident/2025-01-15-001"}"#;
    let mut keys = Vec::new();
    for resolved in [false, true] {
        let provider = takes("202 Accepted", taken).await;
        let mut deliver = deliver(Channel::Webhook);
        deliver.message.resolved = resolved;
        let sent = send(&pagerduty(&provider), &deliver, now()).await;
        assert_eq!(word(&sent), "done", "{sent:?}");
        let (asked, event) = only(&provider);
        assert_eq!(asked.line, "POST /v2/enqueue");
        assert_eq!(
            event["event_action"],
            if resolved { "resolve" } else { "trigger" }
        );
        assert_eq!(event["routing_key"], SECRET);
        assert_eq!(event["payload"]["severity"], "critical");
        assert_eq!(
            event["client_url"],
            "https://mainstay.example/incidents/2025-01-15-001"
        );
        keys.push(event["dedup_key"].as_str().expect("a key").to_owned());
    }
    assert_eq!(keys, ["mainstay/incident/2025-01-15-001"; 2]);
}

#[tokio::test]
async fn what_pagerduty_says_is_wrong_is_never_sent_again() {
    let provider = takes("400 Bad Request", r#"{"status":"invalid event"}"#).await;
    let sent = send(&pagerduty(&provider), &deliver(Channel::Webhook), now()).await;
    assert_eq!(word(&sent), "failed", "{sent:?}");
}

#[tokio::test]
async fn messages_of_any_size_stay_within_the_limits_of_who_takes_them() {
    let provider = takes("202 Accepted", "{}").await;
    assert_eq!(word(&send(&pagerduty(&provider), &huge(), now()).await), "done");
    let (asked, event) = only(&provider);
    let bytes = |value: &Value| value.as_str().expect("a text").len();
    assert!(asked.body.len() <= 512_000, "{}", asked.body.len());
    assert!(bytes(&event["dedup_key"]) <= 255 && bytes(&event["payload"]["summary"]) <= 1_024);

    let provider = takes("200 OK", "1").await;
    let teams = Address::Teams { url: provider.url() };
    assert_eq!(word(&send(&teams, &huge(), now()).await), "done");
    let (asked, card) = only(&provider);
    assert!(asked.body.len() <= 28_000, "{}", asked.body.len());
    let content = &card["attachments"][0]["content"];
    assert_eq!(
        (&content["type"], &content["version"]),
        (&"AdaptiveCard".into(), &"1.4".into())
    );

    let provider = takes("200 OK", r#"{"id":"x"}"#).await;
    let ntfy = Address::Ntfy {
        url: provider.url(),
        topic: "night".to_owned(),
        token: Some(SECRET.to_owned().into()),
    };
    let mut deliver = huge();
    deliver.message.severity = Severity::P1;
    assert_eq!(word(&send(&ntfy, &deliver, now()).await), "done");
    let (asked, push) = only(&provider);
    assert_eq!(
        asked.header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
    assert!(bytes(&push["message"]) <= 4_096);
    assert_eq!((&push["topic"], &push["priority"]), (&"night".into(), &4.into()));
}

#[tokio::test]
async fn a_bot_of_slacks_keeps_what_finds_the_post_again() {
    let provider = takes(
        "200 OK",
        r#"{"ok":true,"channel":"C024BE91L","ts":"1401383885.000061"}"#,
    )
    .await;
    let slack = Address::Slack {
        url: format!("{}/api", provider.url()),
        token: SECRET.to_owned().into(),
        channel: "#alerts".to_owned(),
        buttons: false,
    };
    let sent = send(&slack, &deliver(Channel::Chat), now()).await;
    let receipt = "C024BE91L 1401383885.000061".to_owned();
    assert_eq!(sent.outcome, Outcome::Done { receipt });
    let (asked, post) = only(&provider);
    assert_eq!(asked.line, "POST /api/chat.postMessage");
    assert_eq!(
        asked.header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
    assert_eq!(post["channel"], "#alerts");

    for (said, expected) in [
        (r#"{"ok":false,"error":"ratelimited"}"#, "retry 0"),
        (r#"{"ok":false,"error":"internal_error"}"#, "unknown 0"),
        (r#"{"ok":false,"error":"invalid_auth"}"#, "failed"),
        (r#"{"ok":"true"}"#, "unknown 0"),
        ("<html>", "unknown 0"),
    ] {
        let provider = Provider::start(move |_, _| Some(answer("200 OK", "", said))).await;
        let slack = Address::Slack {
            url: provider.url(),
            token: SECRET.to_owned().into(),
            channel: "#alerts".to_owned(),
            buttons: false,
        };
        let sent = send(&slack, &deliver(Channel::Chat), now()).await;
        assert_eq!(word(&sent), expected, "{said}");
    }
}

#[tokio::test]
async fn a_post_about_a_page_has_buttons_only_where_what_is_pressed_can_be_believed() {
    for buttons in [true, false] {
        let provider = takes("200 OK", r#"{"ok":true,"channel":"C1","ts":"1.2"}"#).await;
        let slack = Address::Slack {
            url: provider.url(),
            token: SECRET.to_owned().into(),
            channel: "@ana".to_owned(),
            buttons,
        };
        send(&slack, &deliver(Channel::Chat), now()).await;
        let (_, post) = only(&provider);
        let blocks = post["blocks"].as_array().expect("blocks");
        let actions: Vec<_> = blocks.iter().filter(|block| block["type"] == "actions").collect();
        assert_eq!(actions.len(), usize::from(buttons));
        if let Some(actions) = actions.first() {
            let pressed = |at: usize| {
                (
                    &actions["elements"][at]["action_id"],
                    &actions["elements"][at]["value"],
                )
            };
            assert_eq!(pressed(0), (&"mainstay_acknowledge".into(), &"page-7".into()));
            assert_eq!(pressed(1), (&"mainstay_resolve".into(), &"2025-01-15-001".into()));
            assert!(
                actions["elements"][1]["confirm"].is_object(),
                "ending is asked once more"
            );
        }
        let mut over = deliver(Channel::Chat);
        over.message.resolved = true;
        let provider = takes("200 OK", r#"{"ok":true,"channel":"C1","ts":"1.2"}"#).await;
        let Address::Slack { token, channel, .. } = slack else {
            unreachable!("it is Slack")
        };
        let slack = Address::Slack {
            url: provider.url(),
            token,
            channel,
            buttons,
        };
        send(&slack, &over, now()).await;
        let (_, post) = only(&provider);
        assert!(
            !post["blocks"].to_string().contains("mainstay_"),
            "what is over has none"
        );
    }
}

#[tokio::test]
async fn a_receiver_that_knows_the_secret_can_tell_that_a_webhook_is_ours() {
    let provider = takes("204 No Content", "").await;
    let hook = Address::SignedWebhook {
        url: provider.url(),
        secret: SECRET.to_owned().into(),
    };
    assert_eq!(
        word(&send(&hook, &deliver(Channel::Webhook), now()).await),
        "done"
    );
    let (asked, _) = only(&provider);
    let signature = asked.header("mainstay-signature").expect("a signature");
    let (time, code) = signature.split_once(",v1=").expect("two parts");
    let seconds = time.strip_prefix("t=").expect("a time");
    assert_eq!(seconds, now().as_second().to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let ours = hmac::sign(&key, format!("{seconds}.{}", asked.body).as_bytes());
    let hex: String = ours.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(code, hex);
    assert!(!asked.head.contains(SECRET) && !asked.body.contains(SECRET));
}

#[tokio::test]
async fn a_receiver_of_alertmanagers_webhook_is_told_as_by_an_alertmanager() {
    let provider = takes("200 OK", "").await;
    let hook = Address::AlertmanagerWebhook { url: provider.url() };
    let fact = |name: &str, ended_at: Option<Timestamp>| {
        let labels = Labels::from_iter([("alertname", name), ("cell", "c1")]);
        AlertFact {
            fingerprint: labels.fingerprint(),
            labels,
            annotations: Labels::from_iter([
                ("summary", "slow"),
                ("generator_url", "http://prometheus/graph"),
            ]),
            starts_at: "2025-01-15T14:00:00Z".parse().expect("a time"),
            ended_at,
        }
    };
    let key = GroupKey {
        text: "{}:{cell=\"c1\"}".to_owned(),
        labels: Labels::from_iter([("cell", "c1")]),
    };
    let ended = Some("2025-01-15T14:05:00.25Z".parse().expect("a time"));
    let (firing, resolved) = ([fact("A", None)], [fact("B", ended)]);
    let mut deliver = deliver(Channel::Webhook);
    let told = Notification::new("team", key, &firing, &resolved, NOTIFICATION_MAX_BYTES);
    deliver.message.notification = Some(Box::new(told));
    assert_eq!(word(&send(&hook, &deliver, now()).await), "done");
    let (asked, document) = only(&provider);
    assert!(asked.header("idempotency-key").is_some());
    let alert = |name: &str, status: &str, ends_at: &str, fingerprint: &str| {
        json!({
            "status": status,
            "labels": {"alertname": name, "cell": "c1"},
            "annotations": {"summary": "slow"},
            "startsAt": "2025-01-15T14:00:00Z",
            "endsAt": ends_at,
            "generatorURL": "http://prometheus/graph",
            "fingerprint": fingerprint,
        })
    };
    let expected = json!({
        "receiver": "team",
        "status": "firing",
        "alerts": [
            alert("A", "firing", "0001-01-01T00:00:00Z", FNV[0]),
            alert("B", "resolved", "2025-01-15T14:05:00.25Z", FNV[1]),
        ],
        "groupLabels": {"cell": "c1"},
        "commonLabels": {"cell": "c1"},
        "commonAnnotations": {"summary": "slow"},
        "externalURL": "https://mainstay.example",
        "version": "4",
        "groupKey": "{}:{cell=\"c1\"}",
        "truncatedAlerts": 0,
    });
    assert_eq!(document, expected);
}

/// What Debian's Alertmanager calls alerts with the labels of A and B above.
const FNV: [&str; 2] = ["fdf2968a1a2c2331", "fd8034bf11dcf256"];

#[tokio::test]
async fn what_is_no_group_of_alerts_comes_as_one_alert() {
    let provider = takes("200 OK", "").await;
    let hook = Address::AlertmanagerWebhook { url: provider.url() };
    let deliver = deliver(Channel::Webhook);
    assert_eq!(word(&send(&hook, &deliver, now()).await), "done");
    let (_, document) = only(&provider);
    assert_eq!(document["status"], "firing");
    assert_eq!(document["alerts"][0]["labels"]["alertname"], "MainstayMessage");
    let summary = document["alerts"][0]["annotations"]["summary"]
        .as_str()
        .expect("text");
    assert!(summary.starts_with("[P0] Pool exhausted"), "{summary}");
}
