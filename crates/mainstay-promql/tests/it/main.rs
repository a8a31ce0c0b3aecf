//! Integration tests of PromQL.

mod conformance;
