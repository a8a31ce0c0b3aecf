//! How one person is told: the policy's channels, what follows while nobody answers, and a person's own rules.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::PageId;
use mainstay_kernel::effect::{Channel, EffectBody, Recipient};
use mainstay_oncall::OncallCommand;
use mainstay_oncall::notify::Insist;

use crate::escalation::{Bench, CHAIN, START, policy};
use crate::rota::person;

/// Ruling R35: SMS and mail, and a call after two minutes.
fn telephones() -> Bench {
    Bench::with(|spec| {
        let text = CHAIN.replace(
            r#""channels": {"P0": ["chat", "email"], "P1": ["chat", "email"]},"#,
            r#""channels": {"P0": ["voice", "sms", "email"], "P1": ["sms", "email"]},
               "unacknowledged": {"P1": [{"after": "2m", "channels": ["voice"]}]},"#,
        );
        assert_ne!(text, CHAIN);
        spec.policies.insert("chain".to_owned(), policy(&text));
        for reach in spec.reach.values_mut() {
            *reach = [Channel::Email, Channel::Sms, Channel::Voice].into();
        }
    })
}

/// `2m ana voice`, of those who are asked for an answer.
fn told(bench: &Bench) -> Vec<String> {
    let start: Timestamp = START.parse().expect("a timestamp");
    let line = |(at, effect): &(Timestamp, mainstay_kernel::effect::Effect)| {
        let EffectBody::Deliver(deliver) = &effect.body else {
            return None;
        };
        let Recipient::Person(to) = &deliver.to else {
            return None;
        };
        deliver.message.page.as_ref()?;
        let minutes = at.duration_since(start).as_mins();
        Some(format!("{minutes}m {to} {}", deliver.channel.name()))
    };
    bench.sent().iter().filter_map(line).collect()
}

#[test]
fn an_unacknowledged_p1_becomes_a_call_after_two_minutes() {
    let mut bench = telephones();
    bench.page("p1", "P1");
    bench.pass(6);
    let said = [
        "0m ana sms",
        "0m ana email",
        "2m ana voice",
        "5m dan sms",
        "5m dan email",
    ];
    assert_eq!(told(&bench), said);
    bench.acknowledge("ana").expect("it waits");
    bench.pass(60);
    assert_eq!(told(&bench), said, "nobody is called any more");

    let mut bench = telephones();
    bench.page("p1", "P1");
    bench.pass(1);
    bench.acknowledge("ana").expect("it waits");
    bench.pass(60);
    assert_eq!(told(&bench), ["0m ana sms", "0m ana email"]);
}

#[test]
fn a_p0_is_a_call_at_once() {
    let mut bench = telephones();
    bench.page("p1", "P0");
    bench.pass(4);
    assert_eq!(told(&bench), ["0m ana voice", "0m ana sms", "0m ana email"]);
    // The director hears of it without being called.
    let informed = bench
        .effects
        .iter()
        .filter(|effect| effect.key.contains("/director/"));
    let keys: Vec<&str> = informed.map(|effect| effect.key.as_str()).collect();
    assert_eq!(keys, ["page/p1/0/1/director/sms", "page/p1/0/1/director/email"]);
}

#[test]
fn a_persons_own_rules_hold_in_place_of_the_policys() {
    let mut bench = telephones();
    let own = r#"[{"after": "0s", "channels": ["email"]}, {"after": "1m", "channels": ["sms"]},
        {"after": "3m", "channels": ["voice"]}]"#;
    let own = serde_json::from_str(own).expect("steps");
    let p1 = "P1".parse().expect("a severity");
    bench.spec.notify.insert(person("ana"), [(p1, own)].into());
    bench.page("p1", "P1");
    bench.pass(4);
    assert_eq!(told(&bench), ["0m ana email", "1m ana sms", "3m ana voice"]);
    // Of another severity they say nothing.
    let mut other = telephones();
    other.spec.notify = bench.spec.notify.clone();
    other.page("p1", "P0");
    assert_eq!(told(&other), ["0m ana voice", "0m ana sms", "0m ana email"]);
}

/// Rules that name only what a person has no address for silence nobody.
#[test]
fn a_page_waits_for_no_channel_that_is_not_there() {
    let mut bench = telephones();
    let p1 = "P1".parse().expect("a severity");
    let own = |text: &str| serde_json::from_str(text).expect("steps");
    let late = own(r#"[{"after": "0s", "channels": ["chat"]}, {"after": "4m", "channels": ["email"]}]"#);
    bench.spec.notify.insert(person("ana"), [(p1, late)].into());
    bench.page("p1", "P1");
    assert_eq!(
        told(&bench),
        ["0m ana email"],
        "there is no chat: the next step is the first"
    );

    let mut bench = telephones();
    let never = own(r#"[{"after": "0s", "channels": ["chat"]}]"#);
    bench.spec.notify.insert(person("ana"), [(p1, never)].into());
    bench.page("p1", "P1");
    assert_eq!(told(&bench), ["0m ana sms", "0m ana email"], "the policy's hold");
}

/// Who was told after the clock was set back was told in this round, and is insisted on.
#[test]
fn a_clock_that_is_set_back_ends_no_insistence() {
    let mut bench = Bench::with(|spec| {
        let turns = r#"{"title": "Turns", "channels": {"P1": ["email"]},
            "unacknowledged": {"P1": [{"after": "2m", "channels": ["chat"]}]},
            "levels": [{"after": "0s", "targets": [{"person": "ana"}, {"person": "ben"}],
                        "round_robin": {"every": "5m"}}]}"#;
        spec.policies.insert("chain".to_owned(), policy(turns));
    });
    bench.page("p1", "P1");
    bench.now -= SignedDuration::from_hours(1);
    let page = PageId::new("p1").expect("a name");
    let passed = bench.ask(OncallCommand::PassTurn {
        page: page.clone(),
        round: 0,
        level: 0,
    });
    assert_eq!(passed, Ok(2), "it is ben's turn");
    let insisted = bench.ask(OncallCommand::Insist(Insist {
        page,
        round: 0,
        level: 0,
        person: person("ben"),
        step: 1,
    }));
    assert_eq!(insisted, Ok(1));
    bench.restart();
    assert_eq!(told(&bench), ["0m ana email", "-60m ben email", "-60m ben chat"]);
}
