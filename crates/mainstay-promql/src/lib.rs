//! PromQL with the semantics of Prometheus 3: [`parse()`] gives a checked syntax tree with source positions, [`instant`]
//! and [`range`] evaluate it over any [`Samples`]. Pure: no IO, no clock, no entropy.
//!
//! Windows are left-open, metric names are dropped at the end of a query (delayed name removal), sums are
//! compensated where Prometheus compensates them. A series may hold numbers and native histograms.

pub mod annotation;
pub mod ast;
pub mod dialect;
pub mod difference;
pub mod duration;
pub mod error;
pub mod function;
pub mod histogram;
pub mod memory;
pub mod notation;
pub mod number;
pub mod print;
pub mod promqltest;
pub mod source;
pub mod value;

mod eval;
mod format;
mod parse;
mod statistics;

pub use annotation::{Annotation, Annotations, Level};
pub use ast::Expr;
pub use error::{ParseError, QueryError, SourceError};
pub use eval::{Limits, instant, range};
pub use format::float as format_float;
pub use memory::MemorySamples;
pub use parse::{parse, parse_selector};
pub use source::{Resolution, Samples, Series, is_stale, is_stale_histogram, stale_marker};
pub use value::{Outcome, SampleValue, Value, VectorSample};
