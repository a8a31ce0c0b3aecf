//! What the bank was told about a payment and what it said: at most one final word each.

use super::{Result, Writer};
use crate::clock;
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection};

/// The bank's final word (pacs.002), or our cancellation before it had one (camt.056).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instruction {
    /// `settled`, `rejected` or `cancelled`.
    pub(crate) status: String,
    pub(crate) bank_reference: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// What is known about the payment.
pub(crate) async fn find(connection: &mut SqliteConnection, payment_id: &str) -> Result<Option<Instruction>> {
    let row =
        sqlx::query("SELECT status, bank_reference, reason FROM clearing_instructions WHERE payment_id = $1")
            .bind(payment_id)
            .fetch_optional(connection)
            .await?;
    row.map(|row| {
        Ok(Instruction {
            status: row.try_get(0)?,
            bank_reference: row.try_get(1)?,
            reason: row.try_get(2)?,
        })
    })
    .transpose()
}

/// Records the word unless there is one already; returns the one that stands.
pub(crate) async fn settle(writer: &Writer, payment_id: String, word: Instruction) -> Result<Instruction> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                if let Some(first) = find(connection, &payment_id).await? {
                    return Ok(first);
                }
                sqlx::query(
                    "INSERT INTO clearing_instructions (payment_id, status, bank_reference, reason, created_at_ms)
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(&payment_id)
                .bind(&word.status)
                .bind(&word.bank_reference)
                .bind(&word.reason)
                .bind(clock::unix_ms())
                .execute(connection)
                .await?;
                Ok(word)
            })
        })
        .await
}
