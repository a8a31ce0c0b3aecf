//! Receivers of an Alertmanager's configuration are told in the words of their templates, and in others rather than not
//! at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_catalog::alertmanager::Wording;
use mainstay_delivery::channel::{Address, Channels as _, Outgoing, Sent};
use mainstay_delivery::templated::{Login, Reach, Templated, Texts};
use mainstay_kernel::effect::{Channel, Deliver, Outcome};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::notification::{GroupKey, NOTIFICATION_MAX_BYTES, Notification};
use mainstay_kernel::{Digest, Labels};
use mainstay_template::{Limits, Templates, Version};
use serde_json::{Value, json};

use crate::provider::{Provider, answer};
use crate::support::{PATIENT, Running, channels, deliver, now};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

/// A message about two alerts, one of which may be over.
fn told(over: bool) -> Deliver {
    let fact = |service: &str| {
        let labels = labels(&[("alertname", "Slow"), ("cell", "eu-1"), ("service", service)]);
        AlertFact {
            fingerprint: labels.fingerprint(),
            labels,
            annotations: self::labels(&[("summary", &format!("{service} is <slow>"))]),
            starts_at: now(),
            ended_at: over.then(now),
        }
    };
    let key = GroupKey {
        text: "{}:{cell=\"eu-1\"}".to_owned(),
        labels: labels(&[("cell", "eu-1")]),
    };
    let alerts = [fact("pay"), fact("refund")];
    let (firing, resolved): (&[AlertFact], &[AlertFact]) = if over { (&[], &alerts) } else { (&alerts, &[]) };
    let mut deliver = deliver(Channel::Webhook);
    deliver.message.resolved = over;
    deliver.message.incident = None;
    deliver.message.notification = Some(Box::new(Notification::new(
        "team",
        key,
        firing,
        resolved,
        NOTIFICATION_MAX_BYTES,
    )));
    deliver
}

fn to(reach: Reach, texts: &[(&str, &str)]) -> Address {
    let mut templates = Templates::with_defaults(Limits::default(), Version::default());
    let file = "{{ define \"who\" }}{{ range .Alerts }}{{ .Labels.service }} {{ end }}{{ end }}";
    templates.add("team.tmpl", file).expect("a template");
    let texts: BTreeMap<String, String> = texts
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    let wording = Wording {
        kind: String::new(),
        receiver: "team".to_owned(),
        texts,
    };
    Address::Templated(Box::new(Templated {
        reach,
        texts: Arc::new(Texts {
            templates: Arc::new(templates),
            wording,
        }),
    }))
}

async fn send(inbox: &Running, address: &Address, deliver: &Deliver, attempt: u32) -> Sent {
    let outgoing = Outgoing {
        key: "alert/1/webhook/team",
        attempt,
        possible_duplicate: attempt > 1,
        at: now(),
        address,
        deliver,
        base_url: "https://mainstay.example/",
        bridge: None,
    };
    channels(inbox.smtp, PATIENT).send(outgoing).await
}

async fn posted(
    answered: &'static str,
    reach: impl Fn(String) -> Reach,
    texts: &[(&str, &str)],
    over: bool,
) -> (String, Value) {
    let inbox = Running::start().await;
    let status = if answered.contains("dedup") {
        "202 Accepted"
    } else {
        "200 OK"
    };
    let provider = Provider::start(move |_, _| Some(answer(status, "", answered))).await;
    let address = to(reach(provider.url()), texts);
    let sent = send(&inbox, &address, &told(over), 1).await;
    assert!(matches!(sent.outcome, Outcome::Done { .. }), "{sent:?}");
    let asked = provider.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let document = serde_json::from_str(&asked[0].body).expect("JSON");
    (format!("{:?}", asked[0]), document)
}

fn slack(url: String) -> Reach {
    Reach::SlackWebhook {
        url,
        channel: Some("#{{ .GroupLabels.cell }}".to_owned()),
    }
}

#[tokio::test]
async fn a_post_is_what_alertmanager_would_post() {
    let texts = [
        ("text", "{{ template \"who\" . }}are {{ .Status }}"),
        ("fields/0/title", "Cell"),
        ("fields/0/value", "{{ .CommonLabels.cell }}"),
        ("fields/0/short", "true"),
        ("username", "page"),
    ];
    let (_, post) = posted("ok", slack, &texts, false).await;
    assert_eq!(
        post,
        json!({
            "channel": "#eu-1",
            "username": "page",
            "attachments": [{
                "title": "[FIRING:2] eu-1 (Slow)",
                "title_link": "https://mainstay.example/#/alerts?receiver=team",
                "text": "pay refund are firing",
                "fallback": "[FIRING:2] eu-1 (Slow) | https://mainstay.example/#/alerts?receiver=team",
                "color": "danger",
                "fields": [{"title": "Cell", "value": "eu-1", "short": true}],
                "mrkdwn_in": ["fallback", "pretext", "text"],
            }],
        })
    );
}

#[tokio::test]
async fn a_title_that_is_cut_keeps_its_mark() {
    let inbox = Running::start().await;
    let provider = Provider::start(|_, _| Some(answer("200 OK", "", "ok"))).await;
    let address = to(slack(provider.url()), &[("title", &"wide ".repeat(1_000))]);
    let sent = send(&inbox, &address, &told(false), 2).await;
    assert!(matches!(sent.outcome, Outcome::Done { .. }), "{sent:?}");
    let post: Value = serde_json::from_str(&provider.asked()[0].body).expect("JSON");
    let title = post["attachments"][0]["title"].as_str().expect("a title");
    assert!(title.len() <= 1_024, "{}", title.len());
    assert!(title.ends_with("… (possible duplicate, attempt 2)"), "{title}");
}

#[tokio::test]
async fn a_template_that_fails_loses_no_message() {
    for failing in [
        "{{ .Nope }}",
        "{{ if }}",
        "{{ template \"nowhere\" . }}",
        "{{ range .Alerts }}{{ end",
    ] {
        let (_, post) = posted("ok", slack, &[("text", failing)], false).await;
        let text = post.to_string();
        assert!(text.contains("Pool exhausted"), "{failing}: {text}");
        assert!(
            text.contains("not in the receiver's own words") && text.contains("`text`"),
            "{failing}: {text}"
        );
    }
}

#[tokio::test]
async fn pagerduty_ends_what_an_alertmanager_began() {
    let reach = |url: String| Reach::PagerDuty {
        url,
        routing_key: "key".to_owned().into(),
    };
    let texts = [
        (
            "description",
            "{{ len .Alerts }} of {{ .CommonLabels.alertname }}",
        ),
        ("severity", "{{ .CommonLabels.alertname | toLower }}"),
        ("details/cell", "{{ .GroupLabels.cell }}"),
        (
            "links/0/href",
            "https://runbooks.example/{{ .CommonLabels.alertname }}",
        ),
        ("links/0/text", "runbook"),
    ];
    for (over, action) in [(false, "trigger"), (true, "resolve")] {
        let (_, event) = posted(
            "{\"status\":\"success\",\"dedup_key\":\"k\"}",
            reach,
            &texts,
            over,
        )
        .await;
        assert_eq!(event["event_action"], action);
        let key = Digest::of(b"{}:{cell=\"eu-1\"}").to_string();
        assert_eq!(
            event["dedup_key"],
            json!(key),
            "as an Alertmanager names the group"
        );
        assert_eq!(event["payload"]["summary"], "2 of Slow");
        assert_eq!(event["payload"]["severity"], "slow");
        assert_eq!(event["payload"]["custom_details"]["cell"], "eu-1");
        let firing = event["payload"]["custom_details"]["num_firing"].clone();
        assert_eq!(firing, if over { "0" } else { "2" });
        assert_eq!(
            event["links"],
            json!([{"href": "https://runbooks.example/Slow", "text": "runbook"}])
        );
    }
    let (_, event) = posted(
        "{\"status\":\"success\",\"dedup_key\":\"k\"}",
        reach,
        &[("class", "{{ .X }}")],
        true,
    )
    .await;
    assert_eq!(event["event_action"], "resolve", "whatever the words are");
    assert_eq!(
        event["dedup_key"],
        json!(Digest::of(b"{}:{cell=\"eu-1\"}").to_string())
    );
}

#[tokio::test]
async fn a_webhook_is_told_who_posts_and_no_more_alerts_than_it_wants() {
    let reach = |url: String| Reach::Webhook {
        url,
        login: Some(Login::Bearer("hush".to_owned().into())),
    };
    let (asked, document) = posted("ok", reach, &[("max_alerts", "1")], false).await;
    assert!(asked.contains("Bearer hush"), "{asked}");
    assert_eq!(document["alerts"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["truncatedAlerts"], 1);
    assert_eq!(document["groupKey"], "{}:{cell=\"eu-1\"}");
    assert_eq!(document["receiver"], "team");
}

#[tokio::test]
async fn a_mail_has_its_subject_its_headers_and_its_page() {
    let inbox = Running::start().await;
    let reach = Reach::Mail {
        to: "{{ .GroupLabels.cell }}@bank.example, two@bank.example".to_owned(),
    };
    let texts = [
        ("headers/Subject", "{{ .Status }} in {{ .GroupLabels.cell }}"),
        ("headers/X-Team", "{{ .Receiver }}"),
        (
            "html",
            "<b>{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}</b>",
        ),
    ];
    let address = to(reach, &texts);
    let sent = send(&inbox, &address, &told(false), 2).await;
    assert!(matches!(sent.outcome, Outcome::Done { .. }), "{sent:?}");
    let received = format!("{:?}", inbox.received().await);
    for part in [
        "firing in eu-1 (possible duplicate, attempt 2)",
        "eu-1@bank.example",
        "two@bank.example",
        "pay is &lt;slow&gt;",
    ] {
        assert!(received.contains(part), "{part}: {received}");
    }
}
