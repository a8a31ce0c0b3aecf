//! A journal of SQLite goes on in PostgreSQL.

use std::path::Path;

use jiff::SignedDuration;
use mainstay_journal::verify::verify;
use mainstay_journal::{
    Commit, Epoch, Finished, Journal, JournalError, NewEffect, PersonalFields, Seq, Snapshot, SqliteJournal,
    StreamId, Timer,
};
use mainstay_kernel::Digest;
use mainstay_kernel::testing::SeededEntropy;

use super::{Server, open, try_open};
use crate::counter::page;
use crate::support::{MINUTE, append, entropy, event, everything, lead, start};

fn effect(key: &str, entropy: &SeededEntropy) -> NewEffect {
    NewEffect {
        effect: page(key),
        cause: event(entropy, "a/1", None).id,
        due: start(),
    }
}

/// A journal with something of everything.
async fn full(dir: &Path, random: &SeededEntropy) -> (SqliteJournal, Epoch) {
    let journal = crate::support::open(dir).await;
    lead(&journal).await;
    let epoch = lead(&journal).await;
    let personal = |subject: &str| {
        let mut new = event(random, "person/1", Some("std-001"));
        new.personal = Some(PersonalFields {
            subject: subject.to_owned(),
            fields: [("phone".to_owned(), "+49 30 1".to_owned())].into(),
        });
        new
    };
    for round in 0..1_500 {
        let tenant = [None, Some("std-001"), Some("std-002")][round % 3];
        append(
            &journal,
            epoch,
            vec![event(random, &format!("s/{}", round % 7), tenant)],
        )
        .await;
    }
    let first = event(random, "odd\0name\u{1}0/1", None);
    let mut second = event(random, "a/1", None);
    second.cause = Some(first.id);
    let timer = |key: &str, seconds| Timer {
        key: key.to_owned(),
        due: start() + SignedDuration::from_secs(seconds),
        machine: "test".to_owned(),
        payload: "a\0payload".to_owned(),
        cause: first.id,
    };
    let commit = Commit {
        epoch,
        timers: vec![timer("one", 5), timer("two", 9)],
        effects: ["over", "again", "unknown", "claimed"]
            .map(|key| effect(key, random))
            .to_vec(),
        cursors: [("pager".to_owned(), Seq(7))].into(),
        events: vec![first, second, personal("ada"), personal("erased")],
        ..Commit::default()
    };
    journal.commit(commit).await.expect("commit");
    journal.claim(epoch, start(), MINUTE, 4).await.expect("claim");
    let due = start();
    let finished = Commit {
        epoch,
        finished: vec![
            Finished::Over {
                key: "over".to_owned(),
            },
            Finished::Again {
                key: "again".to_owned(),
                due,
            },
            Finished::Unknown {
                key: "unknown".to_owned(),
                due,
            },
        ],
        effects: vec![effect("waiting", random)],
        ..Commit::default()
    };
    journal.commit(finished).await.expect("commit");
    journal.destroy_key(epoch, "erased").await.expect("destroy");
    journal
        .put_catalog(Digest::of(b"catalog"), b"catalog")
        .await
        .expect("catalog");
    let snapshot = Snapshot {
        seq: Seq(5),
        schema: 3,
        bytes: vec![0, 1, 255],
    };
    journal
        .put_snapshot(epoch, "alert", snapshot)
        .await
        .expect("snapshot");
    (journal, epoch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_the_same_journal() {
    let Some(server) = Server::start().await else {
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let random = entropy(5);
    let (old, epoch) = full(dir.path(), &random).await;
    let new = open(&server.url(), "copied", entropy(6)).await;
    let chains = new.copy_from(&old).await.expect("the copy");
    assert_eq!(chains, verify(&old).await.expect("whole"));
    assert_eq!(chains.len(), 3);
    assert_eq!(
        everything(&new).await,
        everything(&old).await,
        "every event, with its place and hash"
    );
    assert_eq!(new.head().await.expect("head"), old.head().await.expect("head"));
    assert_eq!(
        new.waiting_effects(100).await.expect("effects"),
        old.waiting_effects(100).await.expect("effects")
    );
    assert_eq!(
        new.due_timers(jiff::Timestamp::MAX, 100).await.expect("timers"),
        old.due_timers(jiff::Timestamp::MAX, 100).await.expect("timers")
    );
    assert_eq!(
        new.next_due().await.expect("due"),
        old.next_due().await.expect("due")
    );
    assert_eq!(new.cursor("pager").await.expect("cursor"), Seq(7));
    assert_eq!(
        new.catalog(Digest::of(b"catalog")).await.expect("catalog"),
        Some(b"catalog".to_vec())
    );
    assert_eq!(
        new.snapshot("alert").await.expect("snapshot"),
        old.snapshot("alert").await.expect("snapshot")
    );

    // It goes on as the old one would have: the next term, the same claims, the next place on the chain.
    let stale = new.claim(epoch, start(), MINUTE, 10).await;
    stale.expect("until somebody leads, the term is the old one's");
    let next = lead(&new).await;
    assert_eq!(next.0, epoch.0 + 1);
    let again = lead(&old).await;
    let mut expected = old.claim(again, start(), MINUTE, 10).await.expect("claim");
    for claimed in &mut expected {
        // The copy's were claimed once more above.
        claimed.attempt += 1;
        claimed.possible_duplicate = true;
    }
    let mut taken = new.claim(next, start(), MINUTE, 10).await.expect("claim");
    taken.sort_by(|a, b| a.effect.key.cmp(&b.effect.key));
    expected.sort_by(|a, b| a.effect.key.cmp(&b.effect.key));
    // What was under claim at the time of the copy was not claimable above: it has its old number of attempts.
    for claimed in &mut expected {
        if claimed.effect.key == "claimed" {
            claimed.attempt -= 1;
        }
    }
    assert_eq!(taken, expected);
    append(&new, next, vec![event(&*random, "person/1", Some("std-001"))]).await;
    let commit = Commit {
        epoch: next,
        effects: vec![effect("new", &random), effect("over", &random)],
        ..Commit::default()
    };
    new.commit(commit)
        .await
        .expect("the next number of the outbox is free");
    let waiting = new.waiting_effects(100).await.expect("effects");
    assert!(waiting.iter().any(|effect| effect.key == "new"));
    assert!(
        !waiting.iter().any(|effect| effect.key == "over"),
        "over stays over"
    );
    verify(&new).await.expect("the chains go on whole");
    let stream = new
        .read_stream(&StreamId("odd\0name\u{1}0/1".to_owned()), 0, 10)
        .await;
    assert_eq!(stream.expect("stream").len(), 1);

    // And back into a file, as of one instant.
    let back = dir.path().join("back");
    new.backup(&back).await.expect("the way back");
    let file = crate::support::open(&back).await;
    assert_eq!(
        verify(&file).await.expect("whole"),
        verify(&new).await.expect("whole")
    );
    assert_eq!(everything(&file).await, everything(&new).await);
    assert_eq!(
        file.waiting_effects(100).await.expect("effects"),
        new.waiting_effects(100).await.expect("effects")
    );
    assert_eq!(
        file.due_timers(jiff::Timestamp::MAX, 100).await.expect("timers"),
        new.due_timers(jiff::Timestamp::MAX, 100).await.expect("timers")
    );
    assert_eq!(
        file.snapshot("alert").await.expect("snapshot"),
        new.snapshot("alert").await.expect("snapshot")
    );
    assert_eq!(lead(&file).await.0, next.0 + 1, "the term goes on");
    let again = new.backup(&back).await;
    assert!(matches!(&again, Err(JournalError::Storage(words)) if words.contains("there already")));

    let refused = new.copy_from(&old).await;
    assert!(
        matches!(&refused, Err(JournalError::Storage(words)) if words.contains("empty")),
        "a target with a journal must be refused, got {refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_did_not_verify_is_not_opened() {
    let Some(server) = Server::start().await else {
        return;
    };
    open(&server.url(), "mainstay", entropy(1)).await.close().await;
    server
        .run("INSERT INTO mainstay.meta (name, value) VALUES ('copying', 1)")
        .await;
    let refused = try_open(&server.url(), "mainstay", entropy(2)).await.err();
    let words = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(words.contains("drop the schema"), "{words:?}");
}
