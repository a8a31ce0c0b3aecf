//! The journal of the one-binary installation: a SQLite database (WAL, `synchronous = FULL`) in a directory of its own,
//! which one process holds by a lock.
//!
//! One connection writes, in a thread of its own ([`writer`]); a pool of read-only connections reads beside it. A commit
//! is one transaction, and sequence numbers are given inside it, so readers see them without gaps.

mod commit;
mod copy;
mod outbox;
mod row;
mod schema;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::Effect;
use mainstay_kernel::{Clock, Digest, Entropy, EventId};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Row as _, Sqlite};

pub(crate) use self::copy::Copy;
use self::row::{columns, sql, sql_limit};
use self::writer::{Session, Writer};
use crate::envelope::{Epoch, Record, Seq, StreamId};
use crate::store::{Claimed, Commit, Committed, Journal, JournalError, Room, Snapshot, Timer, check_blob};

pub use self::schema::FORMAT;
#[cfg(test)]
pub(crate) use self::schema::FORMATS;

/// The name of the database in the journal's directory.
pub const DATABASE_FILE: &str = "journal.db";
/// The name of the file whose lock says that a process has the directory open.
pub const LOCK_FILE: &str = "LOCK";

/// What an operator may want to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many connections read at the same time.
    pub readers: u32,
    /// How long the content of an effect stays after it is over. Its key stays for ever.
    pub effect_retention: SignedDuration,
}

impl Default for Options {
    /// Four readers, thirty days.
    fn default() -> Self {
        Self {
            readers: 4,
            effect_retention: SignedDuration::from_hours(30 * 24),
        }
    }
}

/// See the module.
pub struct SqliteJournal {
    readers: SqlitePool,
    writer: Writer,
    effect_retention: SignedDuration,
}

fn storage(error: sqlx::Error) -> JournalError {
    JournalError::Storage(error.to_string())
}

fn failed_on(path: &Path) -> impl Fn(io::Error) -> JournalError {
    move |error| JournalError::Storage(format!("{}: {error}", path.display()))
}

impl SqliteJournal {
    /// Opens the journal in `dir` with default [`Options`], making it if there is none.
    ///
    /// # Errors
    /// [`JournalError::InUse`] if a process has it open, [`JournalError::Format`] if a newer program wrote it,
    /// [`JournalError::Storage`].
    pub async fn open(
        dir: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, JournalError> {
        Self::open_with(dir, clock, entropy, Options::default()).await
    }

    /// Opens the journal in `dir`, making it if there is none.
    ///
    /// # Errors
    /// As [`SqliteJournal::open`].
    pub async fn open_with(
        dir: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Result<Self, JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed_on(dir))?;
        let lock = lock(dir)?;
        let database = dir.join(DATABASE_FILE);
        // SQLite gives its write-ahead log the permissions of the database: the keys in it are the owner's business.
        for_owner(&database, false)?;
        let connect = SqliteConnectOptions::new()
            .filename(database)
            .busy_timeout(Duration::from_secs(10))
            .row_buffer_size(1_024)
            .disable_statement_logging();
        let mut connection = connect
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-16384")
            .pragma("journal_size_limit", "67108864")
            .connect()
            .await
            .map_err(storage)?;
        schema::migrate(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(connect.read_only(true));
        let session = Session {
            connection,
            clock,
            entropy,
            scrub: false,
        };
        Ok(Self {
            readers,
            writer: Writer::start(session, lock)?,
            effect_retention: options.effect_retention,
        })
    }

    /// Waits until everything is written and closes the files. Dropping the journal does the same for the writer, but
    /// blocks.
    pub async fn close(self) {
        self.readers.close().await;
        // The writer's thread may be in the middle of an fsync: wait for it where waiting is allowed.
        let _ = tokio::task::spawn_blocking(move || drop(self.writer)).await;
    }

    /// Drops the content of effects that have been over for longer than [`Options::effect_retention`]; their keys stay.
    /// Gives how many; a backlog takes several calls.
    ///
    /// # Errors
    /// [`JournalError::StaleEpoch`], [`JournalError::Storage`].
    pub async fn prune_effects(&self, epoch: Epoch, now: Timestamp) -> Result<u64, JournalError> {
        let before = now
            .saturating_sub(self.effect_retention)
            .unwrap_or(Timestamp::MIN);
        self.writer
            .write(move |session| {
                Box::pin(async move {
                    session.fence(epoch).await?;
                    outbox::prune(session, before).await
                })
            })
            .await
    }

    /// Connections that only read.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    async fn reader(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>, JournalError> {
        self.readers.acquire().await.map_err(storage)
    }

    async fn records(&self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<Vec<Record>, JournalError> {
        let mut connection = self.reader().await?;
        row::records(&mut connection, query).await
    }
}

/// Opens a file, making it if need be, that only its owner may read.
fn for_owner(path: &Path, truncate: bool) -> Result<File, JournalError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(truncate)
        .mode(0o600)
        .open(path)
        .map_err(failed_on(path))
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join(LOCK_FILE);
    let file = for_owner(&path, false)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse {
            path: dir.display().to_string(),
        }),
        Err(TryLockError::Error(error)) => Err(failed_on(&path)(error)),
    }
}

const READ: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM event WHERE seq > $1 ORDER BY seq LIMIT $2"
);
const READ_STREAM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM event WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3"
);
const FIND: &str = concat!("SELECT ", columns!(), " FROM event WHERE id = $1");
const CAUSED_BY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM event WHERE cause = $1 ORDER BY seq LIMIT $2"
);

impl Journal for SqliteJournal {
    async fn lead(&self, holder: &str, now: Timestamp, ttl: SignedDuration) -> Result<Epoch, JournalError> {
        let holder = holder.to_owned();
        let until = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        self.writer
            .write(move |session| {
                Box::pin(async move {
                    let epoch: i64 = sqlx::query_scalar(
                        "UPDATE lead SET epoch = epoch + 1, holder = $1, until_ms = $2 RETURNING epoch",
                    )
                    .bind(holder)
                    .bind(until.as_millisecond())
                    .fetch_one(&mut session.connection)
                    .await
                    .map_err(storage)?;
                    Ok(Epoch(epoch.unsigned_abs()))
                })
            })
            .await
    }

    async fn renew(&self, epoch: Epoch, now: Timestamp, ttl: SignedDuration) -> Result<(), JournalError> {
        let until = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        self.writer
            .write(move |session| {
                Box::pin(async move {
                    session.fence(epoch).await?;
                    sqlx::query("UPDATE lead SET until_ms = $1")
                        .bind(until.as_millisecond())
                        .execute(&mut session.connection)
                        .await
                        .map(|_| ())
                        .map_err(storage)
                })
            })
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        self.writer
            .write(move |session| Box::pin(commit::apply(session, commit)))
            .await
    }

    async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        self.records(sqlx::query(READ).bind(sql(after.0)).bind(sql_limit(limit)))
            .await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        let query = sqlx::query(READ_STREAM)
            .bind(&stream.0)
            .bind(sql(after))
            .bind(sql_limit(limit));
        self.records(query).await
    }

    async fn find(&self, id: EventId) -> Result<Option<Record>, JournalError> {
        let bytes = id.to_bytes();
        Ok(self.records(sqlx::query(FIND).bind(&bytes[..])).await?.pop())
    }

    async fn caused_by(&self, id: EventId, limit: usize) -> Result<Vec<Record>, JournalError> {
        let bytes = id.to_bytes();
        self.records(sqlx::query(CAUSED_BY).bind(&bytes[..]).bind(sql_limit(limit)))
            .await
    }

    async fn head(&self) -> Result<Seq, JournalError> {
        let head: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM event")
            .fetch_one(&self.readers)
            .await
            .map_err(storage)?;
        Ok(Seq(head.unwrap_or(0).unsigned_abs()))
    }

    async fn cursor(&self, subscription: &str) -> Result<Seq, JournalError> {
        let seq: Option<i64> = sqlx::query_scalar("SELECT seq FROM cursor WHERE subscription = $1")
            .bind(subscription)
            .fetch_optional(&self.readers)
            .await
            .map_err(storage)?;
        Ok(Seq(seq.unwrap_or(0).unsigned_abs()))
    }

    async fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Claimed>, JournalError> {
        self.writer
            .write(move |session| Box::pin(outbox::claim(session, epoch, now, lease, limit)))
            .await
    }

    async fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> Result<Vec<Claimed>, JournalError> {
        let rooms = rooms.to_vec();
        self.writer
            .write(move |session| {
                Box::pin(async move { outbox::claim_within(session, epoch, now, lease, &rooms).await })
            })
            .await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, JournalError> {
        let mut connection = self.reader().await?;
        commit::due_timers(&mut connection, now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        let mut connection = self.reader().await?;
        outbox::next_due(&mut connection).await
    }

    async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>, JournalError> {
        let mut connection = self.reader().await?;
        outbox::waiting(&mut connection, limit).await
    }

    async fn put_catalog(&self, digest: Digest, bytes: &[u8]) -> Result<(), JournalError> {
        check_blob("a catalog in bytes", bytes)?;
        let bytes = bytes.to_vec();
        self.writer
            .write(move |session| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO catalog (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
                    )
                    .bind(&digest.0[..])
                    .bind(bytes)
                    .execute(&mut session.connection)
                    .await
                    .map(|_| ())
                    .map_err(storage)
                })
            })
            .await
    }

    async fn catalog(&self, digest: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        sqlx::query_scalar("SELECT bytes FROM catalog WHERE digest = $1")
            .bind(&digest.0[..])
            .fetch_optional(&self.readers)
            .await
            .map_err(storage)
    }

    async fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        let machine = machine.to_owned();
        self.writer
            .write(move |session| {
                Box::pin(async move {
                    session.fence(epoch).await?;
                    check_blob("a snapshot in bytes", &snapshot.bytes)?;
                    sqlx::query(
                        "INSERT INTO snapshot (machine, seq, schema, bytes) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (machine) DO UPDATE SET seq = excluded.seq, schema = excluded.schema,
                             bytes = excluded.bytes",
                    )
                    .bind(machine)
                    .bind(sql(snapshot.seq.0))
                    .bind(i64::from(snapshot.schema))
                    .bind(snapshot.bytes)
                    .execute(&mut session.connection)
                    .await
                    .map(|_| ())
                    .map_err(storage)
                })
            })
            .await
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        let row = sqlx::query("SELECT seq, schema, bytes FROM snapshot WHERE machine = $1")
            .bind(machine)
            .fetch_optional(&self.readers)
            .await
            .map_err(storage)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let seq: i64 = row.try_get(0).map_err(storage)?;
        let schema: i64 = row.try_get(1).map_err(storage)?;
        Ok(Some(Snapshot {
            seq: Seq(seq.unsigned_abs()),
            schema: u16::try_from(schema).map_err(|error| JournalError::Corrupt {
                place: format!("the snapshot of {machine}"),
                reason: error.to_string(),
            })?,
            bytes: row.try_get(2).map_err(storage)?,
        }))
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        let subject = subject.to_owned();
        self.writer
            .write(move |session| {
                Box::pin(async move {
                    session.fence(epoch).await?;
                    let done = sqlx::query("DELETE FROM subject_key WHERE subject = $1")
                        .bind(subject)
                        .execute(&mut session.connection)
                        .await
                        .map_err(storage)?;
                    session.scrub |= done.rows_affected() > 0;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }
}
