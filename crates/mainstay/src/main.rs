//! Mainstay: the SRE control plane of a multi-tenant, cell-based payments platform.
//!
//! This crate is the outermost layer: it alone reads the environment and the wall clock, parses the command line, and
//! hands both to the plane.

mod adopt;
mod backup;
mod check;
mod cli;
mod clock;
mod console;
mod database;
mod exit;
mod output;
mod plan;
mod remote;
mod replay;
mod route;
mod serve;
mod test;
mod watchdog;

#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "demo")]
mod inbox;

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider of TLS for the whole process; a second installation would be refused, and is not made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    end_quietly_without_readers();
    cli::run()
}

/// Whoever reads our output may stop reading (`mainstay alert list | head`): that is no bug of ours to trace.
fn end_quietly_without_readers() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text.is_some_and(|text| text.starts_with("failed printing to")) {
            std::process::exit(1);
        }
        tell(panic);
    }));
}
