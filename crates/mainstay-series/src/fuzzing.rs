//! The private decoders, for the fuzzer alone: whatever the bytes, they give a value or an error.

use crate::block;
use crate::chunk::{Chunk, ChunkKind};
use crate::codec::Reader;
use crate::record;
use crate::snapshot::Snapshot;
use crate::table;

/// The largest number of samples that a chunk is made to declare.
const COUNT_MAX: u32 = 4096;

/// A chunk: kind and number of samples in the first three bytes, the compressed samples behind them.
pub fn chunk(bytes: &[u8]) {
    let Some(([kind, low, high], payload)) = bytes.split_first_chunk() else {
        return;
    };
    let kind = match kind % 3 {
        0 => ChunkKind::Float,
        1 => ChunkKind::Histogram,
        _ => ChunkKind::Records,
    };
    let count = u32::from(u16::from_le_bytes([*low, *high])) % COUNT_MAX;
    let chunk = Chunk::from_parts(kind, 0, i64::MAX, count, payload);
    drop(chunk.decode(&mut Vec::new()));
    drop(chunk.decode_histograms(&mut Vec::new()));
    drop(chunk.records());
}

/// A record of the write-ahead log.
pub fn record(bytes: &[u8]) {
    drop(record::read(bytes));
}

/// What a block file says of itself: its index (of either version), a series' header, the series table, a chunk of
/// version 1.
pub fn block(bytes: &[u8]) {
    drop(block::decode(bytes));
    drop(table::read(&mut Reader::new(bytes, "series table")));
    if let Ok(chunk) = Chunk::read_v1(&mut Reader::new(bytes, "chunk")) {
        drop(chunk.decode(&mut Vec::new()));
        drop(chunk.decode_histograms(&mut Vec::new()));
    }
}

/// The series index.
pub fn index(bytes: &[u8]) {
    drop(Snapshot::decode(bytes, 2));
}
