//! What can go wrong with files, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of a file operation.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The device, the quota or the process's file-size limit is exhausted. Nothing acknowledged is lost; the
    /// same call may be tried again once there is room.
    #[error("no room to write {}: {source}", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The file or its file system cannot be written.
    #[error("may not write {}: {source}", path.display())]
    ReadOnly {
        /// The file that was being written.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// Any other failure of the system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file that was being used.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The log has reached the size its owner allows.
    #[error("the write-ahead log in {} holds {held_bytes} bytes, its limit is {limit_bytes}", path.display())]
    LogFull {
        /// The log's directory.
        path: PathBuf,
        /// What it holds now.
        held_bytes: u64,
        /// What it may hold.
        limit_bytes: u64,
    },
    /// A frame is empty or larger than the log's limit for one frame.
    #[error("a frame of {bytes} bytes, allowed are 1 to {limit_bytes}")]
    FrameSize {
        /// The frame's size.
        bytes: usize,
        /// The largest size allowed.
        limit_bytes: u32,
    },
    /// An earlier fsync failed: what the system kept of the unacknowledged frames is unknown, so the log takes no
    /// more until it is opened again.
    #[error("the log was closed by a failed fsync ({reason}); open it again to recover")]
    Failed {
        /// The failure that closed it.
        reason: String,
    },
    /// Written by a newer version of this format.
    #[error("{}: format version {found}, this program reads up to {supported}", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version it bears.
        found: u32,
        /// The newest version readable here.
        supported: u32,
    },
    /// Not what it should be: wrong kind of file, damaged, cut short.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage shows.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Frames after this position were dropped before they were read.
    #[error("frames after {after} were asked for, the oldest kept is {oldest}")]
    Gap {
        /// The position asked for.
        after: u64,
        /// The oldest frame still kept.
        oldest: u64,
    },
}

impl SegmentError {
    /// The typed form of a system error on `path`.
    #[must_use]
    pub fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, source }
            }
            _ => Self::Io { path, source },
        }
    }

    /// Whether making room on the device would let the same call succeed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::LogFull { .. })
    }
}

/// Adds the path to a system error.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T, SegmentError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, SegmentError> {
        self.map_err(|source| SegmentError::from_io(path, source))
    }
}
