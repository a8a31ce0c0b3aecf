//! Runbooks: CommonMark with front matter, whose fenced blocks of language `step` a machine can run.
//!
//! ````text
//! ---
//! title: High Error Rate
//! severity: P1
//! impact: Part of the payments fail
//! owner: payments
//! last_reviewed: 2026-11-02
//! alerts: [HighErrorRate]
//! ---
//! ## Mitigate
//! ```step id=rollback action=rollback service=payment-service risk=medium approve=responder timeout=5m
//! Go back to the previous revision.
//! ```
//! ````

mod parse;

use jiff::{SignedDuration, civil};
use mainstay_kernel::{CellId, RunbookId, ServiceId, Severity, TeamId};
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::spanned::Spanned;
pub use parse::{build, parse};

/// A runbook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunbookDoc {
    /// The file's name without directories and ending.
    pub id: RunbookId,
    /// The file.
    pub file: String,
    /// What stands before the text.
    #[serde(flatten)]
    pub front: FrontMatter,
    /// What a machine can run or ask, in order.
    pub steps: Vec<Step>,
    /// The text after the front matter, as it is written.
    pub body: String,
}

/// What stands before a runbook's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontMatter {
    /// Its title.
    pub title: String,
    /// The severity of what it is for.
    pub severity: Severity,
    /// What users suffer.
    pub impact: String,
    /// The team that keeps it.
    pub owner: Spanned<TeamId>,
    /// When somebody last walked through it.
    pub last_reviewed: civil::Date,
    /// The alerts it is for.
    pub alerts: Vec<Spanned<String>>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its name, unique in the runbook.
    pub id: Spanned<String>,
    /// What it is about: `title`, or the heading it stands under.
    pub title: String,
    /// What is done.
    pub action: StepAction,
    /// How long it may take.
    #[serde(with = "duration::text")]
    pub timeout: SignedDuration,
    /// What can go wrong by doing it.
    pub risk: Risk,
    /// Whose word it needs.
    pub approve: Approval,
    /// The step that undoes it.
    pub undo: Option<Spanned<String>>,
    /// The text in the block: instructions, or the query.
    pub text: String,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum StepAction {
    /// Go back to the previous revision.
    Rollback {
        /// Of this service.
        service: ServiceId,
        /// In this cell; in the incident's cell if nothing is said.
        cell: Option<CellId>,
    },
    /// Restart the pods.
    Restart {
        /// Of this service.
        service: ServiceId,
        /// In this cell; in the incident's cell if nothing is said.
        cell: Option<CellId>,
    },
    /// Run that many pods.
    Scale {
        /// Of this service.
        service: ServiceId,
        /// In this cell; in the incident's cell if nothing is said.
        cell: Option<CellId>,
        /// How many.
        replicas: u32,
    },
    /// Ask the metrics; the block's text is PromQL.
    Query {
        /// What every value of the answer must be.
        expect: Expectation,
    },
    /// Something for a human.
    Manual {
        /// What they should see.
        expect: Option<String>,
    },
}

/// A comparison with a number, such as `< 0.001`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expectation {
    /// How to compare.
    pub op: Comparison,
    /// With what.
    pub value: f64,
}

impl Expectation {
    /// Whether `value` is as expected; NaN never is.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.op {
            Comparison::Less => value < self.value,
            Comparison::LessOrEqual => value <= self.value,
            Comparison::Greater => value > self.value,
            Comparison::GreaterOrEqual => value >= self.value,
            Comparison::Equal => value == self.value,
            Comparison::NotEqual => !value.is_nan() && value != self.value,
        }
    }
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Comparison {
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
}

/// What can go wrong by doing a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing: it only looks.
    #[default]
    Low,
    /// Some requests may fail.
    Medium,
    /// A cell may fail.
    High,
}

/// Whose word a step needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nobody's.
    #[default]
    None,
    /// The responder's.
    Responder,
    /// The incident commander's.
    Commander,
}
