//! The machine: what became of every attempt.

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::machine::{Attempted, Delivery, DeliveryEvent, DeliverySpec, DeliveryState, settle};
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Finished, Machine};
use mainstay_kernel::effect::{Channel, Deliver, Effect, Message, Outcome, Recipient};
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, EventId, PageId, PersonId, Severity};

fn now() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().expect("a timestamp")
}

fn retry(after_ms: u64) -> Outcome {
    Outcome::Retry {
        reason: "421 later".to_owned(),
        after_ms,
    }
}

fn done() -> Outcome {
    Outcome::Done {
        receipt: "250 ok".to_owned(),
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        reason: "550 unknown".to_owned(),
    }
}

#[test]
fn waits_double_up_to_a_minute_unless_the_receiver_names_a_time() {
    let wait_ms = |attempt: u32, after_ms: u64| match settle("k", attempt, &retry(after_ms), false, now()) {
        Finished::Again { due, .. } => due.duration_since(now()).as_millis(),
        other => panic!("{other:?}"),
    };
    let waits: Vec<i128> = (1..=9).map(|attempt| wait_ms(attempt, 0) / 1_000).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(wait_ms(0, 0), 1_000);
    assert_eq!(wait_ms(u32::MAX, 0), 60_000);
    assert_eq!(wait_ms(9, 1_500), 1_500, "the receiver knows best");
    assert_eq!(wait_ms(1, 59_999), 59_999);
    assert_eq!(wait_ms(1, 120_000), 120_000, "and is not asked before");
    assert_eq!(wait_ms(1, 3_600_000), 300_000, "but a page does not wait an hour");
    assert_eq!(wait_ms(1, u64::MAX), 300_000);
}

#[test]
fn what_may_have_arrived_is_said_so_next_time() {
    assert!(matches!(
        settle("k", 1, &retry(0), true, now()),
        Finished::Unknown { ref key, .. } if key == "k"
    ));
    for outcome in [done(), failed()] {
        let over = settle("k", 1, &outcome, false, now());
        assert_eq!(over, Finished::Over { key: "k".to_owned() });
    }
    assert!(
        matches!(settle("k", 1, &retry(0), false, Timestamp::MAX), Finished::Again { due, .. } if due == Timestamp::MAX)
    );
}

fn person() -> PersonId {
    PersonId::new("ana").expect("a name")
}

struct Bench {
    state: DeliveryState,
    spec: DeliverySpec,
    effects: Vec<Effect>,
    events: Vec<(DeliveryEvent, Meta)>,
    entropy: SeededEntropy,
    page: Option<PageId>,
    /// How long ago each message was called for.
    age: SignedDuration,
}

impl Bench {
    fn new(channels: &[Channel]) -> Self {
        Self {
            state: DeliveryState::default(),
            spec: DeliverySpec {
                channels: [(person(), channels.to_vec())].into(),
            },
            effects: Vec::new(),
            events: Vec::new(),
            entropy: SeededEntropy::new(1),
            page: None,
            age: SignedDuration::ZERO,
        }
    }

    /// One attempt at `root` + the channel's name; gives the kinds of what happened.
    fn attempt(
        &mut self,
        root: &str,
        channel: Channel,
        to: Recipient,
        attempt: u32,
        outcome: Outcome,
    ) -> Vec<&'static str> {
        let command = Attempted {
            key: format!("{root}{}", channel.name()),
            deliver: Deliver {
                channel,
                to,
                message: Message {
                    subject: "P0".to_owned(),
                    body: String::new(),
                    severity: Severity::P0,
                    resolved: false,
                    incident: None,
                    page: self.page.clone(),
                    path: "/".to_owned(),
                    notification: None,
                    change: None,
                },
            },
            attempt,
            caused_at: now() - self.age,
            possible_duplicate: false,
            address: Some("ana@bank.example".to_owned()),
            outcome,
        };
        let decided = Delivery::decide(&self.state, &self.spec, command, now()).expect("nothing is refused");
        let kinds = decided
            .iter()
            .map(|event| event.kind().trim_start_matches("delivery."))
            .collect();
        for event in decided {
            let meta = Meta {
                id: EventId::generate(now(), &self.entropy),
                at: now(),
                actor: Actor::machine("delivery"),
                cause: None,
            };
            Delivery::apply(&mut self.state, &event, &meta);
            let reaction = Delivery::react(&self.state, &self.spec, &event, &meta);
            self.effects.extend(reaction.effects);
            self.events.push((event, meta));
        }
        kinds
    }

    fn tell_ana(&mut self, channel: Channel, attempt: u32, outcome: Outcome) -> Vec<&'static str> {
        self.attempt("page/1/", channel, Recipient::Person(person()), attempt, outcome)
    }

    fn keys(&self) -> Vec<&str> {
        self.effects.iter().map(|effect| effect.key.as_str()).collect()
    }
}

#[test]
fn a_second_failure_falls_over_to_the_next_channel_once() {
    let mut bench = Bench::new(&[Channel::Email, Channel::Chat]);
    assert_eq!(bench.tell_ana(Channel::Email, 1, retry(0)), ["delayed"]);
    assert_eq!(
        bench.tell_ana(Channel::Email, 2, retry(0)),
        ["delayed", "fell_over"]
    );
    assert_eq!(bench.tell_ana(Channel::Email, 3, retry(0)), ["delayed"]);
    assert_eq!(
        bench.tell_ana(Channel::Email, 4, failed()),
        ["refused"],
        "once is enough"
    );
    assert_eq!(bench.keys(), ["page/1/chat"]);
    let receipt = bench.state.receipt("page/1/email").expect("a receipt");
    assert!(receipt.fell_over && receipt.refused);
    assert_eq!((receipt.attempts, receipt.answer.as_str()), (4, "550 unknown"));
}

/// Two attempts and a wait between them have to fit into 30 s.
#[test]
fn a_receiver_that_asks_for_a_long_wait_is_not_waited_for() {
    let mut bench = Bench::new(&[Channel::Sms, Channel::Email]);
    assert_eq!(bench.tell_ana(Channel::Sms, 1, retry(8_000)), ["delayed"]);
    let mut bench = Bench::new(&[Channel::Sms, Channel::Email]);
    assert_eq!(
        bench.tell_ana(Channel::Sms, 1, retry(120_000)),
        ["delayed", "fell_over"]
    );
    assert_eq!(bench.keys(), ["page/1/email"]);
}

/// Behind a mail server that hangs, the second attempt of the first mails comes after the first of all others.
#[test]
fn who_waited_for_ten_seconds_is_told_by_the_next_channel_after_the_first_failure() {
    let first = |channel: Channel, next: Channel, age_s: f64| {
        let mut bench = Bench::new(&[channel, next]);
        bench.age = SignedDuration::from_secs_f64(age_s);
        let events = bench.tell_ana(channel, 1, retry(0));
        assert_eq!(bench.effects.len() + 1, events.len());
        events.len() > 1
    };
    assert!(!first(Channel::Email, Channel::Chat, 9.999));
    assert!(first(Channel::Email, Channel::Chat, 10.0));
    assert!(first(Channel::Chat, Channel::Email, 3_600.0));
    // One attempt at a text or a call lasts for ten seconds, and then it may still be on its way.
    for channel in [Channel::Sms, Channel::Voice] {
        assert!(!first(channel, Channel::Email, 14.0));
        assert!(first(channel, Channel::Email, 20.0));
    }
}

#[test]
fn a_refusal_falls_over_at_once() {
    let mut bench = Bench::new(&[Channel::Email, Channel::Chat]);
    assert_eq!(
        bench.tell_ana(Channel::Email, 1, failed()),
        ["refused", "fell_over"]
    );
    assert_eq!(bench.keys(), ["page/1/chat"]);
}

#[test]
fn who_is_only_informed_is_not_called_for_it() {
    let channels = [Channel::Voice, Channel::Sms, Channel::Email];
    let mut bench = Bench::new(&channels);
    assert_eq!(
        bench.tell_ana(Channel::Email, 1, failed()),
        ["refused", "fell_over"]
    );
    assert_eq!(bench.keys(), ["page/1/sms"], "which is known");
    let mut bench = Bench::new(&channels);
    bench.page = PageId::new("p1").ok();
    bench.tell_ana(Channel::Email, 1, failed());
    assert_eq!(bench.keys(), ["page/1/voice"]);
}

/// When the last channel fails too, the first is named again: by the key under which it was tried already, which the
/// outbox never does a second time.
#[test]
fn no_channel_is_tried_under_a_second_key() {
    let mut bench = Bench::new(&[Channel::Email, Channel::Chat]);
    bench.tell_ana(Channel::Email, 1, failed());
    bench.tell_ana(Channel::Chat, 1, failed());
    bench.tell_ana(Channel::Chat, 2, failed());
    assert_eq!(bench.keys(), ["page/1/chat", "page/1/email"]);
}

/// On-call hears of it, so that the next level need not wait for somebody who was never told.
#[test]
fn a_page_that_every_channel_refuses_is_undeliverable() {
    let mut bench = Bench::new(&[Channel::Email, Channel::Chat, Channel::Sms]);
    bench.page = PageId::new("p1").ok();
    assert_eq!(
        bench.tell_ana(Channel::Email, 1, failed()),
        ["refused", "fell_over"]
    );
    assert_eq!(bench.tell_ana(Channel::Sms, 1, retry(0)), ["delayed"]);
    assert_eq!(
        bench.tell_ana(Channel::Chat, 1, failed()),
        ["refused", "fell_over"]
    );
    assert_eq!(
        bench.tell_ana(Channel::Sms, 2, failed()),
        ["refused", "undeliverable"]
    );
    // What is for information, and what goes to no person, climbs to nobody.
    let mut bench = Bench::new(&[Channel::Email]);
    assert_eq!(bench.tell_ana(Channel::Email, 1, failed()), ["refused"]);
}

#[test]
fn who_has_one_channel_and_who_is_no_person_has_nowhere_to_fall_over_to() {
    let mut bench = Bench::new(&[Channel::Email]);
    assert_eq!(bench.tell_ana(Channel::Email, 2, failed()), ["refused"]);
    // A channel that the person has no address for by now.
    assert_eq!(bench.tell_ana(Channel::Chat, 2, failed()), ["refused"]);
    let team = Recipient::Receiver("team".to_owned());
    assert_eq!(
        bench.attempt("x/", Channel::Webhook, team, 2, failed()),
        ["refused"]
    );
    assert!(bench.effects.is_empty());
}

#[test]
fn a_receipt_remembers_that_the_message_also_went_elsewhere() {
    let mut bench = Bench::new(&[Channel::Email, Channel::Chat]);
    bench.tell_ana(Channel::Email, 2, retry(0));
    bench.tell_ana(Channel::Email, 3, done());
    let receipt = bench.state.receipt("page/1/email").expect("a receipt");
    assert_eq!(receipt.delivered_at, Some(now()));
    assert!(receipt.fell_over);
}

#[test]
fn an_address_is_personal_and_comes_back_only_with_its_key() {
    let mut bench = Bench::new(&[Channel::Email]);
    bench.tell_ana(Channel::Email, 1, done());
    let (event, _) = bench.events.pop().expect("delivered");
    let personal = event.personal().expect("an address");
    assert_eq!(personal.subject, "ana");
    assert_eq!(
        personal.fields.get("address").map(String::as_str),
        Some("ana@bank.example")
    );
    let text = serde_json::to_string(&event).expect("events are JSON");
    assert!(!text.contains("bank.example"), "{text}");
    let mut read: DeliveryEvent = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(read.personal(), None, "erased: nothing is left of it");
    read.restore_personal(&personal);
    assert_eq!(read, event);
    // What goes to no person is nobody's personal data.
    bench.attempt(
        "x/",
        Channel::Webhook,
        Recipient::Receiver("team".to_owned()),
        1,
        done(),
    );
    let (event, _) = bench.events.pop().expect("delivered");
    assert_eq!(event.personal(), None);
}

#[test]
fn receipts_are_found_by_the_beginning_of_their_keys() {
    let mut bench = Bench::new(&[Channel::Email]);
    for root in ["page/1/", "page/10/", "page/2/", "pag/", "page0/"] {
        bench.attempt(root, Channel::Email, Recipient::Person(person()), 1, done());
    }
    let under = |prefix: &str| -> Vec<&str> {
        let found = bench.state.receipts_under(prefix);
        found.map(|(key, _)| key).collect()
    };
    assert_eq!(under("page/1/"), ["page/1/email"]);
    assert_eq!(under("page/1"), ["page/1/email", "page/10/email"]);
    assert_eq!(under("page/").len(), 3);
    assert_eq!(under("").len(), 5);
    assert_eq!(under("zzz"), [""; 0]);
}

#[test]
fn the_journal_gives_the_same_state_back_and_the_state_is_bounded() {
    let mut bench = Bench::new(&[Channel::Email, Channel::Chat]);
    for number in 0..5_010 {
        let root = format!("page/{number}/");
        bench.attempt(&root, Channel::Email, Recipient::Person(person()), 2, retry(0));
    }
    assert_eq!(bench.state.receipts_under("").count(), 5_000);
    let mut replayed = DeliveryState::default();
    for (event, meta) in &bench.events {
        let text = serde_json::to_string(event).expect("events are JSON");
        let read: DeliveryEvent = serde_json::from_str(&text).expect("they can be read");
        Delivery::apply(&mut replayed, &read, meta);
    }
    assert_eq!(replayed, bench.state);
}

#[test]
fn the_due_instant_is_counted_from_the_result() {
    let later = now() + SignedDuration::from_secs(30);
    assert!(
        matches!(settle("k", 1, &retry(0), false, later), Finished::Again { due, .. } if due == later + SignedDuration::from_secs(1))
    );
}
