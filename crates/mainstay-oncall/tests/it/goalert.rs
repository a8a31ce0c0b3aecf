//! GoAlert's convention, by the behaviour that its own tests publish (handoffs in Chicago and on Lord Howe Island).

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, date, time};
use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::platform::Weekday;
use mainstay_catalog::response::{DstConvention, Restriction, Rota};
use mainstay_oncall::rota::schedule;

use crate::rota::{PEOPLE, layer, layered};

const CHICAGO: &str = "America/Chicago";
const LORD_HOWE: &str = "Australia/Lord_Howe";

fn rota(zone: &str, start: Date, handoff: Time, turn: &str, dst: DstConvention) -> Rota {
    let turn = turn.parse().expect("a length");
    let mut layer = layer("base", zone, start, handoff, turn, &PEOPLE);
    layer.dst = dst;
    layered(vec![layer])
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant with its offset")
}

/// Every handoff from the first to the last one that is expected.
fn handoffs(rota: &Rota, from: &str, until: &str) -> Vec<Timestamp> {
    let shifts = schedule("r", rota, &[], instant(from), instant(until));
    let mut edges: Vec<Timestamp> = shifts.iter().map(|shift| shift.from).collect();
    edges.extend(shifts.last().map(|shift| shift.until));
    edges
}

fn hold(rota: &Rota, expected: &[&str]) {
    let found = handoffs(rota, expected[0], expected[expected.len() - 1]);
    let expected: Vec<Timestamp> = expected.iter().map(|text| instant(text)).collect();
    assert_eq!(found, expected, "{:?}", rota.layers[0]);
}

/// The tables of handoffs, which both conventions share but for what comes before the first handoff.
#[test]
fn handoffs_across_clock_changes() {
    let half_past = |hour| time(hour, 30, 0, 0);
    let back = [
        "2020-10-30T01:30-05",
        "2020-10-31T01:30-05",
        "2020-11-01T01:30-05",
        "2020-11-02T01:30-06",
        "2020-11-03T01:30-06",
    ];
    let tables: [(&str, Date, Time, &str, &[&str]); 9] = [
        // Clocks go back: 24 hours are a day.
        (CHICAGO, date(2020, 10, 30), half_past(1), "24 hours", &back),
        (CHICAGO, date(2020, 10, 30), half_past(1), "daily", &back),
        // Clocks go forward over the handoff.
        (
            CHICAGO,
            date(2020, 3, 6),
            half_past(2),
            "daily",
            &[
                "2020-03-06T02:30-06",
                "2020-03-07T02:30-06",
                "2020-03-08T03:00-05",
                "2020-03-09T02:30-05",
                "2020-03-10T02:30-05",
            ],
        ),
        (
            CHICAGO,
            date(2020, 3, 6),
            half_past(2),
            "hourly",
            &[
                "2020-03-08T00:30-06",
                "2020-03-08T01:30-06",
                "2020-03-08T03:00-05",
                "2020-03-08T03:30-05",
                "2020-03-08T04:30-05",
            ],
        ),
        // An hour that is not there is nobody's turn; one that is there twice is one long turn.
        (
            CHICAGO,
            date(2020, 3, 6),
            time(2, 0, 0, 0),
            "hourly",
            &[
                "2020-03-08T01:00-06",
                "2020-03-08T03:00-05",
                "2020-03-08T04:00-05",
                "2020-03-08T05:00-05",
            ],
        ),
        (
            CHICAGO,
            date(2020, 7, 6),
            time(2, 0, 0, 0),
            "hourly",
            &[
                "2020-11-01T00:00-05",
                "2020-11-01T01:00-05",
                "2020-11-01T02:00-06",
                "2020-11-01T03:00-06",
            ],
        ),
        // Half an hour back, and the handoff is the end of it.
        (
            LORD_HOWE,
            date(2021, 4, 3),
            half_past(2),
            "hourly",
            &[
                "2021-04-04T00:30+11",
                "2021-04-04T01:30+11",
                "2021-04-04T02:30+10:30",
                "2021-04-04T03:30+10:30",
            ],
        ),
        (
            LORD_HOWE,
            date(2021, 4, 2),
            time(2, 0, 0, 0),
            "daily",
            &[
                "2021-04-02T02:00+11",
                "2021-04-03T02:00+11",
                "2021-04-04T02:00+10:30",
                "2021-04-05T02:00+10:30",
            ],
        ),
        (
            LORD_HOWE,
            date(2020, 10, 2),
            time(2, 15, 0, 0),
            "daily",
            &[
                "2020-10-02T02:15+10:30",
                "2020-10-03T02:15+10:30",
                "2020-10-04T02:30+11",
                "2020-10-05T02:15+11",
            ],
        ),
    ];
    for dst in [DstConvention::Goalert, DstConvention::FirstInstant] {
        for (zone, start, handoff, turn, expected) in tables {
            hold(&rota(zone, start, handoff, turn, dst), expected);
        }
    }
}

#[test]
fn how_long_shifts_are() {
    // Start, length, end, hours.
    let table = [
        ("2017-06-10", 8, "weekly", 168),
        ("2017-06-10", 8, "2 weeks", 336),
        ("2017-03-10", 8, "weekly", 167),
        ("2017-11-04", 8, "weekly", 169),
        ("2017-03-11", 8, "daily", 23),
        ("2017-11-04", 8, "daily", 25),
        ("2017-06-10", 8, "2 hours", 2),
        ("2017-03-12", 0, "3 hours", 2),
        ("2017-11-05", 0, "3 hours", 4),
        ("2017-06-01", 0, "monthly", 24 * 30),
        ("2017-07-01", 0, "2 months", 24 * 62),
        ("2017-03-01", 0, "monthly", 24 * 31 - 1),
        ("2017-11-01", 0, "2 months", 24 * 61 + 1),
    ];
    for (start, hour, turn, hours) in table {
        let day: Date = start.parse().expect("a date");
        let rota = rota(CHICAGO, day, time(hour, 0, 0, 0), turn, DstConvention::Goalert);
        let zone = rota.time_zone.zone();
        let begins = zone.to_timestamp(day.at(hour, 0, 0, 0)).expect("unambiguous");
        let shift = mainstay_oncall::rota::shift_at("r", &rota, &[], begins).expect("somebody");
        assert_eq!(shift.from, begins);
        assert_eq!(
            shift.until.duration_since(begins),
            SignedDuration::from_hours(hours),
            "{turn} from {start}"
        );
    }
}

#[test]
fn turns_go_back_before_the_first_handoff() {
    let with = |dst| rota("UTC", date(2020, 6, 1), time(3, 0, 0, 0), "10 hours", dst);
    let theirs = with(DstConvention::Goalert);
    hold(
        &theirs,
        &[
            "2020-05-30T11:00Z",
            "2020-05-30T21:00Z",
            "2020-05-31T07:00Z",
            "2020-05-31T17:00Z",
            "2020-06-01T03:00Z",
            "2020-06-01T13:00Z",
        ],
    );
    let before = schedule(
        "r",
        &theirs,
        &[],
        instant("2020-05-31T17:00Z"),
        instant("2020-06-01T03:00Z"),
    );
    assert_eq!(
        before[0].person.as_ref(),
        PEOPLE[2],
        "the last one comes before the first"
    );
    let ours = with(DstConvention::FirstInstant);
    assert_eq!(
        schedule(
            "r",
            &ours,
            &[],
            instant("2020-01-01T00:00Z"),
            instant("2020-06-01T03:00Z")
        ),
        []
    );
}

#[test]
fn a_month_from_the_31st_overflows_there_and_is_cut_off_here() {
    let at = |dst| rota("UTC", date(2021, 1, 31), time(9, 0, 0, 0), "monthly", dst);
    hold(
        &at(DstConvention::Goalert),
        &[
            "2021-01-31T09:00Z",
            "2021-03-03T09:00Z",
            "2021-03-31T09:00Z",
            "2021-05-01T09:00Z",
            "2021-05-31T09:00Z",
        ],
    );
    hold(
        &at(DstConvention::FirstInstant),
        &[
            "2021-01-31T09:00Z",
            "2021-02-28T09:00Z",
            "2021-03-31T09:00Z",
            "2021-04-30T09:00Z",
            "2021-05-31T09:00Z",
        ],
    );
}

/// A restriction begins at the first instant at which the clock shows its beginning; it ends at the last one at which
/// it shows its end, or at the first.
#[test]
fn where_a_restriction_ends_in_an_hour_that_is_there_twice() {
    let ends = |dst, from: Time, until: Time, day: &str| {
        let mut rota = rota(CHICAGO, date(2018, 1, 1), time(12, 0, 0, 0), "monthly", dst);
        rota.layers[0].only = vec![Restriction {
            days: BTreeSet::from(Weekday::ALL),
            from,
            until,
            time_zone: CHICAGO.parse().expect("a zone"),
        }];
        let (from, until) = (format!("{day}T00:00-05"), format!("{day}T22:00-05"));
        let shifts = schedule("r", &rota, &[], instant(&from), instant(&until));
        assert_eq!(shifts.len(), 1, "{shifts:?}");
        (shifts[0].from, shifts[0].until)
    };
    let (half, one, three) = (time(0, 30, 0, 0), time(1, 0, 0, 0), time(3, 0, 0, 0));
    let theirs = ends(DstConvention::Goalert, half, one, "2018-11-04");
    assert_eq!(
        theirs,
        (instant("2018-11-04T00:30-05"), instant("2018-11-04T01:00-06"))
    );
    let ours = ends(DstConvention::FirstInstant, half, one, "2018-11-04");
    assert_eq!(
        ours,
        (instant("2018-11-04T00:30-05"), instant("2018-11-04T01:00-05"))
    );
    for dst in [DstConvention::Goalert, DstConvention::FirstInstant] {
        let begins = ends(dst, one, three, "2018-11-04");
        assert_eq!(
            begins,
            (instant("2018-11-04T01:00-05"), instant("2018-11-04T03:00-06"))
        );
        let gap = ends(dst, one, time(2, 30, 0, 0), "2018-03-11");
        assert_eq!(
            gap,
            (instant("2018-03-11T01:00-06"), instant("2018-03-11T03:00-05"))
        );
    }
}
