//! Escalation policies: who is told after how long, and by which channels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use mainstay_kernel::effect::Channel;
use mainstay_kernel::{PersonId, Severity};
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::spanned::Spanned;

/// The `spec` of a document of kind `EscalationPolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationPolicy {
    /// How people call it.
    pub title: String,
    /// Whom to tell, in order of time.
    pub levels: Vec<EscalationLevel>,
    /// By which channels, per severity, all at once; every channel that the person has an address for.
    pub channels: BTreeMap<Severity, Vec<Spanned<Channel>>>,
    /// By which other channels those who were told hear of it again while nobody has acknowledged, per severity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unacknowledged: BTreeMap<Severity, Vec<NotifyStep>>,
    /// Whether it begins again after the last level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
}

/// One level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationLevel {
    /// How long after the page was requested.
    pub after: Spanned<Delay>,
    /// Whom.
    pub targets: Vec<Target>,
    /// For which severities; for all that page if nothing is said.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub only: BTreeSet<Severity>,
    /// Told, not paged: no acknowledgement is wanted. It happens whether or not somebody acknowledged, unless the
    /// incident is over by then.
    #[serde(default)]
    pub inform: bool,
    /// Its targets are paged one at a time, in turn; all at once if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_robin: Option<RoundRobin>,
}

/// How a level pages one of its targets at a time. Each incident begins with the target after the one with which the last
/// incident began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRobin {
    /// How long one is waited for before the next one of the level is paged as well, until all were or a later level is
    /// paged.
    pub every: Spanned<Delay>,
}

impl EscalationLevel {
    /// Whether the level is for pages of this severity.
    #[must_use]
    pub fn applies_to(&self, severity: Severity) -> bool {
        if self.only.is_empty() {
            severity.pages()
        } else {
            self.only.contains(&severity)
        }
    }

    /// Whether its targets are paged one at a time.
    #[must_use]
    pub fn takes_turns(&self) -> bool {
        self.round_robin.is_some()
    }

    /// How long after the page was requested.
    #[must_use]
    pub fn delay(&self) -> SignedDuration {
        self.after.value.0
    }
}

/// One step of telling one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyStep {
    /// How long after the person was first told, if nobody has acknowledged by then.
    pub after: Spanned<Delay>,
    /// By which channels, all at once.
    pub channels: Vec<Spanned<Channel>>,
}

/// A duration written as Prometheus writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Delay(#[serde(with = "duration::text")] pub SignedDuration);

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&duration::format(self.0))
    }
}

/// Whom a level is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Whoever is on call there at that moment.
    Rota(Spanned<String>),
    /// A person.
    Person(Spanned<PersonId>),
}

/// How a policy begins again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often, after the first time.
    pub times: u32,
    /// How long after the beginning of the last round.
    pub every: Spanned<Delay>,
}

impl EscalationPolicy {
    /// The levels for pages of this severity, with their places among all levels.
    pub fn levels_for(&self, severity: Severity) -> impl Iterator<Item = (usize, &EscalationLevel)> {
        self.levels
            .iter()
            .enumerate()
            .filter(move |(_, level)| level.applies_to(severity))
    }

    /// The channels for pages of this severity.
    pub fn channels_for(&self, severity: Severity) -> impl Iterator<Item = Channel> {
        self.channels
            .get(&severity)
            .into_iter()
            .flatten()
            .map(|channel| channel.value)
    }
}
