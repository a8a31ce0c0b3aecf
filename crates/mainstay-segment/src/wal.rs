//! The write-ahead log: numbered frames in rotating segment files, made durable in groups.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::atomic::{backup_by_link, files_in, sync_dir};
use crate::error::{At, SegmentError};
use crate::frame::{End, FRAME_OVERHEAD, Frames, HEADER_BYTES, encode, header, read_header};

const EXTENSION: &str = "wal";

/// The number of a frame in its log: the first is 1, later ones are larger. Numbers are never used twice; damage can
/// leave gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// Before every frame.
    pub const ZERO: Self = Self(0);

    /// The position of this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The limits of a log.
#[derive(Debug, Clone)]
pub struct WalOptions {
    /// A segment is closed when the next frame would take it beyond this size.
    pub segment_bytes: u64,
    /// The largest payload of one frame.
    pub max_frame_bytes: u32,
    /// The largest size of all segments together; beyond it `append` refuses.
    pub max_total_bytes: u64,
}

impl Default for WalOptions {
    /// 32 MiB segments, 16 MiB frames, 16 GiB in all.
    fn default() -> Self {
        Self {
            segment_bytes: 32 << 20,
            max_frame_bytes: 16 << 20,
            max_total_bytes: 16 << 30,
        }
    }
}

/// What opening a log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Frames read back.
    pub frames: u64,
    /// Bytes cut from the end of the last segment: a write that a crash interrupted.
    pub truncated_bytes: u64,
    /// Segments damaged in the middle. Their frames from the damage on are lost; the segments after them are not.
    pub corrupt_segments: Vec<CorruptSegment>,
}

/// A segment that could be read only in part. The file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorruptSegment {
    /// The file.
    pub path: PathBuf,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes from there on were not read.
    pub skipped_bytes: u64,
}

/// A write-ahead log, shared by many threads. The caller sees to it that a directory has one log open at a time.
///
/// Appending costs one `write`. Durability is a matter of group commit: the first thread that waits runs the fsync,
/// those that arrive meanwhile share the next one.
#[derive(Debug)]
pub struct Wal {
    dir: PathBuf,
    options: WalOptions,
    state: Mutex<State>,
    synced: Condvar,
    #[cfg(test)]
    fail_next_sync: std::sync::atomic::AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Size in bytes by number of the first frame; the last is the one being written.
    segments: BTreeMap<u64, u64>,
    total: u64,
    file: Arc<File>,
    path: PathBuf,
    first: u64,
    len: u64,
    next: u64,
    durable: u64,
    syncing: bool,
    failed: Option<String>,
    frame: Vec<u8>,
}

impl Wal {
    /// Opens the log in `dir` (created if need be) and hands every frame to `visit`, in order.
    ///
    /// A half-written end is cut off; any other damage ends the reading of its segment only. Both are reported.
    ///
    /// # Errors
    /// If files cannot be read or written, or a segment is of a newer format.
    pub fn open(
        dir: &Path,
        options: WalOptions,
        mut visit: impl FnMut(Lsn, &[u8]),
    ) -> Result<(Self, Recovery), SegmentError> {
        fs::create_dir_all(dir).at(dir)?;
        let mut recovery = Recovery::default();
        let mut segments = BTreeMap::new();
        let mut next = 1;
        let mut writable = None;
        let found = segment_files(dir)?;
        let last = found.len().saturating_sub(1);
        for (index, (named, path)) in found.into_iter().enumerate() {
            let bytes = fs::read(&path).at(&path)?;
            if index == last && bytes.len() < HEADER_BYTES {
                // A crash while the segment was made: it never held a frame.
                recovery.truncated_bytes += bytes.len() as u64;
                fs::remove_file(&path).at(&path)?;
                next = next.max(named);
                continue;
            }
            segments.insert(named, bytes.len() as u64);
            let sound = read_header(&path, &bytes)? == Some(named);
            let mut frames = Frames::new(if sound { &bytes } else { &[] });
            next = named;
            for payload in frames.by_ref() {
                visit(Lsn(next), payload);
                next += 1;
                recovery.frames += 1;
            }
            let offset = frames.offset() as u64;
            let rest = bytes.len() as u64 - offset;
            match (sound, frames.end()) {
                (true, End::Clean) => writable = Some((named, path, offset)),
                (true, End::Torn) if index == last => {
                    recovery.truncated_bytes += rest;
                    writable = Some((named, path, offset));
                }
                _ => {
                    // No number that the lost frames may have borne is given out again.
                    next += rest / (FRAME_OVERHEAD as u64 + 1) + 1;
                    writable = None;
                    recovery.corrupt_segments.push(CorruptSegment {
                        path,
                        offset,
                        skipped_bytes: rest,
                    });
                }
            }
        }
        let (first, path, file, len) = match writable {
            Some((first, path, len)) => {
                let file = OpenOptions::new().read(true).write(true).open(&path).at(&path)?;
                file.set_len(len).and_then(|()| file.sync_all()).at(&path)?;
                (first, path, file, len)
            }
            None => {
                let (path, file) = create_segment(dir, next)?;
                (next, path, file, HEADER_BYTES as u64)
            }
        };
        segments.insert(first, len);
        let state = State {
            total: segments.values().sum(),
            segments,
            file: Arc::new(file),
            path,
            first,
            len,
            next,
            durable: next - 1,
            syncing: false,
            failed: None,
            frame: Vec::new(),
        };
        let wal = Self {
            dir: dir.to_path_buf(),
            options,
            state: Mutex::new(state),
            synced: Condvar::new(),
            #[cfg(test)]
            fail_next_sync: false.into(),
        };
        Ok((wal, recovery))
    }

    /// Writes one frame and gives its number. It is durable only after [`Wal::sync`] or [`Wal::wait_durable`].
    ///
    /// # Errors
    /// If the payload's size is not allowed, the log is full or failed, or the system refuses; nothing is then
    /// written, and after [`SegmentError::is_full`] the same call may be repeated.
    pub fn append(&self, payload: &[u8]) -> Result<Lsn, SegmentError> {
        let len = u32::try_from(payload.len())
            .ok()
            .filter(|len| (1..=self.options.max_frame_bytes).contains(len))
            .ok_or(SegmentError::FrameSize {
                bytes: payload.len(),
                limit_bytes: self.options.max_frame_bytes,
            })?;
        let mut state = self.lock();
        state.check()?;
        let frame_bytes = FRAME_OVERHEAD as u64 + u64::from(len);
        if state.total + frame_bytes > self.options.max_total_bytes {
            return Err(SegmentError::LogFull {
                path: self.dir.clone(),
                held_bytes: state.total,
                limit_bytes: self.options.max_total_bytes,
            });
        }
        if state.len > HEADER_BYTES as u64 && state.len + frame_bytes > self.options.segment_bytes {
            self.rotate(&mut state)?;
        }
        let mut frame = std::mem::take(&mut state.frame);
        encode(payload, len, &mut frame);
        let written = state.file.write_all_at(&frame, state.len);
        state.frame = frame;
        if let Err(source) = written {
            // What was written in part must not lie behind the next frame.
            if let Err(error) = state.file.set_len(state.len) {
                state.failed = Some(error.to_string());
            }
            return Err(SegmentError::from_io(&state.path, source));
        }
        let lsn = state.next;
        state.next += 1;
        let len = state.len + frame_bytes;
        state.set_len(len);
        Ok(Lsn(lsn))
    }

    /// [`Wal::append`], then waits until the frame is durable.
    ///
    /// # Errors
    /// As `append` and [`Wal::wait_durable`].
    pub fn append_durable(&self, payload: &[u8]) -> Result<Lsn, SegmentError> {
        let lsn = self.append(payload)?;
        self.wait_durable(lsn)?;
        Ok(lsn)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// As [`Wal::wait_durable`].
    pub fn sync(&self) -> Result<(), SegmentError> {
        self.wait_durable(self.last_lsn())
    }

    /// Returns once the frame `lsn` and all before it are durable.
    ///
    /// # Errors
    /// If the fsync fails. What the system kept is then unknown, so the log takes nothing more until it is reopened.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<(), SegmentError> {
        let mut state = self.lock();
        while state.durable < lsn.0 {
            state.check()?;
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // Leader: its fsync covers every frame written by now. Segments before this one were synced when closed.
            state.syncing = true;
            let target = state.next - 1;
            let (file, path) = (Arc::clone(&state.file), state.path.clone());
            drop(state);
            let outcome = self.sync_data(&file);
            state = self.lock();
            state.syncing = false;
            match outcome {
                Ok(()) => state.durable = state.durable.max(target),
                Err(error) => state.failed = Some(format!("{}: {error}", path.display())),
            }
            self.synced.notify_all();
        }
        Ok(())
    }

    /// The number of the last frame appended, or of the last one before the log was opened.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.lock().next - 1)
    }

    /// The number of the oldest frame that is kept, or would be next.
    #[must_use]
    pub fn oldest_lsn(&self) -> Lsn {
        let state = self.lock();
        Lsn(state.segments.keys().next().copied().unwrap_or(state.next))
    }

    /// The size of all segments in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().total
    }

    /// Sees to it that every number given out from now on is above `lsn`: for a log whose end was lost while a
    /// reader's position beyond it was kept.
    ///
    /// # Errors
    /// If a new segment cannot be made.
    pub fn skip_to(&self, lsn: Lsn) -> Result<(), SegmentError> {
        let mut state = self.lock();
        state.check()?;
        if state.next <= lsn.0 {
            state.next = lsn.0 + 1;
            self.rotate(&mut state)?;
        }
        Ok(())
    }

    /// Hands every frame after `after` to `visit`, in order, up to the last one appended when the call began, once
    /// that one is durable. Gives its number.
    ///
    /// # Errors
    /// If the fsync fails, frames after `after` were already dropped ([`SegmentError::Gap`]), or a segment cannot be read.
    pub fn replay_since(&self, after: Lsn, mut visit: impl FnMut(Lsn, &[u8])) -> Result<Lsn, SegmentError> {
        let (segments, last) = {
            let state = self.lock();
            (state.segments.clone(), state.next - 1)
        };
        self.wait_durable(Lsn(last))?;
        if let Some(oldest) = segments.keys().next().filter(|oldest| **oldest > after.0 + 1) {
            return Err(SegmentError::Gap {
                after: after.0,
                oldest: *oldest,
            });
        }
        let starts: Vec<u64> = segments.keys().copied().collect();
        for (index, (first, len)) in segments.into_iter().enumerate() {
            if starts.get(index + 1).is_some_and(|next| *next <= after.0 + 1) {
                continue;
            }
            let path = segment_path(&self.dir, first);
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
            let file = File::open(&path).at(&path)?;
            file.read_exact_at(&mut bytes, 0).at(&path)?;
            if read_header(&path, &bytes)? != Some(first) {
                continue; // Reported when the log was opened.
            }
            for (lsn, payload) in (first..).zip(Frames::new(&bytes)) {
                if lsn > after.0 {
                    visit(Lsn(lsn), payload);
                }
            }
        }
        Ok(Lsn(last))
    }

    /// Drops every segment that holds only frames before `lsn`, and gives the number of bytes freed.
    ///
    /// # Errors
    /// If a file cannot be removed; those already removed stay so.
    pub fn truncate_before(&self, lsn: Lsn) -> Result<u64, SegmentError> {
        let mut state = self.lock();
        state.check()?;
        if state.next <= lsn.0 && state.len > HEADER_BYTES as u64 {
            self.rotate(&mut state)?;
        }
        let starts: Vec<u64> = state.segments.keys().copied().collect();
        let mut freed = 0;
        for pair in starts.windows(2) {
            if pair[1] > lsn.0 {
                break;
            }
            let path = segment_path(&self.dir, pair[0]);
            fs::remove_file(&path).at(&path)?;
            freed += state.forget(pair[0]);
        }
        if freed > 0 {
            sync_dir(&self.dir)?;
        }
        Ok(freed)
    }

    /// A complete copy of the log as of now in `to`, by hard links: the segment being written is closed first.
    ///
    /// # Errors
    /// If the segment cannot be closed or the links cannot be made.
    pub fn backup(&self, to: &Path) -> Result<Vec<PathBuf>, SegmentError> {
        // The lock is held so that no segment is dropped while links are made.
        let mut state = self.lock();
        state.check()?;
        if state.len > HEADER_BYTES as u64 {
            self.rotate(&mut state)?;
        }
        let current = state.path.clone();
        backup_by_link(&self.dir, to, |path| {
            path != current && path.extension().is_some_and(|extension| extension == EXTENSION)
        })
    }

    /// Closes the segment being written, durably, and begins the next.
    fn rotate(&self, state: &mut State) -> Result<(), SegmentError> {
        if let Err(error) = self.sync_data(&state.file) {
            state.failed = Some(format!("{}: {error}", state.path.display()));
            return Err(SegmentError::from_io(&state.path, error));
        }
        let (path, file) = create_segment(&self.dir, state.next)?;
        state.durable = state.next - 1;
        self.synced.notify_all();
        if state.len == HEADER_BYTES as u64 && state.first != state.next {
            // An empty segment under an older number would hide the gap.
            let first = state.first;
            state.forget(first);
            fs::remove_file(&state.path).at(&state.path)?;
        }
        state.first = state.next;
        state.path = path;
        state.file = Arc::new(file);
        state.set_len(HEADER_BYTES as u64);
        Ok(())
    }

    fn sync_data(&self, file: &File) -> std::io::Result<()> {
        #[cfg(test)]
        if self
            .fail_next_sync
            .swap(false, std::sync::atomic::Ordering::SeqCst)
        {
            return Err(std::io::Error::other("injected"));
        }
        file.sync_data()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Records the size of the segment being written.
    fn set_len(&mut self, len: u64) {
        self.len = len;
        self.total = self.total + len - self.segments.insert(self.first, len).unwrap_or_default();
    }

    /// Takes a segment out of the account and gives its size.
    fn forget(&mut self, first: u64) -> u64 {
        let len = self.segments.remove(&first).unwrap_or_default();
        self.total -= len;
        len
    }

    fn check(&self) -> Result<(), SegmentError> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(SegmentError::Failed {
                reason: reason.clone(),
            }),
        }
    }
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

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{EXTENSION}"))
}

fn create_segment(dir: &Path, first: u64) -> Result<(PathBuf, File), SegmentError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fsync_acknowledges_nothing_and_closes_the_log() {
        let dir = tempfile::tempdir().expect("a directory");
        let (wal, _) = Wal::open(dir.path(), WalOptions::default(), |_, _| {}).expect("opens");
        wal.append_durable(b"kept").expect("durable");
        wal.fail_next_sync
            .store(true, std::sync::atomic::Ordering::SeqCst);
        let refused = wal.append_durable(b"unknown").expect_err("the fsync fails");
        assert!(matches!(refused, SegmentError::Failed { .. }), "{refused}");
        let refused = wal.append(b"later").expect_err("the log is closed");
        assert!(matches!(refused, SegmentError::Failed { .. }), "{refused}");
        drop(wal);
        let mut seen = Vec::new();
        Wal::open(dir.path(), WalOptions::default(), |_, bytes| {
            seen.push(bytes.to_vec())
        })
        .expect("opens");
        assert_eq!(seen[0], b"kept");
    }
}
