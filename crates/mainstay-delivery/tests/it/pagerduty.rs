//! What PagerDuty is told besides what begins and ends: that somebody took it on, and what was changed.

use mainstay_delivery::channel::{Address, ChannelOptions, RealChannels, Sent};
use mainstay_kernel::effect::{Channel, Deliver, Outcome};
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::notification::{GroupKey, NOTIFICATION_MAX_BYTES, Notification};
use mainstay_kernel::{CellId, Scope, ServiceId};
use ring::digest;
use serde_json::{Value, json};

use crate::provider::{Asked, Provider, SECRET, answer};
use crate::support::{Running, deliver, request, send_this, word};

/// That somebody took a group on.
pub(crate) fn acknowledged(group: &str) -> Deliver {
    let key = GroupKey {
        text: group.to_owned(),
        ..GroupKey::default()
    };
    let mut deliver = deliver(Channel::Webhook);
    let told = Notification::acknowledged("payments", key, "ana".to_owned());
    deliver.message.notification = Some(Box::new(told));
    deliver
}

/// A group of alerts that fires or is over.
fn group(text: &str, resolved: bool) -> Deliver {
    let key = GroupKey {
        text: text.to_owned(),
        ..GroupKey::default()
    };
    let mut deliver = deliver(Channel::Webhook);
    let told = Notification::new("payments", key, &[], &[], NOTIFICATION_MAX_BYTES);
    deliver.message.notification = Some(Box::new(told));
    deliver.message.incident = None;
    deliver.message.path = "/alerts".to_owned();
    deliver.message.resolved = resolved;
    deliver
}

pub(crate) fn change() -> ChangeRecorded {
    ChangeRecorded {
        id: "build-17".to_owned(),
        source: "/pipelines/payment-service".to_owned(),
        kind: ChangeKind::Deploy,
        scope: Scope {
            cell: CellId::new("cell-5").ok(),
            service: ServiceId::new("payment-service").ok(),
            ..Scope::default()
        },
        from_version: Some("v1.5.0".to_owned()),
        to_version: Some("v1.6.0".to_owned()),
        summary: "payment-service v1.5.0 to v1.6.0 in cell-5".to_owned(),
        at: "2025-01-15T14:00:00Z".parse().expect("an instant"),
        cause: None,
    }
}

fn changed(change: ChangeRecorded) -> Deliver {
    let mut deliver = deliver(Channel::Webhook);
    deliver.message.incident = None;
    deliver.message.page = None;
    deliver.message.path = "/changes".to_owned();
    deliver.message.change = Some(Box::new(change));
    deliver
}

async fn send(url: String, deliver: &Deliver) -> Sent {
    let service = Address::PagerDuty {
        url,
        routing_key: SECRET.to_owned().into(),
    };
    let channels = RealChannels::new(ChannelOptions::default()).expect("channels");
    send_this(&channels, &service, deliver, 1, false).await
}

/// What PagerDuty is sent.
async fn told(deliver: &Deliver) -> (Asked, Value) {
    let taken = r#"{"status":"success","message":"Event processed"}"#;
    let provider = Provider::start(move |_, _| Some(answer("202 Accepted", "", taken))).await;
    let sent = send(provider.url(), deliver).await;
    assert_eq!(word(&sent), "done", "{sent:?}");
    let asked = provider.asked();
    assert_eq!(asked.len(), 1);
    let event = serde_json::from_str(&asked[0].body).expect("JSON");
    (asked[0].clone(), event)
}

#[tokio::test]
async fn an_acknowledgement_is_that_of_the_alert_that_was_triggered() {
    const GROUP: &str = r#"{}/{priority="P1"}:{cell="cell-5"}"#;
    let (_, trigger) = told(&group(GROUP, false)).await;
    let (asked, event) = told(&acknowledged(GROUP)).await;
    let (_, resolve) = told(&group(GROUP, true)).await;
    assert_eq!(asked.line, "POST /v2/enqueue");
    // The key that an Alertmanager gives a group: SHA-256 of its name, in hexadecimal.
    let hash = digest::digest(&digest::SHA256, GROUP.as_bytes());
    let key: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        event,
        json!({"routing_key": SECRET, "event_action": "acknowledge", "dedup_key": key})
    );
    let actions =
        [&trigger, &resolve].map(|event| (event["event_action"].clone(), event["dedup_key"].clone()));
    assert_eq!(
        actions,
        [
            ("trigger".into(), key.clone().into()),
            ("resolve".into(), key.into())
        ]
    );
    // Another group is another alert: its end is its own.
    let (_, other) = told(&group("{}:{cell=\"cell-6\"}", false)).await;
    assert_ne!(other["dedup_key"], trigger["dedup_key"]);
}

#[tokio::test]
async fn a_change_is_an_event_of_the_form_that_pagerduty_documents() {
    let (asked, event) = told(&changed(change())).await;
    assert_eq!(asked.line, "POST /v2/change/enqueue");
    assert_eq!(
        event,
        json!({
            "routing_key": SECRET,
            "payload": {
                "summary": "payment-service v1.5.0 to v1.6.0 in cell-5",
                "source": "/pipelines/payment-service",
                "timestamp": "2025-01-15T14:00:00Z",
                "custom_details": {
                    "kind": "deploy",
                    "service": "payment-service",
                    "cell": "cell-5",
                    "from_version": "v1.5.0",
                    "to_version": "v1.6.0",
                    "id": "build-17",
                },
            },
            "links": [{ "href": "http://127.0.0.1:8080/changes", "text": "Open in Mainstay" }],
        })
    );
}

#[tokio::test]
async fn a_change_of_any_size_stays_within_the_limits() {
    let huge = |length: usize| "\u{1}ü".repeat(length);
    let change = ChangeRecorded {
        summary: huge(5_000),
        source: huge(5_000),
        from_version: Some(huge(100_000)),
        to_version: Some(huge(100_000)),
        ..change()
    };
    let (asked, event) = told(&changed(change)).await;
    let payload = &event["payload"];
    let characters = |value: &Value| value.as_str().expect("a text").chars().count();
    assert!((500..=1_024).contains(&characters(&payload["summary"])));
    assert!(characters(&payload["source"]) <= 1_024);
    assert!(asked.body.len() <= 512_000, "{}", asked.body.len());
}

#[tokio::test]
async fn the_inbox_plays_pagerduty_with_its_answers_and_faults() {
    let inbox = Running::start().await;
    let url = format!("http://{}", inbox.http);
    for deliver in [group("{}:{}", false), acknowledged("{}:{}"), changed(change())] {
        let sent = send(url.clone(), &deliver).await;
        assert!(
            matches!(&sent.outcome, Outcome::Done { receipt } if receipt.starts_with("202")),
            "{sent:?}"
        );
    }
    let received = inbox.received().await;
    let seen: Vec<(Option<&str>, &str)> = received
        .iter()
        .map(|one| {
            (
                one.channel.as_deref(),
                one.subject.split(' ').next().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some("pagerduty"), "trigger"),
            (Some("pagerduty"), "acknowledge"),
            (Some("pagerduty-changes"), "payment-service"),
        ]
    );
    assert!(received.iter().all(|one| !one.text.contains(SECRET)));
    // What PagerDuty does not take, the inbox does not take either.
    let events = [
        ("/v2/enqueue", json!({"event_action": "trigger"})),
        (
            "/v2/enqueue",
            json!({"routing_key": "k", "event_action": "acknowledge"}),
        ),
        (
            "/v2/enqueue",
            json!({"routing_key": "k", "event_action": "snooze", "dedup_key": "d"}),
        ),
        ("/v2/change/enqueue", json!({"routing_key": "k", "payload": {}})),
        (
            "/v2/change/enqueue",
            json!({"routing_key": "k", "payload": {"summary": "x".repeat(1_025)}}),
        ),
    ];
    for (path, event) in events {
        let answer = request(inbox.http, "POST", path, &event.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{event}: {answer}");
    }
    inbox
        .set(mainstay_delivery::inbox::Faults {
            hook: mainstay_delivery::inbox::HttpFault::TooMany,
            retry_after_s: 7,
            ..Default::default()
        })
        .await;
    assert_eq!(word(&send(url, &changed(change())).await), "retry 7000");
}
