//! Payments and their idempotency keys.

use super::{Result, StoreError, Writer};
use crate::{
    clock,
    model::{Payment, Status},
};
use serde::Serialize;
use sqlx::{Row, SqliteConnection};

/// What was answered to the first request under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) request_hash: String,
    pub(crate) status_code: u16,
    pub(crate) response: String,
}

/// A payment as clients see it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct View {
    pub(crate) payment_id: String,
    pub(crate) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Some check was skipped because its service was down; a human looks at it later.
    pub(crate) degraded: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// The answer that is stored under this key, if any.
pub(crate) async fn stored(
    connection: &mut SqliteConnection,
    tenant: &str,
    key: &str,
) -> Result<Option<Stored>> {
    let row = sqlx::query(
        "SELECT request_hash, status_code, response FROM idempotency WHERE tenant = $1 AND idempotency_key = $2",
    )
    .bind(tenant)
    .bind(key)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Stored {
            request_hash: row.try_get(0)?,
            status_code: row.try_get::<i64, _>(1)?.try_into().unwrap_or(500),
            response: row.try_get(2)?,
        })
    })
    .transpose()
}

/// Makes payment, idempotency record and outbox entry durable together. Returns what is stored under the key: the
/// given answer, or the one that another request stored first.
pub(crate) async fn accept(writer: &Writer, payment: Payment, key: String, answer: Stored) -> Result<Stored> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                let now = clock::unix_ms();
                let document = serde_json::to_string(&payment).map_err(|source| StoreError::Corrupt {
                    what: "payment",
                    id: payment.payment_id.clone(),
                    source,
                })?;
                let first = sqlx::query(
                    "INSERT INTO idempotency (tenant, idempotency_key, request_hash, status_code, response, created_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                )
                .bind(&payment.tenant)
                .bind(&key)
                .bind(&answer.request_hash)
                .bind(i64::from(answer.status_code))
                .bind(&answer.response)
                .bind(now)
                .execute(&mut *connection)
                .await?;
                if first.rows_affected() == 0 {
                    let known = stored(connection, &payment.tenant, &key).await?;
                    return Ok(known.unwrap_or(answer));
                }
                sqlx::query(
                    "INSERT INTO payments (payment_id, tenant, payment, status, created_at_ms, updated_at_ms)
                     VALUES ($1, $2, $3, 'accepted', $4, $4)",
                )
                .bind(&payment.payment_id)
                .bind(&payment.tenant)
                .bind(document)
                .bind(now)
                .execute(&mut *connection)
                .await?;
                sqlx::query("INSERT INTO outbox (topic, payment_id, created_at_ms) VALUES ('payments.initiated', $1, $2)")
                    .bind(&payment.payment_id)
                    .bind(now)
                    .execute(&mut *connection)
                    .await?;
                Ok(answer)
            })
        })
        .await
}

/// A payment of this tenant.
pub(crate) async fn view(connection: &mut SqliteConnection, tenant: &str, id: &str) -> Result<Option<View>> {
    let row = sqlx::query(
        "SELECT status, reason, degraded, created_at_ms, updated_at_ms FROM payments
         WHERE payment_id = $1 AND tenant = $2",
    )
    .bind(id)
    .bind(tenant)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(View {
            payment_id: id.to_owned(),
            status: row.try_get(0)?,
            reason: row.try_get(1)?,
            degraded: row.try_get::<i64, _>(2)? != 0,
            created_at: clock::rfc3339(row.try_get(3)?),
            updated_at: clock::rfc3339(row.try_get(4)?),
        })
    })
    .transpose()
}

/// How a payment stands since its last change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) payment_id: String,
    pub(crate) tenant: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
}

/// Payments by their last change, those after the one of this time and id, at most `limit`.
pub(crate) async fn changed_after(
    connection: &mut SqliteConnection,
    updated_at_ms: i64,
    payment_id: &str,
    limit: u32,
) -> Result<Vec<Change>> {
    let rows = sqlx::query(
        "SELECT payment_id, tenant, status, reason, created_at_ms, updated_at_ms FROM payments
         WHERE (updated_at_ms, payment_id) > ($1, $2) ORDER BY updated_at_ms, payment_id LIMIT $3",
    )
    .bind(updated_at_ms)
    .bind(payment_id)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Change {
                payment_id: row.try_get(0)?,
                tenant: row.try_get(1)?,
                status: row.try_get(2)?,
                reason: row.try_get(3)?,
                created_at_ms: row.try_get(4)?,
                updated_at_ms: row.try_get(5)?,
            })
        })
        .collect()
}

/// Sets the final status; the caller's transaction also closes the saga.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    id: &str,
    status: Status,
    reason: Option<&str>,
    degraded: bool,
) -> Result<()> {
    sqlx::query("UPDATE payments SET status = $2, reason = $3, degraded = $4, updated_at_ms = $5 WHERE payment_id = $1")
        .bind(id)
        .bind(status.as_str())
        .bind(reason)
        .bind(i64::from(degraded))
        .bind(clock::unix_ms())
        .execute(connection)
        .await?;
    Ok(())
}
