//! `mainstay slo`.

use serde_json::Value;

use super::{Ask, Remote, Within};
use crate::exit::Exit;
use crate::output::{self, Form, Table, count, judged, text};

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
    /// Judge the past by a catalog: pages, freezes and budgets as they would have been, also for other targets.
    Replay(Box<crate::replay::Options>),
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let (within, ask) = match self {
            Self::Status { within, ask } => (within, ask),
            Self::Replay(options) => return crate::replay::run(options),
        };
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
                "BAD",
                "TOTAL",
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
                    count(slo, "bad"),
                    count(slo, "total"),
                    count(slo, "budget_left"),
                    count(slo, "budget_allowed"),
                    judged(&text(slo, "budget")),
                    slo["burn_1h"]
                        .as_f64()
                        .map_or_else(|| "unknown".to_owned(), |burn| format!("{burn:.2}x")),
                ]);
            }
            table.print("No objective is defined.");
            for slo in slos.as_array().into_iter().flatten() {
                if let Some(reason) = slo["unknown_reason"].as_str() {
                    anstream::eprintln!("{}: unknown, {reason}", text(slo, "id"));
                }
                if let Some(doubt) = slo["doubt"].as_str() {
                    anstream::eprintln!("{}: in doubt, {doubt}", text(slo, "id"));
                }
            }
            Ok(Exit::Ok)
        })
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
