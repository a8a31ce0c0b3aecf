//! Integration tests of the rules.

mod conformance;
mod dependencies;
mod engine;
mod specification;
mod support;
mod templates;
