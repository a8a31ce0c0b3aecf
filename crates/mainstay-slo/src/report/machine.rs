//! The register of editions: which were issued, in order. Each is in the journal with everything it says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Machine, Reaction, StreamId};
use mainstay_kernel::{EventId, Scope, TenantId};
use serde::{Deserialize, Serialize};

use super::edition::Signed;

/// The largest edition, in bytes of JSON: below what an event of the journal holds.
pub const EDITION_MAX_BYTES: usize = 900 << 10;
/// The most editions of one month and tenant.
pub const EDITIONS_MAX: u32 = 1_000;

/// The register.
pub struct Reports;

/// What it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportCommand {
    /// Enter an edition; it must be the next of its month and tenant.
    Issue(Box<Issue>),
}

/// An edition to be entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Whom it is for; none: the platform.
    pub tenant: Option<TenantId>,
    /// `2026-10`.
    pub month: String,
    /// The edition.
    pub signed: Signed,
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum ReportEvent {
    /// An edition was issued.
    Issued(Box<Issue>),
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportRefusal {
    /// Somebody else issued one meanwhile, or nothing changed since.
    #[error("edition {next} is the next of this month, not {number}: another was issued meanwhile")]
    NotNext {
        /// The number it bears.
        number: u32,
        /// The number it should bear.
        next: u32,
    },
    /// It is too large.
    #[error("the edition has {0} bytes; at most {EDITION_MAX_BYTES} are kept")]
    TooLarge(usize),
    /// There are too many.
    #[error("there are {EDITIONS_MAX} editions of this month already")]
    TooMany,
}

/// An edition that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditionNote {
    /// Its number.
    pub number: u32,
    /// The event that holds it.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
    /// Its digest.
    pub digest: String,
}

/// Every edition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportState {
    editions: BTreeMap<String, Vec<EditionNote>>,
}

impl ReportState {
    /// The editions of a month, oldest first.
    #[must_use]
    pub fn editions(&self, tenant: Option<&TenantId>, month: &str) -> &[EditionNote] {
        let editions = self.editions.get(&key(tenant, month));
        editions.map(Vec::as_slice).unwrap_or_default()
    }

    /// The months that have editions: `2026-10`. Cost: months × tenants.
    #[must_use]
    pub fn months(&self) -> BTreeSet<&str> {
        let keys = self.editions.keys();
        keys.filter_map(|key| Some(key.rsplit_once('/')?.1)).collect()
    }
}

/// `tenant/STD-001/2026-10`, `platform/2026-10`.
fn key(tenant: Option<&TenantId>, month: &str) -> String {
    tenant.map_or_else(
        || format!("platform/{month}"),
        |tenant| format!("tenant/{tenant}/{month}"),
    )
}

impl DomainEvent for ReportEvent {
    fn kind(&self) -> &'static str {
        "report.issued"
    }

    fn stream(&self) -> StreamId {
        let Self::Issued(issue) = self;
        StreamId::new("report", key(issue.tenant.as_ref(), &issue.month))
    }

    fn scope(&self) -> Scope {
        let Self::Issued(issue) = self;
        Scope {
            tenant: issue.tenant.clone(),
            ..Scope::default()
        }
    }
}

impl Machine for Reports {
    const NAME: &'static str = "report";
    type Spec = ();
    type State = ReportState;
    type Command = ReportCommand;
    type Event = ReportEvent;
    type Refusal = ReportRefusal;

    fn decide(
        state: &ReportState,
        _spec: &(),
        command: ReportCommand,
        _now: Timestamp,
    ) -> Result<Vec<ReportEvent>, ReportRefusal> {
        let ReportCommand::Issue(issue) = command;
        let last = state.editions(issue.tenant.as_ref(), &issue.month).last();
        let (number, next) = (
            issue.signed.edition.number,
            last.map_or(0, |last| last.number) + 1,
        );
        if number != next {
            return Err(ReportRefusal::NotNext { number, next });
        }
        if number > EDITIONS_MAX {
            return Err(ReportRefusal::TooMany);
        }
        let bytes = serde_json::to_vec(&issue).map_or(usize::MAX, |bytes| bytes.len());
        if bytes > EDITION_MAX_BYTES {
            return Err(ReportRefusal::TooLarge(bytes));
        }
        Ok(vec![ReportEvent::Issued(issue)])
    }

    fn apply(state: &mut ReportState, event: &ReportEvent, meta: &Meta) {
        let ReportEvent::Issued(issue) = event;
        let editions = state
            .editions
            .entry(key(issue.tenant.as_ref(), &issue.month))
            .or_default();
        editions.push(EditionNote {
            number: issue.signed.edition.number,
            event: meta.id,
            at: meta.at,
            digest: issue.signed.digest.clone(),
        });
    }

    fn react(_state: &ReportState, _spec: &(), _event: &ReportEvent, _meta: &Meta) -> Reaction {
        Reaction::default()
    }
}
