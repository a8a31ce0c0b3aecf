//! CloudEvents 1.0, structured JSON mode, as far as change records need it.

use jiff::Timestamp;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{CellId, Scope, ServiceId, TenantId};
use serde::{Deserialize, Serialize};

/// What event types start with.
pub const TYPE_PREFIX: &str = "com.mainstay.change.";

/// A CloudEvent in structured mode. Unknown attributes are extensions and are ignored, as the format wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// The version of the format: `1.0`.
    pub specversion: String,
    /// Unique within `source`.
    pub id: String,
    /// Who reports.
    pub source: String,
    /// `com.mainstay.change.deploy`, `….rollback` or `….configuration`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened.
    #[serde(default)]
    pub time: Option<Timestamp>,
    /// What it is about: the service.
    #[serde(default)]
    pub subject: Option<String>,
    /// The change itself.
    #[serde(default)]
    pub data: ChangeData,
}

/// The `data` of a change event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeData {
    /// In which cell; absent for the whole platform.
    pub cell: Option<CellId>,
    /// Which service; absent: `subject`.
    pub service: Option<ServiceId>,
    /// For which tenant only.
    pub tenant: Option<TenantId>,
    /// The version before.
    pub from_version: Option<String>,
    /// The version after.
    pub to_version: Option<String>,
    /// One line about it.
    pub summary: Option<String>,
}

/// Why a CloudEvent is not a change record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudEventError {
    /// Another version of the format.
    #[error("specversion {0:?} is not supported; send 1.0")]
    Version(String),
    /// Not a type of change known here.
    #[error(
        "type {0:?} is not a change; use {TYPE_PREFIX}deploy, {TYPE_PREFIX}rollback or {TYPE_PREFIX}configuration"
    )]
    Type(String),
    /// A required attribute is empty or too long.
    #[error("attribute {0} must have 1 to 256 bytes")]
    Attribute(&'static str),
}

impl CloudEvent {
    /// The change that it reports; `received_at` stands in for a missing `time`.
    ///
    /// # Errors
    /// If it is not a change record.
    pub fn into_change(self, received_at: Timestamp) -> Result<ChangeRecorded, CloudEventError> {
        if self.specversion != "1.0" {
            return Err(CloudEventError::Version(self.specversion));
        }
        for (name, value) in [("id", &self.id), ("source", &self.source)] {
            if value.is_empty() || value.len() > 256 {
                return Err(CloudEventError::Attribute(name));
            }
        }
        let kind = match self.event_type.strip_prefix(TYPE_PREFIX) {
            Some("deploy") => ChangeKind::Deploy,
            Some("rollback") => ChangeKind::Rollback,
            Some("configuration") => ChangeKind::Configuration,
            _ => return Err(CloudEventError::Type(self.event_type)),
        };
        let service = self.data.service.or_else(|| ServiceId::new(self.subject?).ok());
        let scope = Scope {
            tenant: self.data.tenant,
            cell: self.data.cell,
            service,
            ..Scope::default()
        };
        let version =
            |version: &Option<String>| version.clone().unwrap_or_else(|| "an unknown version".to_owned());
        let summary = self.data.summary.unwrap_or_else(|| {
            format!(
                "{scope}: {} to {}",
                version(&self.data.from_version),
                version(&self.data.to_version)
            )
        });
        Ok(ChangeRecorded {
            id: self.id,
            source: self.source,
            kind,
            scope,
            from_version: self.data.from_version,
            to_version: self.data.to_version,
            summary,
            at: mainstay_kernel::clock::truncate_to_ms(self.time.unwrap_or(received_at)),
            cause: None,
        })
    }
}
