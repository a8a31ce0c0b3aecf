//! One commit inside the writer's transaction: events with their chains, effects, results, timers, cursors.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::{Digest, EventId};
use sqlx::Row as _;

use super::row::{self, columns, sql};
use super::writer::Session;
use super::{outbox, storage};
use crate::chain::{ChainHead, Place};
use crate::envelope::{Envelope, Partition, PersonalFields, Seq, StreamId};
use crate::seal::{self, SubjectKey};
use crate::store::{Commit, Committed, JournalError, NewEvent, Timer, check_limits};

const INSERT_EVENT: &str = concat!(
    "INSERT INTO event (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"
);

/// Where streams and chains stand in the middle of a commit; each is read once.
#[derive(Default)]
struct Heads {
    streams: BTreeMap<StreamId, u64>,
    chains: BTreeMap<Partition, ChainHead>,
}

impl Heads {
    async fn stream(&mut self, session: &mut Session, stream: &StreamId) -> Result<&mut u64, JournalError> {
        if !self.streams.contains_key(stream) {
            let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM event WHERE stream = $1")
                .bind(&stream.0)
                .fetch_one(&mut session.connection)
                .await
                .map_err(storage)?;
            self.streams
                .insert(stream.clone(), version.unwrap_or(0).unsigned_abs());
        }
        Ok(self.streams.entry(stream.clone()).or_default())
    }

    async fn chain(
        &mut self,
        session: &mut Session,
        partition: &Partition,
    ) -> Result<&mut ChainHead, JournalError> {
        if !self.chains.contains_key(partition) {
            let row = sqlx::query("SELECT position, hash FROM chain WHERE name = $1")
                .bind(partition.to_string())
                .fetch_optional(&mut session.connection)
                .await
                .map_err(storage)?;
            let head = match row {
                None => ChainHead::default(),
                Some(row) => {
                    let position: i64 = row.try_get(0).map_err(storage)?;
                    let hash: &[u8] = row.try_get(1).map_err(storage)?;
                    ChainHead {
                        position: position.unsigned_abs(),
                        hash: Digest(hash.try_into().map_err(|_| JournalError::Corrupt {
                            place: format!("the head of chain {partition}"),
                            reason: "its hash does not have 32 bytes".to_owned(),
                        })?),
                    }
                }
            };
            self.chains.insert(partition.clone(), head);
        }
        Ok(self.chains.entry(partition.clone()).or_default())
    }
}

/// Makes `commit` true, as far as the surrounding transaction is.
pub(super) async fn apply(session: &mut Session, commit: Commit) -> Result<Committed, JournalError> {
    let recorded_at = truncate_to_ms(session.clock.now());
    session.fence(commit.epoch).await?;
    check_limits(&commit)?;
    let mut heads = Heads::default();
    for (stream, expected) in &commit.expected {
        let actual = *heads.stream(session, stream).await?;
        if actual != *expected {
            return Err(JournalError::VersionConflict {
                stream: stream.clone(),
                expected: *expected,
                actual,
            });
        }
    }
    let last: Option<i64> = sqlx::query_scalar("SELECT MAX(seq) FROM event")
        .fetch_one(&mut session.connection)
        .await
        .map_err(storage)?;
    let mut head = Seq(last.unwrap_or(0).unsigned_abs());
    let mut envelopes = Vec::with_capacity(commit.events.len());
    for event in &commit.events {
        let sealed = match &event.personal {
            None => Vec::new(),
            Some(personal) => sealed(session, event.id, personal).await?,
        };
        head.0 += 1;
        let version = heads.stream(session, &event.stream).await?;
        *version += 1;
        let place = Place {
            seq: head,
            version: *version,
            recorded_at,
            epoch: commit.epoch,
        };
        let chain = heads.chain(session, &Partition::of(&event.scope)).await?;
        let envelope = chain.append(event, &sealed, place);
        insert_event(session, &envelope, event, sealed).await?;
        envelopes.push(envelope);
    }
    for (partition, chain) in &heads.chains {
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

async fn insert_event(
    session: &mut Session,
    envelope: &Envelope,
    event: &NewEvent,
    sealed: Vec<u8>,
) -> Result<(), JournalError> {
    let scope =
        serde_json::to_string(&envelope.scope).map_err(|error| JournalError::Storage(error.to_string()))?;
    let inserted = sqlx::query(INSERT_EVENT)
        .bind(sql(envelope.seq.0))
        .bind(&envelope.id.to_bytes()[..])
        .bind(envelope.partition.to_string())
        .bind(sql(envelope.position))
        .bind(&envelope.stream.0)
        .bind(sql(envelope.version))
        .bind(envelope.at.as_millisecond())
        .bind(envelope.recorded_at.as_millisecond())
        .bind(envelope.actor.to_string())
        .bind(envelope.cause.map(|id| id.to_bytes().to_vec()))
        .bind(&envelope.kind)
        .bind(i64::from(envelope.schema))
        .bind(scope)
        .bind(sql(envelope.epoch.0))
        .bind(&envelope.catalog.0[..])
        .bind(&envelope.payload_digest.0[..])
        .bind(&envelope.prev.0[..])
        .bind(&envelope.hash.0[..])
        .bind(&event.payload[..])
        .bind(sealed)
        .execute(&mut session.connection)
        .await;
    match inserted {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            let known: Option<i64> = sqlx::query_scalar("SELECT seq FROM event WHERE id = $1")
                .bind(&envelope.id.to_bytes()[..])
                .fetch_optional(&mut session.connection)
                .await
                .map_err(storage)?;
            Err(match known {
                Some(_) => JournalError::DuplicateEvent(envelope.id),
                None => storage(sqlx::Error::Database(error)),
            })
        }
        Err(error) => Err(storage(error)),
    }
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
