//! Prometheus remote write as a receiver reads it: 1.0 (`prometheus.WriteRequest`) and 2.0
//! (`io.prometheus.write.v2.Request`), from <https://prometheus.io/docs/specs/prw/>.
//!
//! Decoding builds nothing for a series that is already known: a series has a [`SeriesKey`] made of its label bytes as
//! they stand in the request, and [`SeriesCache`] remembers from request to request what the caller found under it.
//! Labels are decoded, checked and sorted only when the cache has no answer.
//!
//! ```text
//! let version = negotiate(content_type, content_encoding)?;
//! decompress(body, limit_bytes, &mut buffer)?;
//! let request = Request::parse(version, &buffer)?;
//! for series in request.series() {
//!     let series = series?;                       // malformed: the whole request is refused
//!     let key = series.key()?;                    // a refusal of this series alone
//!     let known = cache.get(key).unwrap_or_else(|| /* series.labels()?, then */ cache.insert(key, ...));
//!     for sample in series.samples() { ... }
//! }
//! ```
//!
//! A request of `n` bytes is read in O(n): its fields once to delimit the series, its samples once more.

mod cache;
mod histogram;
mod negotiation;
mod request;
mod series;

use mainstay_kernel::Histogram;

pub use self::cache::SeriesCache;
pub use self::negotiation::{Receipt, Refused, VERSION_HEADER, Version, negotiate};
pub use self::request::{Request, SeriesIter, type_number};
pub use self::series::{Guess, Samples, Series};
use crate::exposition::MetricKind;
pub use crate::native_histogram::HistogramRefusal;
pub use crate::sample::Exemplar;
pub use crate::series_key::SeriesKey;
pub use crate::wire::WireError;

/// A float sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Its time in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value, bit for bit: the stale marker is a NaN of its own.
    pub value: f64,
    /// When what it counts began, in milliseconds since 1970; only 2.0 can say it.
    pub start_ms: Option<i64>,
}

/// A native histogram as a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSample {
    /// Its time in milliseconds since 1970.
    pub t_ms: i64,
    /// The histogram, validated.
    pub histogram: Histogram,
    /// When what it counts began, in milliseconds since 1970; only 2.0 can say it.
    pub start_ms: Option<i64>,
}

/// What is said of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// The family's name; of 2.0 "", because there it is said of the series that it stands in.
    pub family: &'a str,
    /// What it is.
    pub kind: MetricKind,
    /// What it means.
    pub help: &'a str,
    /// Its unit.
    pub unit: &'a str,
}

/// Why a request, or a part of it, is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RemoteWriteError {
    /// A `Content-Type` other than those of remote write.
    #[error(
        "the content type {0:?} is not remote write: expected application/x-protobuf, with proto=prometheus.WriteRequest or \
         proto=io.prometheus.write.v2.Request"
    )]
    ContentType(String),
    /// A `Content-Encoding` other than snappy.
    #[error("the content encoding {0:?} is not supported: expected snappy")]
    ContentEncoding(String),
    /// More bytes than allowed, once unpacked.
    #[error("the request says that it has {declared_bytes} bytes unpacked, allowed are {limit_bytes}")]
    TooLarge {
        /// What it says.
        declared_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// Not in snappy's block format.
    #[error("the body is not snappy in block format: {0}")]
    Compression(String),
    /// No protobuf message, or another one.
    #[error("the body is no remote write message: {0}")]
    Malformed(#[from] WireError),
    /// 2.0: a table of symbols that is longer than allowed.
    #[error("the request has more than {limit} symbols")]
    TooManySymbols {
        /// What is allowed.
        limit: usize,
    },
    /// More series, samples and the like than allowed, all together.
    #[error(
        "the request has more than {limit} series, samples, histograms, exemplars and sayings about metrics"
    )]
    TooManyEntries {
        /// What is allowed.
        limit: usize,
    },
    /// Labels longer than any series may have.
    #[error("a series has labels of more than {limit_bytes} bytes")]
    LabelsTooLong {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// 2.0: the table of symbols does not begin with "".
    #[error("the first symbol must be the empty string")]
    Symbols,
    /// 2.0: a name without a value.
    #[error("a series has {0} label references: expected an even number")]
    OddReferences(usize),
    /// 2.0: no such symbol.
    #[error("a reference to symbol {reference} of {symbols}")]
    Reference {
        /// Which.
        reference: u64,
        /// How many there are.
        symbols: usize,
    },
    /// 2.0: a series with neither samples nor histograms.
    #[error("a series has neither a sample nor a histogram")]
    NoSamples,
    /// No `__name__`, or an empty one.
    #[error("a series has no metric name: {0}")]
    NoMetricName(String),
    /// A label without a name.
    #[error("a label has an empty name")]
    EmptyLabelName,
    /// A name twice.
    #[error("the label {0} stands twice in a series")]
    DuplicateLabel(String),
    /// A name or value that is no text.
    #[error("a label or symbol is not UTF-8")]
    NotUtf8,
    /// A histogram that is none, or cannot be held exactly.
    #[error(transparent)]
    Histogram(#[from] HistogramRefusal),
}

impl RemoteWriteError {
    /// Whether nothing of the request may be kept. The others refuse one series, histogram or exemplar; what becomes
    /// of the rest is told by [`Version`].
    #[must_use]
    pub fn refuses_request(&self) -> bool {
        matches!(
            self,
            Self::ContentType(_)
                | Self::ContentEncoding(_)
                | Self::TooLarge { .. }
                | Self::Compression(_)
                | Self::Malformed(_)
                | Self::TooManySymbols { .. }
                | Self::TooManyEntries { .. }
                | Self::Symbols
        )
    }

    /// The HTTP status that tells it. None of them asks the sender to try again.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::ContentType(_) | Self::ContentEncoding(_) => 415,
            Self::TooLarge { .. } | Self::TooManySymbols { .. } | Self::TooManyEntries { .. } => 413,
            _ => 400,
        }
    }
}

/// Unpacks a body in snappy's block format into `buffer`, which is made as long as what was in it.
///
/// # Errors
/// If it says that it has more than `limit_bytes`, or more than snappy can pack into its length (nothing is allocated
/// then), and if it is not snappy.
pub fn decompress(body: &[u8], limit_bytes: usize, buffer: &mut Vec<u8>) -> Result<(), RemoteWriteError> {
    /// At best 64 bytes are packed into 3.
    const RATIO_MAX: usize = 22;
    let not_snappy = |error: snap::Error| RemoteWriteError::Compression(error.to_string());
    let declared_bytes = snap::raw::decompress_len(body).map_err(not_snappy)?;
    if declared_bytes > limit_bytes {
        return Err(RemoteWriteError::TooLarge {
            declared_bytes,
            limit_bytes,
        });
    }
    if declared_bytes > body.len().saturating_mul(RATIO_MAX) {
        return Err(RemoteWriteError::Compression(format!(
            "{} bytes cannot hold the {declared_bytes} that they declare",
            body.len()
        )));
    }
    buffer.resize(declared_bytes, 0);
    snap::raw::Decoder::new()
        .decompress(body, buffer)
        .map_err(not_snappy)?;
    Ok(())
}
