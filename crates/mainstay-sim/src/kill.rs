//! Dying at a boundary: before, amid or after a write, before or after a send, an act. From then on nothing of the dead
//! process reaches the journal or the outside, until the world starts a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::{
    Claimed, Commit, Committed, Epoch, Journal, JournalError, Record, Room, Seq, Snapshot, StreamId, Timer,
};
use mainstay_kernel::effect::Effect;
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{Clock as _, Digest, EventId};

use crate::storage::Storage;

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
    /// What kills is a power cut.
    by_power: AtomicBool,
    /// The power went at a write that is still under way.
    amid_write: AtomicBool,
    power_cuts: AtomicU64,
    /// The disk is full until then, in milliseconds since the epoch.
    full_until_ms: AtomicI64,
}

impl KillSwitch {
    /// Lets the process die at the `n`-th boundary from the beginning of the world; 0 lets it live.
    pub fn arm(&self, n: u64) {
        self.by_power.store(false, Ordering::SeqCst);
        self.deadly.store(n, Ordering::SeqCst);
    }

    /// As [`KillSwitch::arm`], by cutting the power: what is written at that boundary is written in part.
    pub fn cut_power(&self, n: u64) {
        self.arm(n);
        self.by_power.store(true, Ordering::SeqCst);
    }

    /// How often the power went amid a write.
    #[must_use]
    pub fn power_cuts(&self) -> u64 {
        self.power_cuts.load(Ordering::SeqCst)
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
    pub(crate) fn pass(&self, boundary: Boundary) -> bool {
        if self.is_dead() {
            return false;
        }
        let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.deadly.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
            let amid = boundary == Boundary::BeforeCommit && self.by_power.load(Ordering::SeqCst);
            self.amid_write.store(amid, Ordering::SeqCst);
        }
        !self.is_dead()
    }

    /// Whether the power went at the write that comes now.
    fn takes_write(&self) -> bool {
        let amid = self.amid_write.swap(false, Ordering::SeqCst);
        self.power_cuts.fetch_add(amid.into(), Ordering::SeqCst);
        amid
    }
}

/// A journal that outlives the process; the switch cuts the process off from it.
pub(crate) struct MortalJournal<S: Storage> {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) storage: Arc<S>,
    pub(crate) journal: Arc<S::Journal>,
    pub(crate) switch: Arc<KillSwitch>,
}

fn killed() -> JournalError {
    JournalError::Storage("the process was killed".to_owned())
}

impl<S: Storage> MortalJournal<S> {
    /// For what reads.
    fn alive(&self) -> Result<&S::Journal, JournalError> {
        if self.switch.is_dead() {
            Err(killed())
        } else {
            Ok(&self.journal)
        }
    }

    /// What writes passes two boundaries, and in between there is room on the disk or not.
    async fn write<T: Send>(
        &self,
        write: impl Future<Output = Result<T, JournalError>> + Send,
    ) -> Result<T, JournalError> {
        let write = async {
            if self.switch.has_room(self.clock.now()) {
                write.await
            } else {
                Err(JournalError::Storage("no space left on device".to_owned()))
            }
        };
        if !self.switch.pass(Boundary::BeforeCommit) {
            if self.switch.takes_write() {
                self.storage.cut_power(write).await;
            }
            return Err(killed());
        }
        let written = write.await?;
        if self.switch.pass(Boundary::AfterCommit) {
            Ok(written)
        } else {
            Err(killed())
        }
    }
}

impl<S: Storage> Journal for MortalJournal<S> {
    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        self.write(self.journal.commit(commit)).await
    }

    async fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Claimed>, JournalError> {
        self.write(self.journal.claim(epoch, now, lease, limit)).await
    }

    async fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> Result<Vec<Claimed>, JournalError> {
        self.write(self.journal.claim_within(epoch, now, lease, rooms))
            .await
    }

    async fn lead(&self, holder: &str, now: Timestamp, ttl: SignedDuration) -> Result<Epoch, JournalError> {
        self.write(self.journal.lead(holder, now, ttl)).await
    }

    async fn renew(&self, epoch: Epoch, now: Timestamp, ttl: SignedDuration) -> Result<(), JournalError> {
        self.write(self.journal.renew(epoch, now, ttl)).await
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
        self.write(self.journal.put_catalog(digest, bytes)).await
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
        self.write(self.journal.put_snapshot(epoch, machine, snapshot))
            .await
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        self.alive()?.snapshot(machine).await
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        self.write(self.journal.destroy_key(epoch, subject)).await
    }
}
