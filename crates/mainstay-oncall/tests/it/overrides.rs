//! Swapped duties.

use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use mainstay_oncall::rota::on_call_at;
use mainstay_oncall::{OncallCommand, OncallRefusal, Override, Stretch, Swap, SwapEnd};

use crate::escalation::{Bench, START};
use crate::rota::{person, rota};

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = START.parse().expect("a timestamp");
    start + SignedDuration::from_mins(minutes)
}

fn entry(name: &str, from: i64, until: i64) -> Override {
    Override::new("primary".to_owned(), person(name), at(from), at(until))
}

#[test]
fn the_last_override_that_covers_the_instant_holds() {
    let rota = rota("UTC", date(2026, 1, 5), time(9, 0, 0, 0), 7);
    let usual = on_call_at("primary", &rota, &[], at(0));
    let other = Override {
        rota: "secondary".to_owned(),
        ..entry("zoe", 0, 100)
    };
    let entries = [entry("ben", 0, 60), entry("chi", 30, 40), other];
    let duty = |minute: i64| on_call_at("primary", &rota, &entries, at(minute)).map(|who| who.to_string());
    assert_eq!(duty(-1), usual.as_ref().map(ToString::to_string));
    assert_eq!(duty(0).as_deref(), Some("ben"), "the beginning is included");
    assert_eq!(duty(29).as_deref(), Some("ben"));
    assert_eq!(duty(30).as_deref(), Some("chi"), "the later entry wins");
    assert_eq!(duty(40).as_deref(), Some("ben"), "the end is not included");
    assert_eq!(duty(60), usual.map(|who| who.to_string()));
}

#[test]
fn an_override_is_checked_and_then_pages_reach_whoever_took_over() {
    let mut bench = Bench::new();
    let refused = |bench: &mut Bench, entry: Override| {
        let answer = bench.ask(OncallCommand::Override(entry));
        assert!(matches!(answer, Err(OncallRefusal::BadOverride(_))), "{answer:?}");
    };
    refused(&mut bench, entry("nobody", 0, 60));
    refused(&mut bench, entry("ben", 60, 60));
    refused(&mut bench, entry("ben", -60, 0));
    refused(
        &mut bench,
        Override {
            rota: "tertiary".to_owned(),
            ..entry("ben", 0, 60)
        },
    );
    bench
        .ask(OncallCommand::Override(entry("chi", -5, 60)))
        .expect("a good one");
    assert_eq!(bench.state.overrides().len(), 1);
    bench.page("p1", "P1");
    assert_eq!(bench.said(), ["0m chi"]);
}

/// As many as are kept, the first of which ends before the others.
fn full() -> Bench {
    let mut bench = Bench::new();
    let ask = |bench: &mut Bench, entry| bench.ask(OncallCommand::Override(entry));
    ask(&mut bench, entry("chi", -5, 60)).expect("a good one");
    ask(&mut bench, entry("ben", 10, 20)).expect("a good one");
    for number in 2..1_000 {
        ask(&mut bench, entry("dan", 1_000 + number, 1_001 + number)).expect("a good one");
    }
    bench
}

#[test]
fn what_is_in_force_is_not_dropped_for_another() {
    let mut bench = full();
    let one_more = OncallCommand::Override(entry("ben", 5_000, 5_001));
    let refused = bench
        .ask(one_more.clone())
        .expect_err("there is no room")
        .to_string();
    assert!(
        refused.contains("1000 overrides") && refused.contains("withdraw some"),
        "{refused}"
    );
    bench.page("p1", "P1");
    assert_eq!(bench.said(), ["0m chi"], "hers is in force");
    // When one is over, it is that one that makes room.
    bench.pass(20);
    bench.ask(one_more).expect("there is room");
    assert_eq!(bench.state.overrides().len(), 1_000);
    assert_eq!(bench.state.overrides()[0].person, person("chi"));
    assert!(bench.state.overrides().iter().all(|kept| kept.until > at(20)));
}

#[test]
fn a_swap_is_not_accepted_where_its_overrides_have_no_room() {
    let mut bench = full();
    let asked = Swap {
        id: String::new(),
        by: person("ana"),
        to: person("ben"),
        give: Stretch {
            rota: "primary".to_owned(),
            from: at(100),
            until: at(200),
        },
        take: None,
        lapses_at: at(90),
    };
    bench.ask(OncallCommand::AskSwap(asked)).expect("a good one");
    let id = bench.state.swaps().next().expect("it waits").id.clone();
    let accept = OncallCommand::AnswerSwap {
        swap: id,
        by: Some(person("ben")),
        end: SwapEnd::Accepted,
    };
    let refused = bench.ask(accept.clone());
    assert!(matches!(refused, Err(OncallRefusal::BadSwap(_))), "{refused:?}");
    bench.pass(30);
    bench.ask(accept).expect("there is room");
    assert_eq!(bench.state.overrides().len(), 1_000);
}
