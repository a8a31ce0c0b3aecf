//! Calendars that others fetch, and what is handed over between shifts.

use jiff::Timestamp;
use mainstay_kernel::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

/// A calendar is wanted: of a person or of a rota.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFeed {
    /// Whose shifts, by handle.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub person: Option<PersonId>,
    /// The shifts of which rota.
    #[serde(default)]
    pub rota: Option<String>,
}

/// A calendar that others fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DutyFeed {
    /// By what it is revoked.
    pub id: String,
    /// Whose shifts, by handle.
    pub person: Option<String>,
    /// The shifts of which rota.
    pub rota: Option<String>,
}

/// A calendar was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FeedMade {
    /// By what it is revoked.
    pub id: String,
    /// Where it is, on this server. It is said once: only its digest is kept.
    pub path: String,
}

/// Something is written down for whoever comes next.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHandover {
    /// In which rota.
    pub rota: String,
    /// What; 1 to 4,000 bytes.
    pub text: String,
}

/// Of which rota it is asked what is handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoverAsked {
    /// Only this rota.
    #[serde(default)]
    pub rota: Option<String>,
}

/// What is handed over in a rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Handover {
    /// The rota.
    pub rota: String,
    /// How people call it.
    pub title: String,
    /// When the next shift begins, if one does within 90 days.
    #[schemars(with = "Option<Utc>")]
    pub next_at: Option<Timestamp>,
    /// Whose it is, by handle.
    pub next: Option<String>,
    /// What was written down, oldest first; at most 20.
    pub notes: Vec<HandoverNote>,
    /// What is open: incidents, alerts that fire, silences that end in the present shift.
    pub open: Vec<String>,
}

/// What somebody wrote down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HandoverNote {
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
    /// Whether it was handed over.
    pub handed_over: bool,
}
