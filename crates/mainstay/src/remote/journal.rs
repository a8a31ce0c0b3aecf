//! `mainstay journal`, `why` and `backup`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_journal::verify::{Chain, verify};
use mainstay_journal::{JournalError, Partition, PostgresJournal, SqliteJournal};
use mainstay_kernel::{Clock as _, EventId};
use serde_json::{Value, json};

use super::{Ask, Remote, path};
use crate::clock::{SystemClock, SystemEntropy};
use crate::database::DatabaseUrl;
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
        /// A journal in PostgreSQL, whether or not servers run on it.
        #[arg(
            long,
            env = "MAINSTAY_DATABASE_URL",
            hide_env_values = true,
            value_name = "URL"
        )]
        database_url: Option<DatabaseUrl>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Bring the journal of a server that is stopped back to an earlier format, with everything in it, so that the release
    /// before can go on with it.
    Downgrade {
        /// The data directory, while no server runs on it.
        #[arg(
            long,
            env = "MAINSTAY_DATA",
            required_unless_present = "database_url",
            value_name = "DIR"
        )]
        data: Option<PathBuf>,
        /// Instead, the journal in PostgreSQL, while no replica runs on it.
        #[arg(
            long,
            env = "MAINSTAY_DATABASE_URL",
            hide_env_values = true,
            value_name = "URL"
        )]
        database_url: Option<DatabaseUrl>,
        /// The format that the earlier release reads: it names it when it refuses.
        #[arg(long, value_name = "NUMBER")]
        format: i64,
    },
    /// Copy the journal of one server into PostgreSQL, with the same positions, hashes and ids, and verify the copy.
    Migrate {
        /// The data directory, while no server runs on it. It is left as it is.
        #[arg(long, env = "MAINSTAY_DATA", value_name = "DIR")]
        data: PathBuf,
        /// An empty database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
        #[arg(
            long,
            env = "MAINSTAY_DATABASE_URL",
            hide_env_values = true,
            value_name = "URL"
        )]
        to: DatabaseUrl,
        /// How to print the chains.
        #[arg(short, long, value_enum, default_value_t)]
        output: Form,
    },
}

/// Options of `mainstay why`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Why {
    /// A page (`2026-03-02-001-p1`), an incident, an alert (its fingerprint or its name; one that is over, too), or an event as
    /// timelines and answers name it.
    subject: String,
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
        match self {
            Self::Verify {
                directory: Some(directory),
                ..
            } if !holds_journal(directory) => {
                anstream::eprintln!(
                    "mainstay journal verify: {} holds no journal; DATA/journal does",
                    directory.display()
                );
                Exit::Usage
            }
            Self::Verify {
                directory: Some(directory),
                ask,
                ..
            } => offline(ask.output, "verify", async {
                verify(&sqlite(directory).await?).await
            }),
            Self::Verify {
                database_url: Some(url),
                ask,
                ..
            } => offline(ask.output, "verify", async {
                // Opening makes a journal where there is none; verifying must not.
                if !PostgresJournal::is_there(url.secret()).await? {
                    return Err(JournalError::Storage(format!("{url} holds no journal")));
                }
                verify(&postgres(url).await?).await
            }),
            Self::Verify { ask, .. } => Remote::run(&ask.server, async |remote| {
                let report = remote.order("/api/v1/journal/verify").await?;
                Ok(show(&report, ask.output))
            }),
            Self::Downgrade {
                data,
                database_url,
                format,
            } => {
                // As `serve`: with a database, the journal is there.
                if let Some(url) = database_url {
                    let done = PostgresJournal::downgrade(url.secret(), *format, SystemClock.now());
                    downgraded(&url.to_string(), *format, wait(done))
                } else {
                    let journal = data.as_deref().unwrap_or(Path::new("")).join("journal");
                    let done = wait(SqliteJournal::downgrade(&journal, *format));
                    downgraded(&journal.display().to_string(), *format, done)
                }
            }
            Self::Migrate { data, to, output } => offline(*output, "migrate", async {
                let from = sqlite(&data.join("journal")).await?;
                postgres(to).await?.copy_from(&from).await
            }),
        }
    }
}

/// Opening makes a journal where there is none; looking at one must not.
fn holds_journal(directory: &Path) -> bool {
    directory.join(mainstay_journal::sqlite::DATABASE_FILE).is_file()
}

async fn sqlite(directory: &Path) -> Result<SqliteJournal, JournalError> {
    if !holds_journal(directory) {
        return Err(JournalError::Storage(format!(
            "{} holds no journal",
            directory.display()
        )));
    }
    SqliteJournal::open(directory, Arc::new(SystemClock), Arc::new(SystemEntropy)).await
}

async fn postgres(url: &DatabaseUrl) -> Result<PostgresJournal, JournalError> {
    PostgresJournal::open(url.secret(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await
}

impl Why {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let about_event = self.subject.parse::<EventId>().is_ok();
            let at = match about_event {
                true => path(&["events", &self.subject, "why"]),
                false => path(&["why", &self.subject]),
            };
            let (why, now) = remote.look(&at, &[]).await?;
            if self.ask.output == Form::Json {
                output::json(&why);
            } else if about_event {
                show_causes(&why, now);
            } else {
                show_decisions(&why, now);
            }
            Ok(Exit::Ok)
        })
    }
}

/// An event and what caused it.
fn show_causes(why: &Value, now: Timestamp) {
    for (index, step) in list(why, "chain").iter().enumerate() {
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
}

/// Every decision in its order.
fn show_decisions(why: &Value, now: Timestamp) {
    if let Some(note) = why["note"].as_str() {
        anstream::eprintln!("{note}");
    }
    for decision in list(why, "decisions") {
        anstream::println!(
            "{}  \x1b[1m{:<12}\x1b[0m  {}",
            clock(decision, "at", now),
            text(decision, "step"),
            text(decision, "text")
        );
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

/// Does something of its own, without a server.
fn wait<T>(work: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| JournalError::Storage(error.to_string()))?;
    runtime.block_on(work)
}

/// Tells that a journal went back to a format, from the one that `found` says.
fn downgraded(journal: &str, to: i64, found: Result<i64, JournalError>) -> Exit {
    match found {
        Ok(found) if found == to => {
            anstream::println!("{journal} is of format {to} already.");
            Exit::Ok
        }
        Ok(found) => {
            anstream::println!("{journal} was of format {found} and is of format {to}: nothing is lost.");
            Exit::Ok
        }
        Err(error) => {
            anstream::eprintln!("mainstay journal downgrade: {error}");
            Exit::Failure
        }
    }
}

/// Does without a server what gives the chains of a journal, and shows them.
fn offline(
    form: Form,
    verb: &str,
    work: impl Future<Output = Result<BTreeMap<Partition, Chain>, JournalError>>,
) -> Exit {
    match wait(work) {
        Ok(chains) => {
            let partition = |(partition, chain): (&Partition, &Chain)| json!({ "partition": partition.to_string(), "events": chain.events, "head": chain.head.to_string(), "problem": null });
            let partitions: Vec<Value> = chains.iter().map(partition).collect();
            show(&json!({ "whole": true, "partitions": partitions }), form)
        }
        Err(JournalError::Corrupt { place, reason }) => {
            let problem = json!({ "partition": "unknown", "events": null, "head": "", "problem": format!("{place}: {reason}") });
            show(&json!({ "whole": false, "partitions": [problem] }), form)
        }
        Err(error @ JournalError::InUse { .. }) => {
            anstream::eprintln!("mainstay journal {verb}: {error}");
            if verb == "verify" {
                anstream::eprintln!("Or let the server verify it: mainstay journal verify --server URL");
            }
            Exit::Failure
        }
        Err(error) => {
            anstream::eprintln!("mainstay journal {verb}: {error}");
            Exit::Failure
        }
    }
}
