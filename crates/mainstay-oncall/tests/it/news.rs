//! What becomes of open pages when more is known.

use mainstay_kernel::effect::{Channel, EffectBody};
use mainstay_kernel::{CellId, PageId, RegionId, Scope};
use mainstay_oncall::OncallCommand;

use crate::escalation::{Bench, incident};
use crate::rota::person;

fn undeliverable(bench: &mut Bench, who: &str) -> usize {
    let command = OncallCommand::Undeliverable {
        page: PageId::new("p1").expect("a name"),
        person: person(who),
    };
    bench.ask(command).expect("it is noted")
}

#[test]
fn whom_no_channel_reaches_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    bench.pass(1);
    assert_eq!(undeliverable(&mut bench, "ana"), 2);
    assert_eq!(undeliverable(&mut bench, "ana"), 0, "known");
    assert_eq!(bench.said(), ["0m ana", "1m dan"]);
    bench.pass(1);
    undeliverable(&mut bench, "dan");
    bench.pass(60);
    assert_eq!(
        bench.said(),
        ["0m ana", "1m dan", "2m manager"],
        "and who was told early is not told again at the level's own time"
    );
    undeliverable(&mut bench, "manager");
    assert_eq!(bench.said().len(), 3, "nobody is left");
}

#[test]
fn somebody_else_who_was_told_is_waited_for() {
    let mut bench = Bench::new();
    bench.page("p1", "P0");
    bench.pass(5);
    undeliverable(&mut bench, "ana");
    assert_eq!(bench.said(), ["0m ana", "0m (director)", "5m dan"]);
    // Who was only informed, and who has nothing to do with it, changes nothing.
    undeliverable(&mut bench, "director");
    undeliverable(&mut bench, "cto");
    assert_eq!(bench.said().len(), 3);
    bench.acknowledge("dan").expect("it waits");
    undeliverable(&mut bench, "dan");
    assert_eq!(bench.said().len(), 3, "it is taken on");
}

#[test]
fn a_worse_page_takes_the_place_of_a_milder_one_that_nobody_answered() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    bench.pass(2);
    bench.page("p2", "P0");
    bench.pass(24 * 60);
    assert_eq!(
        bench.said(),
        [
            "0m ana",
            "2m ana",
            "2m (director)",
            "7m dan",
            "17m manager",
            "32m director",
            "62m cto"
        ],
        "one chain, not two"
    );
    // The link in the first message still takes the incident on.
    let old = OncallCommand::AcknowledgePage {
        page: PageId::new("p1").expect("a name"),
        by: Some(person("ana")),
    };
    assert!(bench.ask(old).is_ok());
    assert_eq!(bench.state.climbing().count(), 0);
}

#[test]
fn those_who_were_paged_hear_that_it_concerns_more() {
    let mut bench = Bench::new();
    bench.page("p1", "P0");
    bench.acknowledge("ana").expect("it waits");
    let before = bench.effects.len();
    let region = Scope {
        region: RegionId::new("north").ok(),
        ..Scope::default()
    };
    let wider = |scope: Scope, title: &str| OncallCommand::Widen {
        incident: incident(),
        scope,
        title: title.to_owned(),
    };
    bench
        .ask(wider(region, "Down in north: c1, c2"))
        .expect("it is noted");
    bench
        .ask(wider(Scope::platform(), "Down in the platform"))
        .expect("it is noted");
    let said: Vec<(String, Channel, String)> = bench.effects[before..]
        .iter()
        .map(|effect| match &effect.body {
            EffectBody::Deliver(deliver) => {
                let subject = deliver.message.subject.clone();
                assert_eq!(deliver.message.page, None, "no answer is wanted");
                (effect.key.clone(), deliver.channel, subject)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let line = |n: u32, channel: Channel, title: &str| {
        let key = format!("page/p1/wider/{n}/ana/{}", channel.name());
        (key, channel, format!("wider: {title}"))
    };
    assert_eq!(
        said,
        [
            line(1, Channel::Chat, "Down in north: c1, c2"),
            line(1, Channel::Email, "Down in north: c1, c2"),
            line(2, Channel::Chat, "Down in the platform"),
            line(2, Channel::Email, "Down in the platform"),
        ],
        "the director was only informed"
    );
}

/// Whoever is paged later is paged for the place as it is known then.
#[test]
fn later_levels_name_the_wider_place() {
    let mut bench = Bench::new();
    bench.page("p1", "P1");
    let cell = Scope {
        cell: CellId::new("c1").ok(),
        ..Scope::default()
    };
    let widened = OncallCommand::Widen {
        incident: incident(),
        scope: cell,
        title: "Slow in c1".to_owned(),
    };
    bench.ask(widened).expect("it is noted");
    bench.pass(5);
    let EffectBody::Deliver(last) = &bench.effects.last().expect("dan's").body else {
        panic!("a page is a message");
    };
    assert_eq!(last.message.subject, "Slow in c1");
    assert!(last.message.body.contains("in c1"), "{}", last.message.body);
}
