//! `mainstay runbook`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Ask, Remote, Trouble, path};
use crate::check;
use crate::exit::Exit;
use crate::output::{self, Form, Table, judged, list, text};

/// How often a step that is under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is done with runbooks.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// List runbooks: those that serve an incident with the state of their steps, or all of a catalog.
    List {
        /// The incident.
        #[arg(required_unless_present = "catalog", conflicts_with = "catalog")]
        incident: Option<String>,
        /// A catalog directory; no server is asked.
        #[arg(long, value_name = "DIR")]
        catalog: Option<PathBuf>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Run one step for an incident and wait for its result; exit code 8 if it is still under way then.
    Run {
        /// The incident.
        incident: String,
        /// The runbook.
        runbook: String,
        /// The step.
        step: String,
        /// How long to wait for its result, in seconds.
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        wait_s: u64,
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::List {
                catalog: Some(catalog),
                ask,
                ..
            } => of_catalog(catalog, ask.output),
            Self::List { incident, ask, .. } => Remote::run(&ask.server, async |remote| {
                let incident = incident.as_deref().unwrap_or_default();
                let incident = remote.get(&path(&["incidents", incident])).await?;
                if ask.output == Form::Json {
                    output::json(&incident["runbooks"]);
                    return Ok(Exit::Ok);
                }
                let runbooks = list(&incident, "runbooks");
                for runbook in runbooks {
                    let serves = output::joined(runbook, "serves");
                    anstream::println!(
                        "\x1b[1m{}\x1b[0m  {}  (serves {serves})",
                        text(runbook, "id"),
                        text(runbook, "title")
                    );
                    steps(runbook);
                }
                if runbooks.is_empty() {
                    anstream::eprintln!("No runbook serves the alerts of this incident.");
                }
                Ok(Exit::Ok)
            }),
            Self::Run {
                incident,
                runbook,
                step,
                wait_s,
                ask,
            } => Remote::run(&ask.server, async |remote| {
                remote
                    .act(
                        &path(&["incidents", incident, "runbooks", runbook, "steps", step]),
                        None,
                        ask.output,
                    )
                    .await?;
                let until = Instant::now() + Duration::from_secs(*wait_s);
                loop {
                    let now = state(remote, incident, runbook, step).await?;
                    match now.0.as_str() {
                        "done" => return Ok(said(Exit::Ok, &now)),
                        "failed" => return Ok(said(Exit::Failure, &now)),
                        _ if Instant::now() >= until => return Ok(said(Exit::Pending, &now)),
                        _ => tokio::time::sleep(LOOK_EVERY).await,
                    }
                }
            }),
        }
    }
}

fn said(exit: Exit, (state, result): &(String, String)) -> Exit {
    let result = if result.is_empty() {
        String::new()
    } else {
        format!(": {result}")
    };
    anstream::eprintln!("{}{result}", judged(state));
    exit
}

/// Where a step stands, and what came of it.
async fn state(
    remote: &Remote,
    incident: &str,
    runbook: &str,
    step: &str,
) -> Result<(String, String), Trouble> {
    let incident = remote.get(&path(&["incidents", incident])).await?;
    let runbooks = list(&incident, "runbooks")
        .iter()
        .filter(|known| known["id"] == runbook);
    let found = runbooks
        .flat_map(|known| list(known, "steps"))
        .find(|known| known["id"] == step);
    // A runbook may be run for an incident whose alerts it does not serve; then its state is not shown there.
    let found = found
        .ok_or_else(|| Trouble::Strange(format!("the incident does not show step {step} of {runbook}")))?;
    Ok((text(found, "state"), text(found, "result")))
}

/// The steps of a runbook, one line each.
pub(super) fn steps(runbook: &Value) {
    let mut table = Table::new(&["STEP", "STATE", "DOES", "RESULT"]);
    for step in list(runbook, "steps") {
        let does = step["action"].as_str().unwrap_or("a human does it").to_owned();
        let by = text(step, "by");
        let result = text(step, "result");
        let result = if by.is_empty() {
            result
        } else {
            format!("{result} ({by})")
        };
        table.row([text(step, "id"), judged(&text(step, "state")), does, result]);
    }
    table.print("It has no steps.");
}

fn of_catalog(directory: &std::path::Path, form: Form) -> Exit {
    let (catalog, findings) = check::examine(directory);
    if findings.has_errors() {
        check::print(directory, &findings);
        return Exit::Problems;
    }
    if form == Form::Json {
        output::json(&catalog.runbooks);
        return Exit::Ok;
    }
    let mut table = Table::new(&["RUNBOOK", "SEV", "STEPS", "REVIEWED", "OWNER", "TITLE", "ALERTS"]);
    for runbook in &catalog.runbooks {
        let alerts: Vec<String> = runbook.front.alerts.iter().map(ToString::to_string).collect();
        table.row([
            runbook.id.to_string(),
            runbook.front.severity.to_string(),
            runbook.steps.len().to_string(),
            runbook.front.last_reviewed.to_string(),
            runbook.front.owner.to_string(),
            runbook.front.title.clone(),
            alerts.join(", "),
        ]);
    }
    table.print("The catalog has no runbook.");
    Exit::Ok
}
