//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::serve;

/// The SRE control plane of a multi-tenant, cell-based payments platform.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane.
    Serve(serve::Options),
    /// Show everything at work: a payments platform, a bad release, the page, the rollback, the post-mortem.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Run a mail and chat inbox that shows what it received.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    Inbox(crate::inbox::Options),
    /// Run a role of the reference payments platform.
    #[cfg(feature = "demo")]
    Payd(payments::cli::Args),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    match cli.command {
        Command::Serve(options) => serve::run(options).into(),
        #[cfg(feature = "demo")]
        Command::Demo(options) => crate::demo::run(options).into(),
        #[cfg(feature = "demo")]
        Command::Inbox(options) => crate::inbox::run(options).into(),
        #[cfg(feature = "demo")]
        Command::Payd(args) => payments::cli::run(args),
    }
}
