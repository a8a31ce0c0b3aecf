//! The journal of an installation with any number of replicas: tables in a schema of a PostgreSQL database.
//!
//! One task of each process writes ([`writer`]); a pool of connections reads beside it. Who writes first locks the row
//! that holds term and head, so one replica leads, numbers are consecutive in the order of the commits, and what an
//! earlier leader still sends is refused under the lock. A COMMIT whose answer was lost is looked up, never guessed.
//!
//! Connections are used as sessions (settings at their start, prepared statements): a pooler in between must pool
//! sessions, not transactions.

mod commit;
mod connect;
mod export;
mod fault;
mod import;
mod outbox;
mod rows;
mod schema;
mod tables;
mod terms;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::Effect;
use mainstay_kernel::{Clock, Digest, Entropy, EventId};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use self::connect::connect_options;
use self::fault::{Fault, Kind, Patience, within};
use self::rows::{columns, sql, sql_limit, text};
use self::writer::{State, Writer};
use crate::envelope::{Epoch, Record, Seq, StreamId};
use crate::store::{Claimed, Commit, Committed, Journal, JournalError, Room, Snapshot, Timer, check_blob};

pub use self::schema::FORMAT;
#[cfg(test)]
pub(crate) use self::schema::FORMATS;

/// What an operator may want to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The schema that holds the tables; made if it is missing.
    pub schema: String,
    /// How many connections read at the same time.
    pub readers: u32,
    /// How long the content of an effect stays after it is over. Its key stays for ever.
    pub effect_retention: SignedDuration,
    /// How long a call waits for a server that does not answer or starts again, before it fails.
    pub patience: Duration,
}

impl Default for Options {
    /// `mainstay`, four readers, thirty days, thirty seconds.
    fn default() -> Self {
        Self {
            schema: "mainstay".to_owned(),
            readers: 4,
            effect_retention: SignedDuration::from_hours(30 * 24),
            patience: Duration::from_secs(30),
        }
    }
}

/// See the module.
pub struct PostgresJournal {
    readers: PgPool,
    writer: Writer,
    effect_retention: SignedDuration,
    patience: Duration,
}

/// Reads, and reads again while the connection was lost or others were in the way and patience lasts.
macro_rules! reading {
    ($journal:expr, $connection:ident => $read:expr) => {{
        let journal = $journal;
        let mut patience = Patience::new(journal.patience);
        loop {
            let attempt = async {
                let mut pooled = journal.readers.acquire().await?;
                let $connection = &mut *pooled;
                let found: Result<_, Fault> = $read.await.map_err(Into::into);
                if matches!(&found, Err(fault) if fault.kind() == Kind::Lost) {
                    // Whatever state it is in: the next reader gets another one.
                    drop(pooled.detach());
                }
                found
            };
            match within(journal.patience, attempt).await {
                Ok(found) => break Ok(found),
                Err(fault) if fault.kind() != Kind::Final && patience.again().await => {}
                Err(fault) => break Err(JournalError::from(fault)),
            }
        }
    }};
}

impl PostgresJournal {
    /// Opens the journal in the database at `url` (`postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`) with
    /// default [`Options`], making it if there is none.
    ///
    /// # Errors
    /// [`JournalError::Format`] if a newer program wrote it, [`JournalError::Storage`].
    pub async fn open(
        url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, JournalError> {
        Self::open_with(url, clock, entropy, Options::default()).await
    }

    /// Opens the journal in the database at `url`, making it if there is none.
    ///
    /// # Errors
    /// As [`PostgresJournal::open`].
    pub async fn open_with(
        url: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Result<Self, JournalError> {
        let connect = connect_options(url, &options.schema)?;
        let patience = options.patience;
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let seen_ms = clock.now().as_millisecond();
        let open = async {
            let mut connection = connect.connect().await?;
            writer::durable(&mut connection).await?;
            schema::migrate(&mut connection, &options.schema).await?;
            let place = "INSERT INTO writer (id, mark, seen_ms) VALUES ($1, 0, $2)
                         ON CONFLICT (id) DO UPDATE SET mark = 0, seen_ms = excluded.seen_ms";
            sqlx::query(place)
                .bind(&id[..])
                .bind(seen_ms)
                .execute(&mut connection)
                .await?;
            // The writer has one of its own.
            connection.close().await?;
            Ok::<_, Fault>(())
        };
        within(patience, open).await?;
        let readers = PgPoolOptions::new()
            .max_connections(options.readers.max(1))
            .acquire_timeout(patience)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(connect.clone());
        let state = State {
            session: None,
            connect,
            clock,
            entropy,
            id,
            mark: 0,
            patience,
        };
        Ok(Self {
            readers,
            writer: Writer::start(state),
            effect_retention: options.effect_retention,
            patience,
        })
    }

    /// Whether there is a journal in the database at `url`, in the schema of default [`Options`].
    ///
    /// # Errors
    /// [`JournalError::Storage`] if the database cannot be asked.
    pub async fn is_there(url: &str) -> Result<bool, JournalError> {
        let Options { schema, patience, .. } = Options::default();
        let connect = connect_options(url, &schema)?;
        let ask = async {
            let mut connection = connect.connect().await?;
            let there = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
                .bind(format!("{schema}.lead"))
                .fetch_one(&mut connection)
                .await?;
            connection.close().await?;
            Ok::<bool, Fault>(there)
        };
        Ok(within(patience, ask).await?)
    }

    /// Brings the journal in the database at `url`, in the schema of default [`Options`], back to an earlier format, with
    /// everything that is in it: for an earlier release. Gives the format that it had.
    ///
    /// # Errors
    /// [`JournalError::LeaseHeld`] if somebody leads at `now`, [`JournalError::Format`] if a newer program wrote it,
    /// [`JournalError::Storage`] if there is no journal, or no such way.
    pub async fn downgrade(url: &str, to: i64, now: Timestamp) -> Result<i64, JournalError> {
        if !Self::is_there(url).await? {
            return Err(JournalError::Storage("the database holds no journal".to_owned()));
        }
        let Options { schema, patience, .. } = Options::default();
        let connect = connect_options(url, &schema)?;
        let go_back = async {
            let mut connection = connect.connect().await?;
            writer::durable(&mut connection).await?;
            let found = schema::go_back(&mut connection, to, now).await?;
            connection.close().await?;
            Ok::<_, Fault>(found)
        };
        Ok(within(patience, go_back).await?)
    }

    /// Waits until everything is written and closes the connections.
    pub async fn close(self) {
        self.writer.stop().await;
        self.readers.close().await;
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
                    session.fence(epoch)?;
                    outbox::prune(session, before).await
                })
            })
            .await
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

impl Journal for PostgresJournal {
    async fn lead(&self, holder: &str, now: Timestamp, ttl: SignedDuration) -> Result<Epoch, JournalError> {
        let holder: Arc<str> = holder.into();
        self.writer
            .write(move |session| {
                let holder = Arc::clone(&holder);
                Box::pin(async move { terms::lead(session, &holder, now, ttl).await })
            })
            .await
    }

    async fn renew(&self, epoch: Epoch, now: Timestamp, ttl: SignedDuration) -> Result<(), JournalError> {
        self.writer
            .write(move |session| Box::pin(async move { terms::renew(session, epoch, now, ttl) }))
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        let commit = Arc::new(commit);
        self.writer
            .write(move |session| {
                let commit = Arc::clone(&commit);
                Box::pin(async move { commit::apply(session, &commit).await })
            })
            .await
    }

    async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        reading!(self, connection => rows::records(
            connection,
            sqlx::query(READ).bind(sql(after.0)).bind(sql_limit(limit)),
        ))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        reading!(self, connection => rows::records(
            connection,
            sqlx::query(READ_STREAM).bind(text(&stream.0)).bind(sql(after)).bind(sql_limit(limit)),
        ))
    }

    async fn find(&self, id: EventId) -> Result<Option<Record>, JournalError> {
        let bytes = id.to_bytes();
        let found =
            reading!(self, connection => rows::records(connection, sqlx::query(FIND).bind(&bytes[..])));
        Ok(found?.pop())
    }

    async fn caused_by(&self, id: EventId, limit: usize) -> Result<Vec<Record>, JournalError> {
        let bytes = id.to_bytes();
        reading!(self, connection => rows::records(
            connection,
            sqlx::query(CAUSED_BY).bind(&bytes[..]).bind(sql_limit(limit)),
        ))
    }

    async fn head(&self) -> Result<Seq, JournalError> {
        let head: i64 = reading!(self, connection => {
            sqlx::query_scalar("SELECT head FROM lead").fetch_one(connection)
        })?;
        Ok(Seq(head.unsigned_abs()))
    }

    async fn cursor(&self, subscription: &str) -> Result<Seq, JournalError> {
        let seq: Option<i64> = reading!(self, connection => {
            sqlx::query_scalar("SELECT seq FROM cursor WHERE subscription = $1")
                .bind(text(subscription))
                .fetch_optional(connection)
        })?;
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
        let rooms: Arc<[Room]> = rooms.into();
        self.writer
            .write(move |session| {
                let rooms = Arc::clone(&rooms);
                Box::pin(async move { outbox::claim_within(session, epoch, now, lease, &rooms).await })
            })
            .await
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, JournalError> {
        reading!(self, connection => commit::due_timers(connection, now, limit))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        reading!(self, connection => outbox::next_due(connection))
    }

    async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>, JournalError> {
        reading!(self, connection => outbox::waiting(connection, limit))
    }

    async fn put_catalog(&self, digest: Digest, bytes: &[u8]) -> Result<(), JournalError> {
        check_blob("a catalog in bytes", bytes)?;
        let bytes: Arc<[u8]> = bytes.into();
        self.writer
            .write(move |session| {
                let bytes = Arc::clone(&bytes);
                Box::pin(async move {
                    sqlx::query(
                        "INSERT INTO catalog (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
                    )
                    .bind(&digest.0[..])
                    .bind(&bytes[..])
                    .execute(&mut session.connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn catalog(&self, digest: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        reading!(self, connection => {
            sqlx::query_scalar("SELECT bytes FROM catalog WHERE digest = $1")
                .bind(&digest.0[..])
                .fetch_optional(connection)
        })
    }

    async fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        let kept = Arc::new((machine.to_owned(), snapshot));
        self.writer
            .write(move |session| {
                let kept = Arc::clone(&kept);
                Box::pin(async move {
                    session.fence(epoch)?;
                    let (machine, snapshot) = &*kept;
                    check_blob("a snapshot in bytes", &snapshot.bytes)?;
                    sqlx::query(
                        "INSERT INTO snapshot (machine, seq, schema, bytes) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (machine) DO UPDATE SET seq = excluded.seq, schema = excluded.schema,
                             bytes = excluded.bytes",
                    )
                    .bind(text(machine))
                    .bind(sql(snapshot.seq.0))
                    .bind(i64::from(snapshot.schema))
                    .bind(&snapshot.bytes)
                    .execute(&mut session.connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        let row = reading!(self, connection => {
            sqlx::query("SELECT seq, schema, bytes FROM snapshot WHERE machine = $1")
                .bind(text(machine))
                .fetch_optional(connection)
        })?;
        let Some(row) = row else {
            return Ok(None);
        };
        let read = || -> Result<Snapshot, sqlx::Error> {
            let (seq, schema): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Snapshot {
                seq: Seq(seq.unsigned_abs()),
                schema: u16::try_from(schema).map_err(|error| sqlx::Error::Decode(error.into()))?,
                bytes: row.try_get(2)?,
            })
        };
        read().map(Some).map_err(|error| JournalError::Corrupt {
            place: format!("the snapshot of {machine}"),
            reason: error.to_string(),
        })
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        let subject: Arc<str> = subject.into();
        self.writer
            .write(move |session| {
                let subject = Arc::clone(&subject);
                Box::pin(async move {
                    session.fence(epoch)?;
                    let done = sqlx::query("DELETE FROM subject_key WHERE subject = $1")
                        .bind(text(&subject))
                        .execute(&mut session.connection)
                        .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }
}
