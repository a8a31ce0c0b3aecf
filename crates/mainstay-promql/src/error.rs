//! What can go wrong with a query.

use crate::ast::Position;

/// A query that is not PromQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: parse error: {message}")]
pub struct ParseError {
    /// Where in the query.
    pub position: Position,
    /// What was expected or found.
    pub message: String,
}

/// The source of samples does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It failed.
    #[error("{0}")]
    Failed(String),
    /// It would have to hand out more samples than it does for one selector.
    #[error("query processing would load too many samples into memory: the limit is {limit}")]
    TooManySamples {
        /// The limit.
        limit: u64,
    },
    /// It would have to look at more series than it does for one query.
    #[error("query processing would look at too many series: the limit is {limit}")]
    TooManySeries {
        /// The limit.
        limit: u64,
    },
}

/// A query that could not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The evaluation failed; the message is the one Prometheus gives.
    #[error("{0}")]
    Execution(String),
    /// Something PromQL has and this engine does not evaluate.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// More samples than the limit allows.
    #[error("query processing would load too many samples into memory: the limit is {limit}")]
    TooManySamples {
        /// The limit.
        limit: u64,
    },
    /// More memory than the limit allows.
    #[error("query processing would take too much memory: the limit is {limit_bytes} bytes")]
    TooManyBytes {
        /// The limit.
        limit_bytes: u64,
    },
    /// More series than the source hands out to one query.
    #[error("query processing would look at too many series: the limit is {limit}")]
    TooManySeries {
        /// The limit.
        limit: u64,
    },
    /// The caller's deadline passed.
    #[error("query timed out")]
    Cancelled,
    /// The range of a range query makes no sense.
    #[error("bad range: {0}")]
    BadRange(String),
    /// The source of samples failed.
    #[error(transparent)]
    Source(SourceError),
}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::TooManySamples { limit } => Self::TooManySamples { limit },
            SourceError::TooManySeries { limit } => Self::TooManySeries { limit },
            failed @ SourceError::Failed(_) => Self::Source(failed),
        }
    }
}
