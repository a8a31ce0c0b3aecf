//! Whole files that never change once written: data, then an index, then a versioned, checksummed footer.
//!
//! ```text
//! data … | index … | data_len u64 | index_len u64 | index_crc u32 | version u32 | magic [8] | footer_crc u32
//! ```
//! All numbers are little-endian. The footer stands last so that a file can be written in one pass and a file cut
//! short is known by its missing end. The data carries no checksum of its own here: its owner reads parts of it and
//! checks each part.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::atomic::Replacement;
use crate::error::{At, SegmentError};

const FOOTER_BYTES: usize = 8 + 8 + 4 + 4 + 8 + 4;

/// A sealed file, open for reading.
#[derive(Debug)]
pub struct Sealed {
    path: PathBuf,
    file: File,
    version: u32,
    data_len: u64,
    index: Vec<u8>,
}

impl Sealed {
    /// Opens `path`, checks footer and index, and reads the index into memory (at most `max_index_bytes`).
    ///
    /// # Errors
    /// If it cannot be read, is not of kind `magic`, is damaged, or is of a version above `supported`.
    pub fn open(
        path: &Path,
        magic: [u8; 8],
        supported: u32,
        max_index_bytes: u64,
    ) -> Result<Self, SegmentError> {
        let corrupt = |offset, reason| SegmentError::Corrupt {
            path: path.to_path_buf(),
            offset,
            reason,
        };
        let file = File::open(path).at(path)?;
        let file_len = file.metadata().at(path)?.len();
        let Some(body_len) = file_len.checked_sub(FOOTER_BYTES as u64) else {
            return Err(corrupt(0, "too short for a footer"));
        };
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, body_len).at(path)?;
        let (covered, footer_crc) = footer.split_at(FOOTER_BYTES - 4);
        if covered[24..32] != magic {
            return Err(corrupt(body_len, "not a file of this kind, or cut short"));
        }
        if crc32fast::hash(covered) != read_u32(footer_crc) {
            return Err(corrupt(body_len, "the footer's checksum does not match"));
        }
        let version = read_u32(&covered[20..24]);
        if version == 0 || version > supported {
            return Err(SegmentError::UnsupportedVersion {
                path: path.to_path_buf(),
                found: version,
                supported,
            });
        }
        let (data_len, index_len) = (read_u64(&covered[..8]), read_u64(&covered[8..16]));
        if data_len.checked_add(index_len) != Some(body_len) {
            return Err(corrupt(body_len, "the lengths in the footer do not add up"));
        }
        if index_len > max_index_bytes {
            return Err(corrupt(data_len, "the index is larger than its limit"));
        }
        let mut index = vec![0; usize::try_from(index_len).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut index, data_len).at(path)?;
        if crc32fast::hash(&index) != read_u32(&covered[16..20]) {
            return Err(corrupt(data_len, "the index's checksum does not match"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
            version,
            data_len,
            index,
        })
    }

    /// The version it was written with.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &[u8] {
        &self.index
    }

    /// Takes the index out, leaving it empty: for owners that keep it in another form.
    pub fn take_index(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.index)
    }

    /// The size of the data in bytes.
    #[must_use]
    pub fn data_len(&self) -> u64 {
        self.data_len
    }

    /// Reads `len` bytes of the data from `offset`.
    ///
    /// # Errors
    /// If the range does not lie within the data or cannot be read.
    pub fn read_data(&self, offset: u64, len: usize) -> Result<Vec<u8>, SegmentError> {
        let mut bytes = Vec::new();
        self.read_data_into(offset, len, &mut bytes)?;
        Ok(bytes)
    }

    /// [`Sealed::read_data`] into memory that is used again; what it held is gone.
    ///
    /// # Errors
    /// As `read_data`.
    pub fn read_data_into(&self, offset: u64, len: usize, bytes: &mut Vec<u8>) -> Result<(), SegmentError> {
        if offset
            .checked_add(len as u64)
            .is_none_or(|end| end > self.data_len)
        {
            return Err(self.corrupt(offset, "the index points outside the data"));
        }
        bytes.resize(len, 0);
        self.file.read_exact_at(bytes, offset).at(&self.path)
    }

    /// The error that names this file as damaged.
    #[must_use]
    pub fn corrupt(&self, offset: u64, reason: &'static str) -> SegmentError {
        SegmentError::Corrupt {
            path: self.path.clone(),
            offset,
            reason,
        }
    }
}

/// Writes a sealed file piece by piece. Nothing is at its path before [`SealedWriter::finish`].
#[derive(Debug)]
pub struct SealedWriter {
    file: Replacement,
    magic: [u8; 8],
    version: u32,
    data_len: u64,
}

impl SealedWriter {
    /// Begins a file of this kind and version, to be at `path`.
    ///
    /// # Errors
    /// If nothing can be written beside `path`.
    pub fn create(path: &Path, magic: [u8; 8], version: u32) -> Result<Self, SegmentError> {
        Ok(Self {
            file: Replacement::begin(path)?,
            magic,
            version,
            data_len: 0,
        })
    }

    /// Adds to the data and says at which offset it begins.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn push(&mut self, bytes: &[u8]) -> Result<u64, SegmentError> {
        let offset = self.data_len;
        self.file.write(bytes)?;
        self.data_len += bytes.len() as u64;
        Ok(offset)
    }

    /// Completes the file and gives its size in bytes.
    ///
    /// # Errors
    /// If it cannot be written; nothing then exists at its path that did not before.
    pub fn finish(mut self, index: &[u8]) -> Result<u64, SegmentError> {
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&self.data_len.to_le_bytes());
        footer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&crc32fast::hash(index).to_le_bytes());
        footer.extend_from_slice(&self.version.to_le_bytes());
        footer.extend_from_slice(&self.magic);
        footer.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
        self.file.write(index)?;
        self.file.write(&footer)?;
        self.file.finish()?;
        Ok(self.data_len + (index.len() + footer.len()) as u64)
    }
}

/// The first four bytes as a number; callers hand in slices of known length.
pub(crate) fn read_u32(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[..4]);
    u32::from_le_bytes(word)
}

/// The first eight bytes as a number; callers hand in slices of known length.
pub(crate) fn read_u64(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}
