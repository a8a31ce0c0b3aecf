//! `payd ROLE ...`: one role of the reference payments platform in a process of its own (what a container runs).

use clap::Parser;
use payments::cli::{self, Args};
use std::process::ExitCode;

/// The reference payments platform: run one role.
#[derive(Parser)]
#[command(name = "payd", version)]
struct Payd {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    cli::run(Payd::parse().args)
}
