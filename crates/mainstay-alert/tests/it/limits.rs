//! How much is taken and told at once, and that nothing is lost by that.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use mainstay_alert::silence::SILENCES_MAX;
use mainstay_alert::{
    AlertCommand, AlertEvent, AlertRefusal, AlertState, Alerts, FIRING_MAX_BYTES, SilenceDraft, SilenceId,
};
use mainstay_journal::Machine;
use mainstay_journal::store::COMMIT_MAX_EVENTS;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Digest, Matcher};
use serde_json::{Value, json};

use crate::bench::{Bench, labels, routing, routing_with};

/// Each of them is a group, and all that a receiver with four channels hears of them is more than one commit takes.
const MANY: usize = 3_000;
const ROUTE: &str =
    "{receiver: team, group_by: [n], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}";

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn fire_many(bench: &mut Bench, name: &str) {
    let many = (0..MANY).map(|n| bench.fires(&format!("{name} cell=c1 n={n}")));
    let many = many.collect();
    bench.observe(many);
}

/// How often each group was told that it fires.
fn told(bench: &Bench) -> BTreeMap<&str, usize> {
    let mut told = BTreeMap::new();
    for (event, _) in &bench.events {
        if let AlertEvent::Fired { fact } = event {
            *told.entry(fact.group.as_str()).or_default() += 1;
        }
    }
    told
}

fn each_is_told_once(bench: &Bench) {
    let told = told(bench);
    assert_eq!(told.len(), MANY);
    assert!(told.values().all(|times| *times == 1));
    assert_eq!(bench.replayed(), bench.state);
}

/// A bench whose receiver has four channels, with a silence of everything until its 20th minute.
fn silenced() -> Bench {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    let team = bench.routing.receivers.get_mut("team").expect("the receiver");
    team.chat = vec![team.chat[0].clone()];
    team.webhooks = ["a", "b", "c"]
        .map(|hook| mainstay_catalog::Spanned::nowhere(hook.to_owned()))
        .into();
    bench.silence("s", "cell=c1", 20);
    fire_many(&mut bench, "A");
    bench.pass(minutes(10));
    assert!(told(&bench).is_empty());
    bench
}

#[test]
fn what_a_silence_held_back_is_told_in_portions_when_its_time_is_over() {
    let mut bench = silenced();
    bench.pass(minutes(20));
    each_is_told_once(&bench);
    assert!(bench.largest.0 < COMMIT_MAX_EVENTS / 2, "{:?}", bench.largest);
    assert!(bench.largest.1 < COMMIT_MAX_EVENTS, "{:?}", bench.largest);
}

#[test]
fn what_a_silence_held_back_is_told_in_portions_when_it_is_ended_by_hand() {
    let mut bench = silenced();
    bench.largest = (0, 0);
    bench.end_silence("s");
    let at_once = told(&bench).len();
    assert!((100..MANY / 2).contains(&at_once), "{at_once}");
    // The rest does not wait for anything else to happen.
    bench.pass(SignedDuration::ZERO);
    each_is_told_once(&bench);
    assert!(bench.largest.1 < COMMIT_MAX_EVENTS, "{:?}", bench.largest);
}

#[test]
fn what_an_alert_inhibited_is_let_go_in_portions_when_it_ends() {
    let rules = "  inhibit_rules: [{source_matchers: ['alertname=Down'], target_matchers: ['alertname=Slow'], equal: [cell]}]\n";
    let mut bench = Bench::new(routing_with(&["team"], ROUTE, rules));
    bench.fire("Down cell=c1");
    fire_many(&mut bench, "Slow");
    bench.pass(minutes(10));
    assert_eq!(told(&bench).len(), 1);
    bench.largest = (0, 0);
    bench.end("Down cell=c1");
    assert!(bench.largest.0 < 1_000, "{:?}", bench.largest);
    assert!(
        bench.state.groups().any(|(_, group)| !group.held.is_empty()),
        "not all at once"
    );
    bench.pass(SignedDuration::ZERO);
    assert!(bench.state.groups().all(|(_, group)| group.held.is_empty()));
    bench.pass(minutes(10));
    assert_eq!(told(&bench).len(), 1 + MANY);
    assert!(told(&bench).values().all(|times| *times == 1));
    assert_eq!(bench.replayed(), bench.state);
}

#[test]
fn no_more_is_taken_than_a_snapshot_has_room_for_and_its_weight_is_known_of_any_snapshot() {
    let mut bench = Bench::new(routing(&["team"], "{receiver: team, group_by: ['...']}"));
    bench.fire("A n=0");
    let (first, meta) = bench.events[0].clone();
    let AlertEvent::Started {
        alert,
        severity,
        placements,
        believed_for_ms,
    } = first
    else {
        panic!("an alert starts first");
    };
    // Most of it is put in place directly, for the sake of time.
    let mut count = 0_u32;
    while bench.state.firing_bytes() <= FIRING_MAX_BYTES - (1 << 20) {
        count += 1;
        let mut alert = AlertFact {
            fingerprint: Digest::of(&count.to_be_bytes()),
            ..alert.clone()
        };
        alert.annotations.set("description", "x".repeat(1 << 18));
        let event = AlertEvent::Started {
            alert,
            severity,
            placements: placements.clone(),
            believed_for_ms,
        };
        Alerts::apply(&mut bench.state, &event, &meta);
    }
    // It is kept twice: itself, and what its group told. There is room for one and not for two.
    let room = FIRING_MAX_BYTES - bench.state.firing_bytes();
    let mut large = bench.fires("Large");
    large.annotations.set("description", "x".repeat(room * 3 / 10));
    let mut after = vec![large.clone(), large];
    after[1].labels = labels("Large n=1");
    bench.observe(after.clone());
    assert!(bench.state.alert(&after[0].labels.fingerprint()).is_some());
    assert!(
        bench.state.alert(&after[1].labels.fingerprint()).is_none(),
        "full"
    );
    assert!(bench.state.firing_bytes() <= FIRING_MAX_BYTES);
    bench.fire("Small");
    assert!(bench.state.alert(&labels("Small").fingerprint()).is_some());
    // One leaves and one comes: that fits.
    let over = bench.over("Large");
    bench.observe(vec![over, after[1].clone()]);
    assert!(bench.state.alert(&after[1].labels.fingerprint()).is_some());

    let text = serde_json::to_string(&bench.state).expect("a state is JSON");
    assert!(!text.contains("weight"), "it follows from the alerts");
    assert!(text.len() < FIRING_MAX_BYTES, "{}", text.len());
    let read: AlertState = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(read.firing_bytes(), bench.state.firing_bytes());
    assert_eq!(read, bench.state);
}

/// Only a new silence makes those forgotten whose time is over: it must not be refused because they are there.
#[test]
fn old_silences_keep_nobody_from_making_another() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    bench.silence("s", "cell=c1", 20);
    let mut state = serde_json::to_value(&bench.state).expect("a state is JSON");
    let one = state["silences"]["s"].clone();
    let many = (0..SILENCES_MAX).map(|number| {
        let mut silence = one.clone();
        silence["id"] = json!(format!("s{number}"));
        (format!("s{number}"), silence)
    });
    state["silences"] = Value::Object(many.collect());
    bench.state = serde_json::from_value(state).expect("it can be read");
    let ask = |bench: &mut Bench| {
        let draft = SilenceDraft {
            changes: None,
            matchers: vec![Matcher::equal("cell", "c2")],
            starts_at: bench.now,
            ends_at: bench.now + minutes(60),
            created_by: "thandi".to_owned(),
            comment: "planned".to_owned(),
        };
        bench.ask(AlertCommand::Silence(SilenceId::new("new"), draft))
    };
    assert_eq!(ask(&mut bench), Err(AlertRefusal::TooManySilences));
    bench.sleep(minutes(60 * 24 * 6));
    assert_eq!(ask(&mut bench), Ok(()));
    assert_eq!(bench.state.silences().count(), 1);
}
