//! Block files of version 1, which are read but not written any more.
//!
//! The data holds one section per series (`crc32 | chunk count | chunks`). The index holds the time range, the number
//! of samples, the series table and each section's length.

use mainstay_segment::Sealed;

use super::Span;
use crate::chunk::Chunk;
use crate::codec::Reader;
use crate::error::SeriesError;
use crate::table::{self, TableEntry};

/// Where each series' section is: id, offset, length; sorted by id.
#[derive(Debug)]
pub(super) struct Directory(Vec<(u32, u64, u32)>);

/// Reads the index of a file.
pub(super) fn open(index: &[u8]) -> Result<(Span, Directory, Vec<TableEntry>), SeriesError> {
    let mut reader = Reader::new(index, "index of a block file");
    let span = Span {
        min_ms: reader.int()?,
        max_ms: reader.int()?,
        samples: reader.uint()?,
    };
    let series = table::read(&mut reader)?;
    let mut directory = Vec::with_capacity(series.len());
    let mut offset = 0;
    for entry in &series {
        let len = reader.u32()?;
        directory.push((entry.id, offset, len));
        offset += u64::from(len);
    }
    Ok((span, Directory(directory), series))
}

impl Directory {
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|entry| entry.0)
    }

    /// The chunks of a series.
    pub(super) fn chunks(&self, file: &Sealed, id: u32) -> Result<Option<Vec<Chunk>>, SeriesError> {
        let Ok(at) = self.0.binary_search_by_key(&id, |entry| entry.0) else {
            return Ok(None);
        };
        let (_, offset, len) = self.0[at];
        let bytes = file.read_data(offset, len as usize)?;
        let mut reader = Reader::new(&bytes, "section of a block file");
        let crc = reader.u32_fixed()?;
        if crc32fast::hash(&bytes[4..]) != crc {
            return Err(file
                .corrupt(offset, "the checksum of a series' samples does not match")
                .into());
        }
        let chunks = (0..reader.count()?).map(|_| Chunk::read_v1(&mut reader));
        Ok(Some(chunks.collect::<Result<_, _>>()?))
    }
}
