//! The audit of a cell's books: what must be true of them whatever was killed when.

use crate::{
    error::{Error, Result},
    store,
};
use serde::Serialize;
use sqlx::{Row, SqliteConnection};
use std::path::{Path, PathBuf};

/// Options of the audit.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The cell's database; may be given several times.
    #[arg(long, required = true)]
    db: Vec<PathBuf>,
    /// Payments may still be on their way (the platform is running).
    #[arg(long)]
    allow_open: bool,
}

/// What the books of one cell say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The database.
    pub db: String,
    /// Payments that were accepted.
    pub payments: i64,
    /// Of them, completed.
    pub completed: i64,
    /// Of them, rejected or failed.
    pub undone: i64,
    /// Of them, still on their way.
    pub open: i64,
    /// Payments whose fraud check a human must make up for.
    pub manual_reviews: i64,
    /// What is wrong; empty when the books are right.
    pub faults: Vec<String>,
}

/// Every query counts rows that must not exist.
const CHECKS: &[(&str, &str)] = &[
    (
        "currencies whose debits differ from their credits",
        "SELECT count(*) FROM (SELECT currency FROM entries GROUP BY currency
         HAVING sum(CASE direction WHEN 'debit' THEN amount_minor ELSE -amount_minor END) <> 0)",
    ),
    (
        "payments that are not posted by exactly one debit and one credit of the transfer's amount",
        "SELECT count(*) FROM transfers t WHERE t.state = 'posted' AND (SELECT count(*) FROM entries e
         WHERE e.payment_id = t.payment_id AND e.amount_minor = t.amount_minor AND e.currency = t.currency
         AND e.account_id = CASE e.direction WHEN 'debit' THEN t.debit_account ELSE t.credit_account END) <> 2",
    ),
    (
        "entries without a posted transfer",
        "SELECT count(*) FROM entries e WHERE NOT EXISTS
         (SELECT 1 FROM transfers t WHERE t.payment_id = e.payment_id AND t.state = 'posted')",
    ),
    (
        "accounts whose balance is not the sum of their entries",
        "SELECT count(*) FROM accounts a WHERE
         a.debits_posted <> (SELECT coalesce(sum(amount_minor), 0) FROM entries
                             WHERE account_id = a.account_id AND direction = 'debit')
         OR a.credits_posted <> (SELECT coalesce(sum(amount_minor), 0) FROM entries
                                 WHERE account_id = a.account_id AND direction = 'credit')
         OR a.debits_pending <> (SELECT coalesce(sum(amount_minor), 0) FROM transfers
                                 WHERE debit_account = a.account_id AND state = 'pending')",
    ),
    ("customer accounts that are overdrawn", "SELECT count(*) FROM accounts WHERE kind = 'customer' AND credits_posted < debits_posted + debits_pending"),
    (
        "completed payments that are not both settled by the bank and posted",
        "SELECT count(*) FROM payments p WHERE p.status = 'completed' AND NOT (
         EXISTS (SELECT 1 FROM transfers t WHERE t.payment_id = p.payment_id AND t.state = 'posted')
         AND EXISTS (SELECT 1 FROM clearing_instructions c WHERE c.payment_id = p.payment_id AND c.status = 'settled'))",
    ),
    (
        "rejected or failed payments that still hold or moved money",
        "SELECT count(*) FROM payments p WHERE p.status IN ('rejected', 'failed') AND (
         EXISTS (SELECT 1 FROM transfers t WHERE t.payment_id = p.payment_id AND t.state <> 'voided')
         OR EXISTS (SELECT 1 FROM clearing_instructions c WHERE c.payment_id = p.payment_id AND c.status = 'settled'))",
    ),
    (
        "answers to clients without their payment",
        "SELECT count(*) FROM idempotency i WHERE NOT EXISTS
         (SELECT 1 FROM payments p WHERE p.payment_id = json_extract(i.response, '$.payment_id'))",
    ),
    (
        "accepted payments that nobody is working on",
        "SELECT count(*) FROM payments p WHERE p.status = 'accepted'
         AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.payment_id = p.payment_id)
         AND NOT EXISTS (SELECT 1 FROM sagas s WHERE s.payment_id = p.payment_id AND s.terminal = 0)",
    ),
];

pub(crate) async fn run(options: Options) -> Result<bool> {
    let mut right = true;
    for db in &options.db {
        let finding = audit(db, options.allow_open).await?;
        right &= finding.faults.is_empty();
        crate::pod::announce(&serde_json::to_value(&finding).unwrap_or_default());
    }
    Ok(right)
}

/// Audits the books of one cell in one consistent snapshot. With `allow_open`, payments may still be on their way.
pub async fn audit(db: &Path, allow_open: bool) -> Result<Finding> {
    if !db.exists() {
        return Err(Error::Usage(format!("{}: no such database", db.display())));
    }
    let mut connection = store::connect(db).await?;
    inspect(&mut connection, db, allow_open)
        .await
        .map_err(|error| Error::Store(error.into()))
}

async fn inspect(connection: &mut SqliteConnection, db: &Path, allow_open: bool) -> sqlx::Result<Finding> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    let totals = sqlx::query(
        "SELECT count(*), coalesce(sum(status = 'completed'), 0), coalesce(sum(status IN ('rejected', 'failed')), 0),
                coalesce(sum(status = 'accepted'), 0), (SELECT count(*) FROM manual_reviews) FROM payments",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut faults = Vec::new();
    for (what, query) in CHECKS {
        let count: i64 = sqlx::query(*query)
            .fetch_one(&mut *connection)
            .await?
            .try_get(0)?;
        if count > 0 {
            faults.push(format!("{count} {what}"));
        }
    }
    let open: i64 = totals.try_get(3)?;
    if open > 0 && !allow_open {
        faults.push(format!("{open} accepted payments have not ended"));
    }
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    Ok(Finding {
        db: db.display().to_string(),
        payments: totals.try_get(0)?,
        completed: totals.try_get(1)?,
        undone: totals.try_get(2)?,
        open,
        manual_reviews: totals.try_get(4)?,
        faults,
    })
}
