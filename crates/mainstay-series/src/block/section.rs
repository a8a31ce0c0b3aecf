//! Reading the series of a block file, one after another.

mod masked;

use std::sync::Arc;

use super::{Areas, Block, Entry, Layout};
use crate::chunk::{Chunk, ChunkKind, HistogramPoint};
use crate::codec::Reader;
use crate::error::SeriesError;
use crate::known::Known;
use crate::tombstone::{Mask, Ranges};

/// The most samples that a chunk of a block file may say it has.
const MAX_CHUNK_SAMPLES: u32 = 1 << 14;
/// Headers that lie together are read together, up to this many bytes.
const MAX_AHEAD_BYTES: u64 = 64 << 10;

/// Reads series of one block file. Those asked for in rising order of id share reads.
pub(crate) struct Cursor<'b> {
    block: &'b Block,
    mask: Arc<Mask>,
    /// The group of the directory at hand.
    group: Option<(usize, Vec<Entry>)>,
    /// The part of the headers at hand, and where it begins.
    headers: (u64, Vec<u8>),
    ahead_bytes: u64,
}

/// A series in a block file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    /// What is known of all its samples.
    pub(crate) known: Known,
    pub(crate) chunks: Vec<Placed>,
}

/// A chunk, and where its samples are.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) kind: ChunkKind,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) known: Known,
    count: u32,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Here(Chunk),
    File { offset: u64, len: u32, crc: u32 },
}

impl Placed {
    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        self.max_ms > min_exclusive && self.min_ms <= max_inclusive
    }
}

impl Block {
    /// Reads series of this file.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            block: self,
            mask: self.mask(),
            group: None,
            headers: (0, Vec::new()),
            ahead_bytes: 0,
        }
    }
}

impl Cursor<'_> {
    /// Whether the file holds the series, and not everything of it was deleted.
    pub(crate) fn holds(&mut self, id: u32) -> Result<bool, SeriesError> {
        if self.mask.get(&id).is_some_and(Ranges::are_all) {
            return Ok(false);
        }
        match &self.block.layout {
            Layout::V1(directory) => Ok(directory.ids().any(|held| held == id)),
            Layout::V2(areas) => Ok(self.entry(areas, id)?.is_some()),
        }
    }

    /// Whether the file holds records.
    pub(crate) fn is_condensed(&self) -> bool {
        self.block.width_ms != 0
    }

    /// The series, if the file holds it, without what was deleted. Its chunks are listed only if `wanted` says so of its
    /// times.
    pub(crate) fn section(
        &mut self,
        id: u32,
        wanted: impl FnOnce(i64, i64, &Known) -> bool,
    ) -> Result<Option<Section>, SeriesError> {
        if !self.mask.contains_key(&id) {
            return self.written(id, wanted);
        }
        match self.written(id, |_, _, _| true)? {
            Some(section) => self.left_of(id, section),
            None => Ok(None),
        }
    }

    /// The series as it was written.
    fn written(
        &mut self,
        id: u32,
        wanted: impl FnOnce(i64, i64, &Known) -> bool,
    ) -> Result<Option<Section>, SeriesError> {
        let block = self.block;
        match &block.layout {
            Layout::V1(directory) => Ok(directory.chunks(&block.file, id)?.map(of_v1)),
            Layout::V2(areas) => {
                let Some(entry) = self.entry(areas, id)? else {
                    return Ok(None);
                };
                let header = self.header(areas, &entry)?;
                read_section(header, entry.payload, wanted).map(Some)
            }
        }
    }

    /// The samples of a chunk.
    pub(crate) fn load(&self, placed: &Placed) -> Result<Chunk, SeriesError> {
        match &placed.place {
            Place::Here(chunk) => Ok(chunk.clone()),
            Place::File { offset, len, crc } => {
                let bytes = self.block.file.read_data(*offset, *len as usize)?;
                if crc32fast::hash(&bytes) != *crc {
                    let reason = "the checksum of a series' samples does not match";
                    return Err(self.block.file.corrupt(*offset, reason).into());
                }
                Ok(Chunk::from_parts(
                    placed.kind,
                    placed.min_ms,
                    placed.max_ms,
                    placed.count,
                    &bytes,
                ))
            }
        }
    }

    /// Adds what the series has in every chunk that overlaps the range.
    pub(crate) fn read(
        &mut self,
        id: u32,
        min_exclusive: i64,
        max_inclusive: i64,
        samples: &mut Vec<(i64, f64)>,
        histograms: &mut Vec<HistogramPoint>,
    ) -> Result<(), SeriesError> {
        let Some(section) = self.section(id, |min_ms, max_ms, _| {
            max_ms > min_exclusive && min_ms <= max_inclusive
        })?
        else {
            return Ok(());
        };
        for placed in section.chunks {
            if placed.overlaps(min_exclusive, max_inclusive) {
                let chunk = self.load(&placed)?;
                chunk.decode(samples)?;
                chunk.decode_histograms(histograms)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, areas: &Areas, id: u32) -> Result<Option<Entry>, SeriesError> {
        let Some(group) = areas.groups.partition_point(|first| *first <= id).checked_sub(1) else {
            return Ok(None);
        };
        if self.group.as_ref().is_none_or(|held| held.0 != group) {
            self.group = Some((group, self.block.group(areas, group)?));
        }
        let entries = self.group.as_ref().map_or(&[][..], |held| &held.1);
        let at = entries.binary_search_by_key(&id, |entry| entry.id);
        Ok(at.ok().map(|at| entries[at]))
    }

    /// The header of a series, its checksum checked and left out.
    fn header(&mut self, areas: &Areas, entry: &Entry) -> Result<&[u8], SeriesError> {
        let (begin, held) = (self.headers.0, self.headers.1.len() as u64);
        let end = entry.header.saturating_add(u64::from(entry.header_len));
        if entry.header < begin || end > begin + held {
            // The further the reader goes on from where it was, the more it takes at once.
            let follows = held > 0 && entry.header >= begin && entry.header <= begin + held + MAX_AHEAD_BYTES;
            self.ahead_bytes = if follows {
                (self.ahead_bytes * 4).clamp(4 << 10, MAX_AHEAD_BYTES)
            } else {
                0
            };
            let area = areas.directory.saturating_sub(entry.header);
            let len = self.ahead_bytes.min(area).max(u64::from(entry.header_len));
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let mut bytes = std::mem::take(&mut self.headers.1);
            self.block.file.read_data_into(entry.header, len, &mut bytes)?;
            self.headers = (entry.header, bytes);
        }
        let from = usize::try_from(entry.header - self.headers.0).unwrap_or(usize::MAX);
        let bytes = self
            .headers
            .1
            .get(from..)
            .and_then(|rest| rest.get(..entry.header_len as usize));
        let corrupt = |reason| SeriesError::from(self.block.file.corrupt(entry.header, reason));
        let (crc, header) = bytes
            .and_then(|bytes| bytes.split_first_chunk::<4>())
            .ok_or_else(|| corrupt("a series' header lies outside its area"))?;
        if entry.header < areas.headers || crc32fast::hash(header) != u32::from_le_bytes(*crc) {
            return Err(corrupt("the checksum of a series' header does not match"));
        }
        Ok(header)
    }
}

fn of_v1(chunks: Vec<Chunk>) -> Section {
    let chunks: Vec<Placed> = chunks
        .into_iter()
        .map(|chunk| Placed {
            kind: chunk.kind,
            min_ms: chunk.min_ms,
            max_ms: chunk.max_ms,
            known: Known::Unread,
            count: chunk.count,
            place: Place::Here(chunk),
        })
        .collect();
    Section {
        min_ms: chunks.iter().map(|chunk| chunk.min_ms).min().unwrap_or_default(),
        max_ms: chunks.iter().map(|chunk| chunk.max_ms).max().unwrap_or_default(),
        known: Known::Unread,
        chunks,
    }
}

pub(super) fn read_section(
    header: &[u8],
    payload: u64,
    wanted: impl FnOnce(i64, i64, &Known) -> bool,
) -> Result<Section, SeriesError> {
    let mut reader = Reader::new(header, "header of a series in a block file");
    let min_ms = reader.int()?;
    let max_ms = min_ms.wrapping_add(reader.uint()?.cast_signed());
    let count = reader.uint()?;
    let known = Known::read(&mut reader, min_ms, max_ms, count)?;
    let mut chunks = Vec::new();
    if wanted(min_ms, max_ms, &known) {
        let (mut before_ms, mut offset) = (min_ms, payload);
        for _ in 0..reader.count()? {
            let kind = ChunkKind::of_code(reader.byte()?).ok_or_else(|| reader.corrupt())?;
            let min_ms = before_ms.wrapping_add(reader.int()?);
            let max_ms = min_ms.wrapping_add(reader.uint()?.cast_signed());
            before_ms = max_ms;
            let count = reader.u32()?;
            if count > MAX_CHUNK_SAMPLES {
                return Err(reader.corrupt());
            }
            let len = reader.u32()?;
            let crc = reader.u32_fixed()?;
            let known = Known::read(&mut reader, min_ms, max_ms, u64::from(count))?;
            chunks.push(Placed {
                kind,
                min_ms,
                max_ms,
                known,
                count,
                place: Place::File { offset, len, crc },
            });
            offset = offset.saturating_add(u64::from(len));
        }
    }
    Ok(Section {
        min_ms,
        max_ms,
        known,
        chunks,
    })
}
