//! Routes that decide and tell nobody.

use jiff::SignedDuration;
use mainstay_alert::shadow::{Told, report};
use mainstay_alert::{AlertCommand, AlertEvent, AlertRefusal};
use mainstay_kernel::Digest;
use mainstay_kernel::effect::EffectBody;

use crate::bench::{Bench, routing};

const ROUTE: &str = "{receiver: team, group_by: [cell], group_wait: 10s, group_interval: 1m, repeat_interval: 1h, shadow: true}";

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

/// Whether each message that was made is of a shadow.
fn shadows(bench: &Bench) -> Vec<bool> {
    let of = bench.effects.iter().map(|effect| match &effect.body {
        EffectBody::Deliver(deliver) => deliver.message.notification.as_ref().expect("of a group").shadow,
        EffectBody::Act(_) => panic!("nothing is done"),
    });
    of.collect()
}

fn facts(bench: &Bench) -> Vec<bool> {
    let of = bench.events.iter().filter_map(|(event, _)| match event {
        AlertEvent::Fired { fact } | AlertEvent::Reminded { fact } => Some(fact.shadow),
        AlertEvent::Resolved { fact } => Some(fact.shadow),
        _ => None,
    });
    of.collect()
}

fn cut(bench: &mut Bench, live: Option<bool>) {
    let receiver = "team".to_owned();
    bench
        .ask(AlertCommand::CutOver { receiver, live })
        .expect("a route tells it");
}

#[test]
fn a_shadow_decides_as_ever_and_marks_all_of_it() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    bench.fire("A cell=c1");
    bench.pass(seconds(30));
    bench.end("A cell=c1");
    assert_eq!(bench.told(), ["10s fired team: A", "30s over team: A"]);
    assert_eq!(facts(&bench), [true, true]);
    assert!(
        shadows(&bench).iter().all(|shadow| *shadow),
        "{:?}",
        bench.effects
    );
}

#[test]
fn what_fires_is_told_when_its_receiver_is_cut_over_and_its_end_to_whoever_heard() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    bench.fire("A cell=c1");
    bench.pass(seconds(60));
    cut(&mut bench, Some(true));
    assert_eq!(bench.told(), ["10s fired team: A", "60s fired team: A"]);
    assert_eq!(facts(&bench), [true, false]);
    // A restart changes nothing of it.
    bench.state = bench.replayed();
    bench.pass(seconds(60));
    cut(&mut bench, Some(false));
    assert_eq!(bench.told().len(), 2, "nothing is told of the way back");
    bench.end("A cell=c1");
    assert_eq!(
        facts(&bench),
        [true, false, false],
        "the end goes where the beginning went"
    );
    bench.fire("A cell=c1");
    bench.pass(seconds(60));
    assert_eq!(
        facts(&bench).last(),
        Some(&true),
        "and what begins now is in shadow again"
    );
    cut(&mut bench, None);
    assert_eq!(facts(&bench).last(), Some(&true), "as the route says");
}

#[test]
fn a_catalog_without_the_shadow_tells_what_fires_at_the_next_reminder_as_news() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    bench.fire("A cell=c1");
    bench.pass(seconds(60));
    bench.routing = routing(&["team"], &ROUTE.replace(", shadow: true", ""));
    bench.pass(SignedDuration::from_hours(1));
    assert_eq!(bench.told(), ["10s fired team: A", "3610s fired team: A"]);
    assert_eq!(facts(&bench), [true, false]);
}

#[test]
fn a_receiver_that_no_route_tells_is_refused() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    let receiver = "nobody".to_owned();
    let refused = bench.ask(AlertCommand::CutOver {
        receiver,
        live: Some(true),
    });
    assert_eq!(refused, Err(AlertRefusal::UnknownReceiver("nobody".to_owned())));
}

#[test]
fn both_are_paired_by_group_or_alert_and_time() {
    let told = |seconds: i64, group: &str, alert: &str, resolved: bool| Told {
        event: mainstay_kernel::EventId::from_bytes([0; 16]),
        at: jiff::Timestamp::from_second(1_000_000 + seconds).expect("an instant"),
        receiver: "team".to_owned(),
        groups: vec![group.to_owned()],
        alerts: [Digest::of(alert.as_bytes())].into(),
        title: alert.to_owned(),
        resolved,
    };
    let ours = vec![
        told(0, "g", "A", false),
        told(60, "g", "A", true),
        told(0, "mine", "B", false),
    ];
    let theirs = vec![
        told(40, "g", "A", true),
        told(20, "other words", "A", false),
        told(2_000, "mine", "B", false),
    ];
    let report = report(ours, theirs);
    let pairs: Vec<_> = report
        .both
        .iter()
        .map(|(our, their)| (our.resolved, their.groups[0].as_str()))
        .collect();
    assert_eq!(pairs, [(false, "other words"), (true, "g")]);
    assert_eq!(report.only_ours.len(), 1);
    assert_eq!(report.only_theirs.len(), 1, "half an hour later is another");
}
