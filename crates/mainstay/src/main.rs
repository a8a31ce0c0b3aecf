//! Mainstay: the SRE control plane of a multi-tenant, cell-based payments platform.
//!
//! This crate is the outermost layer: it alone reads the environment and the wall clock, parses the command line, and
//! hands both to the plane.

mod check;
mod cli;
mod clock;
mod console;
mod exit;
mod output;
mod plan;
mod remote;
mod serve;
mod test;

#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "demo")]
mod inbox;

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider of TLS for the whole process; a second installation would be refused, and is not made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::run()
}
