//! kill -9 of a live server at random instants, thousands of alerts long: what it acknowledged reaches its receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mainstay_delivery::DeliveryEvent;
use mainstay_journal::runner::decode;
use mainstay_journal::{Journal as _, Seq, StoredJournal};
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_oncall::OncallEvent;
use serde_json::{Value, json};

use super::alerts::{Alert, mark, marked, post, request};
use super::postgres::{self, Postgres};
use super::receiver::{Arrival, Manner, Receiver};
use super::site::Site;
use super::{catalog, is_full, seed, setting};
use crate::harness::{PATIENCE, until};

/// The most messages that a server has on their way at once: by webhook and by chat, urgent ones and others.
const AT_ONCE: usize = 16 + 16 + 8 + 8;
/// After so many lives the incidents are closed, so that the next alert begins another.
const CLOSED_EVERY: u64 = 3;

/// How much of it there is.
#[derive(Debug, Clone, Copy)]
struct Size {
    kills: u64,
    alerts: u64,
}

/// What the clients of Alertmanager have to tell, and what was acknowledged of it.
#[derive(Default)]
struct Ledger {
    /// Alerts that were drawn: their number is the next one's.
    drawn: u64,
    /// Told, without an answer so far.
    unanswered: Vec<Alert>,
    /// Acknowledged and not said to be over yet: the life in which, and the alert.
    firing: Vec<(u64, Alert)>,
    acknowledged: u64,
}

impl Ledger {
    /// What to post next: first what had no answer, then new ones while fewer than `allowed` were drawn.
    fn draw(&mut self, chance: &SeededEntropy, allowed: u64) -> Vec<Alert> {
        let size = usize::try_from(1 + chance.below(8)).expect("small");
        let kept = self.unanswered.len().saturating_sub(size);
        let mut batch = self.unanswered.split_off(kept);
        while batch.len() < size && self.drawn < allowed {
            batch.push(Alert {
                number: self.drawn,
                priority: ["P0", "P1", "P1", "P2", "P2", "P2", "P3"]
                    [usize::try_from(chance.below(7)).expect("small")],
                lane: "desk",
                starts_at: Timestamp::now(),
            });
            self.drawn += 1;
        }
        batch
    }
}

/// Tells alerts until the server is gone or there is nothing to tell.
fn tell(ledger: &Mutex<Ledger>, chance: &SeededEntropy, address: &str, life: u64, allowed: u64) {
    let with = || ledger.lock().unwrap_or_else(PoisonError::into_inner);
    // What fired two lives ago is over.
    let over: Vec<(u64, Alert)> = with()
        .firing
        .extract_if(.., |(since, _)| *since + 2 <= life)
        .take(200)
        .collect();
    if !over.is_empty() {
        let ended = over.iter().map(|(_, alert)| alert.posted(Some(Timestamp::now())));
        if post(address, "/api/v2/alerts", &ended.collect::<Value>()) != Some(200) {
            return with().firing.extend(over);
        }
    }
    loop {
        let batch = with().draw(chance, allowed);
        if batch.is_empty() {
            return;
        }
        let body: Value = batch.iter().map(|alert| alert.posted(None)).collect();
        let status = post(address, "/api/v2/alerts", &body);
        let mut ledger = with();
        match status {
            Some(200) => {
                ledger.acknowledged += batch.len() as u64;
                ledger.firing.extend(batch.into_iter().map(|alert| (life, alert)));
            }
            None | Some(503) => {
                ledger.unanswered.extend(batch);
                return;
            }
            Some(status) => panic!("the server answers {status}"),
        }
    }
}

/// Closes every open incident, as far as the server lives to do it.
fn close_incidents(address: &str) -> Option<()> {
    let (_, body) = request(address, "GET", "/api/v1/incidents", "")?;
    let body: Value = serde_json::from_str(&body).ok()?;
    for incident in body["data"].as_array()? {
        let id = incident["id"].as_str()?;
        let path = format!("/api/v1/incidents/{id}/resolve");
        request(
            address,
            "POST",
            &path,
            &json!({"note": "the storm goes on"}).to_string(),
        )?;
    }
    Some(())
}

/// Kills a server again and again while alerts come in; gives what was acknowledged, and at which arrival each kill was.
fn storm(site: &Site<'_>, size: Size, chance: &SeededEntropy) -> (u64, Vec<usize>, Vec<Duration>) {
    let ledger = Mutex::new(Ledger::default());
    let (mut killed_at, mut starts) = (Vec::new(), Vec::new());
    for life in 1..=size.kills {
        let running = site.begin();
        let allowed = size.alerts * life / size.kills;
        if chance.below(6) == 0 {
            // In the middle of its start, or a little after.
            std::thread::sleep(Duration::from_millis(chance.below(400)));
            running.kill();
        } else {
            let Some(address) = running.address(PATIENCE) else {
                panic!("life {life} does not listen: {}", site.log());
            };
            starts.push(running.begun.elapsed());
            let seeds = [chance.next_u64(), chance.next_u64()];
            std::thread::scope(|scope| {
                for seed in seeds {
                    let (ledger, address) = (&ledger, &address);
                    scope.spawn(move || {
                        tell(ledger, &SeededEntropy::new(seed), address, life, allowed);
                    });
                }
                if life % CLOSED_EVERY == 0 {
                    close_incidents(&address);
                }
                std::thread::sleep(Duration::from_millis(chance.below(600)));
                running.kill();
            });
        }
        killed_at.push(site.receiver.count());
        if life % 50 == 0 {
            let last: Duration = starts.iter().rev().take(20).sum();
            println!(
                "{life} kills, {} alerts, {} messages, the last starts took {} ms",
                ledger.lock().unwrap_or_else(PoisonError::into_inner).acknowledged,
                site.receiver.count(),
                last.as_millis() / 20
            );
        }
    }
    let (running, address) = site.serving();
    tell(&ledger, chance, &address, size.kills + 1, size.alerts);
    let acknowledged = ledger.lock().unwrap_or_else(PoisonError::into_inner).acknowledged;
    assert_eq!(
        acknowledged, size.alerts,
        "all alerts are acknowledged in the end"
    );
    let mut arrived = site.receiver.count();
    let mut since = Instant::now();
    until("nothing is on its way", || {
        let now = site.receiver.count();
        if now != arrived {
            (arrived, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_secs(3)
    });
    running.end();
    (acknowledged, killed_at, starts)
}

/// What the journal says was to be sent to people, and how often it says that a message was delivered, or was not tried
/// again because its page was over by then. The latter are not pages that anybody waits for. And how many messages of alerts
/// were not tried again because the alert was over.
async fn written(site: &Site<'_>) -> (BTreeSet<String>, BTreeMap<String, u32>, usize) {
    let clock = std::sync::Arc::new(ManualClock::at(Timestamp::now()));
    let entropy = std::sync::Arc::new(SeededEntropy::new(1));
    let directory = site.data.join("journal");
    let journal = StoredJournal::open(site.database.as_deref(), &directory, clock, entropy);
    let journal = journal.await.expect("the journal opens");
    let (mut pages, mut settled) = (BTreeSet::new(), BTreeMap::new());
    let mut withdrawn = BTreeSet::new();
    let mut after = Seq(0);
    loop {
        let records = journal.read(after, 2_000).await.expect("it can be read");
        let Some(last) = records.last() else { break };
        after = last.envelope.seq;
        for record in &records {
            match record.envelope.kind.as_str() {
                "oncall.notified" => {
                    if let Ok(Some(OncallEvent::Notified {
                        page,
                        round,
                        level,
                        people,
                        ..
                    })) = decode(record)
                    {
                        let keys = people
                            .iter()
                            .map(|who| format!("page/{page}/{round}/{level}/{who}/chat"));
                        pages.extend(keys);
                    }
                }
                "delivery.delivered" => {
                    if let Ok(Some(DeliveryEvent::Delivered { fact, .. })) = decode(record) {
                        *settled.entry(fact.key).or_insert(0) += 1;
                    }
                }
                "delivery.withdrawn" => {
                    if let Ok(Some(DeliveryEvent::Withdrawn { key, .. })) = decode(record) {
                        *settled.entry(key.clone()).or_insert(0) += 1;
                        withdrawn.insert(key);
                    }
                }
                _ => {}
            }
        }
    }
    let waiting = journal.waiting_effects(10).await.expect("it can be read");
    assert!(waiting.is_empty(), "it waits to be sent: {waiting:?}");
    pages.retain(|key| !withdrawn.contains(key));
    let alerts = withdrawn.iter().filter(|key| key.starts_with("alert/")).count();
    (pages, settled, alerts)
}

/// Repetitions: how many, those that do not say so, and how many messages were on their way at one kill at most.
fn repetitions(arrivals: &[Arrival], killed_at: &[usize]) -> (usize, Vec<String>, usize) {
    let life_of = |index: usize| killed_at.partition_point(|at| *at <= index);
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut all, mut unlabelled) = (0, Vec::new());
    let mut by_kill: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, arrival) in arrivals.iter().enumerate() {
        assert!(!arrival.key.is_empty(), "a message has a key: {arrival:?}");
        let Some(before) = last.insert(&arrival.key, index) else {
            continue;
        };
        all += 1;
        // What was taken is repeated only because the process died before it had written that down.
        *by_kill.entry(life_of(before)).or_default() += 1;
        assert!(
            life_of(before) < life_of(index),
            "repeated without a kill: {arrival:?}"
        );
        if !arrival.labelled {
            unlabelled.push(arrival.key.clone());
        }
    }
    (all, unlabelled, by_kill.into_values().max().unwrap_or(0))
}

fn no_page_is_lost(what: &str, size: Size, database: Option<&Postgres>) {
    let seed = seed();
    let chance = SeededEntropy::new(seed);
    let (catalog, directory) = (catalog(), tempfile::tempdir().expect("a directory"));
    // Answers take a while, so that a kill finds messages on their way.
    let receiver = Receiver::start(seed, |_| Manner {
        answers_within: Duration::from_millis(25),
        busy_percent: 1,
    });
    let data = directory.path().join("data");
    let site = Site {
        catalog: catalog.path(),
        data: &data,
        database: database.map(Postgres::url),
        receiver: &receiver,
    };
    let begun = Instant::now();
    let (acknowledged, killed_at, starts) = storm(&site, size, &chance);
    let arrivals = receiver.since(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (pages, settled, withdrawn) = runtime.expect("a runtime").block_on(written(&site));

    let told = |word: &str| -> BTreeSet<u64> {
        let desk = arrivals.iter().filter(|arrival| arrival.path == "/desk");
        let saying = desk.filter(|arrival| arrival.body.contains(word));
        saying
            .flat_map(|arrival| marked(&arrival.body).collect::<Vec<_>>())
            .collect()
    };
    let (began, ended) = (told("firing"), told("resolved"));
    // Where the desk was busy until it was over, it is told that it is over, and nothing after that.
    let only_ended = ended.difference(&began).count();
    assert!(
        only_ended <= withdrawn,
        "{what}, seed {seed}: of {only_ended} only the end was told, {withdrawn} were withdrawn"
    );
    let lost: Vec<String> = (0..acknowledged)
        .filter(|number| !began.contains(number) && !ended.contains(number))
        .map(mark)
        .collect();
    let keys: BTreeSet<&str> = arrivals.iter().map(|arrival| arrival.key.as_str()).collect();
    let lost_pages: Vec<&String> = pages.iter().filter(|key| !keys.contains(key.as_str())).collect();
    let (repeated, unlabelled, worst) = repetitions(&arrivals, &killed_at);
    let mut starts = starts;
    starts.sort_unstable();
    println!(
        "{what}: seed {seed}, {} kills in {} s, {acknowledged} alerts acknowledged, {} messages, {} of them pages to people: \
         {} lost, {repeated} duplicates (at most {worst} by one kill), {} unlabelled; start p50 {} ms, max {} ms",
        size.kills,
        begun.elapsed().as_secs(),
        arrivals.len(),
        pages.len(),
        lost.len() + lost_pages.len(),
        unlabelled.len(),
        starts.get(starts.len() / 2).map_or(0, Duration::as_millis),
        starts.last().map_or(0, Duration::as_millis),
    );
    assert!(lost.is_empty(), "{what}, seed {seed}: lost {lost:?}");
    assert!(lost_pages.is_empty(), "{what}, seed {seed}: lost {lost_pages:?}");
    assert!(
        unlabelled.is_empty(),
        "{what}, seed {seed}: repeated without a word {unlabelled:?}"
    );
    assert!(
        worst <= AT_ONCE,
        "{what}, seed {seed}: {worst} duplicates by one kill"
    );
    assert!(!pages.is_empty(), "people were paged");
    for key in keys {
        assert_eq!(
            settled.get(key),
            Some(&1),
            "{what}, seed {seed}: {key} is written down once"
        );
    }
}

fn size(kills: u64, full: u64) -> Size {
    let kills = if is_full() { full } else { kills };
    let kills = setting("MAINSTAY_KILLS").unwrap_or(kills);
    Size {
        kills,
        alerts: kills * 10,
    }
}

#[test]
fn kill_9_loses_no_page_over_sqlite() {
    no_page_is_lost("SQLite", size(10, 1_000), None);
}

#[test]
fn kill_9_loses_no_page_over_postgresql() {
    if let Some(database) = postgres::start() {
        no_page_is_lost("PostgreSQL", size(10, 200), Some(&database));
    }
}
