//! Figures: how long one million events take, and what commits that wait together gain.

use std::sync::Arc;

use jiff::SignedDuration;
use mainstay_journal::verify::verify;
use mainstay_journal::{Commit, DomainEvent as _, Journal, NewEvent, Runner, SqliteJournal};
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, Digest, EventId, TenantId};
use tokio::time::Instant;

use crate::counter::{Counters, Event};
use crate::support::{clock, entropy, lead, open, setting, start};

const EVENTS: u64 = 1_000_000;
const EVENTS_PER_COMMIT: u64 = 1_000;
const COUNTERS: u64 = 10_000;
const TENANTS: u64 = 50;
/// Events after the last snapshot, as many as a plane that snapshots every few thousand events has.
const TAIL: u64 = 5_000;

fn numbered(number: u64, entropy: &SeededEntropy) -> NewEvent {
    let event = Event::Added {
        name: format!("2025-01-15-{:05}", number % COUNTERS),
        tenant: TenantId::new(format!("std-{:03}", number % TENANTS)).ok(),
        amount: 1,
    };
    // Events of a year have ids of different milliseconds, in order: so have these.
    let after = SignedDuration::from_millis(i64::try_from(number).unwrap_or(i64::MAX));
    let at = start().saturating_add(after).unwrap_or(start());
    NewEvent {
        id: EventId::generate(at, entropy),
        stream: event.stream(),
        at,
        actor: Actor::machine("incident"),
        cause: None,
        kind: event.kind().to_owned(),
        schema: 1,
        scope: event.scope(),
        catalog: Digest::of(b"catalog"),
        payload: serde_json::to_vec(&event).expect("an event is JSON"),
        personal: None,
    }
}

async fn write(journal: &SqliteJournal, count: u64, entropy: &Arc<SeededEntropy>) {
    let epoch = lead(journal).await;
    for batch in 0..count / EVENTS_PER_COMMIT {
        let events = (0..EVENTS_PER_COMMIT)
            .map(|index| numbered(batch * EVENTS_PER_COMMIT + index, entropy))
            .collect();
        let commit = Commit {
            epoch,
            events,
            ..Commit::default()
        };
        journal.commit(commit).await.expect("the commit is in order");
    }
}

/// Prints figures; with `MAINSTAY_FULL=1` (and a release build) it also holds them to the goals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a gigabyte; run it with --ignored in a release build"]
async fn a_million_events_open_in_two_seconds() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let entropy = entropy(1);
    let mut watch = Instant::now();
    let mut lap = |what: &str| {
        let seconds = watch.elapsed().as_secs_f64();
        eprintln!("{what}: {seconds:.3} s");
        watch = Instant::now();
        seconds
    };
    let journal = open(dir.path()).await;
    write(&journal, EVENTS, &entropy).await;
    journal.close().await;
    let bytes = dir
        .path()
        .join("journal.db")
        .metadata()
        .expect("the file is there")
        .len();
    lap(&format!("write {EVENTS} events ({} MB)", bytes >> 20));

    let journal = SqliteJournal::open(dir.path(), clock(), entropy.clone())
        .await
        .expect("it opens");
    let epoch = lead(&journal).await;
    let mut runner = Runner::<Counters>::load(&journal).await.expect("it loads");
    runner.catch_up(&journal).await.expect("the events can be read");
    let full_fold = lap("open, lead, fold everything");
    assert_eq!(runner.state().values.values().sum::<i64>(), EVENTS as i64);
    let snapshot = runner.snapshot().expect("the state is JSON");
    journal
        .put_snapshot(epoch, "counter", snapshot)
        .await
        .expect("it is kept");
    write(&journal, TAIL, &entropy).await;
    journal.close().await;
    lap("snapshot, write a tail");

    let journal = SqliteJournal::open(dir.path(), clock(), entropy.clone())
        .await
        .expect("it opens");
    lead(&journal).await;
    let mut runner = Runner::<Counters>::load(&journal).await.expect("it loads");
    runner.catch_up(&journal).await.expect("the events can be read");
    let with_snapshot = lap("open, lead, load the snapshot, fold the tail");
    assert_eq!(
        runner.state().values.values().sum::<i64>(),
        (EVENTS + TAIL) as i64
    );
    verify(&journal).await.expect("every chain is whole");
    lap("verify");
    journal.close().await;
    if setting("MAINSTAY_FULL").is_some() {
        assert!(with_snapshot <= 2.0, "with a snapshot: {with_snapshot:.3} s");
        assert!(full_fold <= 20.0, "without a snapshot: {full_fold:.3} s");
    }
}

/// Commits of writers who wait at the same time share an fsync: many writers get more done than one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; run it with --ignored in a release build"]
async fn commits_per_second() {
    const COMMITS: u64 = 2_000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = Arc::new(open(dir.path()).await);
    let epoch = lead(&*journal).await;
    let entropy = entropy(1);
    for writers in [1, 8, 64] {
        let watch = Instant::now();
        let racing = (0..writers).map(|writer| {
            let (journal, entropy) = (journal.clone(), entropy.clone());
            tokio::spawn(async move {
                for number in 0..COMMITS / writers {
                    let commit = Commit {
                        epoch,
                        events: vec![numbered(writer * COMMITS + number, &entropy)],
                        ..Commit::default()
                    };
                    journal.commit(commit).await.expect("the commit is in order");
                }
            })
        });
        for done in futures::future::join_all(racing).await {
            done.expect("no writer fails");
        }
        let seconds = watch.elapsed().as_secs_f64();
        eprintln!("{writers} writers: {:.0} commits/s", COMMITS as f64 / seconds);
    }
}
