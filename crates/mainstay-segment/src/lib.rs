//! Bytes that survive: a CRC-framed write-ahead log with group commit, versioned whole files with a checksummed
//! footer, atomic replacement and hard-link backup. Used by every store that owns files.
//!
//! Nothing here panics on what it finds on disk: a torn tail is cut and reported, damage elsewhere is named and
//! contained, and a format from the future is refused.

mod atomic;
mod error;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod position;
mod recover;
mod sealed;
mod wal;

pub use atomic::{backup_by_link, remove_temporaries, sync_dir, write_atomic};
pub use error::SegmentError;
pub use position::{CorruptSegment, Lsn, Recovery, WalOptions};
pub use sealed::{Sealed, SealedWriter};
pub use wal::Wal;
