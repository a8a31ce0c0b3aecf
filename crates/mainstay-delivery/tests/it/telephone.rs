//! Text messages and calls over real sockets: what proves delivery, and what is asked before anything is sent again.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_delivery::channel::{Address, RealChannels, Sent};
use mainstay_delivery::inbox::Via;
use mainstay_delivery::telephone::{Acknowledge, Callbacks};
use mainstay_kernel::effect::{Channel, Outcome};
use mainstay_kernel::{PageId, PersonId};
use ring::hmac;
use tokio::net::TcpListener;

use crate::provider::{NUMBER, Provider, SECRET, answer, basic, telephone};
use crate::support::{Running, request, send, word};

const QUICK_MS: u64 = 1_500;
const PATIENT_MS: u64 = 30_000;

async fn page(channels: &RealChannels, channel: Channel, attempt: u32, possible_duplicate: bool) -> Sent {
    let to = Address::Phone(NUMBER.to_owned());
    send(channels, &to, channel, attempt, possible_duplicate).await
}

fn state(status: &str) -> Option<String> {
    Some(answer(
        "200 OK",
        "",
        &format!(r#"{{"sid":"SM1","status":"{status}"}}"#),
    ))
}

fn taken() -> Option<String> {
    Some(answer("201 Created", "", r#"{"sid":"SM1","status":"queued"}"#))
}

fn reason(sent: &Sent) -> &str {
    match &sent.outcome {
        Outcome::Retry { reason, .. } | Outcome::Failed { reason } | Outcome::Withdrawn { reason } => reason,
        Outcome::Withheld => panic!("no channel withholds"),
        Outcome::Done { receipt } => receipt,
    }
}

#[tokio::test]
async fn that_it_was_taken_or_sent_is_no_delivery_and_it_is_asked_for_before_it_is_sent_again() {
    let delivered = Arc::new(Mutex::new(false));
    let now = Arc::clone(&delivered);
    let provider = Provider::start(move |asked, _| match asked.is_post() {
        true => taken(),
        false => state(if *now.lock().expect("no panic") {
            "delivered"
        } else {
            "sent"
        }),
    })
    .await;
    let channels = telephone(&provider.url(), QUICK_MS, None);
    for attempt in 1..=3 {
        let sent = page(&channels, Channel::Sms, attempt, attempt > 1).await;
        assert_eq!(word(&sent), "unknown 0", "{sent:?}");
        assert!(reason(&sent).starts_with("SM1 is sent"), "{sent:?}");
    }
    *delivered.lock().expect("no panic") = true;
    let sent = page(&channels, Channel::Sms, 4, true).await;
    assert_eq!((word(&sent).as_str(), reason(&sent)), ("done", "SM1 delivered"));
    assert_eq!(provider.posts(), 1);

    let asked = provider.asked();
    let first = &asked[0];
    assert_eq!(first.line, "POST /2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(first.header("authorization"), Some(basic().as_str()));
    assert!(
        first
            .body
            .contains("To=%2B27115550100&From=%2B27115550199&Body=%5BP0%5D+Pool"),
        "{}",
        first.body
    );
    assert!(
        asked[1..]
            .iter()
            .all(|asked| asked.line == "GET /2010-04-01/Accounts/AC1/Messages/SM1.json")
    );
}

#[tokio::test]
async fn what_is_never_delivered_fails_in_the_end() {
    let provider = Provider::start(|asked, _| if asked.is_post() { taken() } else { state("sent") }).await;
    let channels = telephone(&provider.url(), 40, None);
    let mut words = Vec::new();
    for attempt in 1..=10 {
        words.push(word(&page(&channels, Channel::Sms, attempt, attempt > 1).await));
    }
    assert_eq!(
        words.iter().filter(|word| *word == "unknown 0").count(),
        9,
        "{words:?}"
    );
    assert_eq!(words.last().map(String::as_str), Some("failed"));
    assert_eq!(provider.posts(), 1);
}

#[tokio::test]
async fn a_restart_finds_the_message_in_the_providers_log() {
    let body = Arc::new(Mutex::new(String::new()));
    let sent_body = Arc::clone(&body);
    let provider = Provider::start(move |asked, _| {
        if asked.is_post() {
            // It is taken, and the answer is lost.
            *sent_body.lock().expect("no panic") = asked.body.clone();
            return None;
        }
        if asked
            .line
            .contains("Messages.json?To=%2B27115550100&DateSent%3E=2025-01-14")
        {
            let reference = sent_body.lock().expect("no panic");
            let reference = reference
                .rsplit("ref+")
                .next()
                .expect("a reference")
                .get(..12)
                .unwrap_or_default();
            let body = format!(
                r#"{{"messages":[{{"sid":"SM8","body":"else"}},{{"sid":"SM9","body":"x ref {reference}"}}]}}"#
            );
            return Some(answer("200 OK", "", &body));
        }
        assert!(asked.line.ends_with("/Messages/SM9.json"), "{}", asked.line);
        state("delivered")
    })
    .await;
    let sent = page(
        &telephone(&provider.url(), QUICK_MS, None),
        Channel::Sms,
        1,
        false,
    )
    .await;
    assert_eq!(word(&sent), "unknown 0", "{sent:?}");
    let sent = page(
        &telephone(&provider.url(), PATIENT_MS, None),
        Channel::Sms,
        2,
        true,
    )
    .await;
    assert_eq!((word(&sent).as_str(), reason(&sent)), ("done", "SM9 delivered"));
    assert_eq!(provider.posts(), 1);
}

#[tokio::test]
async fn nothing_is_sent_twice_while_the_log_cannot_be_read_and_all_is_when_it_is_empty() {
    let provider = Provider::start(|_, _| Some(answer("500 Broken", "", ""))).await;
    let sent = page(
        &telephone(&provider.url(), PATIENT_MS, None),
        Channel::Sms,
        2,
        true,
    )
    .await;
    assert_eq!(word(&sent), "unknown 0", "{sent:?}");
    assert_eq!(provider.posts(), 0);

    let provider = Provider::start(|asked, _| match (asked.is_post(), asked.line.contains('?')) {
        (true, _) => taken(),
        (false, true) => Some(answer("200 OK", "", r#"{"messages":[]}"#)),
        (false, false) => state("delivered"),
    })
    .await;
    let sent = page(
        &telephone(&provider.url(), PATIENT_MS, None),
        Channel::Sms,
        2,
        true,
    )
    .await;
    assert_eq!(word(&sent), "done", "{sent:?}");
    assert_eq!(provider.posts(), 1);
}

#[tokio::test]
async fn trouble_that_passes_is_sent_anew_five_times_and_other_trouble_never() {
    let state = |code: u32| {
        move |asked: &crate::provider::Asked, _| match asked.is_post() {
            true => taken(),
            false => Some(answer(
                "200 OK",
                "",
                &format!(r#"{{"status":"undelivered","error_code":{code}}}"#),
            )),
        }
    };
    let provider = Provider::start(state(30_008)).await;
    let channels = telephone(&provider.url(), PATIENT_MS, None);
    let mut words = Vec::new();
    for attempt in 1..=5 {
        words.push(word(&page(&channels, Channel::Sms, attempt, false).await));
    }
    assert_eq!(words, ["retry 0", "retry 0", "retry 0", "retry 0", "failed"]);
    assert_eq!(provider.posts(), 5);

    let provider = Provider::start(state(30_006)).await;
    let sent = page(
        &telephone(&provider.url(), PATIENT_MS, None),
        Channel::Sms,
        1,
        false,
    )
    .await;
    assert_eq!(
        (word(&sent).as_str(), reason(&sent)),
        ("failed", "SM1 undelivered, code 30006")
    );
}

/// The first attempt ends before the provider says that the telephone is off: from then on each attempt is marked, and
/// the provider's log has what did not arrive, under the same reference.
#[tokio::test]
async fn trouble_that_passes_is_sent_anew_though_the_log_has_what_did_not_arrive() {
    let sent_bodies = Arc::<Mutex<Vec<String>>>::default();
    let off = Arc::new(Mutex::new(false));
    let (bodies, is_off) = (Arc::clone(&sent_bodies), Arc::clone(&off));
    let provider = Provider::start(move |asked, _| {
        let mut bodies = bodies.lock().expect("no panic");
        if asked.is_post() {
            bodies.push(asked.body.clone());
            let body = format!(r#"{{"sid":"SM{}","status":"queued"}}"#, bodies.len());
            return Some(answer("201 Created", "", &body));
        }
        let state = match *is_off.lock().expect("no panic") {
            true => r#""status":"undelivered","error_code":30003"#,
            false => r#""status":"sent""#,
        };
        if asked.line.contains('?') {
            let newest_first = bodies.iter().enumerate().rev().map(|(at, body)| {
                let reference = body.rsplit("ref+").next().expect("a reference");
                format!(
                    r#"{{"sid":"SM{}","body":"ref {}",{state}}}"#,
                    at + 1,
                    &reference[..12]
                )
            });
            let log = newest_first.collect::<Vec<_>>().join(",");
            return Some(answer("200 OK", "", &format!(r#"{{"messages":[{log}]}}"#)));
        }
        Some(answer("200 OK", "", &format!("{{{state}}}")))
    })
    .await;
    let channels = telephone(&provider.url(), QUICK_MS, None);
    let mut words = vec![word(&page(&channels, Channel::Sms, 1, false).await)];
    *off.lock().expect("no panic") = true;
    for attempt in 2..=6 {
        words.push(word(&page(&channels, Channel::Sms, attempt, true).await));
    }
    let expected = ["unknown 0", "retry 0", "retry 0", "retry 0", "retry 0", "failed"];
    assert_eq!(words, expected);
    assert_eq!(provider.posts(), 5);
}

#[tokio::test]
async fn a_number_that_said_stop_or_is_none_fails_at_once_and_is_not_told() {
    let words = format!(r#"{{"code":21610,"message":"Attempt to send to unsubscribed recipient {NUMBER}"}}"#);
    let provider = Provider::start(move |_, _| Some(answer("400 Bad Request", "", &words))).await;
    let channels = telephone(&provider.url(), PATIENT_MS, None);
    let sent = page(&channels, Channel::Sms, 1, false).await;
    assert_eq!(word(&sent), "failed");
    assert!(
        reason(&sent).contains("STOP") && !reason(&sent).contains(NUMBER),
        "{sent:?}"
    );

    let to = Address::Phone("0115550100".to_owned());
    let sent = send(&channels, &to, Channel::Voice, 1, false).await;
    assert_eq!(word(&sent), "failed");
    assert!(!reason(&sent).contains("0115550100"), "{sent:?}");
    assert_eq!(provider.posts(), 1);
}

/// Who acknowledged what.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Vec<(PersonId, PageId)>>>);

impl Acknowledge for Desk {
    async fn acknowledge(&self, person: PersonId, page: PageId) -> Option<String> {
        self.0.lock().expect("no panic").push((person, page));
        Some("Acknowledged by <ana>.".to_owned())
    }

    async fn acknowledge_newest(&self, number: String) -> Option<String> {
        let person = PersonId::new("ana").expect("an id");
        let newest = PageId::new(format!("page-{}", 9 + self.0.lock().expect("no panic").len()));
        self.0
            .lock()
            .expect("no panic")
            .push((person, newest.expect("an id")));
        (number == NUMBER).then(|| "Acknowledged by <ana>.".to_owned())
    }
}

/// Posts a form as the provider does, signed with `token`; gives the status and the body.
async fn call_back(base: &str, path: &str, fields: &[(&str, &str)], token: &str) -> (u16, String) {
    call_back_signed(base, path, path, fields, token).await
}

/// The same, with the signature of another address.
async fn call_back_signed(
    base: &str,
    path: &str,
    signed_path: &str,
    fields: &[(&str, &str)],
    token: &str,
) -> (u16, String) {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let signed: String = sorted
        .iter()
        .map(|(name, value)| format!("{name}{value}"))
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = hmac::sign(&key, format!("{base}{signed_path}{signed}").as_bytes());
    let form: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace('+', "%2B").replace(' ', "+")))
        .collect();
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .post(format!("{base}{path}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("X-Twilio-Signature", STANDARD.encode(signature))
        .body(form.join("&"))
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

async fn listen(desk: Desk, listener: TcpListener, callbacks: Callbacks) {
    callbacks
        .serve(listener, desk, std::future::pending())
        .await
        .expect("serves");
}

/// The address that the provider was told, without the base.
async fn told(provider: &Provider, base: &str, field: &str) -> String {
    for _ in 0..3_000 {
        if let Some(asked) = provider.asked().iter().find(|asked| asked.is_post()) {
            let form = reqwest::Url::parse(&format!("http://localhost/?{}", asked.body)).expect("a form");
            let found = form
                .query_pairs()
                .find(|(name, _)| name == field)
                .expect("the field");
            let text = found.1.replace("&amp;", "&");
            let from = text.find(base).expect("the base") + base.len();
            let rest = &text[from..];
            return rest[..rest.find('"').unwrap_or(rest.len())].to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing was sent")
}

#[tokio::test]
async fn a_signed_callback_ends_the_wait_and_one_that_is_not_changes_nothing() {
    let provider = Provider::start(|asked, _| if asked.is_post() { taken() } else { state("sent") }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let channels = telephone(&provider.url(), PATIENT_MS, Some(&base));
    let callbacks = channels.callbacks().expect("callbacks");
    tokio::spawn(listen(Desk::default(), listener, callbacks));

    let waiting = tokio::spawn(async move { page(&channels, Channel::Sms, 1, false).await });
    let path = told(&provider, &base, "StatusCallback").await;
    let fields = [("MessageStatus", "delivered"), ("MessageSid", "SM1")];
    assert_eq!(call_back(&base, &path, &fields, "another").await.0, 403);
    assert_eq!(
        call_back(&base, "/telephone/status?key=other", &fields, SECRET)
            .await
            .0,
        204
    );
    assert!(!waiting.is_finished(), "neither was about this message");
    // A callback may come before the SID that it is about is known: it is then asked for.
    let sent = loop {
        assert_eq!(call_back(&base, &path, &fields, SECRET).await.0, 204);
        if waiting.is_finished() {
            break waiting.await.expect("no panic");
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!((word(&sent).as_str(), reason(&sent)), ("done", "SM1 delivered"));
}

#[tokio::test]
async fn key_1_acknowledges_the_page_and_ends_the_calls() {
    let provider = Provider::start(|asked, _| {
        if asked.is_post() {
            taken()
        } else {
            state("in-progress")
        }
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let channels = telephone(&provider.url(), PATIENT_MS, Some(&base));
    let desk = Desk::default();
    tokio::spawn(listen(
        desk.clone(),
        listener,
        channels.callbacks().expect("callbacks"),
    ));

    let waiting = tokio::spawn(async move { page(&channels, Channel::Voice, 1, false).await });
    let path = told(&provider, &base, "Twiml").await;
    assert_eq!(
        call_back(&base, &path, &[("Digits", "1")], "another").await.0,
        403
    );
    let (status, words) = call_back(&base, &path, &[("Digits", "2")], SECRET).await;
    assert!(status == 200 && words.contains("not acknowledged"), "{words}");
    assert!(desk.0.lock().expect("no panic").is_empty());
    // Somebody else's page cannot be acknowledged by changing the address: it is signed too.
    let other = path.replace("page-7", "page-8");
    assert_ne!(other, path);
    let (status, _) = call_back_signed(&base, &other, &path, &[("Digits", "1")], SECRET).await;
    assert_eq!(status, 403);
    let (status, words) = call_back(&base, &path, &[("Digits", "1")], SECRET).await;
    assert!(
        status == 200 && words.contains("Acknowledged by &lt;ana&gt;."),
        "{words}"
    );
    let expected = (
        PersonId::new("ana").expect("an id"),
        PageId::new("page-7").expect("an id"),
    );
    assert_eq!(*desk.0.lock().expect("no panic"), [expected]);
    let sent = waiting.await.expect("no panic");
    assert_eq!(word(&sent), "done");
    assert!(reason(&sent).ends_with("acknowledged by key"), "{sent:?}");
}

#[tokio::test]
async fn ack_or_1_as_a_text_acknowledges_the_newest_page_once_however_often_it_is_told() {
    let provider = Provider::start(|_, _| taken()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let channels = telephone(&provider.url(), PATIENT_MS, Some(&base));
    let desk = Desk::default();
    let callbacks = channels.callbacks().expect("callbacks");
    tokio::spawn(listen(desk.clone(), listener, callbacks));
    let text = async |from: &str, body: &str, sid: &str, token: &str| {
        let fields = [("From", from), ("Body", body), ("MessageSid", sid)];
        call_back(&base, "/telephone/reply", &fields, token).await
    };
    assert_eq!(text(NUMBER, "ack", "SM1", "another").await.0, 403);
    let (status, words) = text(NUMBER, "what is it", "SM2", SECRET).await;
    assert!(status == 200 && words.contains("Nothing was done"), "{words}");
    assert!(desk.0.lock().expect("no panic").is_empty());
    let (status, words) = text(NUMBER, " ACK ", "SM3", SECRET).await;
    assert!(
        status == 200 && words.contains("<Message>Acknowledged by &lt;ana&gt;.</Message>"),
        "{words}"
    );
    let again = text(NUMBER, " ACK ", "SM3", SECRET).await;
    assert_eq!(again, (200, words), "told again, it is the same text");
    assert_eq!(desk.0.lock().expect("no panic").len(), 1);
    assert_eq!(text(NUMBER, "1", "SM4", SECRET).await.0, 200);
    assert_eq!(desk.0.lock().expect("no panic").len(), 2);
    let (_, stranger) = text("+27115550999", "1", "SM5", SECRET).await;
    assert!(stranger.contains("No page was sent"), "{stranger}");
}

#[tokio::test]
async fn three_calls_that_nobody_answers_are_enough() {
    let provider = Provider::start(|asked, _| {
        if asked.is_post() {
            taken()
        } else {
            state("no-answer")
        }
    })
    .await;
    let channels = telephone(&provider.url(), PATIENT_MS, None);
    let mut words = Vec::new();
    for attempt in 1..=3 {
        words.push(word(&page(&channels, Channel::Voice, attempt, false).await));
    }
    assert_eq!(words, ["retry 30000", "retry 30000", "failed"]);
    assert_eq!(provider.posts(), 3);
}

/// The inbox stands in for the provider, keys and signatures included.
#[tokio::test]
async fn the_inbox_takes_texts_and_calls_and_presses_keys() {
    let inbox = Running::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let channels = telephone(&format!("http://{}", inbox.http), PATIENT_MS, Some(&base));
    let desk = Desk::default();
    let callbacks = channels.callbacks().expect("callbacks");
    tokio::spawn(listen(desk.clone(), listener, callbacks));

    assert_eq!(word(&page(&channels, Channel::Sms, 1, false).await), "done");
    let text = inbox.received().await.remove(0);
    assert_eq!(
        (text.via, text.to.as_slice()),
        (Via::Sms, &[NUMBER.to_owned()][..])
    );
    assert!(text.text.contains("Pool exhausted"), "{text:?}");
    // After a restart of the sender the log says that it arrived.
    let anew = telephone(&format!("http://{}", inbox.http), PATIENT_MS, Some(&base));
    assert_eq!(word(&page(&anew, Channel::Sms, 2, true).await), "done");
    assert_eq!(inbox.received().await.len(), 1);

    let waiting = tokio::spawn(async move { page(&channels, Channel::Voice, 1, false).await });
    let call = loop {
        if let Some(call) = inbox
            .received()
            .await
            .into_iter()
            .find(|one| one.via == Via::Voice)
        {
            break call;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(call.subject.contains("Press 1 to acknowledge"), "{call:?}");
    let press = |digits: &str| format!(r#"{{"seq": {}, "digits": "{digits}"}}"#, call.seq);
    let other = request(inbox.http, "POST", "/press", &press("2")).await;
    assert!(other.contains("not acknowledged"), "{other}");
    let one = request(inbox.http, "POST", "/press", &press("1")).await;
    assert!(one.ends_with("Acknowledged by <ana>."), "{one}");
    assert_eq!(word(&waiting.await.expect("no panic")), "done");
    assert_eq!(desk.0.lock().expect("no panic").len(), 1);
}
