//! Where a frame stands in its log, and what a log is told and tells when it is opened.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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
    /// How long an fsync waits for further frames when some were appended during the one before.
    pub gather: Duration,
}

impl Default for WalOptions {
    /// 32 MiB segments, 16 MiB frames, 16 GiB in all, 2 ms of gathering.
    fn default() -> Self {
        Self {
            segment_bytes: 32 << 20,
            max_frame_bytes: 16 << 20,
            max_total_bytes: 16 << 30,
            gather: Duration::from_millis(2),
        }
    }
}

/// What opening a log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Frames read back.
    pub frames: u64,
    /// The size of the segments that were read.
    pub read_bytes: u64,
    /// Bytes cut from the end of the last segment: a write that a crash interrupted.
    pub truncated_bytes: u64,
    /// Segments at the end that were removed because there is no frame in them: a crash left them half made, or what they
    /// held is lost, which cannot be told apart.
    pub removed_segments: u64,
    /// Where segments are damaged in the middle. The frames there are lost; those that can be found behind them, and the
    /// segments after them, are not.
    pub corrupt_segments: Vec<CorruptSegment>,
}

/// A part of a segment that could not be read. The file is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorruptSegment {
    /// The file.
    pub path: PathBuf,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes from there on are lost: one frame, or the rest of the file. 0 if frames are missing behind its end.
    pub skipped_bytes: u64,
}

impl fmt::Display for CorruptSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            offset,
            skipped_bytes,
        } = self;
        let path = path.display();
        if *skipped_bytes == 0 {
            return write!(
                f,
                "{path} ends at byte {offset}, and frames of the log are missing behind it"
            );
        }
        write!(
            f,
            "{path} is damaged at byte {offset}: {skipped_bytes} bytes of the log are lost"
        )
    }
}
