//! Label sets as bytes: every distinct name and value once, then each series as numbers into that list.

use std::sync::Arc;

use hashbrown::HashTable;
use mainstay_kernel::Labels;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Reader, put_bytes, put_option, put_uint};
use crate::error::SeriesError;

/// A series as tables hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) id: u32,
    pub(crate) labels: Arc<Labels>,
    pub(crate) created_ms: Option<i64>,
}

/// Writes `entries`, which are in rising order of id. Symbols stand in the order in which they first occur.
pub(crate) fn write(out: &mut Vec<u8>, entries: &[TableEntry]) {
    let mut numbers: HashTable<(&str, u64)> = HashTable::new();
    let mut symbols: Vec<&str> = Vec::new();
    let mut number = |symbol| {
        let hash = |symbol: &str| xxh3_64(symbol.as_bytes());
        let slot = numbers.entry(hash(symbol), |held| held.0 == symbol, |held| hash(held.0));
        slot.or_insert_with(|| {
            symbols.push(symbol);
            (symbol, symbols.len() as u64 - 1)
        })
        .get()
        .1
    };
    let mut body = Vec::new();
    put_uint(&mut body, entries.len() as u64);
    let mut before = 0;
    for entry in entries {
        put_uint(&mut body, u64::from(entry.id.wrapping_sub(before)));
        before = entry.id;
        put_option(&mut body, entry.created_ms);
        put_uint(&mut body, entry.labels.len() as u64);
        for (name, value) in entry.labels.iter() {
            put_uint(&mut body, number(name));
            put_uint(&mut body, number(value));
        }
    }
    put_uint(out, symbols.len() as u64);
    for symbol in symbols {
        put_bytes(out, symbol.as_bytes());
    }
    out.extend_from_slice(&body);
}

/// Reads what [`write`] wrote.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Vec<TableEntry>, SeriesError> {
    let symbols = (0..reader.count()?)
        .map(|_| reader.string())
        .collect::<Result<Vec<_>, _>>()?;
    let mut entries = Vec::new();
    let mut id = 0u32;
    for _ in 0..reader.count()? {
        id = id.wrapping_add(reader.u32()?);
        let created_ms = reader.option()?;
        let mut pairs = Vec::new();
        for _ in 0..reader.count()? {
            let mut symbol = || {
                let number = usize::try_from(reader.uint()?).unwrap_or(usize::MAX);
                symbols.get(number).copied().ok_or_else(|| reader.corrupt())
            };
            pairs.push((symbol()?, symbol()?));
        }
        entries.push(TableEntry {
            id,
            labels: Arc::new(pairs.into_iter().collect()),
            created_ms,
        });
    }
    Ok(entries)
}
