//! Block files: the samples of a span of time, never changed once written.
//!
//! The data holds one section per series (`crc32 | chunk count | chunks`), so that a series costs one read. The index
//! holds the time range, the number of samples, the series table and each section's length.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_segment::{Sealed, SealedWriter, SegmentError};

use crate::chunk::Chunk;
use crate::codec::{Reader, put_int, put_uint};
use crate::error::SeriesError;
use crate::head::block_chunks;
use crate::table::{self, TableEntry};

const MAGIC: [u8; 8] = *b"MSTYBLCK";
const VERSION: u32 = 1;
const MAX_INDEX_BYTES: u64 = 1 << 30;
/// How the names of block files end.
pub(crate) const EXTENSION: &str = "block";

/// A block file, open. Of its index only the directory of sections stays in memory.
#[derive(Debug)]
pub(crate) struct Block {
    file: Sealed,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) samples: u64,
    pub(crate) file_bytes: u64,
    /// Series id, offset and length of its section; sorted by id.
    directory: Vec<(u32, u64, u32)>,
}

impl Block {
    /// Opens a block file and gives the series that it names.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<TableEntry>), SeriesError> {
        let mut file = Sealed::open(path, MAGIC, VERSION, MAX_INDEX_BYTES)?;
        let index = file.take_index();
        let mut reader = Reader::new(&index, "index of a block file");
        let (min_ms, max_ms, samples) = (reader.int()?, reader.int()?, reader.uint()?);
        let series = table::read(&mut reader)?;
        let mut directory = Vec::with_capacity(series.len());
        let mut offset = 0;
        for entry in &series {
            let len = reader.u32()?;
            directory.push((entry.id, offset, len));
            offset += u64::from(len);
        }
        let file_bytes = fs::metadata(path)
            .map_err(|error| SegmentError::from_io(path, error))?
            .len();
        let block = Self {
            file,
            min_ms,
            max_ms,
            samples,
            file_bytes,
            directory,
        };
        Ok((block, series))
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        self.max_ms > min_exclusive && self.min_ms <= max_inclusive
    }

    pub(crate) fn holds(&self, id: u32) -> bool {
        self.section(id).is_some()
    }

    fn section(&self, id: u32) -> Option<(u64, u32)> {
        let at = self.directory.binary_search_by_key(&id, |entry| entry.0).ok()?;
        Some((self.directory[at].1, self.directory[at].2))
    }

    /// Adds the series' samples of every chunk that overlaps the range to `out`.
    pub(crate) fn read(
        &self,
        id: u32,
        min_exclusive: i64,
        max_inclusive: i64,
        out: &mut Vec<(i64, f64)>,
    ) -> Result<(), SeriesError> {
        let Some((offset, len)) = self.section(id) else {
            return Ok(());
        };
        let bytes = self.file.read_data(offset, len as usize)?;
        let mut reader = Reader::new(&bytes, "section of a block file");
        let crc = reader.u32_fixed()?;
        if crc32fast::hash(&bytes[4..]) != crc {
            return Err(self
                .file
                .corrupt(offset, "the checksum of a series' samples does not match")
                .into());
        }
        for _ in 0..reader.count()? {
            let chunk = Chunk::read(&mut reader)?;
            if chunk.overlaps(min_exclusive, max_inclusive) {
                chunk.decode(out)?;
            }
        }
        Ok(())
    }
}

/// Gathers series, in rising order of id, and writes them as one block file.
pub(crate) struct BlockWriter {
    file: SealedWriter,
    series: Vec<TableEntry>,
    lengths: Vec<u64>,
    samples: u64,
    range: Option<(i64, i64)>,
}

impl BlockWriter {
    pub(crate) fn new() -> Self {
        Self {
            file: SealedWriter::new(MAGIC, VERSION),
            series: Vec::new(),
            lengths: Vec::new(),
            samples: 0,
            range: None,
        }
    }

    /// Adds a series with its samples in rising order of time.
    pub(crate) fn push(&mut self, entry: TableEntry, samples: &[(i64, f64)]) {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return;
        };
        let chunks = block_chunks(samples);
        let mut section = Vec::new();
        put_uint(&mut section, chunks.len() as u64);
        for chunk in &chunks {
            chunk.write(&mut section);
        }
        self.file.push(&crc32fast::hash(&section).to_le_bytes());
        self.file.push(&section);
        self.lengths.push(section.len() as u64 + 4);
        self.series.push(entry);
        self.samples += samples.len() as u64;
        let (min, max) = self.range.unwrap_or((first.0, last.0));
        self.range = Some((min.min(first.0), max.max(last.0)));
    }

    /// Writes the file; without samples there is none.
    pub(crate) fn finish(self, path: PathBuf) -> Result<Option<PathBuf>, SeriesError> {
        let Some((min_ms, max_ms)) = self.range else {
            return Ok(None);
        };
        let mut index = Vec::new();
        put_int(&mut index, min_ms);
        put_int(&mut index, max_ms);
        put_uint(&mut index, self.samples);
        table::write(&mut index, &self.series);
        for len in &self.lengths {
            put_uint(&mut index, *len);
        }
        self.file.finish(&path, &index)?;
        Ok(Some(path))
    }
}
