//! Copies: what waits in one may have been sent, looking at one changes nothing, and one goes back to the release before.

use mainstay_journal::sqlite::{DATABASE_FILE, FORMAT};
use mainstay_journal::verify::verify;
use mainstay_journal::{Commit, Finished, Journal, JournalError, NewEffect, SqliteJournal};

use crate::counter::page;
use crate::support::{MINUTE, entropy, event, everything, lead, open, start};

/// Of a copy nobody knows what its original sent afterwards: what waits in it says so when it is sent.
#[tokio::test]
async fn what_waits_in_a_copy_may_have_been_sent_and_looking_at_it_changes_no_byte() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = open(&dir.path().join("journal")).await;
    let epoch = lead(&journal).await;
    let random = entropy(3);
    let effect = |key: &str| NewEffect {
        effect: page(key),
        cause: event(&random, "a/1", None).id,
        due: start(),
    };
    let commit = Commit {
        epoch,
        events: vec![event(&random, "a/1", None)],
        effects: vec![effect("over"), effect("waiting")],
        ..Commit::default()
    };
    journal.commit(commit).await.expect("commit");
    let over = Commit {
        epoch,
        finished: vec![Finished::Over {
            key: "over".to_owned(),
        }],
        ..Commit::default()
    };
    journal.commit(over).await.expect("commit");
    let copy = dir.path().join("copy");
    journal.backup(&copy).await.expect("backup");
    let file = copy.join(DATABASE_FILE);
    let bytes = std::fs::read(&file).expect("readable");
    let looked_at = open(&copy).await;
    verify(&looked_at).await.expect("whole");
    looked_at.close().await;
    assert!(
        std::fs::read(&file).expect("readable") == bytes,
        "its checksum stays"
    );

    let restored = open(&copy).await;
    assert_eq!(restored.doubt_waiting().await.expect("doubted"), 1);
    let epoch = lead(&restored).await;
    let claimed = restored.claim(epoch, start(), MINUTE, 10).await.expect("claim");
    let told: Vec<_> = claimed
        .iter()
        .map(|one| (one.effect.key.as_str(), one.possible_duplicate))
        .collect();
    assert_eq!(told, [("waiting", true)]);
}

/// To the first format and up again: the same events, and what waits still waits.
#[tokio::test]
async fn a_journal_goes_back_and_comes_again_with_everything_in_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = open(dir.path()).await;
    let epoch = lead(&journal).await;
    let random = entropy(4);
    let commit = Commit {
        epoch,
        events: vec![
            event(&random, "a/1", None),
            event(&random, "b/1", Some("std-001")),
        ],
        effects: vec![NewEffect {
            effect: page("waiting"),
            cause: event(&random, "a/1", None).id,
            due: start(),
        }],
        ..Commit::default()
    };
    journal.commit(commit).await.expect("commit");
    let before = everything(&journal).await;
    let live = SqliteJournal::downgrade(dir.path(), 1).await;
    assert!(matches!(live, Err(JournalError::InUse { .. })), "{live:?}");
    journal.close().await;
    for nowhere in [0, FORMAT + 1] {
        let refused = SqliteJournal::downgrade(dir.path(), nowhere).await;
        assert!(matches!(refused, Err(JournalError::Storage(_))), "{refused:?}");
    }
    assert_eq!(
        SqliteJournal::downgrade(dir.path(), 1).await.expect("back"),
        FORMAT
    );
    assert_eq!(
        SqliteJournal::downgrade(dir.path(), 1)
            .await
            .expect("there already"),
        1
    );
    let again = open(dir.path()).await;
    assert_eq!(everything(&again).await, before);
    verify(&again).await.expect("whole");
    assert_eq!(
        again.waiting_effects(10).await.expect("effects"),
        [page("waiting")]
    );
}
