//! The integration tests of the journal.

mod backends;
mod copies;
mod counter;
mod durable;
mod formats;
mod kill;
mod million;
mod postgres;
mod runner;
mod support;
mod tamper;
