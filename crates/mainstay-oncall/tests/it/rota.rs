//! Turns of one layer. The oracle is a wall clock: it walks through the offsets of a zone and asks
//! at which instants the clock shows the handoff's time; it shares nothing with the code under test.

use jiff::civil::{Date, Time, date, time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};
use mainstay_catalog::response::{BASE_LAYER, DstConvention, Handoff, Layer, Rota, TurnLength};
use mainstay_catalog::spanned::Spanned;
use mainstay_kernel::PersonId;
use mainstay_oncall::rota::{Turn, first_instant};

pub(crate) const PEOPLE: [&str; 3] = ["ana", "ben", "chi"];
const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

pub(crate) fn person(name: &str) -> PersonId {
    PersonId::new(name).expect("a name")
}

pub(crate) fn layer(
    name: &str,
    zone: &str,
    start: Date,
    at: Time,
    turn: TurnLength,
    people: &[&str],
) -> Layer {
    Layer {
        name: Spanned::nowhere(name.to_owned()),
        time_zone: zone.parse().expect("a zone"),
        dst: DstConvention::default(),
        handoff: Handoff {
            weekday: None,
            time: at,
        },
        start: Spanned::nowhere(start),
        turn: Spanned::nowhere(turn),
        participants: people.iter().map(|name| Spanned::nowhere(person(name))).collect(),
        only: Vec::new(),
    }
}

pub(crate) fn layered(layers: Vec<Layer>) -> Rota {
    Rota {
        title: "Primary".to_owned(),
        time_zone: layers
            .first()
            .map(|layer| layer.time_zone.clone())
            .unwrap_or_default(),
        layers,
        backs_up: None,
        business_hours: None,
        pay: None,
        remind: None,
    }
}

pub(crate) fn rota(zone: &str, start: Date, at: Time, days: u16) -> Rota {
    layered(vec![layer(
        BASE_LAYER,
        zone,
        start,
        at,
        TurnLength::days(days),
        &PEOPLE,
    )])
}

/// The turn of a rota of one layer.
fn turn_at(rota: &Rota, at: Timestamp) -> Option<Turn> {
    mainstay_oncall::rota::turn_at(&rota.layers[0], at)
}

/// Stretches of constant offset: from when, until when (not included), what the wall clock adds, in seconds.
fn stretches(zone: &TimeZone, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp, i64)> {
    let changes = zone.following(from).map(|change| change.timestamp());
    let mut edges: Vec<Timestamp> = std::iter::once(from)
        .chain(changes.take_while(|at| *at < until))
        .collect();
    edges.push(until);
    edges
        .windows(2)
        .map(|pair| (pair[0], pair[1], i64::from(zone.to_offset(pair[0]).seconds())))
        .collect()
}

/// The first instant at which the wall clock shows `wall` or, if it skips it, anything later.
fn oracle(stretches: &[(Timestamp, Timestamp, i64)], wall_s: i64) -> Timestamp {
    let found = stretches.iter().find_map(|(from, until, offset)| {
        let shows = Timestamp::from_second(wall_s - offset).expect("in range");
        (shows < *until).then_some(shows.max(*from))
    });
    found.expect("within the stretches")
}

fn wall_seconds(day: Date, at: Time) -> i64 {
    TimeZone::UTC
        .to_timestamp(day.to_datetime(at))
        .expect("in range")
        .as_second()
}

/// Every turn from `first` to `last`: it begins when the wall clock says so, ends where the next begins, is owned by
/// whose turn it is, and its edges and middle agree.
fn walk(zone_name: &str, first: Date, last: Date, at: Time, days: u16) {
    let rota = rota(zone_name, first, at, days);
    let zone = rota.time_zone.zone();
    let edge = |day: Date| {
        TimeZone::UTC
            .to_timestamp(day.to_datetime(Time::midnight()))
            .expect("in range")
    };
    let around = (
        edge(first.saturating_sub(3.days())),
        edge(last.saturating_add(40.days())),
    );
    let stretches = stretches(&zone, around.0, around.1);
    let start_of = |day: Date| oracle(&stretches, wall_seconds(day, at));
    let begins = start_of(first);
    assert_eq!(
        turn_at(&rota, begins - NANOSECOND),
        None,
        "{zone_name}: nobody before the first handoff"
    );
    let mut day = first;
    for number in 0_usize.. {
        if day > last {
            break;
        }
        let next = day.saturating_add(i64::from(days).days());
        let (from, until) = (start_of(day), start_of(next));
        let turn = Turn {
            person: person(PEOPLE[number % PEOPLE.len()]),
            from,
            until,
        };
        if from == until {
            // Only where the date line moved: the whole turn lies in a day that never was.
            assert_ne!(
                zone.to_datetime(from).date(),
                day,
                "{zone_name}: an empty turn on {day}"
            );
            day = next;
            continue;
        }
        let middle = from + until.duration_since(from) / 2;
        for instant in [from, middle, until - NANOSECOND] {
            assert_eq!(
                turn_at(&rota, instant).as_ref(),
                Some(&turn),
                "{zone_name} {day} {at} at {instant}"
            );
        }
        day = next;
    }
}

/// Handoffs in the middle of the night, where clocks change, every day of several years.
#[test]
fn handoffs_inside_clock_changes() {
    let nights = [
        ("Europe/Berlin", time(2, 30, 0, 0)),
        ("America/New_York", time(2, 0, 0, 0)),
        ("America/New_York", time(1, 59, 59, 0)),
        ("America/Sao_Paulo", time(0, 0, 0, 0)),
        ("America/Sao_Paulo", time(23, 30, 0, 0)),
        ("America/Havana", time(0, 30, 0, 0)),
        ("America/St_Johns", time(0, 1, 0, 0)),
        ("America/St_Johns", time(23, 59, 0, 0)),
        ("Australia/Lord_Howe", time(2, 15, 0, 0)),
        ("Africa/Casablanca", time(2, 30, 0, 0)),
        ("Africa/Cairo", time(0, 0, 0, 0)),
        ("Asia/Gaza", time(0, 30, 0, 0)),
        ("Antarctica/Troll", time(2, 0, 0, 0)),
    ];
    for (zone, at) in nights {
        walk(zone, date(2005, 1, 1), date(2014, 12, 31), at, 1);
    }
}

#[test]
fn a_skipped_handoff_is_the_first_instant_after_the_gap_and_a_repeated_one_the_first() {
    let rota = rota("Europe/Berlin", date(2026, 3, 28), time(2, 30, 0, 0), 1);
    let turn = |text: &str| turn_at(&rota, text.parse().expect("a timestamp")).expect("somebody");
    // 29 March: 02:00 becomes 03:00 at 01:00 UTC.
    assert_eq!(
        turn("2026-03-29T12:00:00Z").from.to_string(),
        "2026-03-29T01:00:00Z"
    );
    // 25 October: 03:00 becomes 02:00 at 01:00 UTC; 02:30 is at 00:30 UTC and again at 01:30.
    assert_eq!(
        turn("2026-10-25T12:00:00Z").from.to_string(),
        "2026-10-25T00:30:00Z"
    );
    assert_eq!(
        turn("2026-10-25T01:15:00Z").from.to_string(),
        "2026-10-25T00:30:00Z"
    );
}

/// Samoa had no 30 December 2011: who would have begun on that day begins with the next, and is relieved at nine.
#[test]
fn a_day_that_never_was() {
    let rota = rota("Pacific/Apia", date(2011, 12, 29), time(9, 0, 0, 0), 1);
    let turn = |text: &str| turn_at(&rota, text.parse().expect("a timestamp")).expect("somebody");
    let skipped = turn("2011-12-30T12:00:00Z");
    assert_eq!(skipped.person, person("ben"));
    assert_eq!(
        skipped.from.to_string(),
        "2011-12-30T10:00:00Z",
        "midnight of the 31st"
    );
    assert_eq!(skipped.until.to_string(), "2011-12-30T19:00:00Z", "nine o'clock");
}

#[test]
fn first_instant_agrees_with_the_wall_clock_every_quarter_of_an_hour() {
    for name in [
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
    ] {
        let zone = TimeZoneDatabase::bundled().get(name).expect(name);
        let bounds = ("2010-12-20T00:00:00Z", "2012-01-20T00:00:00Z");
        let from: Timestamp = bounds.0.parse().expect("a timestamp");
        let stretches = stretches(&zone, from, bounds.1.parse().expect("a timestamp"));
        let mut wall = date(2011, 1, 1).at(0, 0, 0, 0);
        while wall.year() == 2011 {
            let expected = oracle(&stretches, wall_seconds(wall.date(), wall.time()));
            assert_eq!(first_instant(&zone, wall), Some(expected), "{name} {wall}");
            wall = wall.saturating_add(15.minutes());
        }
    }
}

#[test]
fn a_rota_without_people_has_no_turns_and_the_ends_of_time_do_no_harm() {
    let mut empty = rota("UTC", date(2026, 1, 5), time(9, 0, 0, 0), 7);
    empty.layers[0].participants.clear();
    assert_eq!(turn_at(&empty, Timestamp::UNIX_EPOCH), None);
    let usual = rota("Pacific/Kiritimati", date(2026, 1, 5), time(9, 0, 0, 0), u16::MAX);
    assert_eq!(turn_at(&usual, Timestamp::MIN), None);
    let _whatever = turn_at(&usual, Timestamp::MAX);
    let ancient = rota("UTC", Date::MIN, time(0, 0, 0, 0), 1);
    assert!(turn_at(&ancient, Timestamp::UNIX_EPOCH).is_some());
}
