//! The runbooks that serve an incident, and running their steps.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_catalog::runbook::{Comparison, Expectation, RunbookDoc, Step as StepDoc, StepAction};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::Incident;
use mainstay_journal::Journal;
use mainstay_kernel::{CellId, IncidentId, Principal, RunbookId};
use mainstay_plane::{Command, States};
use mainstay_runbook::{Answer, RunbookCommand, StepRun, StepStatus};
use mainstay_web::Failure;
use mainstay_web::view::{Done, Runbook, Step, StepState};

use super::{PlaneConsole, act, not_found};

/// The runbooks whose alerts the incident has, or that its alerts name.
pub(super) fn serving(states: &States<'_>, incident: &Incident) -> Vec<Runbook> {
    let alerts: BTreeMap<&str, Option<&str>> = incident
        .alerts
        .values()
        .map(|attached| (attached.alert.name(), attached.alert.annotations.get("runbook")))
        .collect();
    let mut newest: BTreeMap<(&RunbookId, &str), &StepRun> = BTreeMap::new();
    for (_, run) in states.runbooks.runs_of(&incident.id) {
        newest.insert((&run.runbook, &run.step), run);
    }
    let serves = |runbook: &RunbookDoc| -> BTreeSet<String> {
        let listed = |name: &str| runbook.front.alerts.iter().any(|alert| alert.value == name);
        let named = |by: &Option<&str>| by.is_some_and(|id| id == runbook.id.as_str());
        let served = alerts.iter().filter(|(name, by)| listed(name) || named(by));
        served.map(|(name, _)| (*name).to_owned()).collect()
    };
    let view = |runbook: &RunbookDoc| {
        let serves = serves(runbook);
        let run = |step: &StepDoc| newest.get(&(&runbook.id, step.id.value.as_str())).copied();
        (!serves.is_empty()).then(|| Runbook {
            id: runbook.id.clone(),
            title: runbook.front.title.clone(),
            serves: serves.into_iter().collect(),
            steps: runbook
                .steps
                .iter()
                .map(|step| step_view(step, run(step), incident))
                .collect(),
        })
    };
    let mut runbooks: Vec<Runbook> = states.catalog.runbooks.iter().filter_map(view).collect();
    runbooks.sort_by_key(|runbook| std::cmp::Reverse(runbook.serves.len()));
    runbooks
}

fn comparison(op: Comparison) -> &'static str {
    match op {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "≤",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => "≥",
        Comparison::Equal => "=",
        Comparison::NotEqual => "≠",
    }
}

fn expected(expect: &Expectation) -> String {
    format!("every value {} {}", comparison(expect.op), expect.value)
}

fn step_view(step: &StepDoc, run: Option<&StepRun>, incident: &Incident) -> Step {
    let place = |own: &Option<CellId>| match own.as_ref().or(incident.scope.cell.as_ref()) {
        Some(cell) => format!(" in {cell}"),
        None => String::new(),
    };
    let (action, expected) = match &step.action {
        StepAction::Rollback { service, cell } => (Some(format!("roll back {service}{}", place(cell))), None),
        StepAction::Restart { service, cell } => (Some(format!("restart {service}{}", place(cell))), None),
        StepAction::Scale {
            service,
            cell,
            replicas,
        } => (
            Some(format!("scale {service} to {replicas} pods{}", place(cell))),
            None,
        ),
        StepAction::Query { expect } => (Some("ask the metrics".to_owned()), Some(expected(expect))),
        StepAction::Manual { expect } => (None, expect.clone()),
    };
    let text = step.text.trim();
    let text = match (&step.action, step.title.is_empty()) {
        (_, true) => text.to_owned(),
        (StepAction::Query { .. }, false) => step.title.clone(),
        (_, false) => format!("{}: {text}", step.title),
    };
    Step {
        id: step.id.value.clone(),
        text,
        expected,
        action,
        state: run.map_or(StepState::Open, |run| match run.status {
            StepStatus::Running => StepState::Running,
            StepStatus::Done => StepState::Done,
            StepStatus::Failed => StepState::Failed,
        }),
        result: run.map(|run| run.text.clone()).filter(|text| !text.is_empty()),
        by: run.map(|run| run.actor.subject.clone()),
        at: run.map(|run| run.started_at),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Runs a step: asks the metrics, acts on the platform through the plane, or takes the human's word.
    pub(super) async fn run(
        &self,
        who: &Principal,
        id: &IncidentId,
        runbook: &RunbookId,
        step: &str,
    ) -> Result<Done, Failure> {
        let found = self.plane.look(|states| {
            let incident = states.incidents.get(id).cloned();
            let document = states
                .catalog
                .runbooks
                .iter()
                .find(|document| document.id == *runbook);
            let step = document
                .and_then(|document| document.steps.iter().find(|known| known.id.value == step))
                .cloned();
            (incident, step)
        });
        let (incident, document) = found.await;
        let incident = act::may_act(who, id, incident)?;
        let document = document.ok_or_else(|| not_found(format!("step {step} of runbook {runbook}")))?;
        let answer = match &document.action {
            StepAction::Query { .. } => Some(Answer::Values(self.measured(&document.text, &incident).await)),
            StepAction::Manual { .. } => Some(Answer::Seen(format!("done, says {}", who.actor.subject))),
            _ => None,
        };
        let command = RunbookCommand::Run {
            incident: id.clone(),
            runbook: runbook.clone(),
            step: step.to_owned(),
            cell: incident.scope.cell.clone(),
            answer,
        };
        let help = "Look at the step's state on the incident's page.";
        let events = self.order(who, Command::Runbook(command), help).await?;
        let newest = |states: &States<'_>| {
            let runs = states
                .runbooks
                .runs_of(id)
                .filter(|(_, run)| run.runbook == *runbook && run.step == step);
            runs.last().map(|(_, run)| (run.status.clone(), run.text.clone()))
        };
        let message = match self.plane.look(newest).await {
            Some((StepStatus::Done, text)) => format!("Step {step} is done: {text}."),
            Some((StepStatus::Failed, text)) => format!("Step {step} did not find what it expects: {text}."),
            _ => format!("Step {step} is under way."),
        };
        Ok(Done { message, events })
    }

    /// The values of an expression now, of the incident's cell where the answer tells cells apart.
    async fn measured(&self, expr: &str, incident: &Incident) -> Vec<f64> {
        let values = self
            .questions
            .values(expr.trim(), self.now().as_millisecond())
            .await;
        let cell = incident.scope.cell.as_ref().map(CellId::as_str);
        let here = |label: Option<&str>| cell.is_none() || label.is_none() || label == cell;
        values
            .into_iter()
            .filter(|(labels, _)| here(labels.get("cell")))
            .map(|(_, value)| value)
            .collect()
    }
}
