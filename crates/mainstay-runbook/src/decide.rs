//! Which step may run now, and what it does.

use mainstay_catalog::runbook::{RunbookDoc, StepAction};
use mainstay_kernel::effect::Act;
use mainstay_kernel::{CellId, IncidentId, RunbookId, ServiceId};

use crate::event::{RunbookEvent, RunbookState, StepStatus};

/// What runbooks can be asked.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum RunbookCommand {
    /// Run a step for an incident. `cell` is where steps that name no cell act; `answer` is what the metrics said to a
    /// step that asks them, or what a human saw.
    Run {
        incident: IncidentId,
        runbook: RunbookId,
        step: String,
        cell: Option<CellId>,
        answer: Option<Answer>,
    },
    /// The platform's answer to a step's act.
    Finished { key: String, ok: bool, text: String },
}

/// What came of a step that changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What the metrics said: one value per series.
    Values(Vec<f64>),
    /// What a human saw.
    Seen(String),
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunbookRefusal {
    /// No such runbook.
    #[error("there is no runbook {0}; `mainstay runbook list` shows them")]
    UnknownRunbook(RunbookId),
    /// No such step.
    #[error("runbook {runbook} has no step {step:?}; its steps are {steps}")]
    UnknownStep {
        /// The runbook.
        runbook: RunbookId,
        /// What was asked for.
        step: String,
        /// What there is.
        steps: String,
    },
    /// Where should it act?
    #[error("step {0:?} names no cell and neither does the incident; say --cell")]
    NoCell(String),
    /// A run of the same step is under way.
    #[error("step {0:?} is running; wait for its result")]
    Running(String),
    /// The step asks something and no answer came along.
    #[error("step {0:?} asks the metrics, and they gave no answer")]
    NoAnswer(String),
    /// The result of something that was never begun, or is known already.
    #[error("no step run {0:?} is waiting for a result")]
    NotRunning(String),
}

pub(crate) fn decide(
    state: &RunbookState,
    runbooks: &[RunbookDoc],
    command: RunbookCommand,
) -> Result<Vec<RunbookEvent>, RunbookRefusal> {
    match command {
        RunbookCommand::Run {
            incident,
            runbook,
            step,
            cell,
            answer,
        } => {
            let document = runbooks.iter().find(|document| document.id == runbook);
            let document = document.ok_or_else(|| RunbookRefusal::UnknownRunbook(runbook.clone()))?;
            let Some(found) = document.steps.iter().find(|entry| entry.id.value == step) else {
                let steps: Vec<&str> = document
                    .steps
                    .iter()
                    .map(|entry| entry.id.value.as_str())
                    .collect();
                return Err(RunbookRefusal::UnknownStep {
                    runbook,
                    step,
                    steps: steps.join(", "),
                });
            };
            let running = |(_, run): (&str, &crate::StepRun)| {
                run.runbook == runbook && run.step == step && run.status == StepStatus::Running
            };
            if state.runs_of(&incident).any(running) {
                return Err(RunbookRefusal::Running(step));
            }
            let key = state.next_key(&incident, &runbook, &step);
            let act = act_of(&found.action, cell, &step)?;
            let needs_answer = act.is_none();
            let mut events = vec![RunbookEvent::StepStarted {
                key: key.clone(),
                incident: incident.clone(),
                runbook: runbook.clone(),
                step: step.clone(),
                act,
            }];
            if needs_answer {
                let (ok, text) =
                    judge(&found.action, answer).ok_or_else(|| RunbookRefusal::NoAnswer(step.clone()))?;
                events.push(RunbookEvent::StepFinished {
                    key,
                    incident,
                    runbook,
                    step,
                    ok,
                    text,
                });
            }
            Ok(events)
        }
        RunbookCommand::Finished { key, ok, text } => match state.run(&key) {
            Some(run) if run.status == StepStatus::Running => Ok(vec![RunbookEvent::StepFinished {
                key,
                incident: run.incident.clone(),
                runbook: run.runbook.clone(),
                step: run.step.clone(),
                ok,
                text,
            }]),
            _ => Err(RunbookRefusal::NotRunning(key)),
        },
    }
}

fn act_of(action: &StepAction, cell: Option<CellId>, step: &str) -> Result<Option<Act>, RunbookRefusal> {
    let place = |service: &ServiceId, own: &Option<CellId>| {
        let cell = own
            .clone()
            .or_else(|| cell.clone())
            .ok_or_else(|| RunbookRefusal::NoCell(step.to_owned()))?;
        Ok((service.clone(), cell))
    };
    Ok(Some(match action {
        StepAction::Rollback { service, cell } => {
            let (service, cell) = place(service, cell)?;
            Act::Rollback { service, cell }
        }
        StepAction::Restart { service, cell } => {
            let (service, cell) = place(service, cell)?;
            Act::Restart { service, cell }
        }
        StepAction::Scale {
            service,
            cell,
            replicas,
        } => {
            let (service, cell) = place(service, cell)?;
            Act::Scale {
                service,
                cell,
                replicas: *replicas,
            }
        }
        StepAction::Query { .. } | StepAction::Manual { .. } => return Ok(None),
    }))
}

/// Whether the answer is what the step expects; no data is never what is expected.
fn judge(action: &StepAction, answer: Option<Answer>) -> Option<(bool, String)> {
    match (action, answer?) {
        (StepAction::Query { expect }, Answer::Values(values)) => {
            let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
            let ok = !values.is_empty() && values.iter().all(|value| expect.holds(*value));
            Some((
                ok,
                if shown.is_empty() {
                    "no data".to_owned()
                } else {
                    shown.join(", ")
                },
            ))
        }
        (StepAction::Manual { .. }, Answer::Seen(text)) => Some((true, text)),
        _ => None,
    }
}
