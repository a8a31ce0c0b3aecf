//! `mainstay alert`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Ask, Remote, Within};
use crate::exit::Exit;
use crate::output::{self, Form, Table, age, clock, judged, list, text};

/// What is done with alerts.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// List alerts: those that fire, worst first, then those of incidents that ended lately.
    List {
        /// Only those that fire.
        #[arg(long)]
        firing: bool,
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        ask: Ask,
    },
    /// Which alerts led to work and which to nothing, and which rules and objectives never fired.
    Review {
        /// Days back from now; at most 366.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=366))]
        days: u16,
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let (firing, within, ask) = match self {
            Self::List { firing, within, ask } => (firing, within, ask),
            Self::Review { days, ask } => return review(*days, ask),
        };
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

/// So many digits of a fingerprint are shown: enough for `mainstay why`.
const DIGITS: usize = 12;

/// Of every name the labels that its alerts do not share.
fn apart(alerts: &[Value]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut firsts: BTreeMap<&str, &Map<String, Value>> = BTreeMap::new();
    let mut apart: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for alert in alerts {
        let (Some(name), Some(labels)) = (alert["name"].as_str(), alert["labels"].as_object()) else {
            continue;
        };
        let first = *firsts.entry(name).or_insert(labels);
        let both = labels.keys().chain(first.keys());
        let differing = both.filter(|label| labels.get(*label) != first.get(*label));
        apart
            .entry(name)
            .or_default()
            .extend(differing.map(String::as_str));
    }
    apart
}

/// The cell, and the labels that tell an alert from others of its name.
fn which(alert: &Value, apart: &BTreeMap<&str, BTreeSet<&str>>) -> String {
    let differing = alert["name"].as_str().and_then(|name| apart.get(name));
    let labels = alert["labels"].as_object().into_iter().flatten();
    let shown = labels.filter(|(label, _)| {
        *label == "cell" || differing.is_some_and(|differing| differing.contains(label.as_str()))
    });
    let shown = shown.map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()));
    shown.collect::<Vec<_>>().join(" ")
}

pub(super) fn table(alerts: &[Value], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        "STATE",
        "SEV",
        "ALERT",
        "WHICH",
        "SINCE",
        "VALUE",
        "INCIDENT",
        "FINGERPRINT",
        "SUMMARY",
    ]);
    let apart = apart(alerts);
    for alert in alerts {
        let fingerprint = text(alert, "fingerprint");
        table.row([
            judged(&text(alert, "state")),
            text(alert, "severity"),
            text(alert, "name"),
            which(alert, &apart),
            age(alert, "since", now),
            text(alert, "value"),
            text(alert, "incident"),
            fingerprint.chars().take(DIGITS).collect(),
            text(alert, "summary"),
        ]);
    }
    table
}

/// `75.0%`, or a dash of nothing.
fn share(part: u64, whole: u64) -> String {
    match (part * 1_000).checked_div(whole) {
        Some(parts) => format!("{}.{}%", parts / 10, parts % 10),
        None => "-".to_owned(),
    }
}

fn review(days: u16, ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let days = days.to_string();
        let (review, now) = remote
            .look("/api/v1/alerts/review", &[("days", days.as_str())])
            .await?;
        if ask.output == Form::Json {
            output::json(&review);
            return Ok(Exit::Ok);
        }
        let number = |value: &Value, key: &str| value[key].as_u64().unwrap_or(0);
        let [fired, paged, actionable] = ["fired", "paged", "actionable"].map(|key| number(&review, key));
        anstream::println!(
            "In {days} days alerts fired {fired} times, {paged} of them paged, {actionable} led to work: {} of all.",
            share(actionable, fired)
        );
        let mut names = Table::new(&["ALERT", "FIRED", "NO INCIDENT", "PAGED", "ACTIONABLE", "SHARE"]);
        for one in list(&review, "names") {
            names.row([
                text(one, "name"),
                text(one, "fired"),
                text(one, "without_incident"),
                text(one, "paged"),
                text(one, "actionable"),
                share(number(one, "actionable"), number(one, "fired")),
            ]);
        }
        names.print("No alert fired.");
        let mut people = Table::new(&["PAGED", "PAGES", "OFF HOURS", "AT NIGHT"]);
        for one in list(&review, "people") {
            people.row(["person", "pages", "pages_off_hours", "pages_at_night"].map(|key| text(one, key)));
        }
        people.print("Nobody was paged.");
        let mut incidents = Table::new(&["NO ALERT TOLD OF", "SEV", "DECLARED (UTC)", "BY", "TITLE"]);
        for one in list(&review, "without_alert") {
            incidents.row([
                text(one, "incident"),
                text(one, "severity"),
                clock(one, "at", now),
                text(one, "by"),
                text(one, "title"),
            ]);
        }
        incidents.print("An alert told of every incident.");
        for (what, key) in [
            ("Rules that never fired", "rules_never_fired"),
            ("Objectives that never fired", "objectives_never_fired"),
        ] {
            let silent: Vec<&str> = list(&review, key).iter().filter_map(Value::as_str).collect();
            if !silent.is_empty() {
                anstream::println!("{what}: {}", silent.join(", "));
            }
        }
        Ok(Exit::Ok)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn alerts_of_one_name_are_told_apart() {
        let alert = |name: &str, labels: Value| json!({"name": name, "labels": labels, "fingerprint": "0123456789abcdef"});
        let alerts = [
            alert("Down", json!({"cell": "cell-1", "instance": "a:1", "job": "x"})),
            alert("Down", json!({"cell": "cell-1", "instance": "b:1", "job": "x"})),
            alert("Slow", json!({"job": "x"})),
        ];
        let now = "2026-03-02T10:00:00Z".parse().expect("a time");
        let text = anstream::adapter::strip_str(&table(&alerts, now).to_string()).to_string();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[1], ["Down", "cell=cell-1", "instance=a:1", "0123456789ab"]);
        assert_eq!(rows[2], ["Down", "cell=cell-1", "instance=b:1", "0123456789ab"]);
        assert_eq!(rows[3], ["Slow", "0123456789ab"]);
    }
}
