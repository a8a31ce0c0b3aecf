//! `mainstay slo adjust`.

use jiff::Timestamp;
use serde_json::json;

use super::{Ask, Remote, path};
use crate::exit::Exit;
use crate::output::{self, Form, Table, joined, text};

/// What is done with adjustments.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Write down a stretch that does not count. Nothing is erased: raw figures stay, and are shown beside the adjusted ones.
    Add(Box<Add>),
    /// List what does not count: the ledger, and the catalog's maintenance of the last and next 31 days.
    List {
        #[command(flatten)]
        ask: Ask,
    },
    /// Take an adjustment back. Both entries stay in the ledger.
    Withdraw {
        /// Its number.
        #[arg(value_name = "NUMBER")]
        number: u32,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        ask: Ask,
    },
}

/// An adjustment to be written down.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Add {
    /// Of this objective.
    #[arg(long, value_name = "ID", required_unless_present = "service")]
    objective: Option<String>,
    /// Of every objective of this service.
    #[arg(long, conflicts_with = "objective")]
    service: Option<String>,
    /// Only for this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only in this cell.
    #[arg(long)]
    cell: Option<String>,
    /// From when: an instant with its offset at a quarter hour, as 2026-10-04T02:00:00+02:00.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    from: Timestamp,
    /// Up to when, likewise.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
    to: Timestamp,
    /// Why.
    #[arg(long)]
    reason: String,
    /// Where it was agreed.
    #[arg(long)]
    ticket: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Add(add) => Remote::run(&add.ask.server, async |remote| {
                let body = json!({
                    "objective": add.objective,
                    "service": add.service,
                    "tenant": add.tenant,
                    "cell": add.cell,
                    "from": add.from,
                    "to": add.to,
                    "reason": add.reason,
                    "ticket": add.ticket,
                });
                remote
                    .act("/api/v1/adjustments", Some(body), add.ask.output)
                    .await?;
                Ok(Exit::Ok)
            }),
            Self::List { ask } => list(ask),
            Self::Withdraw { number, reason, ask } => Remote::run(&ask.server, async |remote| {
                let address = path(&["adjustments", &number.to_string(), "withdraw"]);
                remote
                    .act(&address, Some(json!({ "reason": reason })), ask.output)
                    .await?;
                Ok(Exit::Ok)
            }),
        }
    }
}

fn list(ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let adjustments = remote.get("/api/v1/adjustments").await?;
        if ask.output == Form::Json {
            output::json(&adjustments);
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&[
            "NUMBER",
            "OF",
            "WHERE",
            "FROM (UTC)",
            "TO (UTC)",
            "AUTHOR",
            "REASON",
        ]);
        for one in adjustments.as_array().into_iter().flatten() {
            let mut reason = text(one, "reason");
            if let Some(ticket) = one["ticket"].as_str() {
                reason = format!("{reason} ({ticket})");
            }
            if let Some(withdrawn) = one["withdrawn"].as_str() {
                reason = format!("{reason}; withdrawn {withdrawn}");
            }
            let number = text(one, "number");
            table.row([
                if number.is_empty() {
                    text(one, "window")
                } else {
                    number
                },
                joined(one, "of"),
                text(one, "place"),
                minute(&text(one, "from")),
                minute(&text(one, "to")),
                text(one, "author"),
                reason,
            ]);
        }
        table.print("Everything counts.");
        Ok(Exit::Ok)
    })
}

/// `2026-10-04 02:00`: there is nothing finer.
fn minute(at: &str) -> String {
    at.get(..16).unwrap_or(at).replace('T', " ")
}
