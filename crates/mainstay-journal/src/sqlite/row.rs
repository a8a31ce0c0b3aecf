//! Rows of the `event` table as records, and back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mainstay_kernel::{Digest, EventId};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row as _, Sqlite};

use super::storage;
use crate::envelope::{Envelope, Epoch, Partition, Personal, Record, Seq, StreamId};
use crate::seal::{self, KeyId, SubjectKey};
use crate::store::JournalError;

/// Every column, in the order that [`envelope`] reads and [`super::commit`] writes.
macro_rules! columns {
    () => {
        "seq, id, chain, position, stream, version, at_ms, recorded_at_ms, actor, cause, kind, schema, scope, epoch, \
         catalog, payload_digest, prev, hash, payload, sealed"
    };
}
pub(super) use columns;

/// A number as SQL keeps it. What Mainstay counts stays far below 2^63; a larger number finds nothing.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A page's length as SQL takes it.
pub(super) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// An instant from its milliseconds.
pub(super) fn instant(ms: i64) -> Result<Timestamp, JournalError> {
    Timestamp::from_millisecond(ms).map_err(|error| JournalError::Corrupt {
        place: "an instant".to_owned(),
        reason: error.to_string(),
    })
}

/// An event id from its bytes.
pub(super) fn event_id(bytes: &[u8]) -> Result<EventId, JournalError> {
    bytes
        .try_into()
        .map(EventId::from_bytes)
        .map_err(|_| JournalError::Corrupt {
            place: "an event id".to_owned(),
            reason: format!("it has {} bytes instead of 16", bytes.len()),
        })
}

/// The field at `index`. Its type is not checked again: the table is STRICT, and what gets past that does not survive the
/// hash.
fn field<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T, String>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get_unchecked(index).map_err(|error| error.to_string())
}

fn number<T: TryFrom<i64>>(row: &SqliteRow, index: usize) -> Result<T, String> {
    let value: i64 = field(row, index)?;
    T::try_from(value).map_err(|_| format!("column {index} holds {value}, which is out of range"))
}

fn parsed<T>(row: &SqliteRow, index: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let text: &str = field(row, index)?;
    parse(text).ok_or_else(|| format!("column {index} holds {text:?}, which cannot be read"))
}

fn bytes<const N: usize>(row: &SqliteRow, index: usize) -> Result<[u8; N], String> {
    let bytes: &[u8] = field(row, index)?;
    bytes
        .try_into()
        .map_err(|_| format!("column {index} has {} bytes instead of {N}", bytes.len()))
}

fn ms(row: &SqliteRow, index: usize) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(field(row, index)?).map_err(|error| error.to_string())
}

fn envelope(row: &SqliteRow) -> Result<Envelope, String> {
    let cause: Option<&[u8]> = field(row, 9)?;
    Ok(Envelope {
        seq: Seq(number(row, 0)?),
        id: EventId::from_bytes(bytes(row, 1)?),
        partition: parsed(row, 2, Partition::parse)?,
        position: number(row, 3)?,
        stream: StreamId(field(row, 4)?),
        version: number(row, 5)?,
        at: ms(row, 6)?,
        recorded_at: ms(row, 7)?,
        actor: parsed(row, 8, |text| text.parse().ok())?,
        cause: cause
            .map(|_| bytes(row, 9).map(EventId::from_bytes))
            .transpose()?,
        kind: field(row, 10)?,
        schema: number(row, 11)?,
        scope: parsed(row, 12, |text| serde_json::from_str(text).ok())?,
        epoch: Epoch(number(row, 13)?),
        catalog: Digest(bytes(row, 14)?),
        payload_digest: Digest(bytes(row, 15)?),
        prev: Digest(bytes(row, 16)?),
        hash: Digest(bytes(row, 17)?),
    })
}

/// What a row holds, its personal fields still sealed.
fn sealed_record(row: &SqliteRow) -> Result<Record, JournalError> {
    let record = || {
        Ok(Record {
            envelope: envelope(row)?,
            payload: field(row, 18)?,
            personal: Personal::None,
            sealed: field(row, 19)?,
        })
    };
    record().map_err(|reason| JournalError::Corrupt {
        place: format!("event number {}", field::<i64>(row, 0).unwrap_or_default()),
        reason,
    })
}

/// The records that `query` finds. Rows are decoded while SQLite's thread looks for the next ones. Keys are looked up
/// afterwards, for those that have personal fields; a key destroyed in between makes them erased, which is what its
/// destruction asked for.
pub(super) async fn records(
    connection: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<Vec<Record>, JournalError> {
    let mut records = Vec::new();
    {
        let mut rows = query.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(storage)? {
            records.push(sealed_record(&row)?);
        }
    }
    let mut keys: BTreeMap<KeyId, Option<SubjectKey>> = BTreeMap::new();
    for record in &mut records {
        let Some(id) = KeyId::of_sealed(&record.sealed) else {
            continue;
        };
        let key = match keys.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let key = key_by_id(connection, id).await?;
                new.insert(key)
            }
        };
        let envelope = &record.envelope;
        record.personal =
            seal::open(key.as_ref(), envelope.id, &record.sealed).map_err(|error| JournalError::Corrupt {
                place: format!("event number {}", envelope.seq.0),
                reason: error.to_string(),
            })?;
    }
    Ok(records)
}

async fn key_by_id(connection: &mut SqliteConnection, id: KeyId) -> Result<Option<SubjectKey>, JournalError> {
    let row = sqlx::query("SELECT id, secret FROM subject_key WHERE id = $1")
        .bind(&id.0[..])
        .fetch_optional(connection)
        .await
        .map_err(storage)?;
    row.map(|row| subject_key(&row)).transpose()
}

/// The key in a row of `id, secret`.
pub(super) fn subject_key(row: &SqliteRow) -> Result<SubjectKey, JournalError> {
    let key = || -> Result<SubjectKey, String> {
        Ok(SubjectKey {
            id: KeyId(bytes(row, 0)?),
            secret: bytes(row, 1)?,
        })
    };
    key().map_err(|reason| JournalError::Corrupt {
        place: "a data subject's key".to_owned(),
        reason,
    })
}
