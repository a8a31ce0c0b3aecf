//! Appending and reading.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};

use mainstay_kernel::Digest;

use super::Subject;
use crate::envelope::{Partition, Seq, StreamId};
use crate::store::{
    COMMIT_MAX_EVENTS, Commit, Journal, JournalError, KEY_MAX_BYTES, NewEvent, PAYLOAD_MAX_BYTES, Timer,
};
use crate::verify::verify;

/// One commit may hold many streams; it is there as a whole, and reading gives back what was written.
pub async fn a_commit_over_many_streams_is_whole<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let events = vec![
        subject.event("incident/1", "declared"),
        subject.tenant_event("std-001", "page/1"),
        subject.event("incident/1", "assigned"),
    ];
    let committed = subject
        .commit(Commit {
            epoch,
            expected: [(stream("incident/1"), 0), (stream("page/1"), 0)].into(),
            events: events.clone(),
            ..Commit::default()
        })
        .await;
    assert_eq!(committed.head, Seq(3));
    let records = subject.everything().await;
    let envelopes: Vec<_> = records.iter().map(|record| record.envelope.clone()).collect();
    assert_eq!(envelopes, committed.envelopes, "commit and read must agree");
    for (record, event) in records.iter().zip(&events) {
        let envelope = &record.envelope;
        assert_eq!(
            NewEvent {
                id: envelope.id,
                stream: envelope.stream.clone(),
                at: envelope.at,
                actor: envelope.actor.clone(),
                cause: envelope.cause,
                kind: envelope.kind.clone(),
                schema: envelope.schema,
                scope: envelope.scope.clone(),
                catalog: envelope.catalog,
                payload: record.payload.clone().unwrap_or_default(),
                personal: None,
            },
            *event
        );
        assert_eq!(envelope.epoch, epoch);
        assert_eq!(envelope.recorded_at, subject.at(0));
    }
    let versions: Vec<u64> = envelopes.iter().map(|envelope| envelope.version).collect();
    assert_eq!(versions, [1, 1, 2]);
}

/// Nothing of a refused commit is there: no event, effect, timer, cursor; and no key is used up.
pub async fn a_refused_commit_leaves_no_trace<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let first = subject.event("a/1", "first");
    subject.append(epoch, vec![first.clone()]).await;
    let doomed = Commit {
        epoch,
        events: vec![
            subject.event("a/1", "second"),
            subject.personal_event("b/1", "ada", "+49 30 1"),
            first,
        ],
        effects: vec![subject.effect("doomed", 0)],
        timers: vec![timer(subject, "doomed", 0)],
        cursors: [("sub".to_owned(), Seq(1))].into(),
        ..Commit::default()
    };
    subject
        .journal
        .commit(doomed)
        .await
        .expect_err("an event id is used twice");
    assert_eq!(subject.everything().await.len(), 1);
    assert_eq!(subject.journal.head().await.expect("head"), Seq(1));
    assert_eq!(subject.journal.next_due().await.expect("next due"), None);
    assert_eq!(subject.journal.cursor("sub").await.expect("cursor"), Seq(0));
    let destroyed = subject.journal.destroy_key(epoch, "ada").await;
    assert!(
        !destroyed.expect("destroy"),
        "the refused commit must not have made a key"
    );
    let next = subject.append(epoch, vec![subject.event("a/1", "second")]).await;
    assert_eq!(next.head, Seq(2), "a refused commit takes no sequence number");
    assert_eq!(next.envelopes[0].version, 2);
    verify(&*subject.journal).await.expect("the chain is whole");
}

/// A commit that expects another version is refused and says what is there.
pub async fn a_version_conflict_is_refused<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    subject.append(epoch, vec![subject.event("a/1", "one")]).await;
    let late = Commit {
        epoch,
        expected: [(stream("a/1"), 0)].into(),
        events: vec![subject.event("a/1", "also one")],
        ..Commit::default()
    };
    match subject.journal.commit(late).await {
        Err(JournalError::VersionConflict {
            stream: conflicting,
            expected: 0,
            actual: 1,
        }) => assert_eq!(conflicting, stream("a/1")),
        other => panic!("expected a version conflict, got {other:?}"),
    }
    let early = Commit {
        epoch,
        expected: [(stream("a/2"), 1)].into(),
        ..Commit::default()
    };
    let refused = subject.journal.commit(early).await;
    assert!(
        matches!(refused, Err(JournalError::VersionConflict { actual: 0, .. })),
        "a stream that is not there is at version 0"
    );
}

/// The same event id is refused within a commit and across commits.
pub async fn an_event_id_is_used_once<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let event = subject.event("a/1", "one");
    let twice = Commit {
        epoch,
        events: vec![event.clone(), event.clone()],
        ..Commit::default()
    };
    let refused = subject.journal.commit(twice).await;
    assert!(matches!(refused, Err(JournalError::DuplicateEvent(id)) if id == event.id));
    subject.append(epoch, vec![event.clone()]).await;
    let again = Commit {
        epoch,
        events: vec![NewEvent {
            stream: stream("a/2"),
            ..event.clone()
        }],
        ..Commit::default()
    };
    let refused = subject.journal.commit(again).await;
    assert!(matches!(refused, Err(JournalError::DuplicateEvent(id)) if id == event.id));
}

/// The limits hold, to the byte and to the event.
pub async fn limits_are_refused<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let with_payload = |bytes: usize| Commit {
        epoch,
        events: vec![NewEvent {
            payload: vec![b'1'; bytes],
            ..subject.event("a/1", "")
        }],
        ..Commit::default()
    };
    subject.commit(with_payload(PAYLOAD_MAX_BYTES)).await;
    let refused = subject.journal.commit(with_payload(PAYLOAD_MAX_BYTES + 1)).await;
    assert!(matches!(refused, Err(JournalError::Limit { .. })));
    let with = |change: &dyn Fn(&mut Commit)| {
        let mut commit = Commit {
            epoch,
            ..Commit::default()
        };
        change(&mut commit);
        commit
    };
    let long = "x".repeat(KEY_MAX_BYTES + 1);
    let too_much = [
        with(&|commit| {
            commit.events = (0..=COMMIT_MAX_EVENTS)
                .map(|_| subject.event("a/1", ""))
                .collect()
        }),
        with(&|commit| commit.cancel = vec![String::new(); COMMIT_MAX_EVENTS + 1]),
        with(&|commit| commit.events = vec![subject.event(&long, "")]),
        with(&|commit| commit.events = vec![subject.personal_event("a/1", &long, "")]),
        with(&|commit| commit.events = vec![subject.personal_event("a/1", "ada", &long.repeat(1_024))]),
        with(&|commit| commit.effects = vec![subject.effect(&long, 0)]),
        with(&|commit| commit.timers = vec![timer(subject, &long, 0)]),
        with(&|commit| commit.cursors = [(long.clone(), Seq(1))].into()),
    ];
    for (number, commit) in too_much.into_iter().enumerate() {
        let refused = subject.journal.commit(commit).await;
        assert!(
            matches!(refused, Err(JournalError::Limit { .. })),
            "case {number}: {refused:?}"
        );
    }
    assert_eq!(subject.everything().await.len(), 1);
    assert_eq!(subject.journal.next_due().await.expect("next due"), None);
}

/// Each tenant's events are on that tenant's chain, positions count from 1 on each, and `verify` finds them whole.
pub async fn every_tenant_has_a_chain_of_its_own<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    for round in 0..3 {
        let events = vec![
            subject.event("a/1", "platform"),
            subject.tenant_event("std-001", "b/1"),
            subject.tenant_event("std-002", &format!("c/{round}")),
            subject.tenant_event("std-002", "b/1"),
        ];
        subject.append(epoch, events).await;
    }
    let mut last: BTreeMap<Partition, (u64, Digest)> = BTreeMap::new();
    for record in subject.everything().await {
        let envelope = record.envelope;
        let head = last.entry(envelope.partition.clone()).or_default();
        assert_eq!((envelope.position, envelope.prev), (head.0 + 1, head.1));
        *head = (envelope.position, envelope.hash);
    }
    let chains = verify(&*subject.journal).await.expect("every chain is whole");
    let found: BTreeMap<_, _> = chains
        .into_iter()
        .map(|(name, chain)| (name, (chain.events, chain.head)))
        .collect();
    assert_eq!(found, last);
    let lengths: Vec<u64> = found.values().map(|(events, _)| *events).collect();
    assert_eq!(lengths, [3, 3, 6], "platform, std-001, std-002");
}

/// Pages follow each other without overlap; a stream holds only its own events.
pub async fn pages_and_streams_are_read_in_order<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    for number in 0..10 {
        let name = if number % 2 == 0 { "even/1" } else { "odd/1" };
        subject
            .append(epoch, vec![subject.event(name, &number.to_string())])
            .await;
    }
    let seqs = |records: Vec<crate::Record>| -> Vec<u64> {
        records.iter().map(|record| record.envelope.seq.0).collect()
    };
    let page = async |after, limit| seqs(subject.journal.read(Seq(after), limit).await.expect("a page"));
    assert_eq!(page(0, 4).await, [1, 2, 3, 4]);
    assert_eq!(page(4, 4).await, [5, 6, 7, 8]);
    assert_eq!(page(8, 4).await, [9, 10]);
    assert!(page(10, 4).await.is_empty());
    assert!(page(u64::MAX, 4).await.is_empty());
    assert!(page(0, 0).await.is_empty());
    let part = async |name, after, limit| {
        seqs(
            subject
                .journal
                .read_stream(&stream(name), after, limit)
                .await
                .expect("a stream"),
        )
    };
    assert_eq!(part("even/1", 0, 100).await, [1, 3, 5, 7, 9]);
    assert_eq!(part("even/1", 2, 2).await, [5, 7]);
    assert!(part("even/1", u64::MAX, 2).await.is_empty());
    assert!(part("none/1", 0, 100).await.is_empty());
}

const WRITERS: u64 = 4;
const COMMITS_PER_WRITER: u64 = 50;

/// While several writers race, a reader who always asks for what comes after the last event seen gets every event
/// exactly once and in order: nothing appears later at or before a place that was passed.
pub async fn a_tail_reader_misses_nothing_while_writers_race<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let subject = subject.clone();
            tokio::spawn(async move {
                for round in 0..COMMITS_PER_WRITER {
                    // Commits of different sizes, so that writers overtake each other.
                    let events = (0..=(round + writer) % 3)
                        .map(|_| subject.event(&format!("race/{writer}"), "x"))
                        .collect();
                    subject.append(epoch, events).await;
                }
            })
        })
        .collect();
    let mut seen = Seq(0);
    let mut per_writer: BTreeMap<StreamId, u64> = BTreeMap::new();
    let mut finished = false;
    loop {
        let page = subject.journal.read(seen, 7).await.expect("a page");
        for record in &page {
            let envelope = &record.envelope;
            assert_eq!(envelope.seq.0, seen.0 + 1, "a gap that could be filled later");
            seen = envelope.seq;
            let version = per_writer.entry(envelope.stream.clone()).or_default();
            *version += 1;
            assert_eq!(envelope.version, *version);
        }
        if page.is_empty() {
            if finished {
                break;
            }
            finished = writers.iter().all(tokio::task::JoinHandle::is_finished);
            tokio::task::yield_now().await;
        }
    }
    for writer in writers {
        writer.await.expect("no writer fails");
    }
    let expected: u64 = (0..WRITERS)
        .flat_map(|writer| (0..COMMITS_PER_WRITER).map(move |round| (round + writer) % 3 + 1))
        .sum();
    assert_eq!(seen.0, expected);
    assert_eq!(subject.journal.head().await.expect("head"), seen);
    verify(&*subject.journal).await.expect("the chain is whole");
}

/// Of writers who expect the same version exactly one gets it.
pub async fn only_one_of_racing_writers_gets_a_version<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    for version in 0..20 {
        let racing: Vec<_> = (0..WRITERS)
            .map(|_| {
                let subject = subject.clone();
                tokio::spawn(async move {
                    let commit = Commit {
                        epoch,
                        expected: [(stream("a/1"), version)].into(),
                        events: vec![subject.event("a/1", "x")],
                        ..Commit::default()
                    };
                    subject.journal.commit(commit).await
                })
            })
            .collect();
        let mut won = 0;
        for result in racing {
            match result.await.expect("no writer panics") {
                Ok(_) => won += 1,
                Err(JournalError::VersionConflict { .. }) => {}
                Err(error) => panic!("expected a version conflict, got {error}"),
            }
        }
        assert_eq!(won, 1, "writers who got version {}", version + 1);
    }
}

/// An event is found by id, and so is everything that it led to.
pub async fn causes_lead_both_ways<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let root = subject.event("a/1", "root");
    let led_to = |name: &str| NewEvent {
        cause: Some(root.id),
        ..subject.event(name, "led to")
    };
    let (left, right) = (led_to("a/2"), led_to("a/3"));
    let events = vec![
        root.clone(),
        left.clone(),
        subject.event("a/4", "by itself"),
        right.clone(),
    ];
    subject.append(epoch, events).await;
    let found = subject
        .journal
        .find(left.id)
        .await
        .expect("find")
        .expect("it is there");
    assert_eq!(
        (found.envelope.id, found.envelope.cause),
        (left.id, Some(root.id))
    );
    let unknown = subject.event("a/1", "never written").id;
    assert_eq!(subject.journal.find(unknown).await.expect("find"), None);
    let caused = async |limit| -> Vec<_> {
        let records = subject
            .journal
            .caused_by(root.id, limit)
            .await
            .expect("caused by");
        records.iter().map(|record| record.envelope.id).collect()
    };
    assert_eq!(caused(10).await, [left.id, right.id]);
    assert_eq!(caused(1).await, [left.id]);
    assert!(
        subject
            .journal
            .caused_by(left.id, 10)
            .await
            .expect("caused by")
            .is_empty()
    );
}

/// A subscription's cursor and the events that answer what it read become true together.
pub async fn a_cursor_moves_with_the_events_or_not_at_all<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    assert_eq!(subject.journal.cursor("pager").await.expect("cursor"), Seq(0));
    let answer = |expected, seq| Commit {
        epoch,
        expected: [(stream("page/1"), expected)].into(),
        events: vec![subject.event("page/1", "requested")],
        cursors: [("pager".to_owned(), Seq(seq)), ("other".to_owned(), Seq(1))].into(),
        ..Commit::default()
    };
    subject.commit(answer(0, 5)).await;
    assert_eq!(subject.journal.cursor("pager").await.expect("cursor"), Seq(5));
    subject
        .journal
        .commit(answer(0, 9))
        .await
        .expect_err("the version is taken");
    assert_eq!(subject.journal.cursor("pager").await.expect("cursor"), Seq(5));
    subject.commit(answer(1, 9)).await;
    assert_eq!(subject.journal.cursor("pager").await.expect("cursor"), Seq(9));
    assert_eq!(subject.journal.cursor("other").await.expect("cursor"), Seq(1));
}

/// A caller who stops waiting for a commit leaves it done wholly or not at all, and later commits are not disturbed.
pub async fn a_dropped_commit_is_whole_or_absent<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let journal = Arc::clone(&subject.journal);
    for round in 0..40_u64 {
        let name = format!("dropped/{round}");
        let commit = Commit {
            epoch,
            events: (0..5).map(|_| subject.event(&name, "x")).collect(),
            cursors: [(name, Seq(1))].into(),
            ..Commit::default()
        };
        let mut waiting = Box::pin(journal.commit(commit));
        for _ in 0..round % 4 {
            if waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    subject.append(epoch, vec![subject.event("after/1", "x")]).await;
    let mut lengths: BTreeMap<StreamId, u64> = BTreeMap::new();
    for record in subject.everything().await {
        *lengths.entry(record.envelope.stream).or_default() += 1;
    }
    assert_eq!(lengths.remove(&stream("after/1")), Some(1));
    for round in 0..40 {
        let name = stream(&format!("dropped/{round}"));
        let events = lengths.remove(&name).unwrap_or(0);
        let cursor = subject.journal.cursor(&name.0).await.expect("cursor");
        assert!(
            (events, cursor) == (5, Seq(1)) || (events, cursor) == (0, Seq(0)),
            "{name}: {events} events, cursor {cursor:?}"
        );
    }
    verify(&*journal).await.expect("the chain is whole");
}

pub(super) fn stream(name: &str) -> StreamId {
    StreamId(name.to_owned())
}

pub(super) fn timer<J: Journal>(subject: &Subject<J>, key: &str, seconds: i64) -> Timer {
    Timer {
        key: key.to_owned(),
        due: subject.at(seconds),
        machine: "test".to_owned(),
        payload: format!("payload of {key}"),
        cause: subject.event("timer/1", "cause").id,
    }
}
