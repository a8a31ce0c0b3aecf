//! `mainstay incident`, `ack` and `postmortem`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ask, Remote, Trouble, Within, path};
use crate::exit::Exit;
use crate::output::{self, Form, Table, age, clock, count, joined, judged, list, text};

/// What is done with incidents.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// List incidents, open ones first.
    List {
        /// Only open ones.
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        ask: Ask,
    },
    /// Show one: impact, clocks, suspects, pages, runbooks, timeline.
    Show {
        /// Its id, such as 2025-01-15-001.
        incident: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Write a note into the timeline.
    Note {
        /// The incident.
        incident: String,
        /// What to write.
        text: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// End an incident.
    Resolve {
        /// The incident.
        incident: String,
        /// A last note; while alerts still fire, the reason to end it all the same.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        ask: Ask,
    },
}

/// Options of `mainstay ack`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Ack {
    /// A page, or an incident for all its pages.
    #[arg(value_name = "PAGE_OR_INCIDENT")]
    target: String,
    #[command(flatten)]
    ask: Ask,
}

/// Options of `mainstay postmortem`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Postmortem {
    /// The incident.
    incident: String,
    #[command(flatten)]
    server: super::Server,
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::List { open, within, ask } => Remote::run(&ask.server, async |remote| {
                let (incidents, now) = remote.look("/api/v1/incidents", &within.query()).await?;
                show_list(incidents, *open, now, ask.output);
                Ok(Exit::Ok)
            }),
            Self::Show { incident, ask } => Remote::run(&ask.server, async |remote| {
                let (incident, now) = remote.look(&path(&["incidents", incident]), &[]).await?;
                match ask.output {
                    Form::Json => output::json(&incident),
                    Form::Table => show(&incident, now),
                }
                Ok(Exit::Ok)
            }),
            Self::Note { incident, text, ask } => Remote::run(&ask.server, async |remote| {
                let body = json!({ "text": text });
                remote
                    .act(&path(&["incidents", incident, "notes"]), Some(body), ask.output)
                    .await?;
                Ok(Exit::Ok)
            }),
            Self::Resolve { incident, note, ask } => Remote::run(&ask.server, async |remote| {
                let body = json!({ "note": note });
                remote
                    .act(&path(&["incidents", incident, "resolve"]), Some(body), ask.output)
                    .await?;
                Ok(Exit::Ok)
            }),
        }
    }
}

impl Ack {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let of_page = path(&["pages", &self.target, "acknowledge"]);
            match remote.act(&of_page, None, self.ask.output).await {
                // It is no page: then it is an incident.
                Err(Trouble::Refused { status: 404, .. }) => {
                    let of_incident = path(&["incidents", &self.target, "acknowledge"]);
                    remote.act(&of_incident, None, self.ask.output).await?;
                }
                other => {
                    other?;
                }
            }
            Ok(Exit::Ok)
        })
    }
}

impl Postmortem {
    pub(crate) fn run(&self) -> Exit {
        Remote::run(&self.server, async |remote| {
            let draft = remote
                .text(&path(&["incidents", &self.incident, "postmortem"]))
                .await?;
            anstream::print!("{draft}");
            Ok(Exit::Ok)
        })
    }
}

fn show_list(incidents: Value, open: bool, now: Timestamp, form: Form) {
    let mut incidents = match incidents {
        Value::Array(incidents) => incidents,
        _ => Vec::new(),
    };
    incidents.retain(|incident| !open || incident["resolved_at"].is_null());
    if form == Form::Json {
        return output::json(&incidents);
    }
    let mut table = Table::new(&[
        "INCIDENT",
        "SEV",
        "PHASE",
        "BEGAN (UTC)",
        "LASTED",
        "FAILED",
        "TITLE",
    ]);
    for incident in &incidents {
        let until = output::instant(incident, "resolved_at").unwrap_or(now);
        table.row([
            text(incident, "id"),
            text(incident, "severity"),
            phase(incident),
            clock(incident, "started_at", now),
            age(incident, "started_at", until),
            count(incident, "failed_requests"),
            text(incident, "title"),
        ]);
    }
    table.print("No incident.");
}

fn phase(incident: &Value) -> String {
    let mut phase = text(incident, "phase");
    if incident["shadow"] == true {
        phase.push_str(", in shadow");
    }
    if incident["resolved_at"].is_null() {
        format!("\x1b[33m{phase}\x1b[0m")
    } else {
        phase
    }
}

fn heading(title: &str) {
    anstream::println!("\n\x1b[1m{title}\x1b[0m");
}

fn show(incident: &Value, now: Timestamp) {
    let summary = &incident["summary"];
    anstream::println!("\x1b[1m{}\x1b[0m", text(summary, "title"));
    let by = text(summary, "acknowledged_by");
    let by = if by.is_empty() {
        "nobody took it on".to_owned()
    } else {
        format!("taken on by {by}")
    };
    anstream::println!(
        "{} {} · {} · {by}",
        text(summary, "id"),
        text(summary, "severity"),
        phase(summary)
    );
    anstream::println!("began {} UTC", clock(summary, "started_at", now));
    anstream::println!("{}", text(&incident["impact"], "text"));
    let tenants = joined(summary, "tenants");
    if !tenants.is_empty() {
        anstream::println!("tenants: {tenants}");
    }
    let bridge = &incident["bridge"];
    if !bridge.is_null() {
        let phone = text(bridge, "phone");
        let phone = if phone.is_empty() {
            phone
        } else {
            format!(" or {phone}")
        };
        anstream::println!("bridge: {}{phone}", text(bridge, "url"));
    }
    heading("Clocks");
    let span = |value: &Value, key: &str| mainstay_ui::time::span(value[key].as_u64().unwrap_or(0));
    let mut clocks = Table::new(&["CLOCK", "TOOK", "TARGET", ""]);
    for clock in list(incident, "clocks") {
        let state = if clock["running"] == true && clock["status"] != "breached" {
            "running".to_owned()
        } else {
            text(clock, "status")
        };
        clocks.row([
            text(clock, "name"),
            span(clock, "elapsed_ms"),
            span(clock, "target_ms"),
            judged(&state),
        ]);
    }
    clocks.print("None.");
    heading("Likely causes");
    for suspect in list(incident, "suspects") {
        anstream::println!("{}, {} UTC", text(suspect, "title"), clock(suspect, "at", now));
        list(suspect, "evidence")
            .iter()
            .filter_map(Value::as_str)
            .for_each(|line| anstream::println!("  - {line}"));
    }
    if list(incident, "suspects").is_empty() {
        anstream::println!("Nothing stands out: no change shortly before it began.");
    }
    heading("Pages");
    for page in list(incident, "pages") {
        let level = page["level"].as_u64().unwrap_or(0);
        anstream::println!(
            "{} to {} (level {level}): {}",
            text(page, "id"),
            text(page, "to"),
            text(page, "state")
        );
        for receipt in list(page, "receipts") {
            let (channel, to, answer) = (
                text(receipt, "channel"),
                text(receipt, "to"),
                text(receipt, "answer"),
            );
            anstream::println!("  {} {channel} to {to}: {answer}", clock(receipt, "at", now));
        }
    }
    for runbook in list(incident, "runbooks") {
        heading(&format!(
            "Runbook {} ({})",
            text(runbook, "id"),
            text(runbook, "title")
        ));
        super::runbook::steps(runbook);
    }
    heading("Alerts");
    super::alert::table(list(incident, "alerts"), now).print("None.");
    heading("Timeline (UTC)");
    for entry in list(incident, "timeline") {
        let kind = text(entry, "kind");
        anstream::println!(
            "{}  {kind:<7} {}  ({})",
            clock(entry, "at", now),
            text(entry, "text"),
            text(entry, "actor")
        );
    }
    if let Some(reason) = incident["resolve_blocked"].as_str() {
        anstream::eprintln!("\nCannot be resolved yet: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_in_shadow_says_so() {
        let shown =
            |shadow: bool| phase(&json!({"phase": "declared", "shadow": shadow, "resolved_at": "now"}));
        assert_eq!(shown(true), "declared, in shadow");
        assert_eq!(shown(false), "declared");
    }
}
