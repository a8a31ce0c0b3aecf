//! The bytes of a log segment.
//!
//! ```text
//! header: magic [8] | version u32 | first_lsn u64 | crc u32
//! frame:  len u32 | crc32(payload) u32 | payload
//! ```
//! All numbers are little-endian. A frame is never empty, so a tail of zeros (as some file systems leave after a
//! power cut) is not mistaken for frames.

use std::path::Path;

use crate::error::SegmentError;
use crate::sealed::{read_u32, read_u64};

const MAGIC: [u8; 8] = *b"MSTAYWAL";
const VERSION: u32 = 1;

/// The size of a segment's header.
pub(crate) const HEADER_BYTES: usize = 8 + 4 + 8 + 4;
/// What a frame takes beside its payload.
pub(crate) const FRAME_OVERHEAD: usize = 8;

/// The header of a segment whose first frame will be `first_lsn`.
pub(crate) fn header(first_lsn: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&first_lsn.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Checks a segment's header: `Ok(None)` if it is damaged.
pub(crate) fn read_header(path: &Path, bytes: &[u8]) -> Result<Option<u64>, SegmentError> {
    if bytes.len() < HEADER_BYTES
        || bytes[..8] != MAGIC
        || crc32fast::hash(&bytes[..20]) != read_u32(&bytes[20..])
    {
        return Ok(None);
    }
    match read_u32(&bytes[8..]) {
        VERSION => Ok(Some(read_u64(&bytes[12..]))),
        found => Err(SegmentError::UnsupportedVersion {
            path: path.to_path_buf(),
            found,
            supported: VERSION,
        }),
    }
}

/// Puts `payload` as one frame into `out`.
pub(crate) fn encode(payload: &[u8], len: u32, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Why reading a segment stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At its last byte.
    Clean,
    /// At a frame that a crash left half-written: nothing can follow it.
    Torn,
    /// At a damaged frame with more behind it.
    Damaged,
}

/// How many bytes are looked at, at most, for a sound frame behind a damaged one.
const LOOKED_AT_MAX_BYTES: usize = 64 << 20;

/// What stands at a place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A sound frame: its payload.
    Sound(&'a [u8]),
    /// A damaged one whose length still leads to a sound one: it alone is lost.
    Damaged {
        /// Where it begins.
        offset: usize,
        /// Its size.
        bytes: usize,
    },
}

/// Walks over the frames of a segment.
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Frames<'a> {
    /// Those of a whole segment, header included.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            offset: HEADER_BYTES.min(bytes.len()),
        }
    }

    /// Those of a part that begins at a frame.
    pub(crate) fn bare(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Why there is no further frame.
    pub(crate) fn end(&self) -> End {
        let rest = &self.bytes[self.offset..];
        if rest.is_empty() {
            return End::Clean;
        }
        let reaches_end =
            rest.len() < FRAME_OVERHEAD || FRAME_OVERHEAD + read_u32(rest) as usize >= rest.len();
        if rest.iter().all(|byte| *byte == 0) || (reaches_end && !self.is_sound_behind()) {
            End::Torn
        } else {
            End::Damaged
        }
    }

    /// Whether a sound frame begins anywhere behind this place: then what stands here was whole once, and a length that
    /// reaches to the end is damage, not a torn write.
    fn is_sound_behind(&self) -> bool {
        let mut left = LOOKED_AT_MAX_BYTES;
        (self.offset + 1..self.bytes.len()).any(|at| match declared(self.bytes, at) {
            Some((payload, crc)) if payload.len() <= left => {
                left -= payload.len();
                crc32fast::hash(payload) == crc
            }
            _ => false,
        })
    }
}

/// The payload and the checksum that a frame at this place would have, if it fits.
fn declared(bytes: &[u8], at: usize) -> Option<(&[u8], u32)> {
    let rest = bytes.get(at..).filter(|rest| rest.len() > FRAME_OVERHEAD)?;
    let payload = rest[FRAME_OVERHEAD..].get(..read_u32(rest) as usize)?;
    (!payload.is_empty()).then(|| (payload, read_u32(&rest[4..])))
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (payload, crc) = declared(self.bytes, self.offset)?;
        let (offset, bytes) = (self.offset, FRAME_OVERHEAD + payload.len());
        let frame = if crc32fast::hash(payload) == crc {
            Frame::Sound(payload)
        } else {
            declared(self.bytes, offset + bytes).filter(|(next, crc)| crc32fast::hash(next) == *crc)?;
            Frame::Damaged { offset, bytes }
        };
        self.offset += bytes;
        Some(frame)
    }
}
