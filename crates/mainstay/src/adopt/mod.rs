//! Coming from other tools, and going back to them: their objectives read, ours written as rules for a Prometheus, a first
//! catalog drafted from a running system.

mod export;
mod files;
mod import;

pub(crate) use export::Options as Export;
pub(crate) use import::Options as Import;
