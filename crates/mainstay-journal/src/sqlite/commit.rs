//! One commit inside the writer's transaction: events with their chains, effects, results, timers, cursors.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::{Digest, EventId};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::row::{self, columns, sql};
use super::writer::Session;
use super::{outbox, storage};
use crate::chain::{ChainHead, Place};
use crate::envelope::{Envelope, Partition, PersonalFields, Seq, StreamId};
use crate::seal::{self, SubjectKey};
use crate::store::{Commit, Committed, JournalError, Timer, check_limits};

/// How many rows one statement reads or writes: 20 columns each stay below SQLite's 32,766 parameters, and a single
/// statement costs far less than one per row.
const ROWS_PER_STATEMENT: usize = 500;

/// A statement for `rows` rows. Only the one for a single row is worth keeping prepared.
fn sized<'q>(
    builder: &'q mut QueryBuilder<Sqlite>,
    rows: usize,
) -> sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments> {
    builder.build().persistent(rows == 1)
}

/// The versions of all streams that the commit names.
async fn stream_versions(
    session: &mut Session,
    commit: &Commit,
) -> Result<BTreeMap<StreamId, u64>, JournalError> {
    let written = commit.events.iter().map(|event| &event.stream);
    let streams: BTreeSet<&StreamId> = commit.expected.keys().chain(written).collect();
    let streams: Vec<&StreamId> = streams.into_iter().collect();
    let mut versions = BTreeMap::new();
    for chunk in streams.chunks(ROWS_PER_STATEMENT) {
        let mut builder = QueryBuilder::new("WITH wanted (name) AS (");
        builder.push_values(chunk, |mut row, stream| {
            row.push_bind(stream.0.as_str());
        });
        builder
            .push(") SELECT name, (SELECT MAX(version) FROM event WHERE stream = wanted.name) FROM wanted");
        let rows = sized(&mut builder, chunk.len())
            .fetch_all(&mut session.connection)
            .await
            .map_err(storage)?;
        for row in rows {
            let version: Option<i64> = row.try_get(1).map_err(storage)?;
            versions.insert(
                StreamId(row.try_get(0).map_err(storage)?),
                version.unwrap_or(0).unsigned_abs(),
            );
        }
    }
    Ok(versions)
}

/// Refuses streams with events that the writer has not seen.
async fn check_unseen(session: &mut Session, since: &BTreeMap<StreamId, Seq>) -> Result<(), JournalError> {
    for (stream, seen) in since {
        let last: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM event WHERE stream = $1 ORDER BY version DESC LIMIT 1")
                .bind(&stream.0)
                .fetch_optional(&mut session.connection)
                .await
                .map_err(storage)?;
        let last = Seq(last.unwrap_or(0).unsigned_abs());
        if last > *seen {
            return Err(JournalError::Unseen {
                stream: stream.clone(),
                seen: *seen,
                last,
            });
        }
    }
    Ok(())
}

async fn chain_head(session: &mut Session, partition: &Partition) -> Result<ChainHead, JournalError> {
    let row = sqlx::query("SELECT position, hash FROM chain WHERE name = $1")
        .bind(partition.to_string())
        .fetch_optional(&mut session.connection)
        .await
        .map_err(storage)?;
    let Some(row) = row else {
        return Ok(ChainHead::default());
    };
    let position: i64 = row.try_get(0).map_err(storage)?;
    let hash: &[u8] = row.try_get(1).map_err(storage)?;
    Ok(ChainHead {
        position: position.unsigned_abs(),
        hash: Digest(hash.try_into().map_err(|_| JournalError::Corrupt {
            place: format!("the head of chain {partition}"),
            reason: "its hash does not have 32 bytes".to_owned(),
        })?),
    })
}

/// Makes `commit` true, as far as the surrounding transaction is.
pub(super) async fn apply(session: &mut Session, commit: Commit) -> Result<Committed, JournalError> {
    let recorded_at = truncate_to_ms(session.clock.now());
    let mut head = session.fence(commit.epoch).await?;
    check_limits(&commit)?;
    let mut versions = stream_versions(session, &commit).await?;
    for (stream, expected) in &commit.expected {
        let actual = versions.get(stream).copied().unwrap_or(0);
        if actual != *expected {
            return Err(JournalError::VersionConflict {
                stream: stream.clone(),
                expected: *expected,
                actual,
            });
        }
    }
    check_unseen(session, &commit.unchanged_since).await?;
    let mut chains: BTreeMap<Partition, ChainHead> = BTreeMap::new();
    let mut rows = Vec::with_capacity(commit.events.len());
    for event in &commit.events {
        let sealed = match &event.personal {
            None => Vec::new(),
            Some(personal) => sealed(session, event.id, personal).await?,
        };
        head.0 += 1;
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        let place = Place {
            seq: head,
            version: *version,
            recorded_at,
            epoch: commit.epoch,
        };
        let partition = Partition::of(&event.scope);
        let chain = match chains.entry(partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let head = chain_head(session, new.key()).await?;
                new.insert(head)
            }
        };
        let envelope = chain.append(event, &sealed, place);
        rows.push(NewRow {
            scope: serde_json::to_string(&envelope.scope)
                .map_err(|error| JournalError::Storage(error.to_string()))?,
            envelope,
            payload: &event.payload,
            sealed,
        });
    }
    insert_events(session, &rows).await?;
    let envelopes = rows.into_iter().map(|row| row.envelope).collect();
    for (partition, chain) in &chains {
        sqlx::query(
            "INSERT INTO chain (name, position, hash) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET position = excluded.position, hash = excluded.hash",
        )
        .bind(partition.to_string())
        .bind(sql(chain.position))
        .bind(&chain.hash.0[..])
        .execute(&mut session.connection)
        .await
        .map_err(storage)?;
    }
    for effect in &commit.effects {
        outbox::put(session, effect).await?;
    }
    for finished in &commit.finished {
        outbox::finish(session, finished, recorded_at).await?;
    }
    set_timers(session, &commit.cancel, &commit.timers).await?;
    for (subscription, seq) in &commit.cursors {
        sqlx::query(
            "INSERT INTO cursor (subscription, seq) VALUES ($1, $2)
             ON CONFLICT (subscription) DO UPDATE SET seq = excluded.seq",
        )
        .bind(subscription)
        .bind(sql(seq.0))
        .execute(&mut session.connection)
        .await
        .map_err(storage)?;
    }
    Ok(Committed { envelopes, head })
}

/// The event's personal fields under its subject's key, which is made if there is none.
async fn sealed(
    session: &mut Session,
    event: EventId,
    personal: &PersonalFields,
) -> Result<Vec<u8>, JournalError> {
    let row = sqlx::query("SELECT id, secret FROM subject_key WHERE subject = $1")
        .bind(&personal.subject)
        .fetch_optional(&mut session.connection)
        .await
        .map_err(storage)?;
    let key = match row {
        Some(row) => row::subject_key(&row)?,
        None => {
            let key = SubjectKey::generate(&*session.entropy);
            sqlx::query("INSERT INTO subject_key (subject, id, secret) VALUES ($1, $2, $3)")
                .bind(&personal.subject)
                .bind(&key.id.0[..])
                .bind(&key.secret[..])
                .execute(&mut session.connection)
                .await
                .map_err(storage)?;
            key
        }
    };
    seal::seal(&key, event, personal, &*session.entropy)
}

struct NewRow<'a> {
    envelope: Envelope,
    scope: String,
    payload: &'a [u8],
    sealed: Vec<u8>,
}

async fn insert_events(session: &mut Session, rows: &[NewRow<'_>]) -> Result<(), JournalError> {
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let mut builder = QueryBuilder::new(concat!("INSERT INTO event (", columns!(), ") "));
        builder.push_values(chunk, |mut row, new| {
            let envelope = &new.envelope;
            row.push_bind(sql(envelope.seq.0))
                .push_bind(envelope.id.to_bytes().to_vec())
                .push_bind(envelope.partition.to_string())
                .push_bind(sql(envelope.position))
                .push_bind(envelope.stream.0.as_str())
                .push_bind(sql(envelope.version))
                .push_bind(envelope.at.as_millisecond())
                .push_bind(envelope.recorded_at.as_millisecond())
                .push_bind(envelope.actor.to_string())
                .push_bind(envelope.cause.map(|id| id.to_bytes().to_vec()))
                .push_bind(envelope.kind.as_str())
                .push_bind(i64::from(envelope.schema))
                .push_bind(new.scope.as_str())
                .push_bind(sql(envelope.epoch.0))
                .push_bind(&envelope.catalog.0[..])
                .push_bind(&envelope.payload_digest.0[..])
                .push_bind(&envelope.prev.0[..])
                .push_bind(&envelope.hash.0[..])
                .push_bind(new.payload)
                .push_bind(new.sealed.as_slice());
        });
        match sized(&mut builder, chunk.len())
            .execute(&mut session.connection)
            .await
        {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                return Err(match used_twice(session, rows).await? {
                    Some(id) => JournalError::DuplicateEvent(id),
                    None => storage(sqlx::Error::Database(error)),
                });
            }
            Err(error) => return Err(storage(error)),
        }
    }
    Ok(())
}

/// The first event whose id the journal has from before this commit, or that the commit itself has twice.
async fn used_twice(session: &mut Session, rows: &[NewRow<'_>]) -> Result<Option<EventId>, JournalError> {
    let first = rows.first().map_or(0, |row| sql(row.envelope.seq.0));
    let mut ids = BTreeSet::new();
    for row in rows {
        let id = row.envelope.id;
        let known: Option<i64> = sqlx::query_scalar("SELECT seq FROM event WHERE id = $1 AND seq < $2")
            .bind(id.to_bytes().to_vec())
            .bind(first)
            .fetch_optional(&mut session.connection)
            .await
            .map_err(storage)?;
        if known.is_some() || !ids.insert(id) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn set_timers(session: &mut Session, cancel: &[String], set: &[Timer]) -> Result<(), JournalError> {
    for key in cancel {
        sqlx::query("DELETE FROM timer WHERE key = $1")
            .bind(key)
            .execute(&mut session.connection)
            .await
            .map_err(storage)?;
    }
    for timer in set {
        sqlx::query(
            "INSERT INTO timer (key, due_ms, machine, payload, cause) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (key) DO UPDATE SET due_ms = excluded.due_ms, machine = excluded.machine,
                 payload = excluded.payload, cause = excluded.cause",
        )
        .bind(&timer.key)
        .bind(timer.due.as_millisecond())
        .bind(&timer.machine)
        .bind(&timer.payload)
        .bind(&timer.cause.to_bytes()[..])
        .execute(&mut session.connection)
        .await
        .map_err(storage)?;
    }
    Ok(())
}

/// Timers due at `now`, earliest first.
pub(super) async fn due_timers(
    connection: &mut sqlx::SqliteConnection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Timer>, JournalError> {
    let rows = sqlx::query(
        "SELECT key, due_ms, machine, payload, cause FROM timer WHERE due_ms <= $1 ORDER BY due_ms, key LIMIT $2",
    )
    .bind(now.as_millisecond())
    .bind(row::sql_limit(limit))
    .fetch_all(connection)
    .await
    .map_err(storage)?;
    rows.iter()
        .map(|found| {
            Ok(Timer {
                key: found.try_get(0).map_err(storage)?,
                due: row::instant(found.try_get(1).map_err(storage)?)?,
                machine: found.try_get(2).map_err(storage)?,
                payload: found.try_get(3).map_err(storage)?,
                cause: row::event_id(found.try_get(4).map_err(storage)?)?,
            })
        })
        .collect()
}
