//! Copies that can be opened as journals of their own, and files that go back to the release before.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{DATABASE_FILE, SqliteJournal, failed_on, for_owner, lock, schema, storage};
use crate::store::JournalError;

impl SqliteJournal {
    /// Makes a copy that can be opened as a journal of its own, while writers go on: `to` becomes a directory with the
    /// state as of one instant. The copy has the keys of personal data; a key destroyed later lives on in it.
    ///
    /// # Errors
    /// If there is a journal at `to` already, or the copy cannot be written. What is left is then no journal.
    pub async fn backup(&self, to: &Path) -> Result<(), JournalError> {
        // SQLite copies only into an empty file.
        let (partial, target) = begin(to)?;
        sqlx::query("VACUUM INTO $1")
            .bind(partial.to_string_lossy().into_owned())
            .execute(&self.readers)
            .await
            .map_err(storage)?;
        put_in_place(&partial, &target).await
    }

    /// Says of everything that waits to be sent that it may have been sent already: of a copy nobody knows what its
    /// original did afterwards. Gives how many effects that are.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub async fn doubt_waiting(&self) -> Result<u64, JournalError> {
        self.writer
            .write(|session| {
                Box::pin(async move {
                    let doubted = sqlx::query(
                        "UPDATE outbox SET possible_duplicate = 1, claim_epoch = NULL, claim_until_ms = NULL
                         WHERE over_at_ms IS NULL",
                    )
                    .execute(&mut session.connection)
                    .await
                    .map_err(storage)?;
                    Ok(doubted.rows_affected())
                })
            })
            .await
    }

    /// Brings the journal in `dir`, which no process may have open, back to an earlier format, with everything that is
    /// in it: for an earlier release. Gives the format that it had.
    ///
    /// # Errors
    /// [`JournalError::InUse`], [`JournalError::Format`] if a newer program wrote it, [`JournalError::Storage`] if there is
    /// no journal, or no such way.
    pub async fn downgrade(dir: &Path, to: i64) -> Result<i64, JournalError> {
        let database = dir.join(DATABASE_FILE);
        if !database.is_file() {
            return Err(JournalError::Storage(format!(
                "{} holds no journal",
                dir.display()
            )));
        }
        let _lock = lock(dir)?;
        let mut connection = SqliteConnectOptions::new()
            .filename(database)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(storage)?;
        let found = schema::go_back(&mut connection, to).await?;
        connection.close().await.map_err(storage)?;
        Ok(found)
    }
}

/// An empty file for a copy in `dir`, of which an earlier attempt is cleared, and the name that it gets once it is finished.
fn begin(dir: &Path) -> Result<(PathBuf, PathBuf), JournalError> {
    let target = dir.join(DATABASE_FILE);
    let partial = dir.join("journal.db.partial");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed_on(dir))?;
    if target.exists() {
        return Err(JournalError::Storage(format!(
            "{} is there already; give a new directory",
            target.display()
        )));
    }
    for_owner(&partial, true)?;
    Ok((partial, target))
}

/// A finished copy gets its name. It is in the form in which a journal is opened, so that looking at it changes no byte.
async fn put_in_place(partial: &Path, target: &Path) -> Result<(), JournalError> {
    let connection = SqliteConnectOptions::new()
        .filename(partial)
        .journal_mode(SqliteJournalMode::Wal)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(storage)?;
    connection.close().await.map_err(storage)?;
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(partial).map_err(failed_on(partial))?;
    std::fs::rename(partial, target).map_err(failed_on(target))?;
    match target.parent() {
        Some(dir) => sync(dir).map_err(failed_on(dir)),
        None => Ok(()),
    }
}

/// A new file of the format that is written, to be filled row by row and put into `dir` by [`Copy::finish`].
pub(crate) struct Copy {
    pub(crate) connection: SqliteConnection,
    partial: PathBuf,
    target: PathBuf,
}

impl Copy {
    pub(crate) async fn begin(dir: &Path) -> Result<Self, JournalError> {
        let (partial, target) = begin(dir)?;
        let mut connection = SqliteConnectOptions::new()
            .filename(&partial)
            .synchronous(SqliteSynchronous::Off)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(storage)?;
        schema::migrate(&mut connection).await?;
        Ok(Self {
            connection,
            partial,
            target,
        })
    }

    /// Everything is in it.
    pub(crate) async fn finish(self) -> Result<(), JournalError> {
        self.connection.close().await.map_err(storage)?;
        put_in_place(&self.partial, &self.target).await
    }
}
