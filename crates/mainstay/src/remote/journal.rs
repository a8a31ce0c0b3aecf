//! `mainstay journal`, `why` and `backup`.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_journal::{JournalError, SqliteJournal};
use serde_json::{Value, json};

use super::{Ask, Remote, path};
use crate::clock::{SystemClock, SystemEntropy};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, count, list, text};

/// What is done with the journal.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Recompute every hash chain; exit code 3 if anything was changed behind Mainstay's back.
    Verify {
        /// A journal's directory (`DATA/journal`), while no server runs on it; without it, the server verifies its own.
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
        #[command(flatten)]
        ask: Ask,
    },
}

/// Options of `mainstay why`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Why {
    /// The event, as timelines and answers name it.
    event: String,
    #[command(flatten)]
    ask: Ask,
}

/// Options of `mainstay backup`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    ask: Ask,
}

impl Backup {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let made = remote.order("/api/v1/backups").await?;
            if self.ask.output == Form::Json {
                output::json(&made);
            } else {
                anstream::println!("{}", text(&made, "directory"));
            }
            Ok(Exit::Ok)
        })
    }
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let Self::Verify { directory, ask } = self;
        match directory {
            Some(directory) => verify_offline(directory, ask.output),
            None => Remote::run(&ask.server, async |remote| {
                let report = remote.order("/api/v1/journal/verify").await?;
                Ok(show(&report, ask.output))
            }),
        }
    }
}

impl Why {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let (why, now) = remote.look(&path(&["events", &self.event, "why"]), &[]).await?;
            if self.ask.output == Form::Json {
                output::json(&why);
                return Ok(Exit::Ok);
            }
            for (index, step) in list(&why, "chain").iter().enumerate() {
                let because = if index == 0 { "" } else { "because of " };
                anstream::println!(
                    "{}  {because}\x1b[1m{}\x1b[0m  by {}  ({})",
                    clock(step, "at", now),
                    text(step, "kind"),
                    text(step, "actor"),
                    text(step, "event")
                );
                anstream::println!("    {}", text(step, "text"));
            }
            Ok(Exit::Ok)
        })
    }
}

fn show(report: &Value, form: Form) -> Exit {
    let whole = report["whole"] == true;
    if form == Form::Json {
        output::json(report);
    } else {
        let mut table = Table::new(&["CHAIN", "EVENTS", "HEAD", "PROBLEM"]);
        for chain in list(report, "partitions") {
            table.row([
                text(chain, "partition"),
                count(chain, "events"),
                text(chain, "head"),
                text(chain, "problem"),
            ]);
        }
        table.print("The journal is empty.");
        anstream::eprintln!(
            "{}",
            if whole {
                "Every chain is whole."
            } else {
                "\x1b[31mThe journal is damaged.\x1b[0m"
            }
        );
    }
    if whole { Exit::Ok } else { Exit::Problems }
}

fn verify_offline(directory: &std::path::Path, form: Form) -> Exit {
    // Opening makes a journal where there is none; verifying must not.
    if !directory.join(mainstay_journal::sqlite::DATABASE_FILE).is_file() {
        anstream::eprintln!(
            "mainstay journal verify: {} holds no journal; DATA/journal does",
            directory.display()
        );
        return Exit::Usage;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("mainstay journal verify: {error}");
            return Exit::Failure;
        }
    };
    let verified = runtime.block_on(async {
        let journal = SqliteJournal::open(directory, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
        mainstay_journal::verify::verify(&journal).await
    });
    match verified {
        Ok(chains) => {
            let partition = |(partition, chain): (
                &mainstay_journal::Partition,
                &mainstay_journal::verify::Chain,
            )| {
                json!({ "partition": partition.to_string(), "events": chain.events, "head": chain.head.to_string(), "problem": null })
            };
            let partitions: Vec<Value> = chains.iter().map(partition).collect();
            show(&json!({ "whole": true, "partitions": partitions }), form)
        }
        Err(JournalError::Corrupt { place, reason }) => {
            let problem = json!({ "partition": "unknown", "events": null, "head": "", "problem": format!("{place}: {reason}") });
            show(&json!({ "whole": false, "partitions": [problem] }), form)
        }
        Err(error @ JournalError::InUse { .. }) => {
            anstream::eprintln!(
                "mainstay journal verify: {error}\nOr let the server verify it: mainstay journal verify --server URL"
            );
            Exit::Failure
        }
        Err(error) => {
            anstream::eprintln!("mainstay journal verify: {error}");
            Exit::Failure
        }
    }
}
