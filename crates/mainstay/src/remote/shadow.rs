//! `mainstay shadow`, `mainstay route cut-over` and `cut-back`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ask, Remote};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, text};

/// What is asked about routes in shadow.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// What Mainstay would have told, beside what the other system told. Exit code 3 if they differ.
    Report {
        /// From when, RFC 3339; without it, the last 24 hours.
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let Self::Report { since, ask } = self;
        Remote::run(&ask.server, async |remote| {
            let since = since.map(|since| since.to_string());
            let query: Vec<(&str, &str)> = since.iter().map(|since| ("since", since.as_str())).collect();
            let (report, now) = remote.look("/api/v1/shadow/report", &query).await?;
            match ask.output {
                Form::Json => output::json(&report),
                Form::Table => table(&report, now).print("Neither told anybody."),
            }
            if report["truncated"] == true {
                anstream::eprintln!("There is more: ask for less with --since.");
            }
            let differs = ["only_ours", "only_theirs"]
                .iter()
                .any(|side| !list(&report, side).is_empty());
            Ok(if differs { Exit::Problems } else { Exit::Ok })
        })
    }
}

fn list<'a>(report: &'a Value, key: &str) -> &'a [Value] {
    report[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn table(report: &Value, now: Timestamp) -> Table {
    let mut table = Table::new(&["WHO", "AT (UTC)", "RECEIVER", "SAYS", "WHAT", "EVENT"]);
    let mut row = |who: &str, told: &Value| {
        let says = if told["resolved"] == true {
            "over"
        } else {
            "firing"
        };
        table.row([
            who.to_owned(),
            clock(told, "at", now),
            text(told, "receiver"),
            says.to_owned(),
            text(told, "title"),
            text(told, "event"),
        ]);
    };
    for one in list(report, "only_ours") {
        row("only ours", one);
    }
    for one in list(report, "only_theirs") {
        row("only theirs", one);
    }
    for pair in list(report, "both") {
        row("both: ours", &pair["ours"]);
        row("both: theirs", &pair["theirs"]);
    }
    table
}

/// Lets what a receiver is told leave, or only be recorded, or as its routes say.
pub(crate) fn cut(receiver: &str, live: Option<bool>, ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let body = json!({"receiver": receiver, "live": live});
        remote.act("/api/v1/shadow/cut", Some(body), ask.output).await?;
        Ok(Exit::Ok)
    })
}
