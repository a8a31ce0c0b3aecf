//! What of a saga is durable: how each step stands, and the decision to undo.

use crate::model::Status;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A step of the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Validate,
    Fraud,
    Reserve,
    Clear,
    Post,
    Notify,
}

/// How a step stands. `Unknown`: it was sent and no answer came, so it may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    Running,
    Succeeded,
    Failed,
    Unknown,
    Skipped,
    Compensated,
}

/// The decision to undo, durable before anything is undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) status: Status,
    pub(crate) reason: String,
}

/// What of a saga is durable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) steps: BTreeMap<Step, StepState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Undo>,
}

impl State {
    pub(super) fn is(&self, step: Step, state: StepState) -> bool {
        self.steps.get(&step) == Some(&state)
    }

    pub(super) fn passed(&self, step: Step) -> bool {
        self.is(step, StepState::Succeeded) || self.is(step, StepState::Skipped)
    }
}

impl Undo {
    /// For a reason of business.
    pub(super) fn rejected(reason: &str) -> Self {
        Self {
            status: Status::Rejected,
            reason: reason.to_owned(),
        }
    }

    /// For a technical reason.
    pub(super) fn failed(reason: &str) -> Self {
        Self {
            status: Status::Failed,
            reason: reason.to_owned(),
        }
    }
}
