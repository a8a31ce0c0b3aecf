//! Recurrence rules against the examples that RFC 5545 publishes in section 3.8.5.3 (New York, from 2 September 1997,
//! 9:00), and against what maintenance must do where clocks change.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mainstay_slo::adjust::recurrence::Recurrence;

fn times(rule: &str, first: &str, zone: &str, to: &str) -> Vec<String> {
    let rule = Recurrence::parse(rule).expect("a rule");
    let first: DateTime = first.parse().expect("a local time");
    let zone = TimeZone::get(zone).expect("a zone");
    let to: Timestamp = to.parse().expect("an instant");
    let starts = rule.starts(first, &zone, i64::MIN, to.as_millisecond());
    let shown = starts.into_iter().map(|ms| {
        let at = Timestamp::from_millisecond(ms).expect("in range");
        at.to_zoned_datetime(zone.clone())
            .strftime("%Y-%m-%d %H:%M %:z")
            .to_string()
    });
    shown.collect()
}

/// The days of an example, with the month written once: `1997-09 2 4 9`.
fn days(months: &[&str]) -> Vec<String> {
    let month = |text: &&str| {
        let mut words = text.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter();
        let month = words.next().expect("a month");
        words
            .map(move |day| format!("{month}-{day:0>2}"))
            .collect::<Vec<_>>()
    };
    months.iter().flat_map(month).collect()
}

const FAR: &str = "1998-12-31T00:00:00Z";

#[test]
fn the_published_examples() {
    let cases: &[(&str, &str, &[&str])] = &[
        // Daily for 10 occurrences.
        (
            "FREQ=DAILY;COUNT=10",
            "1997-09-02T09:00",
            &["1997-09 2 3 4 5 6 7 8 9 10 11"],
        ),
        // Every 10 days, 5 occurrences.
        (
            "FREQ=DAILY;INTERVAL=10;COUNT=5",
            "1997-09-02T09:00",
            &["1997-09 2 12 22", "1997-10 2 12"],
        ),
        // Weekly for 10 occurrences.
        (
            "FREQ=WEEKLY;COUNT=10",
            "1997-09-02T09:00",
            &["1997-09 2 9 16 23 30", "1997-10 7 14 21 28", "1997-11 4"],
        ),
        // Weekly on Tuesday and Thursday for five weeks, both ways.
        (
            "FREQ=WEEKLY;UNTIL=19971007T000000Z;BYDAY=TU,TH",
            "1997-09-02T09:00",
            &["1997-09 2 4 9 11 16 18 23 25 30", "1997-10 2"],
        ),
        (
            "FREQ=WEEKLY;COUNT=10;BYDAY=TU,TH",
            "1997-09-02T09:00",
            &["1997-09 2 4 9 11 16 18 23 25 30", "1997-10 2"],
        ),
        // Every other week on Monday, Wednesday and Friday until December 24, 1997, from Monday, September 1.
        (
            "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;BYDAY=MO,WE,FR",
            "1997-09-01T09:00",
            &[
                "1997-09 1 3 5 15 17 19 29",
                "1997-10 1 3 13 15 17 27 29 31",
                "1997-11 10 12 14 24 26 28",
                "1997-12 8 10 12 22",
            ],
        ),
        // Monthly on the first Friday for 10 occurrences.
        (
            "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
            "1997-09-05T09:00",
            &[
                "1997-09 5",
                "1997-10 3",
                "1997-11 7",
                "1997-12 5",
                "1998-01 2",
                "1998-02 6",
                "1998-03 6",
                "1998-04 3",
                "1998-05 1",
                "1998-06 5",
            ],
        ),
        // Monthly on the first Friday until December 24, 1997.
        (
            "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
            "1997-09-05T09:00",
            &["1997-09 5", "1997-10 3", "1997-11 7", "1997-12 5"],
        ),
        // Every other month on the first and last Sunday for 10 occurrences.
        (
            "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "1997-09-07T09:00",
            &[
                "1997-09 7 28",
                "1997-11 2 30",
                "1998-01 4 25",
                "1998-03 1 29",
                "1998-05 3 31",
            ],
        ),
        // Monthly on the second-to-last Monday for 6 months.
        (
            "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
            "1997-09-22T09:00",
            &[
                "1997-09 22",
                "1997-10 20",
                "1997-11 17",
                "1997-12 22",
                "1998-01 19",
                "1998-02 16",
            ],
        ),
        // Every Tuesday, every other month.
        (
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU;COUNT=9",
            "1997-09-02T09:00",
            &["1997-09 2 9 16 23 30", "1997-11 4 11 18 25"],
        ),
        // "The same day of each month": months without it are left out (section 3.3.10).
        (
            "FREQ=MONTHLY;COUNT=4",
            "1997-12-31T09:00",
            &["1997-12 31", "1998-01 31", "1998-03 31", "1998-05 31"],
        ),
    ];
    for (rule, first, expected) in cases {
        let found = times(rule, first, "America/New_York", FAR);
        let found_days: Vec<String> = found.iter().map(|text| text[..10].to_owned()).collect();
        assert_eq!(found_days, days(expected), "{rule}");
        // (1997 EDT) until 26 October, then EST, and always 9:00 on the clocks.
        for text in &found {
            let summer = ("1997-04-06".."1997-10-26").contains(&&text[..10])
                || ("1998-04-05".."1998-10-25").contains(&&text[..10]);
            let ending = if summer { "09:00 -04:00" } else { "09:00 -05:00" };
            assert!(text.ends_with(ending), "{rule}: {text}");
        }
    }
}

#[test]
fn an_hour_that_clocks_skip_or_repeat_comes_once() {
    // Berlin, 2026: 29 March 2:00 becomes 3:00; 25 October 3:00 becomes 2:00.
    let daily = |first, to| times("FREQ=DAILY;BYHOUR=2", first, "Europe/Berlin", to);
    assert_eq!(
        daily("2026-03-28T02:30", "2026-03-31T00:00:00Z"),
        [
            "2026-03-28 02:30 +01:00",
            "2026-03-29 03:30 +02:00",
            "2026-03-30 02:30 +02:00"
        ]
    );
    assert_eq!(
        daily("2026-10-24T02:30", "2026-10-27T00:00:00Z"),
        [
            "2026-10-24 02:30 +02:00",
            "2026-10-25 02:30 +02:00",
            "2026-10-26 02:30 +01:00"
        ]
    );
}

#[test]
fn hours_of_a_day_and_ends_on_the_clocks() {
    assert_eq!(
        times(
            "FREQ=DAILY;BYHOUR=22,1;UNTIL=20260102",
            "2026-01-01T00:15",
            "Africa/Nairobi",
            "2026-02-01T00:00:00Z"
        ),
        [
            "2026-01-01 01:15 +03:00",
            "2026-01-01 22:15 +03:00",
            "2026-01-02 01:15 +03:00",
            "2026-01-02 22:15 +03:00"
        ]
    );
}

#[test]
fn what_is_not_read_is_said_with_its_place() {
    for (rule, at, word) in [
        ("", 1, "NAME=VALUE"),
        ("BYDAY=MO", 1, "FREQ"),
        ("FREQ=YEARLY", 6, "MONTHLY"),
        ("FREQ=DAILY;INTERVAL=0", 21, "1 to 1000"),
        ("FREQ=DAILY;WKST=SU", 12, "WKST"),
        ("FREQ=WEEKLY;BYDAY=MO,XX", 22, "XX"),
        ("FREQ=WEEKLY;BYDAY=1MO", 19, "MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=6MO", 20, "6MO"),
        ("FREQ=DAILY;BYHOUR=2,24", 21, "0 to 23"),
        ("FREQ=DAILY;UNTIL=2026-01-01", 18, "20261231"),
        ("FREQ=DAILY;UNTIL=20260101é00000Z", 18, "20261231"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20260101", 1, "exclude"),
        ("FREQ=DAILY;FREQ=DAILY", 12, "twice"),
    ] {
        let error = Recurrence::parse(rule).expect_err(rule);
        assert_eq!(error.at, at, "{rule}: {error}");
        assert!(error.to_string().contains(word), "{rule}: {error}");
    }
}
