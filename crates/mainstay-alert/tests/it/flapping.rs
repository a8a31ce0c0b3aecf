//! Alerts that begin and end and begin again.

use jiff::SignedDuration;
use mainstay_alert::{AlertEvent, HeldBy, Suppressions};
use mainstay_kernel::effect::EffectBody;

use crate::bench::{Bench, labels, routing};

const ROUTE: &str =
    "{receiver: team, group_by: [cell], group_wait: 10s, group_interval: 1m, repeat_interval: 4h,
    flapping: {starts: 3, within: 10m}}";

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

/// Begins and ends so often, half a minute each.
fn flap(bench: &mut Bench, alert: &str, times: usize) {
    for _ in 0..times {
        bench.fire(alert);
        bench.pass(seconds(30));
        bench.end(alert);
        bench.pass(seconds(30));
    }
}

#[test]
fn a_flapping_alert_is_told_once_and_its_end_when_it_is_stable() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    flap(&mut bench, "A cell=c1", 8);
    let told = [
        "10s fired team: A",
        "30s over team: A",
        "70s fired team: A",
        "90s over team: A",
        "130s fired team: A",
        "150s over team: A",
        "180s flapping team: A",
    ];
    assert_eq!(bench.told(), told);
    bench.pass(seconds(3_600));
    // The last end was at 450 s; ten minutes later it is stable.
    assert_eq!(bench.told()[7..], ["1050s over team: A"]);
    assert_eq!(bench.state.groups().count(), 0);
    assert_eq!(bench.replayed(), bench.state);

    let said: Vec<&str> = bench
        .effects
        .iter()
        .filter_map(|effect| match &effect.body {
            EffectBody::Deliver(deliver) => Some(deliver.message.body.as_str()),
            EffectBody::Act(_) => None,
        })
        .filter(|body| body.contains("began 4 times in 600 s"))
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn what_flaps_says_so_and_what_fires_after_it_is_told_anew() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    flap(&mut bench, "A cell=c1 priority=P0", 5);
    bench.fire("A cell=c1 priority=P0");
    let id = labels("A cell=c1 priority=P0").fingerprint();
    let alert = bench.state.alert(&id).expect("it fires");
    let held = Suppressions::at(&bench.state, &bench.routing, bench.now).of(alert);
    // Beginnings are counted up to one more than it may have.
    assert_eq!(held.flapping.as_deref(), Some("flapping: began 4 times in 600 s"));
    assert!(held.is_none(), "and is told all the same");
    let noted = bench.events.iter().find_map(|(event, _)| match event {
        AlertEvent::Flapping { flapping, .. } => Some(flapping[0].by.clone()),
        _ => None,
    });
    let expected = HeldBy::Flapping {
        starts: 4,
        within_ms: 600_000,
    };
    assert_eq!(noted, Some(expected));
    bench.pass(seconds(700));
    let told = bench.told();
    assert_eq!(
        told.last().map(String::as_str),
        Some("900s fired team: A"),
        "{told:?}"
    );
    bench.end("A cell=c1 priority=P0");
    assert_eq!(
        bench.told().last().map(String::as_str),
        Some("1000s over team: A")
    );
}

#[test]
fn others_of_its_group_are_told_as_ever() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    bench.fire("B cell=c1");
    flap(&mut bench, "A cell=c1", 5);
    let before = bench.told().len();
    bench.fire("C cell=c1");
    bench.pass(seconds(120));
    assert_eq!(bench.told()[before..], ["300s fired team: B C"]);
    bench.end("B cell=c1");
    bench.end("C cell=c1");
    bench.pass(seconds(3_600));
    let told = bench.told();
    assert_eq!(told[before + 1..], ["420s eased team: ", "870s over team: A"]);
}

#[test]
fn what_is_not_asked_for_does_not_flap() {
    let mut bench = Bench::new(routing(&["team"], "{receiver: team, group_wait: 0s}"));
    flap(&mut bench, "A", 20);
    assert_eq!(bench.told().len(), 40);
}
