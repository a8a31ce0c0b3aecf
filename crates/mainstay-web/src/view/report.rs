//! Reports and adjustments.

use jiff::Timestamp;
use mainstay_kernel::{CellId, EventId, TenantId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReportForm {
    /// The model, and of an edition what is signed.
    #[default]
    Json,
    /// CommonMark with tables.
    Markdown,
    /// One page that needs nothing else.
    Html,
    /// One line per figure.
    Csv,
}

impl ReportForm {
    /// The form of a name: `json`, `md`, `html`, `csv`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// Which edition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// None: the month as it is known now.
    #[default]
    Draft,
    /// The last one.
    Last,
    /// The one of this number.
    Number(u32),
}

/// Which report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportAsk {
    /// Of whom; none: the platform.
    pub tenant: Option<TenantId>,
    /// `2026-10`.
    pub month: String,
    /// Which edition.
    pub edition: Wanted,
    /// How it is written.
    pub form: ReportForm,
}

/// A report as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Its form.
    pub form: ReportForm,
    /// The text.
    pub text: String,
}

/// What came of issuing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IssuedReport {
    /// One sentence about it.
    pub message: String,
    /// The number of the edition in force.
    pub number: u32,
    /// Whether it was issued now; if not, nothing changed since.
    pub is_new: bool,
    /// Its digest.
    pub digest: String,
    /// How many figures and words differ from the edition before, where there is one.
    pub differences: Option<u64>,
    /// The events that were written.
    #[schemars(with = "Vec<String>")]
    pub events: Vec<EventId>,
}

/// The reports of one month, and the months that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReportIndex {
    /// Months with reports, newest first: `2026-11`.
    pub months: Vec<String>,
    /// The month that is shown.
    pub month: String,
    /// Whether it is not over, so that there are only drafts of it.
    pub is_running: bool,
    /// One of the platform, where the asker sees that, and one of each tenant.
    pub reports: Vec<ReportEntry>,
}

/// A report and its editions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReportEntry {
    /// Of whom; none: the platform.
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
    /// What people call it.
    pub name: String,
    /// What was issued, oldest first.
    pub editions: Vec<EditionEntry>,
}

/// An edition that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EditionEntry {
    /// Its number.
    pub number: u32,
    /// When.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// Its digest.
    pub digest: String,
    /// The event that holds it.
    #[schemars(with = "String")]
    pub event: EventId,
}

/// What verifies editions of reports and answers of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SigningKeyInfo {
    /// `Ed25519`.
    pub algorithm: String,
    /// The public key, base64.
    pub public_key: String,
}

/// A stretch that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Adjustment {
    /// Its number in the ledger; none for a maintenance window of the catalog.
    pub number: Option<u32>,
    /// The maintenance window it is a time of.
    pub window: Option<String>,
    /// Of which objectives.
    pub of: Vec<String>,
    /// Where: `the platform`, `for STD-001`.
    pub place: String,
    /// From when.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Up to when.
    #[schemars(with = "Utc")]
    pub to: Timestamp,
    /// Why.
    pub reason: String,
    /// Where it was agreed.
    pub ticket: Option<String>,
    /// Who wrote it down: an actor, or `catalog`.
    pub author: String,
    /// When it was written down.
    #[schemars(with = "Option<Utc>")]
    pub written_at: Option<Timestamp>,
    /// That it was taken back: when, by whom and why.
    pub withdrawn: Option<String>,
    /// Whether burn alerts leave it out too.
    pub silences_burn: bool,
}

/// An adjustment to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdjustment {
    /// Of this objective; or give `service`.
    #[serde(default)]
    pub objective: Option<String>,
    /// Of every objective of this service.
    #[serde(default)]
    pub service: Option<String>,
    /// Only for this tenant.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
    /// Only in this cell.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub cell: Option<CellId>,
    /// From when; a quarter hour.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Up to when; a quarter hour.
    #[schemars(with = "Utc")]
    pub to: Timestamp,
    /// Why: 1 to 1,000 bytes.
    pub reason: String,
    /// Where it was agreed: up to 200 bytes.
    #[serde(default)]
    pub ticket: Option<String>,
}
