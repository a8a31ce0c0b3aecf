//! Objectives and their budgets, in events.

use jiff::Timestamp;
use mainstay_kernel::SloId;
use mainstay_kernel::fact::BudgetState;
use mainstay_ui::{Chart, Status};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Share, Utc};

/// How one objective stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Slo {
    /// Its id.
    #[schemars(with = "String")]
    pub id: SloId,
    /// What it promises: `API availability`.
    pub title: String,
    /// The part it covers, where there is one per cell or tenant.
    pub group: Option<String>,
    /// The objective.
    pub objective: Share,
    /// What contracts promise, where they do.
    pub sla: Option<Share>,
    /// The good part of the adjusted counts in the window; none while nothing was counted.
    pub value: Option<Share>,
    /// Bad events counted in the window: the raw figure.
    pub bad: u64,
    /// All events counted in the window: the raw figure.
    pub total: u64,
    /// Bad events without what is excluded: the adjusted figure, which budget, state and `value` go by.
    pub adjusted_bad: u64,
    /// All events without what is excluded.
    pub adjusted_total: u64,
    /// What is excluded, in a sentence, where something is.
    pub excluded: Option<String>,
    /// How many bad events the objective allows among `adjusted_total`.
    pub budget_allowed: u64,
    /// How many are left; negative when more were spent than allowed.
    pub budget_left: i64,
    /// How fast the budget burns over the last hour; 1 spends it exactly in the window. None: unknown.
    pub burn_1h: Option<f64>,
    /// The same over six hours.
    pub burn_6h: Option<f64>,
    /// When the budget is spent if it goes on like this.
    #[schemars(with = "Option<Utc>")]
    pub exhausted_at: Option<Timestamp>,
    /// The budget's state, in a word.
    #[schemars(with = "BudgetStateSchema")]
    pub budget: BudgetState,
    /// The window: `November 2026, UTC`, `the last 30 days`.
    pub window: String,
    /// Whether the promise is kept.
    pub status: Status,
    /// Why that is unknown, where it is.
    pub unknown_reason: Option<String>,
    /// What the counts cannot say, where there is something: events that may be missing, with a bound where one is known.
    pub doubt: Option<String>,
    /// What is shown beside the counts and is part of none of them: payments that are pending or rejected, traffic against its
    /// floor, what probes see from outside, and an estimate of the events that never arrived.
    pub apart: Option<String>,
    /// The expression that shows the same ratio in raw data.
    pub query: Option<String>,
}

/// One objective in depth.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SloDetail {
    /// How it stands.
    pub slo: Slo,
    /// What counts as an event, and as a bad one, in words.
    pub definition: String,
    /// The expression that counts bad events.
    pub bad_query: Option<String>,
    /// The expression that counts all events.
    pub total_query: Option<String>,
    /// The pairs of windows that alert, with where they stand.
    pub burns: Vec<Burn>,
    /// Burn-down of the budget and other charts.
    pub charts: Vec<Chart>,
    /// The file and line of the catalog that defines it.
    pub source: Option<String>,
}

/// One pair of windows of a burn alert.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Burn {
    /// The alert.
    pub alert: String,
    /// The long window, in milliseconds.
    pub long_ms: u64,
    /// The short window, in milliseconds.
    pub short_ms: u64,
    /// The burn rate above which both must be.
    pub threshold: f64,
    /// The burn rate over the long window; none: unknown.
    pub long: Option<f64>,
    /// The burn rate over the short window; none: unknown.
    pub short: Option<f64>,
    /// Whether it fires.
    pub status: Status,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum BudgetStateSchema {
    Unknown,
    Healthy,
    Warning,
    Critical,
    Exhausted,
}
