//! The first screen.

use jiff::Timestamp;
use mainstay_kernel::EventId;
use mainstay_ui::frame::FRESH_MS;
use mainstay_ui::{Chart, Status, Unit, time};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Alert, Change, IncidentSummary, Slo, Utc};

/// What is true right now, shown around every page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Situation {
    /// The instant of the newest sample; none if there never was one.
    #[schemars(with = "Option<Utc>")]
    pub data_at: Option<Timestamp>,
    /// How many alerts fire that this reader may see, and that nothing holds back.
    pub firing: u64,
    /// Who is on call, one entry per rota.
    pub on_call: Vec<Duty>,
    /// What the scope bar offers.
    pub places: Places,
    /// Whether there is a demo's inbox to look into.
    pub has_inbox: bool,
}

/// Who is on call in one rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Duty {
    /// The rota.
    pub rota: String,
    /// Who is on call now; none is a gap.
    pub now: Option<String>,
    /// When the shift ends.
    #[schemars(with = "Option<Utc>")]
    pub until: Option<Timestamp>,
    /// Who comes next.
    pub next: Option<String>,
}

/// The parts of the platform that this reader may see, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Places {
    /// The tenants.
    pub tenants: Vec<String>,
    /// The cells.
    pub cells: Vec<String>,
    /// The services.
    pub services: Vec<String>,
}

/// The overview.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Overview {
    /// What is the matter, in one sentence; [`Sentence::compose`] makes it from the rest.
    pub sentence: Sentence,
    /// Rules in force: a deploy freeze, blindness of Mainstay itself.
    pub banners: Vec<Banner>,
    /// Open incidents, worst first.
    pub open: Vec<IncidentSummary>,
    /// Incidents that ended lately, newest first.
    pub recent: Vec<IncidentSummary>,
    /// The alerts that fire, worst first; at most 20.
    pub alerts: Vec<Alert>,
    /// The objectives.
    pub slos: Vec<Slo>,
    /// Services by cells.
    pub grid: Grid,
    /// Changes in the chosen range, newest first.
    pub changes: Vec<Change>,
    /// Traffic, errors and latency over the chosen range.
    pub charts: Vec<Chart>,
    /// Traffic against capacity, incidents and deployments of the last 30 days, health counts.
    pub figures: Vec<FigureGroup>,
}

/// What is the matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sentence {
    /// How the platform stands.
    pub status: Status,
    /// In one or two sentences.
    pub text: String,
}

/// A rule in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Banner {
    /// How bad it is.
    pub status: Status,
    /// One sentence.
    pub text: String,
    /// The event that put it in force.
    #[schemars(with = "Option<String>")]
    pub event: Option<EventId>,
}

/// Services by cells, each with its worst signal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Grid {
    /// The cells, in the order of the columns.
    pub cells: Vec<String>,
    /// One row per service.
    pub rows: Vec<GridRow>,
}

/// One service in every cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GridRow {
    /// The service.
    pub service: String,
    /// One entry per cell of the grid; none where the service does not run.
    pub cells: Vec<Option<GridCell>>,
}

/// One service in one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GridCell {
    /// How the worst signal stands.
    pub status: Status,
    /// Which signal it is, with its value: `errors 53%`, `pool 100%`; none when all is well.
    pub signal: Option<String>,
    /// The expression behind it.
    pub query: Option<String>,
}

/// Figures that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FigureGroup {
    /// What they are about: `Traffic`, `Last 30 days`.
    pub title: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// What it says: `Requests now`.
    pub label: String,
    /// Its value; none where nothing is known.
    pub value: Option<f64>,
    /// What it counts.
    pub unit: Unit,
    /// How it stands against `target`; neutral without one.
    pub status: Status,
    /// What it is compared with: `of 650,000 /s proven`, `target < 30 min`.
    pub target: Option<String>,
    /// The expression behind it.
    pub query: Option<String>,
}

impl Sentence {
    /// What is the matter: the worst open incident, else a broken objective, else blindness, else all is well. Never
    /// reassuring without data.
    #[must_use]
    pub fn compose(situation: &Situation, open: &[IncidentSummary], slos: &[Slo]) -> Self {
        if let Some(worst) = open
            .iter()
            .min_by_key(|incident| (incident.severity, incident.started_at))
        {
            return Self {
                status: Status::Breached,
                text: Self::about_incident(worst, open.len() - 1),
            };
        }
        // Groups of an objective have its title: it is named once.
        let named = |status: Status| -> Vec<&str> {
            let mut titles = Vec::new();
            for slo in slos.iter().filter(|slo| slo.status == status) {
                if !titles.contains(&slo.title.as_str()) {
                    titles.push(slo.title.as_str());
                }
            }
            titles
        };
        let (breached, unknown) = (named(Status::Breached), named(Status::Unknown));
        if !breached.is_empty() {
            return Self {
                status: Status::Breached,
                text: format!(
                    "No incident is open, but {} below objective: {}.",
                    are(breached.len()),
                    listed(&breached)
                ),
            };
        }
        if situation.data_at.is_none() {
            return Self {
                status: Status::Unknown,
                text: "No data has arrived yet, so nothing is known about the platform.".to_owned(),
            };
        }
        if situation.firing > 0 {
            return Self {
                status: Status::Warning,
                text: format!("{} firing; no incident is open.", alerts(situation.firing)),
            };
        }
        if !unknown.is_empty() || slos.is_empty() {
            let text = if slos.is_empty() {
                "No objective is defined, so nothing can be said to be well.".to_owned()
            } else {
                format!(
                    "Nothing is known about {}: no data counts towards it.",
                    listed(&unknown)
                )
            };
            return Self {
                status: Status::Unknown,
                text,
            };
        }
        Self {
            status: Status::Ok,
            text: "All objectives are kept. No incident is open and no alert fires.".to_owned(),
        }
    }

    /// The same sentence, unless it reassures on the strength of data that are too old for that.
    #[must_use]
    pub fn unless_stale(self, data_at: Option<Timestamp>, now: Timestamp) -> Self {
        let age_ms = data_at.map_or(u64::MAX, |at| time::elapsed_ms(at, now));
        if self.status != Status::Ok || age_ms <= FRESH_MS {
            return self;
        }
        Self {
            status: Status::Unknown,
            text: match data_at {
                None => "No data has arrived yet, so nothing is known about the platform.".to_owned(),
                Some(_) => format!(
                    "The newest data is {} old: how the platform stands now is not known.",
                    time::span(age_ms)
                ),
            },
        }
    }

    fn about_incident(incident: &IncidentSummary, others: usize) -> String {
        let mut text = incident.title.clone();
        let started = time::hour_minute(incident.started_at);
        text.push_str(&format!(" since {started} UTC"));
        match incident.tenants.as_slice() {
            [] => {}
            [one] => text.push_str(&format!(", hitting tenant {one}")),
            [first, second] => text.push_str(&format!(", hitting tenants {first} and {second}")),
            [first, second, rest @ ..] => text.push_str(&format!(
                ", hitting {} tenants ({first}, {second}, …)",
                rest.len() + 2
            )),
        }
        text.push('.');
        if let Some(suspect) = &incident.suspect {
            text.push_str(&format!(" Suspect: {suspect}."));
        }
        if others > 0 {
            text.push_str(&format!(
                " {others} more incident{} open.",
                if others == 1 { "" } else { "s" }
            ));
        }
        text
    }
}

/// The first three, and how many more there are: a sentence is read at a glance.
fn listed(titles: &[&str]) -> String {
    let shown = titles.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    match titles.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn are(count: usize) -> &'static str {
    if count == 1 {
        "one objective is"
    } else {
        "objectives are"
    }
}

fn alerts(count: u64) -> String {
    if count == 1 {
        "1 alert is".to_owned()
    } else {
        format!("{count} alerts are")
    }
}
