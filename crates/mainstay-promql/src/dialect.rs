//! The dialects of PromQL that other engines evaluate, and where a query means something else there than here.

use std::fmt;

/// How an engine understands PromQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Prometheus before 3, and what embeds its evaluator.
    Prometheus2,
    /// Prometheus 3, and what embeds its evaluator: the dialect of this crate.
    Prometheus3,
    /// MetricsQL.
    VictoriaMetrics,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prometheus2 => "Prometheus 2",
            Self::Prometheus3 => "Prometheus 3",
            Self::VictoriaMetrics => "VictoriaMetrics",
        })
    }
}
