//! The alerts and groups as they will be once the events drafted so far have happened, and what keeps an alert from being
//! told then.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_catalog::response::{InhibitRule, Routing};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Digest, Labels};
use serde::{Deserialize, Serialize};

use crate::decide::{FIRING_MAX, GROUP_MAX_BYTES};
use crate::event::{AlertEvent, HeldAlert, Placement};
use crate::firing::{FIRING_MAX_BYTES, kept_bytes};
use crate::flap::Flap;
use crate::fold::{ActiveAlert, AlertState};
use crate::silence::{Silence, SilenceId};

/// Why an alert is not told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum HeldBy {
    /// Another alert fires, which says the same and more.
    Inhibited {
        /// That alert.
        by: Digest,
    },
    /// Its route tells nobody in this time interval.
    Muted {
        /// The interval's name.
        interval: String,
    },
    /// Its route tells somebody in certain time intervals only, and none of them is now.
    Inactive,
    /// It begins too often: that it is over is told when it is stable.
    Flapping {
        /// So often it began.
        starts: u32,
        /// In so long, in milliseconds.
        within_ms: i64,
    },
    /// A silence.
    Silenced {
        /// The silence.
        by: SilenceId,
    },
}

impl HeldBy {
    pub(crate) fn flapping(flap: &Flap) -> Self {
        Self::Flapping {
            starts: flap.starts(),
            within_ms: flap.limit().within_ms,
        }
    }
}

/// About what an alert takes in an event, in bytes.
pub(crate) fn weight_bytes(alert: &AlertFact) -> usize {
    let labels = alert.labels.iter().chain(alert.annotations.iter());
    256 + labels
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum::<usize>()
}

/// See the module's words.
pub(crate) struct Draft<'a> {
    pub(crate) state: &'a AlertState,
    pub(crate) routing: &'a Routing,
    pub(crate) now: Timestamp,
    silences: Cow<'a, BTreeMap<SilenceId, Silence>>,
    started: BTreeMap<Digest, ActiveAlert>,
    ended: BTreeMap<Digest, Timestamp>,
    placements: BTreeMap<String, Placement>,
    /// Which of the started alerts a group has: a storm may bring as many groups as alerts.
    joined: BTreeMap<String, BTreeSet<Digest>>,
    /// What the alerts of the groups that got new ones weigh, in bytes.
    weights: BTreeMap<String, usize>,
    /// Those that begin too often, with this beginning.
    flapping: BTreeMap<String, BTreeMap<Digest, Flap>>,
    /// Those that are stable again.
    settled: Vec<Digest>,
    /// How many alerts fire.
    firing: usize,
    /// What they weigh in the state, in bytes.
    firing_bytes: usize,
    /// What inhibits, found out when it is asked.
    sources: OnceCell<Vec<Sources>>,
}

/// The alerts that are sources of a rule, by the values that must be the same, and whether each is a target of it too.
type Sources = BTreeMap<Vec<String>, Vec<(Digest, bool)>>;

impl<'a> Draft<'a> {
    pub(crate) fn new(state: &'a AlertState, routing: &'a Routing, now: Timestamp) -> Self {
        Self {
            state,
            routing,
            now,
            silences: Cow::Borrowed(&state.silences),
            started: BTreeMap::new(),
            ended: BTreeMap::new(),
            placements: BTreeMap::new(),
            joined: BTreeMap::new(),
            weights: BTreeMap::new(),
            flapping: BTreeMap::new(),
            settled: Vec::new(),
            firing: state.alerts.len(),
            firing_bytes: state.alerts.weight_bytes(),
            sources: OnceCell::new(),
        }
    }

    /// An alert, if it fires.
    pub(crate) fn alert(&self, fingerprint: &Digest) -> Option<&ActiveAlert> {
        self.started.get(fingerprint).or_else(|| {
            self.state
                .alerts
                .get(fingerprint)
                .filter(|_| !self.ended.contains_key(fingerprint))
        })
    }

    /// Every alert that fires.
    fn alerts(&self) -> impl Iterator<Item = &ActiveAlert> {
        let before = self.state.alerts.iter();
        let kept = before.filter(|(id, _)| !self.ended.contains_key(*id) && !self.started.contains_key(*id));
        kept.map(|(_, alert)| alert).chain(self.started.values())
    }

    pub(crate) fn placement(&self, group: &str) -> Option<&Placement> {
        let known = self.state.groups.get(group).map(|group| &group.placement);
        known.or_else(|| self.placements.get(group))
    }

    /// Takes a new alert in if there is room for it, everywhere where it belongs.
    pub(crate) fn start(&mut self, active: &ActiveAlert, placements: &[Placement]) -> bool {
        let weight = weight_bytes(&active.alert);
        for group in &active.groups {
            if !self.weights.contains_key(group) {
                let members = self.members(group);
                let sum = members.iter().map(|member| weight_bytes(&member.alert)).sum();
                self.weights.insert(group.clone(), sum);
            }
        }
        let fits = active.groups.iter().all(|group| {
            self.weights
                .get(group)
                .is_none_or(|sum| sum + weight <= GROUP_MAX_BYTES)
        });
        let firing_bytes = self.firing_bytes + kept_bytes(active);
        if self.firing >= FIRING_MAX || firing_bytes > FIRING_MAX_BYTES || !fits {
            return false;
        }
        self.firing += 1;
        self.firing_bytes = firing_bytes;
        self.sources.take();
        let fingerprint = active.alert.fingerprint;
        for placement in placements {
            *self.weights.entry(placement.group.clone()).or_default() += weight;
            let joined = self.joined.entry(placement.group.clone()).or_default();
            joined.insert(fingerprint);
            let flaps = &self.state.flaps;
            let would_flap = |limit| flaps.would_flap(&placement.group, &fingerprint, limit, self.now);
            if let Some(flap) = placement.flap_limit.and_then(would_flap) {
                let flapping = self.flapping.entry(placement.group.clone()).or_default();
                flapping.insert(fingerprint, flap);
            }
            self.placements.insert(placement.group.clone(), placement.clone());
        }
        self.ended.remove(&fingerprint);
        self.started.insert(fingerprint, active.clone());
        true
    }

    pub(crate) fn end(&mut self, fingerprint: Digest, ended_at: Timestamp) {
        let gone_bytes = self.alert(&fingerprint).map_or(0, kept_bytes);
        self.firing_bytes = self.firing_bytes.saturating_sub(gone_bytes);
        self.started.remove(&fingerprint);
        self.ended.insert(fingerprint, ended_at);
        self.firing = self.firing.saturating_sub(1);
        self.sources.take();
        self.weights.clear();
    }

    /// Takes what was decided about silences.
    pub(crate) fn silence(&mut self, event: &AlertEvent) {
        match event {
            AlertEvent::Silenced { silence } => {
                self.silences.to_mut().insert(silence.id.clone(), silence.clone());
            }
            AlertEvent::Unsilenced { silence, ended_at } => {
                if let Some(silence) = self.silences.to_mut().get_mut(silence) {
                    silence.ends_at = *ended_at;
                }
            }
            _ => {}
        }
    }

    /// The alerts of a group that fire.
    pub(crate) fn members(&self, group: &str) -> Vec<&ActiveAlert> {
        let before = self
            .state
            .groups
            .get(group)
            .into_iter()
            .flat_map(|group| &group.firing);
        let new = self.joined.get(group).into_iter().flatten();
        let ids: BTreeSet<&Digest> = before.chain(new).collect();
        // An alert that ended and began again may have been routed elsewhere this time.
        let here = |alert: &&ActiveAlert| alert.groups.iter().any(|name| name == group);
        ids.into_iter()
            .filter_map(|id| self.alert(id))
            .filter(here)
            .collect()
    }

    /// Whether the end of an alert is kept back in a group.
    fn is_flapping(&self, group: &str, alert: &Digest) -> bool {
        self.state.flaps.flapping(group, alert).is_some() && !self.settled.contains(alert)
    }

    /// Whether that of any alert that is over is kept back in a group.
    pub(crate) fn keeps_an_end_back(&self, name: &str) -> bool {
        let group = self.state.groups.get(name);
        let told = group.into_iter().flat_map(|group| group.told.keys());
        let members = self.members(name);
        let fires = |id: &Digest| members.iter().any(|member| member.alert.fingerprint == *id);
        let mut flapping = told.filter(|id| self.is_flapping(name, id));
        flapping.any(|id| !fires(id))
    }

    /// The alerts of a group that begin too often, of which nobody was told yet.
    pub(crate) fn newly_flapping(&self, name: &str) -> Vec<HeldAlert> {
        let flapping = self.flapping.get(name).into_iter().flatten();
        let held = |(id, flap): (&Digest, &Flap)| HeldAlert {
            fingerprint: *id,
            by: HeldBy::flapping(flap),
        };
        flapping.map(held).collect()
    }

    pub(crate) fn settle(&mut self, alerts: &[Digest]) {
        self.settled.extend_from_slice(alerts);
    }

    /// The alerts that a group was told of and that are over in it, each with its end.
    pub(crate) fn over(&self, name: &str) -> Vec<AlertFact> {
        let Some(group) = self.state.groups.get(name) else {
            return Vec::new();
        };
        let firing: BTreeSet<Digest> = self
            .members(name)
            .iter()
            .map(|member| member.alert.fingerprint)
            .collect();
        let over = group.told.values().filter(|alert| {
            !firing.contains(&alert.fingerprint) && !self.is_flapping(name, &alert.fingerprint)
        });
        over.map(|alert| {
            let id = &alert.fingerprint;
            let known = self.ended.get(id).or_else(|| group.ended.get(id)).copied();
            let flapped = || Some(self.state.flaps.flapping(name, id)?.changed_at());
            AlertFact {
                ended_at: Some(known.or_else(flapped).unwrap_or(self.now)),
                ..alert.clone()
            }
        })
        .collect()
    }

    /// What keeps an alert from being told in a group, the first reason in Alertmanager's order.
    pub(crate) fn held_by(&self, labels: &Labels, placement: &Placement) -> Option<HeldBy> {
        let inhibited = || {
            self.inhibited_by(labels)
                .next()
                .map(|by| HeldBy::Inhibited { by })
        };
        let by_time = || self.muted_by(placement);
        let silenced = || {
            let silence = self.silenced_by(labels).next()?;
            Some(HeldBy::Silenced {
                by: silence.id.clone(),
            })
        };
        inhibited().or_else(by_time).or_else(silenced)
    }

    /// The alerts that fire and inhibit one with these labels. Cost: the rules; for the first that is a target of any, all
    /// alerts.
    pub(crate) fn inhibited_by(&self, labels: &Labels) -> impl Iterator<Item = Digest> {
        let rules = self.routing.inhibit_rules.iter().enumerate();
        rules
            .filter(|(_, rule)| rule.has_target(labels))
            .flat_map(|(index, rule)| {
                let sources = &self.sources.get_or_init(|| self.find_sources())[index];
                let is_source = rule.has_source(labels);
                let same = sources.get(&rule.key(labels)).into_iter().flatten();
                same.filter(move |(_, is_target)| !(is_source && *is_target))
                    .map(|(fingerprint, _)| *fingerprint)
            })
    }

    fn find_sources(&self) -> Vec<Sources> {
        let of = |rule: &InhibitRule| {
            let mut sources = Sources::new();
            for source in self.alerts().map(|active| &active.alert) {
                if rule.has_source(&source.labels) {
                    let is_target = rule.has_target(&source.labels);
                    let same = sources.entry(rule.key(&source.labels)).or_default();
                    same.push((source.fingerprint, is_target));
                }
            }
            sources
        };
        self.routing.inhibit_rules.iter().map(of).collect()
    }

    /// The silences in force that match an alert with these labels.
    pub(crate) fn silenced_by(&self, labels: &Labels) -> impl Iterator<Item = &Silence> {
        let silences = self.silences.values();
        silences.filter(|silence| silence.silences(labels, self.now))
    }

    /// Why a route tells nobody now.
    pub(crate) fn muted_by(&self, placement: &Placement) -> Option<HeldBy> {
        let is_now = |name: &&String| self.routing.is_in(name, self.now);
        let active = &placement.active_time_intervals;
        if !active.is_empty() && !active.iter().any(|name| is_now(&name)) {
            return Some(HeldBy::Inactive);
        }
        let muted = placement.mute_time_intervals.iter().find(is_now)?;
        Some(HeldBy::Muted {
            interval: muted.clone(),
        })
    }
}
