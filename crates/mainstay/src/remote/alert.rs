//! `mainstay alert`.

use jiff::Timestamp;
use serde_json::Value;

use super::{Ask, Remote, Within};
use crate::exit::Exit;
use crate::output::{self, Form, Table, age, judged, text};

/// What is done with alerts.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// List alerts: those that fire, worst first, then those that ended lately.
    List {
        /// Only those that fire.
        #[arg(long)]
        firing: bool,
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let Self::List { firing, within, ask } = self;
        Remote::run(&ask.server, async |remote| {
            let (alerts, now) = remote.look("/api/v1/alerts/all", &within.query()).await?;
            let mut alerts = alerts.as_array().cloned().unwrap_or_default();
            alerts.retain(|alert| !firing || alert["state"] == "firing");
            match ask.output {
                Form::Json => output::json(&alerts),
                Form::Table => table(&alerts, now).print("No alert."),
            }
            Ok(Exit::Ok)
        })
    }
}

pub(super) fn table(alerts: &[Value], now: Timestamp) -> Table {
    let mut table = Table::new(&["STATE", "SEV", "ALERT", "SINCE", "VALUE", "INCIDENT", "SUMMARY"]);
    for alert in alerts {
        table.row([
            judged(&text(alert, "state")),
            text(alert, "severity"),
            text(alert, "name"),
            age(alert, "since", now),
            text(alert, "value"),
            text(alert, "incident"),
            text(alert, "summary"),
        ]);
    }
    table
}
