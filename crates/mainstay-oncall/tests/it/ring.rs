//! Levels that page one at a time: everybody gets their share, who does not answer is followed, and nobody is paged twice.

use std::collections::BTreeMap;

use mainstay_catalog::response::EscalationPolicy;
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::effect::{Channel, EffectBody};
use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{IncidentId, PageId, Scope, Severity};
use mainstay_oncall::reach::{check, lost_turns};
use mainstay_oncall::ring::rings;
use mainstay_oncall::{OncallCommand, OncallSpec};
use proptest::prelude::*;

use crate::escalation::{Bench, policy};
use crate::rota::person;

/// Three take turns, two minutes each; the manager is next after five.
const TURNS: &str = r#"{"title": "Turns", "channels": {"P0": ["email"], "P1": ["email"]},
    "unacknowledged": {"P0": [{"after": "3m", "channels": ["chat"]}]},
    "levels": [
        {"after": "0s", "targets": [{"person": "ana"}, {"person": "ben"}, {"person": "chi"}],
         "round_robin": {"every": "2m"}},
        {"after": "5m", "targets": [{"person": "manager"}]}],
    "repeat": {"times": 1, "every": "20m"}}"#;

fn turns_of(text: &str) -> Bench {
    Bench::with(|spec| {
        spec.policies.insert("chain".to_owned(), policy(text));
    })
}

fn turns() -> Bench {
    turns_of(TURNS)
}

fn requested(incident: &str, page: &str, severity: Severity) -> OncallCommand {
    OncallCommand::Page {
        request: PageRequested {
            page: PageId::new(page).expect("a name"),
            incident: IncidentId::new(incident).expect("a name"),
            severity,
            title: "Payments fail".to_owned(),
            scope: Scope::platform(),
            policy: None,
        },
        policy: None,
    }
}

/// A P1 of an incident of its own; who was paged first.
fn page(bench: &mut Bench, number: usize) -> String {
    let name = format!("i{number}");
    bench
        .ask(requested(&name, &format!("{name}-p1"), Severity::P1))
        .expect("a page is taken");
    last(bench)
}

fn last(bench: &Bench) -> String {
    let said = bench.said();
    let (_, who) = said.last().expect("somebody").split_once(' ').expect("two words");
    who.to_owned()
}

fn take_on(bench: &mut Bench, page: &str, by: &str) {
    let page = PageId::new(page).expect("a name");
    let by = Some(person(by));
    bench
        .ask(OncallCommand::AcknowledgePage { page, by })
        .expect("it waits");
}

#[test]
fn each_incident_begins_with_the_next_one_and_who_is_asked_instead_keeps_their_turn() {
    let mut bench = turns();
    let begun: Vec<String> = (0..4)
        .map(|number| {
            let who = page(&mut bench, number);
            bench.restart();
            // The first is followed by ben, who keeps his own turn.
            bench.pass(3);
            take_on(&mut bench, &format!("i{number}-p1"), "dan");
            who
        })
        .collect();
    assert_eq!(begun, ["ana", "ben", "chi", "ana"]);
    assert_eq!(
        bench.said(),
        [
            "0m ana", "2m ben", "3m ben", "5m chi", "6m chi", "8m ana", "9m ana", "11m ben"
        ]
    );
}

#[test]
fn who_does_not_answer_is_followed_by_the_next_until_a_later_level_takes_over() {
    let mut bench = turns();
    page(&mut bench, 1);
    bench.pass(19);
    assert_eq!(bench.said(), ["0m ana", "2m ben", "4m chi", "5m manager"]);
    // The second round goes on with the one after the last.
    bench.pass(60);
    assert_eq!(
        bench.said()[4..],
        ["20m ana", "22m ben", "24m chi", "25m manager"]
    );

    // Four minutes each: only two have a turn before the manager.
    let mut bench = turns_of(&TURNS.replace("\"2m\"", "\"4m\""));
    page(&mut bench, 1);
    bench.pass(19);
    assert_eq!(bench.said(), ["0m ana", "4m ben", "5m manager"]);
    bench.pass(60);
    assert_eq!(bench.said()[3..], ["20m chi", "24m ana", "25m manager"]);
}

#[test]
fn whose_turn_is_over_is_left_in_peace() {
    let mut bench = turns();
    bench
        .ask(requested("i1", "i1-p1", Severity::P0))
        .expect("a page is taken");
    bench.pass(19);
    let told: Vec<(&str, Channel)> = bench
        .effects
        .iter()
        .filter_map(|effect| match &effect.body {
            EffectBody::Deliver(deliver) => Some((deliver.to.name(), deliver.channel)),
            EffectBody::Act(_) => None,
        })
        .collect();
    let (email, chat) = (Channel::Email, Channel::Chat);
    assert_eq!(
        told,
        [
            ("ana", email),
            ("ben", email),
            ("chi", email),
            ("manager", email),
            ("chi", chat),
            ("manager", chat)
        ],
        "ana and ben, who had two minutes, are not told again after three"
    );
}

#[test]
fn who_cannot_be_reached_is_passed_over_and_a_refused_page_goes_on_at_once() {
    let mut bench = turns();
    bench.spec.reach.remove(&person("ben"));
    let begun: Vec<String> = (0..4).map(|number| page(&mut bench, number)).collect();
    assert_eq!(begun, ["ana", "chi", "ana", "chi"]);

    let mut bench = turns();
    page(&mut bench, 1);
    let refused = |who: &str| OncallCommand::Undeliverable {
        page: PageId::new("i1-p1").expect("a name"),
        person: person(who),
    };
    bench.ask(refused("ana")).expect("known");
    assert_eq!(bench.said(), ["0m ana", "0m ben"]);
    bench.pass(1);
    for who in ["ben", "chi"] {
        bench.ask(refused(who)).expect("known");
    }
    assert_eq!(
        bench.said(),
        ["0m ana", "0m ben", "1m chi", "1m manager"],
        "all of them were tried: the next level does not wait"
    );
    bench.pass(18);
    assert_eq!(bench.said().len(), 4);
}

#[test]
fn an_incident_that_gets_worse_stays_with_whoever_has_it() {
    let mut bench = turns();
    bench.ask(requested("i1", "i1-p1", Severity::P1)).expect("taken");
    bench.pass(3);
    // Ben was asked last.
    bench.ask(requested("i1", "i1-p2", Severity::P0)).expect("taken");
    assert_eq!(bench.said(), ["0m ana", "2m ben", "3m ben"]);
    bench.pass(1);
    take_on(&mut bench, "i1-p2", "ana");
    bench.ask(requested("i1", "i1-p3", Severity::P0)).expect("taken");
    assert_eq!(last(&bench), "ana", "she took it on");
    // All of it was one turn.
    assert_eq!(page(&mut bench, 2), "ben");
}

#[test]
fn turns_of_rotas_are_those_of_whoever_is_on_call() {
    let text = TURNS.replace(
        r#"{"person": "ana"}, {"person": "ben"}, {"person": "chi"}"#,
        r#"{"rota": "primary"}, {"rota": "secondary"}, {"person": "ana"}, {"rota": "nowhere"}"#,
    );
    let mut bench = turns_of(&text);
    let begun: Vec<String> = (0..3).map(|number| page(&mut bench, number)).collect();
    assert_eq!(
        begun,
        ["ana", "dan", "ana"],
        "ana is on call: she has one turn of two"
    );
    let asked = |bench: &Bench| {
        let rings = rings(&bench.state, &bench.spec, bench.now);
        let next = rings[0].next.clone().expect("somebody");
        (next.to_string(), rings[0].members.clone())
    };
    let (next, members) = asked(&bench);
    assert_eq!(
        next,
        "it is the turn of rota secondary (dan): the incident before began with rota primary"
    );
    assert_eq!(members[2].2.as_deref(), Some("has a turn already"));
    // A week later ben is on call.
    bench.pass(7 * 24 * 60);
    let begun: Vec<String> = (3..6).map(|number| page(&mut bench, number)).collect();
    assert_eq!(begun, ["dan", "ana", "ben"]);
    assert_eq!(
        asked(&bench).1[3].2.as_deref(),
        Some("nobody is on call in rota nowhere")
    );
    bench.spec.reach.remove(&person("dan"));
    assert_eq!(
        asked(&bench).0,
        "it is the turn of person ana: the incident before began with rota primary; passed over: rota secondary (dan has \
         no address for any channel of the policy)"
    );
}

#[test]
fn a_catalog_that_changes_moves_nobody_to_the_front() {
    let mut bench = turns();
    page(&mut bench, 1);
    page(&mut bench, 2);
    let without = |name: &str| {
        let target = format!(r#"{{"person": "{name}"}}, "#);
        policy(&TURNS.replace(&target, ""))
    };
    let put = |bench: &mut Bench, policy: EscalationPolicy| {
        bench.spec.policies.insert("chain".to_owned(), policy);
    };
    // Ben had the last turn and is gone: who stood behind him is next.
    put(&mut bench, without("ben"));
    assert_eq!(page(&mut bench, 3), "chi");
    put(&mut bench, policy(TURNS));
    assert_eq!(page(&mut bench, 4), "ana");
    put(&mut bench, without("ana"));
    assert_eq!(page(&mut bench, 5), "ben");
}

#[test]
fn what_is_kept_of_turns_is_bounded() {
    let mut bench = turns();
    let all = 1_200;
    for number in 0..all {
        bench.spec.policies.insert(format!("p{number}"), policy(TURNS));
    }
    for number in 0..all {
        let OncallCommand::Page { request, .. } =
            requested(&format!("i{number}"), &format!("i{number}-p1"), Severity::P1)
        else {
            unreachable!("it is a page");
        };
        let policy = Some(format!("p{number}"));
        bench.ask(OncallCommand::Page { request, policy }).expect("taken");
    }
    let kept = (0..all).filter(|number| bench.state.taken(&format!("p{number}"), 0).is_some());
    assert_eq!(kept.collect::<Vec<_>>(), (200..all).collect::<Vec<_>>());
    bench.restart();
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Page,
    Pass(i64),
    Acknowledge,
    Restart,
    Worse,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Page),
        2 => (0_i64..30).prop_map(Deed::Pass),
        1 => Just(Deed::Acknowledge),
        1 => Just(Deed::Restart),
        1 => Just(Deed::Worse),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to the incidents, and however often all is read anew, they are spread over those who take turns
    /// with a difference of one at most; and nobody is asked twice in a round.
    #[test]
    fn incidents_are_spread_evenly(people in 2_usize..7, deeds in proptest::collection::vec(deed(), 1..60)) {
        let all = ["ana", "ben", "chi", "dan", "director", "manager", "cto"];
        let targets: Vec<String> = all[..people].iter().map(|name| format!(r#"{{"person": "{name}"}}"#)).collect();
        let text = TURNS.replace(r#"{"person": "ana"}, {"person": "ben"}, {"person": "chi"}"#, &targets.join(", "));
        let text = text.replace(r#"[{"person": "manager"}]}"#, r#"[{"person": "zoe"}]}"#);
        let mut bench = turns_of(&text);
        bench.spec.reach.insert(person("zoe"), [Channel::Email].into());
        let mut begun: BTreeMap<String, usize> = all[..people].iter().map(|name| ((*name).to_owned(), 0)).collect();
        let (mut number, mut worse) = (0, 0);
        for deed in deeds {
            match deed {
                Deed::Page => {
                    number += 1;
                    let who = page(&mut bench, number);
                    *begun.get_mut(&who).expect("one of them") += 1;
                }
                Deed::Pass(minutes) => bench.pass(minutes),
                Deed::Restart => bench.restart(),
                Deed::Acknowledge if number > 0 => {
                    let page = PageId::new(format!("i{number}-p1")).expect("a name");
                    // Whether it waits or not.
                    let _answer = bench.ask(OncallCommand::AcknowledgePage { page, by: Some(person("ben")) });
                }
                Deed::Worse if number > 0 => {
                    worse += 1;
                    let (incident, page) = (format!("i{number}"), format!("i{number}-w{worse}"));
                    bench.ask(requested(&incident, &page, Severity::P0)).expect("taken");
                }
                Deed::Acknowledge | Deed::Worse => {}
            }
            let (least, most) = (begun.values().min(), begun.values().max());
            prop_assert!(most <= least.map(|least| least + 1).as_ref(), "{begun:?}");
        }
        bench.restart();
        let mut asked: Vec<&str> = bench.effects.iter().map(|effect| effect.key.as_str()).collect();
        let every = asked.len();
        asked.sort_unstable();
        asked.dedup();
        prop_assert_eq!(asked.len(), every, "somebody is told the same twice");
    }
}

/// A catalog with a level that takes turns, and what is wrong with it.
fn found(from: &str, to: &str) -> String {
    let text = CATALOG.replace(from, to);
    assert!(from == to || text != CATALOG);
    let (documents, mut diagnostics) = Documents::from_texts([("oncall.yaml", text)]);
    let catalog = Catalog::build(documents, &mut diagnostics);
    let now = "2026-03-02T00:00:00Z".parse().expect("an instant");
    let mut holes = Diagnostics::new();
    check(&catalog, now, &mut holes);
    let said = diagnostics.render_short() + &holes.render_short();
    let ours = said.lines().filter(|line| !line.starts_with("platform.yaml"));
    ours.map(|line| format!("{line}\n")).collect()
}

const CATALOG: &str = "apiVersion: mainstay/v1
kind: Teams
items:
  - {id: all, title: All, lead: ann}
---
apiVersion: mainstay/v1
kind: People
items:
  - {id: ann, name: Ann, role: Engineer, team: all, contacts: {email: a@example.test, chat: '@ann'}}
  - {id: ben, name: Ben, role: Engineer, team: all, contacts: {email: b@example.test, chat: '@ben'}}
  - {id: cat, name: Cat, role: Engineer, team: all, contacts: {email: c@example.test, chat: '@cat'}}
---
apiVersion: mainstay/v1
kind: Rota
metadata: {name: night}
spec:
  title: Night
  time_zone: UTC
  handoff: {weekday: monday, time: '08:00'}
  start: 2026-01-05
  participants: [cat]
---
apiVersion: mainstay/v1
kind: EscalationPolicy
metadata: {name: turns}
spec:
  title: Turns
  channels: {P0: [email, chat], P1: [chat]}
  levels:
    - {after: 0s, round_robin: {every: 2m}, targets: [{person: ann}, {person: ben}, {rota: night}]}
    - {after: 9m, targets: [{rota: night}]}
---
apiVersion: mainstay/v1
kind: Channels
metadata: {name: channels}
spec:
  smtp: {host: '${HOST}', port: '${PORT}', from: m@example.test}
  chat: {url: '${CHAT}'}
---
apiVersion: mainstay/v1
kind: Routing
metadata: {name: routing}
spec:
  receivers:
    - {name: main, page: turns}
  route:
    receiver: main
";

#[test]
fn a_lost_turn_is_a_hole_although_the_others_make_up_for_it() {
    assert_eq!(found("", ""), "");
    assert_eq!(
        found("b@example.test, chat: '@ben'", "b@example.test"),
        "oncall.yaml:30:79: error[nobody-reached]: when it is the turn of person ben in level 1 of policy turns, a P1 page \
         would reach nobody from 2026-03-02 00:00 UTC until further ahead than is looked, and pass on: ben has no address \
         for chat\n"
    );
    let weekdays = "layers:\n    - {name: days, handoff: {weekday: monday, time: '08:00'}, start: 2026-01-05, participants: \
                    [cat], only: [{days: [monday]}]}";
    let text = found(
        "handoff: {weekday: monday, time: '08:00'}\n  start: 2026-01-05\n  participants: [cat]",
        weekdays,
    );
    assert!(
        text.contains("when it is the turn of rota night in level 1 of policy turns, a P0 or P1 page would reach nobody from")
            && text.contains("until 2026-03-09 00:00 UTC, and pass on: nobody is on call in rota night"),
        "{text}"
    );
    // What the check says is what the schedule says.
    let (documents, mut said) =
        Documents::from_texts([("oncall.yaml", CATALOG.replace(", chat: '@ben'", ""))]);
    let catalog = Catalog::build(documents, &mut said);
    let spec = OncallSpec::from_catalog(&catalog.platform, &catalog.response);
    let now = "2026-03-02T00:00:00Z".parse().expect("an instant");
    let lost = |severity| lost_turns(&spec, &spec.policies["turns"], severity, now).len();
    assert_eq!((lost(Severity::P0), lost(Severity::P1)), (0, 1));
}

#[test]
fn turns_that_make_no_sense_are_refused_at_their_place() {
    for (from, to, expected) in [
        (
            "every: 2m",
            "every: 0s",
            "oncall.yaml:30:40: error[bad-value]: nobody of the level is waited for\n",
        ),
        (
            "{person: ann}, {person: ben}, {rota: night}",
            "{person: ann}",
            "oncall.yaml:30:40: error[bad-value]: one target takes every turn\n\
             oncall.yaml:31:15: error[acknowledge-in-time]: a P0 page waits 9m for an acknowledgement\n",
        ),
        (
            "every: 2m",
            "every: 6m",
            "oncall.yaml:30:40: error[acknowledge-in-time]: a P0 page waits 6m for an acknowledgement of whose turn it is\n",
        ),
        (
            "after: 9m, targets: [{rota: night}]",
            "after: 9m, round_robin: {every: 1m}, inform: true, targets: [{rota: night}, {person: ben}]",
            "oncall.yaml:31:40: error[bad-value]: a level that only informs has no turns: nobody answers it\n",
        ),
        (
            "every: 2m",
            "every: 2m, each: 1",
            "oncall.yaml:30:44: error[unknown-key]",
        ),
    ] {
        let text = found(from, to);
        assert!(text.starts_with(expected), "{to}: {text}");
    }
    // The last of three is asked after four minutes, the next level five later.
    assert_eq!(found("after: 9m", "after: 9m"), "");
    assert!(found("after: 9m", "after: 10m").contains("acknowledge-in-time"));
    // A level that takes turns is an answer by itself.
    assert_eq!(found("    - {after: 9m, targets: [{rota: night}]}\n", ""), "");
}
