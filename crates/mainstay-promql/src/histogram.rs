//! What is computed from native histograms. The data is [`mainstay_kernel::histogram::Histogram`].
//!
//! [`buckets`] shows a histogram as intervals with counts. Sums and differences are formed in a `Tally`, which brings
//! two histograms to a common resolution, a common zero bucket and common bounds of their own, as Prometheus does.

mod bucket;
mod reset;
mod statistics;
mod tally;
mod text;
mod trim;

pub(crate) use bucket::same;
pub use bucket::{Bucket, buckets};
pub(crate) use reset::has_reset;
pub(crate) use statistics::{Skew, fraction, quantile, variance};
pub(crate) use tally::{Incompatible, Joined, Tally};
pub use text::text;
pub(crate) use trim::{Kept, trimmed};
