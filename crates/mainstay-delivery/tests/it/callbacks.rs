//! What the provider of telephony tells: states, keys, text messages; and what of it is believed.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::inbox::Via;
use mainstay_delivery::signature::SignatureError;
use mainstay_delivery::telephone::{Acknowledge, Callbacks};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{PageId, PersonId};
use ring::hmac;
use tokio::net::TcpListener;

use crate::provider::{NUMBER, Provider, SECRET, answer, basic, telephone};
use crate::support::{Running, now, request, word};
use crate::telephone::{PATIENT_MS, page, reason, state, taken};

/// Who acknowledged what, and what was refused.
#[derive(Clone, Default)]
struct Desk(
    Arc<Mutex<Vec<(PersonId, PageId)>>>,
    Arc<Mutex<Vec<SignatureError>>>,
);

impl Acknowledge for Desk {
    async fn acknowledge(&self, person: PersonId, page: PageId) -> Option<String> {
        self.0.lock().expect("no panic").push((person, page));
        Some("Acknowledged by <ana>.".to_owned())
    }

    async fn acknowledge_newest(&self, number: String, _written_at: Timestamp) -> Option<String> {
        let person = PersonId::new("ana").expect("an id");
        let newest = PageId::new(format!("page-{}", 9 + self.0.lock().expect("no panic").len()));
        self.0
            .lock()
            .expect("no panic")
            .push((person, newest.expect("an id")));
        (number == NUMBER).then(|| "Acknowledged by <ana>.".to_owned())
    }

    fn refused(&self, error: SignatureError) {
        self.1.lock().expect("no panic").push(error);
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
        .serve(
            listener,
            desk,
            Arc::new(ManualClock::at(now())),
            std::future::pending(),
        )
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
    let provider = Provider::start(|_, _| written("Wed, 15 Jan 2025 14:05:30 +0000")).await;
    let (desk, base) = answering(&provider).await;
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
    // Its name goes into an address.
    assert_eq!(text(NUMBER, "1", "../SM6", SECRET).await.0, 403);
    let refused = desk.1.lock().expect("no panic").clone();
    let expected = [
        SignatureError::Wrong,
        SignatureError::Repeated,
        SignatureError::Malformed,
    ];
    assert_eq!(refused, expected);
    let asked = provider.asked();
    let first = asked.first().expect("a question");
    assert_eq!(first.line, "GET /2010-04-01/Accounts/AC1/Messages/SM3.json");
    assert_eq!(first.header("authorization"), Some(basic().as_str()));
}

fn written(at: &str) -> Option<String> {
    let body = format!(r#"{{"sid":"SM3","status":"received","date_created":"{at}"}}"#);
    Some(answer("200 OK", "", &body))
}

/// Somebody who takes text messages, and where they arrive.
async fn answering(provider: &Provider) -> (Desk, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let channels = telephone(&provider.url(), PATIENT_MS, Some(&base));
    let desk = Desk::default();
    let callbacks = channels.callbacks().expect("callbacks");
    tokio::spawn(listen(desk.clone(), listener, callbacks));
    (desk, base)
}

/// A signature over a text message has no time in it: after a restart nothing here remembers that it was answered.
#[tokio::test]
async fn a_text_that_was_written_long_ago_acknowledges_nothing() {
    let fields = [("From", NUMBER), ("Body", "ack"), ("MessageSid", "SM3")];
    for (age_s, status) in [(300, 200), (301, 403), (86_400, 403), (-301, 403)] {
        let at = now() - SignedDuration::from_secs(age_s);
        let at = at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let provider = Provider::start(move |_, _| written(&at)).await;
        let (desk, base) = answering(&provider).await;
        let answered = call_back(&base, "/telephone/reply", &fields, SECRET).await;
        assert_eq!(answered.0, status, "{age_s}: {answered:?}");
        let done = desk.0.lock().expect("no panic").len();
        let refused = desk.1.lock().expect("no panic").clone();
        match status {
            200 => assert_eq!((done, refused), (1, vec![])),
            _ => assert_eq!((done, refused), (0, vec![SignatureError::Stale]), "{age_s}"),
        }
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_provider_does_not_say_when_a_text_was_written() {
    let fields = [("From", NUMBER), ("Body", "1"), ("MessageSid", "SM3")];
    let well = Arc::new(Mutex::new(0));
    let now_well = Arc::clone(&well);
    let provider = Provider::start(move |_, _| match *now_well.lock().expect("no panic") {
        0 => Some(answer("500 Broken", "", "")),
        1 => Some(answer("404 Not Found", "", r#"{"code":20404}"#)),
        2 => written("yesterday"),
        _ => written("Wed, 15 Jan 2025 14:06:00 +0000"),
    })
    .await;
    let (desk, base) = answering(&provider).await;
    for _ in 0..3 {
        let (status, words) = call_back(&base, "/telephone/reply", &fields, SECRET).await;
        assert!(status == 200 && words.contains("Use the console"), "{words}");
        assert!(desk.0.lock().expect("no panic").is_empty());
        *well.lock().expect("no panic") += 1;
    }
    // Told again, it is asked again.
    let (status, words) = call_back(&base, "/telephone/reply", &fields, SECRET).await;
    assert!(status == 200 && words.contains("Acknowledged by"), "{words}");
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
    let path = format!("/2010-04-01/Accounts/AC1/Messages/SM{:032x}.json", text.seq);
    let asked = request(inbox.http, "GET", &path, "").await;
    assert!(asked.contains("\"Wed, 15 Jan 2025 14:06:00 +0000\""), "{asked}");
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
