//! The binary as its users run it: what it prints, and with which exit code it ends.

mod adoption;
mod alertmanager_file;
mod amtool;
mod beside;
mod blackbox;
mod catalogs;
mod clients;
mod counts;
mod durability;
mod engines;
mod gate;
mod grafana;
mod harness;
mod heartbeat;
mod help;
mod hostile;
mod hostile_alerts;
mod import;
mod moving;
mod oncall;
mod otlp;
mod otlp_grpc;
mod posts;
mod restore;
mod scraping;
mod server;
mod store;
mod storm;
mod tenancy;
mod watchdog;
mod words;

use std::path::PathBuf;
use std::process::{Command, Output};

/// The root of the workspace: paths in output are relative to it.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program with these arguments, free of the caller's environment.
fn mainstay(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command
        .args(arguments)
        .current_dir(root())
        .env_clear()
        .env("NO_COLOR", "1");
    command
}

/// What it printed and how it ended, as one text for snapshots.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "exit code: {}\n--- stdout\n{}--- stderr\n{}",
        output
            .status
            .code()
            .map_or_else(|| "none".to_owned(), |code| code.to_string()),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn run(arguments: &[&str]) -> Output {
    mainstay(arguments).output().expect("the program starts")
}
