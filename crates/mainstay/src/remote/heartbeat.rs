//! `mainstay heartbeat`.

use jiff::Timestamp;
use serde_json::Value;

use super::{Ask, Remote, path};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, text};

/// What is asked about heartbeats.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Tell that something is alive: `job && mainstay heartbeat send job`.
    Send {
        /// The heartbeat, by its id in the catalog.
        name: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// How every heartbeat stands. Exit code 3 if one is missed.
    List {
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Send { name, ask } => Remote::run(&ask.server, async |remote| {
                remote.act(&path(&["heartbeats", name]), None, ask.output).await?;
                Ok(Exit::Ok)
            }),
            Self::List { ask } => Remote::run(&ask.server, async |remote| {
                let (heartbeats, now) = remote.look("/api/v1/heartbeats", &[]).await?;
                let rows = heartbeats.as_array().map(Vec::as_slice).unwrap_or_default();
                let is_missed = rows.iter().any(|one| one["state"] == "missed");
                match ask.output {
                    Form::Json => output::json(&heartbeats),
                    Form::Table => table(rows, now).print("The catalog has no heartbeat."),
                }
                Ok(if is_missed { Exit::Problems } else { Exit::Ok })
            }),
        }
    }
}

fn table(rows: &[Value], now: Timestamp) -> Table {
    let heads = ["STATE", "NAME", "LAST (UTC)", "DUE (UTC)", "SEVERITY", "WHAT"];
    let mut table = Table::new(&heads);
    for one in rows {
        let state = match text(one, "state") {
            missed if missed == "missed" => "\x1b[31mmissed\x1b[0m".to_owned(),
            other => other,
        };
        table.row([
            state,
            text(one, "name"),
            clock(one, "last_at", now),
            clock(one, "missed_at", now),
            text(one, "severity"),
            text(one, "summary"),
        ]);
    }
    table
}
