//! Sagas: claimed from the outbox, leased to one orchestrator at a time, resumed by another when its lease lapses.

use super::{Result, StoreError, Writer, payments};
use crate::{
    clock,
    model::{Payment, Status},
    roles::saga::State,
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// How long an orchestrator that says nothing keeps its sagas.
pub(crate) const LEASE_MS: i64 = 5_000;

/// A saga that this orchestrator may drive.
#[derive(Clone, Debug)]
pub(crate) struct Saga {
    pub(crate) payment: Payment,
    pub(crate) state: State,
    pub(crate) created_at_ms: i64,
}

/// Whether there may be something to claim.
pub(crate) async fn waiting(connection: &mut SqliteConnection) -> Result<bool> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM outbox) OR EXISTS (SELECT 1 FROM sagas WHERE terminal = 0 AND lease_until_ms < $1)",
    )
    .bind(clock::unix_ms())
    .fetch_one(connection)
    .await?;
    Ok(row.try_get::<i64, _>(0)? != 0)
}

/// Takes new payments off the outbox and sagas whose orchestrator has gone silent, at most `limit` of each.
pub(crate) async fn claim(writer: &Writer, owner: String, limit: u32) -> Result<Vec<Saga>> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                let now = clock::unix_ms();
                let mut sagas = Vec::new();
                let lapsed = sqlx::query(
                    "SELECT s.payment_id, p.payment, s.state, s.created_at_ms
                     FROM sagas s JOIN payments p ON p.payment_id = s.payment_id
                     WHERE s.terminal = 0 AND s.lease_until_ms < $1 LIMIT $2",
                )
                .bind(now)
                .bind(i64::from(limit))
                .fetch_all(&mut *connection)
                .await?;
                for row in lapsed {
                    let saga = read(&row)?;
                    sqlx::query("UPDATE sagas SET owner = $2, lease_until_ms = $3 WHERE payment_id = $1")
                        .bind(&saga.payment.payment_id)
                        .bind(&owner)
                        .bind(now + LEASE_MS)
                        .execute(&mut *connection)
                        .await?;
                    sagas.push(saga);
                }
                let new = sqlx::query(
                    "SELECT o.payment_id, p.payment, $2, o.created_at_ms, o.sequence
                     FROM outbox o JOIN payments p ON p.payment_id = o.payment_id ORDER BY o.sequence LIMIT $1",
                )
                .bind(i64::from(limit))
                .bind(state_document(&State::default())?)
                .fetch_all(&mut *connection)
                .await?;
                let mut last = None;
                for row in new {
                    last = Some(row.try_get::<i64, _>(4)?);
                    sagas.push(read(&row)?);
                }
                if let Some(last) = last {
                    sqlx::query(
                        "INSERT INTO sagas (payment_id, state, owner, lease_until_ms, created_at_ms, updated_at_ms)
                         SELECT payment_id, $2, $3, $4, created_at_ms, $5 FROM outbox WHERE sequence <= $1",
                    )
                    .bind(last)
                    .bind(state_document(&State::default())?)
                    .bind(&owner)
                    .bind(now + LEASE_MS)
                    .bind(now)
                    .execute(&mut *connection)
                    .await?;
                    sqlx::query("DELETE FROM outbox WHERE sequence <= $1").bind(last).execute(&mut *connection).await?;
                }
                Ok(sagas)
            })
        })
        .await
}

/// Keeps the leases of the sagas that this orchestrator is driving.
pub(crate) async fn renew(writer: &Writer, owner: String) -> Result<()> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                sqlx::query("UPDATE sagas SET lease_until_ms = $2 WHERE terminal = 0 AND owner = $1")
                    .bind(owner)
                    .bind(clock::unix_ms() + LEASE_MS)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
}

/// How a saga ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    /// The fraud check was skipped: a human must look.
    pub(crate) degraded: bool,
}

/// Makes the saga's state durable; with `end`, closes it and sets the payment's status in the same transaction.
/// `false` when the saga has another owner by now: then nothing was written and the caller must let go.
pub(crate) async fn save(writer: &Writer, owner: String, saga: Saga, end: Option<End>) -> Result<bool> {
    let document = state_document(&saga.state)?;
    writer
        .write(move |connection| {
            Box::pin(async move {
                let id = &saga.payment.payment_id;
                let saved = sqlx::query(
                    "UPDATE sagas SET state = $2, terminal = $3, updated_at_ms = $4
                     WHERE payment_id = $1 AND owner = $5 AND terminal = 0",
                )
                .bind(id)
                .bind(document)
                .bind(i64::from(end.is_some()))
                .bind(clock::unix_ms())
                .bind(owner)
                .execute(&mut *connection)
                .await?;
                if saved.rows_affected() == 0 {
                    return Ok(false);
                }
                let Some(end) = end else { return Ok(true) };
                payments::finish(connection, id, end.status, end.reason.as_deref(), end.degraded).await?;
                if end.degraded {
                    sqlx::query(
                        "INSERT INTO manual_reviews (payment_id, tenant, reason, created_at_ms)
                         VALUES ($1, $2, 'fraud check was skipped', $3) ON CONFLICT DO NOTHING",
                    )
                    .bind(id)
                    .bind(&saga.payment.tenant)
                    .bind(clock::unix_ms())
                    .execute(connection)
                    .await?;
                }
                Ok(true)
            })
        })
        .await
}

/// Counts rows for the gauges: open sagas, age of the oldest in milliseconds, open manual reviews.
pub(crate) async fn backlog(connection: &mut SqliteConnection) -> Result<[i64; 3]> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM sagas WHERE terminal = 0) + (SELECT count(*) FROM outbox),
                coalesce($1 - (SELECT min(created_at_ms) FROM payments WHERE status = 'accepted'), 0),
                (SELECT count(*) FROM manual_reviews)",
    )
    .bind(clock::unix_ms())
    .fetch_one(connection)
    .await?;
    Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?])
}

fn state_document(state: &State) -> Result<String> {
    serde_json::to_string(state).map_err(|source| StoreError::Corrupt {
        what: "saga",
        id: String::new(),
        source,
    })
}

fn read(row: &SqliteRow) -> Result<Saga> {
    let id: String = row.try_get(0)?;
    let corrupt = |what| {
        let id = id.clone();
        move |source| StoreError::Corrupt { what, id, source }
    };
    Ok(Saga {
        payment: serde_json::from_str(row.try_get(1)?).map_err(corrupt("payment"))?,
        state: serde_json::from_str(row.try_get(2)?).map_err(corrupt("saga"))?,
        created_at_ms: row.try_get(3)?,
    })
}
