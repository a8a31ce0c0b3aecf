//! The double-entry ledger: two-phase transfers, append-only entries, balances that no transfer may overdraw.
//!
//! A customer's account is a liability of the bank: credits raise it, debits lower it. A payment first reserves
//! (pending debit), then posts (one debit and one credit entry) or is voided. Every step may be repeated.

use super::{Result, Writer};
use crate::{
    clock,
    model::{ACCOUNTS_PER_TENANT, customer_account, settlement_account, treasury_account},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection};

/// What every customer account is opened with, in minor units: ten million.
const OPENING_BALANCE_MINOR: i64 = 1_000_000_000;

/// Balance of an account in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Balance {
    pub(crate) account: String,
    pub(crate) currency: String,
    /// Posted credits minus posted debits.
    pub(crate) booked_minor: i64,
    /// What may still be reserved: booked minus pending debits.
    pub(crate) available_minor: i64,
}

/// A reservation to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reserve {
    pub(crate) tenant: String,
    pub(crate) debit_account: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Pending,
    Posted,
    Voided,
    /// No such account, or another currency.
    UnknownAccount,
    InsufficientFunds,
    /// There is no transfer of this payment.
    NotFound,
}

/// The balance of an account of this tenant.
pub(crate) async fn balance(
    connection: &mut SqliteConnection,
    tenant: &str,
    account: &str,
) -> Result<Option<Balance>> {
    let row = sqlx::query(
        "SELECT currency, credits_posted - debits_posted, credits_posted - debits_posted - debits_pending
         FROM accounts WHERE account_id = $1 AND tenant = $2 AND kind = 'customer'",
    )
    .bind(account)
    .bind(tenant)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Balance {
            account: account.to_owned(),
            currency: row.try_get(0)?,
            booked_minor: row.try_get(1)?,
            available_minor: row.try_get(2)?,
        })
    })
    .transpose()
}

/// Opens the accounts of a tenant with their opening balance; nothing happens when they are open.
pub(crate) async fn open_accounts(writer: &Writer, tenant: String, currency: String) -> Result<()> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                for (id, kind) in [
                    (settlement_account(&tenant), "settlement"),
                    (treasury_account(&tenant), "treasury"),
                ] {
                    open_account(connection, &id, &tenant, &currency, kind).await?;
                }
                for number in 1..=ACCOUNTS_PER_TENANT {
                    let account = customer_account(&tenant, number);
                    if open_account(connection, &account, &tenant, &currency, "customer").await? {
                        let opening = format!("opening:{account}");
                        let transfer = Transfer {
                            debit_account: treasury_account(&tenant),
                            credit_account: account,
                            amount_minor: OPENING_BALANCE_MINOR,
                            currency: currency.clone(),
                        };
                        insert_pending(connection, &opening, &transfer).await?;
                        move_pending_to_posted(connection, &opening, &transfer).await?;
                    }
                }
                Ok(())
            })
        })
        .await
}

/// Puts the amount aside. Repeating it changes nothing and says how the transfer stands.
pub(crate) async fn reserve(writer: &Writer, payment_id: String, reserve: Reserve) -> Result<Outcome> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                let row = sqlx::query(
                    "SELECT (SELECT state FROM transfers WHERE payment_id = $1),
                            EXISTS (SELECT 1 FROM void_tombstones WHERE payment_id = $1),
                            credits_posted - debits_posted - debits_pending
                     FROM accounts WHERE account_id = $2 AND tenant = $3 AND currency = $4 AND kind = 'customer'",
                )
                .bind(&payment_id)
                .bind(&reserve.debit_account)
                .bind(&reserve.tenant)
                .bind(&reserve.currency)
                .fetch_optional(&mut *connection)
                .await?;
                let Some(row) = row else { return Ok(Outcome::UnknownAccount) };
                if let Some(state) = row.try_get::<Option<&str>, _>(0)? {
                    return Ok(outcome(state));
                }
                if row.try_get::<i64, _>(1)? != 0 {
                    return Ok(Outcome::Voided);
                }
                if row.try_get::<i64, _>(2)? < reserve.amount_minor {
                    return Ok(Outcome::InsufficientFunds);
                }
                let transfer = Transfer {
                    debit_account: reserve.debit_account,
                    credit_account: settlement_account(&reserve.tenant),
                    amount_minor: reserve.amount_minor,
                    currency: reserve.currency,
                };
                insert_pending(connection, &payment_id, &transfer).await?;
                Ok(Outcome::Pending)
            })
        })
        .await
}

/// Books a reserved transfer. A voided one stays voided.
pub(crate) async fn post(writer: &Writer, payment_id: String) -> Result<Outcome> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                match transfer(connection, &payment_id).await? {
                    None => Ok(Outcome::NotFound),
                    Some((Outcome::Pending, transfer)) => {
                        move_pending_to_posted(connection, &payment_id, &transfer).await?;
                        Ok(Outcome::Posted)
                    }
                    Some((state, _)) => Ok(state),
                }
            })
        })
        .await
}

/// Gives a reserved amount back, and keeps a reservation that is still on its way from being made. A posted one
/// stays posted.
pub(crate) async fn void(writer: &Writer, payment_id: String) -> Result<Outcome> {
    writer
        .write(move |connection| {
            Box::pin(async move {
                match transfer(connection, &payment_id).await? {
                    None => {
                        sqlx::query(
                            "INSERT INTO void_tombstones (payment_id, created_at_ms) VALUES ($1, $2)
                             ON CONFLICT DO NOTHING",
                        )
                        .bind(&payment_id)
                        .bind(clock::unix_ms())
                        .execute(connection)
                        .await?;
                        Ok(Outcome::Voided)
                    }
                    Some((Outcome::Pending, transfer)) => {
                        set_state(connection, &payment_id, "voided").await?;
                        sqlx::query(
                            "UPDATE accounts SET debits_pending = debits_pending - $2 WHERE account_id = $1",
                        )
                        .bind(&transfer.debit_account)
                        .bind(transfer.amount_minor)
                        .execute(connection)
                        .await?;
                        Ok(Outcome::Voided)
                    }
                    Some((state, _)) => Ok(state),
                }
            })
        })
        .await
}

fn outcome(state: &str) -> Outcome {
    match state {
        "pending" => Outcome::Pending,
        "posted" => Outcome::Posted,
        _ => Outcome::Voided,
    }
}

struct Transfer {
    debit_account: String,
    credit_account: String,
    amount_minor: i64,
    currency: String,
}

async fn transfer(
    connection: &mut SqliteConnection,
    payment_id: &str,
) -> Result<Option<(Outcome, Transfer)>> {
    let row = sqlx::query(
        "SELECT state, debit_account, credit_account, amount_minor, currency FROM transfers WHERE payment_id = $1",
    )
    .bind(payment_id)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let state = outcome(row.try_get(0)?);
        let transfer = Transfer {
            debit_account: row.try_get(1)?,
            credit_account: row.try_get(2)?,
            amount_minor: row.try_get(3)?,
            currency: row.try_get(4)?,
        };
        Ok((state, transfer))
    })
    .transpose()
}

async fn open_account(
    connection: &mut SqliteConnection,
    id: &str,
    tenant: &str,
    currency: &str,
    kind: &str,
) -> Result<bool> {
    let opened = sqlx::query(
        "INSERT INTO accounts (account_id, tenant, currency, kind) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(tenant)
    .bind(currency)
    .bind(kind)
    .execute(connection)
    .await?;
    Ok(opened.rows_affected() == 1)
}

async fn insert_pending(
    connection: &mut SqliteConnection,
    payment_id: &str,
    transfer: &Transfer,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO transfers
         (payment_id, debit_account, credit_account, amount_minor, currency, state, created_at_ms, updated_at_ms)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6, $6)",
    )
    .bind(payment_id)
    .bind(&transfer.debit_account)
    .bind(&transfer.credit_account)
    .bind(transfer.amount_minor)
    .bind(&transfer.currency)
    .bind(clock::unix_ms())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE accounts SET debits_pending = debits_pending + $2 WHERE account_id = $1")
        .bind(&transfer.debit_account)
        .bind(transfer.amount_minor)
        .execute(connection)
        .await?;
    Ok(())
}

async fn move_pending_to_posted(
    connection: &mut SqliteConnection,
    payment_id: &str,
    transfer: &Transfer,
) -> Result<()> {
    set_state(connection, payment_id, "posted").await?;
    sqlx::query(
        "INSERT INTO entries (payment_id, direction, account_id, amount_minor, currency, posted_at_ms)
         VALUES ($1, 'debit', $2, $4, $5, $6), ($1, 'credit', $3, $4, $5, $6)",
    )
    .bind(payment_id)
    .bind(&transfer.debit_account)
    .bind(&transfer.credit_account)
    .bind(transfer.amount_minor)
    .bind(&transfer.currency)
    .bind(clock::unix_ms())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE accounts SET
           debits_pending = debits_pending - CASE WHEN account_id = $1 THEN $3 ELSE 0 END,
           debits_posted = debits_posted + CASE WHEN account_id = $1 THEN $3 ELSE 0 END,
           credits_posted = credits_posted + CASE WHEN account_id = $2 THEN $3 ELSE 0 END
         WHERE account_id IN ($1, $2)",
    )
    .bind(&transfer.debit_account)
    .bind(&transfer.credit_account)
    .bind(transfer.amount_minor)
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_state(connection: &mut SqliteConnection, payment_id: &str, state: &'static str) -> Result<()> {
    sqlx::query("UPDATE transfers SET state = $2, updated_at_ms = $3 WHERE payment_id = $1")
        .bind(payment_id)
        .bind(state)
        .bind(clock::unix_ms())
        .execute(connection)
        .await?;
    Ok(())
}
