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
