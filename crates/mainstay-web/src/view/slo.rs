//! Objectives and their budgets, in events or in time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{IncidentId, ServiceId, Severity, SloId};
use mainstay_ui::{Chart, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GatePlace, SeveritySchema, Share, Utc};

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
    /// That part by its labels; empty: the whole.
    pub labels: BTreeMap<String, String>,
    /// Whose service; not said to who is limited to some tenants.
    #[schemars(with = "Option<String>")]
    pub service: Option<ServiceId>,
    /// The objective.
    pub objective: Share,
    /// What contracts promise, where they do.
    pub sla: Option<Share>,
    /// The good part of the adjusted counts in the window; none while nothing was counted.
    pub value: Option<Share>,
    /// What the counts below are of: `events`, `time slices of 1m`.
    pub unit: String,
    /// What was bad of what was counted in the window: the raw figure.
    pub bad: u64,
    /// All that was counted in the window: the raw figure.
    pub total: u64,
    /// What was bad without what is excluded: the adjusted figure, which budget, state and `value` go by.
    pub adjusted_bad: u64,
    /// All without what is excluded.
    pub adjusted_total: u64,
    /// What is excluded, in a sentence, where something is.
    pub excluded: Option<String>,
    /// How much of `adjusted_total` the objective allows to be bad, and of what is known to come in the window.
    pub budget_allowed: u64,
    /// How many are left; negative when more were spent than allowed.
    pub budget_left: i64,
    /// The four counts to be read: time slices as minutes.
    pub amounts: Amounts,
    /// How fast the budget burns over the last hour; 1 spends it exactly in the window. None: unknown.
    pub burn_1h: Option<f64>,
    /// The same over six hours.
    pub burn_6h: Option<f64>,
    /// When the budget will be spent, by what was counted in the last four weeks; none: not in this window, as far as can
    /// be told, or it is spent, or nothing is known.
    pub exhaustion: Option<Exhaustion>,
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

/// Counts to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Amounts {
    /// What was bad: `612`, `12`.
    pub bad: String,
    /// All: `24,310,882`, `43,200`.
    pub total: String,
    /// What was bad without what is excluded.
    pub adjusted_bad: String,
    /// All without what is excluded.
    pub adjusted_total: String,
    /// What is left of the budget; negative when overspent.
    pub left: String,
    /// The budget.
    pub allowed: String,
    /// Of what: `events`, `minutes`, `samples`, `percent`.
    pub noun: String,
}

impl Amounts {
    /// What the reader is told beside a number: nothing where events are counted, as everywhere.
    #[must_use]
    pub fn noun_beside(&self) -> Option<&str> {
        (self.noun != "events").then_some(&self.noun)
    }
}

/// When a budget will be spent: with a probability of 80 % between the first and the last instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Exhaustion {
    /// One chance in ten that it is spent before.
    #[schemars(with = "Utc")]
    pub earliest: Timestamp,
    /// As likely before as after; none: more likely not in this window at all.
    #[schemars(with = "Option<Utc>")]
    pub likely: Option<Timestamp>,
    /// One chance in ten that it is spent after; none: it may well not be spent in this window.
    #[schemars(with = "Option<Utc>")]
    pub latest: Option<Timestamp>,
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
    /// What a contract promises of the same events, where one does.
    pub agreement: Option<SloAgreement>,
    /// Where the bad events of the window belong; none for what does not divide into places: time slices, composites.
    pub parts: Option<SloParts>,
    /// What hangs on its budget; none where no policy covers it, or the asker is limited to some tenants.
    pub gate: Option<SloGate>,
}

/// The contract beside an objective: how far it is from being broken.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SloAgreement {
    /// Its id.
    #[schemars(with = "String")]
    pub id: SloId,
    /// What it promises.
    pub title: String,
    /// The part it covers, which may be larger than the objective's; none: the whole.
    pub group: Option<String>,
    /// The promise.
    pub target: Share,
    /// Its window, which may be another than the objective's.
    pub window: String,
    /// Whether it is kept.
    pub status: Status,
    /// What was bad in its window, by the adjusted counts.
    pub bad: String,
    /// All in its window, by the adjusted counts.
    pub total: String,
    /// How many may be bad.
    pub allowed: String,
    /// How many more may be; negative where it is broken.
    pub left: String,
    /// How many more of the same events it lets be bad than the objective does.
    pub buffer: String,
    /// Of what: `events`, `minutes`.
    pub noun: String,
}

/// Where bad events belong: the parts add up to the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SloParts {
    /// All: the raw count.
    pub bad: i64,
    /// In stretches that do not count.
    pub excluded: i64,
    /// In incidents, in the order in which they began; of two at once the earlier one has it.
    pub incidents: Vec<SloPart>,
    /// All others.
    pub background: i64,
}

/// The part of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SloPart {
    /// The incident.
    #[schemars(with = "String")]
    pub incident: IncidentId,
    /// What was wrong; none where it is about others too and the asker is limited to some tenants.
    pub title: Option<String>,
    /// How bad it was.
    #[schemars(with = "SeveritySchema")]
    pub severity: Severity,
    /// When it began to hurt.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// When that was over, as far as it is.
    #[schemars(with = "Utc")]
    pub to: Timestamp,
    /// The bad events.
    pub bad: i64,
    /// Changes that may have caused it, most suspect first.
    pub suspects: Vec<String>,
}

/// What hangs on a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SloGate {
    /// The policy that covers it.
    pub policy: String,
    /// What people call it.
    pub title: String,
    /// What each state calls for, in words.
    pub states: BTreeMap<String, String>,
    /// What the gate would say now where this objective judges, strictest first; at most 100.
    pub places: Vec<GatePlace>,
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
    /// Why it does not fire, where both burn rates are above the threshold.
    pub held_back: Option<String>,
}

/// What is asked: what if an objective had other targets.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatIfAsked {
    /// One to ten targets, as `99.95%` or `0.9995`.
    pub targets: Vec<String>,
    /// From when on is counted.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Up to when; now if nothing is said.
    #[schemars(with = "Option<Utc>")]
    #[serde(default)]
    pub to: Option<Timestamp>,
}

/// What other targets would have meant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhatIf {
    /// Between which edges was counted; the counts are exact between them.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// The end.
    #[schemars(with = "Utc")]
    pub to: Timestamp,
    /// Since when pages are known; before it counts are kept too coarsely (slices of 10 s for 7 hours, of 1 minute for 4 days,
    /// then of 15 minutes).
    #[schemars(with = "Utc")]
    pub pages_from: Timestamp,
    /// Each target.
    pub targets: Vec<WhatIfTarget>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhatIfTarget {
    /// The target.
    pub objective: Share,
    /// Bad events counted.
    pub bad: u64,
    /// All events counted.
    pub total: u64,
    /// How many bad events it allows among `total`.
    pub budget_allowed: u64,
    /// How many are left; negative when more were spent than allowed.
    pub budget_left: i64,
    /// Whether it would have been kept.
    pub status: Status,
    /// The state that its budget would be in, in a word.
    #[schemars(with = "BudgetStateSchema")]
    pub budget: BudgetState,
    /// What the policy calls for in that state, in words: `changes are frozen`; none where nothing, or there is no policy.
    pub calls_for: Option<String>,
    /// The burn-rate alerts that there would have been, the first 1,000.
    pub pages: Vec<WhatIfPage>,
    /// Further ones.
    pub pages_left_out: u64,
}

/// An alert that would have been.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhatIfPage {
    /// The pair of windows: `P0 14.4 over 1h and 5m`.
    pub alert: String,
    /// When it would have begun.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// When it would have been over; none: not by the end.
    #[schemars(with = "Option<Utc>")]
    pub to: Option<Timestamp>,
    /// How exact these instants are, in milliseconds.
    pub within_ms: u64,
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
