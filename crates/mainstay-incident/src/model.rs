//! What an incident is and what is remembered of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::fact::{AlertFact, ChangeRecorded};
use mainstay_kernel::{Actor, Digest, EventId, IncidentId, PageId, Scope, Severity, TenantId};
use serde::{Deserialize, Serialize};

/// How many ended incidents are kept at hand; older ones stay in the journal.
pub const ENDED_AT_HAND: usize = 500;
/// How many alerts that are over are kept at hand of an open incident, about; those that ended last. The journal has all.
pub const ENDED_ALERTS_AT_HAND: usize = 5_000;
/// The same of an incident that is resolved.
pub const ENDED_ALERTS_AT_HAND_RESOLVED: usize = 200;
/// The longest timeline kept at hand, in entries; the journal has all of it.
pub const TIMELINE_AT_HAND: usize = 5_000;

/// The six phases of the specification ("Incident Response Workflow").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// An alert fired, a human is being fetched.
    Detection,
    /// A human has it: severity, impact, recent changes.
    Triage,
    /// The fix is under way.
    Mitigation,
    /// The platform works again; why did it not?
    Investigation,
    /// It is over.
    Resolution,
    /// What is learnt.
    PostMortem,
}

impl Phase {
    /// Every phase in order.
    pub const ALL: [Self; 6] = [
        Self::Detection,
        Self::Triage,
        Self::Mitigation,
        Self::Investigation,
        Self::Resolution,
        Self::PostMortem,
    ];

    /// By when, counted from the beginning, the phase should be left.
    #[must_use]
    pub fn target(self) -> SignedDuration {
        match self {
            Self::Detection => SignedDuration::from_mins(5),
            Self::Triage => SignedDuration::from_mins(15),
            Self::Mitigation => SignedDuration::from_hours(1),
            Self::Investigation => SignedDuration::from_hours(4),
            Self::Resolution => SignedDuration::from_hours(24),
            Self::PostMortem => SignedDuration::from_hours(7 * 24),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Detection => "detection",
            Self::Triage => "triage",
            Self::Mitigation => "mitigation",
            Self::Investigation => "investigation",
            Self::Resolution => "resolution",
            Self::PostMortem => "post-mortem",
        })
    }
}

/// What others tell their people of the alerts of an incident, under one key, and can be told that somebody took it on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ToldElsewhere {
    /// The receiver that they are told by.
    pub receiver: String,
    /// The group of alerts, as it is called outside.
    pub group: String,
}

/// Who was hit and how much, counted by the SLOs, never estimated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// Tenants with bad events.
    pub tenants: BTreeSet<TenantId>,
    /// Bad events since it began.
    pub bad: u64,
    /// All events since it began.
    pub total: u64,
    /// The first bad event, to the slice of the SLO's counts.
    pub first_bad_at: Option<Timestamp>,
    /// The last bad event, likewise.
    pub last_bad_at: Option<Timestamp>,
}

/// What a line of the timeline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimelineKind {
    /// Declared, severity, phase, resolution.
    Incident,
    /// Alerts that fire or end.
    Alert,
    /// Pages asked for, delivered, taken on.
    Page,
    /// Deploys, rollbacks, configuration.
    Change,
    /// Steps of a runbook.
    Runbook,
    /// What the counts say.
    Impact,
    /// What a human wrote.
    Note,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When it happened.
    pub at: Timestamp,
    /// The event behind it: ask the journal why.
    pub event: EventId,
    /// Who did it.
    pub actor: Actor,
    /// What it is about.
    pub kind: TimelineKind,
    /// What happened, in one line.
    pub text: String,
}

/// A change near the beginning of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedChange {
    /// The event by which it was recorded.
    pub event: EventId,
    /// The change.
    pub change: ChangeRecorded,
}

/// An alert of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedAlert {
    /// The alert.
    pub alert: AlertFact,
    /// The group it came in.
    pub group: String,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it first became part of the incident; `None` where that was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_at: Option<Timestamp>,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id: the day and a number.
    pub id: IncidentId,
    /// Whether only alerts of routes in shadow began it: nobody is told of it.
    #[serde(default)]
    pub shadow: bool,
    /// How bad it is.
    pub severity: Severity,
    /// One line: what is wrong, where.
    pub title: String,
    /// What it concerns.
    pub scope: Scope,
    /// Where the work stands.
    pub phase: Phase,
    /// When it began: the first bad event, or the first alert.
    pub began_at: Timestamp,
    /// When it was declared.
    pub declared_at: Timestamp,
    /// When a page about it first reached a receiver.
    pub page_delivered_at: Option<Timestamp>,
    /// When a human took it on, and who.
    pub acknowledged: Option<(Timestamp, Actor)>,
    /// When a human last acknowledged a page of it: what fired by then is known to whoever has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_on_at: Option<Timestamp>,
    /// How many pages were asked for since: nobody acknowledged those.
    #[serde(default)]
    pub asked_since: usize,
    /// When the platform worked again: the last bad event.
    pub mitigated_at: Option<Timestamp>,
    /// When the last of its alerts ended; `None` while one fires.
    pub all_clear_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Its alerts, by fingerprint.
    pub alerts: BTreeMap<Digest, AttachedAlert>,
    /// Changes near its beginning and after.
    pub changes: Vec<LinkedChange>,
    /// The pages asked for.
    pub pages: Vec<PageId>,
    /// Who was hit and how much, as last measured.
    pub impact: Impact,
    /// Everything, in the order in which it became known.
    pub timeline: Vec<TimelineEntry>,
}

impl Incident {
    /// Whether it is still open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// The alerts that fire now.
    pub fn firing(&self) -> impl Iterator<Item = &AlertFact> {
        self.alerts
            .values()
            .filter(|attached| attached.ended_at.is_none())
            .map(|attached| &attached.alert)
    }

    /// The timeline in order of time: what was learnt late stands where it happened.
    #[must_use]
    pub fn timeline_by_time(&self) -> Vec<&TimelineEntry> {
        let mut entries: Vec<&TimelineEntry> = self.timeline.iter().collect();
        entries.sort_by_key(|entry| entry.at);
        entries
    }
}

/// All incidents at hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentState {
    pub(crate) incidents: BTreeMap<IncidentId, Incident>,
}

impl IncidentState {
    /// One incident.
    #[must_use]
    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        self.incidents.get(id)
    }

    /// All incidents at hand, in the order of their ids: oldest first, up to the thousandth of a day.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.incidents.values()
    }

    /// The open ones, oldest first.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.all().filter(|incident| incident.is_open())
    }

    /// The open incident that an alert at `scope` belongs to: the oldest whose place holds the alert's. What concerns
    /// more than an incident is not part of it: a platform that is down is not the trouble of the cell that came first.
    ///
    /// What is only recorded (`shadow`) and what pages are kept apart: neither swallows the other's page.
    #[must_use]
    pub fn open_around(&self, scope: &Scope, shadow: bool) -> Option<&Incident> {
        let holds = |incident: &&Incident| {
            let place = &incident.scope;
            (place.cell.is_none() || place.cell == scope.cell)
                && (place.region.is_none() || scope.region.is_none() || place.region == scope.region)
        };
        self.open()
            .filter(|incident| incident.shadow == shadow)
            .filter(holds)
            .min_by_key(|incident| incident.declared_at)
    }

    /// The open incident that something at `scope` belongs to: the oldest at the same place. The service does not
    /// matter: what fails in one cell at one time is worked on together until a human splits it.
    #[must_use]
    pub fn open_at(&self, scope: &Scope) -> Option<&Incident> {
        let place = |scope: &Scope| Scope {
            service: None,
            tenant: None,
            ..scope.clone()
        };
        self.open()
            .filter(|incident| place(&incident.scope).overlaps(&place(scope)))
            .min_by_key(|incident| incident.declared_at)
    }
}
