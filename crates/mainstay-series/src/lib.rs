//! The embedded series store: label index, write-ahead log, compressed head, immutable block files.
//!
//! A sample is acknowledged after its write-ahead frame has been fsynced; concurrent appends share one fsync. What was
//! accepted can be read again in order from the log ([`Store::replay_since`]), so that a counter which keeps its own
//! position counts every accepted sample once, whatever crashes between.
//!
//! # Cost
//! Appending is O(1) per sample in order; a late sample costs the decoding of the chunks that cover its time.
//! [`Store::select`] is O(values of the labels that regular expressions look at + series matched + samples in range,
//! rounded up to whole chunks in memory and one read per series and block file). Opening is O(log + series in the
//! blocks' indexes); no samples of blocks are read.
//!
//! # Files
//! `LOCK`, `wal/*.wal`, `blocks/*.block`, `tiers/*.tier`, `series.idx`, `tombstones`. All are versioned and checksummed; a file of a newer version
//! is refused, a damaged one is named in [`Recovery`] and the rest is served.

mod append;
mod block;
mod chunk;
mod codec;
mod compact;
mod delete;
mod error;
mod flush;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod histogram;
mod index;
mod known;
mod limits;
mod query;
mod record;
mod snapshot;
mod starts;
mod state;
mod store;
mod table;
mod tier;
mod tombstone;
mod window;

pub use append::{Appended, HistogramSample, Outcome, Row, Sample};
pub use chunk::ChunkKind;
pub use delete::{Cleaned, Deleted};
pub use error::SeriesError;
pub use flush::Maintained;
pub use index::SeriesRef;
pub use limits::SeriesLimits;
pub use mainstay_segment::Lsn;
pub use query::{Replayed, SelectedSeries};
pub use store::{Options, Recovery, Stats, Store};
pub use tier::Resolution;
pub use window::Windows;
