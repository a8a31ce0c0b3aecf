//! kill -9 at random moments: everything acknowledged is there, nothing is half there, every chain verifies.
//!
//! The same over SQLite and PostgreSQL. The test starts its own binary as the child that writes. Twenty kills, two hundred with `MAINSTAY_FULL=1`;
//! `MAINSTAY_SEED` repeats a run.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mainstay_journal::verify::verify;
use mainstay_journal::{
    Commit, Epoch, Journal, JournalError, NewEffect, Seq, SqliteJournal, StreamId, Timer,
};
use mainstay_kernel::testing::SeededEntropy;

use crate::counter::page;
use crate::support::{clock, entropy, event, lead, open, setting, start};

/// A directory, or the URL of a database, `#`, and a schema.
const PLACE: &str = "MAINSTAY_TEST_KILL_PLACE";
const CHILD_SEED: &str = "MAINSTAY_TEST_KILL_SEED";
pub(crate) const WRITERS: u64 = 3;

/// What is written as number `number` of `writer`: two events on two chains, an effect, a timer, a cursor.
pub(crate) fn unit(epoch: Epoch, writer: u64, number: u64, entropy: &SeededEntropy) -> Commit {
    let own = format!("unit/{writer}");
    let first = event(entropy, &own, None);
    let cause = first.id;
    Commit {
        epoch,
        expected: [(StreamId(own.clone()), number)].into(),
        events: vec![
            first,
            event(entropy, &format!("mirror/{writer}"), Some("std-001")),
        ],
        effects: vec![NewEffect {
            effect: page(&format!("page/{writer}/{number}")),
            cause,
            due: start(),
        }],
        timers: vec![Timer {
            key: format!("timer/{writer}/{number}"),
            due: start(),
            machine: "test".to_owned(),
            payload: String::new(),
            cause,
        }],
        cursors: [(own, Seq(number + 1))].into(),
        ..Commit::default()
    }
}

pub(crate) async fn length(journal: &impl Journal, stream: &str) -> u64 {
    let stream = StreamId(stream.to_owned());
    let records = journal
        .read_stream(&stream, 0, usize::MAX)
        .await
        .expect("the stream");
    records.len() as u64
}

/// The child: writes until it is killed and says on standard output what has been acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the kill test"]
async fn child_that_writes() {
    let Some(place) = setting(PLACE) else {
        return;
    };
    let seed = setting(CHILD_SEED).expect("the seed").parse().expect("a number");
    let entropy = entropy(seed);
    if let Some((url, schema)) = place.split_once('#') {
        write(
            crate::postgres::open(url, schema, entropy.clone()).await,
            &entropy,
        )
        .await;
    } else {
        let journal = SqliteJournal::open(Path::new(&place), clock(), entropy.clone()).await;
        write(journal.expect("it opens"), &entropy).await;
    }
}

async fn write(journal: impl Journal, entropy: &Arc<SeededEntropy>) {
    let journal = Arc::new(journal);
    let epoch = lead(&*journal).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (journal, entropy) = (journal.clone(), entropy.clone());
            tokio::spawn(async move {
                for number in length(&*journal, &format!("unit/{writer}")).await.. {
                    journal
                        .commit(unit(epoch, writer, number, &entropy))
                        .await
                        .expect("the commit is in order");
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {writer} {number}").expect("the parent listens");
                    out.flush().expect("the parent listens");
                }
            })
        })
        .collect();
    futures::future::join_all(writers).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "no wait for something to be ready: the moment of death is what is random here"
)]
fn doze(micros: u64) {
    std::thread::sleep(Duration::from_micros(micros));
}

/// Starts the child, kills it after some acknowledgements and a random moment more; gives the last acknowledged
/// number of each writer.
pub(crate) fn run_and_kill(place: &str, child_seed: u64, random: &SeededEntropy) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().expect("the test binary"))
        .args(["--exact", "kill::child_that_writes", "--ignored", "--nocapture"])
        .env(PLACE, place)
        .env(CHILD_SEED, child_seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let mut acknowledged = BTreeMap::new();
    let mut left = random.below(60);
    let mut note = |line: String| -> bool {
        // The test harness writes its own words on the same stream, sometimes on the same line.
        let Some((_, rest)) = line.split_once("acknowledged ") else {
            return false;
        };
        let numbers: Vec<u64> = rest.split(' ').filter_map(|word| word.parse().ok()).collect();
        if let [writer, number] = numbers[..] {
            acknowledged.insert(writer, number);
        }
        true
    };
    while left > 0 {
        let line = lines
            .next()
            .expect("the child writes on")
            .expect("its output is text");
        left -= u64::from(note(line));
    }
    doze(random.below(4_000));
    child.kill().expect("the child can be killed");
    child.wait().expect("the child is dead");
    // What it said before it died counts, but for a last line without its end.
    for line in lines.map_while(Result::ok) {
        note(line);
    }
    acknowledged
}

/// Of every writer there is all that was acknowledged, and nothing by half.
pub(crate) async fn check(journal: &impl Journal, acknowledged: &BTreeMap<u64, u64>, context: &str) {
    verify(journal)
        .await
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let effects = journal.waiting_effects(usize::MAX).await.expect("effects");
    let timers = journal.due_timers(start(), usize::MAX).await.expect("timers");
    let mut total = 0;
    for writer in 0..WRITERS {
        let units = length(journal, &format!("unit/{writer}")).await;
        total += units;
        let floor = acknowledged.get(&writer).map_or(0, |number| number + 1);
        assert!(
            units >= floor,
            "{context}: writer {writer} has {units}, acknowledged {floor}"
        );
        assert_eq!(
            length(journal, &format!("mirror/{writer}")).await,
            units,
            "{context}: half a commit"
        );
        let cursor = journal.cursor(&format!("unit/{writer}")).await.expect("cursor");
        assert_eq!(cursor, Seq(units), "{context}: half a commit");
        let of_writer = |key: &str, family: &str| key.starts_with(&format!("{family}/{writer}/"));
        let pages = effects
            .iter()
            .filter(|effect| of_writer(&effect.key, "page"))
            .count();
        let set = timers
            .iter()
            .filter(|timer| of_writer(&timer.key, "timer"))
            .count();
        assert_eq!(
            (pages as u64, set as u64),
            (units, units),
            "{context}: half a commit"
        );
    }
    assert_eq!(journal.head().await.expect("head"), Seq(total * 2), "{context}");
    let epoch = lead(journal).await;
    let stale = Commit {
        epoch: Epoch(epoch.0 - 1),
        ..Commit::default()
    };
    let refused = journal.commit(stale).await;
    assert!(
        matches!(refused, Err(JournalError::StaleEpoch { .. })),
        "{context}: the dead one's term is over"
    );
}

/// The seed of this run, printed, and its random numbers.
pub(crate) fn seeded() -> (u64, SeededEntropy) {
    let seed = match setting("MAINSTAY_SEED") {
        Some(text) => text.parse().expect("MAINSTAY_SEED is a number"),
        None => u64::from(std::process::id()),
    };
    eprintln!("MAINSTAY_SEED={seed}");
    (seed, SeededEntropy::new(seed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_half_written() {
    let kills = if setting("MAINSTAY_FULL").is_some() {
        200
    } else {
        20
    };
    let (seed, random) = seeded();
    let mut dir = tempfile::tempdir().expect("a temporary directory");
    let mut acknowledged = BTreeMap::new();
    for kill in 0..kills {
        if kill % 20 == 0 {
            // A fresh directory now and then, so that kills while the files are being made are among them.
            dir = tempfile::tempdir().expect("a temporary directory");
            acknowledged.clear();
        }
        let child_seed = random.next_u64();
        let place = dir.path().to_str().expect("a plain path");
        acknowledged.extend(run_and_kill(place, child_seed, &random));
        let context = format!("seed {seed}, kill {kill}");
        let journal = open(dir.path()).await;
        check(&journal, &acknowledged, &context).await;
        journal.close().await;
    }
}
