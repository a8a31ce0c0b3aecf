//! What others must tell at least so often.

use jiff::Timestamp;
use mainstay_kernel::{Scope, Severity};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ScopeSchema, SeveritySchema, Utc};

/// A heartbeat as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Heartbeat {
    /// Its name: what the sender says.
    pub name: String,
    /// What sends it.
    pub summary: String,
    /// How it stands.
    pub state: HeartbeatState,
    /// When it came last.
    #[schemars(with = "Option<Utc>")]
    pub last_at: Option<Timestamp>,
    /// When it is missed unless one comes; of a missed one, since when it is.
    #[schemars(with = "Utc")]
    pub missed_at: Timestamp,
    /// How often one is expected, in milliseconds.
    pub interval_ms: u64,
    /// How late it may be, in milliseconds.
    pub grace_ms: u64,
    /// How bad it is when none comes.
    #[schemars(with = "SeveritySchema")]
    pub severity: Severity,
    /// What it is about.
    #[schemars(with = "ScopeSchema")]
    pub scope: Scope,
}

/// How a heartbeat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatState {
    /// The next beat is not due yet.
    Ok,
    /// It is late, within its grace.
    Late,
    /// It is missed, and that is told.
    Missed,
    /// None came yet.
    Waiting,
}
