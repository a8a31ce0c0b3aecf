//! Reading what a target exposes: Prometheus text format 0.0.4, OpenMetrics 1.0 and Prometheus' protobuf format.
//!
//! The parser hands out one item at a time and builds nothing. OpenMetrics is checked in full (names that clash,
//! grouping, histogram invariants, `# EOF`); the older text format is read as leniently as Prometheus reads it.

mod families;
mod format;
pub(crate) mod line;
pub(crate) mod openmetrics;
mod protobuf;
mod text;

use std::borrow::Cow;
use std::fmt;

pub use self::format::{Format, ScrapeProtocol, accept};
use mainstay_kernel::SampleValue;

/// What is taken of a histogram that is exposed in both forms, as only the protobuf format can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HistogramForm {
    /// Buckets, count and sum, a series each; nothing native.
    #[default]
    Classic,
    /// The native histogram; of those that are not native the classic series.
    Native,
    /// The native histogram, and the classic series if there are classic buckets.
    Both,
}

/// What a metric family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// Not said (`unknown`, in the older format `untyped`).
    Unknown,
    /// Only rises, until it is reset.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, count and sum.
    Histogram,
    /// Buckets of things that come and go.
    GaugeHistogram,
    /// Quantiles, count and sum.
    Summary,
    /// Text that identifies something.
    Info,
    /// One of several states.
    StateSet,
}

impl MetricKind {
    /// Its name, as OpenMetrics and Prometheus' API write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// A label as exposed: name and unescaped value.
pub type Label<'a> = (&'a str, Cow<'a, str>);

/// One exposed sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name, suffix included.
    pub metric: &'a str,
    /// Its labels, in the order in which they stand.
    pub labels: &'a [Label<'a>],
    /// The metric's name and labels as they stand (of the text formats the text up to the closing brace): in one format
    /// equal bytes are the same series.
    pub series_text: &'a [u8],
    /// Its value; a histogram only in the protobuf format.
    pub value: SampleValue,
    /// Its time in milliseconds since 1970, if it is exposed with one.
    pub timestamp_ms: Option<i64>,
    /// Its exemplars; of a number there is one at most.
    pub exemplars: Vec<Exemplar<'a>>,
    /// What its family is.
    pub kind: MetricKind,
    /// Its family, without `_total`: what [`Item::Created`] names.
    pub family: &'a str,
}

/// An example of what a counter or bucket counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels: `trace_id` and the like.
    pub labels: Vec<Label<'a>>,
    /// Its value.
    pub value: f64,
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}

/// What the parser hands out.
#[derive(Debug, Clone, PartialEq)]
pub enum Item<'a> {
    /// `# TYPE`
    Type {
        /// The family's name as written.
        family: &'a str,
        /// What it is.
        kind: MetricKind,
    },
    /// `# HELP`
    Help {
        /// The family's name as written.
        family: &'a str,
        /// The text, unescaped.
        help: Cow<'a, str>,
    },
    /// `# UNIT`
    Unit {
        /// The family's name as written.
        family: &'a str,
        /// The unit.
        unit: &'a str,
    },
    /// A sample.
    Sample(Sample<'a>),
    /// When the counter, histogram or summary with these labels (without `le` and `quantile`) began. It holds for all
    /// samples of that family and label set in the same exposition, whether they stand before or after it.
    Created {
        /// The family, without `_total`.
        family: &'a str,
        /// The labels.
        labels: &'a [Label<'a>],
        /// The time in milliseconds since 1970.
        created_ms: i64,
    },
}

/// Why an exposition is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1; of protobuf the metric family, from 1.
    pub line: usize,
    /// The character in the line, from 1; of protobuf 0.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, reason } = self;
        match column {
            0 => write!(f, "metric family {line}: {reason}"),
            _ => write!(f, "{line}:{column}: {reason}"),
        }
    }
}

impl std::error::Error for ParseError {}

/// Reads a whole exposition and hands each item to `on_item`. One pass, O(bytes). Which `form` of histograms is taken
/// concerns the protobuf format only.
///
/// # Errors
/// At the first place that is not as the format demands. Items before it have been handed out: a caller that must not
/// take half an exposition keeps them until the end.
pub fn parse(
    body: &[u8],
    format: Format,
    form: HistogramForm,
    on_item: impl FnMut(Item<'_>),
) -> Result<(), ParseError> {
    match format {
        Format::Text => text::parse(utf8(body)?, on_item),
        Format::OpenMetrics => openmetrics::parse(utf8(body)?, on_item),
        Format::Protobuf => protobuf::parse(body, form, on_item),
    }
}

fn utf8(body: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        ParseError {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[line_start..]).chars().count(),
            reason: "not UTF-8".to_owned(),
        }
    })
}
