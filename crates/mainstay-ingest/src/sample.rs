//! Samples as they come in, and what comes beside them.

use std::sync::Arc;

use mainstay_kernel::{Labels, SampleValue};

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
