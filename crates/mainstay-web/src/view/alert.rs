//! Alerts.

use jiff::Timestamp;
use mainstay_kernel::{IncidentId, Labels, Scope, Severity};
use mainstay_ui::Status;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ScopeSchema, SeveritySchema, Utc};

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Alert {
    /// The digest of its labels.
    pub fingerprint: String,
    /// Its name.
    pub name: String,
    /// How bad it is.
    #[schemars(with = "SeveritySchema")]
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// What it concerns.
    #[schemars(with = "ScopeSchema")]
    pub scope: Scope,
    /// Its summary.
    pub summary: String,
    /// Its labels.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub labels: Labels,
    /// Since when.
    #[schemars(with = "Utc")]
    pub since: Timestamp,
    /// The newest value of its expression, with its unit.
    pub value: Option<String>,
    /// The expression.
    pub query: Option<String>,
    /// The runbook that helps.
    pub runbook: Option<String>,
    /// The incident it belongs to.
    #[schemars(with = "Option<String>")]
    pub incident: Option<IncidentId>,
    /// Who was told, in words: `email to ada`.
    pub told: Vec<String>,
    /// What keeps it quiet, where something does.
    pub silenced_by: Option<String>,
    /// Everything that holds it back at this instant, each in words; none where it is told, or over.
    pub held_back: Vec<HeldBack>,
    /// The routes that take it, in their order; only for who sees the platform.
    pub routes: Vec<AlertRoute>,
}

/// Something that holds an alert back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldBack {
    /// What kind of thing.
    pub kind: HeldKind,
    /// By what or whom: `ada until 2025-01-15T11:00:00Z: planned`.
    pub by: String,
    /// The silence, by its name.
    pub silence: Option<String>,
    /// The alert that inhibits it, by its fingerprint.
    pub alert: Option<String>,
}

/// The kinds of things that hold alerts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeldKind {
    /// A silence matches it.
    Silenced,
    /// Another alert says the same and more.
    Inhibited,
    /// A time interval mutes every route of it.
    Muted,
    /// It begins so often that its end is told late.
    Flapping,
}

impl HeldKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Muted => "muted",
            Self::Flapping => "flapping",
        }
    }
}

/// A route that takes an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AlertRoute {
    /// Its place in the tree, by matchers: `root > {priority="P0"}`.
    pub path: String,
    /// Its receiver.
    pub receiver: String,
    /// Whom that tells, in words: `pages by payments`, `chat #alerts`.
    pub tells: Vec<String>,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition holds, not long enough yet.
    Pending,
    /// It fires.
    Firing,
    /// It fires, but nobody is told.
    Silenced,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Silenced => "silenced",
            Self::Resolved => "resolved",
        }
    }

    /// How that is shown.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Pending => Status::Warning,
            Self::Firing => Status::Breached,
            Self::Silenced | Self::Resolved => Status::Neutral,
        }
    }
}
