//! Block files: the samples of a span of time, never changed once written.
//!
//! ```text
//! payloads …    the chunks of every series, in order of id
//! headers …     per series: crc32 | what is known of all its samples | its chunks, each with what is known of it
//! directory …   groups of 64 entries (id u32, header length u32, header offset u64, payload offset u64), each group
//!               followed by its crc32
//! table …       the labels of every series; read only to rebuild a lost series index
//! index         span | where the areas begin | crc32 of the table | the first id of each group
//! ```
//! In version 2, integers were packed without digits ([`crate::codec::pack`]); version 1 is [`v1`]. Both are read.
//!
//! Only the first id of each group stays in memory. A series costs one read in the directory, one for its header, and
//! one per chunk that is decoded; neighbours share the first two ([`Cursor`]).

mod section;
mod v1;
mod write;

use std::fs;
use std::path::Path;

use mainstay_segment::{Sealed, SegmentError};

use crate::codec::Reader;
use crate::error::SeriesError;
use crate::table::{self, TableEntry};

pub(crate) use section::{Cursor, Section};
pub(crate) use write::BlockWriter;

const MAGIC: [u8; 8] = *b"MSTYBLCK";
const VERSION: u32 = 3;
const MAX_INDEX_BYTES: u64 = 1 << 30;
/// How the names of block files end.
pub(crate) const EXTENSION: &str = "block";

/// Entries of the directory in one group.
const GROUP_ENTRIES: usize = 64;
const ENTRY_BYTES: usize = 4 + 4 + 8 + 8;

/// The time range of a file and the number of its samples.
#[derive(Debug, Clone, Copy)]
struct Span {
    min_ms: i64,
    max_ms: i64,
    samples: u64,
}

/// A block file, open.
#[derive(Debug)]
pub(crate) struct Block {
    file: Sealed,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) samples: u64,
    pub(crate) file_bytes: u64,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    V1(v1::Directory),
    V2(Areas),
}

/// Where the areas of a file are.
#[derive(Debug)]
struct Areas {
    headers: u64,
    directory: u64,
    table: u64,
    table_crc: u32,
    series: usize,
    /// The first id of each group of the directory.
    groups: Vec<u32>,
}

impl Block {
    /// Opens a block file.
    pub(crate) fn open(path: &Path) -> Result<Self, SeriesError> {
        let mut file = Sealed::open(path, MAGIC, VERSION, MAX_INDEX_BYTES)?;
        let index = file.take_index();
        let (span, layout) = match file.version() {
            1 => {
                let (span, directory, _) = v1::open(&index)?;
                (span, Layout::V1(directory))
            }
            _ => Areas::read(&index).map(|(span, areas)| (span, Layout::V2(areas)))?,
        };
        let file_bytes = fs::metadata(path)
            .map_err(|error| SegmentError::from_io(path, error))?
            .len();
        Ok(Self {
            file,
            min_ms: span.min_ms,
            max_ms: span.max_ms,
            samples: span.samples,
            file_bytes,
            layout,
        })
    }

    /// The series that the file names, to rebuild a lost index.
    pub(crate) fn series(&self) -> Result<Vec<TableEntry>, SeriesError> {
        let areas = match &self.layout {
            Layout::V1(_) => {
                let file = Sealed::open(self.path(), MAGIC, VERSION, MAX_INDEX_BYTES)?;
                return Ok(v1::open(file.index())?.2);
            }
            Layout::V2(areas) => areas,
        };
        let len = usize::try_from(self.file.data_len().saturating_sub(areas.table)).unwrap_or(usize::MAX);
        let bytes = self.file.read_data(areas.table, len)?;
        if crc32fast::hash(&bytes) != areas.table_crc {
            let reason = "the checksum of the series table does not match";
            return Err(self.file.corrupt(areas.table, reason).into());
        }
        table::read(&mut Reader::new(&bytes, "series table of a block file"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        self.max_ms > min_exclusive && self.min_ms <= max_inclusive
    }

    /// The ids of the series that it holds, in rising order.
    pub(crate) fn ids(&self) -> Result<Vec<u32>, SeriesError> {
        match &self.layout {
            Layout::V1(directory) => Ok(directory.ids().collect()),
            Layout::V2(areas) => {
                let mut ids = Vec::with_capacity(areas.series);
                for group in 0..areas.groups.len() {
                    ids.extend(self.group(areas, group)?.iter().map(|entry| entry.id));
                }
                Ok(ids)
            }
        }
    }

    /// The entries of one group of the directory.
    fn group(&self, areas: &Areas, group: usize) -> Result<Vec<Entry>, SeriesError> {
        let entries = areas
            .series
            .saturating_sub(group * GROUP_ENTRIES)
            .min(GROUP_ENTRIES);
        let offset = areas.directory + (group * (GROUP_ENTRIES * ENTRY_BYTES + 4)) as u64;
        let bytes = self.file.read_data(offset, entries * ENTRY_BYTES + 4)?;
        let (body, _) = bytes.split_at(entries * ENTRY_BYTES);
        let mut reader = Reader::new(&bytes, "directory of a block file");
        let read = (0..entries)
            .map(|_| {
                Ok(Entry {
                    id: reader.u32_fixed()?,
                    header_len: reader.u32_fixed()?,
                    header: reader.u64_fixed()?,
                    payload: reader.u64_fixed()?,
                })
            })
            .collect::<Result<Vec<_>, SeriesError>>()?;
        if crc32fast::hash(body) != reader.u32_fixed()? {
            let reason = "the checksum of the directory does not match";
            return Err(self.file.corrupt(offset, reason).into());
        }
        Ok(read)
    }
}

/// Decodes bytes as the index of a file of either version, and as a series' header.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode(bytes: &[u8]) -> [Result<(), SeriesError>; 3] {
    [
        Areas::read(bytes).map(drop),
        v1::open(bytes).map(drop),
        section::read_section(bytes, 0, |_, _, _| true).map(drop),
    ]
}

/// Where a series is in a file.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u32,
    header_len: u32,
    /// Offsets in the data.
    header: u64,
    payload: u64,
}

impl Areas {
    fn read(index: &[u8]) -> Result<(Span, Self), SeriesError> {
        let mut reader = Reader::new(index, "index of a block file");
        let span = Span {
            min_ms: reader.int()?,
            max_ms: reader.int()?,
            samples: reader.uint()?,
        };
        let (headers, directory, table) = (reader.uint()?, reader.uint()?, reader.uint()?);
        let table_crc = reader.u32_fixed()?;
        let series = usize::try_from(reader.uint()?).map_err(|_| reader.corrupt())?;
        let mut id = 0u32;
        let groups = (0..reader.count()?)
            .map(|_| {
                id = id.wrapping_add(reader.u32()?);
                Ok(id)
            })
            .collect::<Result<Vec<_>, SeriesError>>()?;
        if groups.len() != series.div_ceil(GROUP_ENTRIES) {
            return Err(reader.corrupt());
        }
        let areas = Self {
            headers,
            directory,
            table,
            table_crc,
            series,
            groups,
        };
        Ok((span, areas))
    }
}
