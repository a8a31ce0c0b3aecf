//! What only a shared backend has to prove, over a real PostgreSQL that the tests start and kill themselves.

mod copy;
mod lost;
mod proxy;
mod rates;
mod server;
mod survive;
mod zombie;

use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_journal::postgres::{FORMAT, Options};
use mainstay_journal::{JournalError, PostgresJournal, conformance};

pub(crate) use self::server::{Server, open, try_open};
use crate::support::{clock, entropy};

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
