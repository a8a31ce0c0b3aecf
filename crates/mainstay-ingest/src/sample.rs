//! What comes beside samples.

use mainstay_kernel::Labels;

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
