//! Routes that decide and tell nobody.

use jiff::SignedDuration;
use mainstay_alert::shadow::{CutOf, Told, in_force, report, without_route};
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
    let of = CutOf::Receiver("team".to_owned());
    bench
        .ask(AlertCommand::CutOver { of, live })
        .expect("a route tells it");
}

fn cut_route(bench: &mut Bench, name: &str, live: Option<bool>) {
    let of = CutOf::Route(name.to_owned());
    bench
        .ask(AlertCommand::CutOver { of, live })
        .expect("there is such a route");
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
fn a_receiver_that_no_route_tells_is_refused_and_so_is_a_name_of_no_route() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    let mut refused = |of: CutOf| {
        let live = Some(true);
        bench.ask(AlertCommand::CutOver { of, live }).err()
    };
    assert_eq!(
        refused(CutOf::Receiver("nobody".to_owned())),
        Some(AlertRefusal::UnknownReceiver("nobody".to_owned()))
    );
    assert!(matches!(
        refused(CutOf::Route("root > {cell=\"c1\"}".to_owned())),
        Some(AlertRefusal::UnknownRoute(_))
    ));
}

const TREE: &str = "{receiver: team, group_wait: 0s, group_interval: 1m, repeat_interval: 1h, shadow: true, routes: [
    {receiver: team, group_by: [cell], matchers: ['cell=\"c1\"'], routes: [{receiver: team, matchers: ['level=\"low\"']}]},
    {receiver: team, group_by: [cell], matchers: ['cell=\"c2\"']}]}";
const C1: &str = "root > {cell=\"c1\"}";

/// Which routes are in shadow: one letter each.
fn routes(bench: &Bench) -> String {
    let all = in_force(&bench.state, &bench.routing).into_iter();
    all.map(|one| if one.shadow { 's' } else { 'L' }).collect()
}

#[test]
fn a_route_is_cut_over_with_those_below_it_and_no_other() {
    let mut bench = Bench::new(routing(&["team"], TREE));
    for alert in ["A cell=c1", "B cell=c2", "C cell=c1 level=low"] {
        bench.fire(alert);
    }
    assert_eq!((facts(&bench), routes(&bench).as_str()), (vec![true; 3], "ssss"));
    cut_route(&mut bench, "{cell=\"c1\"}", Some(true));
    assert_eq!(routes(&bench), "sLLs");
    assert_eq!(
        bench.told()[3..],
        ["0s fired team: C", "0s fired team: A"],
        "what fires there is told"
    );
    assert_eq!(facts(&bench)[3..], [false, false]);
    cut_route(&mut bench, C1, Some(true));
    assert_eq!(bench.told().len(), 5, "said twice is said once");
    // The last that is said counts, and what is said of a route is said of all below it.
    cut_route(&mut bench, &format!("{C1} > {{level=\"low\"}}"), Some(false));
    assert_eq!(routes(&bench), "sLss");
    cut(&mut bench, Some(true));
    assert_eq!(routes(&bench), "LLLL");
    cut_route(&mut bench, C1, Some(false));
    assert_eq!(routes(&bench), "LssL");
    cut_route(&mut bench, "root", Some(false));
    assert_eq!(routes(&bench), "ssss");
    cut_route(&mut bench, "root", None);
    assert_eq!(bench.state.cut(), [], "as written, and nothing is kept");
    // A restart changes nothing of it.
    cut_route(&mut bench, C1, Some(true));
    bench.state = bench.replayed();
    assert_eq!(routes(&bench), "sLLs");
}

#[test]
fn what_is_cut_over_stays_so_when_a_catalog_puts_routes_before_it_or_takes_it_away_for_a_while() {
    let mut bench = Bench::new(routing(&["team"], TREE));
    cut_route(&mut bench, C1, Some(true));
    let first = "routes: [{receiver: team, matchers: ['cell=\"c0\"']},";
    bench.routing = routing(&["team"], &TREE.replacen("routes: [", first, 1));
    assert_eq!(routes(&bench), "ssLLs");
    assert_eq!(without_route(&bench.state, &bench.routing).len(), 0);
    let written = bench.routing.clone();
    bench.routing = routing(&["team"], ROUTE);
    assert_eq!(routes(&bench), "s");
    assert_eq!(
        without_route(&bench.state, &bench.routing),
        [&bench.state.cut()[0]]
    );
    bench.routing = written;
    assert_eq!(routes(&bench), "ssLLs");
}

#[test]
fn what_fires_in_shadow_stays_there_when_its_route_moves() {
    let mut bench = Bench::new(routing(&["team"], TREE));
    bench.fire("B cell=c2");
    // The same route at another place: its groups have other names, and those that fire are in none of them.
    let first = "routes: [{receiver: team, matchers: ['cell=\"c0\"']},";
    bench.routing = routing(&["team"], &TREE.replacen("routes: [", first, 1));
    bench.pass(SignedDuration::from_hours(2));
    assert_eq!(bench.told().len(), 3, "two reminders");
    assert_eq!(facts(&bench), [true, true, true]);
}

#[test]
fn whoever_heard_of_a_beginning_hears_of_the_end_whatever_was_recorded_between() {
    let mut bench = Bench::new(routing(&["team"], ROUTE));
    cut(&mut bench, Some(true));
    bench.fire("A cell=c1");
    bench.pass(seconds(60));
    cut(&mut bench, Some(false));
    bench.fire("B cell=c1");
    bench.pass(SignedDuration::from_mins(61));
    bench.end("A cell=c1");
    bench.end("B cell=c1");
    bench.fire("C cell=c1");
    bench.pass(seconds(60));
    bench.end("C cell=c1");
    // A leaves; B, and both again after an hour, are recorded; their end leaves; C never does.
    let (first, rest) = facts(&bench)
        .split_first()
        .map(|(one, rest)| (*one, rest.to_vec()))
        .expect("facts");
    assert!(!first, "A was told");
    assert_eq!(rest, [true, true, false, true, true], "{:?}", bench.told());
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
