//! Queries: what Prometheus' HTTP API asks for, and what it gets.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_kernel::{Labels, Matcher, Reach};
use mainstay_promql::Outcome;

/// A value at an instant: milliseconds since the epoch, and the value.
pub type Sample = (i64, f64);

/// What a query may take, and how it is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryOptions {
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// How old a sample may be to count as current, in milliseconds; the default of the engine, if nothing is said.
    pub lookback_ms: Option<i64>,
}

/// An instant query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstantQuery {
    /// The expression.
    pub expr: String,
    /// At which instant, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Limits.
    pub options: QueryOptions,
    /// Whose series it sees.
    pub reach: Reach,
}

/// A range query. `start_ms <= end_ms`, `step_ms > 0`, and at most 11,000 steps: checked before it comes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeQuery {
    /// The expression.
    pub expr: String,
    /// The first instant, in milliseconds since the epoch.
    pub start_ms: i64,
    /// The last instant.
    pub end_ms: i64,
    /// The distance between instants, in milliseconds.
    pub step_ms: i64,
    /// Limits.
    pub options: QueryOptions,
    /// Whose series it sees.
    pub reach: Reach,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAnswer {
    /// The value, with what the reader should know about it.
    pub outcome: Outcome,
    /// The instant of a value that bears none, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What it cost.
    pub cost: QueryCost,
}

/// What a query cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueryCost {
    /// How long it waited for its turn, in seconds.
    pub queued_s: f64,
    /// How long its evaluation took, in seconds.
    pub evaluated_s: f64,
    /// How many samples were read from the store, each once, however many windows it lies in.
    pub samples_read: u64,
}

/// Which series are meant, in which time.
#[derive(Debug, Clone)]
pub struct Selection {
    /// All matchers of at least one of them hold; with none, every series is meant.
    pub selectors: Vec<Vec<Matcher>>,
    /// From when, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Until when.
    pub end_ms: i64,
    /// Whose series are meant.
    pub reach: Reach,
}

/// The exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// The labels of the series.
    pub labels: Arc<Labels>,
    /// Its exemplars, in order of time.
    pub exemplars: Vec<Exemplar>,
}

/// An example of what a series counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its labels: `trace_id` and the like.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its time, in milliseconds since the epoch.
    pub at_ms: i64,
}

/// A request of remote write or OTLP, as it came.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// What it says it is.
    pub content_type: Option<String>,
    /// How it is packed.
    pub content_encoding: Option<String>,
    /// Itself.
    pub body: Bytes,
    /// Whose the samples are.
    pub reach: Reach,
}

/// What became of a remote write request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The HTTP status: 204 if everything was taken.
    pub status: u16,
    /// The headers that say how much of what was taken.
    pub counts: [(&'static str, u64); 3],
    /// What was refused, and why; empty if nothing was.
    pub problem: String,
    /// When to try again, in seconds, if that is known.
    pub retry_after_s: Option<u64>,
}

/// What is answered to an OTLP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpAnswer {
    /// The HTTP status: 200 even if some of it was refused, 429 or 503 if it may be tried again.
    pub status: u16,
    /// The encoding of the body: that of the request.
    pub content_type: &'static str,
    /// What was refused, and why.
    pub body: Vec<u8>,
    /// Why the whole of it was refused, in words, if it was.
    pub problem: Option<String>,
    /// When to try again, in seconds, if that is known.
    pub retry_after_s: Option<u64>,
}

/// What is to be deleted.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The series and the time.
    pub selection: Selection,
    /// The selectors as they were written.
    pub selectors: Vec<String>,
    /// Nothing is to be deleted, only counted.
    pub dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Series of which something goes.
    pub series: u64,
    /// Their samples that go.
    pub samples: u64,
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The expression is not PromQL (Prometheus: `bad_data`).
    #[error("{0}")]
    Parse(String),
    /// A parameter is wrong (Prometheus: `bad_data`).
    #[error("{0}")]
    BadData(String),
    /// Evaluation failed (Prometheus: `execution`).
    #[error("{0}")]
    Execution(String),
    /// It took too long (Prometheus: `timeout`).
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// Whoever asks has as many queries under way as they may; `too_many_requests`, as Mimir has it.
    #[error("{0}")]
    TooMany(String),
    /// The store cannot answer (Prometheus: `internal`).
    #[error("{0}")]
    Internal(String),
}

impl QueryError {
    /// Prometheus' name for it.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Parse(_) | Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::TooMany(_) => "too_many_requests",
            Self::Internal(_) => "internal",
        }
    }

    /// The HTTP status that Prometheus gives it.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        use http::StatusCode;
        match self {
            Self::Parse(_) | Self::BadData(_) => StatusCode::BAD_REQUEST,
            Self::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
