//! How long it takes from an alert that fires, posted or by a rule of our own, to its page at the receiver: when all is
//! calm, and in a storm of two thousand alerts whose receiver is slow and throttled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::alerts::{Alert, mark, post};
use super::receiver::{Arrival, Manner, Receiver};
use super::site::Site;
use super::{catalog, is_full, read, seed};
use crate::harness::{http, until};

/// What a P0 may take, 99 times of a hundred.
const CALM: Duration = Duration::from_secs(5);
const STORMY: Duration = Duration::from_secs(10);
/// The alerts of the storm.
const STORM: u64 = 2_000;

fn alert(number: u64, priority: &'static str, lane: &'static str) -> Alert {
    Alert {
        number,
        priority,
        lane,
        starts_at: Timestamp::now(),
    }
}

/// Tells of one P0 after the other; gives when each was told.
fn tell_pages(address: &str, numbers: std::ops::Range<u64>, every: Duration) -> Vec<(u64, Instant)> {
    let mut told = Vec::new();
    for number in numbers {
        let body: Value = [alert(number, "P0", "desk").posted(None)].into_iter().collect();
        told.push((number, Instant::now()));
        assert_eq!(post(address, "/api/v2/alerts", &body), Some(200));
        std::thread::sleep(every);
    }
    told
}

/// When the first page of each of these alerts was at the receiver.
fn heard(receiver: &Receiver, numbers: &[u64]) -> BTreeMap<u64, Instant> {
    let find = || -> BTreeMap<u64, Instant> {
        let arrivals = receiver.since(0);
        let at = |number: &u64| {
            let of = |arrival: &&Arrival| arrival.path == "/desk" && arrival.body.contains(&mark(*number));
            Some((*number, arrivals.iter().find(of)?.at))
        };
        numbers.iter().filter_map(at).collect()
    };
    until("every page is out", || find().len() == numbers.len());
    find()
}

/// How long each took to its receiver.
fn took(receiver: &Receiver, told: &[(u64, Instant)]) -> Vec<u128> {
    let numbers: Vec<u64> = told.iter().map(|(number, _)| *number).collect();
    let heard = heard(receiver, &numbers);
    let of = |(number, at): &(u64, Instant)| heard[number].duration_since(*at).as_millis();
    told.iter().map(of).collect()
}

/// Prints the figures; gives the 99th of a hundred.
fn figures(what: &str, mut all: Vec<u128>) -> u128 {
    all.sort_unstable();
    let at = |percent: usize| all[(all.len() * percent).div_ceil(100).max(1) - 1];
    println!(
        "{what}: {} pages, p50 {} ms, p99 {} ms, max {} ms",
        all.len(),
        at(50),
        at(99),
        at(100)
    );
    at(99)
}

#[test]
fn a_page_is_out_in_time_in_calm_and_storm() {
    let seed = seed();
    let (catalog, directory) = (throttled(), tempfile::tempdir().expect("a directory"));
    let receiver = slow_receiver(seed);
    let data = directory.path().join("data");
    let site = Site {
        catalog: catalog.path(),
        data: &data,
        database: None,
        receiver: &receiver,
    };
    let (_running, address) = site.serving();

    let pages = if is_full() { 500 } else { 60 };
    let calm = tell_pages(&address, 0..pages, Duration::from_millis(50));
    let calm = figures("calm, P0", took(&receiver, &calm));

    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            let numbers: Vec<u64> = (100_000..100_000 + STORM).collect();
            for batch in numbers.chunks(100) {
                let body: Value = batch
                    .iter()
                    .map(|number| alert(*number, "P3", "slow").posted(None))
                    .collect();
                assert_eq!(post(&address, "/api/v2/alerts", &body), Some(200));
            }
        });
        until("the storm has begun", || slow(&receiver) > 0);
        tell_pages(&address, 10_000..10_000 + pages, Duration::from_millis(50))
    });
    let stormy = figures("in a storm of 2,000 P3, P0", took(&receiver, &told));
    in_time(calm, stormy, slow(&receiver), STORM);
}

/// Like this the receiver of what is not urgent takes at most two messages a second.
fn throttled() -> tempfile::TempDir {
    let catalog = catalog();
    let routing = catalog.path().join("routing.yaml");
    let throttled = read(&routing).replace(
        "  webhooks:\n",
        "  limits: {webhook: {at_once: 8, per_minute: 2400}}\n  webhooks:\n",
    );
    std::fs::write(&routing, throttled).expect("written");
    catalog
}

fn slow_receiver(seed: u64) -> Receiver {
    Receiver::start(seed, |path| Manner {
        answers_within: Duration::from_millis(if path == "/slow" { 8_000 } else { 20 }),
        busy_percent: 0,
    })
}

/// How many of the storm were sent.
fn slow(receiver: &Receiver) -> u64 {
    let arrivals = receiver.since(0);
    arrivals.iter().filter(|arrival| arrival.path == "/slow").count() as u64
}

fn in_time(calm_ms: u128, stormy_ms: u128, slow: u64, storm: u64) {
    println!("{slow} of {storm} P3 were sent meanwhile");
    assert!(
        (1..storm).contains(&slow),
        "the storm went on when the pages were out: {slow}"
    );
    assert!(calm_ms <= CALM.as_millis(), "calm: {calm_ms} ms");
    assert!(stormy_ms <= STORMY.as_millis(), "in the storm: {stormy_ms} ms");
}

/// A rule that fires from an instant on.
fn rule(number: u64, priority: &str, lane: &str, from_ms: i64) -> String {
    format!(
        "      - alert: StormAlert
        expr: vector(time()) >= {}.{:03}
        labels: {{priority: {priority}, lane: {lane}, number: \"{number}\", cell: cell-{}}}
        annotations: {{summary: {}}}
",
        from_ms / 1_000,
        from_ms % 1_000,
        number % 10 + 1,
        mark(number)
    )
}

/// From the first evaluation at which a rule fires.
#[test]
fn a_rule_that_fires_is_heard_of_in_time() {
    let seed = seed();
    let (catalog, directory) = (throttled(), tempfile::tempdir().expect("a directory"));
    let (pages, storm): (u64, u64) = if is_full() { (200, STORM) } else { (30, STORM / 5) };
    let apart_ms = 100;
    let span_ms = apart_ms * i64::try_from(pages).expect("few");
    let begins_ms = Timestamp::now().as_millisecond() + 15_000;
    let storms_ms = begins_ms + span_ms + 10_000;
    let (calm, stormy) = (0..pages, 10_000..10_000 + pages);
    let mut rules = "groups:\n  - name: pages\n    interval: 1s\n    rules:\n".to_owned();
    for (numbers, from_ms) in [(&calm, begins_ms), (&stormy, storms_ms + 5_000)] {
        for (place, number) in (0..).zip(numbers.clone()) {
            rules.push_str(&rule(number, "P0", "desk", from_ms + place * apart_ms));
        }
    }
    for group in 0..20 {
        let _ = write!(rules, "  - name: storm-{group}\n    interval: 5s\n    rules:\n");
        for number in 0..storm / 20 {
            rules.push_str(&rule(100_000 + group * 100 + number, "P3", "slow", storms_ms));
        }
    }
    std::fs::create_dir(catalog.path().join("rules")).expect("a directory");
    std::fs::write(catalog.path().join("rules/storm.yml"), rules).expect("written");
    let receiver = slow_receiver(seed);
    let data = directory.path().join("data");
    let site = Site {
        catalog: catalog.path(),
        data: &data,
        database: None,
        receiver: &receiver,
    };
    let (_running, address) = site.serving();

    let took = |numbers: std::ops::Range<u64>| -> Vec<u128> {
        let numbers: Vec<u64> = numbers.collect();
        let heard = heard(&receiver, &numbers);
        let (now, clock) = (Instant::now(), Timestamp::now().as_millisecond());
        let alerts = http(&address, "/api/v2/alerts", None, "").json();
        let fired: BTreeMap<String, i64> = alerts
            .as_array()
            .expect("a list")
            .iter()
            .map(|alert| {
                let starts_at: Timestamp = alert["startsAt"]
                    .as_str()
                    .expect("text")
                    .parse()
                    .expect("an instant");
                let number = alert["labels"]["number"].as_str().expect("text").to_owned();
                (number, starts_at.as_millisecond())
            })
            .collect();
        let of = |number: &u64| {
            let ago = i64::try_from(now.duration_since(heard[number]).as_millis()).expect("few");
            let took = clock - ago - fired[&number.to_string()];
            u128::try_from(took).expect("no page comes before its rule fires")
        };
        numbers.iter().map(of).collect()
    };
    let calm = figures("by rule, calm, P0", took(calm));
    let stormy = figures(&format!("by rule, in a storm of {storm} P3, P0"), took(stormy));
    in_time(calm, stormy, slow(&receiver), storm);
}
