//! Native histograms as samples: what they are, not what is computed from them.
//!
//! The layout is Prometheus' own (`prompb.Histogram`, `model/histogram.FloatHistogram`): a sparse run of exponential
//! buckets of schema `n`, whose bounds are the powers of `2^(2^-n)`, or buckets with bounds of their own (schema -53).
//! Counts are held as floats, as queries need them; whole counts up to 2^53 are exact. What takes in histograms refuses
//! larger whole counts, so nothing is lost unsaid.

mod bound;

use serde::{Deserialize, Serialize};

pub use bound::bound;

/// The schema of histograms with bounds of their own.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The schemas of exponential buckets.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// A run of buckets that stand one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSpan {
    /// Of the first span: the index of its first bucket. Of later ones: how many buckets are left out before it.
    pub offset: i32,
    /// How many buckets it has.
    pub length: u32,
}

/// What is known about whether a histogram's counts began anew since the sample before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResetHint {
    /// Nothing: it must be looked for.
    #[default]
    Unknown,
    /// They did.
    Reset,
    /// They did not.
    NotReset,
    /// It is a gauge: counts may go down without a reset.
    Gauge,
}

/// One native histogram.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// What is known about a reset since the sample before.
    pub reset_hint: ResetHint,
    /// The resolution: -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The zero bucket reaches from minus this to plus this.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations, NaN ones included.
    pub count: f64,
    /// The sum of all observations.
    pub sum: f64,
    /// Which buckets of positive observations there are.
    pub positive_spans: Vec<BucketSpan>,
    /// Observations in each of them (not cumulative).
    pub positive_buckets: Vec<f64>,
    /// Which buckets of negative observations there are.
    pub negative_spans: Vec<BucketSpan>,
    /// Observations in each of them (not cumulative).
    pub negative_buckets: Vec<f64>,
    /// The upper bounds of the buckets of a histogram with bounds of its own, without the last, which is +Inf.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether it has bounds of its own.
    #[must_use]
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let floats = self.positive_buckets.len() + self.negative_buckets.len() + self.custom_values.len();
        let spans = self.positive_spans.len() + self.negative_spans.len();
        size_of::<Self>() + (floats + spans) * 8
    }

    /// Equality of every bit: NaNs are equal to themselves, zero is not minus zero.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        let bits = |floats: &[f64]| floats.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let scalars = |h: &Self| bits(&[h.zero_threshold, h.zero_count, h.count, h.sum]);
        self.reset_hint == other.reset_hint
            && self.schema == other.schema
            && scalars(self) == scalars(other)
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && bits(&self.positive_buckets) == bits(&other.positive_buckets)
            && bits(&self.negative_buckets) == bits(&other.negative_buckets)
            && bits(&self.custom_values) == bits(&other.custom_values)
    }

    /// Checks what every reader of histograms relies on.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let custom = self.has_custom_buckets();
        if !custom && !EXPONENTIAL_SCHEMAS.contains(&self.schema) {
            return Err(HistogramError::Schema(self.schema));
        }
        if custom && (!self.negative_buckets.is_empty() || !self.negative_spans.is_empty()) {
            return Err(HistogramError::Custom("it has negative buckets"));
        }
        if custom && (self.zero_count != 0.0 || self.zero_threshold != 0.0) {
            return Err(HistogramError::Custom("it has a zero bucket"));
        }
        if !custom && !self.custom_values.is_empty() {
            return Err(HistogramError::Custom("bounds are given for another schema"));
        }
        let rising = |pair: &[f64]| pair[0] < pair[1];
        if !self.custom_values.windows(2).all(rising) || self.custom_values.iter().any(|bound| bound.is_nan())
        {
            return Err(HistogramError::Custom("the bounds do not rise"));
        }
        check_spans(&self.positive_spans, self.positive_buckets.len())?;
        check_spans(&self.negative_spans, self.negative_buckets.len())?;
        let reach: i64 = self
            .positive_spans
            .iter()
            .map(|span| i64::from(span.offset) + i64::from(span.length))
            .sum();
        if custom
            && (reach > self.custom_values.len() as i64 + 1
                || self.positive_spans.iter().any(|s| s.offset < 0))
        {
            return Err(HistogramError::Custom("there are more buckets than bounds"));
        }
        let mut counts = self.positive_buckets.iter().chain(&self.negative_buckets);
        let floats = [self.zero_count, self.count];
        if counts.any(|count| *count < 0.0) || floats.iter().any(|count| *count < 0.0) {
            return Err(HistogramError::NegativeCount);
        }
        Ok(())
    }
}

fn check_spans(spans: &[BucketSpan], buckets: usize) -> Result<(), HistogramError> {
    if spans.iter().skip(1).any(|span| span.offset < 0) {
        return Err(HistogramError::Spans("a span after the first goes back"));
    }
    let named: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if named != buckets as u64 {
        return Err(HistogramError::Spans(
            "they name another number of buckets than there are",
        ));
    }
    Ok(())
}

/// Why a histogram is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// A resolution that does not exist.
    #[error("a histogram cannot have the schema {0}: expected -4 to 8, or -53 for bounds of its own")]
    Schema(i32),
    /// Spans that do not fit the buckets.
    #[error("a histogram's spans are wrong: {0}")]
    Spans(&'static str),
    /// Bounds of its own that cannot be.
    #[error("a histogram's own bounds are wrong: {0}")]
    Custom(&'static str),
    /// A count below zero.
    #[error("a histogram has a negative count")]
    NegativeCount,
}
