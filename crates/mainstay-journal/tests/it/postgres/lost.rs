//! The answer to a COMMIT is lost: what became of it is found out.

use std::time::Duration;

use mainstay_journal::postgres::Options;
use mainstay_journal::verify::verify;
use mainstay_journal::{Commit, Journal, JournalError, NewEffect, PostgresJournal, StreamId};

use super::proxy::{Mishap, Proxy};
use super::{Server, open};
use crate::counter::page;
use crate::support::{MINUTE, append, clock, entropy, event, everything, lead, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_commit_is_found_out() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proxy = Proxy::start(server.socket()).await;
    let entropy = entropy(1);
    let journal = open(&proxy.url, "lost", entropy.clone()).await;
    let epoch = lead(&journal).await;
    for (round, mishap) in [Mishap::CutBefore, Mishap::CutAfter]
        .repeat(5)
        .into_iter()
        .enumerate()
    {
        let event = event(&*entropy, "counted/1", None);
        let (id, cause) = (event.id, event.id);
        proxy.arm(mishap);
        let committed = journal
            .commit(Commit {
                epoch,
                expected: [(StreamId("counted/1".to_owned()), round as u64)].into(),
                events: vec![event],
                effects: vec![NewEffect {
                    effect: page(&format!("page/{round}")),
                    cause,
                    due: start(),
                }],
                ..Commit::default()
            })
            .await
            .unwrap_or_else(|error| panic!("{mishap:?} in round {round}: {error}"));
        assert!(proxy.happened(), "{mishap:?} must have happened");
        let found = journal.find(id).await.expect("find").expect("it is there");
        assert_eq!(
            [found.envelope],
            committed.envelopes[..],
            "what was answered is what is kept"
        );
        // A claim is told likewise: its effects are handed out, and once.
        proxy.arm(mishap);
        let claimed = journal.claim(epoch, start(), MINUTE, 10).await.expect("claim");
        assert!(proxy.happened(), "{mishap:?} must have happened");
        assert_eq!(claimed.len(), 1, "{mishap:?} in round {round}");
        assert_eq!((claimed[0].attempt, claimed[0].possible_duplicate), (1, false));
    }
    // A term that was given is known to whoever asked for it.
    proxy.arm(Mishap::CutAfter);
    let next = lead(&journal).await;
    assert_eq!(next.0, epoch.0 + 1);
    assert_eq!(everything(&journal).await.len(), 10);
    verify(&journal).await.expect("the chain is whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_found_out_is_said_to_be_unknown() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proxy = Proxy::start(server.socket()).await;
    let source = entropy(1);
    let options = Options {
        patience: Duration::from_secs(2),
        ..Options::default()
    };
    let journal = PostgresJournal::open_with(&proxy.url, clock(), source.clone(), options)
        .await
        .expect("it opens");
    let epoch = lead(&journal).await;
    append(&journal, epoch, vec![event(&*source, "a/1", None)]).await;
    proxy.close_after_mishap();
    proxy.arm(Mishap::CutAfter);
    let commit = Commit {
        epoch,
        events: vec![event(&*source, "a/1", None)],
        ..Commit::default()
    };
    let error = journal.commit(commit).await.expect_err("nobody can say");
    let JournalError::Storage(words) = error else {
        panic!("expected a failure of the storage, got {error}");
    };
    assert!(words.contains("nobody knows"), "{words}");
    let journal = PostgresJournal::open(&server.url(), clock(), entropy(2))
        .await
        .expect("it opens");
    assert_eq!(everything(&journal).await.len(), 2, "in truth it was written");
}
