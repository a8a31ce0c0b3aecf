//! Telemetry in: the Prometheus and OpenMetrics text formats, the scrape loop, Prometheus' scrape configuration, remote
//! write.
//!
//! The rules of a scrape (what is stored under which labels, what becomes stale) are a pure core,
//! [`ScrapeLoop`]; [`Scraper`] adds HTTP and timers and nothing else.

pub mod config;
pub mod exposition;
mod native_histogram;
pub mod remote_write;
mod sample;
mod scrape;
mod series_key;
mod wire;

pub use sample::Exemplar;
pub use scrape::{
    Scrape, ScrapeBatch, ScrapeError, ScrapeFormats, ScrapeLimits, ScrapeLoop, ScrapeTarget, ScrapedSample,
    Scraper, ScraperStats, Sink,
};
