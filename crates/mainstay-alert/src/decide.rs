//! What follows from what sources see and from clocks that ring.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_catalog::response::{Route, Routing};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::{Digest, Scope, Severity};

use crate::event::{AlertEvent, Placement};
use crate::fold::{ActiveAlert, AlertState, Group, common_scope};
use crate::observation::Observation;

/// The most alerts that may fire at once; what is new beyond that is not taken, until others have ended.
pub const FIRING_MAX: usize = 50_000;
/// The most that the alerts of one group may weigh, in bytes: one event tells of all of them. What is new beyond that is
/// not taken, until others of the group have ended: nobody reads so much.
pub const GROUP_MAX_BYTES: usize = 384 << 10;

/// Why it says no: it never does. What is too much is left out, the rest is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AlertRefusal {}

/// About what an alert takes in an event, in bytes.
fn weight_bytes(alert: &AlertFact) -> usize {
    let labels = alert.labels.iter().chain(alert.annotations.iter());
    256 + labels
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum::<usize>()
}

fn group_name(path: &[usize], route: &Route, alert: &AlertFact) -> String {
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    format!(
        "{}@{}{}",
        route.receiver,
        path.join("."),
        route.group_by.of(&alert.labels)
    )
}

fn place(routing: &Routing, alert: &AlertFact) -> Vec<Placement> {
    let ms = |duration: jiff::SignedDuration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let routes = routing.route.matching(&alert.labels).into_iter();
    routes
        .map(|(path, route)| Placement {
            group: group_name(&path, route, alert),
            receiver: route.receiver.clone(),
            group_wait_ms: ms(route.group_wait),
            group_interval_ms: ms(route.group_interval),
            repeat_interval_ms: ms(route.repeat_interval),
        })
        .collect()
}

fn started(
    routing: &Routing,
    fingerprint: Digest,
    observation: Observation,
) -> (ActiveAlert, Vec<Placement>) {
    let alert = AlertFact {
        fingerprint,
        labels: observation.labels,
        annotations: observation.annotations,
        starts_at: mainstay_kernel::clock::truncate_to_ms(observation.starts_at),
    };
    let placements = place(routing, &alert);
    let groups = placements
        .iter()
        .map(|placement| placement.group.clone())
        .collect();
    let severity = Severity::from_labels(&alert.labels).unwrap_or(Severity::P2);
    (
        ActiveAlert {
            alert,
            severity,
            groups,
            event: mainstay_kernel::EventId::from_bytes([0; 16]),
        },
        placements,
    )
}

/// The alerts and groups as they will be once the events drafted so far have happened.
struct Draft<'a> {
    state: &'a AlertState,
    started: BTreeMap<Digest, ActiveAlert>,
    ended: BTreeSet<Digest>,
    placements: BTreeMap<String, Placement>,
    /// Which of the started alerts a group has: a storm may bring as many groups as alerts.
    joined: BTreeMap<String, BTreeSet<Digest>>,
    /// What the alerts of the groups that got new ones weigh, in bytes.
    weights: BTreeMap<String, usize>,
    /// How many alerts fire.
    firing: usize,
}

impl Draft<'_> {
    fn alert(&self, fingerprint: &Digest) -> Option<&ActiveAlert> {
        self.started.get(fingerprint).or_else(|| {
            self.state
                .alerts
                .get(fingerprint)
                .filter(|_| !self.ended.contains(fingerprint))
        })
    }

    /// Takes a new alert in if there is room for it, everywhere where it belongs.
    fn takes(&mut self, active: &ActiveAlert) -> bool {
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
        if self.firing >= FIRING_MAX || !fits {
            return false;
        }
        self.firing += 1;
        for group in &active.groups {
            *self.weights.entry(group.clone()).or_default() += weight;
        }
        true
    }

    fn members(&self, group: &str) -> Vec<&ActiveAlert> {
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
}

fn fired(group: &str, receiver: &str, members: &[&ActiveAlert]) -> AlertFired {
    let scopes: Vec<Scope> = members
        .iter()
        .map(|member| Scope::from_labels(&member.alert.labels))
        .collect();
    AlertFired {
        group: group.to_owned(),
        receiver: receiver.to_owned(),
        severity: members
            .iter()
            .map(|member| member.severity)
            .min()
            .unwrap_or(Severity::P3),
        scope: common_scope(scopes.iter()),
        firing: members.iter().map(|member| member.alert.clone()).collect(),
    }
}

fn resolved(name: &str, group: &Group) -> AlertEvent {
    let scopes: Vec<Scope> = group
        .told
        .values()
        .map(|alert| Scope::from_labels(&alert.labels))
        .collect();
    AlertEvent::Resolved {
        fact: AlertResolved {
            group: name.to_owned(),
            receiver: group.placement.receiver.clone(),
            scope: common_scope(scopes.iter()),
            resolved: group.told.values().cloned().collect(),
        },
    }
}

pub(crate) fn observe(
    state: &AlertState,
    routing: &Routing,
    observations: Vec<Observation>,
    now: Timestamp,
) -> Result<Vec<AlertEvent>, AlertRefusal> {
    let mut draft = Draft {
        state,
        started: BTreeMap::new(),
        ended: BTreeSet::new(),
        placements: BTreeMap::new(),
        joined: BTreeMap::new(),
        weights: BTreeMap::new(),
        firing: state.alerts.len(),
    };
    let mut events = Vec::new();
    let mut touched = BTreeSet::new();
    for observation in observations {
        let fingerprint = observation.labels.fingerprint();
        match (
            observation.ended_at.filter(|end| *end <= now),
            draft.alert(&fingerprint).is_some(),
        ) {
            (None, false) => {
                let (active, placements) = started(routing, fingerprint, observation);
                if !draft.takes(&active) {
                    continue;
                }
                touched.extend(active.groups.iter().cloned());
                for group in &active.groups {
                    draft.joined.entry(group.clone()).or_default().insert(fingerprint);
                }
                draft.placements.extend(
                    placements
                        .iter()
                        .map(|placement| (placement.group.clone(), placement.clone())),
                );
                events.push(AlertEvent::Started {
                    alert: active.alert.clone(),
                    severity: active.severity,
                    placements,
                });
                draft.ended.remove(&fingerprint);
                draft.started.insert(fingerprint, active);
            }
            (Some(end), true) => {
                let groups = draft
                    .alert(&fingerprint)
                    .map(|alert| alert.groups.clone())
                    .unwrap_or_default();
                touched.extend(groups);
                draft.started.remove(&fingerprint);
                draft.ended.insert(fingerprint);
                draft.firing = draft.firing.saturating_sub(1);
                draft.weights.clear();
                let scope = Scope::from_labels(&observation.labels);
                let ended_at = mainstay_kernel::clock::truncate_to_ms(end);
                events.push(AlertEvent::Ended {
                    fingerprint,
                    scope,
                    ended_at,
                });
            }
            _ => {}
        }
    }
    for name in touched {
        events.extend(news_at_once(&draft, &name));
    }
    Ok(events)
}

/// What a group says without waiting: a new P0, a route that does not wait, or that all is over.
fn news_at_once(draft: &Draft<'_>, name: &str) -> Option<AlertEvent> {
    let group = draft.state.groups.get(name);
    let members = draft.members(name);
    if members.is_empty() {
        return group
            .filter(|group| !group.told.is_empty())
            .map(|group| resolved(name, group));
    }
    let placement = group
        .map(|group| &group.placement)
        .or_else(|| draft.placements.get(name))?;
    let told =
        |alert: &&&ActiveAlert| group.is_some_and(|group| group.told.contains_key(&alert.alert.fingerprint));
    let news: Vec<&&ActiveAlert> = members.iter().filter(|alert| !told(alert)).collect();
    let no_wait = group.is_none_or(|group| group.told.is_empty()) && placement.group_wait_ms == 0;
    let at_once = news.iter().any(|alert| alert.severity == Severity::P0) || (no_wait && !news.is_empty());
    at_once.then(|| AlertEvent::Fired {
        fact: fired(name, &placement.receiver, &members),
    })
}

fn members_now<'a>(state: &'a AlertState, group: &Group) -> Vec<&'a ActiveAlert> {
    group
        .firing
        .iter()
        .filter_map(|id| state.alerts.get(id))
        .collect()
}

pub(crate) fn flush(state: &AlertState, name: &str) -> Vec<AlertEvent> {
    let Some(group) = state.groups.get(name) else {
        return Vec::new();
    };
    let members = members_now(state, group);
    let unchanged = members
        .iter()
        .all(|member| group.told.contains_key(&member.alert.fingerprint));
    if unchanged {
        return Vec::new();
    }
    vec![AlertEvent::Fired {
        fact: fired(name, &group.placement.receiver, &members),
    }]
}

pub(crate) fn remind(state: &AlertState, name: &str) -> Vec<AlertEvent> {
    let Some(group) = state.groups.get(name).filter(|group| !group.told.is_empty()) else {
        return Vec::new();
    };
    // News that came while a late reminder was due must not pass as a mere reminder: nobody acts on those.
    let news = flush(state, name);
    if !news.is_empty() {
        return news;
    }
    vec![AlertEvent::Reminded {
        fact: fired(name, &group.placement.receiver, &members_now(state, group)),
    }]
}
