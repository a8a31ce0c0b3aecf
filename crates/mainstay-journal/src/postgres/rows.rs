//! Rows of the `event` table as records, and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mainstay_kernel::{Digest, EventId};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use super::fault::Fault;
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

/// A text as PostgreSQL keeps it. It has no U+0000 in texts, but the labels of alerts of others may, and a page must not
/// fail on one: U+0000 and U+0001 are written as U+0001 and a digit.
pub(super) fn text(plain: &str) -> Cow<'_, str> {
    if plain.contains(['\0', '\u{1}']) {
        Cow::Owned(plain.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0"))
    } else {
        Cow::Borrowed(plain)
    }
}

/// The inverse of [`text`].
pub(super) fn untext(kept: &str) -> String {
    if kept.contains('\u{1}') {
        kept.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}")
    } else {
        kept.to_owned()
    }
}

/// The most rows of one statement, and the most bytes after which it ends: bounds the message to the server.
const ROWS_PER_STATEMENT: usize = 2_000;
const STATEMENT_BYTES: usize = 16 << 20;

/// `items` in pieces for one statement each.
pub(super) fn pieces<T>(mut items: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut total = 0;
        let within = |item: &&T| {
            let fits = total <= STATEMENT_BYTES;
            total += bytes(item);
            fits
        };
        let count = items.iter().take(ROWS_PER_STATEMENT).take_while(within).count();
        let (piece, rest) = items.split_at(count);
        items = rest;
        (!piece.is_empty()).then_some(piece)
    })
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

fn field<'r, T>(row: &'r PgRow, index: usize) -> Result<T, String>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(index).map_err(|error| error.to_string())
}

fn number<T: TryFrom<i64>>(row: &PgRow, index: usize) -> Result<T, String> {
    let value: i64 = field(row, index)?;
    T::try_from(value).map_err(|_| format!("column {index} holds {value}, which is out of range"))
}

fn parsed<T>(row: &PgRow, index: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let text = untext(field(row, index)?);
    parse(&text).ok_or_else(|| format!("column {index} holds {text:?}, which cannot be read"))
}

fn bytes<const N: usize>(row: &PgRow, index: usize) -> Result<[u8; N], String> {
    let bytes: &[u8] = field(row, index)?;
    bytes
        .try_into()
        .map_err(|_| format!("column {index} has {} bytes instead of {N}", bytes.len()))
}

fn ms(row: &PgRow, index: usize) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(field(row, index)?).map_err(|error| error.to_string())
}

fn envelope(row: &PgRow) -> Result<Envelope, String> {
    let cause: Option<&[u8]> = field(row, 9)?;
    Ok(Envelope {
        seq: Seq(number(row, 0)?),
        id: EventId::from_bytes(bytes(row, 1)?),
        partition: parsed(row, 2, Partition::parse)?,
        position: number(row, 3)?,
        stream: StreamId(untext(field(row, 4)?)),
        version: number(row, 5)?,
        at: ms(row, 6)?,
        recorded_at: ms(row, 7)?,
        actor: parsed(row, 8, |text| text.parse().ok())?,
        cause: cause
            .map(|_| bytes(row, 9).map(EventId::from_bytes))
            .transpose()?,
        kind: untext(field(row, 10)?),
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
fn sealed_record(row: &PgRow) -> Result<Record, JournalError> {
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

/// The records that `query` finds. Keys are looked up afterwards, for those that have personal fields; a key destroyed
/// in between makes them erased, which is what its destruction asked for.
pub(super) async fn records(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    {
        let mut rows = query.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            records.push(sealed_record(&row)?);
        }
    }
    let sealed = |record: &Record| KeyId::of_sealed(&record.sealed);
    let wanted: BTreeSet<KeyId> = records.iter().filter_map(sealed).collect();
    if wanted.is_empty() {
        return Ok(records);
    }
    let ids: Vec<Vec<u8>> = wanted.iter().map(|id| id.0.to_vec()).collect();
    let rows = sqlx::query("SELECT id, secret FROM subject_key WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(connection)
        .await?;
    let mut keys: BTreeMap<KeyId, SubjectKey> = BTreeMap::new();
    for row in &rows {
        let key = subject_key(row)?;
        keys.insert(key.id, key);
    }
    for record in &mut records {
        let Some(id) = sealed(record) else {
            continue;
        };
        let envelope = &record.envelope;
        record.personal = seal::open(keys.get(&id), envelope.id, &record.sealed).map_err(|error| {
            JournalError::Corrupt {
                place: format!("event number {}", envelope.seq.0),
                reason: error.to_string(),
            }
        })?;
    }
    Ok(records)
}

/// The key in a row of `id, secret`.
pub(super) fn subject_key(row: &PgRow) -> Result<SubjectKey, JournalError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_everything_in_order_and_bounded() {
        let sizes: Vec<usize> = (0..5_000).map(|n| if n % 7 == 0 { 1 << 20 } else { 9 }).collect();
        let mut joined = Vec::new();
        for piece in pieces(&sizes, |size| *size) {
            assert!(!piece.is_empty() && piece.len() <= ROWS_PER_STATEMENT);
            assert!(piece.iter().sum::<usize>() <= STATEMENT_BYTES + (1 << 20));
            joined.extend_from_slice(piece);
        }
        assert_eq!(joined, sizes);
    }

    #[test]
    fn every_text_comes_back() {
        for plain in ["", "plain", "\0", "\u{1}", "\u{1}0\0\u{1}1", "a\0b\u{1}\u{1}0"] {
            let kept = text(plain);
            assert!(!kept.contains('\0'));
            assert_eq!(untext(&kept), plain, "{plain:?} was kept as {kept:?}");
        }
    }
}
