//! What keeps an alert from being told, and what happens when that ends.

use jiff::SignedDuration;
use mainstay_alert::{AlertCommand, AlertRefusal, SilenceDraft, SilenceId, SilenceStatus, Suppressions};
use mainstay_kernel::{MatchOp, Matcher};

use crate::bench::{Bench, routing, routing_with};

const ROUTE: &str =
    "{receiver: team, group_by: [cell], group_wait: 30s, group_interval: 5m, repeat_interval: 1h}";

fn bench() -> Bench {
    Bench::new(routing(&["team"], ROUTE))
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn draft(bench: &Bench) -> SilenceDraft {
    SilenceDraft {
        changes: None,
        matchers: vec![Matcher::equal("cell", "c1")],
        starts_at: bench.now,
        ends_at: bench.now + minutes(60),
        created_by: "thandi".to_owned(),
        comment: "planned".to_owned(),
    }
}

#[test]
fn what_is_silenced_is_told_when_the_silence_ends() {
    let mut bench = bench();
    bench.silence("s", "alertname=A", 20);
    bench.fire("A cell=c1");
    bench.fire("B cell=c1");
    bench.pass(minutes(10));
    assert_eq!(bench.told(), ["30s fired team: B"]);
    assert_eq!(bench.held(), ["30s silenced by s"], "and the journal says why");
    bench.pass(minutes(20));
    assert_eq!(bench.told()[1..], ["1200s fired team: A B"]);
}

#[test]
fn what_ends_silenced_is_never_told() {
    let mut bench = bench();
    bench.silence("s", "alertname=A", 20);
    bench.fire("A cell=c1");
    bench.pass(minutes(10));
    bench.end("A cell=c1");
    bench.pass(minutes(600));
    assert!(bench.told().is_empty(), "{:?}", bench.told());
    assert_eq!(bench.state.groups().count(), 0);
}

#[test]
fn a_silence_of_what_was_told_stops_reminders_and_not_relief() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(minutes(1));
    bench.silence("s", "alertname=A", 90);
    bench.pass(minutes(80));
    assert_eq!(
        bench.told(),
        ["30s fired team: A"],
        "the reminder of an hour later"
    );
    bench.pass(minutes(20));
    assert_eq!(bench.told()[1..], ["5460s again team: A"], "when it is over");
    bench.silence("t", "alertname=A", 90);
    bench.end("A cell=c1");
    assert_eq!(bench.told()[2..], ["6060s over team: A"]);
}

#[test]
fn a_silence_that_is_ended_by_hand_lets_go_at_once() {
    let mut bench = bench();
    bench.silence("s", "cell=c1", 600);
    bench.fire("A cell=c1 priority=P0");
    bench.pass(minutes(10));
    assert!(bench.told().is_empty(), "a P0 is silenced like any other");
    bench.end_silence("s");
    assert_eq!(bench.told(), ["600s fired team: A"]);
    let again = bench.ask(AlertCommand::EndSilence(SilenceId::new("s")));
    assert_eq!(again, Err(AlertRefusal::SilenceIsOver(SilenceId::new("s"))));
}

#[test]
fn two_silences_hold_until_the_last_ends() {
    let mut bench = bench();
    bench.silence("s", "cell=c1", 10);
    bench.silence("t", "alertname=A", 20);
    bench.fire("A cell=c1");
    bench.pass(minutes(30));
    assert_eq!(bench.held(), ["30s silenced by s", "600s silenced by t"]);
    assert_eq!(bench.told(), ["1200s fired team: A"]);
}

#[test]
fn a_silence_changes_in_place_or_makes_room_for_another() {
    let mut bench = bench();
    bench.silence("s", "cell=c1", 60);
    bench.pass(minutes(10));
    let change = |bench: &mut Bench, new: &str, draft: SilenceDraft| {
        bench.ask(AlertCommand::Silence(SilenceId::new(new), draft))
    };
    let longer = SilenceDraft {
        changes: Some(SilenceId::new("s")),
        starts_at: bench.now - minutes(10),
        ends_at: bench.now + minutes(600),
        ..draft(&bench)
    };
    change(&mut bench, "new", longer.clone()).expect("its end may change");
    assert_eq!(bench.state.silences().count(), 1);
    let other = SilenceDraft {
        matchers: vec![Matcher::equal("cell", "c2")],
        ..longer.clone()
    };
    change(&mut bench, "new", other).expect("other matchers make another silence");
    let mut states = bench
        .state
        .silences()
        .map(|one| (one.id.as_str(), one.status(bench.now)));
    assert_eq!(states.next(), Some(("new", SilenceStatus::Active)));
    assert_eq!(states.next(), Some(("s", SilenceStatus::Expired)));
    drop(states);
    let unknown = SilenceDraft {
        changes: Some(SilenceId::new("u")),
        ..longer
    };
    assert_eq!(
        change(&mut bench, "v", unknown),
        Err(AlertRefusal::UnknownSilence(SilenceId::new("u")))
    );
    bench.pass(minutes(60 * 24 * 7));
    bench.silence("last", "cell=c9", 1);
    assert_eq!(bench.state.silences().count(), 1, "the old ones are forgotten");
}

#[test]
fn a_silence_without_sense_is_refused() {
    let mut bench = bench();
    let everything = Matcher::new("cell", MatchOp::Matches, ".*").expect("a matcher");
    let good = draft(&bench);
    let bad = [
        SilenceDraft {
            matchers: Vec::new(),
            ..good.clone()
        },
        SilenceDraft {
            matchers: vec![everything, Matcher::equal("absent", "")],
            ..good.clone()
        },
        SilenceDraft {
            ends_at: bench.now,
            ..good.clone()
        },
        SilenceDraft {
            matchers: vec![Matcher::equal("", "c")],
            ..good.clone()
        },
        SilenceDraft {
            comment: "x".repeat(20_000),
            ..good.clone()
        },
    ];
    for draft in bad {
        let refused = bench.ask(AlertCommand::Silence(SilenceId::new("s"), draft));
        assert!(matches!(refused, Err(AlertRefusal::BadSilence(_))), "{refused:?}");
    }
    assert_eq!(bench.state.silences().count(), 0);
}

#[test]
fn an_inhibited_alert_waits_for_the_end_of_the_other_and_then_for_its_own() {
    let rules = "  inhibit_rules: [{source_matchers: ['alertname=Down'], target_matchers: ['alertname=Slow'], equal: [cell]}]\n";
    let mut bench = Bench::new(routing_with(&["team"], ROUTE, rules));
    bench.fire("Slow cell=c2");
    bench.fire("Down cell=c1");
    bench.fire("Slow cell=c1");
    bench.pass(minutes(10));
    assert_eq!(bench.told(), ["30s fired team: Slow", "30s fired team: Down"]);
    assert_eq!(bench.held(), ["30s inhibited"]);
    let slow = bench.fires("Slow cell=c1").labels.fingerprint();
    let alert = bench.state.alert(&slow).expect("it fires");
    let now = Suppressions::at(&bench.state, &bench.routing, bench.now).of(alert);
    assert_eq!(now.inhibited_by.len(), 1, "{now:?}");
    // Both end, one soon after the other: there is nothing to tell of the second.
    bench.end("Down cell=c1");
    bench.pass(minutes(2));
    bench.end("Slow cell=c1");
    bench.pass(minutes(10));
    assert_eq!(bench.told()[2..], ["600s over team: Down"]);
    // It goes on alone.
    bench.fire("Down cell=c1");
    bench.fire("Slow cell=c1");
    bench.pass(minutes(1));
    bench.end("Down cell=c1");
    bench.pass(minutes(10));
    let told = bench.told();
    assert!(
        told.last().is_some_and(|last| last.ends_with("fired team: Slow")),
        "{told:?}"
    );
}

#[test]
fn a_route_is_muted_and_active_by_the_clock() {
    // The bench begins on a Monday at 10:00 UTC.
    let route = "{receiver: team, group_by: [cell], group_wait: 30s, group_interval: 5m, repeat_interval: 4h, routes: [
        {matchers: ['team=a'], receiver: team, mute_time_intervals: [lunch]},
        {matchers: ['team=b'], receiver: team, active_time_intervals: [afternoon]}]}";
    let intervals = "  time_intervals:
    - {name: lunch, time_intervals: [{times: [{start_time: '09:30', end_time: '11:00'}], weekdays: ['monday:friday']}]}
    - {name: afternoon, time_intervals: [{times: [{start_time: '14:00', end_time: '18:00'}], location: Africa/Nairobi}]}
";
    let mut bench = Bench::new(routing_with(&["team"], route, intervals));
    bench.fire("A cell=c1 team=a");
    bench.fire("B cell=c1 team=b");
    bench.fire("C cell=c1");
    bench.pass(minutes(300));
    assert_eq!(
        bench.told()[..3],
        ["30s fired team: C", "3600s fired team: A", "3600s fired team: B"],
        "11:00 in London is 14:00 in Nairobi"
    );
    let held = bench.held();
    assert!(held.contains(&"30s muted by lunch".to_owned()), "{held:?}");
    assert!(held.contains(&"30s inactive".to_owned()), "{held:?}");
    bench.end("A cell=c1 team=a");
    bench.pass(minutes(60 * 19));
    bench.fire("A cell=c1 team=a");
    bench.pass(minutes(1));
    bench.end("A cell=c1 team=a");
    assert_eq!(
        bench.held().last().map(|line| line.contains("muted by lunch")),
        Some(true),
        "on the next day it is muted again"
    );
}
