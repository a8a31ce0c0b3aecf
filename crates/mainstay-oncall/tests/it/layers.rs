//! Layers, restrictions and overrides: what wins, what is a gap, and that everything agrees about it.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use mainstay_catalog::platform::Weekday;
use mainstay_catalog::response::{DstConvention, Layer, Restriction, Rota, TurnLength, TurnUnit};
use mainstay_oncall::Override;
use mainstay_oncall::rota::{
    Shift, Source, Verdict, explain, gaps, next_shift, on_call_at, schedule, shift_at,
};
use proptest::prelude::*;

use crate::clock::{WallClock, wall_s};
use crate::rota::{layer, layered, person};

const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);
const DAY_S: i64 = 86_400;

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn only(zone: &str, days: &[Weekday], from: Time, until: Time) -> Restriction {
    Restriction {
        days: days.iter().copied().collect(),
        from,
        until,
        time_zone: zone.parse().expect("a zone"),
    }
}

fn owners(shifts: &[Shift]) -> Vec<(&str, String)> {
    let line = |shift: &Shift| format!("{} {}", shift.from, shift.until);
    shifts
        .iter()
        .map(|shift| (shift.person.as_ref(), line(shift)))
        .collect()
}

/// Three sites of eight hours by their own wall clocks, in winter: no gap, and each has its day.
fn follow_the_sun() -> Rota {
    let site = |zone: &str, who: &str, from, until| {
        let turn = "weekly".parse().expect("a length");
        let mut layer = layer(who, zone, date(2025, 12, 29), time(0, 0, 0, 0), turn, &[who]);
        layer.only = vec![only(zone, &Weekday::ALL, from, until)];
        layer
    };
    layered(vec![
        site("Asia/Tokyo", "tokyo", time(9, 0, 0, 0), time(17, 0, 0, 0)),
        site("Europe/Berlin", "berlin", time(9, 0, 0, 0), time(17, 0, 0, 0)),
        site("America/New_York", "york", time(11, 0, 0, 0), time(19, 0, 0, 0)),
    ])
}

#[test]
fn the_sun_is_followed_in_winter_and_the_hole_of_summer_is_found() {
    let rota = follow_the_sun();
    let (from, until) = (instant("2026-01-14T00:00:00Z"), instant("2026-01-15T00:00:00Z"));
    let shifts = schedule("sun", &rota, &[], from, until);
    assert_eq!(
        owners(&shifts),
        [
            ("tokyo", "2026-01-14T00:00:00Z 2026-01-14T08:00:00Z".to_owned()),
            ("berlin", "2026-01-14T08:00:00Z 2026-01-14T16:00:00Z".to_owned()),
            ("york", "2026-01-14T16:00:00Z 2026-01-15T00:00:00Z".to_owned()),
        ]
    );
    assert_eq!(gaps(&shifts, from, until), []);
    // In summer Berlin and New York are an hour earlier, and nobody waits for Tokyo's morning.
    let (from, until) = (instant("2026-07-15T00:00:00Z"), instant("2026-07-16T00:00:00Z"));
    let shifts = schedule("sun", &rota, &[], from, until);
    let holes = gaps(&shifts, from, until);
    assert_eq!(holes.len(), 1);
    assert_eq!(holes[0].from, instant("2026-07-15T23:00:00Z"));
    assert_eq!(
        owners(&shifts)[1].1,
        "2026-07-15T07:00:00Z 2026-07-15T15:00:00Z",
        "a later layer wins"
    );
}

/// Week days belong to one rotation and nights to another on top of it; whoever is asked, the last layer in force wins.
#[test]
fn a_later_layer_wins_where_it_is_in_force_and_an_override_over_all() {
    let zone = "Europe/Berlin";
    let weekly = "weekly".parse().expect("a length");
    let base = layer(
        "base",
        zone,
        date(2026, 1, 5),
        time(9, 0, 0, 0),
        weekly,
        &["ana", "ben"],
    );
    let mut nights = layer(
        "nights",
        zone,
        date(2026, 1, 5),
        time(20, 0, 0, 0),
        TurnLength::days(1),
        &["chi", "dan"],
    );
    nights.only = vec![only(
        zone,
        &[Weekday::Friday, Weekday::Saturday],
        time(20, 0, 0, 0),
        time(8, 0, 0, 0),
    )];
    let rota = layered(vec![base, nights]);
    let swapped = Override::new(
        "primary".to_owned(),
        person("eva"),
        instant("2026-01-09T22:00:00Z"),
        instant("2026-01-10T01:00:00Z"),
    );
    let overrides = [swapped];
    let shifts = schedule(
        "primary",
        &rota,
        &overrides,
        instant("2026-01-09T00:00:00Z"),
        instant("2026-01-11T12:00:00Z"),
    );
    let expected = [
        ("ana", "2026-01-09T00:00:00Z 2026-01-09T19:00:00Z"),
        ("chi", "2026-01-09T19:00:00Z 2026-01-09T22:00:00Z"),
        ("eva", "2026-01-09T22:00:00Z 2026-01-10T01:00:00Z"),
        ("chi", "2026-01-10T01:00:00Z 2026-01-10T07:00:00Z"),
        ("ana", "2026-01-10T07:00:00Z 2026-01-10T19:00:00Z"),
        ("dan", "2026-01-10T19:00:00Z 2026-01-11T07:00:00Z"),
        ("ana", "2026-01-11T07:00:00Z 2026-01-11T12:00:00Z"),
    ];
    assert_eq!(
        owners(&shifts),
        expected.map(|(who, when)| (who, when.to_owned()))
    );

    let midnight = instant("2026-01-10T00:00:00Z");
    let steps = explain("primary", &rota, &overrides, midnight);
    let said: Vec<_> = steps
        .iter()
        .map(|step| (step.what.as_str(), step.verdict))
        .collect();
    assert_eq!(
        said,
        [
            ("override of eva", Verdict::Decides),
            ("layer nights", Verdict::Overruled),
            ("layer base", Verdict::Overruled),
        ]
    );
    let whole = shift_at("primary", &rota, &overrides, instant("2026-01-11T12:00:00Z")).expect("ana");
    assert_eq!(whole.from, instant("2026-01-11T07:00:00Z"), "after the night");
    assert_eq!(whole.until, instant("2026-01-12T08:00:00Z"), "to the handoff");
    let horizon = instant("2027-01-01T00:00:00Z");
    let next = next_shift("primary", &rota, &overrides, midnight, horizon).expect("chi comes back");
    assert_eq!((next.person, next.source), (person("chi"), Source::Layer(1)));
}

#[test]
fn restrictions_that_touch_or_overlap_are_one_shift() {
    let weekly = "weekly".parse().expect("a length");
    let mut base = layer(
        "base",
        "UTC",
        date(2026, 1, 5),
        time(0, 0, 0, 0),
        weekly,
        &["ana"],
    );
    base.only = vec![
        only("UTC", &Weekday::ALL, time(0, 0, 0, 0), time(0, 0, 0, 0)),
        only("UTC", &[Weekday::Tuesday], time(6, 0, 0, 0), time(12, 0, 0, 0)),
    ];
    let rota = layered(vec![base]);
    let shifts = schedule(
        "r",
        &rota,
        &[],
        instant("2026-01-05T00:00:00Z"),
        instant("2026-01-19T00:00:00Z"),
    );
    assert_eq!(shifts.len(), 2, "one for each turn: {shifts:?}");
    let whole = shift_at("r", &rota, &[], instant("2026-01-06T07:00:00Z")).expect("ana");
    assert_eq!(whole, shifts[0]);
}

// The oracle enumerates: every turn from the first one, every day of every restriction.

struct Years(Vec<(String, WallClock)>);

impl Years {
    fn of(rota: &Rota) -> Self {
        let zones = rota.layers.iter().flat_map(|layer| {
            let only = layer.only.iter().map(|only| &only.time_zone);
            only.chain([&layer.time_zone])
        });
        let clock = |zone: &TimeZone| WallClock::of(zone, date(2010, 1, 1), date(2013, 1, 1));
        Self(
            zones
                .map(|zone| (zone.to_string(), clock(&zone.zone())))
                .collect(),
        )
    }

    fn clock(&self, zone: &impl ToString) -> &WallClock {
        let zone = zone.to_string();
        &self
            .0
            .iter()
            .find(|(name, _)| *name == zone)
            .expect("it is there")
            .1
    }
}

fn turn_wall_s(layer: &Layer, turn: i64) -> i64 {
    let first = wall_s(layer.start.value, layer.handoff.time);
    let units = turn * i64::from(layer.turn.value.count);
    match layer.turn.value.unit {
        TurnUnit::Hours => first + units * 3_600,
        TurnUnit::Days => first + units * DAY_S,
        TurnUnit::Weeks => first + units * 7 * DAY_S,
        TurnUnit::Months => {
            let start = layer.start.value;
            let months = i64::from(start.year()) * 12 + i64::from(start.month()) - 1 + units;
            let (year, month) = (months.div_euclid(12) as i16, (months.rem_euclid(12) + 1) as i8);
            let month = date(year, month, 1);
            let days = match layer.dst {
                DstConvention::FirstInstant => start.day().min(month.days_in_month()),
                DstConvention::Goalert => start.day(),
            };
            wall_s(month, layer.handoff.time) + (i64::from(days) - 1) * DAY_S
        }
    }
}

fn owner_of_layer(layer: &Layer, years: &Years, at_s: i64) -> Option<String> {
    let covered = layer.only.is_empty()
        || layer.only.iter().any(|only| {
            let clock = years.clock(&only.time_zone);
            let today = clock.shows(at_s).div_euclid(DAY_S);
            (today - 3..=today + 1).any(|number| {
                let midnight = at(number * DAY_S);
                let day = TimeZone::UTC.to_datetime(midnight).date();
                let last = if only.until > only.from {
                    day
                } else {
                    day.saturating_add(1.day())
                };
                let from = clock.first(wall_s(day, only.from));
                let end = wall_s(last, only.until);
                let until = match layer.dst {
                    DstConvention::FirstInstant => clock.first(end),
                    DstConvention::Goalert => clock.last(end),
                };
                only.days.contains(&day.weekday().into()) && from <= at_s && at_s < until
            })
        });
    let clock = years.clock(&layer.time_zone);
    let begun = |turn: i64| clock.first(turn_wall_s(layer, turn)) <= at_s;
    let mut turn = match layer.dst {
        DstConvention::FirstInstant => 0,
        DstConvention::Goalert => (-10_000..=0).rev().find(|turn| begun(*turn))?,
    };
    if !covered || layer.participants.is_empty() || !begun(turn) {
        return None;
    }
    while begun(turn + 1) {
        turn += 1;
    }
    let index = turn.rem_euclid(layer.participants.len() as i64) as usize;
    Some(layer.participants[index].to_string())
}

fn oracle(rota: &Rota, years: &Years, overrides: &[Override], instant: Timestamp) -> Option<String> {
    let covers = |entry: &&Override| entry.rota == "r" && entry.from <= instant && instant < entry.until;
    let swapped = overrides.iter().rev().find(covers);
    let by_layer = |layer: &Layer| owner_of_layer(layer, years, instant.as_second());
    swapped
        .map(|entry| entry.person.to_string())
        .or_else(|| rota.layers.iter().rev().find_map(by_layer))
}

fn a_time() -> impl Strategy<Value = Time> {
    prop_oneof![
        Just(time(0, 0, 0, 0)),
        Just(time(2, 30, 0, 0)),
        (0_i8..24, 0_i8..4).prop_map(|(hour, quarter)| time(hour, quarter * 15, 0, 0)),
    ]
}

fn a_zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/Chicago",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Pacific/Apia",
        "Asia/Gaza",
    ])
}

fn a_layer() -> impl Strategy<Value = Layer> {
    let turn = (1_u16..15, 0_usize..4).prop_map(|(count, unit)| {
        let unit = [TurnUnit::Hours, TurnUnit::Days, TurnUnit::Weeks, TurnUnit::Months][unit];
        TurnLength { count, unit }
    });
    let restriction = (
        a_zone(),
        prop::collection::btree_set(0_usize..7, 1..7),
        a_time(),
        a_time(),
    );
    let restriction = restriction.prop_map(|(zone, days, from, until)| {
        let days: Vec<Weekday> = days.into_iter().map(|day| Weekday::ALL[day]).collect();
        only(zone, &days, from, until)
    });
    let rest = (
        prop::collection::vec(restriction, 0..3),
        0_usize..4,
        any::<bool>(),
    );
    (a_zone(), 0_i64..340, a_time(), turn, rest).prop_map(
        |(zone, day, handoff, turn, (only, people, theirs))| {
            let start = date(2011, 1, 28).saturating_add(day.days());
            let people = &["ana", "ben", "chi"][..people.min(3)];
            let mut layer = layer("some", zone, start, handoff, turn, people);
            layer.only = only;
            if theirs {
                layer.dst = DstConvention::Goalert;
            }
            layer
        },
    )
}

fn an_override(begins_s: i64) -> impl Strategy<Value = Override> {
    (0_i64..40 * 24, 1_i64..100, any::<bool>()).prop_map(move |(after, hours, own)| {
        let rota = if own { "r" } else { "other" }.to_owned();
        let from = at(begins_s + after * 3_600);
        Override::new(rota, person("eva"), from, at(begins_s + (after + hours) * 3_600))
    })
}

fn begins_s(day: Date) -> i64 {
    wall_s(day, Time::midnight())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever the layers: shifts are in order and do not overlap; at their edges, next to them and anywhere else
    /// `on_call_at` says what the schedule says and what the oracle says.
    #[test]
    fn schedule_and_on_call_at_say_what_the_wall_clocks_say(
        layers in prop::collection::vec(a_layer(), 1..4),
        day in 0_i64..330,
        overrides in prop::collection::vec(an_override(1_300_000_000), 0..4),
        points in prop::collection::vec(0_i64..30 * DAY_S, 40),
    ) {
        let rota = layered(layers);
        let years = Years::of(&rota);
        let begins = begins_s(date(2011, 2, 1).saturating_add(day.days()));
        // Overrides are drawn around one instant, and moved to where the schedule is.
        let moved = |entry: &Override| {
            let by = SignedDuration::from_secs(begins - 1_300_000_000);
            Override { from: entry.from + by, until: entry.until + by, ..entry.clone() }
        };
        let overrides: Vec<Override> = overrides.iter().map(moved).collect();
        let (from, until) = (at(begins), at(begins + 30 * DAY_S));
        let shifts = schedule("r", &rota, &overrides, from, until);
        let mut asked: BTreeSet<Timestamp> = points.iter().map(|after| at(begins + after)).collect();
        let mut free = from;
        for shift in &shifts {
            prop_assert!(free <= shift.from && shift.from < shift.until && shift.until <= until);
            free = shift.until;
            let edges = [shift.from, shift.from - NANOSECOND, shift.until, shift.until - NANOSECOND];
            asked.extend(edges.into_iter().filter(|edge| from <= *edge && *edge < until));
        }
        let mut looked = 0;
        for instant in asked {
            let scheduled = shifts.iter().find(|shift| shift.from <= instant && instant < shift.until);
            let owner = on_call_at("r", &rota, &overrides, instant);
            prop_assert_eq!(owner.as_ref(), scheduled.map(|shift| &shift.person), "at {}", instant);
            // The oracle is slow: it is asked about some of many.
            looked += 1;
            if looked % 7 == 0 || shifts.len() < 30 {
                let expected = oracle(&rota, &years, &overrides, instant);
                prop_assert_eq!(owner.map(|owner| owner.to_string()), expected, "at {}", instant);
            }
            let decided = explain("r", &rota, &overrides, instant);
            let decided = decided.iter().find(|step| step.verdict == Verdict::Decides);
            prop_assert_eq!(decided.and_then(|step| step.person.as_ref()), scheduled.map(|shift| &shift.person));
        }
        // A shift that is asked for alone is the one of a schedule that began long before.
        if let Some(middle) = shifts.get(shifts.len() / 2).filter(|shift| from < shift.from && shift.until < until) {
            let instant = middle.from + middle.until.duration_since(middle.from) / 2;
            let alone = shift_at("r", &rota, &overrides, instant);
            prop_assert_eq!(alone.as_ref(), Some(middle));
        }
    }
}
