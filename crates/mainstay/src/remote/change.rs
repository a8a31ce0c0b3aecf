//! `mainstay change`.

use super::{Ask, Remote, Within};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, text};

/// What is done with changes.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// List deploys, rollbacks and configuration changes, newest first.
    List {
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let Self::List { within, ask } = self;
        Remote::run(&ask.server, async |remote| {
            let (changes, now) = remote.look("/api/v1/changes", &within.query()).await?;
            if ask.output == Form::Json {
                output::json(&changes);
                return Ok(Exit::Ok);
            }
            let mut table = Table::new(&[
                "AT (UTC)", "KIND", "SERVICE", "CELL", "FROM", "TO", "SOURCE", "SUMMARY",
            ]);
            for change in changes.as_array().into_iter().flatten() {
                let scope = &change["scope"];
                table.row([
                    clock(change, "at", now),
                    text(change, "kind"),
                    text(scope, "service"),
                    text(scope, "cell"),
                    text(change, "from_version"),
                    text(change, "to_version"),
                    text(change, "source"),
                    text(change, "summary"),
                ]);
            }
            table.print("Nothing was changed.");
            Ok(Exit::Ok)
        })
    }
}
