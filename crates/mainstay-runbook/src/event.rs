//! What can have happened to the steps of runbooks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, StreamId};
use mainstay_kernel::effect::Act;
use mainstay_kernel::{Actor, IncidentId, RunbookId, Scope};
use serde::{Deserialize, Serialize};

/// How many step runs are kept at hand.
const AT_HAND: usize = 2_000;

/// An event of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum RunbookEvent {
    /// A step was begun; `act` is what it does to the platform. `key` names this run of the step.
    StepStarted {
        key: String,
        incident: IncidentId,
        runbook: RunbookId,
        step: String,
        act: Option<Act>,
    },
    /// It is known how a step went.
    StepFinished {
        key: String,
        incident: IncidentId,
        runbook: RunbookId,
        step: String,
        ok: bool,
        text: String,
    },
}

/// Where a run of a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It was begun.
    Running,
    /// It did what it should.
    Done,
    /// It did not.
    Failed,
}

/// One run of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRun {
    /// For which incident.
    pub incident: IncidentId,
    /// Of which runbook.
    pub runbook: RunbookId,
    /// Which step.
    pub step: String,
    /// Who ran it.
    pub actor: Actor,
    /// When it was begun.
    pub started_at: Timestamp,
    /// Where it stands.
    pub status: StepStatus,
    /// What came of it.
    pub text: String,
}

/// The newest step runs, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookState {
    runs: BTreeMap<String, StepRun>,
    order: Vec<String>,
}

impl RunbookState {
    /// One run of a step.
    #[must_use]
    pub fn run(&self, key: &str) -> Option<&StepRun> {
        self.runs.get(key)
    }

    /// The step runs of an incident, oldest first.
    pub fn runs_of<'a>(&'a self, incident: &'a IncidentId) -> impl Iterator<Item = (&'a str, &'a StepRun)> {
        let runs = self
            .order
            .iter()
            .filter_map(|key| self.runs.get(key).map(|run| (key.as_str(), run)));
        runs.filter(move |(_, run)| run.incident == *incident)
    }

    /// The key of the next run of a step in an incident.
    #[must_use]
    pub fn next_key(&self, incident: &IncidentId, runbook: &RunbookId, step: &str) -> String {
        let prefix = format!("runbook/{incident}/{runbook}/{step}/");
        // Not how many there are: the oldest are forgotten, and a key that comes back would be an act that is not done.
        let last = self
            .runs
            .range(prefix.clone()..)
            .map_while(|(key, _)| key.strip_prefix(&prefix))
            .filter_map(|number| number.parse::<u64>().ok())
            .max();
        format!("{prefix}{}", last.unwrap_or(0) + 1)
    }
}

impl DomainEvent for RunbookEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::StepStarted { .. } => "runbook.step_started",
            Self::StepFinished { .. } => "runbook.step_finished",
        }
    }

    fn stream(&self) -> StreamId {
        let (Self::StepStarted { incident, .. } | Self::StepFinished { incident, .. }) = self;
        StreamId::new("runbook", incident)
    }

    fn scope(&self) -> Scope {
        Scope::platform()
    }
}

pub(crate) fn apply(state: &mut RunbookState, event: &RunbookEvent, meta: &Meta) {
    match event {
        RunbookEvent::StepStarted {
            key,
            incident,
            runbook,
            step,
            ..
        } => {
            let run = StepRun {
                incident: incident.clone(),
                runbook: runbook.clone(),
                step: step.clone(),
                actor: meta.actor.clone(),
                started_at: meta.at,
                status: StepStatus::Running,
                text: String::new(),
            };
            state.runs.insert(key.clone(), run);
            state.order.push(key.clone());
            if state.order.len() > AT_HAND {
                let oldest = state.order.remove(0);
                state.runs.remove(&oldest);
            }
        }
        RunbookEvent::StepFinished { key, ok, text, .. } => {
            if let Some(run) = state.runs.get_mut(key) {
                run.status = if *ok { StepStatus::Done } else { StepStatus::Failed };
                run.text.clone_from(text);
            }
        }
    }
}
