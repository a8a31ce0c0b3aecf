//! What targets expose, and what becomes of it.

mod client_model;
mod config;
mod config_promtool;
mod conformance;
mod discovery;
mod exposition;
mod exposition_protobuf;
mod http;
mod http_config;
mod import;
mod kubernetes;
mod otlp;
mod otlp_messages;
mod prompb;
mod real_prometheus;
mod relabel;
mod remote_write;
mod remote_write_bodies;
mod remote_write_speed;
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
