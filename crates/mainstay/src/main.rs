//! Mainstay: the SRE control plane of a multi-tenant, cell-based payments platform.
//!
//! This crate is the outermost layer: it alone reads the environment and the wall clock, parses the command line, and
//! hands both to the plane.

mod cli;
mod clock;
mod console;
mod exit;
mod serve;

#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "demo")]
mod inbox;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
