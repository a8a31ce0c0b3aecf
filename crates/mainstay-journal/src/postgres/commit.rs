//! One commit inside the writer's transaction: events with their chains, effects, results, timers, cursors. Whatever
//! there is many of goes in one statement with arrays: a statement is a round trip.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::{Digest, EventId};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::fault::Fault;
use super::outbox;
use super::rows::{self, columns, sql, sql_limit, text, untext};
use super::writer::Session;
use crate::chain::{ChainHead, Place};
use crate::envelope::{Envelope, Partition, PersonalFields, Seq, StreamId};
use crate::seal::{self, SubjectKey};
use crate::store::{Commit, Committed, JournalError, Timer, check_limits};

/// The versions of all streams that the commit names.
async fn stream_versions(session: &mut Session, commit: &Commit) -> Result<BTreeMap<StreamId, u64>, Fault> {
    let written = commit.events.iter().map(|event| &event.stream);
    let streams: BTreeSet<&StreamId> = commit.expected.keys().chain(written).collect();
    if streams.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = streams
        .iter()
        .map(|stream| text(&stream.0).into_owned())
        .collect();
    let found = sqlx::query(
        "SELECT name, (SELECT MAX(version) FROM event WHERE stream = name) FROM UNNEST($1::TEXT[]) AS wanted (name)",
    )
    .bind(names)
    .fetch_all(&mut session.connection)
    .await?;
    let mut versions = BTreeMap::new();
    for row in found {
        let version: Option<i64> = row.try_get(1)?;
        versions.insert(
            StreamId(untext(row.try_get(0)?)),
            version.unwrap_or(0).unsigned_abs(),
        );
    }
    Ok(versions)
}

/// Refuses streams with events that the writer has not seen.
async fn check_unseen(session: &mut Session, since: &BTreeMap<StreamId, Seq>) -> Result<(), Fault> {
    if since.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = since.keys().map(|stream| text(&stream.0).into_owned()).collect();
    let seen: Vec<i64> = since.values().map(|seen| sql(seen.0)).collect();
    let found = sqlx::query(
        "SELECT name, seen, last.seq FROM UNNEST($1::TEXT[], $2::BIGINT[]) AS wanted (name, seen)
         CROSS JOIN LATERAL (
             SELECT seq FROM event WHERE stream = name ORDER BY version DESC LIMIT 1
         ) AS last
         WHERE last.seq > seen LIMIT 1",
    )
    .bind(names)
    .bind(seen)
    .fetch_optional(&mut session.connection)
    .await?;
    let Some(row) = found else { return Ok(()) };
    let (seen, last): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    Err(JournalError::Unseen {
        stream: StreamId(untext(row.try_get(0)?)),
        seen: Seq(seen.unsigned_abs()),
        last: Seq(last.unsigned_abs()),
    }
    .into())
}

/// The ends of the chains that the commit's events go on.
async fn chain_heads(
    session: &mut Session,
    commit: &Commit,
) -> Result<BTreeMap<Partition, ChainHead>, Fault> {
    let mut heads: BTreeMap<Partition, ChainHead> = commit
        .events
        .iter()
        .map(|event| (Partition::of(&event.scope), ChainHead::default()))
        .collect();
    if heads.is_empty() {
        return Ok(heads);
    }
    let names: Vec<String> = heads.keys().map(ToString::to_string).collect();
    let found = sqlx::query("SELECT name, position, hash FROM chain WHERE name = ANY($1)")
        .bind(names)
        .fetch_all(&mut session.connection)
        .await?;
    for row in found {
        let name: &str = row.try_get(0)?;
        let position: i64 = row.try_get(1)?;
        let hash: &[u8] = row.try_get(2)?;
        let damaged = |reason: &str| JournalError::Corrupt {
            place: format!("the head of chain {name}"),
            reason: reason.to_owned(),
        };
        let partition = Partition::parse(name).ok_or_else(|| damaged("its name is no chain's"))?;
        let head = ChainHead {
            position: position.unsigned_abs(),
            hash: Digest(
                hash.try_into()
                    .map_err(|_| damaged("its hash does not have 32 bytes"))?,
            ),
        };
        heads.insert(partition, head);
    }
    Ok(heads)
}

/// Refuses ids that the journal has, or that the commit has twice. Asked beforehand, under the lock: an error of the
/// server would end the transaction.
async fn refuse_known_ids(session: &mut Session, commit: &Commit) -> Result<(), Fault> {
    if commit.events.is_empty() {
        return Ok(());
    }
    let mut ids = BTreeSet::new();
    for event in &commit.events {
        if !ids.insert(event.id) {
            return Err(JournalError::DuplicateEvent(event.id).into());
        }
    }
    let bytes: Vec<Vec<u8>> = ids.iter().map(|id| id.to_bytes().to_vec()).collect();
    let known: Option<Vec<u8>> = sqlx::query_scalar("SELECT id FROM event WHERE id = ANY($1) LIMIT 1")
        .bind(bytes)
        .fetch_optional(&mut session.connection)
        .await?;
    match known {
        Some(id) => Err(JournalError::DuplicateEvent(rows::event_id(&id)?).into()),
        None => Ok(()),
    }
}

/// Makes `commit` true, as far as the surrounding transaction is.
pub(super) async fn apply(session: &mut Session, commit: &Commit) -> Result<Committed, Fault> {
    let recorded_at = truncate_to_ms(session.clock.now());
    session.fence(commit.epoch)?;
    check_limits(commit)?;
    let mut versions = stream_versions(session, commit).await?;
    for (stream, expected) in &commit.expected {
        let actual = versions.get(stream).copied().unwrap_or(0);
        if actual != *expected {
            return Err(JournalError::VersionConflict {
                stream: stream.clone(),
                expected: *expected,
                actual,
            }
            .into());
        }
    }
    check_unseen(session, &commit.unchanged_since).await?;
    refuse_known_ids(session, commit).await?;
    let mut chains = chain_heads(session, commit).await?;
    let mut keys: BTreeMap<&str, SubjectKey> = BTreeMap::new();
    let mut new = Vec::with_capacity(commit.events.len());
    for event in &commit.events {
        let sealed = match &event.personal {
            None => Vec::new(),
            Some(personal) => sealed(session, &mut keys, event.id, personal).await?,
        };
        session.term.head.0 += 1;
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        let place = Place {
            seq: session.term.head,
            version: *version,
            recorded_at,
            epoch: commit.epoch,
        };
        let chain = chains.entry(Partition::of(&event.scope)).or_default();
        new.push(NewRow {
            envelope: chain.append(event, &sealed, place),
            payload: &event.payload,
            sealed,
        });
    }
    for piece in rows::pieces(&new, |row| row.payload.len() + row.sealed.len()) {
        insert_events(session, piece).await?;
    }
    put_chain_heads(session, &chains).await?;
    outbox::put(session, &commit.effects).await?;
    for finished in &commit.finished {
        outbox::finish(session, finished, recorded_at).await?;
    }
    set_timers(session, &commit.cancel, &commit.timers).await?;
    if !commit.cursors.is_empty() {
        let (names, seqs): (Vec<String>, Vec<i64>) = commit
            .cursors
            .iter()
            .map(|(name, seq)| (text(name).into_owned(), sql(seq.0)))
            .unzip();
        sqlx::query(
            "INSERT INTO cursor (subscription, seq) SELECT * FROM UNNEST($1::TEXT[], $2::BIGINT[])
             ON CONFLICT (subscription) DO UPDATE SET seq = excluded.seq",
        )
        .bind(names)
        .bind(seqs)
        .execute(&mut session.connection)
        .await?;
    }
    Ok(Committed {
        envelopes: new.into_iter().map(|row| row.envelope).collect(),
        head: session.term.head,
    })
}

/// The event's personal fields under its subject's key, which is made if there is none.
async fn sealed<'c>(
    session: &mut Session,
    keys: &mut BTreeMap<&'c str, SubjectKey>,
    event: EventId,
    personal: &'c PersonalFields,
) -> Result<Vec<u8>, Fault> {
    let key = match keys.entry(&personal.subject) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let row = sqlx::query("SELECT id, secret FROM subject_key WHERE subject = $1")
                .bind(text(&personal.subject))
                .fetch_optional(&mut session.connection)
                .await?;
            let key = match row {
                Some(row) => rows::subject_key(&row)?,
                None => {
                    let key = SubjectKey::generate(&*session.entropy);
                    sqlx::query("INSERT INTO subject_key (subject, id, secret) VALUES ($1, $2, $3)")
                        .bind(text(&personal.subject))
                        .bind(&key.id.0[..])
                        .bind(&key.secret[..])
                        .execute(&mut session.connection)
                        .await?;
                    key
                }
            };
            new.insert(key)
        }
    };
    Ok(seal::seal(key, event, personal, &*session.entropy)?)
}

struct NewRow<'a> {
    envelope: Envelope,
    payload: &'a [u8],
    sealed: Vec<u8>,
}

const INSERT_EVENTS: &str = concat!(
    "INSERT INTO event (",
    columns!(),
    ") SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[], $3::TEXT[], $4::BIGINT[], $5::TEXT[], $6::BIGINT[], \
     $7::BIGINT[], $8::BIGINT[], $9::TEXT[], $10::BYTEA[], $11::TEXT[], $12::BIGINT[], $13::TEXT[], $14::BIGINT[], \
     $15::BYTEA[], $16::BYTEA[], $17::BYTEA[], $18::BYTEA[], $19::BYTEA[], $20::BYTEA[])"
);

async fn insert_events(session: &mut Session, piece: &[NewRow<'_>]) -> Result<(), Fault> {
    let numbers =
        |of: fn(&Envelope) -> i64| -> Vec<i64> { piece.iter().map(|row| of(&row.envelope)).collect() };
    let texts = |of: fn(&Envelope) -> String| -> Vec<String> {
        piece
            .iter()
            .map(|row| text(&of(&row.envelope)).into_owned())
            .collect()
    };
    let bytes =
        |of: fn(&Envelope) -> &[u8]| -> Vec<&[u8]> { piece.iter().map(|row| of(&row.envelope)).collect() };
    let ids: Vec<Vec<u8>> = piece
        .iter()
        .map(|row| row.envelope.id.to_bytes().to_vec())
        .collect();
    let causes: Vec<Option<Vec<u8>>> = piece
        .iter()
        .map(|row| row.envelope.cause.map(|id| id.to_bytes().to_vec()))
        .collect();
    let scopes = piece
        .iter()
        .map(|row| serde_json::to_string(&row.envelope.scope))
        .collect::<Result<Vec<String>, _>>()
        .map_err(|error| JournalError::Storage(error.to_string()))?;
    let payloads: Vec<&[u8]> = piece.iter().map(|row| row.payload).collect();
    let sealed: Vec<&[u8]> = piece.iter().map(|row| row.sealed.as_slice()).collect();
    sqlx::query(INSERT_EVENTS)
        .bind(numbers(|envelope| sql(envelope.seq.0)))
        .bind(ids)
        .bind(texts(|envelope| envelope.partition.to_string()))
        .bind(numbers(|envelope| sql(envelope.position)))
        .bind(texts(|envelope| envelope.stream.0.clone()))
        .bind(numbers(|envelope| sql(envelope.version)))
        .bind(numbers(|envelope| envelope.at.as_millisecond()))
        .bind(numbers(|envelope| envelope.recorded_at.as_millisecond()))
        .bind(texts(|envelope| envelope.actor.to_string()))
        .bind(causes)
        .bind(texts(|envelope| envelope.kind.clone()))
        .bind(numbers(|envelope| i64::from(envelope.schema)))
        .bind(scopes)
        .bind(numbers(|envelope| sql(envelope.epoch.0)))
        .bind(bytes(|envelope| &envelope.catalog.0))
        .bind(bytes(|envelope| &envelope.payload_digest.0))
        .bind(bytes(|envelope| &envelope.prev.0))
        .bind(bytes(|envelope| &envelope.hash.0))
        .bind(payloads)
        .bind(sealed)
        .execute(&mut session.connection)
        .await?;
    Ok(())
}

async fn put_chain_heads(
    session: &mut Session,
    chains: &BTreeMap<Partition, ChainHead>,
) -> Result<(), Fault> {
    if chains.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = chains.keys().map(ToString::to_string).collect();
    let positions: Vec<i64> = chains.values().map(|head| sql(head.position)).collect();
    let hashes: Vec<&[u8]> = chains.values().map(|head| &head.hash.0[..]).collect();
    sqlx::query(
        "INSERT INTO chain (name, position, hash) SELECT * FROM UNNEST($1::TEXT[], $2::BIGINT[], $3::BYTEA[])
         ON CONFLICT (name) DO UPDATE SET position = excluded.position, hash = excluded.hash",
    )
    .bind(names)
    .bind(positions)
    .bind(hashes)
    .execute(&mut session.connection)
    .await?;
    Ok(())
}

async fn set_timers(session: &mut Session, cancel: &[String], set: &[Timer]) -> Result<(), Fault> {
    if !cancel.is_empty() {
        let keys: Vec<String> = cancel.iter().map(|key| text(key).into_owned()).collect();
        sqlx::query("DELETE FROM timer WHERE key = ANY($1)")
            .bind(keys)
            .execute(&mut session.connection)
            .await?;
    }
    if set.is_empty() {
        return Ok(());
    }
    // Of a key that is set twice the last stands; one statement may touch a row only once.
    let set: BTreeMap<&str, &Timer> = set.iter().map(|timer| (timer.key.as_str(), timer)).collect();
    let set: Vec<&Timer> = set.into_values().collect();
    for piece in rows::pieces(&set, |timer| timer.payload.len()) {
        put_timers(session, piece).await?;
    }
    Ok(())
}

async fn put_timers(session: &mut Session, set: &[&Timer]) -> Result<(), Fault> {
    let texts = |of: fn(&Timer) -> &str| -> Vec<String> {
        set.iter().map(|timer| text(of(timer)).into_owned()).collect()
    };
    let dues: Vec<i64> = set.iter().map(|timer| timer.due.as_millisecond()).collect();
    let causes: Vec<Vec<u8>> = set.iter().map(|timer| timer.cause.to_bytes().to_vec()).collect();
    sqlx::query(
        "INSERT INTO timer (key, due_ms, machine, payload, cause)
         SELECT * FROM UNNEST($1::TEXT[], $2::BIGINT[], $3::TEXT[], $4::TEXT[], $5::BYTEA[])
         ON CONFLICT (key) DO UPDATE SET due_ms = excluded.due_ms, machine = excluded.machine,
             payload = excluded.payload, cause = excluded.cause",
    )
    .bind(texts(|timer| &timer.key))
    .bind(dues)
    .bind(texts(|timer| &timer.machine))
    .bind(texts(|timer| &timer.payload))
    .bind(causes)
    .execute(&mut session.connection)
    .await?;
    Ok(())
}

/// Timers due at `now`, earliest first.
pub(super) async fn due_timers(
    connection: &mut PgConnection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Timer>, Fault> {
    let found = sqlx::query(
        "SELECT key, due_ms, machine, payload, cause FROM timer WHERE due_ms <= $1 ORDER BY due_ms, key LIMIT $2",
    )
    .bind(now.as_millisecond())
    .bind(sql_limit(limit))
    .fetch_all(connection)
    .await?;
    found
        .iter()
        .map(|row| {
            Ok(Timer {
                key: untext(row.try_get(0)?),
                due: rows::instant(row.try_get(1)?)?,
                machine: untext(row.try_get(2)?),
                payload: untext(row.try_get(3)?),
                cause: rows::event_id(row.try_get(4)?)?,
            })
        })
        .collect()
}
