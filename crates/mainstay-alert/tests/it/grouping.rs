//! When a group is told.

use jiff::SignedDuration;
use mainstay_alert::{AlertCommand, AlertEvent, Alerts, FIRING_MAX, Observation};
use mainstay_catalog::Spanned;
use mainstay_journal::Machine;
use mainstay_kernel::effect::{EffectBody, Recipient};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{ChannelName, Digest};

use crate::bench::{Bench, labels, routing};

const ROUTE: &str =
    "{receiver: team, group_by: [cell], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}";

fn bench() -> Bench {
    Bench::new(routing(&["team"], ROUTE))
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

#[test]
fn a_new_group_waits_for_more_and_is_told_once() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(20));
    bench.fire("B cell=c1");
    bench.fire("A cell=c2");
    bench.pass(seconds(3_000));
    assert_eq!(
        bench.told(),
        ["30s fired team: A B", "50s fired team: A"],
        "the wait begins with the first alert of the group"
    );
}

#[test]
fn an_alert_that_resolves_inside_the_wait_is_not_told() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(20));
    bench.end("A cell=c1");
    bench.pass(seconds(100_000));
    assert!(bench.told().is_empty(), "{:?}", bench.told());
    assert_eq!(bench.state.groups().count(), 0, "nothing is left of it");

    bench.fire("A cell=c1");
    bench.pass(seconds(5));
    bench.fire("B cell=c1");
    bench.end("A cell=c1");
    bench.pass(seconds(60));
    assert_eq!(bench.told(), ["100050s fired team: B"], "only what still fires");
}

#[test]
fn a_group_that_comes_back_inside_the_old_wait_gets_a_whole_wait() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(10));
    bench.end("A cell=c1");
    bench.pass(seconds(10));
    bench.fire("A cell=c1");
    bench.pass(seconds(100));
    assert_eq!(bench.told(), ["50s fired team: A"]);
}

#[test]
fn news_of_a_told_group_waits_for_the_interval() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(60));
    bench.fire("B cell=c1");
    bench.pass(seconds(1_000));
    bench.fire("C cell=c1");
    bench.pass(seconds(10));
    assert_eq!(
        bench.told(),
        [
            "30s fired team: A",
            "330s fired team: A B",
            "1060s fired team: A B C"
        ],
        "once the interval has passed, news need not wait"
    );
}

#[test]
fn an_unchanged_group_is_told_again_and_news_restart_that_clock() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(14_430 + 100));
    bench.fire("B cell=c1");
    bench.pass(seconds(14_600));
    assert_eq!(
        bench.told(),
        [
            "30s fired team: A",
            "14430s again team: A",
            "14730s fired team: A B",
            "29130s again team: A B"
        ]
    );
}

#[test]
fn relief_never_waits_and_names_everything_that_was_told() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.fire("B cell=c1");
    bench.pass(seconds(40));
    bench.end("A cell=c1");
    bench.pass(seconds(5));
    bench.end("B cell=c1");
    assert_eq!(bench.told(), ["30s fired team: A B", "45s over team: A B"]);
    assert_eq!(bench.state.groups().count(), 0);
    bench.pass(seconds(100_000));
    assert_eq!(bench.told().len(), 2, "no clock of it rings any more");
}

/// That a part of a group is over is told when its interval has passed, as in Alertmanager, and is not told again.
#[test]
fn what_is_over_in_a_group_that_still_fires_is_told_with_its_next_news() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.fire("B cell=c1");
    bench.pass(seconds(40));
    bench.end("A cell=c1");
    bench.pass(seconds(14_400));
    bench.end("B cell=c1");
    assert_eq!(
        bench.told(),
        ["30s fired team: A B", "330s eased team: B", "14440s over team: B"]
    );
}

/// After a standstill the reminder is overdue when news come: they are news, not part of a reminder.
#[test]
fn news_beside_an_overdue_reminder_are_told_as_news() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(31));
    bench.sleep(seconds(20_000));
    bench.fire("B cell=c1");
    bench.ring_until(bench.now);
    assert_eq!(bench.told(), ["30s fired team: A", "20031s fired team: A B"]);
}

#[test]
fn a_p0_is_told_at_once_together_with_what_waits() {
    let mut bench = bench();
    bench.fire("A cell=c1 priority=P2");
    bench.pass(seconds(5));
    bench.fire("B cell=c1 priority=P0");
    bench.pass(seconds(10));
    bench.fire("C cell=c1 priority=P0");
    bench.fire("C cell=c1 priority=P0");
    bench.pass(seconds(100));
    assert_eq!(
        bench.told(),
        ["5s fired team: A B", "15s fired team: A B C"],
        "and the wait that it cut short rings no more"
    );
}

#[test]
fn a_route_without_a_wait_tells_the_first_at_once() {
    let mut bench = Bench::new(routing(
        &["team"],
        "{receiver: team, group_by: [cell], group_wait: 0s, group_interval: 1m}",
    ));
    let batch = vec![bench.fires("A cell=c1"), bench.fires("B cell=c1")];
    bench.observe(batch);
    assert_eq!(bench.told(), ["0s fired team: A B"], "one batch is one message");
    bench.pass(seconds(10));
    bench.fire("C cell=c1");
    bench.pass(seconds(60));
    assert_eq!(bench.told()[1..], ["60s fired team: A B C"]);
}

#[test]
fn what_is_known_is_no_news() {
    let mut bench = bench();
    for _ in 0..10 {
        bench.fire("A cell=c1");
        bench.pass(seconds(15));
    }
    assert_eq!(bench.told(), ["30s fired team: A"]);
    assert_eq!(bench.events.len(), 2, "started, fired");
    bench.end("B cell=c1");
    assert_eq!(bench.events.len(), 2, "the end of what never fired is nothing");
}

#[test]
fn what_begins_and_ends_in_one_batch_leaves_no_trace_in_the_state() {
    let mut bench = bench();
    let batch = vec![
        bench.fires("A cell=c1"),
        bench.over("A cell=c1"),
        bench.fires("B cell=c1 priority=P0"),
        bench.over("B cell=c1 priority=P0"),
    ];
    bench.observe(batch);
    bench.pass(seconds(100));
    assert!(bench.told().is_empty(), "{:?}", bench.told());
    assert_eq!(bench.state, mainstay_alert::AlertState::default());
    assert_eq!(bench.events.len(), 4, "the journal knows of both");
}

#[test]
fn what_ends_and_begins_again_in_one_batch_goes_on() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(60));
    let batch = vec![bench.over("A cell=c1"), bench.fires("A cell=c1")];
    bench.observe(batch);
    bench.pass(seconds(1_000));
    assert_eq!(bench.told(), ["30s fired team: A"]);
    assert_eq!(bench.state.firing().count(), 1);
    bench.end("A cell=c1");
    assert_eq!(bench.told()[1..], ["1060s over team: A"]);
}

#[test]
fn an_alert_that_fires_again_after_its_group_was_over_is_told_anew() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(40));
    bench.end("A cell=c1");
    bench.pass(seconds(10));
    bench.fire("A cell=c1");
    bench.pass(seconds(100));
    assert_eq!(
        bench.told(),
        ["30s fired team: A", "40s over team: A", "80s fired team: A"]
    );
}

/// An alert in a told group ends and is back before anybody was told that it ended: that is no news (as in
/// Alertmanager, where only the state at the next tick counts), and no tick is promised any more.
#[test]
fn a_flap_inside_a_told_group_is_not_told() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.fire("B cell=c1");
    bench.pass(seconds(40));
    bench.fire("C cell=c1");
    bench.end("C cell=c1");
    bench.end("B cell=c1");
    bench.fire("B cell=c1");
    let (_, group) = bench.state.groups().next().expect("a group");
    assert_eq!(group.flush_at, None, "nothing waits to be told");
    bench.pass(seconds(1_000));
    assert_eq!(bench.told(), ["30s fired team: A B"]);
}

#[test]
fn a_change_of_the_routes_moves_only_what_begins_after_it() {
    let mut bench = bench();
    bench.fire("A cell=c1");
    bench.pass(seconds(40));
    bench.routing = routing(&["other"], "{receiver: other, group_by: [cell], group_wait: 0s}");
    bench.fire("B cell=c1");
    let batch = vec![bench.over("A cell=c1"), bench.fires("A cell=c1")];
    bench.observe(batch);
    bench.pass(seconds(400));
    assert_eq!(
        bench.told(),
        [
            "30s fired team: A",
            "40s fired other: B",
            "40s over team: A",
            "340s fired other: A B"
        ]
    );
}

#[test]
fn no_more_alerts_are_taken_than_there_is_room_for_and_ends_always_are() {
    let mut bench = Bench::new(routing(&["team"], "{receiver: team, group_by: ['...']}"));
    let first: Vec<Observation> = ["A n=7", "A n=8"].map(|text| bench.fires(text)).into();
    bench.observe(first);
    // The rest is put in place directly, for the sake of time.
    let (started, meta) = bench.events[0].clone();
    let AlertEvent::Started {
        alert,
        severity,
        placements,
        believed_for_ms,
    } = started
    else {
        panic!("an alert starts first");
    };
    for number in 2..FIRING_MAX {
        let event = AlertEvent::Started {
            alert: AlertFact {
                fingerprint: Digest::of(&number.to_be_bytes()),
                ..alert.clone()
            },
            severity,
            placements: placements.clone(),
            believed_for_ms,
        };
        Alerts::apply(&mut bench.state, &event, &meta);
    }
    let one_more = AlertCommand::Observe(vec![bench.fires("B")]);
    bench.ask(one_more.clone()).expect("it is left out");
    assert!(bench.state.alert(&labels("B").fingerprint()).is_none());
    assert_eq!(bench.state.firing().count(), FIRING_MAX);
    // One leaves and one comes: that fits.
    let swap = vec![bench.over("A n=7"), bench.fires("B")];
    bench.ask(AlertCommand::Observe(swap)).expect("room for one");
    assert!(bench.state.alert(&labels("B").fingerprint()).is_some());
    bench.end("A n=8");
    assert_eq!(bench.state.firing().count(), FIRING_MAX - 1);
}

/// One event tells of a whole group, so a group has a limit; others are not concerned.
#[test]
fn a_group_that_is_too_large_takes_no_more_and_others_do() {
    let mut bench = bench();
    let long = "x".repeat(4_000);
    let storm: Vec<Observation> = (0..200)
        .map(|number| {
            let mut one = bench.fires(&format!("A cell=c1 n={number}"));
            one.annotations.set("description", long.clone());
            one
        })
        .collect();
    bench.observe(storm.clone());
    let taken = bench.state.firing().count();
    assert!((50..150).contains(&taken), "{taken} of 200");
    bench.observe(storm);
    assert_eq!(
        bench.state.firing().count(),
        taken,
        "told again, it is still full"
    );
    bench.fire("A cell=c2");
    assert_eq!(bench.state.firing().count(), taken + 1);
    bench.end("A cell=c1 n=0");
    let mut late = bench.fires("A cell=c1 n=1000");
    late.annotations.set("description", long);
    bench.observe(vec![late]);
    assert_eq!(bench.state.firing().count(), taken + 1, "one left, one came");
}

#[test]
fn every_channel_of_the_receiver_is_told_with_a_key_of_its_own() {
    let mut bench = bench();
    let team = bench.routing.receivers.get_mut("team").expect("the receiver");
    let channel = ChannelName::new("#all").expect("a name");
    team.chat.push(Spanned::nowhere(channel));
    team.webhooks.push(Spanned::nowhere("hook".to_owned()));
    team.email.push("a@b.example".to_owned());
    bench.fire("A cell=c1");
    bench.pass(seconds(40));
    bench.end("A cell=c1");
    let sent: Vec<(&Recipient, bool)> = bench
        .effects
        .iter()
        .filter_map(|effect| match &effect.body {
            EffectBody::Deliver(deliver) => Some((&deliver.to, deliver.message.resolved)),
            EffectBody::Act(_) => None,
        })
        .collect();
    assert_eq!(sent.len(), 8, "{sent:?}");
    assert_eq!(sent.iter().filter(|(_, resolved)| *resolved).count(), 4);
    let keys: std::collections::BTreeSet<&str> =
        bench.effects.iter().map(|effect| effect.key.as_str()).collect();
    assert_eq!(keys.len(), 8);
}

#[test]
fn a_channel_is_told_what_fires_and_what_is_over_as_an_alertmanager_tells_it() {
    let sent = |send_resolved: bool| {
        let mut bench = Bench::new(routing(
            &["team"],
            "{receiver: team, routes: [{receiver: team, matchers: ['cell=c1', 'alertname!=\"Z\"'], group_by: [cell], group_wait: 30s}]}",
        ));
        let team = bench.routing.receivers.get_mut("team").expect("the receiver");
        team.send_resolved = send_resolved;
        let mut first = bench.fires("B cell=c1");
        first.annotations.set("generator_url", "http://g");
        first.annotations.set("summary", "both");
        let mut second = bench.fires("A cell=c1");
        second.annotations.set("summary", "both");
        bench.observe(vec![first, second]);
        bench.pass(seconds(40));
        bench.end("A cell=c1");
        bench.pass(seconds(400));
        bench.end("B cell=c1");
        let told = bench.effects.iter().map(|effect| match &effect.body {
            EffectBody::Deliver(deliver) => *deliver.message.notification.clone().expect("alerts"),
            EffectBody::Act(_) => panic!("nobody is to act"),
        });
        told.collect::<Vec<_>>()
    };
    let told = sent(true);
    let said: Vec<Vec<(&str, &str)>> = told
        .iter()
        .map(|one| {
            let alerts = one.alerts.iter();
            alerts
                .map(|alert| (alert.labels.get("alertname").unwrap_or_default(), alert.status()))
                .collect()
        })
        .collect();
    assert_eq!(
        said,
        [
            vec![("A", "firing"), ("B", "firing")],
            vec![("A", "resolved"), ("B", "firing")],
            vec![("B", "resolved")],
        ]
    );
    let first = &told[0];
    assert_eq!(
        first.group.text,
        "{}/{alertname!=\"Z\",cell=\"c1\"}:{cell=\"c1\"}"
    );
    assert_eq!(
        first.group.labels,
        mainstay_kernel::Labels::from_iter([("cell", "c1")])
    );
    assert_eq!(first.common_annotations().get("summary"), Some("both"));
    assert_eq!(first.alerts[1].generator_url, "http://g");
    assert!(
        told.iter()
            .all(|one| one.group == first.group && one.receiver == "team")
    );
    let ended = |one: &mainstay_kernel::notification::Notification, at: usize| one.alerts[at].ended_at;
    assert_eq!(ended(&told[1], 0), Some(first.alerts[0].starts_at + seconds(40)));
    assert_eq!(ended(&told[2], 0), Some(first.alerts[0].starts_at + seconds(440)));

    let told = sent(false);
    assert_eq!(told.len(), 1, "nothing of what is over");
}
