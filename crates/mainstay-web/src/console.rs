//! What the web asks of the plane. The web owns this trait; whoever composes the program implements it.

mod alertmanager;
mod desk;
mod metrics;
mod oncall;
mod reports;
mod shadow;

use std::future::Future;
use std::pin::Pin;

use mainstay_kernel::{EventId, IncidentId, Principal, RunbookId, SloId};
use serde_json::Value;

pub use alertmanager::Alertmanager;
pub use desk::{Denied, Desk};
pub use metrics::Metrics;
pub use oncall::Oncall;
pub use reports::Reports;
pub use shadow::Shadow;

use crate::view::{
    AckTarget, Alert, AlertReview, Applied, BackupMade, CatalogInfo, Change, Done, Explained, GateAnswer,
    GateApproval, GatePlace, GatePolicies, GateRequest, GateStatement, Heartbeat, InboxMessage, Incident,
    IncidentSummary, JournalReport, Look, Overview, PostableAlert, ReviewAsked, Situation, Slo, SloDetail,
    WhatIf, WhatIfAsked, Why,
};

/// An answer under way.
pub type Answer<'a, T, E = Failure> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Somebody's turn, until it is dropped.
pub type Turn = Box<dyn Send>;

/// Everything that pages and API show and do.
///
/// Every question names who asks. An implementation shows only what [`Principal::sees`] allows: of anything else it
/// says [`Failure::NotFound`], exactly as if it did not exist, and leaves it out of lists and counts. Roles are checked
/// before a question comes here.
///
/// A question that only reads may be dropped before it is answered; one that acts is always carried to its end.
pub trait Console: Alertmanager + Desk + Metrics + Oncall + Reports + Shadow {
    /// What is true right now. Asked for every page: must be cheap.
    fn situation<'a>(&'a self, who: &'a Principal) -> Answer<'a, Situation>;
    /// The first screen.
    fn overview<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Overview>;
    /// Incidents, open ones first, then newest first; at most 500.
    fn incidents<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<IncidentSummary>>;
    /// One incident.
    fn incident<'a>(&'a self, who: &'a Principal, id: &'a IncidentId) -> Answer<'a, Incident>;
    /// The post-mortem draft of an incident, CommonMark.
    fn postmortem<'a>(&'a self, who: &'a Principal, id: &'a IncidentId) -> Answer<'a, String>;
    /// Alerts, firing ones first, worst first; at most 10,000.
    fn alerts<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<Alert>>;
    /// Changes in the range, newest first; at most 1,000.
    fn changes<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<Change>>;
    /// How every objective stands.
    fn slos<'a>(&'a self, who: &'a Principal, look: &'a Look) -> Answer<'a, Vec<Slo>>;
    /// One objective in depth.
    fn slo<'a>(&'a self, who: &'a Principal, id: &'a SloId, look: &'a Look) -> Answer<'a, SloDetail>;
    /// What if it had other targets, by the counts that are kept.
    fn what_if<'a>(
        &'a self,
        who: &'a Principal,
        id: &'a SloId,
        look: &'a Look,
        asked: &'a WhatIfAsked,
    ) -> Answer<'a, WhatIf>;
    /// What the demo's inbox received, newest first; not found outside the demo.
    fn inbox<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<InboxMessage>>;
    /// Why an event came about.
    fn why<'a>(&'a self, who: &'a Principal, event: EventId) -> Answer<'a, Why>;

    /// Every decision about an alert, a page or an incident, in its order.
    fn decisions<'a>(&'a self, who: &'a Principal, subject: String) -> Answer<'a, Explained>;
    /// The catalog in force.
    fn catalog<'a>(&'a self, who: &'a Principal) -> Answer<'a, CatalogInfo>;
    /// Its documents, as [`mainstay_catalog::Documents::to_bytes`] writes them.
    fn catalog_archive<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<u8>>;
    /// Reads its directory anew and puts it in force.
    fn apply_catalog<'a>(&'a self, who: &'a Principal) -> Answer<'a, Applied>;

    /// Takes a page, or all pages of an incident, on. Doing it again changes nothing.
    fn acknowledge<'a>(&'a self, who: &'a Principal, target: &'a AckTarget) -> Answer<'a, Done>;
    /// Ends an incident.
    fn resolve<'a>(
        &'a self,
        who: &'a Principal,
        id: &'a IncidentId,
        note: Option<&'a str>,
    ) -> Answer<'a, Done>;
    /// Writes a note (1 to 2,000 bytes, not blank) into an incident's timeline.
    fn note<'a>(&'a self, who: &'a Principal, id: &'a IncidentId, text: &'a str) -> Answer<'a, Done>;
    /// Runs one step of a runbook for an incident, or ticks it off where a human does it.
    fn run_step<'a>(
        &'a self,
        who: &'a Principal,
        incident: &'a IncidentId,
        runbook: &'a RunbookId,
        step: &'a str,
    ) -> Answer<'a, Done>;

    /// Takes a change record: one CloudEvent in structured JSON form.
    fn record_change<'a>(&'a self, who: &'a Principal, event: Value) -> Answer<'a, Done>;
    /// Takes what became of payments: CloudEvents in structured JSON form, all of them or none. Done: it is durable.
    fn record_completions<'a>(&'a self, who: &'a Principal, events: Vec<Value>) -> Answer<'a, Done>;
    /// A request was refused, with this status.
    fn note_refused(&self, _status: u16) {}
    /// A body came that should have been alerts and cannot be read.
    fn note_unreadable_alerts(&self) {}
    /// Waits until it is somebody's turn to have alerts unpacked; the turn lasts until what is given is dropped. One
    /// account's turns leave some to others.
    fn turn_to_tell<'a>(&'a self, _who: &'a Principal) -> Pin<Box<dyn Future<Output = Turn> + Send + 'a>> {
        Box::pin(std::future::ready(Box::new(()) as Turn))
    }
    /// Takes alerts from another system. Valid ones are taken even if others are refused; then this is
    /// [`Failure::Invalid`] and names them, as Alertmanager does.
    fn receive_alerts<'a>(&'a self, who: &'a Principal, alerts: Vec<PostableAlert>) -> Answer<'a, Done>;

    /// Whether a change may go out. The answer is in the journal when this returns.
    fn ask_gate<'a>(&'a self, who: &'a Principal, request: GateRequest) -> Answer<'a, GateAnswer>;
    /// Approves changes of a service in a cell.
    fn approve<'a>(&'a self, who: &'a Principal, approval: GateApproval) -> Answer<'a, Done>;
    /// The gate's answers, newest first; at most 500.
    fn gate_answers<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GateStatement>>;
    /// Error budget policies, and what they apply to.
    fn gate_policies<'a>(&'a self, who: &'a Principal) -> Answer<'a, GatePolicies>;
    /// What the gate would say now of each service in each cell, strictest first; nothing is written. At most 2,000.
    fn gate_places<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GatePlace>>;

    /// Which alerts were worth it, and which rules and objectives said nothing.
    fn alert_review<'a>(&'a self, who: &'a Principal, asked: ReviewAsked) -> Answer<'a, AlertReview>;
    /// How every heartbeat of the catalog stands that the reader may see.
    fn heartbeats<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Heartbeat>>;
    /// Something tells that it is alive. Done: it is durable.
    fn beat<'a>(&'a self, who: &'a Principal, name: &'a str) -> Answer<'a, Done>;

    /// Recomputes every hash chain.
    fn verify_journal<'a>(&'a self, who: &'a Principal) -> Answer<'a, JournalReport>;
    /// Copies everything that is kept, while it is at work.
    fn back_up<'a>(&'a self, who: &'a Principal) -> Answer<'a, BackupMade>;
}

/// Why the plane does not do or show what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It does not exist, or this reader may not know that it does.
    #[error("{what} is not known")]
    NotFound {
        /// What was asked for: `incident 2025-01-15-001`.
        what: String,
    },
    /// It cannot be done as things stand.
    #[error("{message}")]
    Refused {
        /// Why not.
        message: String,
        /// What would have to be so, or what to do instead.
        help: String,
    },
    /// What was sent is wrong.
    #[error("{message}")]
    Invalid {
        /// What is wrong, and where.
        message: String,
        /// What was expected.
        help: String,
    },
    /// Not now; try again.
    #[error("{message}")]
    Unavailable {
        /// What is missing.
        message: String,
    },
    /// Something failed that should not; the details are in the log, not in the answer.
    #[error("an internal error occurred")]
    Internal {
        /// What failed, for the log.
        detail: String,
    },
}
