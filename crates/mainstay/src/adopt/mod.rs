//! Coming from other tools, and going back to them: their objectives read, ours written as rules for a Prometheus, a first
//! catalog drafted from a running system.

pub(crate) mod alertmanager;
mod export;
mod files;
mod import;
mod init;
mod moving;

pub(crate) use export::Options as Export;
pub(crate) use import::Options as Import;
pub(crate) use init::Options as Init;
