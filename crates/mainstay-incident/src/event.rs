//! What can have happened to an incident.

use jiff::Timestamp;
use mainstay_journal::{DomainEvent, StreamId};
use mainstay_kernel::fact::{
    Acknowledged, AlertFact, ChangeRecorded, Delivered, IncidentDeclared, PageRequested,
};
use mainstay_kernel::{Digest, EventId, IncidentId, PageId, RunbookId, Scope, Severity};
use serde::{Deserialize, Serialize};

use crate::model::{Impact, Phase, ToldElsewhere};

/// An event of an incident. `Declared` and `PageRequested` are published facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum IncidentEvent {
    /// It has a name.
    Declared {
        fact: IncidentDeclared,
        began_at: Timestamp,
    },
    /// Alerts fire that belong to it.
    AlertsAttached {
        incident: IncidentId,
        group: String,
        alerts: Vec<AlertFact>,
    },
    /// Alerts of it ended.
    AlertsCleared {
        incident: IncidentId,
        group: String,
        fingerprints: Vec<Digest>,
    },
    /// No alert of it fires any more.
    AllClear { incident: IncidentId },
    /// It is worse or better than thought.
    SeverityChanged {
        incident: IncidentId,
        from: Severity,
        to: Severity,
        reason: String,
    },
    /// It concerns more than was thought when it was declared: the place that holds all of its alerts.
    Widened {
        incident: IncidentId,
        from: Scope,
        to: Scope,
        title: String,
        reason: String,
    },
    /// The work moved on.
    PhaseChanged {
        incident: IncidentId,
        from: Phase,
        to: Phase,
    },
    /// A change near its beginning, or after it, at the same place.
    ChangeLinked {
        incident: IncidentId,
        change_event: EventId,
        change: ChangeRecorded,
    },
    /// A human is needed.
    PageRequested(PageRequested),
    /// A page reached a receiver.
    PageDelivered {
        incident: IncidentId,
        delivered: Delivered,
    },
    /// A human took it on.
    Acknowledged(Acknowledged),
    /// Others are told that somebody took it on.
    AcknowledgementPassedOn {
        incident: IncidentId,
        page: PageId,
        by: String,
        to: Vec<ToldElsewhere>,
    },
    /// A step of a runbook was run.
    RunbookStep {
        incident: IncidentId,
        runbook: RunbookId,
        step: String,
        ok: bool,
        text: String,
    },
    /// Who was hit and how much.
    ImpactMeasured { incident: IncidentId, impact: Impact },
    /// No bad event since `at`, while traffic flows.
    Recovered { incident: IncidentId, at: Timestamp },
    /// Bad events again after it had recovered.
    Relapsed { incident: IncidentId },
    /// A human wrote something down.
    Noted { incident: IncidentId, text: String },
    /// It is over.
    Resolved {
        incident: IncidentId,
        forced: Option<String>,
    },
}

impl IncidentEvent {
    /// The incident that it happened to.
    #[must_use]
    pub fn incident(&self) -> &IncidentId {
        match self {
            Self::Declared { fact, .. } => &fact.incident,
            Self::PageRequested(request) => &request.incident,
            Self::Acknowledged(acknowledged) => &acknowledged.incident,
            Self::AlertsAttached { incident, .. }
            | Self::AlertsCleared { incident, .. }
            | Self::AllClear { incident }
            | Self::AcknowledgementPassedOn { incident, .. }
            | Self::SeverityChanged { incident, .. }
            | Self::Widened { incident, .. }
            | Self::PhaseChanged { incident, .. }
            | Self::ChangeLinked { incident, .. }
            | Self::PageDelivered { incident, .. }
            | Self::RunbookStep { incident, .. }
            | Self::ImpactMeasured { incident, .. }
            | Self::Recovered { incident, .. }
            | Self::Relapsed { incident }
            | Self::Noted { incident, .. }
            | Self::Resolved { incident, .. } => incident,
        }
    }
}

impl DomainEvent for IncidentEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Declared { .. } => "incident.declared",
            Self::AlertsAttached { .. } => "incident.alerts_attached",
            Self::AlertsCleared { .. } => "incident.alerts_cleared",
            Self::AllClear { .. } => "incident.all_clear",
            Self::SeverityChanged { .. } => "incident.severity_changed",
            Self::Widened { .. } => "incident.widened",
            Self::PhaseChanged { .. } => "incident.phase_changed",
            Self::ChangeLinked { .. } => "incident.change_linked",
            Self::PageRequested(_) => "incident.page_requested",
            Self::PageDelivered { .. } => "incident.page_delivered",
            Self::Acknowledged(_) => "incident.acknowledged",
            Self::AcknowledgementPassedOn { .. } => "incident.acknowledgement_passed_on",
            Self::RunbookStep { .. } => "incident.runbook_step",
            Self::ImpactMeasured { .. } => "incident.impact_measured",
            Self::Recovered { .. } => "incident.recovered",
            Self::Relapsed { .. } => "incident.relapsed",
            Self::Noted { .. } => "incident.noted",
            Self::Resolved { .. } => "incident.resolved",
        }
    }

    fn stream(&self) -> StreamId {
        StreamId::new("incident", self.incident())
    }

    /// Incidents may touch several tenants: all of one incident is on the platform's chain.
    fn scope(&self) -> Scope {
        match self {
            Self::Declared { fact, .. } => Scope {
                tenant: None,
                ..fact.scope.clone()
            },
            Self::PageRequested(request) => Scope {
                tenant: None,
                ..request.scope.clone()
            },
            _ => Scope::platform(),
        }
    }
}
