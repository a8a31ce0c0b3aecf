//! The integration tests of the journal.

mod backends;
mod counter;
mod durable;
mod kill;
mod million;
mod runner;
mod support;
mod tamper;
