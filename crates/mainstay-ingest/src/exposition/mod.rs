//! Reading what a target exposes: Prometheus text format 0.0.4 and OpenMetrics 1.0.
//!
//! The parser hands out one item at a time and builds nothing. OpenMetrics is checked in full (names that clash,
//! grouping, histogram invariants, `# EOF`); the older format is read as leniently as Prometheus reads it.

mod families;
mod line;
mod openmetrics;
mod text;

use std::borrow::Cow;

/// The two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format, version 0.0.4.
    Text,
    /// OpenMetrics text format, version 1.0.
    OpenMetrics,
}

impl Format {
    /// What to send as `Accept`: OpenMetrics first, because it carries created times.
    pub const ACCEPT: &'static str =
        "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// The format that a `Content-Type` names; anything but OpenMetrics is read as text.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
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

/// A label as exposed: name and unescaped value.
pub type Label<'a> = (&'a str, Cow<'a, str>);

/// One exposed sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name, suffix included.
    pub metric: &'a str,
    /// Its labels, in the order in which they stand.
    pub labels: &'a [Label<'a>],
    /// The text from the metric's name to the closing brace: equal text is the same series.
    pub series_text: &'a str,
    /// Its value.
    pub value: f64,
    /// Its time in milliseconds since 1970, if it is exposed with one.
    pub timestamp_ms: Option<i64>,
    /// Its exemplar.
    pub exemplar: Option<Exemplar<'a>>,
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {reason}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
}

/// Reads a whole exposition and hands each item to `on_item`. One pass, O(bytes).
///
/// # Errors
/// At the first place that is not as the format demands. Items before it have been handed out: a caller that must not
/// take half an exposition keeps them until the end.
pub fn parse(body: &[u8], format: Format, on_item: impl FnMut(Item<'_>)) -> Result<(), ParseError> {
    let text = std::str::from_utf8(body).map_err(|error| {
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
    })?;
    match format {
        Format::Text => text::parse(text, on_item),
        Format::OpenMetrics => openmetrics::parse(text, on_item),
    }
}
