//! Remote write out, 1.0 and 2.0: what the store's log holds goes to a receiver, every sample of it, across restarts of
//! both sides.
//!
//! What is sent next is decided by a pure core, [`Queue`]; [`Sender`] adds HTTP and timers and nothing else.

mod histogram;
mod message;
mod proto;
mod queue;
mod sender;

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_promql::SampleValue;

pub use proto::{Families, Metadata, Protocol, encode, encode_metadata, with_external};
pub use queue::{Checkpoint, Logged, Next, Pace, Position, Queue, Sent, Tally};
pub use sender::{Log, LogError, MetadataPace, Read, Sender, Settings};

/// One sample to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The labels of its series.
    pub labels: Arc<Labels>,
    /// When the series' counter began, if that is known, in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// Its time, in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value; the bits of a NaN are kept, stale markers among them.
    pub value: SampleValue,
}
