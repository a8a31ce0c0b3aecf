//! Integration tests of the rules.

mod conformance;
mod engine;
mod specification;
mod support;
mod templates;
