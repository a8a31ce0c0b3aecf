//! What holds after any sequence of observations, pauses and standstills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::SignedDuration;
use mainstay_alert::{AlertEvent, Observation, Silence, SilenceStatus, Suppressions};
use mainstay_catalog::response::Routing;
use mainstay_kernel::Digest;
use proptest::prelude::*;

use crate::bench::{Bench, routing_with};

#[derive(Debug, Clone)]
enum Step {
    /// Alerts by number, and whether they are over.
    Observe(Vec<(u8, bool)>),
    /// Time passes and timers ring.
    Pass(i64),
    /// Time passes and nobody listens.
    Sleep(i64),
    /// The other routing comes into force.
    Reroute,
    /// Alerts of a name are silenced for some minutes.
    Silence(u8, i64),
    /// The oldest silence ends.
    EndSilence,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0_u8..8, any::<bool>()), 1..5).prop_map(Step::Observe),
        4 => prop_oneof![0_i64..60, 0_i64..600, 0_i64..20_000].prop_map(Step::Pass),
        1 => (0_i64..20_000).prop_map(Step::Sleep),
        1 => Just(Step::Reroute),
        2 => (0_u8..4, 1_i64..200).prop_map(|(number, minutes)| Step::Silence(number, minutes)),
        1 => Just(Step::EndSilence),
    ]
}

const WRITTEN: [&str; 2] = [
    "{receiver: team, group_by: [cell], group_wait: 30s, group_interval: 5m, repeat_interval: 1h, routes: [
        {receiver: chat, matchers: ['cell=c1'], group_by: [alertname], group_wait: 0s, continue: true,
         flapping: {starts: 2, within: 10m}},
        {receiver: team, matchers: ['cell=c1'], group_interval: 1m, flapping: {starts: 1, within: 1h}}]}",
    "{receiver: chat, group_by: [], group_wait: 10s, group_interval: 1m, repeat_interval: 20m}",
];

/// In a cell, A0 says what A1 and A2 say; A2 says what A3 says.
const INHIBITS: &str = "  inhibit_rules:
    - {source_matchers: ['alertname=A0'], target_matchers: ['alertname=~\"A[12]\"'], equal: [cell]}
    - {source_matchers: ['alertname=A2'], target_matchers: ['alertname=A3'], equal: [cell]}
";

static ROUTES: LazyLock<[Routing; 2]> =
    LazyLock::new(|| WRITTEN.map(|route| routing_with(&["team", "chat"], route, INHIBITS)));

/// Eight alerts in two cells; one of them is a P0.
fn alert(bench: &Bench, number: u8, over: bool) -> Observation {
    let priority = if number == 5 { "P0" } else { "P2" };
    let text = format!("A{} cell=c{} priority={priority}", number % 4, number / 4);
    if over {
        bench.over(&text)
    } else {
        bench.fires(&text)
    }
}

/// What was said, checked event by event against a model that knows nothing of groups' clocks.
fn check(bench: &Bench) {
    let mut firing: BTreeSet<Digest> = BTreeSet::new();
    let mut ever: BTreeSet<Digest> = BTreeSet::new();
    // What each group's receiver believes to fire: everything it was told of since the group was last over.
    let mut believed: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    // Whose ends are kept back, by group; and the groups in which that has just ended.
    let mut flapping: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    for (event, _) in &bench.events {
        match event {
            AlertEvent::Started {
                alert, placements, ..
            } => {
                assert!(firing.insert(alert.fingerprint), "started twice");
                ever.insert(alert.fingerprint);
                assert!(!placements.is_empty(), "every alert is routed somewhere");
            }
            AlertEvent::Ended { fingerprint, .. } => {
                assert!(firing.remove(fingerprint), "ended without having fired");
            }
            AlertEvent::Flapping { fact, flapping: told } => {
                let now: BTreeSet<Digest> = fact.firing.iter().map(|alert| alert.fingerprint).collect();
                assert!(now.is_subset(&firing), "told of what does not fire");
                let flaps = flapping.entry(&fact.group).or_default();
                for one in told {
                    assert!(now.contains(&one.fingerprint), "it begins to flap when it begins");
                    assert!(flaps.insert(one.fingerprint), "told once that it flaps");
                }
                let known = believed.entry(&fact.group).or_default();
                known.retain(|id| flaps.contains(id));
                known.extend(now);
            }
            AlertEvent::Settled { group, alerts, .. } => {
                let flaps = flapping.get_mut(group.as_str()).expect("it flapped");
                for id in alerts {
                    assert!(flaps.remove(id), "it flapped");
                }
                settled.insert(group);
            }
            AlertEvent::Fired { fact } => {
                let now: BTreeSet<Digest> = fact.firing.iter().map(|alert| alert.fingerprint).collect();
                assert!(!now.is_empty(), "told of nothing");
                assert!(now.is_subset(&firing), "told of what does not fire");
                let known = believed.entry(&fact.group).or_default();
                assert!(
                    settled.remove(fact.group.as_str()) || !now.is_subset(known),
                    "told again what was known"
                );
                let flaps = flapping.entry(&fact.group).or_default();
                known.retain(|id| flaps.contains(id));
                known.extend(now);
            }
            AlertEvent::Reminded { fact } => {
                let now: BTreeSet<Digest> = fact.firing.iter().map(|alert| alert.fingerprint).collect();
                assert!(!now.is_empty(), "reminded of nothing");
                let known = believed
                    .get(fact.group.as_str())
                    .expect("reminded of what was told");
                assert!(now.is_subset(known), "news hidden in a reminder");
            }
            AlertEvent::Eased { fact } => {
                let now: BTreeSet<Digest> = fact.firing.iter().map(|alert| alert.fingerprint).collect();
                let over: BTreeSet<Digest> = fact.resolved.iter().map(|alert| alert.fingerprint).collect();
                let known = believed
                    .get_mut(fact.group.as_str())
                    .expect("eased before it was told");
                let flaps = flapping.entry(&fact.group).or_default();
                assert!(!over.is_empty() && now.is_disjoint(&over) && over.is_disjoint(flaps));
                assert!(!now.is_empty() || !flaps.is_empty());
                let mut said: BTreeSet<Digest> = now.union(&over).copied().collect();
                said.extend(known.intersection(flaps));
                assert_eq!(said, *known, "everything that was told fires or is over");
                known.retain(|id| now.contains(id) || flaps.contains(id));
            }
            AlertEvent::Resolved { fact } => {
                let known = believed
                    .remove(fact.group.as_str())
                    .expect("over without having been told");
                let over: BTreeSet<Digest> = fact.resolved.iter().map(|alert| alert.fingerprint).collect();
                assert_eq!(over, known, "relief for exactly what was told");
                assert!(over.is_subset(&ever));
                let flaps = flapping.entry(&fact.group).or_default();
                assert!(over.is_disjoint(flaps), "the end of what flaps is kept back");
            }
            AlertEvent::Held { held, .. } => {
                assert!(held.iter().all(|held| firing.contains(&held.fingerprint)));
            }
            AlertEvent::Silenced { .. }
            | AlertEvent::Unsilenced { .. }
            | AlertEvent::CutOver { .. }
            | AlertEvent::ToldElsewhere { .. } => {}
        }
    }
    let state: BTreeSet<Digest> = bench
        .state
        .firing()
        .map(|active| active.alert.fingerprint)
        .collect();
    assert_eq!(state, firing);
    for (name, group) in bench.state.groups() {
        let flaps = flapping.get(name).cloned().unwrap_or_default();
        assert!(
            !group.firing.is_empty() || group.told.keys().any(|id| flaps.contains(id)),
            "{name}: a group without alerts is over, and says so at once"
        );
        assert!(group.firing.is_subset(&firing));
        let told: BTreeSet<Digest> = group.told.keys().copied().collect();
        assert_eq!(told, believed.get(name).cloned().unwrap_or_default(), "{name}");
        let held: BTreeSet<Digest> = group.held.keys().copied().collect();
        assert!(held.is_subset(&group.firing), "{name}: held, and over");
        let mut news = group.firing.difference(&told);
        // What is over and was told is to be told as well.
        let mut ended = told.difference(&group.firing);
        let ended = ended.any(|id| !flaps.contains(id));
        let news = news.any(|id| !held.contains(id)) || ended;
        assert_eq!(
            group.flush_at.is_some(),
            news,
            "{name}: a flush is promised if and only if there are news"
        );
    }
    for name in believed.keys() {
        assert!(
            bench.state.group(name).is_some(),
            "{name} was told and is forgotten"
        );
    }
}

fn run(steps: Vec<Step>) -> Bench {
    let mut bench = Bench::new(ROUTES[0].clone());
    let mut route = 0;
    for step in steps {
        match step {
            Step::Observe(seen) => {
                let batch = seen.into_iter().map(|(number, over)| alert(&bench, number, over));
                let batch = batch.collect();
                bench.observe(batch);
            }
            Step::Pass(seconds) => bench.pass(SignedDuration::from_secs(seconds)),
            Step::Sleep(seconds) => bench.sleep(SignedDuration::from_secs(seconds)),
            Step::Reroute => {
                route = 1 - route;
                bench.routing = ROUTES[route].clone();
            }
            Step::Silence(number, minutes) => {
                let name = format!("s{}", bench.events.len());
                bench.silence(&name, &format!("alertname=A{number}"), minutes);
            }
            Step::EndSilence => {
                let is_over = |one: &&Silence| one.status(bench.now) == SilenceStatus::Expired;
                let oldest = bench.state.silences().find(|one| !is_over(one));
                let id = oldest.map(|silence| silence.id.clone());
                if let Some(id) = id {
                    bench.end_silence(id.as_str());
                }
            }
        }
        check(&bench);
    }
    bench
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how long it may take"
)]
fn full() -> bool {
    std::env::var_os("MAINSTAY_FULL").is_some_and(|value| value == "1")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if full() { 5_000 } else { 200 }
    ))]

    #[test]
    fn told_is_what_fires_and_relief_is_what_was_told(steps in prop::collection::vec(step(), 1..25)) {
        let mut bench = run(steps);
        assert_eq!(bench.replayed(), bench.state, "the journal gives the same state back");

        // Given time, everything that fires has been told, but for what something keeps back now.
        bench.pass(SignedDuration::from_mins(6));
        for (name, group) in bench.state.groups() {
            for id in group.firing.iter().filter(|id| !group.told.contains_key(id)) {
                let alert = bench.state.alert(id).expect("it fires");
                let now = Suppressions::at(&bench.state, &bench.routing, bench.now).of(alert);
                assert!(!now.is_none(), "{name} keeps news to itself");
            }
        }
        // Given more, that is told as well: silences end, and nothing inhibits what A0 and A2 do not.
        bench.pass(SignedDuration::from_hours(4));
        for (name, group) in bench.state.groups() {
            for id in group.held.keys() {
                let alert = bench.state.alert(id).expect("it fires");
                let now = Suppressions::at(&bench.state, &bench.routing, bench.now).of(alert);
                assert!(now.silenced_by.is_empty() && !now.inhibited_by.is_empty(), "{name}");
            }
        }

        // And when all is over, nothing is left.
        let batch: Vec<Observation> = (0..8).map(|number| alert(&bench, number, true)).collect();
        bench.observe(batch);
        check(&bench);
        // Silences are kept for some days.
        let nothing = bench.state.firing().count() + bench.state.groups().count();
        assert_eq!(nothing, 0);
        let told = bench.told().len();
        bench.pass(SignedDuration::from_hours(24));
        assert_eq!(bench.told().len(), told, "no clock rings for what is over");
    }
}

#[derive(Debug, Clone)]
enum Toggle {
    /// An alert begins or ends, whichever it can.
    Of(u8),
    Pass(i64),
}

fn toggle() -> impl Strategy<Value = Toggle> {
    prop_oneof![
        5 => (0_u8..8).prop_map(Toggle::Of),
        2 => (0_i64..200).prop_map(Toggle::Pass),
        1 => (0_i64..2_000).prop_map(Toggle::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if full() { 5_000 } else { 150 }
    ))]

    /// However it flaps: what fires in the end is believed to fire by everybody, and what is over to be over.
    #[test]
    fn nothing_is_lost_in_flapping(toggles in prop::collection::vec(toggle(), 1..80)) {
        let mut bench = Bench::new(ROUTES[0].clone());
        for toggle in toggles {
            match toggle {
                Toggle::Of(number) => {
                    let id = alert(&bench, number, false).labels.fingerprint();
                    let seen = alert(&bench, number, bench.state.alert(&id).is_some());
                    bench.observe(vec![seen]);
                }
                Toggle::Pass(seconds) => bench.pass(SignedDuration::from_secs(seconds)),
            }
        }
        check(&bench);
        assert_eq!(bench.replayed(), bench.state, "the journal gives the same state back");
        let quiet = bench.events.len();
        bench.pass(SignedDuration::from_hours(2));
        check(&bench);
        for (name, group) in bench.state.groups() {
            for id in &group.firing {
                let now = bench.state.alert(id).expect("it fires");
                let held = Suppressions::at(&bench.state, &bench.routing, bench.now).of(now);
                assert!(group.told.contains_key(id) || !held.inhibited_by.is_empty(), "{name} lost one");
                assert!(bench.state.flapping(name, id).is_none(), "{name}: stable for hours");
            }
            assert!(group.told.keys().all(|id| group.firing.contains(id)), "{name}: what is over was told");
        }
        // A P0 that fires after it flapped is told as news, which pages.
        for (at, (event, _)) in bench.events.iter().enumerate().skip(quiet) {
            let AlertEvent::Settled { group, alerts, .. } = event else { continue };
            let fires = |id: &Digest| bench.state.alert(id).is_some_and(|one| one.groups.contains(group));
            if alerts.iter().any(|id| fires(id) && !bench.state.group(group).is_some_and(|group| group.held.contains_key(id))) {
                let next = bench.events.get(at + 1).map(|(event, _)| event);
                assert!(matches!(next, Some(AlertEvent::Fired { fact }) if fact.group == *group), "{next:?}");
            }
        }
    }
}
