//! Whoever changes a byte of an event behind the journal's back is found out, and the event is named.

use mainstay_journal::sqlite::DATABASE_FILE;
use mainstay_journal::verify::verify;
use mainstay_journal::{JournalError, NewEvent, PersonalFields};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::support::{append, entropy, event, lead, open};

/// What is done to a column: SQL for its new value.
fn changes(column: &str, kind: &str) -> Vec<String> {
    let flipped = |position: &str| {
        format!(
            "CAST(substr({column}, 1, {position} - 1) || char((unicode(substr({column}, {position}, 1)) + 1)) \
             || substr({column}, {position} + 1) AS TEXT)"
        )
    };
    match kind {
        "INTEGER" => vec![
            format!("{column} + 1"),
            format!("{column} + 1024"),
            format!("-{column}"),
        ],
        "TEXT" => vec![
            flipped("1"),
            flipped(&format!("length({column})")),
            flipped(&format!("(length({column}) / 2 + 1)")),
            "''".to_owned(),
        ],
        _ => vec![
            // The first and the last byte flipped, one byte gone, one too many.
            format!(
                "CASE WHEN hex(substr({column}, 1, 1)) = '00' THEN x'01' ELSE x'00' END || substr({column}, 2)"
            ),
            format!(
                "substr({column}, 1, length({column}) - 1)
                 || CASE WHEN hex(substr({column}, -1)) = '00' THEN x'01' ELSE x'00' END"
            ),
            format!("substr({column}, 2)"),
            format!("{column} || x'00'"),
        ],
    }
}

#[tokio::test]
async fn a_changed_byte_in_any_column_names_the_event() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let journal = open(dir.path()).await;
    let epoch = lead(&journal).await;
    let entropy = entropy(1);
    let first = event(&*entropy, "a/1", None);
    let victim = NewEvent {
        cause: Some(first.id),
        personal: Some(PersonalFields {
            subject: "ada".to_owned(),
            fields: [("phone".to_owned(), "+49 30 1".to_owned())].into(),
        }),
        ..event(&*entropy, "a/2", Some("std-001"))
    };
    let id = victim.id;
    let events = vec![
        first,
        event(&*entropy, "a/1", Some("std-001")),
        victim,
        event(&*entropy, "a/2", Some("std-001")),
        event(&*entropy, "a/1", None),
    ];
    append(&journal, epoch, events).await;
    verify(&journal).await.expect("nothing has been changed yet");

    let options = SqliteConnectOptions::new().filename(dir.path().join(DATABASE_FILE));
    let mut raw = SqliteConnection::connect_with(&options)
        .await
        .expect("a raw connection");
    let columns: Vec<(String, String)> = sqlx::query("SELECT name, type FROM pragma_table_info('event')")
        .fetch_all(&mut raw)
        .await
        .expect("the columns")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(columns.len(), 20, "{columns:?}");
    let mut tried = 0;
    for (column, kind) in &columns {
        for change in changes(column, kind) {
            // The row is kept aside and put back; a changed `seq` is found again by its rowid in the copy.
            let change = match kind.as_str() {
                "BLOB" => format!("CAST({change} AS BLOB)"),
                _ => change,
            };
            let statement = |sql: String| sqlx::raw_sql(AssertSqlSafe(sql));
            statement("CREATE TABLE aside AS SELECT * FROM event".to_owned())
                .execute(&mut raw)
                .await
                .expect("the rows are kept aside");
            let changed = statement(format!(
                "UPDATE OR FAIL event SET {column} = {change} WHERE seq = 3"
            ))
            .execute(&mut raw)
            .await;
            // A unique index refuses some changes; they cannot be made, so they need not be found.
            if changed.is_ok() {
                tried += 1;
                match verify(&journal).await {
                    Err(JournalError::Corrupt { place, reason }) => assert!(
                        place.contains(&id.to_string())
                            || place.contains("number 3")
                            || reason.contains("expected number 3"),
                        "{column} = {change}: blames {place}: {reason}"
                    ),
                    other => panic!("{column} = {change}: not found out: {other:?}"),
                }
            }
            for sql in [
                "DELETE FROM event",
                "INSERT INTO event SELECT * FROM aside",
                "DROP TABLE aside",
            ] {
                statement(sql.to_owned())
                    .execute(&mut raw)
                    .await
                    .expect("the rows are put back");
            }
        }
    }
    assert!(tried > 50, "only {tried} changes could be made");
    verify(&journal).await.expect("everything has been put back");
    sqlx::query("DELETE FROM event WHERE seq = 3")
        .execute(&mut raw)
        .await
        .expect("a row goes");
    let error = verify(&journal).await.expect_err("an event is missing");
    assert!(error.to_string().contains("expected number 3"), "{error}");
}
