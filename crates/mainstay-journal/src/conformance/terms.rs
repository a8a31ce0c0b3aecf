//! Terms, catalogs, snapshots.

use jiff::SignedDuration;
use mainstay_kernel::Digest;

use super::Subject;
use crate::envelope::{Epoch, Seq};
use crate::store::{Commit, Journal, JournalError, Snapshot};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Whoever takes the lead gets a term greater than all before.
pub async fn a_new_term_is_greater<J: Journal>(subject: &Subject<J>) {
    let journal = &subject.journal;
    let first = journal.lead("a", subject.at(0), MINUTE).await.expect("lead");
    journal.renew(first, subject.at(30), MINUTE).await.expect("renew");
    // After the lease of the first has run out, so that shared backends agree.
    let second = journal.lead("b", subject.at(1_000), MINUTE).await.expect("lead");
    assert!(second > first, "{second:?} after {first:?}");
}

/// Every call that writes refuses a term that is over, and one that never was, and leaves nothing behind.
pub async fn a_term_that_is_over_writes_nothing<J: Journal>(subject: &Subject<J>) {
    let journal = &subject.journal;
    let old = journal.lead("a", subject.at(0), MINUTE).await.expect("lead");
    let setup = Commit {
        epoch: old,
        events: vec![subject.personal_event("a/1", "ada", "+49 30 1")],
        effects: vec![subject.effect("page", 0)],
        ..Commit::default()
    };
    subject.commit(setup).await;
    let current = journal.lead("b", subject.at(1_000), MINUTE).await.expect("lead");
    for stale in [old, Epoch(current.0 + 1), Epoch(0)] {
        let refused = |what: &str, error: Option<JournalError>| match error {
            Some(JournalError::StaleEpoch {
                used,
                current: present,
            }) => assert_eq!((used, present), (stale, current), "{what}"),
            other => panic!("{what} in {stale:?} must be refused, got {other:?}"),
        };
        let commit = Commit {
            epoch: stale,
            events: vec![subject.event("a/1", "late")],
            cursors: [("sub".to_owned(), Seq(1))].into(),
            ..Commit::default()
        };
        refused("commit", journal.commit(commit).await.err());
        let empty = Commit {
            epoch: stale,
            ..Commit::default()
        };
        refused("an empty commit", journal.commit(empty).await.err());
        refused(
            "claim",
            journal.claim(stale, subject.at(1_000), MINUTE, 10).await.err(),
        );
        refused(
            "renew",
            journal.renew(stale, subject.at(1_000), MINUTE).await.err(),
        );
        let snapshot = Snapshot {
            seq: Seq(1),
            schema: 1,
            bytes: b"late".to_vec(),
        };
        refused(
            "put_snapshot",
            journal.put_snapshot(stale, "test", snapshot).await.err(),
        );
        refused("destroy_key", journal.destroy_key(stale, "ada").await.err());
    }
    assert_eq!(subject.everything().await.len(), 1);
    assert_eq!(journal.cursor("sub").await.expect("cursor"), Seq(0));
    assert_eq!(journal.snapshot("test").await.expect("snapshot"), None);
    let claimed = journal
        .claim(current, subject.at(1_000), MINUTE, 10)
        .await
        .expect("claim");
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].attempt, 1, "the refused claim must not count");
    assert!(
        journal.destroy_key(current, "ada").await.expect("destroy"),
        "the key must still be there"
    );
}

/// A catalog is found by its digest; keeping it again changes nothing.
pub async fn catalogs_are_found_by_digest<J: Journal>(subject: &Subject<J>) {
    let journal = &subject.journal;
    let (one, two) = (b"one".to_vec(), vec![0, 159, 146, 150]);
    for bytes in [&one, &two, &one] {
        journal.put_catalog(Digest::of(bytes), bytes).await.expect("put");
    }
    for bytes in [one, two] {
        assert_eq!(
            journal.catalog(Digest::of(&bytes)).await.expect("get"),
            Some(bytes)
        );
    }
    assert_eq!(journal.catalog(Digest::of(b"three")).await.expect("get"), None);
}

/// A machine has one snapshot: the last one put.
pub async fn a_snapshot_replaces_the_one_before<J: Journal>(subject: &Subject<J>) {
    let journal = &subject.journal;
    let epoch = subject.lead().await;
    let snapshot = |seq, bytes: &[u8]| Snapshot {
        seq: Seq(seq),
        schema: 3,
        bytes: bytes.to_vec(),
    };
    assert_eq!(journal.snapshot("alert").await.expect("get"), None);
    for (machine, seq, bytes) in [
        ("alert", 1, &b"old"[..]),
        ("incident", 1, b"other"),
        ("alert", 9, b""),
    ] {
        journal
            .put_snapshot(epoch, machine, snapshot(seq, bytes))
            .await
            .expect("put");
    }
    assert_eq!(
        journal.snapshot("alert").await.expect("get"),
        Some(snapshot(9, b""))
    );
    assert_eq!(
        journal.snapshot("incident").await.expect("get"),
        Some(snapshot(1, b"other"))
    );
}
