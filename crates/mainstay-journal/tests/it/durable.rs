//! What only files can do: closing and opening, locks, formats, backups, erasure.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use mainstay_journal::sqlite::{DATABASE_FILE, FORMAT, Options};
use mainstay_journal::verify::verify;
use mainstay_journal::{
    Commit, Finished, Journal, JournalError, NewEffect, NewEvent, Personal, PersonalFields, Seq, Snapshot,
    SqliteJournal, Timer,
};
use mainstay_kernel::Digest;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::counter::page;
use crate::support::{MINUTE, append, clock, entropy, event, everything, lead, open, start, try_open};

pub(crate) async fn raw(dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(dir.join(DATABASE_FILE));
    SqliteConnection::connect_with(&options)
        .await
        .expect("a raw connection")
}

#[tokio::test]
async fn everything_survives_closing_and_opening() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let entropy = entropy(1);
    let journal = open(dir.path()).await;
    let epoch = lead(&journal).await;
    let first = NewEvent {
        personal: Some(PersonalFields {
            subject: "ada".to_owned(),
            fields: [("phone".to_owned(), "+49 30 1".to_owned())].into(),
        }),
        ..event(&*entropy, "a/1", None)
    };
    let second = NewEvent {
        cause: Some(first.id),
        ..event(&*entropy, "a/1", Some("std-001"))
    };
    let effect = |key: &str| NewEffect {
        effect: page(key),
        cause: first.id,
        due: start(),
    };
    let timer = Timer {
        key: "escalate".to_owned(),
        due: start(),
        machine: "oncall".to_owned(),
        payload: "level 2".to_owned(),
        cause: first.id,
    };
    let commit = Commit {
        epoch,
        events: vec![first.clone(), second.clone()],
        effects: vec![effect("claimed"), effect("over"), effect("waiting")],
        timers: vec![timer.clone()],
        cursors: [("sub".to_owned(), Seq(2))].into(),
        ..Commit::default()
    };
    journal.commit(commit).await.expect("commit");
    journal.claim(epoch, start(), MINUTE, 2).await.expect("claim");
    let over = Commit {
        epoch,
        finished: vec![Finished::Over {
            key: "over".to_owned(),
        }],
        ..Commit::default()
    };
    journal.commit(over).await.expect("commit");
    let snapshot = Snapshot {
        seq: Seq(2),
        schema: 4,
        bytes: vec![0, 1, 2],
    };
    journal
        .put_snapshot(epoch, "alert", snapshot.clone())
        .await
        .expect("put");
    journal.put_catalog(Digest::of(b"c"), b"c").await.expect("put");
    let before = everything(&journal).await;
    let chains = verify(&journal).await.expect("the chains are whole");
    journal.close().await;

    let journal = open(dir.path()).await;
    assert_eq!(everything(&journal).await, before);
    assert_eq!(
        before[0].personal,
        first.personal.map_or(Personal::None, Personal::Present)
    );
    assert_eq!(verify(&journal).await.expect("the chains are whole"), chains);
    assert_eq!(journal.cursor("sub").await.expect("cursor"), Seq(2));
    assert_eq!(journal.due_timers(start(), 9).await.expect("timers"), [timer]);
    assert_eq!(journal.snapshot("alert").await.expect("snapshot"), Some(snapshot));
    assert_eq!(
        journal.catalog(Digest::of(b"c")).await.expect("catalog"),
        Some(b"c".to_vec())
    );
    let refused = journal
        .commit(Commit {
            epoch,
            ..Commit::default()
        })
        .await;
    assert!(refused.is_ok(), "the term goes on until somebody else leads");
    let next = lead(&journal).await;
    assert!(next > epoch);
    let claimed = journal.claim(next, start(), MINUTE, 9).await.expect("claim");
    let claims: Vec<_> = claimed
        .iter()
        .map(|claimed| {
            (
                claimed.effect.key.as_str(),
                claimed.attempt,
                claimed.possible_duplicate,
            )
        })
        .collect();
    assert_eq!(claims, [("waiting", 1, false), ("claimed", 2, true)]);
    let committed = append(&journal, next, vec![event(&*entropy, "a/1", Some("std-001"))]).await;
    let envelope = &committed.envelopes[0];
    assert_eq!(
        (envelope.seq, envelope.version, envelope.position),
        (Seq(3), 3, 2)
    );
    verify(&journal).await.expect("the chains go on");
}

#[tokio::test]
async fn a_directory_is_open_once() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let dir = root.path().join("made").join("by open");
    let journal = open(&dir).await;
    match try_open(&dir).await {
        Err(JournalError::InUse { path }) => assert_eq!(path, dir.display().to_string()),
        other => panic!("expected that the directory is in use, got {:?}", other.err()),
    }
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&dir), 0o700, "only its owner may look in");
    for entry in fs::read_dir(&dir).expect("the directory is there") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(journal);
    // Dropping has waited for the writer, so the directory is free at once.
    open(&dir).await.close().await;
    open(&dir).await;
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(
        dir.path().join(DATABASE_FILE),
        "this is not a database, it is a text of some length".repeat(100),
    )
    .expect("the file can be written");
    let error = try_open(dir.path()).await.err().expect("it must not open");
    assert!(
        matches!(&error, JournalError::Storage(reason) if reason.contains("not a database")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_opens_and_verifies_while_writers_race() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let journal = Arc::new(open(&root.path().join("live")).await);
    let epoch = lead(&*journal).await;
    let entropy = entropy(2);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (journal, entropy, stop) = (journal.clone(), entropy.clone(), stop.clone());
            tokio::spawn(async move {
                let mut events: u64 = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Three events and a cursor that says so: a torn backup would show.
                    let stream = format!("race/{writer}");
                    let batch = (0..3)
                        .map(|_| event(&*entropy, &stream, Some("std-001")))
                        .collect();
                    events += 3;
                    let commit = Commit {
                        epoch,
                        events: batch,
                        cursors: [(stream, Seq(events))].into(),
                        ..Commit::default()
                    };
                    journal.commit(commit).await.expect("commit");
                }
            })
        })
        .collect();
    let mut last = Seq(0);
    for round in 0..3 {
        // Each backup must hold something that the one before had not.
        while journal.head().await.expect("head").0 < last.0 + 30 {
            tokio::task::yield_now().await;
        }
        let acknowledged = journal.head().await.expect("head");
        let to = root.path().join(format!("backup-{round}"));
        journal.backup(&to).await.expect("the backup is made");
        let copy = open(&to).await;
        last = copy.head().await.expect("head");
        assert!(
            last >= acknowledged,
            "the backup has all that was there when it began"
        );
        let chains = verify(&copy).await.expect("the copy's chains are whole");
        assert_eq!(chains.values().map(|chain| chain.events).sum::<u64>(), last.0);
        for writer in 0..3 {
            let stream = mainstay_journal::StreamId(format!("race/{writer}"));
            let events = copy
                .read_stream(&stream, 0, usize::MAX)
                .await
                .expect("the stream");
            assert_eq!(
                copy.cursor(&stream.0).await.expect("cursor"),
                Seq(events.len() as u64)
            );
        }
        let names: Vec<_> = fs::read_dir(&to)
            .expect("the directory is there")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().contains("partial"))
            .collect();
        assert!(names.is_empty(), "{names:?}");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("no writer fails");
    }
    let error = journal.backup(&root.path().join("backup-0")).await;
    assert!(
        matches!(error, Err(JournalError::Storage(_))),
        "a backup is never overwritten"
    );
}

fn found_in_files(dir: &Path, needle: &[u8]) -> bool {
    fs::read_dir(dir).expect("the directory is there").any(|entry| {
        let bytes = fs::read(entry.expect("an entry").path()).expect("the file can be read");
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = open(dir.path()).await;
    let epoch = lead(&journal).await;
    let entropy = entropy(3);
    let personal = |subject: &str| NewEvent {
        personal: Some(PersonalFields {
            subject: subject.to_owned(),
            fields: [("phone".to_owned(), "+49 30 901820".to_owned())].into(),
        }),
        ..event(&*entropy, "a/1", None)
    };
    append(&journal, epoch, vec![personal("ada"), personal("grace")]).await;
    assert!(
        !found_in_files(dir.path(), b"901820"),
        "the plain text must never reach a file"
    );
    let secret = async |subject: &str| -> Vec<u8> {
        sqlx::query_scalar("SELECT secret FROM subject_key WHERE subject = $1")
            .bind(subject)
            .fetch_one(&mut raw(dir.path()).await)
            .await
            .expect("the key is there")
    };
    let (ada, grace) = (secret("ada").await, secret("grace").await);
    assert!(found_in_files(dir.path(), &ada));
    assert!(journal.destroy_key(epoch, "ada").await.expect("destroy"));
    assert!(
        !found_in_files(dir.path(), &ada),
        "the key can be dug out of the files"
    );
    assert!(found_in_files(dir.path(), &grace));
}

#[tokio::test]
async fn effects_that_are_long_over_keep_only_their_key() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        effect_retention: SignedDuration::from_hours(24),
        ..Options::default()
    };
    let journal = SqliteJournal::open_with(dir.path(), clock(), entropy(4), options)
        .await
        .expect("the journal opens");
    let epoch = lead(&journal).await;
    let put = |key: &str| Commit {
        epoch,
        effects: vec![NewEffect {
            effect: page(key),
            cause: event(&*entropy(5), "a/1", None).id,
            due: start(),
        }],
        ..Commit::default()
    };
    for key in ["page/over", "page/waiting"] {
        journal.commit(put(key)).await.expect("commit");
    }
    let over = Commit {
        epoch,
        finished: vec![Finished::Over {
            key: "page/over".to_owned(),
        }],
        ..Commit::default()
    };
    journal.commit(over).await.expect("commit");
    let after_hours = |hours| {
        start()
            .saturating_add(SignedDuration::from_hours(hours))
            .expect("in range")
    };
    assert_eq!(
        journal
            .prune_effects(epoch, after_hours(23))
            .await
            .expect("prune"),
        0
    );
    assert_eq!(
        journal
            .prune_effects(epoch, after_hours(25))
            .await
            .expect("prune"),
        1
    );
    assert_eq!(
        journal
            .prune_effects(epoch, after_hours(25))
            .await
            .expect("prune"),
        0
    );
    journal.commit(put("page/over")).await.expect("commit");
    let claimed = journal
        .claim(epoch, after_hours(25), MINUTE, 9)
        .await
        .expect("claim");
    let keys: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.effect.key.as_str())
        .collect();
    assert_eq!(keys, ["page/waiting"], "a key is remembered for ever");
}

/// A journal of format 1 as the first release wrote it: later programs must go on reading it.
#[tokio::test]
async fn the_golden_file_of_format_1_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1.db");
    fs::copy(golden, dir.path().join(DATABASE_FILE)).expect("the golden file is there");
    let journal = open(dir.path()).await;
    let chains = verify(&journal).await.expect("its chains are whole");
    let heads: Vec<_> = chains
        .iter()
        .map(|(name, chain)| format!("{name} {} {}", chain.events, chain.head))
        .collect();
    assert_eq!(heads, GOLDEN_HEADS);
    let records = everything(&journal).await;
    assert_eq!(records[1].personal.field("phone"), Some("+49 30 901820"));
    assert_eq!(records[2].personal, Personal::Erased);
    assert_eq!(records[2].envelope.cause, Some(records[0].envelope.id));
    let waiting = journal.waiting_effects(9).await.expect("waiting effects");
    assert_eq!(waiting, [page("page/1")]);
    assert_eq!(journal.due_timers(start(), 9).await.expect("timers").len(), 1);
    assert_eq!(journal.cursor("sub").await.expect("cursor"), Seq(3));
    let epoch = lead(&journal).await;
    append(&journal, epoch, vec![event(&*entropy(6), "incident/1", None)]).await;
    verify(&journal).await.expect("the chain goes on");
}

const GOLDEN_HEADS: [&str; 2] = [
    "platform 2 9fbb21e16bfba1cd6e849e763255532246cd81db38f9d68cad70c53a8fd2bed9",
    "tenant:std-001 1 c5f94fe838d7885d959712c37cfb1e9fad4d7ba5767b48ac611a39caaf893552",
];

/// Writes the golden file of the present format. Run once per format, before its first release.
#[tokio::test]
#[ignore = "writes a file into the source tree"]
async fn write_the_golden_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = open(&dir.path().join("live")).await;
    let epoch = lead(&journal).await;
    let entropy = entropy(7);
    let personal = |subject: &str| {
        Some(PersonalFields {
            subject: subject.to_owned(),
            fields: [("phone".to_owned(), "+49 30 901820".to_owned())].into(),
        })
    };
    let root = event(&*entropy, "incident/1", None);
    let commit = Commit {
        epoch,
        events: vec![
            root.clone(),
            NewEvent {
                personal: personal("ada"),
                ..event(&*entropy, "page/1", Some("std-001"))
            },
            NewEvent {
                cause: Some(root.id),
                personal: personal("grace"),
                ..event(&*entropy, "incident/1", None)
            },
        ],
        effects: vec![NewEffect {
            effect: page("page/1"),
            cause: root.id,
            due: start(),
        }],
        timers: vec![Timer {
            key: "escalate/1".to_owned(),
            due: start(),
            machine: "oncall".to_owned(),
            payload: "{}".to_owned(),
            cause: root.id,
        }],
        cursors: [("sub".to_owned(), Seq(3))].into(),
        ..Commit::default()
    };
    journal.commit(commit).await.expect("commit");
    journal.destroy_key(epoch, "grace").await.expect("destroy");
    journal.backup(&dir.path().join("copy")).await.expect("backup");
    let golden = format!("tests/golden/format-{FORMAT}.db");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    fs::create_dir_all(golden.parent().expect("it has a parent")).expect("the directory can be made");
    fs::copy(dir.path().join("copy").join(DATABASE_FILE), golden).expect("the golden file is written");
    for (name, chain) in verify(&journal).await.expect("its chains are whole") {
        eprintln!("{name} {} {}", chain.events, chain.head);
    }
}
