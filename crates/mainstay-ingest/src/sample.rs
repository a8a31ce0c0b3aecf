//! What samples are, whichever way they came.

use std::fmt;
use std::sync::Arc;

use mainstay_kernel::{Histogram, Labels};

/// Prometheus' stale marker: the NaN that ends a series.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// What a sample says.
#[derive(Debug, Clone)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram, valid.
    Histogram(Arc<Histogram>),
}

impl SampleValue {
    /// The number, if it is one.
    #[must_use]
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }

    /// Whether it ends its series.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let number = match self {
            Self::Float(value) => *value,
            Self::Histogram(histogram) => histogram.sum,
        };
        number.to_bits() == STALE_NAN.to_bits()
    }
}

impl PartialEq for SampleValue {
    /// Of every bit: NaNs are equal to themselves.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(one), Self::Float(another)) => one.to_bits() == another.to_bits(),
            (Self::Histogram(one), Self::Histogram(another)) => one.same_bits(another),
            _ => false,
        }
    }
}

impl From<f64> for SampleValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl fmt::Display for SampleValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => value.fmt(f),
            Self::Histogram(histogram) => {
                write!(f, "histogram of {} with sum {}", histogram.count, histogram.sum)
            }
        }
    }
}

/// An example of what a series counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its labels: `trace_id` and the like.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Its time in milliseconds since 1970, if it has one.
    pub t_ms: Option<i64>,
}

/// A sample of a series, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSample {
    /// The labels of its series. What is scraped has the same allocation scrape after scrape, so that it can serve as a
    /// cache's key.
    pub labels: Arc<Labels>,
    /// When the counter behind it began, if that is said; in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// Its time in milliseconds since 1970.
    pub t_ms: i64,
    /// Its value; the stale marker says that the series is gone.
    pub value: SampleValue,
    /// Examples of what it counted.
    pub exemplars: Vec<Exemplar>,
}
