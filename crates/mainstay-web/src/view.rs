//! What the console shows: plain data, the very same for the page and for the JSON API.
//!
//! Instants are UTC. Counts are integers, shares exact decimals written as strings (`"0.9995"`). Where nothing is known
//! there is no value, and a status of `unknown` with the reason; never a zero that was not counted.

mod alert;
mod alert_review;
mod alertmanager;
mod change;
mod desk;
mod feed;
mod gate;
mod heartbeat;
mod inbound;
mod incident;
mod journal;
mod load;
mod oncall;
mod overview;
mod prometheus;
mod query;
mod report;
mod shadow;
mod share;
mod slo;

pub use alert::{Alert, AlertRoute, AlertState, HeldBack, HeldKind};
pub use alert_review::{AlertReview, ReviewAsked, ReviewedName, ReviewedPerson, UnannouncedIncident};
pub use alertmanager::{
    AlertGroup, AlertStatus, AlertTold, AlertmanagerStatus, ClusterStatus, GettableAlert, GettableSilence,
    Named, OriginalConfig, PostableSilence, SilenceMade, SilenceState, VersionInfo,
};
pub use change::Change;
pub use desk::{AckLink, LinkedPage, SlackAnswer, SlackRequest};
pub use feed::{DutyFeed, FeedMade, Handover, HandoverAsked, HandoverNote, NewFeed, NewHandover};
pub use gate::{
    GateAnswer, GateApproval, GateApproved, GateBudget, GateException, GateJudge, GateKind, GatePeriod,
    GatePlace, GatePolicies, GatePolicy, GateReason, GateRequest, GateService, GateStatement, GateVerdict,
};
pub use heartbeat::{Heartbeat, HeartbeatState};
pub use inbound::{PostableAlert, WebhookAlert, WebhookMessage};
pub use incident::{
    AckTarget, Bridge, Clock, Impact, Incident, IncidentSummary, Page, Receipt, Runbook, Step, StepState,
    Suspect, TenantImpact, TimelineEntry,
};
pub use journal::{
    Applied, BackupMade, CatalogInfo, Decided, DocumentCount, Explained, InboxMessage, JournalReport,
    PartitionReport, Why, WhyStep,
};
pub use load::{LoadAsked, OncallLoad, PersonLoad, RotaLoad};
pub use mainstay_ui::chart::{Chart, Limit, Mark, Series};
pub use mainstay_ui::{Status, Unit};
pub use oncall::{
    DutyAsked, DutyOverride, DutyStep, DutyStretch, DutySwap, NewOverride, NewSwap, OncallTarget,
    OncallTurns, RotaDuty, RotaGap, RotaSchedule, RotaShift, ShiftsAsked, SwapAnswer, TurnsAsked,
};
pub use overview::{
    Banner, Duty, Figure, FigureGroup, Grid, GridCell, GridRow, Overview, Places, Sentence, Situation,
};
pub use prometheus::{
    Alerting, DroppedTargets, Evaluated, LastScrape, MetricMetadata, Rule, RuleAlert, RuleGroup, Runtime,
    ScrapedTarget, StoreStatus, Targets,
};
pub use query::{
    Deleted, Deletion, Exemplar, InstantQuery, OtlpAnswer, QueryAnswer, QueryCost, QueryError, QueryOptions,
    RangeQuery, Sample, Selection, SeriesExemplars, WriteRequest, Written,
};
pub use report::{
    Adjustment, EditionEntry, IssuedReport, NewAdjustment, ReportAsk, ReportEntry, ReportFile, ReportForm,
    ReportIndex, SigningKeyInfo, Wanted,
};
pub use shadow::{
    CutOver, PagerDutyEvent, PagerDutyIncident, PagerDutyMessage, PagerDutyReference, RouteInForce,
    ShadowPair, ShadowReport, ShadowTold, ToldElsewhere,
};
pub use share::Share;
pub use slo::{
    Amounts, Burn, Exhaustion, Slo, SloAgreement, SloDetail, SloGate, SloPart, SloParts, WhatIf, WhatIfAsked,
    WhatIfPage, WhatIfTarget,
};

use mainstay_kernel::Scope;
use schemars::JsonSchema;
use serde::Serialize;

/// What the reader looks at: a part of the platform and a range of time that ends now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The part of the platform; open parts mean all.
    pub scope: Scope,
    /// How far back charts reach, in milliseconds.
    pub range_ms: u64,
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Done {
    /// One sentence about it: `Acknowledged by ada.`
    pub message: String,
    /// The events that were written; none if it had been done before.
    #[schemars(with = "Vec<String>")]
    pub events: Vec<mainstay_kernel::EventId>,
}

/// The schema of an instant: RFC 3339, UTC.
pub(crate) struct Utc;

impl JsonSchema for Utc {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Utc".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The schema of a scope: only the parts that are not open.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ScopeSchema {
    tenant: Option<String>,
    region: Option<String>,
    zone: Option<String>,
    cell: Option<String>,
    service: Option<String>,
}

/// The schema of a severity.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum SeveritySchema {
    P0,
    P1,
    P2,
    P3,
}
