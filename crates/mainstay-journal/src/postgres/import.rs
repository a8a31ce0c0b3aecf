//! A journal of one binary becomes one of many replicas: every row of every table as it is, so that positions, hashes
//! and ids stay the same, in one transaction.

use std::collections::BTreeMap;

use sqlx::postgres::{PgConnection, Postgres};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, QueryBuilder, Row as _};

use super::fault::Fault;
use super::rows::text;
use super::tables::Form::{self, Bytes, Number, Text, Truth};
use super::tables::{TABLES, names, next_piece};
use super::{PostgresJournal, writer};
use crate::envelope::Partition;
use crate::sqlite::SqliteJournal;
use crate::store::JournalError;
use crate::verify::{Chain, verify};

impl PostgresJournal {
    /// Copies everything in `source`, which nobody may write to meanwhile, into this journal, which must be empty; then
    /// reads both in full and compares the ends of all chains. Gives the chains. The term goes on from the source's, so
    /// whoever led there leads no more once somebody leads here.
    ///
    /// # Errors
    /// If this journal is not empty, the source is damaged, or the copy is not the same: then the schema is refused from
    /// the next opening on, until it is dropped.
    pub async fn copy_from(
        &self,
        source: &SqliteJournal,
    ) -> Result<BTreeMap<Partition, Chain>, JournalError> {
        let expected = verify(source).await?;
        self.copy_rows(source).await?;
        let found = verify(self).await?;
        if found != expected {
            return Err(JournalError::Corrupt {
                place: "the copy".to_owned(),
                reason: "the ends of its chains are not those of the original".to_owned(),
            });
        }
        let mut connection = self
            .readers
            .connect_options()
            .connect()
            .await
            .map_err(Fault::from)?;
        sqlx::query("DELETE FROM meta WHERE name = 'copying'")
            .execute(&mut connection)
            .await
            .map_err(Fault::from)?;
        Ok(found)
    }

    async fn copy_rows(&self, source: &SqliteJournal) -> Result<(), Fault> {
        let mut connection = self.readers.connect_options().connect().await?;
        writer::durable(&mut connection).await?;
        let mut transaction = connection.begin().await?;
        let (epoch, head): (i64, i64) = sqlx::query_as("SELECT epoch, head FROM lead FOR UPDATE")
            .fetch_one(&mut *transaction)
            .await?;
        let mut empty = (epoch, head) == (0, 0);
        for (table, _) in TABLES {
            let any = AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {table})"));
            let any: bool = sqlx::query_scalar(any).fetch_one(&mut *transaction).await?;
            empty &= !any;
        }
        if !empty {
            return Err(JournalError::Storage(
                "the target has a journal already; a copy goes into an empty database or schema".to_owned(),
            )
            .into());
        }
        sqlx::query("INSERT INTO meta (name, value) VALUES ('copying', 1)")
            .execute(&mut *transaction)
            .await?;
        for (table, columns) in TABLES {
            copy_table(source, &mut transaction, table, columns).await?;
        }
        let term = sqlx::query("SELECT epoch, (SELECT MAX(seq) FROM event) FROM lead")
            .fetch_one(source.readers())
            .await?;
        let (epoch, head): (i64, Option<i64>) = (term.try_get(0)?, term.try_get(1)?);
        // Nobody holds a lease: the source's holder has stopped.
        sqlx::query("UPDATE lead SET epoch = $1, head = $2")
            .bind(epoch)
            .bind(head.unwrap_or(0))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "SELECT setval(pg_get_serial_sequence('outbox', 'number'), COALESCE(MAX(number), 1), COUNT(*) > 0)
             FROM outbox",
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        // The first plans should know that the tables are not empty any more. Only speed depends on it.
        let _ = sqlx::raw_sql("ANALYZE event, outbox")
            .execute(&mut connection)
            .await;
        Ok(())
    }
}

async fn copy_table(
    source: &SqliteJournal,
    target: &mut PgConnection,
    table: &str,
    columns: &[(&str, Form)],
) -> Result<(), Fault> {
    let names = names(columns);
    let select = AssertSqlSafe(format!("SELECT {names} FROM {table} ORDER BY rowid"));
    let mut rows = sqlx::query(select).fetch(source.readers());
    loop {
        let piece = next_piece(&mut rows, columns).await?;
        if piece.is_empty() {
            return Ok(());
        }
        insert(target, table, &names, columns, &piece).await?;
    }
}

async fn insert(
    target: &mut PgConnection,
    table: &str,
    names: &str,
    columns: &[(&str, Form)],
    rows: &[SqliteRow],
) -> Result<(), Fault> {
    let mut builder = QueryBuilder::<Postgres>::new(format!("INSERT INTO {table} ({names}) "));
    let mut failure = None;
    builder.push_values(rows, |mut values, row| {
        for (index, (_, form)) in columns.iter().enumerate() {
            let pushed = match form {
                Number => row.try_get::<Option<i64>, _>(index).map(|value| {
                    values.push_bind(value);
                }),
                Truth => row.try_get::<i64, _>(index).map(|value| {
                    values.push_bind(value != 0);
                }),
                Text => row.try_get::<Option<String>, _>(index).map(|value| {
                    values.push_bind(value.map(|value| text(&value).into_owned()));
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
    builder
        .build()
        .persistent(false)
        .execute(target)
        .await
        .map_err(Fault::from)?;
    Ok(())
}
