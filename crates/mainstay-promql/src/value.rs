//! What a query gives.

use std::sync::Arc;

use mainstay_kernel::Labels;
pub use mainstay_kernel::SampleValue;

use crate::annotation::Annotations;
use crate::ast::ValueType;
use crate::source::Series;

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
