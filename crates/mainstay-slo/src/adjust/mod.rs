//! Adjustments: stretches of time that do not count, by agreement.
//!
//! Two sources: entries of the [`ledger`] (one-off, retroactive if need be, never erased) and the catalog's
//! [`maintenance`] windows (recurring by a [`recurrence`] rule). Both become [`Exclusion`]s, which the engine is given as
//! data. What was counted is never touched: an adjusted figure is the raw one less the counts of the excluded stretches,
//! and both are always shown.
//!
//! Counts are kept in quarter hours once they are four days old, and every time zone in use is a multiple of a quarter
//! hour off UTC. So adjustments begin and end at quarter hours: then they are exact whenever they are made or read, and
//! no rounding decides about a contract. What is not at a quarter hour is refused with the nearest that is.

pub mod ledger;
pub mod maintenance;
pub mod recurrence;

use mainstay_kernel::{Labels, ServiceId, SloId};
use serde::{Deserialize, Serialize};

use crate::objective::Objective;
use crate::window::Bounds;

/// What stretches of adjustments are multiples of, in milliseconds.
pub const QUARTER_HOUR_MS: i64 = 15 * 60_000;

/// Which objectives an adjustment is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// One.
    Objective(SloId),
    /// Every objective of a service.
    Service(ServiceId),
}

impl Of {
    /// Whether it is about this objective.
    #[must_use]
    pub fn is(&self, objective: &Objective) -> bool {
        match self {
            Self::Objective(id) => objective.id == *id,
            Self::Service(service) => objective.service.as_ref() == Some(service),
        }
    }
}

impl std::fmt::Display for Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Objective(id) => write!(f, "{id}"),
            Self::Service(service) => write!(f, "every objective of {service}"),
        }
    }
}

/// One stretch that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Of which objectives.
    pub of: Of,
    /// Of which groups, by labels that make them, such as `tenant` and `cell`; none: everywhere.
    pub place: Labels,
    /// When. Only whole quarter hours count: the engine narrows it to those.
    pub stretch: Bounds,
    /// Whether burn alerts leave it out too. Otherwise they see everything that happens.
    pub silences_burn: bool,
}

/// The edges at or before and at or after an instant.
#[must_use]
pub fn quarter_hours_around(at_ms: i64) -> [i64; 2] {
    let before = at_ms - at_ms.rem_euclid(QUARTER_HOUR_MS);
    [before, before + if before == at_ms { 0 } else { QUARTER_HOUR_MS }]
}

/// Stretches as they come, made into stretches that follow each other with room between them.
pub(crate) fn merged(mut stretches: Vec<Bounds>) -> Vec<Bounds> {
    stretches.sort_unstable_by_key(|stretch| (stretch.start_ms, stretch.end_ms));
    let mut merged: Vec<Bounds> = Vec::with_capacity(stretches.len());
    for next in stretches.into_iter().filter(|stretch| stretch.length_ms() > 0) {
        match merged.last_mut() {
            Some(last) if next.start_ms <= last.end_ms => last.end_ms = last.end_ms.max(next.end_ms),
            _ => merged.push(next),
        }
    }
    merged
}
