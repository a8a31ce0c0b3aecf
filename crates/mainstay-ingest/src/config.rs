//! Prometheus scrape configuration.
