//! Two replicas over a real PostgreSQL. However the one that leads is lost (killed, stopped, cut off from the database), the
//! next page is out in time, and the one that comes back sends nothing that the other has sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::alerts::{Alert, post};
use super::postgres::{self, Network};
use super::receiver::{Arrival, Manner, Receiver};
use super::site::{Life, Site};
use super::{catalog, is_full, seed};
use crate::harness::{PATIENCE, until};
use crate::mainstay;

/// From the loss of the leader to the next page at its receiver.
const WITHIN: Duration = Duration::from_secs(15);

/// How a leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Killed,
    Stopped,
    CutOff,
}

/// Two sites whose replicas take turns.
struct Pair<'a> {
    sites: [Site<'a>; 2],
}

impl Pair<'_> {
    fn logged(&self, site: usize) -> usize {
        let log = self.sites[site].log();
        log.matches("this replica stands by").count()
    }

    /// Starts a replica and waits until it stands by.
    fn stand_by(&self, site: usize) -> Life {
        let before = self.logged(site);
        let life = self.sites[site].begin();
        until("the replica stands by", || self.logged(site) > before);
        life
    }
}

fn alert(number: u64) -> Alert {
    Alert {
        number,
        priority: "P0",
        lane: "desk",
        starts_at: Timestamp::now(),
    }
}

/// Tells alerts again and again, as a Prometheus does, until one is taken.
fn told(address: &str, numbers: std::ops::Range<u64>) {
    let body = numbers.map(|number| alert(number).posted(None)).collect();
    until("the alerts are taken", || {
        post(address, "/api/v2/alerts", &body) == Some(200)
    });
}

#[test]
fn a_lost_leader_is_followed_within_fifteen_seconds() {
    let Some(database) = postgres::start() else {
        return;
    };
    let (seed, begun) = (seed(), Instant::now());
    let catalog = catalog();
    let directory = tempfile::tempdir().expect("a directory");
    // Answers take a while: some messages are on their way whenever a leader is lost.
    let receiver = Receiver::start(seed, |_| Manner {
        answers_within: Duration::from_millis(400),
        busy_percent: 0,
    });
    let data = ["one", "other"].map(|name| directory.path().join(name));
    let networks = [Network::to(&database), Network::to(&database)];
    let site = |index: usize| Site {
        catalog: catalog.path(),
        data: &data[index],
        database: Some(networks[index].url.clone()),
        receiver: &receiver,
    };
    let sites = [site(0), site(1)];
    let pair = Pair { sites };

    let rounds = if is_full() { 10 } else { 1 };
    let mut number = 0;
    let mut took: BTreeMap<&str, Vec<u128>> = BTreeMap::new();
    let mut leads = 0;
    let mut leader = pair.sites[leads].begin();
    let mut address = leader.address(PATIENCE).expect("the first replica listens");
    for round in 0..rounds {
        for loss in [Loss::Killed, Loss::Stopped, Loss::CutOff] {
            let next = 1 - leads;
            let follower = pair.stand_by(next);
            // Enough that some are on their way.
            told(&address, number..number + 40);
            number += 40;
            until("messages are on their way", || receiver.count() > 10);
            let lost_at = Instant::now();
            match loss {
                Loss::Killed => leader.signal("KILL"),
                Loss::Stopped => leader.signal("STOP"),
                Loss::CutOff => networks[leads].cut(),
            }
            let before = receiver.count();
            address = follower.address(PATIENCE).unwrap_or_else(|| {
                panic!(
                    "{loss:?}: the other does not take over: {}",
                    pair.sites[next].log()
                )
            });
            let listened = lost_at.elapsed();
            // The next page: of an alert that nobody was told of before.
            told(&address, number..number + 1);
            let mark = alert(number).mark();
            number += 1;
            until("the next page is out", || {
                receiver
                    .since(before)
                    .iter()
                    .any(|arrival| arrival.body.contains(&mark))
            });
            let arrivals = receiver.since(before);
            let next_page = arrivals.iter().find(|arrival| arrival.body.contains(&mark));
            let took_ms = next_page
                .expect("it is there")
                .at
                .duration_since(lost_at)
                .as_millis();
            println!(
                "round {round}, {loss:?} at {:?}: the other leads after {} ms, the next page is out after {took_ms} ms",
                lost_at.duration_since(begun),
                listened.as_millis()
            );
            took.entry(match loss {
                Loss::Killed => "killed",
                Loss::Stopped => "stopped",
                Loss::CutOff => "cut off",
            })
            .or_default()
            .push(took_ms);
            // The one that was lost wakes up, and ends without another word.
            match loss {
                Loss::Killed => {}
                Loss::Stopped => leader.signal("CONT"),
                Loss::CutOff => networks[leads].heal(),
            }
            leader.ended();
            (leads, leader) = (next, follower);
        }
    }
    let all: Vec<u64> = (0..number).collect();
    until("every page is out", || {
        let arrivals = receiver.since(0);
        let desk = arrivals.iter().filter(|arrival| arrival.path == "/desk");
        let bodies: String = desk.map(|arrival| arrival.body.as_str()).collect();
        all.iter().all(|number| bodies.contains(&alert(*number).mark()))
    });
    let mut seen: BTreeMap<String, Vec<Arrival>> = BTreeMap::new();
    for arrival in receiver.since(0) {
        seen.entry(arrival.key.clone()).or_default().push(arrival);
    }
    let repeats = seen.values().flat_map(|arrivals| &arrivals[1..]);
    let repeated = repeats.clone().count();
    let unlabelled: Vec<String> = repeats
        .filter(|arrival| !arrival.labelled)
        .map(|arrival| {
            let times = seen[&arrival.key].iter();
            let times: Vec<_> = times
                .map(|one| (one.at.duration_since(begun), one.labelled))
                .collect();
            format!("{} arrived at (labelled) {times:?}", arrival.key)
        })
        .collect();
    for (how, took_ms) in &took {
        let most = took_ms.iter().max().expect("it was measured");
        println!("leader {how}: the next page is out after at most {most} ms of {took_ms:?}");
        assert!(*most <= WITHIN.as_millis(), "leader {how}: {most} ms");
    }
    println!(
        "MAINSTAY_SEED={seed}: {number} alerts, {} messages, 0 lost, {repeated} duplicates, {} unlabelled",
        seen.len(),
        unlabelled.len()
    );
    assert!(unlabelled.is_empty(), "repeated without a word: {unlabelled:?}");
    leader.end();
}

/// What was put in force while it stood by was told to the one that led.
#[test]
fn a_replica_that_takes_over_leads_by_the_catalog_of_now() {
    let Some(database) = postgres::start() else {
        return;
    };
    let catalog = catalog();
    let directory = tempfile::tempdir().expect("a directory");
    let receiver = Receiver::start(seed(), |_| Manner {
        answers_within: Duration::from_millis(1),
        busy_percent: 0,
    });
    let data = ["one", "other"].map(|name| directory.path().join(name));
    let network = Network::to(&database);
    let site = |index: usize| Site {
        catalog: catalog.path(),
        data: &data[index],
        database: Some(network.url.clone()),
        receiver: &receiver,
    };
    let pair = Pair {
        sites: [site(0), site(1)],
    };
    let (leader, address) = pair.sites[0].serving();
    let follower = pair.stand_by(1);
    let file = catalog.path().join("routing.yaml");
    let (before, after) = (
        "page: payments, webhooks: [desk]}",
        "page: payments, webhooks: [slow]}",
    );
    std::fs::write(&file, super::read(&file).replace(before, after)).expect("written");
    let applied = mainstay(&["apply", "--server", &address])
        .output()
        .expect("it runs");
    assert!(applied.status.success(), "{}", crate::told(&applied));
    leader.kill();
    let address = follower.address(PATIENCE).expect("the other takes over");
    told(&address, 0..1);
    until("the receiver of the new catalog is told", || {
        let arrivals = receiver.since(0);
        arrivals
            .iter()
            .any(|arrival| arrival.path == "/slow" && arrival.body.contains(&alert(0).mark()))
    });
    let arrivals = receiver.since(0);
    let old = arrivals.iter().any(|arrival| arrival.path == "/desk");
    assert!(!old, "nobody of the old one is told");
    follower.end();
}
