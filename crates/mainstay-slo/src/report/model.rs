//! What a report says. Texts and integers only, so that it is the same bytes wherever it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The form of the model; raised when it changes.
pub const FORM: &str = "mainstay.report/1";

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORM`].
    pub form: String,
    /// Whom it is for; none: the platform as a whole.
    pub tenant: Option<Customer>,
    /// `2026-10`.
    pub month: String,
    /// The zone in which the month begins and ends where an objective names none.
    pub zone: String,
    /// The month, on the clocks of that zone.
    pub period: Stretch,
    /// Up to when it is counted where the month is not over; it cannot be issued then.
    pub until: Option<String>,
    /// Every promise, in the catalog's order.
    pub promises: Vec<Promised>,
    /// What of the month does not count, and by whose word; withdrawn entries among them.
    pub adjustments: Vec<Adjusted>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// Its name; the id where the catalog has none.
    pub name: String,
}

/// From when to when, RFC 9557 with offset and zone; open at the beginning, as counts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The beginning.
    pub from: String,
    /// The end.
    pub to: String,
}

/// Events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Those that were bad.
    pub bad: u64,
    /// All.
    pub total: u64,
    /// The good share in percent, cut, never rounded up: `99.9412%`; none where nothing was counted.
    pub good: Option<String>,
}

/// Whether a promise was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// By what was counted.
    Kept,
    /// By what was counted.
    Breached,
    /// Nothing was counted.
    Unknown,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Kept => "kept",
            Self::Breached => "breached",
            Self::Unknown => "unknown",
        })
    }
}

/// One promise and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promised {
    /// Its id.
    pub objective: String,
    /// What people call it.
    pub title: String,
    /// `objective` (ours) or `agreement` (a contract).
    pub promise: String,
    /// Whose.
    pub service: Option<String>,
    /// The least share of good events: `99.9%`.
    pub target: String,
    /// The window that it was promised over; the figures here are of the month.
    pub window: String,
    /// Between which edges the counts are exact.
    pub counted: Stretch,
    /// Of which group.
    pub group: BTreeMap<String, String>,
    /// Everything that was counted.
    pub raw: Figure,
    /// Whether the promise was kept by that.
    pub raw_verdict: Verdict,
    /// Without what is excluded: what the contract goes by.
    pub adjusted: Figure,
    /// Whether the promise was kept by that.
    pub verdict: Verdict,
    /// How many events may have been bad, by the adjusted figure.
    pub allowed: u64,
    /// How many more may have been; negative where more were.
    pub left: i64,
    /// What is excluded, in minutes.
    pub excluded_minutes: i64,
    /// How long nothing was seen, in milliseconds: neither good nor bad.
    pub unknown_ms: i64,
    /// What the counts cannot say.
    pub doubt: Doubtful,
    /// PromQL that counts the bad events of the same time from raw samples, as far as they are kept; none for what is not
    /// made of counters.
    pub bad_query: Option<String>,
    /// The same for all events.
    pub total_query: Option<String>,
    /// How far the contract is behind the objective on the same events.
    pub buffer: Option<Buffer>,
    /// What is given back; none where no table is for it.
    pub credit: Option<Credit>,
    /// Where the bad events belong.
    pub attribution: Attribution,
    /// Of an agreement in the platform's report: each tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<TenantLine>,
}

/// What the counts cannot say. Never part of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubtful {
    /// At most so many more events of counters that appeared above 0.
    pub missed: u64,
    /// Counters that began again.
    pub restarts: u64,
    /// Sources that ended between two reads with a bound on what was lost, and that bound.
    pub bounded_ends: u64,
    /// At most so many events lost in these.
    pub unread: u64,
    /// Sources that ended of which nobody knows what was lost.
    pub unbounded_ends: u64,
}

/// Between an objective of ours and the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Our objective.
    pub objective: String,
    /// Its target.
    pub target: String,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// How many more bad events the contract allows than we do.
    pub events: i64,
    /// How many more were possible before the contract broke; negative where it did.
    pub left: i64,
}

/// A service credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The table it is of.
    pub table: String,
    /// The tier: below which share.
    pub below: Option<String>,
    /// The share of the month's fee that is given back: `10%`, or `0%`.
    pub percent: String,
}

/// Where the bad events belong: the parts add up to the raw count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// In stretches that do not count.
    pub excluded: i64,
    /// In incidents, in the order in which they began; of two at once the earlier one has it.
    pub incidents: Vec<IncidentPart>,
    /// All others.
    pub background: i64,
}

/// The part of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentPart {
    /// The incident.
    pub incident: String,
    /// What was wrong; none in the report of a tenant whose own incident it is not.
    pub title: Option<String>,
    /// `P0` to `P3`.
    pub severity: String,
    /// When it hurt.
    pub stretch: Stretch,
    /// The bad events.
    pub bad: i64,
    /// Changes that may have caused it, most suspect first; only in the platform's report.
    pub suspects: Vec<String>,
}

/// One tenant of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantLine {
    /// The tenant.
    pub tenant: String,
    /// Everything.
    pub raw: Figure,
    /// Without what is excluded.
    pub adjusted: Figure,
    /// Whether the promise was kept.
    pub verdict: Verdict,
    /// What is given back.
    pub credit: Option<Credit>,
}

/// A stretch that does not count, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// `ledger 3` or `maintenance database-maintenance`.
    pub source: String,
    /// Of which objectives.
    pub of: Vec<String>,
    /// Where.
    pub place: String,
    /// When.
    pub stretch: Stretch,
    /// Why.
    pub reason: String,
    /// Where it was agreed.
    pub ticket: Option<String>,
    /// Who wrote it down; the catalog for maintenance windows.
    pub author: String,
    /// When it was written down.
    pub written_at: Option<String>,
    /// That it was taken back: when, by whom, why. It counts for nothing then.
    pub withdrawn: Option<String>,
    /// Whether burn alerts left it out too.
    pub silences_burn: bool,
}
