//! What a query gives.

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;

use crate::annotation::Annotations;
use crate::ast::ValueType;
use crate::source::Series;

/// What a series holds at one time.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
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

/// One sample of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The labels of its series.
    pub labels: Arc<Labels>,
    /// The time of evaluation, milliseconds since 1970.
    pub at_ms: i64,
    /// Its value.
    pub value: SampleValue,
}

/// The value of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A text.
    String(String),
    /// One sample per series. The order is that of the expression (`sort` and `topk` order it).
    Vector(Vec<VectorSample>),
    /// Samples over time per series, in order of labels.
    Matrix(Vec<Series>),
}

impl Value {
    /// Its type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
        }
    }
}

/// A value and what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The value.
    pub value: Value,
    /// Warnings and remarks.
    pub annotations: Annotations,
}
