//! What fires now, and what was told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::machine::Meta;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Digest, EventId, Scope, Severity};
use serde::{Deserialize, Serialize};

use crate::event::{AlertEvent, Placement};

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// The alert.
    pub alert: AlertFact,
    /// How bad it is.
    pub severity: Severity,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// The event by which it started: ask the journal why.
    pub event: EventId,
}

/// A group of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Whom it tells, and its clocks.
    pub placement: Placement,
    /// Its alerts that fire now.
    pub firing: BTreeSet<Digest>,
    /// The alerts that were firing when it was last told.
    pub told: BTreeMap<Digest, AlertFact>,
    /// When it was last told.
    pub told_at: Option<Timestamp>,
    /// When what is new in it will be told.
    pub flush_at: Option<Timestamp>,
}

/// All alerts that fire and all groups that are not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    pub(crate) alerts: BTreeMap<Digest, ActiveAlert>,
    pub(crate) groups: BTreeMap<String, Group>,
}

impl AlertState {
    /// The alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.alerts.values()
    }

    /// One alert, if it fires.
    #[must_use]
    pub fn alert(&self, fingerprint: &Digest) -> Option<&ActiveAlert> {
        self.alerts.get(fingerprint)
    }

    /// One group, if it is not over.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The groups that are not over, by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(name, group)| (name.as_str(), group))
    }
}

/// What scopes have in common.
pub(crate) fn common_scope<'a>(mut scopes: impl Iterator<Item = &'a Scope>) -> Scope {
    fn keep<T: PartialEq>(mine: &mut Option<T>, other: Option<&T>) {
        if mine.as_ref() != other {
            *mine = None;
        }
    }
    let Some(first) = scopes.next() else {
        return Scope::platform();
    };
    scopes.fold(first.clone(), |mut common, scope| {
        keep(&mut common.tenant, scope.tenant.as_ref());
        keep(&mut common.region, scope.region.as_ref());
        keep(&mut common.zone, scope.zone.as_ref());
        keep(&mut common.cell, scope.cell.as_ref());
        keep(&mut common.service, scope.service.as_ref());
        common
    })
}

pub(crate) fn after(at: Timestamp, wait_ms: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_millis(wait_ms))
        .unwrap_or(Timestamp::MAX)
}

pub(crate) fn apply(state: &mut AlertState, event: &AlertEvent, meta: &Meta) {
    match event {
        AlertEvent::Started {
            alert,
            severity,
            placements,
        } => {
            for placement in placements {
                let group = state
                    .groups
                    .entry(placement.group.clone())
                    .or_insert_with(|| Group {
                        placement: placement.clone(),
                        firing: BTreeSet::new(),
                        told: BTreeMap::new(),
                        told_at: None,
                        flush_at: None,
                    });
                group.firing.insert(alert.fingerprint);
                let due = group.told_at.map_or_else(
                    || after(meta.at, placement.group_wait_ms),
                    |told| after(told, placement.group_interval_ms).max(meta.at),
                );
                // One that was told and comes back before anybody heard of its end is no news.
                if !group.told.contains_key(&alert.fingerprint) {
                    group.flush_at.get_or_insert(due);
                }
            }
            let groups = placements
                .iter()
                .map(|placement| placement.group.clone())
                .collect();
            let active = ActiveAlert {
                alert: alert.clone(),
                severity: *severity,
                groups,
                event: meta.id,
            };
            state.alerts.insert(alert.fingerprint, active);
        }
        AlertEvent::Ended { fingerprint, .. } => {
            let Some(ended) = state.alerts.remove(fingerprint) else {
                return;
            };
            for name in ended.groups {
                let Some(group) = state.groups.get_mut(&name) else {
                    continue;
                };
                group.firing.remove(fingerprint);
                if group.firing.is_empty() && group.told.is_empty() {
                    state.groups.remove(&name);
                } else if !group.told.contains_key(fingerprint)
                    && group.firing.iter().all(|id| group.told.contains_key(id))
                {
                    // It was the last news there was.
                    group.flush_at = None;
                }
            }
        }
        AlertEvent::Reminded { fact } => {
            // Whoever was told of an alert that is over since has not been told so yet: `told` stays as it is.
            if let Some(group) = state.groups.get_mut(&fact.group) {
                group.told_at = Some(meta.at);
            }
        }
        AlertEvent::Fired { fact } => {
            if let Some(group) = state.groups.get_mut(&fact.group) {
                group.told = fact
                    .firing
                    .iter()
                    .map(|alert| (alert.fingerprint, alert.clone()))
                    .collect();
                group.told_at = Some(meta.at);
                group.flush_at = None;
            }
        }
        AlertEvent::Resolved { fact } => {
            state.groups.remove(&fact.group);
        }
    }
}
