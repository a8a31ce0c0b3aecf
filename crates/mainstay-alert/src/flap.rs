//! Alerts that begin and end and begin again. One that begins too often is told once as flapping; from then on it counts as
//! firing for whoever was told, and its end is told when it has been stable for as long as its beginnings were counted. So
//! nothing that fires is unheard: what is kept back is only that it is over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::Digest;
use serde::{Deserialize, Serialize};

use crate::fold::after;

/// In how many groups beginnings are counted at most.
const GROUPS_MAX: usize = 10_000;

/// An alert that begins more often than this is flapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlapLimit {
    /// So many times may it begin.
    pub starts: u32,
    /// In so long, in milliseconds.
    pub within_ms: i64,
}

/// How often an alert began in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flap {
    /// Its last beginnings, one more than it may have at most.
    starts: Vec<Timestamp>,
    changed_at: Timestamp,
    limit: FlapLimit,
    /// Whether somebody was told that it flaps.
    told: bool,
}

impl Flap {
    /// What would become of it with a beginning at this instant.
    fn started(before: Option<&Self>, limit: FlapLimit, at: Timestamp) -> Self {
        let kept = before.into_iter().flat_map(|flap| flap.starts.iter().copied());
        let mut starts: Vec<Timestamp> = kept
            .filter(|start| after(*start, limit.within_ms) > at)
            .chain([at])
            .collect();
        let most = usize::try_from(limit.starts)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        starts.drain(..starts.len().saturating_sub(most));
        Self {
            starts,
            changed_at: at,
            limit,
            told: before.is_some_and(|flap| flap.told),
        }
    }

    /// How often it began lately.
    #[must_use]
    pub fn starts(&self) -> u32 {
        u32::try_from(self.starts.len()).unwrap_or(u32::MAX)
    }

    /// What it is measured by.
    #[must_use]
    pub fn limit(&self) -> FlapLimit {
        self.limit
    }

    /// When it last began or ended.
    pub(crate) fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    fn is_beyond(&self) -> bool {
        self.starts() > self.limit.starts
    }

    /// When it is stable, if nothing happens until then.
    fn stable_at(&self) -> Timestamp {
        after(self.changed_at, self.limit.within_ms)
    }
}

/// The alerts whose beginnings are counted, by group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Flaps(BTreeMap<String, BTreeMap<Digest, Flap>>);

impl Flaps {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, group: &str, alert: &Digest) -> Option<&Flap> {
        self.0.get(group)?.get(alert)
    }

    /// That of an alert, if it was told that it flaps.
    pub(crate) fn flapping(&self, group: &str, alert: &Digest) -> Option<&Flap> {
        self.get(group, alert).filter(|flap| flap.told)
    }

    /// What an alert would be that begins now, if that is once too often and was not told yet.
    pub(crate) fn would_flap(
        &self,
        group: &str,
        alert: &Digest,
        limit: FlapLimit,
        at: Timestamp,
    ) -> Option<Flap> {
        let flap = Flap::started(self.get(group, alert), limit, at);
        (flap.is_beyond() && !flap.told).then_some(flap)
    }

    pub(crate) fn start(&mut self, group: &str, alert: Digest, limit: FlapLimit, at: Timestamp) {
        if !self.0.contains_key(group) && self.0.len() >= GROUPS_MAX {
            self.0.retain(|_, alerts| {
                alerts.retain(|_, flap| flap.told || flap.stable_at() > at);
                !alerts.is_empty()
            });
            if self.0.len() >= GROUPS_MAX {
                return;
            }
        }
        let alerts = self.0.entry(group.to_owned()).or_default();
        // Those that are stable are swept when the group has doubled: a storm pays for each of its alerts once.
        if alerts.len().is_power_of_two() && !alerts.contains_key(&alert) {
            alerts.retain(|_, flap| flap.told || flap.stable_at() > at);
        }
        let flap = Flap::started(alerts.get(&alert), limit, at);
        alerts.insert(alert, flap);
    }

    pub(crate) fn end(&mut self, group: &str, alert: &Digest, at: Timestamp) {
        let known = self.0.get_mut(group).and_then(|alerts| alerts.get_mut(alert));
        if let Some(flap) = known {
            flap.changed_at = at;
        }
    }

    pub(crate) fn tell(&mut self, group: &str, alert: &Digest) {
        let known = self.0.get_mut(group).and_then(|alerts| alerts.get_mut(alert));
        if let Some(flap) = known {
            flap.told = true;
        }
    }

    pub(crate) fn settle(&mut self, group: &str, settled: &[Digest]) {
        if let Some(alerts) = self.0.get_mut(group) {
            alerts.retain(|id, _| !settled.contains(id));
            if alerts.is_empty() {
                self.0.remove(group);
            }
        }
    }

    /// The alerts of a group that flapped and are stable by now.
    pub(crate) fn stable(&self, group: &str, now: Timestamp) -> Vec<Digest> {
        let alerts = self.0.get(group).into_iter().flatten();
        let stable = alerts.filter(|(_, flap)| flap.told && flap.stable_at() <= now);
        stable.map(|(id, _)| *id).collect()
    }

    /// When the first of those that flap in a group is stable.
    pub(crate) fn next_stable_at(&self, group: &str) -> Option<Timestamp> {
        let alerts = self.0.get(group)?.values();
        alerts.filter(|flap| flap.told).map(Flap::stable_at).min()
    }
}
