//! Integration tests of PromQL.

mod conformance;
mod evaluation;
mod parsing;
mod peer;
mod reference;
mod scripts;
mod support;
