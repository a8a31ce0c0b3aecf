//! The way back: the journal of many replicas as the file of one binary, as of one instant, while they go on.

use std::path::Path;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, QueryBuilder, Row as _};

use super::PostgresJournal;
use super::fault::Fault;
use super::rows::untext;
use super::tables::Form::{self, Bytes, Number, Text, Truth};
use super::tables::{TABLES, names, next_piece};
use crate::sqlite::Copy;
use crate::store::JournalError;

impl PostgresJournal {
    /// Makes a copy in `to` that a [`crate::SqliteJournal`] opens: every row as of one instant, while writers go on. It
    /// has the keys of personal data; a key destroyed later lives on in it.
    ///
    /// # Errors
    /// If there is a journal at `to` already, the copy cannot be written, or the database fails. What is left is then no
    /// journal.
    pub async fn backup(&self, to: &Path) -> Result<(), JournalError> {
        let mut copy = Copy::begin(to).await?;
        self.export(&mut copy.connection).await?;
        copy.finish().await
    }

    async fn export(&self, target: &mut SqliteConnection) -> Result<(), Fault> {
        let mut source = self.readers.connect_options().connect().await?;
        // One snapshot for every table; it waits for nobody and nobody for it.
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut source)
            .await?;
        sqlx::raw_sql("BEGIN").execute(&mut *target).await?;
        for (table, columns) in TABLES {
            export_table(&mut source, target, table, columns).await?;
        }
        let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM lead")
            .fetch_one(&mut source)
            .await?;
        // Nobody holds a lease in the copy.
        sqlx::query("UPDATE lead SET epoch = $1, holder = '', until_ms = 0")
            .bind(epoch)
            .execute(&mut *target)
            .await?;
        sqlx::raw_sql("COMMIT").execute(&mut *target).await?;
        source.close().await?;
        Ok(())
    }
}

async fn export_table(
    source: &mut PgConnection,
    target: &mut SqliteConnection,
    table: &str,
    columns: &[(&str, Form)],
) -> Result<(), Fault> {
    let names = names(columns);
    let order = columns.first().map_or("1", |(name, _)| *name);
    let select = AssertSqlSafe(format!("SELECT {names} FROM {table} ORDER BY {order}"));
    let mut rows = sqlx::query(select).fetch(source);
    loop {
        let piece = next_piece(&mut rows, columns).await?;
        if piece.is_empty() {
            return Ok(());
        }
        insert(target, table, &names, columns, &piece).await?;
    }
}

async fn insert(
    target: &mut SqliteConnection,
    table: &str,
    names: &str,
    columns: &[(&str, Form)],
    rows: &[PgRow],
) -> Result<(), Fault> {
    let mut builder = QueryBuilder::<Sqlite>::new(format!("INSERT INTO {table} ({names}) "));
    let mut failure = None;
    builder.push_values(rows, |mut values, row| {
        for (index, (_, form)) in columns.iter().enumerate() {
            let pushed = match form {
                Number => row.try_get::<Option<i64>, _>(index).map(|value| {
                    values.push_bind(value);
                }),
                Truth => row.try_get::<bool, _>(index).map(|value| {
                    values.push_bind(i64::from(value));
                }),
                Text => row.try_get::<Option<String>, _>(index).map(|value| {
                    values.push_bind(value.map(|value| untext(&value)));
                }),
                Bytes => row.try_get::<Option<Vec<u8>>, _>(index).map(|value| {
                    values.push_bind(value);
                }),
            };
            if let Err(error) = pushed {
                failure.get_or_insert(error);
            }
        }
    });
    if let Some(error) = failure {
        return Err(error.into());
    }
    builder.build().persistent(false).execute(target).await?;
    Ok(())
}
