//! Changes of the platform.

use jiff::Timestamp;
use mainstay_kernel::fact::ChangeKind;
use mainstay_kernel::{EventId, Scope};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ScopeSchema, Utc};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// The id its source gave it.
    pub id: String,
    /// Who reported it.
    pub source: String,
    /// What kind.
    #[schemars(with = "ChangeKindSchema")]
    pub kind: ChangeKind,
    /// What was changed.
    #[schemars(with = "ScopeSchema")]
    pub scope: Scope,
    /// The version before.
    pub from_version: Option<String>,
    /// The version after.
    pub to_version: Option<String>,
    /// One line about it.
    pub summary: String,
    /// When it happened.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// The event that recorded it.
    #[schemars(with = "String")]
    pub event: EventId,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum ChangeKindSchema {
    Deploy,
    Rollback,
    Configuration,
}
