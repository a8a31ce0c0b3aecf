//! The pages that are open, and the duties that were swapped.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{Actor, IncidentId, PageId, PersonId};
use serde::{Deserialize, Serialize};

use crate::event::OncallEvent;
use crate::feed::Feed;
use crate::handover::{self, Said};
use crate::ring::{self, Taken};
use crate::swap::{self, Swap};

/// How many ended pages are kept at hand.
const ENDED_AT_HAND: usize = 1_000;
/// How many overrides are kept at hand: those that are over make room, and no more than this may be in force or to come.
pub(crate) const OVERRIDES_AT_HAND: usize = 1_000;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// What was asked for.
    pub request: PageRequested,
    /// The policy by which it climbs.
    pub policy: String,
    /// When the present round began.
    pub round_began_at: Timestamp,
    /// Which round; 0 is the first.
    pub round: u32,
    /// Who was told, when, at which level; `true` for those only informed.
    pub told: Vec<(Timestamp, usize, PersonId, bool)>,
    /// When a human took it on, and who.
    pub acknowledged: Option<(Timestamp, Actor)>,
    /// When its incident ended, or a worse page took its place.
    pub closed_at: Option<Timestamp>,
    /// Those of its present round whom no channel reached.
    #[serde(default)]
    pub unreachable: BTreeSet<PersonId>,
    /// How often its incident turned out to concern more.
    #[serde(default)]
    pub widened: u32,
    /// At which target each level that takes turns is, by level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub turns: BTreeMap<usize, usize>,
}

impl Page {
    /// Whether a level was told in the present round.
    #[must_use]
    pub(crate) fn was_told(&self, level: usize) -> bool {
        self.told
            .iter()
            .any(|(at, told, ..)| *told == level && *at >= self.round_began_at)
    }

    /// Who was paged at a level in the present round.
    pub(crate) fn asked_in_round(&self, level: usize) -> impl DoubleEndedIterator<Item = &PersonId> {
        let told = self.told.iter();
        let asked = told
            .filter(move |(at, told, _, informed)| *told == level && !informed && *at >= self.round_began_at);
        asked.map(|(_, _, person, _)| person)
    }

    /// Whether it still climbs.
    #[must_use]
    pub fn is_climbing(&self) -> bool {
        self.acknowledged.is_none() && self.closed_at.is_none()
    }
}

/// Somebody takes a duty for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// By what it is withdrawn: `o12`. Empty until it is made; those of earlier releases have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Of which rota.
    pub rota: String,
    /// Who.
    pub person: PersonId,
    /// From when.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
    /// The swap that it is a half of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<String>,
    /// Whose duty it is by rights, where they swapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<PersonId>,
}

impl Override {
    /// An override that nobody has made yet.
    #[must_use]
    pub fn new(rota: String, person: PersonId, from: Timestamp, until: Timestamp) -> Self {
        Self {
            id: String::new(),
            rota,
            person,
            from,
            until,
            swap: None,
            of: None,
        }
    }

    /// By what it is withdrawn: its id, or else its rota and beginning.
    #[must_use]
    pub fn handle(&self) -> String {
        if self.id.is_empty() {
            format!("{}@{}", self.rota, self.from)
        } else {
            self.id.clone()
        }
    }
}

/// Pages and overrides at hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OncallState {
    pub(crate) pages: BTreeMap<PageId, Page>,
    pub(crate) overrides: Vec<Override>,
    /// Swaps that wait for an answer.
    #[serde(default)]
    pub(crate) swaps: BTreeMap<String, Swap>,
    /// Calendars that may be fetched.
    #[serde(default)]
    pub(crate) feeds: BTreeMap<String, Feed>,
    /// What was said around the beginnings of shifts, by rota.
    #[serde(default)]
    pub(crate) said: BTreeMap<String, Said>,
    /// The turns that were last taken, the one that was taken longest ago first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) turns: Vec<Taken>,
    /// The last number that was given to an override or a swap.
    #[serde(default)]
    pub(crate) numbered: u64,
}

impl OncallState {
    /// One page.
    #[must_use]
    pub fn page(&self, id: &PageId) -> Option<&Page> {
        self.pages.get(id)
    }

    /// The pages of an incident.
    pub fn pages_of<'a>(&'a self, incident: &'a IncidentId) -> impl Iterator<Item = &'a Page> {
        self.pages
            .values()
            .filter(move |page| page.request.incident == *incident)
    }

    /// The pages that still climb.
    pub fn climbing(&self) -> impl Iterator<Item = &Page> {
        self.pages.values().filter(|page| page.is_climbing())
    }

    /// The turn that was last taken at a level.
    #[must_use]
    pub fn taken(&self, policy: &str, level: usize) -> Option<&Taken> {
        let mut turns = self.turns.iter();
        turns.find(|taken| taken.policy == policy && taken.level == level)
    }

    /// The swaps that wait for an answer.
    pub fn swaps(&self) -> impl Iterator<Item = &Swap> {
        self.swaps.values()
    }

    /// Notes that an id is taken.
    pub(crate) fn number(&mut self, id: &str) {
        let number = id.get(1..).and_then(|digits| digits.parse().ok());
        self.numbered = self.numbered.max(number.unwrap_or(0));
    }

    /// The overrides at hand, in the order in which they were made; the last that covers an instant holds.
    #[must_use]
    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }
}

pub(crate) fn apply(state: &mut OncallState, event: &OncallEvent, meta: &Meta) {
    match event {
        OncallEvent::Opened { request, policy } => {
            let page = Page {
                request: request.clone(),
                policy: policy.clone(),
                round_began_at: meta.at,
                round: 0,
                told: Vec::new(),
                acknowledged: None,
                closed_at: None,
                unreachable: BTreeSet::new(),
                widened: 0,
                turns: BTreeMap::new(),
            };
            state.pages.insert(request.page.clone(), page);
        }
        OncallEvent::Overridden { entry, .. } => {
            state.number(&entry.id);
            state.overrides.push(entry.clone());
            if state.overrides.len() > OVERRIDES_AT_HAND
                && let Some(over) = state.overrides.iter().position(|entry| entry.until <= meta.at)
            {
                state.overrides.remove(over);
            }
        }
        OncallEvent::Withdrawn { .. } | OncallEvent::SwapAsked(_) | OncallEvent::SwapEnded { .. } => {
            swap::apply(state, event, meta);
        }
        OncallEvent::FeedOpened(feed) => {
            state.number(&feed.id);
            state.feeds.insert(feed.id.clone(), feed.clone());
        }
        OncallEvent::FeedClosed { id } => {
            state.feeds.remove(id);
        }
        OncallEvent::Reminded { .. } | OncallEvent::HandoverNoted { .. } | OncallEvent::HandedOver { .. } => {
            handover::apply(state, event, meta);
        }
        OncallEvent::TurnTaken {
            page,
            policy,
            level,
            turn,
            ..
        } => ring::apply(state, page, policy, *level, turn, meta.at),
        OncallEvent::NobodyReached { .. } | OncallEvent::Insisted { .. } => {}
        OncallEvent::Widened {
            page, scope, title, ..
        } => {
            if let Some(page) = state.pages.get_mut(page) {
                page.request.scope = scope.clone();
                page.request.title.clone_from(title);
                page.widened += 1;
            }
        }
        OncallEvent::Unreachable { page, person } => {
            if let Some(page) = state.pages.get_mut(page) {
                page.unreachable.insert(person.clone());
            }
        }
        OncallEvent::Notified {
            page,
            level,
            people,
            inform,
            ..
        } => {
            if let Some(page) = state.pages.get_mut(page) {
                // They were told in this round, even if the clock was set back since it began.
                let at = meta.at.max(page.round_began_at);
                let told = people.iter().map(|person| (at, *level, person.clone(), *inform));
                page.told.extend(told);
            }
        }
        OncallEvent::RoundBegan { page, round } => {
            if let Some(page) = state.pages.get_mut(page) {
                page.round = *round;
                page.round_began_at = meta.at;
                page.unreachable.clear();
            }
        }
        OncallEvent::Acknowledged(fact) => {
            let by = fact
                .by
                .as_ref()
                .map_or_else(|| meta.actor.clone(), |person| Actor::person(person.as_str()));
            if let Some(page) = state.pages.get_mut(&fact.page) {
                page.acknowledged.get_or_insert((meta.at, by));
            }
        }
        OncallEvent::Closed { page, .. } | OncallEvent::Superseded { page, .. } => {
            if let Some(page) = state.pages.get_mut(page) {
                page.closed_at = Some(meta.at);
            }
            forget_oldest_ended(state);
        }
    }
}

fn forget_oldest_ended(state: &mut OncallState) {
    let ended = || state.pages.values().filter(|page| page.closed_at.is_some());
    if ended().count() > ENDED_AT_HAND {
        let oldest = ended()
            .min_by_key(|page| page.closed_at)
            .map(|page| page.request.page.clone());
        oldest.map(|id| state.pages.remove(&id));
    }
}
