//! The outbox: effects that are waiting, claimed or over. Rows are never deleted: the key is what keeps an effect from
//! being done twice. Once an effect has been over for [`super::Options::effect_retention`], its content is dropped.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::effect::Effect;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::fault::Fault;
use super::rows::{event_id, instant, pieces, sql, sql_limit, text};
use super::writer::Session;
use crate::envelope::Epoch;
use crate::store::{Claimed, Finished, JournalError, NewEffect, Room};

/// The most rows whose content one run drops.
const PRUNE_MAX_ROWS: i64 = 10_000;

/// Puts effects in, in order, but for those whose key has ever been seen.
pub(super) async fn put(session: &mut Session, new: &[NewEffect]) -> Result<(), Fault> {
    // JSON has no U+0000 of its own: it is escaped there.
    let effects = new
        .iter()
        .map(|effect| serde_json::to_string(&effect.effect))
        .collect::<Result<Vec<String>, _>>()
        .map_err(|error| JournalError::Storage(error.to_string()))?;
    let rows: Vec<(&NewEffect, String)> = new.iter().zip(effects).collect();
    for piece in pieces(&rows, |(_, effect)| effect.len()) {
        insert(session, piece).await?;
    }
    Ok(())
}

async fn insert(session: &mut Session, new: &[(&NewEffect, String)]) -> Result<(), Fault> {
    let keys: Vec<String> = new
        .iter()
        .map(|(new, _)| text(&new.effect.key).into_owned())
        .collect();
    let effects: Vec<&str> = new.iter().map(|(_, effect)| effect.as_str()).collect();
    let causes: Vec<Vec<u8>> = new.iter().map(|(new, _)| new.cause.to_bytes().to_vec()).collect();
    let dues: Vec<i64> = new.iter().map(|(new, _)| new.due.as_millisecond()).collect();
    let urgencies: Vec<i64> = new
        .iter()
        .map(|(new, _)| i64::from(new.effect.urgency()))
        .collect();
    let lanes: Vec<&str> = new.iter().map(|(new, _)| new.effect.lane()).collect();
    sqlx::query(
        "INSERT INTO outbox (key, effect, cause, due_ms, attempts, possible_duplicate, urgency, lane)
         SELECT key, effect, cause, due_ms, 0, FALSE, urgency, lane
         FROM UNNEST($1::TEXT[], $2::TEXT[], $3::BYTEA[], $4::BIGINT[], $5::BIGINT[], $6::TEXT[])
             WITH ORDINALITY AS new (key, effect, cause, due_ms, urgency, lane, place)
         ORDER BY place
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(keys)
    .bind(effects)
    .bind(causes)
    .bind(dues)
    .bind(urgencies)
    .bind(lanes)
    .execute(&mut session.connection)
    .await?;
    Ok(())
}

/// Records what became of a claimed effect. A key that the outbox does not know is ignored.
pub(super) async fn finish(session: &mut Session, finished: &Finished, now: Timestamp) -> Result<(), Fault> {
    let (statement, at) = match finished {
        Finished::Over { .. } => (
            "UPDATE outbox SET claim_epoch = NULL, claim_until_ms = NULL, over_at_ms = $1
             WHERE key = $2 AND over_at_ms IS NULL",
            now,
        ),
        Finished::Again { due, .. } => (
            "UPDATE outbox SET claim_epoch = NULL, claim_until_ms = NULL, due_ms = $1 WHERE key = $2",
            *due,
        ),
        Finished::Unknown { due, .. } => (
            "UPDATE outbox SET claim_epoch = NULL, claim_until_ms = NULL, due_ms = $1, possible_duplicate = TRUE
             WHERE key = $2",
            *due,
        ),
    };
    sqlx::query(statement)
        .bind(at.as_millisecond())
        .bind(text(finished.key()))
        .execute(&mut session.connection)
        .await?;
    Ok(())
}

/// What is due at `$1` and held by nobody in the term `$2`.
macro_rules! free {
    () => {
        "over_at_ms IS NULL AND due_ms <= $1 AND (claim_epoch IS NULL OR claim_epoch <> $2 OR claim_until_ms <= $1)"
    };
}

/// Takes what `due` names for the term `$2` until `$4`.
macro_rules! taken {
    () => {
        "taken AS (
             UPDATE outbox SET possible_duplicate = possible_duplicate OR claim_epoch IS NOT NULL,
                 attempts = attempts + 1, claim_epoch = $2, claim_until_ms = $4
             FROM due WHERE outbox.number = due.number
             RETURNING outbox.number, effect, cause, attempts, possible_duplicate, due_ms, urgency
         )
         SELECT number, effect, cause, attempts, possible_duplicate FROM taken
         ORDER BY urgency, attempts > 1, due_ms, number"
    };
}

const CLAIM: &str = concat!(
    "WITH due AS (
         SELECT number FROM outbox WHERE ",
    free!(),
    " ORDER BY urgency, attempts > 0, due_ms, number LIMIT $3
         FOR UPDATE SKIP LOCKED
     ), ",
    taken!()
);
const CLAIM_WITHIN: &str = concat!(
    "WITH room AS (
         SELECT * FROM UNNEST($3::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[]) AS room (lane, least, most, count)
     ), due AS (
         SELECT waiting.number FROM room CROSS JOIN LATERAL (
             SELECT number FROM outbox
             WHERE outbox.lane = room.lane AND urgency BETWEEN room.least AND room.most AND ",
    free!(),
    " ORDER BY urgency, attempts > 0, due_ms, number LIMIT room.count
             FOR UPDATE SKIP LOCKED
         ) AS waiting
     ), ",
    taken!()
);

/// Takes up to `limit` due effects, the most urgent first, and of those the ones that were never tried: a storm of P2 must not
/// keep a P0 waiting, nor a receiver that is down a new page behind its repetitions. A row that somebody else has locked
/// (a statement of an operator) is passed over and not waited for.
pub(super) async fn claim(
    session: &mut Session,
    epoch: Epoch,
    now: Timestamp,
    lease: SignedDuration,
    limit: usize,
) -> Result<Vec<Claimed>, Fault> {
    session.fence(epoch)?;
    let lease_until = truncate_to_ms(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
    let rows = sqlx::query(CLAIM)
        .bind(now.as_millisecond())
        .bind(sql(epoch.0))
        .bind(sql_limit(limit))
        .bind(lease_until.as_millisecond())
        .fetch_all(&mut session.connection)
        .await?;
    claimed(&rows, lease_until)
}

/// Takes what there is room for, in the same order, in one statement.
pub(super) async fn claim_within(
    session: &mut Session,
    epoch: Epoch,
    now: Timestamp,
    lease: SignedDuration,
    rooms: &[Room],
) -> Result<Vec<Claimed>, Fault> {
    session.fence(epoch)?;
    let lease_until = truncate_to_ms(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
    let lanes: Vec<&str> = rooms.iter().map(|room| room.lane).collect();
    let (least, most): (Vec<i64>, Vec<i64>) = rooms.iter().map(Room::urgencies).unzip();
    let counts: Vec<i64> = rooms.iter().map(|room| sql_limit(room.count)).collect();
    let rows = sqlx::query(CLAIM_WITHIN)
        .bind(now.as_millisecond())
        .bind(sql(epoch.0))
        .bind(lanes)
        .bind(lease_until.as_millisecond())
        .bind(least)
        .bind(most)
        .bind(counts)
        .fetch_all(&mut session.connection)
        .await?;
    claimed(&rows, lease_until)
}

fn claimed(rows: &[PgRow], lease_until: Timestamp) -> Result<Vec<Claimed>, Fault> {
    rows.iter()
        .map(|row| {
            let attempts: i64 = row.try_get(3)?;
            Ok(Claimed {
                effect: effect(row.try_get(0)?, row.try_get(1)?)?,
                cause: event_id(row.try_get(2)?)?,
                attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
                possible_duplicate: row.try_get(4)?,
                lease_until,
            })
        })
        .collect()
}

fn effect(number: i64, text: Option<&str>) -> Result<Effect, JournalError> {
    serde_json::from_str(text.unwrap_or_default()).map_err(|error| JournalError::Corrupt {
        place: format!("effect number {number} of the outbox"),
        reason: error.to_string(),
    })
}

/// Effects that are not over, oldest first.
pub(super) async fn waiting(connection: &mut PgConnection, limit: usize) -> Result<Vec<Effect>, Fault> {
    let rows =
        sqlx::query("SELECT number, effect FROM outbox WHERE over_at_ms IS NULL ORDER BY number LIMIT $1")
            .bind(sql_limit(limit))
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|row| Ok(effect(row.try_get(0)?, row.try_get(1)?)?))
        .collect()
}

/// The earliest instant at which a timer or an effect becomes due. A claim of the present term holds an effect back
/// until its lease runs out.
pub(super) async fn next_due(connection: &mut PgConnection) -> Result<Option<Timestamp>, Fault> {
    let due: Option<i64> = sqlx::query_scalar(
        "SELECT MIN(due_ms) FROM (
             SELECT MIN(due_ms) AS due_ms FROM timer
             UNION ALL
             SELECT MIN(CASE WHEN claim_epoch = (SELECT epoch FROM lead) AND claim_until_ms > due_ms
                             THEN claim_until_ms ELSE due_ms END) AS due_ms
             FROM outbox WHERE over_at_ms IS NULL
         ) AS both_kinds",
    )
    .fetch_one(connection)
    .await?;
    Ok(due.map(instant).transpose()?)
}

/// Drops the content of effects that were over before `before`; gives how many.
pub(super) async fn prune(session: &mut Session, before: Timestamp) -> Result<u64, Fault> {
    let done = sqlx::query(
        "UPDATE outbox SET effect = NULL WHERE number IN (
             SELECT number FROM outbox
             WHERE over_at_ms IS NOT NULL AND effect IS NOT NULL AND over_at_ms < $1
             ORDER BY over_at_ms LIMIT $2)",
    )
    .bind(before.as_millisecond())
    .bind(PRUNE_MAX_ROWS)
    .execute(&mut session.connection)
    .await?;
    Ok(done.rows_affected())
}
