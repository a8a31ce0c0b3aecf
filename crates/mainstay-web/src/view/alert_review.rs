//! Which alerts were worth it.

use jiff::Timestamp;
use mainstay_kernel::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

/// How far back alerts are reviewed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewAsked {
    /// Days back from now; 30 if nothing is said, at most 366.
    #[serde(default)]
    pub days: Option<u16>,
}

/// Which alerts of a time were worth it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AlertReview {
    /// From when on.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
    /// How often alerts fired.
    pub fired: u64,
    /// How often in an incident that paged somebody.
    pub paged: u64,
    /// How often in an incident that somebody acknowledged and worked on: a runbook's step, a note, a change.
    pub actionable: u64,
    /// By name, those that fired most often for nothing first; at most 500.
    pub names: Vec<ReviewedName>,
    /// Rules that did not fire.
    pub rules_never_fired: Vec<String>,
    /// Objectives whose alerts did not fire.
    pub objectives_never_fired: Vec<String>,
    /// Incidents that people declared and no alert told of; at most 500.
    pub without_alert: Vec<UnannouncedIncident>,
    /// Pages by person, most off hours first.
    pub people: Vec<ReviewedPerson>,
}

/// How often alerts of a name fired, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReviewedName {
    /// The alert's name.
    pub name: String,
    /// How often.
    pub fired: u64,
    /// How often without an incident.
    pub without_incident: u64,
    /// How often in an incident that paged somebody.
    pub paged: u64,
    /// How often in one that somebody acknowledged and worked on.
    pub actionable: u64,
}

/// An incident that no alert told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnannouncedIncident {
    /// Which.
    pub incident: String,
    /// What was wrong.
    pub title: String,
    /// How bad it was.
    #[schemars(with = "String")]
    pub severity: Severity,
    /// When it was declared.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// How often somebody was paged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReviewedPerson {
    /// Who, by handle.
    pub person: String,
    /// How often.
    pub pages: u64,
    /// How often off hours.
    pub pages_off_hours: u64,
    /// How often at night.
    pub pages_at_night: u64,
}
