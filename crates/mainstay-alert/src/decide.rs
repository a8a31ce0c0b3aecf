//! What follows from what sources see and from clocks that ring.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_catalog::response::{RouteNameError, Routing, is_beat};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::{Digest, Scope, Severity};

use crate::draft::{Draft, HeldBy, weight_bytes};
use crate::event::{AlertEvent, HeldAlert, Placement};
use crate::fold::{ActiveAlert, AlertState, Group, common_scope};
use crate::observation::Observation;
use crate::placement::place;
use crate::review::review_groups;
use crate::shadow::{self, CUTS_MAX};
use crate::silence::SilenceId;

/// The most alerts that may fire at once; what is new beyond that is not taken, until others have ended.
pub const FIRING_MAX: usize = 50_000;
/// The most that the alerts of one group may weigh, in bytes: one event tells of all of them. What is new beyond that is
/// not taken, until others of the group have ended: nobody reads so much.
pub const GROUP_MAX_BYTES: usize = 384 << 10;

/// Why it says no. Of alerts it never does: what is too much is left out, the rest is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertRefusal {
    /// The silence makes no sense.
    #[error("{0}")]
    BadSilence(String),
    /// There is no such silence.
    #[error("there is no silence {0}")]
    UnknownSilence(SilenceId),
    /// It ended before.
    #[error("silence {0} is over")]
    SilenceIsOver(SilenceId),
    /// No route tells it.
    #[error("no route tells a receiver {0:?}")]
    UnknownReceiver(String),
    /// It is no route.
    #[error(transparent)]
    UnknownRoute(#[from] RouteNameError),
    /// Too many are kept.
    #[error("{CUTS_MAX} routes and receivers were cut over or back: say it of a route above them")]
    TooManyCuts,
    /// Too many are kept.
    #[error("there are 10,000 silences: wait until some have been over for 5 days")]
    TooManySilences,
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
        ended_at: None,
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
            believed_for_ms: observation.believed_for_ms,
            event: mainstay_kernel::EventId::from_bytes([0; 16]),
        },
        placements,
    )
}

fn fired(draft: &Draft<'_>, group: &str, placement: &Placement, members: &[&ActiveAlert]) -> AlertFired {
    let scopes: Vec<Scope> = members
        .iter()
        .map(|member| Scope::from_labels(&member.alert.labels))
        .collect();
    // Whether pages arrive is asked of the way that the most urgent ones take.
    let is_beat = members.iter().all(|member| is_beat(&member.alert.labels));
    let severities = members.iter().map(|member| member.severity);
    AlertFired {
        group: group.to_owned(),
        receiver: placement.receiver.clone(),
        severity: match is_beat && !members.is_empty() {
            true => Severity::P0,
            false => severities.min().unwrap_or(Severity::P3),
        },
        scope: common_scope(scopes.iter()),
        firing: members.iter().map(|member| member.alert.clone()).collect(),
        resolved: within(draft.over(group)),
        key: placement.key.clone(),
        shadow: shadow::is_shadow(draft, group, members.first().map(|member| &member.alert.labels)),
    }
}

/// Of what is over in a group that still fires, as much as an event has room for.
fn within(mut over: Vec<AlertFact>) -> Vec<AlertFact> {
    let mut taken_bytes = 0;
    let kept = over.iter().take_while(|alert| {
        taken_bytes += weight_bytes(alert);
        taken_bytes <= GROUP_MAX_BYTES / 2
    });
    let kept = kept.count();
    over.truncate(kept);
    over
}

fn resolved(draft: &Draft<'_>, name: &str, group: &Group) -> AlertEvent {
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
            resolved: draft.over(name),
            key: group.placement.key.clone(),
            // Whoever heard of the beginning hears of the end.
            shadow: !group.was_heard(),
        },
    }
}

pub(crate) fn observe(
    state: &AlertState,
    routing: &Routing,
    observations: Vec<Observation>,
    now: Timestamp,
) -> Result<Vec<AlertEvent>, AlertRefusal> {
    let mut draft = Draft::new(state, routing, now);
    let mut events = Vec::new();
    let (mut touched, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for observation in observations {
        let fingerprint = observation.labels.fingerprint();
        match (
            // What is over stays so, even if the clock was set back since.
            observation.ended_at.map(|end| end.min(now)),
            draft.alert(&fingerprint).is_some(),
        ) {
            (None, false) => {
                let (active, placements) = started(routing, fingerprint, observation);
                if !draft.start(&active, &placements) {
                    continue;
                }
                touched.extend(active.groups);
                events.push(AlertEvent::Started {
                    alert: active.alert,
                    severity: active.severity,
                    placements,
                    believed_for_ms: active.believed_for_ms,
                });
                ended.remove(&fingerprint);
            }
            (Some(end), true) => {
                let groups = draft.alert(&fingerprint).map(|alert| alert.groups.clone());
                let groups = groups.unwrap_or_default();
                touched.extend(groups.iter().cloned());
                let ended_at = mainstay_kernel::clock::truncate_to_ms(end);
                draft.end(fingerprint, ended_at);
                ended.insert(fingerprint);
                let scope = Scope::from_labels(&observation.labels);
                events.push(AlertEvent::Ended {
                    fingerprint,
                    scope,
                    ended_at,
                    groups,
                    releases_more: false,
                });
            }
            _ => {}
        }
    }
    let waited = |group: &Group| {
        let mut held = group.held.values();
        held.any(|held| matches!(held, HeldBy::Inhibited { by } if ended.contains(by)))
    };
    let mut released: BTreeSet<&str> = match ended.is_empty() {
        true => BTreeSet::new(),
        false => state
            .groups()
            .filter(|(_, group)| waited(group))
            .map(|(name, _)| name)
            .collect(),
    };
    for name in &touched {
        let news = news_at_once(&draft, name);
        if news.iter().any(|event| matches!(event, AlertEvent::Fired { .. })) {
            released.remove(name.as_str());
        }
        events.extend(news);
    }
    let (news, is_all) = review_groups(&draft, released.into_iter(), false);
    let mut said = events.iter_mut().rev();
    if !is_all
        && let Some(AlertEvent::Ended { releases_more, .. }) =
            said.find(|event| matches!(event, AlertEvent::Ended { .. }))
    {
        *releases_more = true;
    }
    events.extend(news);
    Ok(events)
}

/// The alerts of a group: those to be named when it is told, and those held back.
pub(crate) struct Sorted<'a> {
    named: Vec<&'a ActiveAlert>,
    /// Whether any of them was not told yet.
    pub(crate) has_news: bool,
    pub(crate) held: Vec<HeldAlert>,
}

impl<'a> Sorted<'a> {
    pub(crate) fn of(draft: &'a Draft<'_>, name: &str) -> Self {
        let mut sorted = Self {
            named: Vec::new(),
            has_news: false,
            held: Vec::new(),
        };
        let Some(placement) = draft.placement(name) else {
            return sorted;
        };
        let told = draft.state.groups.get(name).map(|group| &group.told);
        for member in draft.members(name) {
            let fingerprint = member.alert.fingerprint;
            let was_told = told.is_some_and(|told| told.contains_key(&fingerprint));
            let by = draft.held_by(&member.alert.labels, placement);
            if let Some(by) = by {
                sorted.held.push(HeldAlert { fingerprint, by });
                if !was_told {
                    continue;
                }
            }
            sorted.has_news |= !was_told;
            sorted.named.push(member);
        }
        sorted
    }

    /// Whether all that would be named is held back.
    pub(crate) fn is_quiet(&self) -> bool {
        self.named.iter().all(|member| self.holds(member))
    }

    fn holds(&self, member: &ActiveAlert) -> bool {
        let mut held = self.held.iter();
        held.any(|held| held.fingerprint == member.alert.fingerprint)
    }

    /// What says that these are held back, where that is not known.
    pub(crate) fn held_event(self, draft: &Draft<'_>, name: &str, even_if_known: bool) -> Option<AlertEvent> {
        let known = draft.state.groups.get(name).map(|group| &group.held);
        let is_known = match known {
            Some(known) => {
                known.len() == self.held.len()
                    && self
                        .held
                        .iter()
                        .all(|one| known.get(&one.fingerprint) == Some(&one.by))
            }
            None => self.held.is_empty(),
        };
        let members = draft.members(name);
        let scopes: Vec<Scope> = members
            .iter()
            .map(|member| Scope::from_labels(&member.alert.labels))
            .collect();
        (even_if_known || !is_known).then(|| AlertEvent::Held {
            group: name.to_owned(),
            scope: common_scope(scopes.iter()),
            held: self.held,
        })
    }

    /// The group is told, and what is held back is noted.
    pub(crate) fn tell(self, draft: &Draft<'_>, name: &str, placement: &Placement) -> Vec<AlertEvent> {
        self.tell_with(draft, name, placement, Vec::new())
    }

    /// The same, with alerts that begin too often.
    fn tell_with(
        mut self,
        draft: &Draft<'_>,
        name: &str,
        placement: &Placement,
        flapping: Vec<HeldAlert>,
    ) -> Vec<AlertEvent> {
        let fact = fired(draft, name, placement, &self.named);
        let has_news = self.has_news;
        // What is named is told; the rest waits.
        let named: BTreeSet<Digest> = fact.firing.iter().map(|alert| alert.fingerprint).collect();
        self.held.retain(|held| !named.contains(&held.fingerprint));
        let rest = (!self.held.is_empty())
            .then(|| self.held_event(draft, name, true))
            .flatten();
        let told = match (has_news, fact.resolved.is_empty()) {
            _ if !flapping.is_empty() => AlertEvent::Flapping { fact, flapping },
            (true, _) => AlertEvent::Fired { fact },
            (false, false) => AlertEvent::Eased { fact },
            (false, true) => AlertEvent::Reminded { fact },
        };
        [told].into_iter().chain(rest).collect()
    }
}

/// Of what is held back nobody heard: it keeps nobody from hearing that the rest is over.
fn is_unheard(group: Option<&Group>, member: &ActiveAlert) -> bool {
    let id = &member.alert.fingerprint;
    group.is_some_and(|group| group.held.contains_key(id) && !group.told.contains_key(id))
}

/// What flapped in a group is stable: that it is over is told, and that it fires after all.
pub(crate) fn settle(mut draft: Draft<'_>, name: &str) -> Vec<AlertEvent> {
    let alerts = draft.state.flaps.stable(name, draft.now);
    if alerts.is_empty() {
        return Vec::new();
    }
    draft.settle(&alerts);
    let members = draft.members(name);
    let scopes: Vec<Scope> = members
        .iter()
        .map(|member| Scope::from_labels(&member.alert.labels))
        .collect();
    let fires = members
        .iter()
        .any(|member| alerts.contains(&member.alert.fingerprint));
    let mut events = vec![AlertEvent::Settled {
        group: name.to_owned(),
        scope: common_scope(scopes.iter()),
        alerts,
    }];
    let Some(group) = draft.state.groups.get(name) else {
        return events;
    };
    if members.iter().all(|member| is_unheard(Some(group), member)) {
        if !group.told.is_empty() && !draft.keeps_an_end_back(name) {
            events.push(resolved(&draft, name, group));
        }
    } else if fires {
        let mut sorted = Sorted::of(&draft, name);
        if !sorted.is_quiet() {
            // Whoever thought that it would pass by itself is told once more.
            sorted.has_news = true;
            events.extend(sorted.tell(&draft, name, &group.placement));
        }
    }
    // What else is over is told with the group's next news.
    events
}

/// What a group says without waiting: a new P0, a route that does not wait, or that all is over.
fn news_at_once(draft: &Draft<'_>, name: &str) -> Vec<AlertEvent> {
    let group = draft.state.groups.get(name);
    let members = draft.members(name);
    if members.iter().all(|member| is_unheard(group, member)) {
        let told = group.filter(|group| !group.told.is_empty() && !draft.keeps_an_end_back(name));
        return told
            .map(|group| resolved(draft, name, group))
            .into_iter()
            .collect();
    }
    let Some(placement) = draft.placement(name) else {
        return Vec::new();
    };
    let mut flapping = draft.newly_flapping(name);
    if !flapping.is_empty() {
        let sorted = Sorted::of(draft, name);
        flapping.retain(|one| {
            let mut named = sorted.named.iter();
            named.any(|member| member.alert.fingerprint == one.fingerprint && !sorted.holds(member))
        });
        if !flapping.is_empty() {
            return sorted.tell_with(draft, name, placement, flapping);
        }
    }
    let is_new =
        |alert: &ActiveAlert| group.is_none_or(|group| !group.told.contains_key(&alert.alert.fingerprint));
    let no_wait = group.is_none_or(|group| group.told.is_empty()) && placement.group_wait_ms == 0;
    let is_urgent = |alert: &&ActiveAlert| {
        is_new(alert) && (no_wait || alert.severity == Severity::P0 || is_beat(&alert.alert.labels))
    };
    // What is held back costs more to find out than what is urgent.
    if !members.iter().any(is_urgent) {
        return Vec::new();
    }
    let sorted = Sorted::of(draft, name);
    if !sorted.named.iter().any(is_urgent) {
        return Vec::new();
    }
    sorted.tell(draft, name, placement)
}

/// The time of a group's news has come.
pub(crate) fn flush(draft: &Draft<'_>, name: &str) -> Vec<AlertEvent> {
    let Some(group) = draft.state.groups.get(name) else {
        return Vec::new();
    };
    let sorted = Sorted::of(draft, name);
    let eases = !group.ended.is_empty();
    if sorted.has_news || (eases && (!sorted.named.is_empty() || draft.keeps_an_end_back(name))) {
        return sorted.tell(draft, name, &group.placement);
    }
    if eases {
        // Of what is left nobody heard.
        let over = resolved(draft, name, group);
        return std::iter::once(over)
            .chain(sorted.held_event(draft, name, true))
            .collect();
    }
    // Of what was told only what is new can be held back from being told.
    let has_waited = group.flush_at.is_some();
    sorted.held_event(draft, name, has_waited).into_iter().collect()
}

pub(crate) fn remind(draft: &Draft<'_>, name: &str) -> Vec<AlertEvent> {
    let Some(group) = draft
        .state
        .groups
        .get(name)
        .filter(|group| !group.told.is_empty())
    else {
        return Vec::new();
    };
    let mut sorted = Sorted::of(draft, name);
    // What was only recorded before is news to everybody.
    sorted.has_news |= shadow::has_left(draft, name, group);
    if sorted.named.is_empty() && sorted.held.is_empty() {
        // What flapped is over, and nobody is told yet.
        return Vec::new();
    }
    if !sorted.has_news && sorted.is_quiet() {
        return sorted.held_event(draft, name, true).into_iter().collect();
    }
    // News that came while a late reminder was due must not pass as a mere reminder: nobody acts on those.
    sorted.tell(draft, name, &group.placement)
}

/// What fires in groups that are no longer in shadow is told at once: nobody may have heard of it.
pub(crate) fn out_of_shadow(draft: &Draft<'_>) -> Vec<AlertEvent> {
    let left = draft.state.groups();
    let left = left.filter(|(name, group)| !group.told.is_empty() && shadow::has_left(draft, name, group));
    left.flat_map(|(name, group)| {
        let mut sorted = Sorted::of(draft, name);
        if sorted.named.is_empty() || sorted.is_quiet() {
            return Vec::new();
        }
        sorted.has_news = true;
        sorted.tell(draft, name, &group.placement)
    })
    .collect()
}
