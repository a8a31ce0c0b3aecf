//! The write-ahead log: numbered frames in rotating segment files, made durable in groups.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::atomic::{backup_by_link, sync_dir};
use crate::error::{At, SegmentError};
use crate::frame::{FRAME_OVERHEAD, Frame, Frames, HEADER_BYTES, encode, read_header};
use crate::position::{Lsn, Recovery, WalOptions};
use crate::recover::{EXTENSION, create_segment, recover, segment_path};

/// Readers that follow the log and are remembered, so that they need not seek.
const MAX_READERS: usize = 16;

/// A write-ahead log, shared by many threads. The caller sees to it that a directory has one log open at a time.
///
/// Appending costs one `write`. Durability is a matter of group commit: the first thread that waits runs the fsync,
/// those that arrive meanwhile share the next one. Under load it first waits [`WalOptions::gather`] for more to share.
#[derive(Debug)]
pub struct Wal {
    dir: PathBuf,
    options: WalOptions,
    state: Mutex<State>,
    synced: Condvar,
    fsyncs: AtomicU64,
    /// Where recent readers stopped: after this frame comes this offset in the segment of this first number.
    readers: Mutex<BTreeMap<u64, (u64, u64)>>,
    #[cfg(test)]
    probe: tests::Probe,
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
    /// Frames were appended while the last fsync ran.
    busy: bool,
    failed: Option<String>,
    frame: Vec<u8>,
}

impl Wal {
    /// Opens the log in `dir` (created if need be) and hands every frame to `visit`, in order.
    ///
    /// A half-written end is cut off. A damaged frame is skipped where its length still leads to the next; any other
    /// damage ends the reading of its segment only. All of it is reported.
    ///
    /// # Errors
    /// If files cannot be read or written, or a segment is of a newer format.
    pub fn open(
        dir: &Path,
        options: WalOptions,
        mut visit: impl FnMut(Lsn, &[u8]),
    ) -> Result<(Self, Recovery), SegmentError> {
        let mut found = recover(dir, |number, payload| visit(Lsn::new(number), payload))?;
        let next = found.next;
        let (first, path, file, len) = match found.writable {
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
        found.segments.insert(first, len);
        let state = State {
            total: found.segments.values().sum(),
            segments: found.segments,
            file: Arc::new(file),
            path,
            first,
            len,
            next,
            durable: next - 1,
            syncing: false,
            busy: false,
            failed: None,
            frame: Vec::new(),
        };
        let wal = Self {
            dir: dir.to_path_buf(),
            options,
            state: Mutex::new(state),
            synced: Condvar::new(),
            fsyncs: AtomicU64::new(0),
            readers: Mutex::default(),
            #[cfg(test)]
            probe: tests::Probe::default(),
        };
        Ok((wal, found.recovery))
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
        Ok(Lsn::new(lsn))
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
        while state.durable < lsn.get() {
            state.check()?;
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // Leader: its fsync covers every frame written by now. Segments before this one were synced when closed.
            state.syncing = true;
            if state.busy {
                // Others write while we sync: a moment more, and their frames share the fsync.
                let waited = self.synced.wait_timeout(state, self.options.gather);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            let target = state.next - 1;
            let (file, path) = (Arc::clone(&state.file), state.path.clone());
            drop(state);
            let outcome = self.sync_data(&file);
            state = self.lock();
            state.syncing = false;
            state.busy = state.next - 1 > target;
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
        Lsn::new(self.lock().next - 1)
    }

    /// The number of the oldest frame that is kept, or would be next.
    #[must_use]
    pub fn oldest_lsn(&self) -> Lsn {
        let state = self.lock();
        Lsn::new(state.segments.keys().next().copied().unwrap_or(state.next))
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
        if state.next <= lsn.get() {
            state.next = lsn.get() + 1;
            self.rotate(&mut state)?;
        }
        Ok(())
    }

    /// Hands every frame after `after` to `visit`, in order, up to the last one appended when the call began, once
    /// that one is durable. Gives its number. A reader that goes on where its last call ended costs O(new bytes).
    ///
    /// # Errors
    /// If the fsync fails, frames after `after` were already dropped ([`SegmentError::Gap`]), or a segment cannot be
    /// read.
    pub fn replay_since(&self, after: Lsn, mut visit: impl FnMut(Lsn, &[u8])) -> Result<Lsn, SegmentError> {
        self.replay_while(after, |lsn, frame| {
            visit(lsn, frame);
            ControlFlow::Continue(())
        })
    }

    /// As [`Wal::replay_since`], up to the frame at which `visit` breaks off. Gives the number of the last frame visited.
    ///
    /// # Errors
    /// As `replay_since`.
    pub fn replay_while(
        &self,
        after: Lsn,
        mut visit: impl FnMut(Lsn, &[u8]) -> ControlFlow<()>,
    ) -> Result<Lsn, SegmentError> {
        let (segments, last) = {
            let state = self.lock();
            (state.segments.clone(), state.next - 1)
        };
        self.wait_durable(Lsn::new(last))?;
        if let Some(oldest) = segments.keys().next().filter(|oldest| **oldest > after.get() + 1) {
            return Err(SegmentError::Gap {
                after: after.get(),
                oldest: *oldest,
            });
        }
        // The last segment that begins at or before the frame wanted.
        let seek = segments
            .range(..=after.get() + 1)
            .next_back()
            .map_or(0, |(first, _)| *first);
        let known = self.readers().remove(&after.get());
        let known = known.filter(|(first, offset)| segments.get(first).is_some_and(|len| offset <= len));
        let (start, start_offset) = known.unwrap_or((seek, 0));
        let mut stopped = (start, start_offset);
        let mut reached = last;
        for (first, len) in segments.range(start..) {
            let path = segment_path(&self.dir, *first);
            let offset = if *first == start { start_offset } else { 0 };
            let mut bytes = vec![0; usize::try_from(len - offset).unwrap_or(usize::MAX)];
            let file = File::open(&path).at(&path)?;
            file.read_exact_at(&mut bytes, offset).at(&path)?;
            let (mut frames, number) = if offset > 0 {
                (Frames::bare(&bytes), after.get() + 1)
            } else if read_header(&path, &bytes)? == Some(*first) {
                (Frames::new(&bytes), *first)
            } else {
                continue; // Reported when the log was opened.
            };
            for (lsn, frame) in (number..).zip(frames.by_ref()) {
                let Frame::Sound(payload) = frame else { continue };
                if lsn > after.get() && visit(Lsn::new(lsn), payload).is_break() {
                    reached = lsn;
                    break;
                }
            }
            stopped = (*first, offset + frames.offset() as u64);
            if reached < last {
                break;
            }
        }
        if stopped.1 > 0 {
            let mut readers = self.readers();
            while readers.len() >= MAX_READERS {
                readers.pop_first();
            }
            readers.insert(reached, stopped);
        }
        Ok(Lsn::new(reached))
    }

    /// Drops every segment that holds only frames before `lsn`, and gives the number of bytes freed.
    ///
    /// # Errors
    /// If a file cannot be removed; those already removed stay so.
    pub fn truncate_before(&self, lsn: Lsn) -> Result<u64, SegmentError> {
        let mut state = self.lock();
        state.check()?;
        if state.next <= lsn.get() && state.len > HEADER_BYTES as u64 {
            self.rotate(&mut state)?;
        }
        let starts: Vec<u64> = state.segments.keys().copied().collect();
        let mut freed = 0;
        for pair in starts.windows(2) {
            if pair[1] > lsn.get() {
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
        self.probe.sync()?;
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        file.sync_data()
    }

    /// How many fsyncs were run since it was opened.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<u64, (u64, u64)>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// Counts fsyncs, and lets the next one fail.
    #[derive(Debug, Default)]
    pub(super) struct Probe {
        syncs: AtomicU64,
        fail_next: AtomicBool,
    }

    impl Probe {
        pub(super) fn sync(&self) -> io::Result<()> {
            self.syncs.fetch_add(1, Ordering::SeqCst);
            match self.fail_next.swap(false, Ordering::SeqCst) {
                true => Err(io::Error::other("injected")),
                false => Ok(()),
            }
        }
    }

    fn open(dir: &Path) -> Wal {
        Wal::open(dir, WalOptions::default(), |_, _| {}).expect("opens").0
    }

    #[test]
    fn one_fsync_serves_all_that_wait() {
        let dir = tempfile::tempdir().expect("a directory");
        let wal = open(dir.path());
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let (wal, barrier) = (&wal, &barrier);
                scope.spawn(move || {
                    let lsn = wal.append(&[thread]).expect("appended");
                    barrier.wait();
                    wal.wait_durable(lsn).expect("durable");
                });
            }
        });
        assert_eq!(wal.probe.syncs.load(Ordering::SeqCst), 1);
        wal.sync().expect("nothing is left to do");
        assert_eq!(wal.probe.syncs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failed_fsync_acknowledges_nothing_and_closes_the_log() {
        let dir = tempfile::tempdir().expect("a directory");
        let wal = open(dir.path());
        wal.append_durable(b"kept").expect("durable");
        wal.probe.fail_next.store(true, Ordering::SeqCst);
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
