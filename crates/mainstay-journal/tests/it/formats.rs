//! Formats of the file: an older one is brought up to date, a newer one is left alone.

use mainstay_journal::JournalError;
use mainstay_journal::sqlite::FORMAT;

use crate::durable::raw;
use crate::support::{open, try_open};

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    open(dir.path()).await.close().await;
    let mut connection = raw(dir.path()).await;
    for found in [FORMAT + 1, -1] {
        sqlx::query("UPDATE meta SET value = $1 WHERE name = 'format'")
            .bind(found)
            .execute(&mut connection)
            .await
            .expect("the format can be set");
        match try_open(dir.path()).await {
            Err(JournalError::Format {
                found: seen,
                supported,
            }) => assert_eq!((seen, supported), (found, FORMAT)),
            other => panic!("expected a format error, got {:?}", other.err()),
        }
    }
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'")
        .fetch_one(&mut connection)
        .await
        .expect("the tables can be counted");
    assert!(tables > 0);
}

#[tokio::test]
async fn a_file_of_the_first_format_is_read_and_brought_up_to_date() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    open(dir.path()).await.close().await;
    let mut connection = raw(dir.path()).await;
    // As the first format had it, with an effect that waits.
    for statement in [
        "DROP INDEX outbox_lane",
        "ALTER TABLE outbox DROP COLUMN lane",
        "ALTER TABLE outbox DROP COLUMN urgency",
        "UPDATE meta SET value = 1 WHERE name = 'format'",
        "INSERT INTO outbox (key, effect, cause, due_ms, attempts, possible_duplicate) VALUES
             ('old', '{\"body\": {\"deliver\": {\"channel\": \"sms\"}}}', x'00', 0, 0, 0),
             ('older', NULL, x'00', 0, 0, 0)",
    ] {
        let done = sqlx::query(statement).execute(&mut connection).await;
        done.expect("the statement is sound");
    }
    open(dir.path()).await.close().await;
    let format: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'format'")
        .fetch_one(&mut connection)
        .await
        .expect("a format");
    let waiting: Vec<(i64, String)> = sqlx::query_as("SELECT urgency, lane FROM outbox ORDER BY number")
        .fetch_all(&mut connection)
        .await
        .expect("the effects");
    assert_eq!(format, FORMAT);
    assert_eq!(waiting, [(1, "sms".to_owned()), (1, "act".to_owned())]);
}
