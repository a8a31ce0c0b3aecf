//! The cell's database: payments, ledger, sagas and clearing instructions in one SQLite file.
//!
//! The seam for another engine is this module's functions: roles know payments and transfers, not SQL. Writers of a
//! process queue behind one connection that commits in groups ([`Writer`]); readers share a bounded pool
//! ([`ReaderPool`]).

pub(crate) mod clearing;
pub(crate) mod ledger;
pub(crate) mod payments;
mod pool;
pub(crate) mod sagas;
mod writer;

pub(crate) use pool::{Reader, ReaderPool};
pub(crate) use writer::Writer;

use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Every connection was in use for the whole acquire timeout.
    #[error("Cannot acquire connection: all {max} are in use, waited {waited_ms} ms")]
    PoolExhausted {
        /// Size of the pool.
        max: usize,
        /// How long the caller waited.
        waited_ms: u128,
    },
    /// The engine failed.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A stored document cannot be read.
    #[error("stored {what} of {id} cannot be read: {source}")]
    Corrupt {
        /// Which document.
        what: &'static str,
        /// Whose.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The commit that this work was part of failed.
    #[error("commit failed: {0}")]
    Commit(String),
    /// The writer has ended.
    #[error("database writer is gone")]
    Gone,
}

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

fn options(db: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(db)
        .busy_timeout(Duration::from_secs(5))
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Opens a connection of its own.
pub(crate) async fn connect(db: &Path) -> Result<SqliteConnection> {
    Ok(SqliteConnection::connect_with(&options(db)).await?)
}

/// Creates the database with its tables where it does not exist.
pub(crate) async fn create(db: &Path) -> Result<()> {
    let options = options(db)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(include_str!("schema.sql"))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}
