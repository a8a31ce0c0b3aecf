//! Reading a log's segments when it is opened.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::atomic::{files_in, sync_dir};
use crate::error::{At, SegmentError};
use crate::frame::{End, FRAME_OVERHEAD, Frame, Frames, HEADER_BYTES, header, read_header};
use crate::position::{CorruptSegment, Recovery};

/// How the names of segments end.
pub(crate) const EXTENSION: &str = "wal";

/// What the segments of a directory hold.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) recovery: Recovery,
    /// Size in bytes by number of the first frame.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// The number of the next frame.
    pub(crate) next: u64,
    /// The last segment, if it can be written on: its first number, its path, and where its sound part ends.
    pub(crate) writable: Option<(u64, PathBuf, u64)>,
}

/// Reads every segment and hands each sound frame with its number to `visit`.
pub(crate) fn recover(dir: &Path, mut visit: impl FnMut(u64, &[u8])) -> Result<Found, SegmentError> {
    fs::create_dir_all(dir).at(dir)?;
    let mut found = Found {
        next: 1,
        ..Found::default()
    };
    let files = segment_files(dir)?;
    let last = files.len().saturating_sub(1);
    for (index, (named, path)) in files.into_iter().enumerate() {
        let bytes = fs::read(&path).at(&path)?;
        found.recovery.read_bytes += bytes.len() as u64;
        if index == last && bytes.len() < HEADER_BYTES {
            // A crash while the segment was made: it never held a frame, as far as can be told.
            found.recovery.truncated_bytes += bytes.len() as u64;
            found.recovery.removed_segments += 1;
            fs::remove_file(&path).at(&path)?;
            // Where numbers were skipped, what is written next must not seem to follow the segment before.
            found.writable = found.writable.filter(|_| named <= found.next);
            found.next = found.next.max(named);
            continue;
        }
        if let Some((_, before, end)) = found.writable.take().filter(|_| named > found.next) {
            // It ends well, but too early: cut at a frame, or whole segments behind it are gone.
            found.recovery.corrupt_segments.push(CorruptSegment {
                path: before,
                offset: end,
                skipped_bytes: 0,
            });
        }
        found.segments.insert(named, bytes.len() as u64);
        let sound = read_header(&path, &bytes)? == Some(named);
        let mut frames = Frames::new(if sound { &bytes } else { &[] });
        found.next = named;
        for frame in frames.by_ref() {
            match frame {
                Frame::Sound(payload) => {
                    visit(found.next, payload);
                    found.recovery.frames += 1;
                }
                Frame::Damaged { offset, bytes } => found.recovery.corrupt_segments.push(CorruptSegment {
                    path: path.clone(),
                    offset: offset as u64,
                    skipped_bytes: bytes as u64,
                }),
            }
            found.next += 1;
        }
        let offset = frames.offset() as u64;
        let rest = bytes.len() as u64 - offset;
        match (sound, frames.end()) {
            (true, End::Clean) => found.writable = Some((named, path, offset)),
            (true, End::Torn) if index == last => {
                found.recovery.truncated_bytes += rest;
                found.writable = Some((named, path, offset));
            }
            _ => {
                // No number that the lost frames may have borne is given out again.
                found.next += rest / (FRAME_OVERHEAD as u64 + 1) + 1;
                found.writable = None;
                found.recovery.corrupt_segments.push(CorruptSegment {
                    path,
                    offset,
                    skipped_bytes: rest,
                });
            }
        }
    }
    Ok(found)
}

/// The segments of `dir`, oldest first; a file that is not named like one is not ours.
fn segment_files(dir: &Path) -> Result<Vec<(u64, PathBuf)>, SegmentError> {
    let files = files_in(dir)?.into_iter().filter_map(|path| {
        let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
        let first = path.file_stem().filter(|_| is_segment)?.to_str()?.parse().ok()?;
        Some((first, path))
    });
    Ok(files.collect())
}

pub(crate) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{EXTENSION}"))
}

pub(crate) fn create_segment(dir: &Path, first: u64) -> Result<(PathBuf, File), SegmentError> {
    let path = segment_path(dir, first);
    let made = (|| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        file.write_all_at(&header(first), 0)?;
        file.sync_all()?;
        Ok(file)
    })();
    match made {
        Ok(file) => {
            sync_dir(dir)?;
            Ok((path, file))
        }
        Err(source) => {
            // Best effort: a segment without frames is dropped at the next opening in any case.
            let _ = fs::remove_file(&path);
            Err(SegmentError::from_io(&path, source))
        }
    }
}
