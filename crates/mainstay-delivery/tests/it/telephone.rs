//! Text messages and calls over real sockets: what proves delivery, and what is asked before anything is sent again.

use std::sync::{Arc, Mutex};

use mainstay_delivery::channel::{Address, RealChannels, Sent};
use mainstay_kernel::effect::{Channel, Outcome};

use crate::provider::{NUMBER, Provider, answer, basic, telephone};
use crate::support::{send, word};

const QUICK_MS: u64 = 1_500;
pub(crate) const PATIENT_MS: u64 = 30_000;

pub(crate) async fn page(
    channels: &RealChannels,
    channel: Channel,
    attempt: u32,
    possible_duplicate: bool,
) -> Sent {
    let to = Address::Phone(NUMBER.to_owned());
    send(channels, &to, channel, attempt, possible_duplicate).await
}

pub(crate) fn state(status: &str) -> Option<String> {
    Some(answer(
        "200 OK",
        "",
        &format!(r#"{{"sid":"SM1","status":"{status}"}}"#),
    ))
}

pub(crate) fn taken() -> Option<String> {
    Some(answer("201 Created", "", r#"{"sid":"SM1","status":"queued"}"#))
}

pub(crate) fn reason(sent: &Sent) -> &str {
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
async fn a_provider_that_is_too_busy_has_taken_nothing() {
    for status in ["425 Too Early", "429 Too Many Requests", "503 Busy"] {
        let provider = Provider::start(move |_, _| Some(answer(status, "Retry-After: 3", "{}"))).await;
        let channels = telephone(&provider.url(), PATIENT_MS, None);
        let sent = page(&channels, Channel::Sms, 1, false).await;
        assert_eq!(word(&sent), "retry 3000", "{status}: {sent:?}");
    }
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
