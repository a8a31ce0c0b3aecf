//! What can have happened to alerts and their groups.

use jiff::Timestamp;
use mainstay_journal::{DomainEvent, StreamId};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::notification::GroupKey;
use mainstay_kernel::{Digest, Scope, Severity};
use serde::{Deserialize, Serialize};

use crate::draft::HeldBy;
use crate::flap::FlapLimit;
use crate::shadow::{CutOf, Elsewhere};
use crate::silence::{Silence, SilenceId};

/// Where a route put an alert, with the clocks of that route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The group: the route's path, its receiver and the labels it groups by.
    pub group: String,
    /// What the group is called outside.
    #[serde(default)]
    pub key: GroupKey,
    /// The receiver's name.
    pub receiver: String,
    /// How long a new group waits for more, in milliseconds.
    pub group_wait_ms: i64,
    /// How long news of a group that was told waits, in milliseconds.
    pub group_interval_ms: i64,
    /// After how long an unchanged group is told again, in milliseconds.
    pub repeat_interval_ms: i64,
    /// The time intervals in which nobody is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mute_time_intervals: Vec<String>,
    /// The time intervals outside which nobody is told, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active_time_intervals: Vec<String>,
    /// How often an alert may begin, if that is of interest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap_limit: Option<FlapLimit>,
}

/// An alert that is not told, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAlert {
    /// The alert.
    pub fingerprint: Digest,
    /// Why.
    pub by: HeldBy,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        believed_for_ms: Option<i64>,
    },
    /// It is over.
    Ended {
        fingerprint: Digest,
        scope: Scope,
        ended_at: Timestamp,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        /// Whether what it inhibited, and others that ended with it, is more than was let go with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        releases_more: bool,
    },
    /// A group is told.
    Fired { fact: AlertFired },
    /// A group that was told is told again, unchanged.
    Reminded { fact: AlertFired },
    /// Alerts of a group begin too often: it is told, and their ends are kept back until they are stable.
    Flapping {
        fact: AlertFired,
        flapping: Vec<HeldAlert>,
    },
    /// These alerts of a group are stable again.
    Settled {
        group: String,
        scope: Scope,
        alerts: Vec<Digest>,
    },
    /// Some of a group that was told is over, and the rest still fires.
    Eased { fact: AlertFired },
    /// All of a group that was told is over.
    Resolved { fact: AlertResolved },
    /// These alerts of a group, and no others, are not told though they fire.
    Held {
        group: String,
        scope: Scope,
        held: Vec<HeldAlert>,
    },
    /// A silence was made, or is another from now on.
    Silenced { silence: Silence },
    /// What routes tell leaves from now on, or is only recorded, whatever the catalog says; none: as it says.
    CutOver {
        #[serde(flatten)]
        of: CutOf,
        live: Option<bool>,
    },
    /// Another system says that it told somebody.
    ToldElsewhere { told: Elsewhere },
    /// A silence was ended.
    Unsilenced { silence: SilenceId, ended_at: Timestamp },
}

impl DomainEvent for AlertEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "alert.started",
            Self::Ended { .. } => "alert.ended",
            Self::Fired { .. } => "alert.fired",
            Self::Reminded { .. } => "alert.reminded",
            Self::Flapping { .. } => "alert.flapping",
            Self::Settled { .. } => "alert.settled",
            Self::Eased { .. } => "alert.eased",
            Self::Resolved { .. } => "alert.resolved",
            Self::Held { .. } => "alert.held",
            Self::Silenced { .. } => "alert.silenced",
            Self::Unsilenced { .. } => "alert.unsilenced",
            Self::CutOver { .. } => "alert.cut_over",
            Self::ToldElsewhere { .. } => "alert.told_elsewhere",
        }
    }

    fn stream(&self) -> StreamId {
        let group = |group: &str| StreamId::new("alert-group", Digest::of(group.as_bytes()).short());
        match self {
            Self::Started { alert, .. } => StreamId::new("alert", alert.fingerprint.short()),
            Self::Ended { fingerprint, .. } => StreamId::new("alert", fingerprint.short()),
            Self::Fired { fact } | Self::Reminded { fact } | Self::Eased { fact } => group(&fact.group),
            Self::Flapping { fact, .. } => group(&fact.group),
            Self::Settled { group: name, .. } => group(name),
            Self::Resolved { fact } => group(&fact.group),
            Self::Held { group: name, .. } => group(name),
            Self::Silenced { silence } => StreamId::new("silence", &silence.id),
            Self::Unsilenced { silence, .. } => StreamId::new("silence", silence),
            Self::CutOver { of, .. } => {
                let (kind, name) = match of {
                    CutOf::Receiver(name) => ("receiver", name),
                    CutOf::Route(name) => ("route", name),
                };
                StreamId::new(kind, Digest::of(name.as_bytes()).short())
            }
            Self::ToldElsewhere { told } => {
                StreamId::new("elsewhere", Digest::of(told.source.as_bytes()).short())
            }
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Started { alert, .. } => Scope::from_labels(&alert.labels),
            Self::Ended { scope, .. } | Self::Held { scope, .. } => scope.clone(),
            Self::Silenced { .. }
            | Self::Unsilenced { .. }
            | Self::CutOver { .. }
            | Self::ToldElsewhere { .. } => Scope::platform(),
            Self::Fired { fact } | Self::Reminded { fact } | Self::Eased { fact } => fact.scope.clone(),
            Self::Flapping { fact, .. } => fact.scope.clone(),
            Self::Settled { scope, .. } => scope.clone(),
            Self::Resolved { fact } => fact.scope.clone(),
        }
    }
}
