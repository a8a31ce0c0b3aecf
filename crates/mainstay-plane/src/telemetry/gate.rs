//! How objectives stand, for the gate: looked up group by group.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::{Labels, Scope, SloId};
use mainstay_slo::engine::{Sight, Standing};
use mainstay_slo::gate::{Covered, Policy};

use super::Telemetry;

/// For how long it is believed that a place is seen: a few evaluations.
const SIGHT_VALID: SignedDuration = SignedDuration::from_secs(30);

/// Which places were seen at the last evaluation. To tell costs all groups of a place, which an answer does not wait for.
#[derive(Debug, Default)]
pub(super) struct Sights {
    at: Option<Timestamp>,
    by_place: BTreeMap<SloId, BTreeMap<Labels, Sight>>,
}

impl Sights {
    fn of(&self, slo: &SloId, group: &Labels, now: Timestamp) -> Option<Sight> {
        let at = self.at?;
        let fresh = at <= now && now.duration_since(at) <= SIGHT_VALID;
        self.by_place.get(slo)?.get(group).copied().filter(|_| fresh)
    }
}

impl Telemetry {
    /// How objectives stand that judge a change to `scope`. Cost: the objectives there are, and the logarithm of the groups.
    pub(super) fn standings_of(
        &self,
        by: &[(Covered, Policy)],
        scope: &Scope,
        now: Timestamp,
    ) -> Vec<Standing> {
        let slos = self.slos();
        let sights = self.sights.lock().unwrap_or_else(PoisonError::into_inner);
        by.iter()
            .filter_map(|(covered, policy)| {
                let group = covered.group_of(scope);
                let sight = sights.of(&covered.slo, &group, now);
                let sight = sight.or_else(|| slos.sight(&covered.slo, &group, now))?;
                slos.standing(&covered.slo, &group, sight, policy.recovery.window_ms(), now)
            })
            .collect()
    }

    /// How objectives stand in every place that changes are judged by. Cost: all groups of these objectives.
    pub(super) fn standings_everywhere(&self, by: &[Covered], now: Timestamp) -> Vec<Standing> {
        let slos = self.slos();
        let mut by_place: BTreeMap<SloId, BTreeMap<Labels, Sight>> = BTreeMap::new();
        let mut standings = Vec::new();
        for covered in by {
            let places: Vec<Labels> = slos
                .groups_with(&covered.slo, &covered.place_labels)
                .cloned()
                .collect();
            let sights = by_place.entry(covered.slo.clone()).or_default();
            for group in places {
                let Some(sight) = slos.sight(&covered.slo, &group, now) else {
                    continue;
                };
                standings.extend(slos.standing(&covered.slo, &group, sight, 0, now));
                sights.insert(group, sight);
            }
        }
        let at = Some(now);
        *self.sights.lock().unwrap_or_else(PoisonError::into_inner) = Sights { at, by_place };
        standings
    }
}
