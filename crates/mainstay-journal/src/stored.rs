//! A journal that an operator chose: SQLite in a directory, or PostgreSQL behind a URL.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::Effect;
use mainstay_kernel::{Clock, Digest, Entropy, EventId};

use crate::envelope::{Epoch, Record, Seq, StreamId};
use crate::postgres::PostgresJournal;
use crate::sqlite::SqliteJournal;
use crate::store::{Claimed, Commit, Committed, Journal, JournalError, Room, Snapshot, Timer};

/// Either of the two that survive a restart.
pub enum StoredJournal {
    /// Of one binary.
    Sqlite(SqliteJournal),
    /// Of any number of replicas.
    Postgres(PostgresJournal),
}

/// Asks whichever it is.
macro_rules! either {
    ($stored:expr, $journal:ident => $call:expr) => {
        match $stored {
            StoredJournal::Sqlite($journal) => $call.await,
            StoredJournal::Postgres($journal) => $call.await,
        }
    };
}

impl StoredJournal {
    /// Opens the journal behind `url` if there is one, else the one in `dir`.
    ///
    /// # Errors
    /// As [`PostgresJournal::open`] and [`SqliteJournal::open`].
    pub async fn open(
        url: Option<&str>,
        dir: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, JournalError> {
        match url {
            Some(url) => PostgresJournal::open(url, clock, entropy)
                .await
                .map(Self::Postgres),
            None => SqliteJournal::open(dir, clock, entropy).await.map(Self::Sqlite),
        }
    }

    /// Makes a copy in `to` that can be opened as a journal of one binary, whichever of the two this is.
    ///
    /// # Errors
    /// As [`SqliteJournal::backup`] and [`PostgresJournal::backup`].
    pub async fn backup(&self, to: &Path) -> Result<(), JournalError> {
        either!(self, journal => journal.backup(to))
    }

    /// Drops the content of effects that have been over for long.
    ///
    /// # Errors
    /// As [`SqliteJournal::prune_effects`].
    pub async fn prune_effects(&self, epoch: Epoch, now: Timestamp) -> Result<u64, JournalError> {
        either!(self, journal => journal.prune_effects(epoch, now))
    }
}

impl Journal for StoredJournal {
    async fn lead(&self, holder: &str, now: Timestamp, ttl: SignedDuration) -> Result<Epoch, JournalError> {
        either!(self, journal => journal.lead(holder, now, ttl))
    }

    async fn renew(&self, epoch: Epoch, now: Timestamp, ttl: SignedDuration) -> Result<(), JournalError> {
        either!(self, journal => journal.renew(epoch, now, ttl))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        either!(self, journal => journal.commit(commit))
    }

    async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        either!(self, journal => journal.read(after, limit))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        either!(self, journal => journal.read_stream(stream, after, limit))
    }

    async fn find(&self, id: EventId) -> Result<Option<Record>, JournalError> {
        either!(self, journal => journal.find(id))
    }

    async fn caused_by(&self, id: EventId, limit: usize) -> Result<Vec<Record>, JournalError> {
        either!(self, journal => journal.caused_by(id, limit))
    }

    async fn head(&self) -> Result<Seq, JournalError> {
        either!(self, journal => journal.head())
    }

    async fn cursor(&self, subscription: &str) -> Result<Seq, JournalError> {
        either!(self, journal => journal.cursor(subscription))
    }

    async fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Claimed>, JournalError> {
        either!(self, journal => journal.claim(epoch, now, lease, limit))
    }

    async fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> Result<Vec<Claimed>, JournalError> {
        either!(self, journal => journal.claim_within(epoch, now, lease, rooms))
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, JournalError> {
        either!(self, journal => journal.due_timers(now, limit))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        either!(self, journal => journal.next_due())
    }

    async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>, JournalError> {
        either!(self, journal => journal.waiting_effects(limit))
    }

    async fn put_catalog(&self, digest: Digest, bytes: &[u8]) -> Result<(), JournalError> {
        either!(self, journal => journal.put_catalog(digest, bytes))
    }

    async fn catalog(&self, digest: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        either!(self, journal => journal.catalog(digest))
    }

    async fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        either!(self, journal => journal.put_snapshot(epoch, machine, snapshot))
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        either!(self, journal => journal.snapshot(machine))
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        either!(self, journal => journal.destroy_key(epoch, subject))
    }
}
