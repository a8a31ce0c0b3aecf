//! What a sample says, whichever way it came.

use std::fmt;
use std::sync::Arc;

use crate::histogram::Histogram;

/// Prometheus' stale marker: the NaN that says that a series went away, as opposed to being not-a-number.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the stale marker. Other NaNs are ordinary values.
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// A number or a native histogram.
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

    /// The histogram, if it is one.
    #[must_use]
    pub fn histogram(&self) -> Option<&Arc<Histogram>> {
        match self {
            Self::Float(_) => None,
            Self::Histogram(histogram) => Some(histogram),
        }
    }

    /// Whether it ends its series. A histogram does if its sum is the stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Float(value) => is_stale(*value),
            Self::Histogram(histogram) => is_stale(histogram.sum),
        }
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

impl From<Histogram> for SampleValue {
    fn from(histogram: Histogram) -> Self {
        Self::Histogram(Arc::new(histogram))
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
