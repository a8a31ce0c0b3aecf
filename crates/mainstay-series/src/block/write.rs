//! Writing block files.

use std::path::PathBuf;

use mainstay_segment::SealedWriter;

use super::{Block, GROUP_ENTRIES, MAGIC, TIER_MAGIC, TIER_VERSION, VERSION};
use crate::chunk::{Chunk, HistogramPoint};
use crate::codec::{Packing, put_int, put_uint};
use crate::error::SeriesError;
use crate::known::Known;
use crate::table::{self, TableEntry};
use crate::tier::Record;

/// Samples in one chunk: more make the file smaller and the edge of a window dearer. Two hours at one sample each 15 s
/// are one chunk, and half a day at one each 30 s.
const CHUNK_SAMPLES: usize = 1440;
/// Native histograms in one chunk.
const CHUNK_HISTOGRAMS: usize = 120;

/// Gathers series, in rising order of id, and writes them as one block file.
pub(crate) struct BlockWriter {
    path: PathBuf,
    file: SealedWriter,
    /// The width of its slices, if it is a file of a tier.
    width_ms: Option<i64>,
    packing: Packing,
    series: Vec<TableEntry>,
    headers: Vec<u8>,
    /// Per series: length and offset of its header, offset of its payload.
    places: Vec<(u32, u64, u64)>,
    samples: u64,
    range: Option<(i64, i64)>,
}

fn of_histograms(histograms: &[HistogramPoint]) -> impl Iterator<Item = (Chunk, Known)> {
    let runs = histograms.chunks(CHUNK_HISTOGRAMS);
    runs.map(|run| (Chunk::encode_histograms(run), Known::Unread))
}

impl BlockWriter {
    /// A file that is packed tightly is one that stays; others are merged soon.
    pub(crate) fn create(path: PathBuf, packing: Packing) -> Result<Self, SeriesError> {
        let file = SealedWriter::create(&path, MAGIC, VERSION)?;
        Ok(Self::of(path, file, None, packing))
    }

    /// A file of a tier with slices of this width.
    pub(crate) fn create_tier(path: PathBuf, width_ms: i64) -> Result<Self, SeriesError> {
        let file = SealedWriter::create(&path, TIER_MAGIC, TIER_VERSION)?;
        Ok(Self::of(path, file, Some(width_ms), Packing::Tight))
    }

    fn of(path: PathBuf, file: SealedWriter, width_ms: Option<i64>, packing: Packing) -> Self {
        Self {
            packing,
            file,
            width_ms,
            path,
            series: Vec::new(),
            headers: Vec::new(),
            places: Vec::new(),
            samples: 0,
            range: None,
        }
    }

    /// Adds a series with its samples, each kind in rising order of time.
    pub(crate) fn push(
        &mut self,
        entry: TableEntry,
        samples: &[(i64, f64)],
        histograms: &[HistogramPoint],
    ) -> Result<(), SeriesError> {
        if samples.is_empty() && histograms.is_empty() {
            return Ok(());
        }
        let packing = self.packing;
        let floats = samples
            .chunks(CHUNK_SAMPLES)
            .map(|run| (Chunk::encode(run, packing), Known::of(run)));
        let chunks = floats.chain(of_histograms(histograms)).collect();
        self.push_chunks(entry, chunks, None)
    }

    /// Adds a series with its records and the native histograms that are kept of it.
    pub(crate) fn push_records(
        &mut self,
        entry: TableEntry,
        records: &[Record],
        histograms: &[HistogramPoint],
    ) -> Result<(), SeriesError> {
        let mut known = Known::Nothing;
        let mut chunks = Vec::new();
        if !records.is_empty() {
            for run in records.iter().filter_map(|record| record.run.clone()) {
                known.join(&Known::Run(run));
            }
            // What is known of all records stands once, in front of them.
            chunks.push((Chunk::encode_records(records), Known::Unread));
        }
        chunks.extend(of_histograms(histograms));
        if chunks.is_empty() {
            return Ok(());
        }
        self.push_chunks(entry, chunks, histograms.is_empty().then_some(known))
    }

    /// Adds chunks, and what is known of all of them if that is not what is known of each.
    fn push_chunks(
        &mut self,
        entry: TableEntry,
        chunks: Vec<(Chunk, Known)>,
        known: Option<Known>,
    ) -> Result<(), SeriesError> {
        let whole = known.unwrap_or_else(|| {
            let mut whole = Known::Nothing;
            chunks.iter().for_each(|(_, known)| whole.join(known));
            whole
        });
        let min_ms = chunks
            .iter()
            .map(|(chunk, _)| chunk.min_ms)
            .min()
            .unwrap_or_default();
        let max_ms = chunks
            .iter()
            .map(|(chunk, _)| chunk.max_ms)
            .max()
            .unwrap_or_default();
        let count = chunks.iter().map(|(chunk, _)| u64::from(chunk.count)).sum();
        let mut payload = None;
        let mut list = Vec::new();
        let mut before_ms = min_ms;
        for (chunk, known) in &chunks {
            let at = self.file.push(chunk.payload())?;
            payload.get_or_insert(at);
            list.push(chunk.kind.code());
            put_int(&mut list, chunk.min_ms.wrapping_sub(before_ms));
            put_uint(&mut list, chunk.max_ms.wrapping_sub(chunk.min_ms).cast_unsigned());
            before_ms = chunk.max_ms;
            put_uint(&mut list, u64::from(chunk.count));
            put_uint(&mut list, chunk.payload().len() as u64);
            list.extend_from_slice(&crc32fast::hash(chunk.payload()).to_le_bytes());
            known.write(&mut list, chunk.min_ms, chunk.max_ms, u64::from(chunk.count));
        }
        let mut header = Vec::with_capacity(list.len() + 64);
        put_int(&mut header, min_ms);
        put_uint(&mut header, max_ms.wrapping_sub(min_ms).cast_unsigned());
        put_uint(&mut header, count);
        whole.write(&mut header, min_ms, max_ms, count);
        put_uint(&mut header, chunks.len() as u64);
        header.extend_from_slice(&list);
        let offset = self.headers.len() as u64;
        self.headers
            .extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        self.headers.extend_from_slice(&header);
        let header_len = u32::try_from(header.len() + 4).unwrap_or(u32::MAX);
        self.places
            .push((header_len, offset, payload.unwrap_or_default()));
        self.series.push(entry);
        self.samples += count;
        let (min, max) = self.range.unwrap_or((min_ms, max_ms));
        self.range = Some((min.min(min_ms), max.max(max_ms)));
        Ok(())
    }

    /// Completes the file and opens it; without samples there is none.
    pub(crate) fn finish(mut self) -> Result<Option<Block>, SeriesError> {
        let Some((min_ms, max_ms)) = self.range else {
            return Ok(None);
        };
        let headers = self.file.push(&self.headers)?;
        let mut directory = Vec::new();
        let entries: Vec<(&TableEntry, &(u32, u64, u64))> = self.series.iter().zip(&self.places).collect();
        for group in entries.chunks(GROUP_ENTRIES) {
            let from = directory.len();
            for (entry, (len, offset, payload)) in group {
                directory.extend_from_slice(&entry.id.to_le_bytes());
                directory.extend_from_slice(&len.to_le_bytes());
                directory.extend_from_slice(&(headers + offset).to_le_bytes());
                directory.extend_from_slice(&payload.to_le_bytes());
            }
            let crc = crc32fast::hash(&directory[from..]);
            directory.extend_from_slice(&crc.to_le_bytes());
        }
        let directory = self.file.push(&directory)?;
        let mut labels = Vec::new();
        table::write(&mut labels, &self.series);
        let table = self.file.push(&labels)?;
        let mut index = Vec::new();
        put_int(&mut index, min_ms);
        put_int(&mut index, max_ms);
        put_uint(&mut index, self.samples);
        for offset in [headers, directory, table] {
            put_uint(&mut index, offset);
        }
        index.extend_from_slice(&crc32fast::hash(&labels).to_le_bytes());
        put_uint(&mut index, self.series.len() as u64);
        let firsts: Vec<u32> = self
            .series
            .iter()
            .step_by(GROUP_ENTRIES)
            .map(|entry| entry.id)
            .collect();
        put_uint(&mut index, firsts.len() as u64);
        let mut before = 0;
        for first in firsts {
            put_uint(&mut index, u64::from(first.wrapping_sub(before)));
            before = first;
        }
        if let Some(width_ms) = self.width_ms {
            put_int(&mut index, width_ms);
        }
        self.file.finish(&index)?;
        Block::open(&self.path).map(Some)
    }
}
