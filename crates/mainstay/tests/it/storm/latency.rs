//! How long it takes from an alert that fires to its page at the receiver: when all is calm, and in a storm of two thousand
//! alerts whose receiver is slow and throttled.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::alerts::{Alert, post};
use super::receiver::{Arrival, Manner, Receiver};
use super::site::Site;
use super::{catalog, is_full, read, seed};
use crate::harness::{PATIENCE, until};

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

/// How long each took to its receiver, the shortest first, in milliseconds.
fn took(receiver: &Receiver, told: &[(u64, Instant)]) -> Vec<u128> {
    let found = |arrivals: &[Arrival], number: u64| {
        let mark = alert(number, "P0", "desk").mark();
        let of = |arrival: &&Arrival| arrival.path == "/desk" && arrival.body.contains(&mark);
        arrivals.iter().find(of).map(|arrival| arrival.at)
    };
    until("every page is out", || {
        let arrivals = receiver.since(0);
        told.iter().all(|(number, _)| found(&arrivals, *number).is_some())
    });
    let arrivals = receiver.since(0);
    let mut all: Vec<u128> = told
        .iter()
        .filter_map(|(number, at)| Some(found(&arrivals, *number)?.duration_since(*at).as_millis()))
        .collect();
    all.sort_unstable();
    all
}

/// Prints the figures; gives the 99th of a hundred.
fn figures(what: &str, all: &[u128]) -> u128 {
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
    let (catalog, directory) = (catalog(), tempfile::tempdir().expect("a directory"));
    let routing = catalog.path().join("routing.yaml");
    let throttled = read(&routing).replace(
        "  webhooks:\n",
        "  limits: {webhook: {at_once: 8, per_minute: 300}}\n  webhooks:\n",
    );
    std::fs::write(&routing, throttled).expect("written");
    let receiver = Receiver::start(seed, |path| Manner {
        answers_within: Duration::from_millis(if path == "/slow" { 8_000 } else { 20 }),
        busy_percent: 0,
    });
    let data = directory.path().join("data");
    let site = Site {
        catalog: catalog.path(),
        data: &data,
        database: None,
        receiver: &receiver,
    };
    let running = site.begin();
    let address = running.address(PATIENCE);
    let address = address.unwrap_or_else(|| panic!("it does not listen: {}", site.log()));

    let pages = if is_full() { 500 } else { 60 };
    let calm = tell_pages(&address, 0..pages, Duration::from_millis(50));
    let calm = figures("calm, P0", &took(&receiver, &calm));

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
        tell_pages(&address, 10_000..10_000 + pages, Duration::from_millis(50))
    });
    let stormy = figures("in a storm of 2,000 P3, P0", &took(&receiver, &told));
    let slow = receiver
        .since(0)
        .iter()
        .filter(|arrival| arrival.path == "/slow")
        .count();
    println!("{slow} of {STORM} P3 were sent meanwhile");
    assert!(
        slow < 2_000,
        "the storm was still waiting when the pages were out"
    );
    assert!(calm <= CALM.as_millis(), "calm: {calm} ms");
    assert!(stormy <= STORMY.as_millis(), "in the storm: {stormy} ms");
}
