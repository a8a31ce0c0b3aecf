//! The runner, with a tiny machine over both backends' simplest: memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::runner::AT_HAND;
use mainstay_journal::{
    Claimed, Commit, Committed, Context, Epoch, ExecuteError, Finished, Journal, JournalError, MemoryJournal,
    NewEvent, Record, Room, Runner, Seq, Settle, Snapshot, SqliteJournal, StreamId, Timer,
};
use mainstay_kernel::effect::Effect;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, Digest, EventId};

use crate::counter::{Command, Counters, State};
use crate::support::{append, clock, entropy, event, everything, lead, open, start};

struct Desk<J> {
    journal: J,
    runner: Runner<Counters>,
    epoch: Epoch,
    entropy: Arc<SeededEntropy>,
}

impl<J: Journal> Desk<J> {
    async fn new(journal: J) -> Self {
        let epoch = lead(&journal).await;
        Self {
            journal,
            runner: Runner::default(),
            epoch,
            entropy: entropy(11),
        }
    }

    async fn execute(&mut self, command: Command) -> Result<usize, ExecuteError<crate::counter::BelowZero>> {
        self.settle(command, Settle::default()).await
    }

    async fn settle(
        &mut self,
        command: Command,
        settle: Settle,
    ) -> Result<usize, ExecuteError<crate::counter::BelowZero>> {
        let context = Context {
            epoch: self.epoch,
            catalog: Digest::of(b"catalog"),
            now: start(),
            actor: Actor::person("ada"),
            cause: None,
            entropy: &*self.entropy,
        };
        let recorded = self
            .runner
            .execute(&self.journal, &(), &context, command, settle)
            .await?;
        Ok(recorded.len())
    }

    fn value(&self, name: &str) -> i64 {
        self.runner.state().values.get(name).copied().unwrap_or(0)
    }

    /// The state as somebody sees it who folds everything from the first event.
    async fn folded(&self) -> State {
        let mut fresh = Runner::<Counters>::default();
        fresh
            .catch_up(&self.journal)
            .await
            .expect("the events can be read");
        fresh.state().clone()
    }
}

fn add(name: &str, amount: i64) -> Command {
    Command::Add {
        name: name.to_owned(),
        amount,
    }
}

fn memory() -> MemoryJournal {
    MemoryJournal::new(clock(), entropy(12))
}

#[tokio::test]
async fn a_refusal_leaves_no_trace() {
    let mut desk = Desk::new(memory()).await;
    desk.execute(add("a", 1)).await.expect("it is allowed");
    let settle = Settle {
        cursor: Some(("sub".to_owned(), Seq(1))),
        ..Settle::default()
    };
    let refused = desk.settle(add("a", -2), settle).await;
    assert!(matches!(refused, Err(ExecuteError::Refused(_))), "{refused:?}");
    assert_eq!(desk.value("a"), 1);
    assert_eq!(everything(&desk.journal).await.len(), 1);
    assert_eq!(desk.journal.cursor("sub").await.expect("cursor"), Seq(0));
    desk.execute(add("a", -1)).await.expect("the state is as before");
}

#[tokio::test]
async fn events_effects_timers_and_settlement_are_one_commit() {
    let mut desk = Desk::new(memory()).await;
    desk.execute(add("a", 9)).await.expect("it is allowed");
    assert!(desk.journal.waiting_effects(9).await.expect("effects").is_empty());
    let settle = Settle {
        cursor: Some(("sub".to_owned(), Seq(1))),
        timer: Some("old".to_owned()),
        finished: None,
    };
    desk.settle(add("a", 1), settle).await.expect("it is allowed");
    let effects = desk.journal.waiting_effects(9).await.expect("effects");
    assert_eq!(effects, [crate::counter::page("page/a")]);
    let in_five_minutes = start()
        .saturating_add(SignedDuration::from_mins(5))
        .expect("in range");
    let timers = desk.journal.due_timers(in_five_minutes, 9).await.expect("timers");
    let records = everything(&desk.journal).await;
    assert_eq!(timers.len(), 1);
    assert_eq!(
        (timers[0].key.as_str(), timers[0].machine.as_str()),
        ("escalate/a", "counter")
    );
    assert_eq!(timers[0].cause, records[1].envelope.id);
    assert_eq!(desk.journal.cursor("sub").await.expect("cursor"), Seq(1));
    // What only settles is committed without events.
    let settle = Settle {
        finished: Some(Finished::Over {
            key: "page/a".to_owned(),
        }),
        ..Settle::default()
    };
    assert_eq!(desk.settle(add("b", 0), settle).await.expect("it is allowed"), 1);
    assert!(desk.journal.waiting_effects(9).await.expect("effects").is_empty());
}

#[tokio::test]
async fn a_failed_commit_reloads_the_state() {
    let mut desk = Desk::new(memory()).await;
    desk.execute(add("a", 3)).await.expect("it is allowed");
    // Somebody else writes to the stream behind the runner's back.
    let stranger = NewEvent {
        stream: StreamId("counter/a".to_owned()),
        kind: "counter.added".to_owned(),
        payload: br#"{"event":"added","name":"a","tenant":null,"amount":4}"#.to_vec(),
        ..event(&*entropy(13), "counter/a", None)
    };
    append(&desk.journal, desk.epoch, vec![stranger]).await;
    let conflict = desk.execute(add("a", 1)).await;
    assert!(
        matches!(
            conflict,
            Err(ExecuteError::Journal(JournalError::VersionConflict { .. }))
        ),
        "{conflict:?}"
    );
    assert_eq!(desk.value("a"), 7, "what is written, and only that");
    desk.execute(add("a", 1))
        .await
        .expect("the versions are right again");
    assert_eq!(desk.value("a"), 8);
    desk.epoch = Epoch(desk.epoch.0 - 1);
    let stale = desk.execute(add("a", 1)).await;
    assert!(
        matches!(stale, Err(ExecuteError::Journal(JournalError::StaleEpoch { .. }))),
        "{stale:?}"
    );
    assert_eq!(desk.value("a"), 8);
    assert_eq!(desk.folded().await, *desk.runner.state());
}

/// An event that somebody else writes.
fn strange(name: &str, entropy: &SeededEntropy) -> NewEvent {
    let payload = format!(r#"{{"event":"added","name":"{name}","tenant":null,"amount":1}}"#);
    NewEvent {
        kind: "counter.added".to_owned(),
        payload: payload.into_bytes(),
        ..event(entropy, &format!("counter/{name}"), None)
    }
}

#[tokio::test]
async fn of_many_streams_only_the_recent_are_at_hand_and_none_is_written_unseen() {
    let mut desk = Desk::new(memory()).await;
    let entropy = entropy(15);
    let names: Vec<String> = (0..5 * AT_HAND / 2).map(|number| number.to_string()).collect();
    for some in names.chunks(AT_HAND) {
        let events = some.iter().map(|name| strange(name, &entropy)).collect();
        append(&desk.journal, desk.epoch, events).await;
    }
    desk.runner
        .catch_up(&desk.journal)
        .await
        .expect("they can be read");
    let snapshot = desk.runner.snapshot().expect("the state is JSON");
    let kept: serde_json::Value = serde_json::from_slice(&snapshot.bytes).expect("JSON");
    let recent = kept["recent_versions"].as_object().expect("the recent ones");
    assert!((AT_HAND..2 * AT_HAND).contains(&recent.len()), "{}", recent.len());
    desk.journal
        .put_snapshot(desk.epoch, "counter", snapshot)
        .await
        .expect("put");
    for round in 0..2 {
        // One that is forgotten, one that is at hand, and a new one.
        for name in ["0", names[names.len() - 1].as_str(), ["new", "newer"][round]] {
            desk.execute(add(name, 1)).await.expect("all of it was seen");
        }
        desk.runner = Runner::load(&desk.journal).await.expect("it loads");
        desk.runner
            .catch_up(&desk.journal)
            .await
            .expect("the tail can be read");
    }
    for name in ["1", names[names.len() - 2].as_str()] {
        append(&desk.journal, desk.epoch, vec![strange(name, &entropy)]).await;
        let refused = desk.execute(add(name, 1)).await;
        assert!(
            matches!(
                refused,
                Err(ExecuteError::Journal(
                    JournalError::Unseen { .. } | JournalError::VersionConflict { .. }
                ))
            ),
            "{refused:?}"
        );
        assert_eq!(desk.value(name), 2, "it is seen now");
        desk.execute(add(name, 1)).await.expect("all of it was seen");
    }
    assert_eq!(desk.folded().await, *desk.runner.state());
}

#[tokio::test]
async fn snapshot_and_tail_equal_the_full_fold() {
    let mut desk = Desk::new(memory()).await;
    for round in 0..50 {
        desk.execute(add(["a", "b", "c"][round % 3], 1))
            .await
            .expect("it is allowed");
        if round == 20 {
            let snapshot = desk.runner.snapshot().expect("the state is JSON");
            desk.journal
                .put_snapshot(desk.epoch, "counter", snapshot)
                .await
                .expect("put");
        }
    }
    // A stranger's events and those of another machine do not disturb.
    append(
        &desk.journal,
        desk.epoch,
        vec![event(&*entropy(14), "other/1", None)],
    )
    .await;
    let mut loaded = Runner::<Counters>::load(&desk.journal).await.expect("it loads");
    assert_eq!(loaded.seen(), Seq(21));
    loaded
        .catch_up(&desk.journal)
        .await
        .expect("the tail can be read");
    assert_eq!(loaded.seen(), Seq(51));
    assert_eq!(loaded.state(), desk.runner.state());
    assert_eq!(desk.folded().await, *desk.runner.state());
    // The versions come from the snapshot too: the loaded runner can go on where the other one stopped.
    desk.runner = loaded;
    desk.execute(add("a", 1)).await.expect("the versions are right");
    // A record that is seen twice is taken in once.
    for record in everything(&desk.journal).await {
        desk.runner.take_in(&record).expect("it can be read");
    }
    assert_eq!(desk.folded().await, *desk.runner.state());
}

#[tokio::test]
async fn a_snapshot_of_another_form_is_ignored() {
    let mut desk = Desk::new(memory()).await;
    desk.execute(add("a", 1)).await.expect("it is allowed");
    let good = desk.runner.snapshot().expect("the state is JSON");
    let other_schema = Snapshot {
        schema: 99,
        ..good.clone()
    };
    let unreadable = Snapshot {
        bytes: b"{".to_vec(),
        ..good
    };
    for snapshot in [other_schema, unreadable] {
        desk.journal
            .put_snapshot(desk.epoch, "counter", snapshot)
            .await
            .expect("put");
        let loaded = Runner::<Counters>::load(&desk.journal).await.expect("it loads");
        assert_eq!(loaded.seen(), Seq(0), "folded from the start");
    }
}

#[tokio::test]
async fn personal_fields_are_put_back() {
    let mut desk = Desk::new(memory()).await;
    let set = Command::SetPhone {
        name: "ada".to_owned(),
        phone: "+49 30 1".to_owned(),
    };
    desk.execute(set).await.expect("it is allowed");
    let records = everything(&desk.journal).await;
    let payload = String::from_utf8(records[0].payload.clone().expect("a payload")).expect("text");
    assert!(!payload.contains("+49"), "{payload}");
    assert_eq!(desk.folded().await.phones["ada"], "+49 30 1");
    desk.journal
        .destroy_key(desk.epoch, "ada")
        .await
        .expect("destroy");
    assert_eq!(desk.folded().await.phones["ada"], "", "erased");
}

/// A journal whose commits, when told so, are done but never answered: the caller has to give up.
struct Mute<J> {
    inner: J,
    mute: AtomicBool,
}

#[tokio::test]
async fn an_abandoned_commit_is_neither_lost_nor_doubled() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal: SqliteJournal = open(dir.path()).await;
    let mut desk = Desk::new(Mute {
        inner: journal,
        mute: AtomicBool::new(false),
    })
    .await;
    desk.execute(add("a", 1)).await.expect("it is allowed");
    desk.journal.mute.store(true, Ordering::Relaxed);
    let gave_up =
        tokio::time::timeout(std::time::Duration::from_millis(200), desk.execute(add("a", 10))).await;
    assert!(gave_up.is_err(), "nobody answers");
    desk.journal.mute.store(false, Ordering::Relaxed);
    for record in everything(&desk.journal).await {
        desk.runner.take_in(&record).expect("it can be read");
    }
    desk.execute(add("a", 100))
        .await
        .expect("the next one goes through");
    assert_eq!(desk.value("a"), 111);
    assert_eq!(desk.folded().await, *desk.runner.state());
}

impl<J: Journal> Journal for Mute<J> {
    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        let committed = self.inner.commit(commit).await;
        if self.mute.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        committed
    }

    async fn lead(&self, holder: &str, now: Timestamp, ttl: SignedDuration) -> Result<Epoch, JournalError> {
        self.inner.lead(holder, now, ttl).await
    }

    async fn renew(&self, epoch: Epoch, now: Timestamp, ttl: SignedDuration) -> Result<(), JournalError> {
        self.inner.renew(epoch, now, ttl).await
    }

    async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.inner.read(after, limit).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        self.inner.read_stream(stream, after, limit).await
    }

    async fn find(&self, id: EventId) -> Result<Option<Record>, JournalError> {
        self.inner.find(id).await
    }

    async fn caused_by(&self, id: EventId, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.inner.caused_by(id, limit).await
    }

    async fn head(&self) -> Result<Seq, JournalError> {
        self.inner.head().await
    }

    async fn cursor(&self, subscription: &str) -> Result<Seq, JournalError> {
        self.inner.cursor(subscription).await
    }

    async fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Claimed>, JournalError> {
        self.inner.claim(epoch, now, lease, limit).await
    }

    async fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> Result<Vec<Claimed>, JournalError> {
        self.inner.claim_within(epoch, now, lease, rooms).await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, JournalError> {
        self.inner.due_timers(now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        self.inner.next_due().await
    }

    async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>, JournalError> {
        self.inner.waiting_effects(limit).await
    }

    async fn put_catalog(&self, digest: Digest, bytes: &[u8]) -> Result<(), JournalError> {
        self.inner.put_catalog(digest, bytes).await
    }

    async fn catalog(&self, digest: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.catalog(digest).await
    }

    async fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        self.inner.put_snapshot(epoch, machine, snapshot).await
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        self.inner.snapshot(machine).await
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        self.inner.destroy_key(epoch, subject).await
    }
}
