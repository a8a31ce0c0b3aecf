//! Why the store refuses.

use std::path::{Path, PathBuf};

use mainstay_segment::SegmentError;

/// A failure of the series store.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Files cannot be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Another process, or another part of this one, has the directory open.
    #[error("{} is in use by another store; stop it, or choose another directory", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The store holds as many series as it may.
    #[error(
        "the store holds {limit} series, its limit; drop labels that take many values, or raise the limit"
    )]
    SeriesLimit {
        /// The limit.
        limit: usize,
    },
    /// A tenant has as many series as it may.
    #[error(
        "tenant {tenant:?} has {limit} series, its limit; drop labels that take many values, or raise the limit"
    )]
    TenantSeriesLimit {
        /// The tenant; "" of series that name none.
        tenant: String,
        /// The limit.
        limit: usize,
    },
    /// A tenant's series has more of something in its labels than it may.
    #[error("a series of tenant {tenant:?} has {found} {what}, allowed are {limit}")]
    LabelLimit {
        /// The tenant; "" of series that name none.
        tenant: String,
        /// Of what.
        what: &'static str,
        /// How much it has.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The names and values of a series' labels are too long.
    #[error("labels of {bytes} bytes, allowed are {limit_bytes}")]
    LabelsTooLarge {
        /// Their size.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A series without any label.
    #[error("a series needs at least one label")]
    NoLabels,
    /// A query would read more samples than it may.
    #[error("the selection holds more than {limit} samples; narrow it or shorten its range")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// What was deleted of block files takes as many bytes as it may.
    #[error(
        "deletions that are not cleaned up yet would take {bytes} bytes, allowed are {limit_bytes}; clean the tombstones, or delete less at a time"
    )]
    TooManyDeletions {
        /// What they would take.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The list of deletions is damaged: without it, what was deleted would come back.
    #[error(
        "{}: damaged; what was deleted and is not cleaned up yet would be seen again: bring the file back from a backup, or remove it to accept that",
        path.display()
    )]
    Deletions {
        /// The file.
        path: PathBuf,
    },
    /// A reference to a series that was removed, or that is of another store.
    #[error("no series has the reference {0}; look it up again by its labels")]
    UnknownSeries(u32),
    /// Bytes that passed their checksum do not decode: written by something else.
    #[error("damaged {what}")]
    Corrupt {
        /// What does not decode.
        what: &'static str,
    },
}

impl SeriesError {
    /// Whether bytes on disk are not what they should be: what they held is lost, other files are not concerned.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Segment(SegmentError::Corrupt { .. }) | Self::Corrupt { .. }
        )
    }

    /// In words that name the file it is about.
    pub(crate) fn in_file(&self, path: &Path) -> String {
        match self {
            // It names the file itself, and the place.
            Self::Segment(error) => error.to_string(),
            other => format!("{}: {other}", path.display()),
        }
    }

    /// Whether a limit on series or labels keeps one series out: others are not concerned.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::SeriesLimit { .. }
                | Self::TenantSeriesLimit { .. }
                | Self::LabelLimit { .. }
                | Self::LabelsTooLarge { .. }
                | Self::NoLabels
        )
    }
}
