//! What targets expose, and what becomes of it.

mod client_model;
mod config;
mod conformance;
mod exposition;
mod exposition_protobuf;
mod http;
mod prompb;
mod real_prometheus;
mod remote_write;
mod scrape_loop;
mod scraper;

/// What the caller of the tests asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's parameters come by the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
