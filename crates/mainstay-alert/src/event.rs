//! What can have happened to alerts and their groups.

use jiff::Timestamp;
use mainstay_journal::{DomainEvent, StreamId};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::{Digest, Scope, Severity};
use serde::{Deserialize, Serialize};

/// Where a route put an alert, with the clocks of that route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The group: the route's path, its receiver and the labels it groups by.
    pub group: String,
    /// The receiver's name.
    pub receiver: String,
    /// How long a new group waits for more, in milliseconds.
    pub group_wait_ms: i64,
    /// How long news of a group that was told waits, in milliseconds.
    pub group_interval_ms: i64,
    /// After how long an unchanged group is told again, in milliseconds.
    pub repeat_interval_ms: i64,
}

/// An event of alerts. `Fired` and `Resolved` are published facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum AlertEvent {
    /// An alert fires that did not.
    Started {
        alert: AlertFact,
        severity: Severity,
        placements: Vec<Placement>,
    },
    /// It is over.
    Ended {
        fingerprint: Digest,
        scope: Scope,
        ended_at: Timestamp,
    },
    /// A group is told.
    Fired { fact: AlertFired },
    /// A group that was told is told again, unchanged.
    Reminded { fact: AlertFired },
    /// All of a group that was told is over.
    Resolved { fact: AlertResolved },
}

impl DomainEvent for AlertEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "alert.started",
            Self::Ended { .. } => "alert.ended",
            Self::Fired { .. } => "alert.fired",
            Self::Reminded { .. } => "alert.reminded",
            Self::Resolved { .. } => "alert.resolved",
        }
    }

    fn stream(&self) -> StreamId {
        let group = |group: &str| StreamId::new("alert-group", Digest::of(group.as_bytes()).short());
        match self {
            Self::Started { alert, .. } => StreamId::new("alert", alert.fingerprint.short()),
            Self::Ended { fingerprint, .. } => StreamId::new("alert", fingerprint.short()),
            Self::Fired { fact } | Self::Reminded { fact } => group(&fact.group),
            Self::Resolved { fact } => group(&fact.group),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Started { alert, .. } => Scope::from_labels(&alert.labels),
            Self::Ended { scope, .. } => scope.clone(),
            Self::Fired { fact } | Self::Reminded { fact } => fact.scope.clone(),
            Self::Resolved { fact } => fact.scope.clone(),
        }
    }
}
