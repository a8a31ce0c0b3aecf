//! Label sets as bytes: every distinct name and value once, then each series as numbers into that list.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;

use crate::codec::{Reader, put_bytes, put_option, put_uint};
use crate::error::SeriesError;

/// A series as tables hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) id: u32,
    pub(crate) labels: Arc<Labels>,
    pub(crate) created_ms: Option<i64>,
}

/// Writes `entries`, which are in rising order of id.
pub(crate) fn write(out: &mut Vec<u8>, entries: &[TableEntry]) {
    let mut symbols: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, value) in entries.iter().flat_map(|entry| entry.labels.iter()) {
        symbols.insert(name, 0);
        symbols.insert(value, 0);
    }
    put_uint(out, symbols.len() as u64);
    for (number, (symbol, slot)) in (0..).zip(symbols.iter_mut()) {
        *slot = number;
        put_bytes(out, symbol.as_bytes());
    }
    put_uint(out, entries.len() as u64);
    let mut before = 0;
    for entry in entries {
        put_uint(out, u64::from(entry.id.wrapping_sub(before)));
        before = entry.id;
        put_option(out, entry.created_ms);
        put_uint(out, entry.labels.len() as u64);
        for (name, value) in entry.labels.iter() {
            put_uint(out, symbols[name]);
            put_uint(out, symbols[value]);
        }
    }
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
