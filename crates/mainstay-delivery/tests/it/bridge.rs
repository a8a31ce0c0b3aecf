//! Where those who work on an incident of P0 meet is in every form in which they hear of it.

use mainstay_delivery::channel::{Address, Bridge, Channels, Outgoing, RealChannels};
use mainstay_kernel::effect::{Channel, Deliver};

use crate::provider::{NUMBER, Provider, SECRET, answer, telephone};
use crate::support::{PATIENT, Running, channels, deliver, now, word};

const URL: &str = "https://meet.shop.example/p0?a=1&b=2";
const PHONE: &str = "+27115550100,,1234#";

fn bridge() -> Bridge {
    Bridge {
        url: URL.to_owned(),
        phone: Some(PHONE.to_owned()),
    }
}

async fn send(channels: &RealChannels, address: &Address, deliver: &Deliver, bridge: Option<&Bridge>) {
    let outgoing = Outgoing {
        key: "page-7/0/0/ana/x",
        attempt: 1,
        possible_duplicate: false,
        at: now(),
        address,
        deliver,
        base_url: "https://mainstay.example",
        bridge,
    };
    let sent = channels.send(outgoing).await;
    assert_eq!(word(&sent), "done", "{sent:?}");
}

/// What a receiver of this kind is sent, as text, with the bridge and without.
async fn told(kind: Channel, address: impl Fn(String) -> Address) -> [String; 2] {
    let mut told = Vec::new();
    for bridge in [Some(bridge()), None] {
        let provider = Provider::start(|asked, _| {
            let (status, body) = match asked.line.split_once(' ').expect("method and path") {
                (_, "/slack") => ("200 OK", "ok"),
                (_, path) if path.contains("chat.postMessage") => {
                    ("200 OK", r#"{"ok":true,"channel":"C1","ts":"1.2"}"#)
                }
                (_, path) if path.contains("/v2/") => ("202 Accepted", r#"{"status":"success"}"#),
                ("POST", path) if path.contains("/Accounts/") => {
                    ("201 Created", r#"{"sid":"SM1","status":"queued"}"#)
                }
                (_, path) if path.contains("/Accounts/") => (
                    "200 OK",
                    r#"{"sid":"SM1","status":"delivered","error_code":null}"#,
                ),
                (_, "/teams") => ("200 OK", "1"),
                _ => ("200 OK", r#"{"id":"x"}"#),
            };
            Some(answer(status, "", body))
        })
        .await;
        let channels = telephone(&provider.url(), 10_000, None);
        send(
            &channels,
            &address(provider.url()),
            &deliver(kind),
            bridge.as_ref(),
        )
        .await;
        told.push(provider.asked()[0].body.clone());
    }
    let [with, without] = told.try_into().expect("two");
    assert!(
        !without.contains("meet.shop.example") && !without.to_lowercase().contains("bridge"),
        "{without}"
    );
    [with, without]
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn a_mail_has_the_link_and_the_number_on_lines_of_their_own() {
    let inbox = Running::start().await;
    let address = inbox.address(Channel::Email);
    let channels = channels(inbox.smtp, PATIENT);
    let deliver = deliver(Channel::Email);
    send(&channels, &address, &deliver, Some(&bridge())).await;
    send(&channels, &address, &deliver, None).await;
    let received = inbox.received().await;
    let text = &received[0].text;
    assert!(text.contains(&format!("\nBridge: {URL}\n")), "{text}");
    assert!(text.contains(&format!("\nDial-in: {PHONE}\n")), "{text}");
    assert!(!received[1].text.contains("Bridge"));
}

#[tokio::test]
async fn a_text_message_has_both_and_still_its_link_and_reference() {
    let [with, _] = told(Channel::Sms, |_| Address::Phone(NUMBER.to_owned())).await;
    for needed in [
        "bridge+https%3A%2F%2Fmeet.shop.example%2Fp0%3Fa%3D1%26b%3D2+or+%2B27115550100%2C%2C1234%23%0Aref+",
        "mainstay.example%2Fincidents",
        "%5BP0%5D+Pool+exhausted",
    ] {
        assert!(with.contains(needed), "{needed}: {with}");
    }
}

#[tokio::test]
async fn chat_posts_and_cards_link_to_it() {
    let escaped = "<https://meet.shop.example/p0?a=1&amp;b=2|Join the bridge> or +27115550100,,1234#";
    let hook = |url: String| Address::ChatWebhook {
        url: format!("{url}/slack"),
        channel: None,
    };
    let [with, _] = told(Channel::Chat, hook).await;
    assert!(json(&with)["blocks"].to_string().contains(escaped), "{with}");
    let bot = |url: String| Address::Slack {
        url,
        token: SECRET.to_owned().into(),
        channel: "#alerts".to_owned(),
        buttons: true,
    };
    let [with, _] = told(Channel::Chat, bot).await;
    assert!(json(&with)["blocks"].to_string().contains(escaped), "{with}");

    let [with, without] = told(Channel::Webhook, |url| Address::Teams {
        url: format!("{url}/teams"),
    })
    .await;
    let card = |text: &str| json(text)["attachments"][0]["content"].clone();
    let action = &card(&with)["actions"][1];
    assert_eq!(
        (&action["title"], &action["url"]),
        (&"Join the bridge".into(), &URL.into())
    );
    assert!(card(&with)["body"].to_string().contains(PHONE));
    assert_eq!(card(&without)["actions"].as_array().map(Vec::len), Some(1));
    let [with, without] = told(Channel::Webhook, |url| Address::Ntfy {
        url,
        topic: "night".to_owned(),
        token: None,
    })
    .await;
    assert_eq!(json(&with)["actions"][0]["url"], URL);
    assert!(json(&without)["actions"].is_null());
}

#[tokio::test]
async fn pagerduty_is_told_of_it_as_a_link_and_as_data() {
    let service = |url: String| Address::PagerDuty {
        url,
        routing_key: SECRET.to_owned().into(),
    };
    let [with, without] = told(Channel::Webhook, service).await;
    let event = json(&with);
    assert_eq!(event["links"][1]["href"], URL);
    assert_eq!(event["links"][1]["text"], "Join the bridge");
    assert_eq!(event["payload"]["custom_details"]["bridge"]["phone"], PHONE);
    assert_eq!(json(&without)["links"].as_array().map(Vec::len), Some(1));
}

#[test]
fn whoever_has_the_link_gets_in_so_no_log_has_it() {
    assert_eq!(format!("{:?}", Some(bridge())), "Some((bridge))");
}
