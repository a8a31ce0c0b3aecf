//! The capabilities together: facts travel, nothing is repeated after a restart, and every page can be explained.

mod bench;
mod engines;
mod facts;
mod received;
mod telemetry;
mod tenants;
