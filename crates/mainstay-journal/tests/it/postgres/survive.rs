//! kill -9: of the process that writes, of the server, and of the server's process that serves the writer.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_journal::{Journal, JournalError};

use super::{Server, open};
use crate::kill::{WRITERS, check, length, run_and_kill, seeded, unit};
use crate::support::{entropy, lead, setting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_killed_leaves_nothing_by_half() {
    let Some(server) = Server::start().await else {
        return;
    };
    let (seed, random) = seeded();
    let kills = if setting("MAINSTAY_FULL").is_some() {
        200
    } else {
        20
    };
    let mut acknowledged = BTreeMap::new();
    let mut schema = String::new();
    for kill in 0..kills {
        if kill % 10 == 0 {
            // A fresh schema now and then, so that kills while the tables are being made are among them.
            schema = format!("kill_{kill}");
            acknowledged.clear();
        }
        let place = format!("{}#{schema}", server.url());
        acknowledged.extend(run_and_kill(&place, random.next_u64(), &random));
        let context = format!("seed {seed}, kill {kill}");
        let journal = open(&server.url(), &schema, entropy(random.next_u64())).await;
        check(&journal, &acknowledged, &context).await;
        journal.close().await;
    }
}

/// What the writers of this process have been told.
async fn write_until(
    journal: Arc<impl Journal>,
    writer: u64,
    epoch: mainstay_journal::Epoch,
    stop: Arc<AtomicBool>,
) -> Result<u64, JournalError> {
    let entropy = entropy(1_000 + writer);
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        // A commit that was done and was not told would be a conflict of versions the next time.
        journal.commit(unit(epoch, writer, number, &entropy)).await?;
        number += 1;
    }
    Ok(number)
}

/// The server dies again and again, wholly or in the one process that serves the writer, and comes back: callers wait,
/// and every commit is there exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_and_doubles_nothing() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let (seed, random) = seeded();
    let kills = if setting("MAINSTAY_FULL").is_some() { 40 } else { 6 };
    let journal = Arc::new(open(&server.url(), "crash", entropy(1)).await);
    let epoch = lead(&*journal).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write_until(journal.clone(), writer, epoch, stop.clone())))
        .collect();
    for kill in 0..kills {
        let head = journal.head().await.expect("head").0;
        for _ in 0..6_000 {
            if journal.head().await.expect("head").0 > head + 20 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // No wait for something to be ready: the moment of death is what is random here.
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        if kill % 2 == 0 {
            server.kill();
            server.start_again().await;
        } else if let Ok(mut admin) = server.admin().await {
            let pids: Vec<i32> =
                sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE application_name = 'mainstay'")
                    .fetch_all(&mut admin)
                    .await
                    .expect("the server knows its processes");
            assert!(!pids.is_empty(), "the journal is connected");
            let pids = pids.iter().map(ToString::to_string);
            // One that has ended meanwhile is no failure.
            let _ = Command::new("kill").arg("-KILL").args(pids).status();
        }
    }
    stop.store(true, Ordering::SeqCst);
    let context = format!("seed {seed}, {kills} kills of the server");
    let mut acknowledged = BTreeMap::new();
    for (writer, task) in (0..).zip(writers) {
        let units = task
            .await
            .expect("no panic")
            .unwrap_or_else(|error| panic!("{context}: writer {writer}: {error}"));
        assert!(units > 0, "{context}: writer {writer} has written");
        let there = length(&*journal, &format!("unit/{writer}")).await;
        assert_eq!(there, units, "{context}: exactly what was acknowledged");
        acknowledged.insert(writer, units - 1);
    }
    check(&*journal, &acknowledged, &context).await;
}
