//! The dialects of PromQL that other engines evaluate, and where a query means something else there than here.
//!
//! What is said here is what the conformance suite over the embedded store, Prometheus and VictoriaMetrics finds: a
//! difference that no rule names fails it.

mod functions;
mod walk;

use std::fmt;

pub use walk::differences;

use crate::ast::Span;

/// How an engine understands PromQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Prometheus before 3, and what embeds its evaluator.
    Prometheus2,
    /// Prometheus 3, and what embeds its evaluator: the dialect of this crate, without what must be switched on there.
    Prometheus3,
    /// MetricsQL.
    VictoriaMetrics,
}

impl Dialect {
    /// The dialect of this name, as `--engine` takes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "prometheus2" => Some(Self::Prometheus2),
            "prometheus" | "prometheus3" => Some(Self::Prometheus3),
            "victoriametrics" => Some(Self::VictoriaMetrics),
            _ => None,
        }
    }
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

/// One difference in one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which one.
    pub rule: Rule,
    /// The part of the query that means something else.
    pub span: Span,
    /// What it means there, in words.
    pub message: String,
}

/// What a difference can do to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The engine refuses the query.
    Refused,
    /// Other values.
    Value,
    /// Results that are not here.
    Extra,
    /// Results that are here are missing there.
    Missing,
    /// NaNs that are here are missing there.
    MissingNan,
    /// The metric's name is there or not.
    Name,
    /// A value of another type.
    Type,
}

/// The differences, each with the name by which it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A sample exactly as old as the window is wide, or as the look-back reaches, counts.
    ClosedWindow,
    /// The engine does not know the function, or not without a switch.
    UnknownFunction,
    /// The engine does not know the syntax, or not without a switch.
    UnknownSyntax,
    /// Names of labels are of letters, digits and underscores.
    AsciiNames,
    /// The metric's name is gone after a function, even for what stands around it.
    NameRemovedAtOnce,
    /// `rate`, `increase` and `delta` do not extrapolate, and begin at the sample before the window.
    NoExtrapolation,
    /// The sample before the window takes part.
    SampleBeforeWindow,
    /// Functions that do not change what is measured keep the metric's name.
    KeepsName,
    /// A result that is not a number is no result.
    NoNan,
    /// A scalar comes as a vector of one series without labels.
    VectorForScalar,
    /// `timestamp` of what is computed gives the time of its samples.
    TimestampOfComputed,
    /// A series counts as gone after a few times the distance of its samples, not after five minutes.
    ShortLookback,
    /// `clamp` with the minimum above the maximum gives a value.
    ClampReversed,
    /// Histograms that are not cumulative are repaired in another way.
    HistogramRepair,
    /// The steps of a subquery are counted back from the time of the query; without a resolution it takes that of the query.
    SubqueryStep,
    /// There is a limit on how many series an aggregation may give.
    SeriesLimit,
    /// An aggregation that chooses series chooses others.
    OtherChoice,
}

impl Rule {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClosedWindow => "closed-window",
            Self::UnknownFunction => "unknown-function",
            Self::UnknownSyntax => "unknown-syntax",
            Self::AsciiNames => "ascii-names",
            Self::NameRemovedAtOnce => "name-removed-at-once",
            Self::NoExtrapolation => "no-extrapolation",
            Self::SampleBeforeWindow => "sample-before-window",
            Self::KeepsName => "keeps-name",
            Self::NoNan => "no-nan",
            Self::VectorForScalar => "vector-for-scalar",
            Self::TimestampOfComputed => "timestamp-of-computed",
            Self::ShortLookback => "short-lookback",
            Self::ClampReversed => "clamp-reversed",
            Self::HistogramRepair => "histogram-repair",
            Self::SubqueryStep => "subquery-step",
            Self::SeriesLimit => "series-limit",
            Self::OtherChoice => "other-choice",
        }
    }

    /// Whether it shows in range queries only, which rules are not.
    #[must_use]
    pub fn is_of_ranges(self) -> bool {
        self == Self::ShortLookback
    }

    /// What it can do to an answer.
    #[must_use]
    pub fn effects(self) -> &'static [Effect] {
        use Effect::{Extra, Missing, MissingNan, Name, Refused, Type, Value};
        match self {
            Self::ClosedWindow | Self::NoExtrapolation | Self::SampleBeforeWindow => &[Value, Extra],
            Self::UnknownFunction | Self::UnknownSyntax | Self::AsciiNames | Self::SeriesLimit => &[Refused],
            Self::NameRemovedAtOnce => &[Value, Extra, Missing, Refused],
            Self::OtherChoice => &[Extra, Missing],
            Self::KeepsName => &[Name],
            Self::NoNan => &[MissingNan],
            Self::VectorForScalar => &[Type],
            Self::TimestampOfComputed | Self::HistogramRepair => &[Value],
            Self::ShortLookback => &[Missing],
            Self::ClampReversed => &[Extra],
            Self::SubqueryStep => &[Value, Extra, Missing],
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
