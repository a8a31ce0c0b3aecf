//! Telemetry in: the exposition formats, the scrape loop, Prometheus' scrape configuration and service discovery, remote
//! write, OTLP, files of samples to import.
//!
//! The rules of a scrape (what is stored under which labels, what becomes stale) are a pure core,
//! [`ScrapeLoop`]; [`Scraper`] adds HTTP and timers and nothing else.

pub mod config;
pub mod discovery;
pub mod exposition;
mod gzip;
mod http_client;
pub mod import;
mod metadata;
mod native_histogram;
pub mod otlp;
pub mod relabel;
pub mod remote_write;
mod sample;
mod scrape;
mod series_key;
mod wire;

pub use http_client::http_client;
pub use metadata::FamilyMetadata;
pub use sample::{Exemplar, SeriesSample};
pub use scrape::{
    Scrape, ScrapeBatch, ScrapeError, ScrapeFormats, ScrapeLimits, ScrapeLoop, ScrapeTarget, Scraper,
    ScraperStats, Sink,
};
