//! `mainstay shadow`, `mainstay route list`, `cut-over` and `cut-back`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ask, Remote};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, text};
use crate::route::Which;

/// What is asked about routes in shadow.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// What Mainstay would have told, beside what the other system told. Exit code 3 if they differ.
    Report {
        /// From when, RFC 3339; without it, the last 24 hours.
        #[arg(long, value_name = "TIME", value_parser = crate::cli::time)]
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
                .any(|side| !items(&report, side).is_empty());
            Ok(if differs { Exit::Problems } else { Exit::Ok })
        })
    }
}

fn items<'a>(report: &'a Value, key: &str) -> &'a [Value] {
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
    for one in items(report, "only_ours") {
        row("only ours", one);
    }
    for one in items(report, "only_theirs") {
        row("only theirs", one);
    }
    for pair in items(report, "both") {
        row("both: ours", &pair["ours"]);
        row("both: theirs", &pair["theirs"]);
    }
    table
}

/// Every route with whom it tells, and whether that leaves.
pub(crate) fn list(ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (routes, _) = remote.look("/api/v1/shadow/routes", &[]).await?;
        match ask.output {
            Form::Json => output::json(&routes),
            Form::Table => {
                let mut table = Table::new(&["ROUTE", "RECEIVER", "TELLS", "BECAUSE"]);
                for route in routes.as_array().into_iter().flatten() {
                    let tells = match route["shadow"] == true {
                        true => "in shadow",
                        false => "live",
                    };
                    table.row([
                        text(route, "route"),
                        text(route, "receiver"),
                        tells.to_owned(),
                        because(route),
                    ]);
                }
                table.print("There are no routes.");
            }
        }
        Ok(Exit::Ok)
    })
}

/// Why a route is in shadow or not.
fn because(route: &Value) -> String {
    let cut = match route["shadow"] == true {
        true => "cut back",
        false => "cut over",
    };
    match (route["by_route"].as_str(), route["by_receiver"].as_str()) {
        (Some(name), _) if route["route"] == name => cut.to_owned(),
        (Some(name), _) => format!("{cut} with {name}"),
        (None, Some(name)) => format!("{cut} with the receiver {name}"),
        (None, None) => "as written".to_owned(),
    }
}

/// Lets what routes tell leave, or only be recorded, or as the catalog says.
pub(crate) fn cut(which: &Which, live: Option<bool>, ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let body = json!({"route": which.route, "receiver": which.receiver, "live": live});
        remote.act("/api/v1/shadow/cut", Some(body), ask.output).await?;
        Ok(Exit::Ok)
    })
}
