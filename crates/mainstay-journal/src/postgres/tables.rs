//! The tables that a journal of one binary and one of many replicas have in common, and how their rows are read for the
//! other, whichever way they go.

use futures::{Stream, TryStreamExt as _};
use sqlx::{ColumnIndex, Decode, Row, Type};

/// The most rows of one statement (of at most 65,535 values), and the most bytes after which it ends.
const ROWS_PER_STATEMENT: usize = 1_000;
const STATEMENT_BYTES: usize = 16 << 20;

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Number,
    Text,
    Bytes,
    Truth,
}

use Form::{Bytes, Number, Text, Truth};

/// The tables that are the same in both, in no order: nothing refers to anything.
pub(super) const TABLES: &[(&str, &[(&str, Form)])] = &[
    (
        "event",
        &[
            ("seq", Number),
            ("id", Bytes),
            ("chain", Text),
            ("position", Number),
            ("stream", Text),
            ("version", Number),
            ("at_ms", Number),
            ("recorded_at_ms", Number),
            ("actor", Text),
            ("cause", Bytes),
            ("kind", Text),
            ("schema", Number),
            ("scope", Text),
            ("epoch", Number),
            ("catalog", Bytes),
            ("payload_digest", Bytes),
            ("prev", Bytes),
            ("hash", Bytes),
            ("payload", Bytes),
            ("sealed", Bytes),
        ],
    ),
    ("chain", &[("name", Text), ("position", Number), ("hash", Bytes)]),
    (
        "outbox",
        &[
            ("number", Number),
            ("key", Text),
            ("effect", Text),
            ("cause", Bytes),
            ("due_ms", Number),
            ("attempts", Number),
            ("claim_epoch", Number),
            ("claim_until_ms", Number),
            ("possible_duplicate", Truth),
            ("over_at_ms", Number),
            ("urgency", Number),
            ("lane", Text),
        ],
    ),
    (
        "timer",
        &[
            ("key", Text),
            ("due_ms", Number),
            ("machine", Text),
            ("payload", Text),
            ("cause", Bytes),
        ],
    ),
    ("cursor", &[("subscription", Text), ("seq", Number)]),
    ("catalog", &[("digest", Bytes), ("bytes", Bytes)]),
    (
        "snapshot",
        &[
            ("machine", Text),
            ("seq", Number),
            ("schema", Number),
            ("bytes", Bytes),
        ],
    ),
    (
        "subject_key",
        &[("subject", Text), ("id", Bytes), ("secret", Bytes)],
    ),
];

/// The columns as a statement lists them.
pub(super) fn names(columns: &[(&str, Form)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The next rows, as many as one statement takes; none once there are no more.
pub(super) async fn next_piece<R>(
    rows: &mut (impl Stream<Item = Result<R, sqlx::Error>> + Unpin),
    columns: &[(&str, Form)],
) -> Result<Vec<R>, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> Option<&'r [u8]>: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut piece = Vec::new();
    let mut bytes = 0;
    while piece.len() < ROWS_PER_STATEMENT && bytes < STATEMENT_BYTES {
        let Some(row) = rows.try_next().await? else {
            break;
        };
        for (index, (_, form)) in columns.iter().enumerate() {
            if let Bytes = form {
                bytes += row.try_get::<Option<&[u8]>, _>(index)?.map_or(0, <[u8]>::len);
            }
        }
        piece.push(row);
    }
    Ok(piece)
}
