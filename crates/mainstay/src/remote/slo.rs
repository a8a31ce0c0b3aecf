//! `mainstay slo`.

use serde_json::Value;

use super::{Ask, Remote, Trouble, Within, adjust, path, report, with_query};
use crate::exit::Exit;
use crate::output::{self, Form, Table, count, judged, list, text};

/// What is asked about objectives.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// How every objective stands: counts, budget, burn rate; and below it its groups that are not well.
    Status {
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        ask: Ask,
    },
    /// One objective in depth: raw and adjusted counts, budget, burn alerts, the queries behind them.
    Show {
        /// The objective.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        ask: Ask,
    },
    /// How every number of an objective comes about: definition, window, counts, exclusions, doubt. CommonMark.
    Explain {
        /// The objective.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        server: super::Server,
    },
    /// The monthly report of a tenant or of the platform; draft, issue and verify it.
    Report(report::Options),
    /// What does not count, by agreement.
    #[command(subcommand)]
    Adjust(adjust::Command),
    /// Write the objectives of a catalog as a Prometheus rule file; it takes no server.
    Export(crate::adopt::Export),
    /// Judge the past by a catalog: pages, freezes and budgets as they would have been, also for other targets.
    Replay(Box<crate::replay::Options>),
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Replay(options) => crate::replay::run(options),
            Self::Status { within, ask } => status(within, ask),
            Self::Show { id, within, ask } => show(id, within, ask),
            Self::Explain { id, within, server } => Remote::run(server, async |remote| {
                let address = path(&["slos", id, "explain"]);
                anstream::print!("{}", remote.text(&with_query(&address, &within.query())).await?);
                Ok(Exit::Ok)
            }),
            Self::Report(options) => options.run(),
            Self::Adjust(command) => command.run(),
            Self::Export(options) => options.run(),
        }
    }
}

fn status(within: &Within, ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (slos, _) = remote.look("/api/v1/slos", &within.query()).await?;
        if ask.output == Form::Json {
            output::json(&slos);
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&[
            "OBJECTIVE",
            "GROUP",
            "STATUS",
            "NOW",
            "PROMISED",
            "RAW BAD",
            "RAW TOTAL",
            "ADJ BAD",
            "ADJ TOTAL",
            "LEFT",
            "ALLOWED",
            "BUDGET",
            "BURN 1H",
        ]);
        for slo in slos.as_array().into_iter().flatten() {
            table.row([
                text(slo, "id"),
                text(slo, "group"),
                judged(&text(slo, "status")),
                share(slo, "value", true),
                share(slo, "objective", false),
                text(&slo["amounts"], "bad"),
                total(slo),
                count(slo, "adjusted_bad"),
                count(slo, "adjusted_total"),
                text(&slo["amounts"], "left"),
                text(&slo["amounts"], "allowed"),
                judged(&text(slo, "budget")),
                burn(&slo["burn_1h"]),
            ]);
        }
        table.print("No objective is defined.");
        for slo in slos.as_array().into_iter().flatten() {
            remarks(slo);
        }
        Ok(Exit::Ok)
    })
}

fn burn(rate: &Value) -> String {
    rate.as_f64()
        .map_or_else(|| "unknown".to_owned(), |rate| format!("{rate:.2}x"))
}

/// What a row has no room for, on standard error.
fn remarks(slo: &Value) {
    let group = text(slo, "group");
    let id = if group.is_empty() {
        text(slo, "id")
    } else {
        format!("{} ({group})", text(slo, "id"))
    };
    let differs = slo["bad"] != slo["adjusted_bad"] || slo["total"] != slo["adjusted_total"];
    for (key, what, is_news) in [
        ("unknown_reason", "unknown, ", true),
        ("apart", "beside the counts, ", true),
        ("doubt", "in doubt, ", true),
        ("excluded", "", differs),
    ] {
        if let Some(words) = slo[key].as_str().filter(|_| is_news) {
            anstream::eprintln!("{id}: {what}{words}");
        }
    }
}

fn show(id: &str, within: &Within, ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (detail, _) = remote.look(&path(&["slos", id]), &within.query()).await?;
        if ask.output == Form::Json {
            output::json(&detail);
            return Ok(Exit::Ok);
        }
        print_detail(&detail);
        Ok::<Exit, Trouble>(Exit::Ok)
    })
}

fn print_detail(detail: &Value) {
    let slo = &detail["slo"];
    let group = text(slo, "group");
    let place = if group.is_empty() {
        String::new()
    } else {
        format!(", {group}")
    };
    anstream::println!("{} ({}){place}", text(slo, "title"), text(slo, "id"));
    anstream::println!("{}\n", text(detail, "definition"));
    let figure = |bad, total| format!("{} bad of {}", count(slo, bad), count(slo, total));
    let mut lines = vec![
        ("status", judged(&text(slo, "status"))),
        ("window", text(slo, "window")),
        ("raw", figure("bad", "total")),
        ("adjusted", figure("adjusted_bad", "adjusted_total")),
        (
            "now",
            format!(
                "{}, promised {}",
                share(slo, "value", true),
                share(slo, "objective", false)
            ),
        ),
    ];
    if !slo["sla"].is_null() {
        lines.push(("agreement", share(slo, "sla", false)));
    }
    let left = format!(
        "{} of {} left",
        count(slo, "budget_left"),
        count(slo, "budget_allowed")
    );
    lines.push(("budget", format!("{left}, {}", judged(&text(slo, "budget")))));
    lines.push((
        "burn",
        format!(
            "{} in 1 h, {} in 6 h",
            burn(&slo["burn_1h"]),
            burn(&slo["burn_6h"])
        ),
    ));
    for (name, value) in [
        ("excluded", text(slo, "excluded")),
        ("unknown", text(slo, "unknown_reason")),
        ("in doubt", text(slo, "doubt")),
        ("spent from", text(&slo["exhaustion"], "earliest")),
        ("spent likely", text(&slo["exhaustion"], "likely")),
        ("spent by", text(&slo["exhaustion"], "latest")),
        ("bad events", text(detail, "bad_query")),
        ("all events", text(detail, "total_query")),
        ("defined in", text(detail, "source")),
    ] {
        if !value.is_empty() {
            lines.push((name, value));
        }
    }
    for (name, value) in lines {
        anstream::println!("{name:<12} {value}");
    }
    let mut table = Table::new(&["ALERT", "STATUS", "LONG", "SHORT", "THRESHOLD"]);
    for one in list(detail, "burns") {
        table.row([
            text(one, "alert"),
            match one["held_back"].as_str() {
                Some(why) => format!("{}, held back: {why}", judged(&text(one, "status"))),
                None => judged(&text(one, "status")),
            },
            burn(&one["long"]),
            burn(&one["short"]),
            burn(&one["threshold"]),
        ]);
    }
    if !list(detail, "burns").is_empty() {
        anstream::println!();
    }
    table.print("No alert watches how fast this budget burns.");
}

/// All that was counted, and of what where that is no events: `43,200 minutes`.
fn total(slo: &Value) -> String {
    let (total, noun) = (text(&slo["amounts"], "total"), text(&slo["amounts"], "noun"));
    if noun == "events" {
        total
    } else {
        format!("{total} {noun}")
    }
}

/// A share as a percentage; a measured one is cut, never rounded up to what was promised.
fn share(slo: &Value, key: &str, measured: bool) -> String {
    let Some(ratio) = slo[key].as_str().and_then(fraction) else {
        return "unknown".to_owned();
    };
    let share = mainstay_web::view::Share(ratio);
    let promised = slo["objective"]
        .as_str()
        .and_then(fraction)
        .map(mainstay_web::view::Share);
    match promised.filter(|_| measured) {
        Some(promised) => share.percent_floor(promised.decimals_beside()),
        None => share.percent(),
    }
}

/// `0.9995` or `1999/2000`.
fn fraction(text: &str) -> Option<mainstay_kernel::Ratio> {
    match text.split_once('/') {
        Some((part, whole)) => mainstay_kernel::Ratio::new(part.parse().ok()?, whole.parse().ok()?).ok(),
        None => text.parse().ok(),
    }
}
