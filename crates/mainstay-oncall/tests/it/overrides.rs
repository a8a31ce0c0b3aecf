//! Swapped duties.

use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use mainstay_oncall::rota::on_call_at;
use mainstay_oncall::{OncallCommand, OncallRefusal, Override};

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
