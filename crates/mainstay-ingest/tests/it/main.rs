//! What targets expose, and what becomes of it.

mod conformance;
mod exposition;
mod scrape_loop;
