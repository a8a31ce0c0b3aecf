//! What only a shared backend has to prove, over a real PostgreSQL that the tests start and kill themselves.

mod copy;
mod encrypted;
mod lost;
mod proxy;
mod rates;
mod server;
mod survive;
mod zombie;

use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_journal::postgres::{FORMAT, Options};
use mainstay_journal::verify::verify;
use mainstay_journal::{Commit, Journal as _, JournalError, NewEffect, PostgresJournal, conformance};

pub(crate) use self::server::{Server, open, try_open};
use crate::counter::page;
use crate::support::{MINUTE, clock, entropy, event, everything, lead, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let Some(server) = Server::start().await else {
        return;
    };
    let count = AtomicUsize::new(0);
    conformance::run(async |clock, entropy| {
        let options = Options {
            schema: format!("property_{}", count.fetch_add(1, Ordering::Relaxed)),
            ..Options::default()
        };
        PostgresJournal::open_with(&server.url(), clock, entropy, options)
            .await
            .expect("a fresh journal opens")
    })
    .await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_an_older_one_opens_again() {
    let Some(server) = Server::start().await else {
        return;
    };
    for round in 0..2 {
        let journal = PostgresJournal::open(&server.url(), clock(), entropy(round)).await;
        journal.expect("it opens").close().await;
    }
    server
        .run("UPDATE mainstay.meta SET value = 99 WHERE name = 'format'")
        .await;
    let refused = PostgresJournal::open(&server.url(), clock(), entropy(3))
        .await
        .err();
    let Some(JournalError::Format { found, supported }) = refused else {
        panic!("a newer schema must be refused, got {refused:?}");
    };
    assert_eq!((found, supported), (99, FORMAT));
}

/// To the first format and up again, as a file does: the same events, and what waits still waits.
#[tokio::test]
async fn a_journal_goes_back_and_comes_again_with_everything_in_it() {
    let Some(server) = Server::start().await else {
        return;
    };
    let url = server.url();
    let nothing = PostgresJournal::downgrade(&url, 1, start()).await;
    assert!(matches!(nothing, Err(JournalError::Storage(_))), "{nothing:?}");
    let journal = open(&url, "mainstay", entropy(1)).await;
    let epoch = lead(&journal).await;
    let random = entropy(2);
    let events = vec![event(&random, "a/1", None), event(&random, "b/1", None)];
    let effect = NewEffect {
        effect: page("waiting"),
        cause: events[0].id,
        due: start(),
    };
    let commit = Commit {
        epoch,
        events,
        effects: vec![effect],
        ..Commit::default()
    };
    journal.commit(commit).await.expect("commit");
    let before = everything(&journal).await;
    journal.close().await;
    let led = PostgresJournal::downgrade(&url, 1, start()).await;
    assert!(matches!(led, Err(JournalError::LeaseHeld { .. })), "{led:?}");
    let later = start().saturating_add(MINUTE * 60).expect("in range");
    for nowhere in [0, FORMAT + 1] {
        let refused = PostgresJournal::downgrade(&url, nowhere, later).await;
        assert!(matches!(refused, Err(JournalError::Storage(_))), "{refused:?}");
    }
    for found in [FORMAT, 1] {
        let back = PostgresJournal::downgrade(&url, 1, later).await;
        assert_eq!(back.expect("back"), found);
    }
    server
        .run("ALTER TABLE mainstay.outbox ADD COLUMN lane TEXT; ALTER TABLE mainstay.outbox DROP COLUMN lane")
        .await;
    let again = open(&url, "mainstay", entropy(3)).await;
    assert_eq!(everything(&again).await, before);
    verify(&again).await.expect("whole");
    assert_eq!(
        again.waiting_effects(10).await.expect("effects"),
        [page("waiting")]
    );
}

#[tokio::test]
async fn replicas_that_start_together_make_one_schema() {
    let Some(server) = Server::start().await else {
        return;
    };
    let url = server.url();
    let opened =
        futures::future::join_all((0..6).map(|seed| try_open(&url, "together", entropy(seed)))).await;
    for journal in opened {
        journal.expect("every replica opens").close().await;
    }
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_refused() {
    let Some(server) = Server::start().await else {
        return;
    };
    server.run("ALTER SYSTEM SET fsync = off").await;
    server.run("SELECT pg_reload_conf()").await;
    let mut refused = None;
    for _ in 0..200 {
        refused = try_open(&server.url(), "volatile", entropy(1)).await.err();
        if refused.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let words = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(words.contains("fsync = off"), "{words:?}");
}

#[tokio::test]
async fn a_password_is_in_no_error() {
    let url = "postgres://ada:se%20cret-word@127.0.0.1:1/none?sslmode=disable";
    let error = PostgresJournal::open(url, clock(), entropy(1)).await.err();
    let words = error.expect("nobody listens there").to_string();
    assert!(!words.contains("cret"), "{words}");
    let error = PostgresJournal::open("postgres://ada:se[cret@:x:/y", clock(), entropy(1))
        .await
        .err();
    let words = error.expect("that is no URL").to_string();
    assert!(!words.contains("cret"), "{words}");
}
