//! Schedules in every zone of the time zone database, 2000 to 2037: at every instant exactly one owner, no overlap, and
//! every handoff when the wall clock says so. Names that mean the same clock over these years are looked at once.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, date, time};
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp, ToSpan};
use mainstay_catalog::platform::TimeZoneName;
use mainstay_catalog::response::{Rota, TurnLength};
use mainstay_oncall::rota::{gaps, on_call_at, schedule};

use crate::clock::{WallClock, wall_s};
use crate::rota::{PEOPLE, layer, layered};

const DAY_S: i64 = 86_400;
const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// Every clock, with the first of its names and how many there are.
fn clocks() -> Vec<(WallClock, String, usize)> {
    let names = TimeZoneDatabase::bundled();
    let names = names.available().map(|name| name.as_str().to_owned());
    let names: Vec<String> = names
        .filter(|name| name.parse::<TimeZoneName>().is_ok())
        .collect();
    assert!(
        names.len() >= 590,
        "{} zones: the database is bundled",
        names.len()
    );
    let mut clocks: BTreeMap<WallClock, (String, usize)> = BTreeMap::new();
    for name in &names {
        let zone = TimeZoneDatabase::bundled().get(name).expect(name);
        let clock = WallClock::of(&zone, date(1999, 12, 1), date(2038, 3, 1));
        clocks.entry(clock).or_insert_with(|| (name.clone(), 0)).1 += 1;
    }
    let covered: usize = clocks.values().map(|(_, names)| names).sum();
    assert_eq!(covered, names.len());
    println!("{} zones, {} clocks", names.len(), clocks.len());
    let clocks = clocks.into_iter();
    clocks
        .map(|(clock, (name, names))| (clock, name, names))
        .collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn rota(zone: &str, start: Date, handoff: Time, turn: &str) -> Rota {
    let turn: TurnLength = turn.parse().expect("a length");
    layered(vec![layer("base", zone, start, handoff, turn, &PEOPLE)])
}

/// Holds a schedule against the handoffs that the wall clock gives, and `on_call_at` against both. Returns the number
/// of instants that were asked about.
fn hold(
    rota: &Rota,
    clock: &WallClock,
    zone: &str,
    walls: &mut dyn Iterator<Item = i64>,
    every_edge: bool,
) -> u64 {
    let mut stretch = 0;
    let handoffs: Vec<i64> = walls.map(|wall| clock.first_from(wall, &mut stretch)).collect();
    let (begins, ends) = (handoffs[0], handoffs[handoffs.len() - 1]);
    let shifts = schedule("primary", rota, &[], at(begins - DAY_S), at(ends));
    let mut shift = shifts.iter();
    let mut asked = 0;
    for (number, pair) in handoffs.windows(2).enumerate() {
        // A turn that lies in a gap altogether is nobody's.
        if pair[0] == pair[1] {
            continue;
        }
        let person = PEOPLE[number % PEOPLE.len()];
        let found = shift.next().expect("a shift");
        assert_eq!(
            (found.person.as_ref(), found.from, found.until),
            (person, at(pair[0]), at(pair[1])),
            "{zone}: turn {number} of {:?}",
            rota.layers[0]
        );
        let edges = [found.from, found.until - NANOSECOND];
        // Of the many shifts of weeks one edge each, in turn.
        let edges = if every_edge {
            &edges[..]
        } else {
            &edges[number % 2..=number % 2]
        };
        for &instant in edges {
            let owner = on_call_at("primary", rota, &[], instant);
            assert_eq!(owner.as_ref(), Some(&found.person), "{zone} at {instant}");
            asked += 1;
        }
    }
    assert_eq!(shift.next(), None, "{zone}: no shift is left over");
    let before = gaps(&shifts, at(begins - DAY_S), at(ends));
    assert_eq!(
        before.len(),
        1,
        "{zone}: nobody before the first handoff, and then always somebody"
    );
    asked
}

fn all_years(handoff: Time, first: Date) {
    let last = date(2037, 12, 31);
    let (mut asked, mut zones) = (0, 0);
    for (clock, zone, names) in clocks() {
        let rota = rota(&zone, first, handoff, "weekly");
        let weeks = (wall_s(first, handoff)..wall_s(last, handoff)).step_by(7 * DAY_S as usize);
        asked += hold(&rota, &clock, &zone, &mut { weeks }, false);
        zones += names;
    }
    println!("weekly at {handoff}: {asked} instants in {zones} zones");
}

#[test]
fn weekly_on_monday_mornings() {
    all_years(time(9, 0, 0, 0), date(2000, 1, 3));
}

#[test]
fn weekly_in_the_night_in_which_most_clocks_change() {
    all_years(time(2, 30, 0, 0), date(2000, 1, 2));
}

#[test]
fn weekly_at_midnight_from_saturday_to_sunday() {
    all_years(time(0, 0, 0, 0), date(2000, 1, 2));
}

/// Turns of a month from the 31st, each on the last day that its month has.
#[test]
fn monthly_from_the_31st() {
    let (mut asked, mut zones) = (0, 0);
    for (clock, zone, names) in clocks() {
        for handoff in [time(0, 0, 0, 0), time(2, 30, 0, 0), time(17, 0, 0, 0)] {
            let rota = rota(&zone, date(2000, 1, 31), handoff, "monthly");
            let months = (2000..2038).flat_map(|year| (1..=12).map(move |month| date(year, month, 1)));
            let mut walls = months.map(|first| wall_s(first.last_of_month(), handoff));
            asked += hold(&rota, &clock, &zone, &mut walls, true);
        }
        zones += names;
    }
    println!("monthly: {asked} instants in {zones} zones");
}

/// Around every change of every clock: turns of a day that begin at six times of the night, and turns of hours.
#[test]
fn around_every_change_of_a_clock() {
    let (mut asked, mut changes) = (0, 0);
    for (clock, zone, _) in clocks() {
        for jump in clock.jumps() {
            changes += 1;
            let shown = clock.shows(jump);
            let day = at(shown - shown.rem_euclid(DAY_S) - DAY_S);
            let day = jiff::tz::TimeZone::UTC.to_datetime(day).date();
            if day.year() < 2000 || day.saturating_add(5.days()).year() > 2037 {
                continue;
            }
            for (turn, length_s, turns, minutes) in [
                ("daily", DAY_S, 3, &[0, 30, 90, 120, 150, 1_439][..]),
                ("hourly", 3_600, 30, &[12 * 60 + 30][..]),
                ("7 hours", 7 * 3_600, 5, &[8 * 60 + 15][..]),
            ] {
                for minute in minutes {
                    let handoff = time(0, 0, 0, 0) + i64::from(*minute).minutes();
                    let rota = rota(&zone, day, handoff, turn);
                    let first = wall_s(day, handoff);
                    let mut walls = (0..=turns).map(|number| first + number * length_s);
                    asked += hold(&rota, &clock, &zone, &mut walls, true);
                }
            }
        }
    }
    println!("{asked} instants around {changes} changes of clocks");
}
