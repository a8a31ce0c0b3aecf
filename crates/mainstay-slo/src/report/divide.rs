//! Where bad events belong: among incidents, what is excluded, and the rest.

use jiff::Timestamp;
use mainstay_kernel::{IncidentId, Labels, Scope, Severity, SloId};

use crate::adjust::ledger::place_of;
use crate::engine::SloEngine;
use crate::window::Bounds;

/// An incident, as far as reports are about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub incident: IncidentId,
    /// What was wrong.
    pub title: String,
    /// How bad it was.
    pub severity: Severity,
    /// Where.
    pub scope: Scope,
    /// When it hurt: from the first to the last bad event, as far as that is known.
    pub from: Timestamp,
    /// The end.
    pub to: Timestamp,
    /// Changes that may have caused it, in words, most suspect first.
    pub suspects: Vec<String>,
}

impl Episode {
    pub(super) fn time(&self) -> Bounds {
        Bounds {
            start_ms: self.from.as_millisecond(),
            end_ms: self.to.as_millisecond(),
        }
    }
}

/// Where the bad events of a group belong: the parts add up to all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divided<'a> {
    /// In stretches that do not count.
    pub excluded: i64,
    /// In incidents, in the order in which they began; those that had none are left out.
    pub parts: Vec<(&'a Episode, i64)>,
    /// All others.
    pub background: i64,
}

/// Divides the bad events of a group between two edges among incidents; of two at once the earlier one has them. `None` for
/// what does not divide into places: time slices, composites.
#[must_use]
pub fn divided<'a>(
    engine: &SloEngine,
    objective: &SloId,
    group: &Labels,
    counted: Bounds,
    episodes: impl IntoIterator<Item = &'a Episode>,
) -> Option<Divided<'a>> {
    let mut episodes: Vec<&Episode> = episodes.into_iter().collect();
    episodes.sort_by_key(|one| (one.from, &one.incident));
    let regions: Vec<(Labels, Bounds)> = episodes
        .iter()
        .map(|one| (place_of(&one.scope), one.time()))
        .collect();
    let shares = engine.shares(objective, group, counted.start_ms, counted.end_ms, &regions)?;
    let parts = episodes.into_iter().zip(shares.parts);
    Some(Divided {
        excluded: shares.excluded,
        parts: parts.filter(|(_, bad)| *bad != 0).collect(),
        background: shares.background,
    })
}
