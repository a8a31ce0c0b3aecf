//! What incidents can be asked, and why they say no.

use jiff::Timestamp;
use mainstay_kernel::fact::{Acknowledged, AlertFired, AlertResolved, Delivered};
use mainstay_kernel::{IncidentId, RunbookId, Scope, Severity};

use crate::model::{Impact, LinkedChange, Phase, ToldElsewhere};

/// What it can be asked. The answers of other capabilities (impact, changes near by) arrive inside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum IncidentCommand {
    /// A group of alerts fires; `pages` says whether its receiver pages somebody. One that does not is evidence for an
    /// open incident and never begins one.
    AlertsFired {
        fact: AlertFired,
        impact: Option<Impact>,
        changes: Vec<LinkedChange>,
        pages: bool,
    },
    /// A group of alerts is over.
    AlertsResolved { fact: AlertResolved },
    /// The platform was changed.
    Change { change: LinkedChange },
    /// A human declares one without an alert.
    Declare {
        severity: Severity,
        title: String,
        scope: Scope,
    },
    /// A message reached its receiver.
    PageDelivered { delivered: Delivered },
    /// A page was taken on; `elsewhere` is where others still wait for that.
    Acknowledged {
        fact: Acknowledged,
        elsewhere: Vec<ToldElsewhere>,
    },
    /// A step of a runbook was run.
    RunbookStep {
        incident: IncidentId,
        runbook: RunbookId,
        step: String,
        ok: bool,
        text: String,
    },
    /// The counts say who was hit; `recovered_at` is the last bad event if there is none since for long enough.
    Measure {
        incident: IncidentId,
        impact: Impact,
        recovered_at: Option<Timestamp>,
    },
    /// A human judges the severity.
    SetSeverity {
        incident: IncidentId,
        to: Severity,
        reason: String,
    },
    /// A human moves the work on.
    SetPhase { incident: IncidentId, to: Phase },
    /// A human writes something down.
    Note { incident: IncidentId, text: String },
    /// A human ends it; `force` says why although alerts still fire.
    Resolve {
        incident: IncidentId,
        force: Option<String>,
    },
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncidentRefusal {
    /// No such incident at hand.
    #[error("there is no incident {0}; `mainstay incident list` shows them")]
    Unknown(IncidentId),
    /// It is over.
    #[error("incident {0} is resolved")]
    AlreadyResolved(IncidentId),
    /// Alerts still fire.
    #[error("incident {incident} still has {firing} firing: {names}; resolve with a reason to do it anyway")]
    StillFiring {
        /// The incident.
        incident: IncidentId,
        /// How many.
        firing: usize,
        /// Which.
        names: String,
    },
    /// Nothing would change.
    #[error("incident {incident} is {what} already")]
    NoChange {
        /// The incident.
        incident: IncidentId,
        /// As what.
        what: String,
    },
    /// A text is empty or too long.
    #[error("{what} must have 1 to {limit_bytes} bytes")]
    Text {
        /// Which text.
        what: &'static str,
        /// The limit.
        limit_bytes: usize,
    },
}
