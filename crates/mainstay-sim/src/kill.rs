//! Dying at a boundary: before or after a commit, a send, an act. From then on nothing of the dead process reaches the
//! journal or the outside, until the world starts a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::{
    Claimed, Commit, Committed, Epoch, Journal, JournalError, MemoryJournal, Record, Room, Seq, Snapshot,
    StreamId, Timer,
};
use mainstay_kernel::effect::Effect;
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{Clock as _, Digest, EventId};

/// Where a process can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// It decided, nothing is written.
    BeforeCommit,
    /// It is written, the process does not know yet.
    AfterCommit,
    /// An effect is claimed, nothing was sent.
    BeforeSend,
    /// It was sent, the receipt is not known.
    AfterSend,
}

/// Kills the process at the n-th boundary that it comes to.
#[derive(Debug, Default)]
pub struct KillSwitch {
    passed: AtomicU64,
    deadly: AtomicU64,
    dead: AtomicBool,
    /// The disk is full until then, in milliseconds since the epoch.
    full_until_ms: AtomicI64,
}

impl KillSwitch {
    /// Lets the process die at the `n`-th boundary from the beginning of the world; 0 lets it live.
    pub fn arm(&self, n: u64) {
        self.deadly.store(n, Ordering::SeqCst);
    }

    /// How many boundaries were passed since the beginning of the world.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Whether the process is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// The journal's disk has no room until then: it takes nothing, and says so.
    pub fn fill_disk(&self, until: Timestamp) {
        self.full_until_ms.store(until.as_millisecond(), Ordering::SeqCst);
    }

    fn has_room(&self, now: Timestamp) -> bool {
        now.as_millisecond() >= self.full_until_ms.load(Ordering::SeqCst)
    }

    /// A new process lives.
    pub(crate) fn revive(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }

    /// Comes to a boundary. Gives whether the process is still alive behind it.
    pub(crate) fn pass(&self, _boundary: Boundary) -> bool {
        if self.is_dead() {
            return false;
        }
        let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.deadly.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
        }
        !self.is_dead()
    }
}

/// A journal that outlives the process; the switch cuts the process off from it.
pub(crate) struct MortalJournal {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) durable: Arc<MemoryJournal>,
    pub(crate) switch: Arc<KillSwitch>,
}

fn killed() -> JournalError {
    JournalError::Storage("the process was killed".to_owned())
}

impl MortalJournal {
    fn alive(&self) -> Result<&MemoryJournal, JournalError> {
        if self.switch.is_dead() {
            Err(killed())
        } else {
            Ok(&self.durable)
        }
    }

    /// For what writes.
    fn writable(&self) -> Result<&MemoryJournal, JournalError> {
        if !self.switch.has_room(self.clock.now()) {
            return Err(JournalError::Storage("no space left on device".to_owned()));
        }
        self.alive()
    }
}

impl Journal for MortalJournal {
    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        if !self.switch.pass(Boundary::BeforeCommit) {
            return Err(killed());
        }
        let committed = self.writable()?.commit(commit).await?;
        if self.switch.pass(Boundary::AfterCommit) {
            Ok(committed)
        } else {
            Err(killed())
        }
    }

    async fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Claimed>, JournalError> {
        if !self.switch.pass(Boundary::BeforeCommit) {
            return Err(killed());
        }
        let claimed = self.writable()?.claim(epoch, now, lease, limit).await?;
        if self.switch.pass(Boundary::AfterCommit) {
            Ok(claimed)
        } else {
            Err(killed())
        }
    }

    async fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> Result<Vec<Claimed>, JournalError> {
        if !self.switch.pass(Boundary::BeforeCommit) {
            return Err(killed());
        }
        let claimed = self.writable()?.claim_within(epoch, now, lease, rooms).await?;
        if self.switch.pass(Boundary::AfterCommit) {
            Ok(claimed)
        } else {
            Err(killed())
        }
    }

    async fn lead(&self, holder: &str, now: Timestamp, ttl: SignedDuration) -> Result<Epoch, JournalError> {
        self.writable()?.lead(holder, now, ttl).await
    }

    async fn renew(&self, epoch: Epoch, now: Timestamp, ttl: SignedDuration) -> Result<(), JournalError> {
        self.writable()?.renew(epoch, now, ttl).await
    }

    async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.alive()?.read(after, limit).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        self.alive()?.read_stream(stream, after, limit).await
    }

    async fn find(&self, id: EventId) -> Result<Option<Record>, JournalError> {
        self.alive()?.find(id).await
    }

    async fn caused_by(&self, id: EventId, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.alive()?.caused_by(id, limit).await
    }

    async fn head(&self) -> Result<Seq, JournalError> {
        self.alive()?.head().await
    }

    async fn cursor(&self, subscription: &str) -> Result<Seq, JournalError> {
        self.alive()?.cursor(subscription).await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, JournalError> {
        self.alive()?.due_timers(now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        self.alive()?.next_due().await
    }

    async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>, JournalError> {
        self.alive()?.waiting_effects(limit).await
    }

    async fn put_catalog(&self, digest: Digest, bytes: &[u8]) -> Result<(), JournalError> {
        self.writable()?.put_catalog(digest, bytes).await
    }

    async fn catalog(&self, digest: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        self.alive()?.catalog(digest).await
    }

    async fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        // One of several that are kept one after the other: a process can die in between.
        if !self.switch.pass(Boundary::BeforeCommit) {
            return Err(killed());
        }
        self.writable()?.put_snapshot(epoch, machine, snapshot).await
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        self.alive()?.snapshot(machine).await
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        self.writable()?.destroy_key(epoch, subject).await
    }
}
