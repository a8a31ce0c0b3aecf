//! What may be a repetition says so in the line that is read first, however short that line must be.

use mainstay_delivery::channel::{Address, Bridge, Channels, Outgoing};
use mainstay_kernel::effect::Channel;
use serde_json::Value;

use crate::provider::{NUMBER, Provider, SECRET, answer, telephone};
use crate::support::{deliver, now, word};

const MARK: &str = "(possible duplicate, attempt 2)";

/// What a receiver of this kind is sent, for the second time, about something that takes many words.
async fn told(kind: Channel, address: impl Fn(String) -> Address) -> String {
    let provider = Provider::start(|asked, _| {
        let (status, body) = match asked.line.as_str() {
            line if line.ends_with("/slack") => ("200 OK", "ok"),
            line if line.contains("chat.postMessage") => ("200 OK", r#"{"ok":true}"#),
            line if line.contains("/v2/") => ("202 Accepted", "{}"),
            line if line.contains('?') => ("200 OK", r#"{"messages":[]}"#),
            _ if asked.is_post() => ("201 Created", r#"{"sid":"SM1","id":"x"}"#),
            line if line.contains("Calls") => ("200 OK", r#"{"status":"no-answer"}"#),
            _ => ("200 OK", r#"{"status":"delivered"}"#),
        };
        Some(answer(status, "", body))
    })
    .await;
    let mut deliver = deliver(kind);
    deliver.message.subject = "Payments of the tenant are slow ".repeat(20);
    deliver.message.path = format!("/incidents/{}", "x".repeat(250));
    let bridge = Bridge {
        url: format!("https://meet.shop.example/{}", "x".repeat(40)),
        phone: None,
    };
    let outgoing = Outgoing {
        key: "page-7/0/0/ana/x",
        attempt: 2,
        possible_duplicate: true,
        at: now(),
        address: &address(provider.url()),
        deliver: &deliver,
        base_url: "https://mainstay.example",
        bridge: Some(&bridge),
    };
    let sent = telephone(&provider.url(), 10_000, None).send(outgoing).await;
    assert!(
        ["done", "retry 30000"].contains(&word(&sent).as_str()),
        "{sent:?}"
    );
    let mut posts = provider.asked().into_iter().filter(|asked| asked.is_post());
    posts.next().expect("a post").body
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn field(form: &str, name: &str) -> String {
    let form = reqwest::Url::parse(&format!("http://localhost/?{form}")).expect("a form");
    let mut fields = form.query_pairs();
    let found = fields.find(|(of, _)| of == name);
    found.expect("the field").1.into_owned()
}

#[tokio::test]
async fn the_header_of_a_post_is_cut_before_the_mark() {
    let webhook = told(Channel::Chat, |url| Address::ChatWebhook {
        url: format!("{url}/slack"),
        channel: None,
    });
    let bot = told(Channel::Chat, |url| Address::Slack {
        url,
        token: SECRET.to_owned().into(),
        channel: "#alerts".to_owned(),
        buttons: false,
    });
    for post in [webhook.await, bot.await] {
        let post = json(&post);
        let header = &post["blocks"][0];
        assert_eq!(header["type"], "header");
        let text = header["text"]["text"].as_str().expect("a text");
        assert!(text.len() <= 150, "{}: {text}", text.len());
        assert!(
            text.starts_with("[P0] Payments") && text.ends_with(MARK),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_first_line_of_a_text_is_cut_before_the_mark() {
    let form = told(Channel::Sms, |_| Address::Phone(NUMBER.to_owned())).await;
    let body = field(&form, "Body");
    let line = body.lines().next().unwrap_or_default();
    assert!(line.len() <= 60, "{}: {line}", line.len());
    assert!(
        line.starts_with("[P0] Payments") && line.ends_with(MARK),
        "{line}"
    );
}

#[tokio::test]
async fn calls_and_the_others_say_it_too() {
    let call = told(Channel::Voice, |_| Address::Phone(NUMBER.to_owned())).await;
    let twiml = field(&call, "Twiml");
    assert!(twiml.contains(&format!("{MARK}.")), "{twiml}");
    let event = told(Channel::Webhook, |url| Address::PagerDuty {
        url,
        routing_key: SECRET.to_owned().into(),
    });
    let push = told(Channel::Webhook, |url| Address::Ntfy {
        url,
        topic: "night".to_owned(),
        token: None,
    });
    let (event, push) = (json(&event.await), json(&push.await));
    for line in [&event["payload"]["summary"], &push["title"]] {
        let line = line.as_str().expect("a text");
        assert!(line.ends_with(MARK), "{line}");
    }
}
