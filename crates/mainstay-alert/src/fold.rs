//! What fires now, and what was told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::machine::Meta;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Digest, EventId, Scope, Severity};
use serde::{Deserialize, Serialize};

use crate::draft::HeldBy;
use crate::event::{AlertEvent, Placement};
use crate::firing::Firing;
use crate::flap::{Flap, Flaps};
use crate::shadow::{Cut, cut};
use crate::silence::{KEPT, Silence, SilenceId};

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// The alert.
    pub alert: AlertFact,
    /// How bad it is.
    pub severity: Severity,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// For how long it is believed if it is not told again, in milliseconds; `None`: until its end is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed_for_ms: Option<i64>,
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
    /// Those of them that ended since, and when.
    #[serde(default)]
    pub ended: BTreeMap<Digest, Timestamp>,
    /// When it was last told.
    pub told_at: Option<Timestamp>,
    /// When what is new in it, or over, will be told.
    pub flush_at: Option<Timestamp>,
    /// Its alerts that fire and are not told, and why.
    #[serde(default)]
    pub held: BTreeMap<Digest, HeldBy>,
    /// Whether what it was last told was only recorded.
    #[serde(default)]
    pub shadow: bool,
    /// Whether anything it was told since it was last over left.
    #[serde(default)]
    pub heard: bool,
}

impl Group {
    /// When news may be told, where it was told before.
    pub(crate) fn due(&self, now: Timestamp) -> Timestamp {
        let interval_ms = self.placement.group_interval_ms;
        self.told_at.map_or(now, |told| after(told, interval_ms).max(now))
    }

    /// It is told, or would be were it not in shadow.
    fn tell(&mut self, shadow: bool) {
        // What was told before that was noted left unless it is said to have been in shadow.
        let left_before = self.told_at.is_some() && !self.shadow;
        self.heard |= left_before || !shadow;
        self.shadow = shadow;
    }

    /// Whether somebody heard of it.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard || !self.shadow
    }

    /// Whether an alert of it was not told yet and may be.
    pub(crate) fn is_news(&self, fingerprint: &Digest) -> bool {
        !self.told.contains_key(fingerprint) && !self.held.contains_key(fingerprint)
    }

    /// Whether there is anything to be told at the next flush.
    fn has_news(&self) -> bool {
        !self.ended.is_empty() || self.firing.iter().any(|id| self.is_news(id))
    }
}

/// All alerts that fire and all groups that are not over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    pub(crate) alerts: Firing,
    pub(crate) groups: BTreeMap<String, Group>,
    #[serde(default)]
    pub(crate) silences: BTreeMap<SilenceId, Silence>,
    #[serde(default, skip_serializing_if = "Flaps::is_empty")]
    pub(crate) flaps: Flaps,
    /// What somebody cut over, or back, in the order in which it was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cut: Vec<Cut>,
}

impl AlertState {
    /// The alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.alerts.values()
    }

    /// What the alerts that fire weigh, in bytes, of [`crate::FIRING_MAX_BYTES`]. Cost: none, it is known.
    #[must_use]
    pub fn firing_bytes(&self) -> usize {
        self.alerts.weight_bytes()
    }

    /// One alert, if it fires.
    #[must_use]
    pub fn alert(&self, fingerprint: &Digest) -> Option<&ActiveAlert> {
        self.alerts.get(fingerprint)
    }

    /// How often an alert began in a group, where it was told that it flaps.
    #[must_use]
    pub fn flapping(&self, group: &str, alert: &Digest) -> Option<&Flap> {
        self.flaps.flapping(group, alert)
    }

    /// The silences, those that are over lately among them.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    /// What was cut over or back, in the order in which it was said: the last that is said of a route counts.
    #[must_use]
    pub fn cut(&self) -> &[Cut] {
        &self.cut
    }

    /// One silence.
    #[must_use]
    pub fn silence(&self, id: &SilenceId) -> Option<&Silence> {
        self.silences.get(id)
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

/// When a silence is forgotten.
pub(crate) fn after_kept(silence: &Silence) -> Timestamp {
    silence.ends_at.saturating_add(KEPT).unwrap_or(Timestamp::MAX)
}

pub(crate) fn apply(state: &mut AlertState, event: &AlertEvent, meta: &Meta) {
    match event {
        AlertEvent::Started {
            alert,
            severity,
            placements,
            believed_for_ms,
        } => {
            for placement in placements {
                if let Some(limit) = placement.flap_limit {
                    let flaps = &mut state.flaps;
                    flaps.start(&placement.group, alert.fingerprint, limit, meta.at);
                }
                let group = state
                    .groups
                    .entry(placement.group.clone())
                    .or_insert_with(|| Group {
                        placement: placement.clone(),
                        firing: BTreeSet::new(),
                        told: BTreeMap::new(),
                        ended: BTreeMap::new(),
                        told_at: None,
                        flush_at: None,
                        held: BTreeMap::new(),
                        shadow: false,
                        heard: false,
                    });
                group.firing.insert(alert.fingerprint);
                let due = group.told_at.map_or_else(
                    || after(meta.at, placement.group_wait_ms),
                    |told| after(told, placement.group_interval_ms).max(meta.at),
                );
                // One that was told and comes back before anybody heard of its end is no news.
                if !group.told.contains_key(&alert.fingerprint) {
                    group.flush_at.get_or_insert(due);
                } else if group.ended.remove(&alert.fingerprint).is_some() && !group.has_news() {
                    group.flush_at = None;
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
                believed_for_ms: *believed_for_ms,
                event: meta.id,
            };
            state.alerts.insert(active);
        }
        AlertEvent::Ended {
            fingerprint,
            ended_at,
            ..
        } => {
            let Some(ended) = state.alerts.remove(fingerprint) else {
                return;
            };
            for name in ended.groups {
                let Some(group) = state.groups.get_mut(&name) else {
                    continue;
                };
                group.firing.remove(fingerprint);
                group.held.remove(fingerprint);
                state.flaps.end(&name, fingerprint, meta.at);
                let was_told = group.told.contains_key(fingerprint);
                if was_told && state.flaps.flapping(&name, fingerprint).is_some() {
                    // Nobody hears of it before it is stable.
                } else if was_told {
                    group.ended.insert(*fingerprint, *ended_at);
                    let due = group.due(meta.at);
                    group.flush_at.get_or_insert(due);
                } else if group.firing.is_empty() && group.told.is_empty() {
                    state.groups.remove(&name);
                } else if !group.has_news() {
                    // It was the last news there was.
                    group.flush_at = None;
                }
            }
        }
        AlertEvent::Reminded { fact } => {
            // Whoever was told of an alert that is over since has not been told so yet: `told` stays as it is.
            if let Some(group) = state.groups.get_mut(&fact.group) {
                group.tell(fact.shadow);
                group.told_at = Some(meta.at);
                group.held.retain(|id, _| !group.told.contains_key(id));
            }
        }
        AlertEvent::Fired { fact } | AlertEvent::Eased { fact } | AlertEvent::Flapping { fact, .. } => {
            if let AlertEvent::Flapping { flapping, .. } = event {
                flapping
                    .iter()
                    .for_each(|one| state.flaps.tell(&fact.group, &one.fingerprint));
            }
            if let Some(group) = state.groups.get_mut(&fact.group) {
                // Of what flaps nobody hears that it is over.
                let flaps = |id: &Digest| state.flaps.flapping(&fact.group, id).is_some();
                group.told.retain(|id, _| flaps(id));
                let firing = fact.firing.iter();
                let firing = firing.map(|alert| (alert.fingerprint, alert.clone()));
                group.told.extend(firing);
                group.ended.clear();
                group.tell(fact.shadow);
                group.told_at = Some(meta.at);
                group.flush_at = None;
                group.held.retain(|id, _| !group.told.contains_key(id));
            }
        }
        AlertEvent::Held { group, held, .. } => {
            if let Some(group) = state.groups.get_mut(group) {
                let held = held.iter().map(|one| (one.fingerprint, one.by.clone()));
                let before = std::mem::replace(&mut group.held, held.collect());
                let released = |id: &Digest| matches!(before.get(id), Some(HeldBy::Inhibited { .. }));
                let news: Vec<&Digest> = group.firing.iter().filter(|id| group.is_news(id)).collect();
                // What an alert inhibited ends soon after it, most of the time.
                let wait_ms = match news.iter().any(|id| released(id)) {
                    true => group.placement.group_interval_ms,
                    false => 0,
                };
                let due = group.due(meta.at).max(after(meta.at, wait_ms));
                let due = (!news.is_empty()).then_some(due);
                let eased = (!group.ended.is_empty()).then(|| group.due(meta.at));
                group.flush_at = due.into_iter().chain(eased).min();
            }
        }
        AlertEvent::Settled {
            group: name, alerts, ..
        } => {
            if let Some(group) = state.groups.get_mut(name) {
                for id in alerts {
                    let ended = state.flaps.flapping(name, id).map(Flap::changed_at);
                    if group.told.contains_key(id) && !group.firing.contains(id) {
                        group.ended.insert(*id, ended.unwrap_or(meta.at));
                    }
                }
                if group.has_news() {
                    let due = group.due(meta.at);
                    group.flush_at.get_or_insert(due);
                }
            }
            state.flaps.settle(name, alerts);
        }
        AlertEvent::CutOver { of, live } => cut(&mut state.cut, of, *live),
        AlertEvent::ToldElsewhere { .. } => {}
        AlertEvent::Silenced { silence } => {
            let is_kept = |silence: &Silence| after_kept(silence) > meta.at;
            state.silences.retain(|_, silence| is_kept(silence));
            state.silences.insert(silence.id.clone(), silence.clone());
        }
        AlertEvent::Unsilenced { silence, ended_at } => {
            if let Some(silence) = state.silences.get_mut(silence) {
                silence.ends_at = *ended_at;
                silence.starts_at = silence.starts_at.min(*ended_at);
                silence.updated_at = *ended_at;
            }
        }
        AlertEvent::Resolved { fact } => {
            if let Some(group) = state.groups.get_mut(&fact.group) {
                group.told.clear();
                group.ended.clear();
                group.told_at = None;
                group.heard = false;
                if !group.has_news() {
                    group.flush_at = None;
                }
                // What is held back still fires.
                if group.firing.is_empty() {
                    state.groups.remove(&fact.group);
                }
            }
        }
    }
}
