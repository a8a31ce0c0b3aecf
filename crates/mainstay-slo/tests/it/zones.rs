//! Calendar windows against a second time zone library (chrono-tz), which knows nothing of ours.
//!
//! The rule for local times that clocks change away: of two instants of one name the first begins the period; a name that
//! is left out is read with the offset that was in force before, so the period begins as much after the change as the name
//! lies in the hole. A day that a country left out has no length, and belongs to nobody.

use chrono::{
    DateTime, Days, LocalResult, Months, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use jiff::Timestamp;
use jiff::civil::DateTime as Civil;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::window::{Calendar, Duration, Window};

/// Zones with what makes zones hard: half an hour of summer time, a day left out, summer time that Ramadan interrupts, two
/// hours of it, changes at midnight, quarters of hours, none at all.
const ZONES: &[&str] = &[
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Troll",
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Africa/Nairobi",
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Pyongyang",
    "Atlantic/Azores",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
    "UTC",
];

/// When a clock of the zone shows `local`, by the rule above.
fn instant(zone: Tz, local: NaiveDateTime) -> i64 {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => at.timestamp_millis(),
        LocalResult::Ambiguous(first, second) => first.timestamp_millis().min(second.timestamp_millis()),
        LocalResult::None => {
            // The last local time before the hole has the offset that was in force.
            let before = (1..)
                .map(|minutes| local - TimeDelta::minutes(minutes))
                .find_map(|earlier| match zone.from_local_datetime(&earlier) {
                    LocalResult::Single(at) => Some(at),
                    LocalResult::Ambiguous(_, second) => Some(second),
                    LocalResult::None => None,
                })
                .expect("time begins before the hole");
            let offset_s = i64::from(before.offset().fix().local_minus_utc());
            (local.and_utc().timestamp() - offset_s) * 1_000
        }
    }
}

/// `anchor` and so many units on the clock of a zone.
fn start(zone: Tz, anchor: NaiveDateTime, count: i64, unit: char) -> i64 {
    let months = |months: i64| {
        let magnitude = Months::new(u32::try_from(months.unsigned_abs()).expect("few"));
        let moved = if months < 0 {
            anchor.checked_sub_months(magnitude)
        } else {
            anchor.checked_add_months(magnitude)
        };
        moved.expect("in range")
    };
    let days = |days: i64| {
        let magnitude = Days::new(days.unsigned_abs());
        let moved = if days < 0 {
            anchor.checked_sub_days(magnitude)
        } else {
            anchor.checked_add_days(magnitude)
        };
        moved.expect("in range")
    };
    match unit {
        'h' => instant(zone, anchor) + count * 3_600_000,
        'd' => instant(zone, days(count)),
        'w' => instant(zone, days(7 * count)),
        'M' => instant(zone, months(count)),
        'Q' => instant(zone, months(3 * count)),
        _ => instant(zone, months(12 * count)),
    }
}

/// The period that an instant is in, open on the left.
fn period(zone: Tz, anchor: NaiveDateTime, every: (u32, char), now_ms: i64) -> (i64, i64) {
    let (count, unit) = (i64::from(every.0), every.1);
    let unit_ms = match unit {
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        'M' => 30 * 86_400_000,
        'Q' => 91 * 86_400_000,
        _ => 365 * 86_400_000_i64,
    };
    let near = (now_ms - instant(zone, anchor)) / (unit_ms * count);
    // Nominal lengths drift from real ones by less than a fiftieth.
    let reach = near.abs() / 40 + 3;
    (near - reach..=near + reach)
        .map(|index| {
            (
                start(zone, anchor, index * count, unit),
                start(zone, anchor, (index + 1) * count, unit),
            )
        })
        .find(|(from, to)| *from < now_ms && now_ms <= *to)
        .expect("every instant is in a period")
}

fn check(name: &str, anchor: NaiveDateTime, every: (u32, char), now_ms: i64) {
    let zone: Tz = name.parse().expect("a zone");
    let duration = Duration::parse(&format!("{}{}", every.0, every.1)).expect("a duration");
    let civil: Civil = format!("{anchor:?}").parse().expect("a time");
    let calendar = Calendar::new(duration, civil, name).expect("a zone");
    let now = Timestamp::from_millisecond(now_ms).expect("in range");
    let bounds = Window::Calendar(calendar).bounds(now);
    assert_eq!(
        (bounds.start_ms, bounds.end_ms),
        period(zone, anchor, every, now_ms),
        "{name}, every {duration} from {anchor}, at {now}"
    );
}

fn local(text: &str) -> NaiveDateTime {
    text.parse().expect("a local time")
}

fn ms(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>()
        .expect("an instant")
        .timestamp_millis()
}

/// Instants at which the offset of a zone changes, by chrono-tz, in the years that both libraries know the same of.
fn changes(zone: Tz) -> Vec<i64> {
    let offset = |at_s: i64| {
        let at = DateTime::from_timestamp(at_s, 0).expect("in range").naive_utc();
        zone.offset_from_utc_datetime(&at).fix().local_minus_utc()
    };
    let (first, last, day) = (
        ms("1996-01-01T00:00:00Z") / 1_000,
        ms("2024-12-31T00:00:00Z") / 1_000,
        86_400,
    );
    let mut found = Vec::new();
    for from in (first..last).step_by(day as usize) {
        let (mut low, mut high) = (from, from + day);
        if offset(low) == offset(high) {
            continue;
        }
        while high - low > 1 {
            let middle = i64::midpoint(low, high);
            if offset(middle) == offset(low) {
                low = middle
            } else {
                high = middle
            }
        }
        found.push(high * 1_000);
    }
    found
}

#[test]
fn periods_of_any_zone_are_those_of_another_library() {
    let entropy = SeededEntropy::new(2_026);
    let (first_ms, last_ms) = (ms("1996-01-01T00:00:00Z"), ms("2024-12-31T00:00:00Z"));
    let mut checked = 0;
    for name in ZONES {
        let changes = changes(name.parse().expect("a zone"));
        for round in 0..300 {
            let pick = |n: u64| entropy.below(n) as i64;
            let day = local("1998-01-01T00:00:00") + TimeDelta::days(pick(9_000));
            // Mostly whole hours and midnight, where clocks change; else any second.
            let second = match round % 3 {
                0 => 0,
                1 => pick(24 * 4) * 900,
                _ => pick(86_400),
            };
            let time = NaiveTime::from_num_seconds_from_midnight_opt(second as u32, 0).expect("a time");
            let anchor = day.date().and_time(time);
            let units = [('h', 48), ('d', 10), ('w', 8), ('M', 6), ('Q', 4), ('Y', 1)];
            let (unit, most) = units[entropy.below(units.len() as u64) as usize];
            let count = 1 + entropy.below(most) as u32;
            let now_ms = match (round % 2, changes.len()) {
                // Within two days of a change of clocks.
                (0, length) if length > 0 => {
                    changes[entropy.below(length as u64) as usize] + pick(4 * 86_400_000) - 2 * 86_400_000
                }
                _ => first_ms + pick((last_ms - first_ms).unsigned_abs()),
            };
            check(name, anchor, (count, unit), now_ms);
            checked += 1;
        }
    }
    assert!(checked >= 7_000, "{checked}");
}

#[test]
fn the_known_hard_cases_are_as_the_rule_says() {
    // Samoa left out 30 December 2011: the 29th ends where the 31st begins.
    let midnight = local("2011-12-01T00:00:00");
    let around = period(Tz::Pacific__Apia, midnight, (1, 'd'), ms("2011-12-30T09:00:00Z"));
    assert_eq!(around, (ms("2011-12-29T10:00:00Z"), ms("2011-12-30T10:00:00Z")));
    check("Pacific/Apia", midnight, (1, 'd'), ms("2011-12-30T09:00:00Z"));
    check("Pacific/Apia", midnight, (1, 'd'), ms("2011-12-30T10:00:00Z"));
    check("Pacific/Apia", midnight, (1, 'd'), ms("2011-12-30T10:00:01Z"));
    // Half past two does not exist in New York on 9 March 2025, and exists twice on 2 November.
    let half_past = local("2024-01-01T02:30:00");
    check(
        "America/New_York",
        half_past,
        (1, 'd'),
        ms("2024-03-10T07:30:00Z"),
    );
    check(
        "America/New_York",
        half_past,
        (1, 'd'),
        ms("2024-03-10T07:30:01Z"),
    );
    check(
        "America/New_York",
        local("2024-01-01T01:30:00"),
        (1, 'd'),
        ms("2024-11-03T05:30:01Z"),
    );
    check(
        "America/New_York",
        local("2024-01-01T01:30:00"),
        (1, 'd'),
        ms("2024-11-03T06:30:00Z"),
    );
    // The last of a month where the month has none.
    check(
        "Europe/Berlin",
        local("2024-01-31T00:00:00"),
        (1, 'M'),
        ms("2024-02-29T12:00:00Z"),
    );
}
