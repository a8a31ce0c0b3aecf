//! The tables, and how older files become newer ones.

use sqlx::sqlite::SqliteConnection;

use super::storage;
use crate::formats::Formats;
use crate::store::JournalError;

/// The statements keep to what PostgreSQL has too (partial indexes, `ON CONFLICT`), but for the names of the types.
/// Instants are milliseconds since the epoch; ids and digests are their bytes; scopes and effects are JSON.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE event (
        seq             INTEGER PRIMARY KEY,
        id              BLOB    NOT NULL UNIQUE,
        chain           TEXT    NOT NULL,
        position        INTEGER NOT NULL,
        stream          TEXT    NOT NULL,
        version         INTEGER NOT NULL,
        at_ms           INTEGER NOT NULL,
        recorded_at_ms  INTEGER NOT NULL,
        actor           TEXT    NOT NULL,
        cause           BLOB,
        kind            TEXT    NOT NULL,
        schema          INTEGER NOT NULL,
        scope           TEXT    NOT NULL,
        epoch           INTEGER NOT NULL,
        catalog         BLOB    NOT NULL,
        payload_digest  BLOB    NOT NULL,
        prev            BLOB    NOT NULL,
        hash            BLOB    NOT NULL,
        payload         BLOB,
        sealed          BLOB    NOT NULL,
        UNIQUE (stream, version)
    ) STRICT;
    CREATE INDEX event_cause ON event (cause) WHERE cause IS NOT NULL;

    CREATE TABLE chain (
        name      TEXT    NOT NULL PRIMARY KEY,
        position  INTEGER NOT NULL,
        hash      BLOB    NOT NULL
    ) STRICT;

    CREATE TABLE outbox (
        number              INTEGER PRIMARY KEY,
        key                 TEXT    NOT NULL UNIQUE,
        effect              TEXT,
        cause               BLOB    NOT NULL,
        due_ms              INTEGER NOT NULL,
        attempts            INTEGER NOT NULL,
        claim_epoch         INTEGER,
        claim_until_ms      INTEGER,
        possible_duplicate  INTEGER NOT NULL,
        over_at_ms          INTEGER
    ) STRICT;
    CREATE INDEX outbox_waiting ON outbox (due_ms, number) WHERE over_at_ms IS NULL;
    CREATE INDEX outbox_over ON outbox (over_at_ms) WHERE over_at_ms IS NOT NULL AND effect IS NOT NULL;

    CREATE TABLE timer (
        key      TEXT    NOT NULL PRIMARY KEY,
        due_ms   INTEGER NOT NULL,
        machine  TEXT    NOT NULL,
        payload  TEXT    NOT NULL,
        cause    BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX timer_due ON timer (due_ms, key);

    CREATE TABLE cursor (
        subscription  TEXT    NOT NULL PRIMARY KEY,
        seq           INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE catalog (
        digest  BLOB NOT NULL PRIMARY KEY,
        bytes   BLOB NOT NULL
    ) STRICT;

    CREATE TABLE snapshot (
        machine  TEXT    NOT NULL PRIMARY KEY,
        seq      INTEGER NOT NULL,
        schema   INTEGER NOT NULL,
        bytes    BLOB    NOT NULL
    ) STRICT;

    CREATE TABLE subject_key (
        subject  TEXT NOT NULL PRIMARY KEY,
        id       BLOB NOT NULL UNIQUE,
        secret   BLOB NOT NULL
    ) STRICT;

    CREATE TABLE lead (
        epoch     INTEGER NOT NULL,
        holder    TEXT    NOT NULL,
        until_ms  INTEGER NOT NULL
    ) STRICT;
    INSERT INTO lead (epoch, holder, until_ms) VALUES (0, '', 0);
",
    // What waits in an older file is taken for a P1.
    "ALTER TABLE outbox ADD COLUMN urgency INTEGER NOT NULL DEFAULT 1;",
    // What waits, lane by lane: a lane without room costs nothing.
    "ALTER TABLE outbox ADD COLUMN lane TEXT NOT NULL DEFAULT 'act';
     UPDATE outbox SET lane = COALESCE(effect ->> '$.body.deliver.channel', 'act') WHERE effect IS NOT NULL;
     CREATE INDEX outbox_lane ON outbox (lane, urgency, due_ms, number) WHERE over_at_ms IS NULL;",
];

const WAYS_BACK: &[&str] = &[
    "ALTER TABLE outbox DROP COLUMN urgency;",
    "DROP INDEX outbox_lane; ALTER TABLE outbox DROP COLUMN lane;",
];

/// The newest format that this program reads and the one that it writes.
pub const FORMAT: i64 = FORMATS.newest();

pub(crate) const FORMATS: Formats = Formats {
    ahead: MIGRATIONS,
    back: WAYS_BACK,
};

/// Takes one step, in one transaction with the number of the format that it reaches.
async fn take(
    connection: &mut SqliteConnection,
    step: &'static str,
    format: i64,
) -> Result<(), JournalError> {
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await
        .map_err(storage)?;
    sqlx::raw_sql(step)
        .execute(&mut *connection)
        .await
        .map_err(storage)?;
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES ('format', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(format)
    .execute(&mut *connection)
    .await
    .map_err(storage)?;
    sqlx::raw_sql("COMMIT")
        .execute(&mut *connection)
        .await
        .map_err(storage)?;
    Ok(())
}

/// Brings the file to [`FORMAT`], each step in one transaction.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    )
    .execute(&mut *connection)
    .await
    .map_err(storage)?;
    let found: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'format'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(storage)?
        .unwrap_or(0);
    for (format, step) in FORMATS.ahead(found)? {
        take(connection, step, format).await?;
    }
    Ok(())
}

/// Brings the file back to format `to`, each step in one transaction. Gives the format that it had.
pub(super) async fn go_back(connection: &mut SqliteConnection, to: i64) -> Result<i64, JournalError> {
    let found: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'format'")
        .fetch_one(&mut *connection)
        .await
        .map_err(storage)?;
    for (format, step) in FORMATS.back(found, to)? {
        take(connection, step, format).await?;
    }
    Ok(found)
}
