//! What being on call asks of people. The expected hours and amounts are counted by hand from a calendar.

use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::Platform;
use mainstay_catalog::platform::{Calendar, Holiday, Person};
use mainstay_catalog::response::{BusinessHours, Pay, Rota};
use mainstay_kernel::fact::Acknowledged;
use mainstay_kernel::{Actor, IncidentId, PageId};
use mainstay_oncall::OncallEvent;
use mainstay_oncall::load::{Load, Pages, PersonLoad, Turns, load};
use mainstay_oncall::rota::schedule;
use proptest::prelude::*;

use crate::rota::{PEOPLE, person, rota};

const HOUR_MS: u64 = 3_600_000;

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Ana in Johannesburg, ben in London, chi where the platform is, in UTC. 25 and 26 December are holidays in Johannesburg.
fn platform() -> Platform {
    let people = [
        ("ana", Some("Africa/Johannesburg")),
        ("ben", Some("Europe/London")),
        ("chi", None),
    ];
    let known = people.map(|(name, zone)| {
        let zone = zone.map_or_else(String::new, |zone| format!(r#", "time_zone": "{zone}""#));
        let json = format!(
            r#"{{"id": "{name}", "name": "{name}", "role": "Engineer", "team": "sre", "contacts": {{}}{zone}}}"#
        );
        let known: Person = serde_json::from_str(&json).expect("a person");
        (person(name), known)
    });
    let calendar = Calendar {
        country: "ZA".to_owned().try_into().expect("a country"),
        time_zone: "Africa/Johannesburg".parse().expect("a zone"),
        holidays: [25, 26]
            .map(|day| Holiday {
                date: date(2026, 12, day),
                name: "Holiday".to_owned(),
            })
            .to_vec(),
        cut_offs: Vec::new(),
    };
    Platform {
        people: known.into(),
        calendars: [("south-africa".to_owned(), calendar)].into(),
        time_zone: "UTC".parse().expect("a zone"),
        ..Platform::default()
    }
}

fn pay() -> Pay {
    serde_json::from_str(r#"{"hourly": "412.50", "currency": "ZAR", "people": {"ben": "30"}}"#).expect("pay")
}

fn asked(rota: &Rota, pages: &Pages, from: &str, until: &str) -> Load {
    let (from, until) = (instant(from), instant(until));
    let turns = [Turns {
        name: "primary",
        rota,
        shifts: schedule("primary", rota, &[], from, until),
    }];
    load(&platform(), &turns, pages, from, until)
}

fn of<'a>(load: &'a Load, name: &str) -> &'a PersonLoad {
    let found = load.people.iter().find(|one| one.person == person(name));
    found.unwrap_or_else(|| panic!("{name}: {load:?}"))
}

#[test]
fn hours_are_those_of_each_one_s_own_clock_and_calendar_and_paid_to_the_cent() {
    // Weeks from Monday 09:00 UTC; ana has that of 21 December, ben the next, chi the one after.
    let mut rota = rota("UTC", date(2026, 12, 21), time(9, 0, 0, 0), 7);
    rota.pay = Some(pay());
    let found = asked(
        &rota,
        &Pages::default(),
        "2026-12-21T09:00:00Z",
        "2027-01-11T09:00:00Z",
    );
    assert_eq!(found.equal_share, 3_333);
    let ana = of(&found, "ana");
    // Business in Johannesburg is 07:00 to 15:00 UTC: Monday from 09:00, 6 h; Tuesday to Thursday, 24 h; Friday 25th and
    // Saturday 26th are holidays; the next Monday until 09:00, 2 h.
    assert_eq!(
        (ana.on_call_ms, ana.off_hours_ms),
        (168 * HOUR_MS, (168 - 32) * HOUR_MS)
    );
    assert_eq!(
        ana.rotas[0].amount.as_deref(),
        Some("84150.00"),
        "136 h × 1.5 × 412.50"
    );
    // London has no calendar in this catalog: five whole days of business.
    let ben = of(&found, "ben");
    assert_eq!(ben.off_hours_ms, (168 - 40) * HOUR_MS);
    assert_eq!(
        ben.rotas[0].amount.as_deref(),
        Some("5760.00"),
        "128 h × 1.5 × 30"
    );
    assert_eq!((ana.share, ben.share), (3_333, 3_333));

    // Seconds are paid too, rounded once: 1 h 00 m 01 s at 618.75 are 618.921875.
    let short = asked(
        &rota,
        &Pages::default(),
        "2026-12-26T00:00:00Z",
        "2026-12-26T01:00:01Z",
    );
    assert_eq!(of(&short, "ana").rotas[0].amount.as_deref(), Some("618.92"));
    rota.pay.as_mut().expect("pay").business_hours = "1".parse().expect("a number");
    let day = asked(
        &rota,
        &Pages::default(),
        "2026-12-22T07:00:00Z",
        "2026-12-22T15:00:00Z",
    );
    assert_eq!(
        of(&day, "ana").rotas[0].amount.as_deref(),
        Some("3300.00"),
        "8 h of work"
    );
    rota.business_hours = Some(BusinessHours {
        from: time(8, 0, 0, 0),
        ..BusinessHours::default()
    });
    let day = asked(
        &rota,
        &Pages::default(),
        "2026-12-22T06:00:00Z",
        "2026-12-22T15:00:00Z",
    );
    assert_eq!(of(&day, "ana").off_hours_ms, 0, "they begin at eight here");
}

#[test]
fn pages_count_once_each_and_nights_are_those_of_the_sleeper() {
    let mut pages = Pages::default();
    let machine = Actor::machine("test");
    let page = |name: &str| PageId::new(name).expect("a name");
    let mut told = |name: &str, who: &str, at: &str, inform: bool| {
        let event = OncallEvent::Notified {
            page: page(name),
            round: 0,
            level: 0,
            people: vec![person(who)],
            inform,
        };
        pages.take(event, instant(at), &machine);
    };
    told("p1", "ana", "2026-12-22T20:30:00Z", false); // 22:30 in Johannesburg
    told("p1", "ana", "2026-12-22T20:50:00Z", false); // the next round of the same page
    told("p2", "ana", "2026-12-23T01:00:00Z", false); // the same night
    told("p3", "ana", "2026-12-23T10:00:00Z", false); // at work
    told("p4", "ana", "2026-12-23T10:00:00Z", true); // only informed
    told("p2", "ben", "2026-12-23T01:05:00Z", false);
    let mut taken = |name: &str, by: Option<&str>, at: &str, actor: &Actor| {
        let fact = Acknowledged {
            page: page(name),
            incident: IncidentId::new("i").expect("a name"),
            by: by.map(person),
        };
        pages.take(OncallEvent::Acknowledged(fact), instant(at), actor);
    };
    taken("p1", Some("ana"), "2026-12-22T20:32:00Z", &machine);
    taken("p2", Some("ben"), "2026-12-23T01:06:00Z", &machine);
    taken("p3", None, "2026-12-23T10:05:00Z", &Actor::person("ana"));
    let rota = rota("UTC", date(2026, 12, 21), time(9, 0, 0, 0), 7);
    let found = asked(&rota, &pages, "2026-12-21T09:00:00Z", "2026-12-28T09:00:00Z");
    let ana = of(&found, "ana");
    assert_eq!(
        (
            ana.pages,
            ana.pages_off_hours,
            ana.pages_at_night,
            ana.interrupted_nights,
            ana.acknowledged
        ),
        (3, 2, 2, 1, 2)
    );
    assert_eq!(
        ana.acknowledged_median_ms,
        Some(210_000),
        "between 2 and 5 minutes"
    );
    assert_eq!(ana.acknowledged_worst_ms, Some(300_000));
    let ben = of(&found, "ben");
    assert_eq!((ben.pages, ben.pages_at_night, ben.on_call_ms), (1, 1, 0));
    assert_eq!(ben.acknowledged_worst_ms, Some(60_000));
}

proptest! {
    #[test]
    fn a_time_cut_in_two_is_the_same_hours_and_shares_are_of_the_whole(
        from_h in 0_i64..2_000, first_h in 1_i64..600, second_h in 1_i64..600
    ) {
        let mut rota = rota("Europe/London", date(2026, 1, 5), time(9, 0, 0, 0), 3);
        rota.pay = Some(pay());
        let start = instant("2026-01-05T09:00:00Z") + SignedDuration::from_hours(from_h);
        let middle = start + SignedDuration::from_hours(first_h);
        let end = middle + SignedDuration::from_hours(second_h);
        let ask = |from: Timestamp, until: Timestamp| {
            asked(&rota, &Pages::default(), &from.to_string(), &until.to_string())
        };
        let (whole, parts) = (ask(start, end), [ask(start, middle), ask(middle, end)]);
        for name in PEOPLE {
            let sum = |of_one: fn(&PersonLoad) -> u64| parts.iter().map(|part| of_one(of(part, name))).sum::<u64>();
            prop_assert_eq!(sum(|one| one.on_call_ms), of(&whole, name).on_call_ms);
            prop_assert_eq!(sum(|one| one.off_hours_ms), of(&whole, name).off_hours_ms);
        }
        let total: u64 = whole.people.iter().map(|one| one.on_call_ms).sum();
        prop_assert_eq!(total, u64::try_from(first_h + second_h).expect("positive") * HOUR_MS);
        let shares: u64 = whole.people.iter().map(|one| one.share).sum();
        prop_assert!((9_998..=10_002).contains(&shares), "{}", shares);
    }
}
