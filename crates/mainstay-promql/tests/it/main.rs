//! Integration tests of PromQL.

mod conformance;
mod evaluation;
mod histograms;
mod parsing;
mod peer;
mod reference;
mod scripts;
mod support;
