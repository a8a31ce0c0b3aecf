//! The outbox: effects that are waiting, claimed or over.
//!
//! A row is never deleted: its key is what keeps an effect from being done twice. Once an effect has been over for
//! [`super::Options::effect_retention`], its content is dropped and only the key with its counters stays, about 100
//! bytes each.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::effect::Effect;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::row::{event_id, instant, sql, sql_limit};
use super::storage;
use super::writer::Session;
use crate::envelope::Epoch;
use crate::store::{Claimed, Finished, JournalError, NewEffect, Room};

/// The most rows whose content one run drops.
const PRUNE_MAX_ROWS: i64 = 10_000;

/// Puts an effect in, unless its key has ever been seen.
pub(super) async fn put(session: &mut Session, new: &NewEffect) -> Result<(), JournalError> {
    let effect =
        serde_json::to_string(&new.effect).map_err(|error| JournalError::Storage(error.to_string()))?;
    sqlx::query(
        "INSERT INTO outbox (key, effect, cause, due_ms, attempts, possible_duplicate, urgency, lane)
         VALUES ($1, $2, $3, $4, 0, 0, $5, $6) ON CONFLICT (key) DO NOTHING",
    )
    .bind(&new.effect.key)
    .bind(effect)
    .bind(&new.cause.to_bytes()[..])
    .bind(new.due.as_millisecond())
    .bind(i64::from(new.effect.urgency()))
    .bind(new.effect.lane())
    .execute(&mut session.connection)
    .await
    .map(|_| ())
    .map_err(storage)
}

/// Records what became of a claimed effect. A key that the outbox does not know is ignored.
pub(super) async fn finish(
    session: &mut Session,
    finished: &Finished,
    now: Timestamp,
) -> Result<(), JournalError> {
    let query = match finished {
        Finished::Over { key } => sqlx::query(
            "UPDATE outbox SET claim_epoch = NULL, claim_until_ms = NULL, over_at_ms = $1
             WHERE key = $2 AND over_at_ms IS NULL",
        )
        .bind(now.as_millisecond())
        .bind(key),
        Finished::Again { key, due } => sqlx::query(
            "UPDATE outbox SET claim_epoch = NULL, claim_until_ms = NULL, due_ms = $1 WHERE key = $2",
        )
        .bind(due.as_millisecond())
        .bind(key),
        Finished::Unknown { key, due } => sqlx::query(
            "UPDATE outbox SET claim_epoch = NULL, claim_until_ms = NULL, due_ms = $1, possible_duplicate = 1
             WHERE key = $2",
        )
        .bind(due.as_millisecond())
        .bind(key),
    };
    query
        .execute(&mut session.connection)
        .await
        .map(|_| ())
        .map_err(storage)
}

/// The effects that are due at `$1` and that nobody holds in the term `$2`.
macro_rules! due {
    () => {
        "SELECT number, effect, cause, attempts + 1, possible_duplicate <> 0 OR claim_epoch IS NOT NULL
         FROM outbox
         WHERE over_at_ms IS NULL AND due_ms <= $1
           AND (claim_epoch IS NULL OR claim_epoch <> $2 OR claim_until_ms <= $1)
         "
    };
}

/// Takes up to `limit` due effects, the most urgent first, and of those the ones that were never tried: a storm of P2 must not
/// keep a P0 waiting, nor a receiver that is down a new page behind its repetitions. Cost: the effects that wait.
pub(super) async fn claim(
    session: &mut Session,
    epoch: Epoch,
    now: Timestamp,
    lease: SignedDuration,
    limit: usize,
) -> Result<Vec<Claimed>, JournalError> {
    session.fence(epoch).await?;
    let rows = sqlx::query(DUE)
        .bind(now.as_millisecond())
        .bind(sql(epoch.0))
        .bind(sql_limit(limit))
        .fetch_all(&mut session.connection)
        .await
        .map_err(storage)?;
    take(session, &rows, (epoch, now, lease)).await
}

const DUE: &str = concat!(due!(), "ORDER BY urgency, attempts > 0, due_ms, number LIMIT $3");
const DUE_IN_LANE: &str = concat!(
    due!(),
    "AND lane = $4 AND urgency BETWEEN $5 AND $6 ORDER BY urgency, attempts > 0, due_ms, number LIMIT $3"
);

/// Takes what there is room for, in the same order. Cost: the effects that wait in lanes with room.
pub(super) async fn claim_within(
    session: &mut Session,
    epoch: Epoch,
    now: Timestamp,
    lease: SignedDuration,
    rooms: &[Room],
) -> Result<Vec<Claimed>, JournalError> {
    session.fence(epoch).await?;
    let mut claimed = Vec::new();
    for room in rooms.iter().filter(|room| room.count > 0) {
        let (least, most) = room.urgencies();
        let rows = sqlx::query(DUE_IN_LANE)
            .bind(now.as_millisecond())
            .bind(sql(epoch.0))
            .bind(sql_limit(room.count))
            .bind(room.lane)
            .bind(least)
            .bind(most)
            .fetch_all(&mut session.connection)
            .await
            .map_err(storage)?;
        claimed.extend(take(session, &rows, (epoch, now, lease)).await?);
    }
    Ok(claimed)
}

async fn take(
    session: &mut Session,
    rows: &[SqliteRow],
    (epoch, now, lease): (Epoch, Timestamp, SignedDuration),
) -> Result<Vec<Claimed>, JournalError> {
    let lease_until = truncate_to_ms(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let number: i64 = row.try_get(0).map_err(storage)?;
        let attempts: i64 = row.try_get(3).map_err(storage)?;
        let possible_duplicate: bool = row.try_get(4).map_err(storage)?;
        sqlx::query(
            "UPDATE outbox SET claim_epoch = $1, claim_until_ms = $2, attempts = $3, possible_duplicate = $4
             WHERE number = $5",
        )
        .bind(sql(epoch.0))
        .bind(lease_until.as_millisecond())
        .bind(attempts)
        .bind(i64::from(possible_duplicate))
        .bind(number)
        .execute(&mut session.connection)
        .await
        .map_err(storage)?;
        claimed.push(Claimed {
            effect: effect(number, row.try_get(1).map_err(storage)?)?,
            cause: event_id(row.try_get(2).map_err(storage)?)?,
            attempt: u32::try_from(attempts).unwrap_or(u32::MAX),
            possible_duplicate,
            lease_until,
        });
    }
    Ok(claimed)
}

fn effect(number: i64, text: Option<&str>) -> Result<Effect, JournalError> {
    serde_json::from_str(text.unwrap_or_default()).map_err(|error| JournalError::Corrupt {
        place: format!("effect number {number} of the outbox"),
        reason: error.to_string(),
    })
}

/// Effects that are not over, oldest first.
pub(super) async fn waiting(
    connection: &mut SqliteConnection,
    limit: usize,
) -> Result<Vec<Effect>, JournalError> {
    let rows =
        sqlx::query("SELECT number, effect FROM outbox WHERE over_at_ms IS NULL ORDER BY number LIMIT $1")
            .bind(sql_limit(limit))
            .fetch_all(connection)
            .await
            .map_err(storage)?;
    rows.iter()
        .map(|row| effect(row.try_get(0).map_err(storage)?, row.try_get(1).map_err(storage)?))
        .collect()
}

/// The earliest instant at which a timer or an effect becomes due. A claim of the present term holds an effect back
/// until its lease runs out.
pub(super) async fn next_due(connection: &mut SqliteConnection) -> Result<Option<Timestamp>, JournalError> {
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
    .await
    .map_err(storage)?;
    due.map(instant).transpose()
}

/// Drops the content of effects that were over before `before`; gives how many.
pub(super) async fn prune(session: &mut Session, before: Timestamp) -> Result<u64, JournalError> {
    sqlx::query(
        "UPDATE outbox SET effect = NULL WHERE number IN (
             SELECT number FROM outbox
             WHERE over_at_ms IS NOT NULL AND effect IS NOT NULL AND over_at_ms < $1
             ORDER BY over_at_ms LIMIT $2)",
    )
    .bind(before.as_millisecond())
    .bind(PRUNE_MAX_ROWS)
    .execute(&mut session.connection)
    .await
    .map(|done| done.rows_affected())
    .map_err(storage)
}
