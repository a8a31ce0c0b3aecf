//! Service level indicators: which counters say how many events there were and how many of them count.

use mainstay_kernel::Labels;

use crate::completion::Completion;
use crate::error::SloError;
use crate::reading::Threshold;
use crate::selector::Selector;
use crate::slice::Budgeting;

/// The most labels an indicator may be grouped by. Every subset of them is kept as a sum of its own, so `n` labels cost
/// `2^n` additions per sample.
pub const GROUP_LABELS_MAX: usize = 3;

/// The most that the weights of a composite add up to.
pub const WEIGHTS_MAX: u64 = 1_000_000_000;

/// The value of a group label on series that do not have the label: no name can look like it.
pub const NO_VALUE: &str = "(none)";

/// What an indicator counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    /// What counters say.
    Counters(Counters),
    /// What becomes of payments, by the time at which they began.
    Completion(Completion),
    /// Every observation of native histograms, held against a threshold.
    Histograms(Histograms),
    /// Every sample of a gauge, held against a threshold.
    Gauge(Gauge),
    /// Every sample of a ratio that was finished elsewhere: sampled, not counted.
    Share(Share),
    /// What other indicators count, weighted.
    Composite(Vec<Member>),
}

/// Native histograms of which every observation is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histograms {
    /// Their series.
    pub histograms: Vec<Selector>,
    /// What a good observation keeps: at most a value.
    pub good: Threshold,
}

/// A gauge of which every sample is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Its series; each is sampled for itself.
    pub gauges: Vec<Selector>,
    /// What a good sample keeps.
    pub good: Threshold,
}

/// A ratio between 0 and 1 of which every sample is one event that is partly bad. How many events went into the ratio is
/// unknown, and what happened between two samples too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its series.
    pub shares: Vec<Selector>,
    /// Whether it is the bad or the good share.
    pub marked: Marked,
}

/// One of the indicators of a composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub sli: String,
    /// What of it is a unit of budget.
    pub budgeting: Budgeting,
    /// Its weight; at least 1.
    pub weight: u64,
}

/// Counters of the events that are marked, and of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Whether `marked_by` selects the bad or the good events.
    pub marked: Marked,
    /// The counters of the marked events. A series that several selectors select counts once.
    pub marked_by: Vec<Selector>,
    /// The counters of all events.
    pub total: Vec<Selector>,
}

/// What a series is to an indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A counter of events: of marked ones, of all, or of both at once.
    Counter {
        /// Its events are marked.
        marked: bool,
        /// Its events are among all.
        total: bool,
    },
    /// A native histogram whose observations are events.
    Histogram(Threshold),
    /// A gauge whose samples are events.
    Gauge(Threshold),
    /// A ratio whose samples are events.
    Share(Marked),
}

impl Events {
    /// What a series is to them; `None`: nothing.
    pub(crate) fn role(&self, series: &Labels) -> Option<Role> {
        let selected = |by: &[Selector]| by.iter().any(|selector| selector.matches(series));
        match self {
            Self::Counters(counters) => {
                let (marked, total) = (selected(&counters.marked_by), selected(&counters.total));
                (marked || total).then_some(Role::Counter { marked, total })
            }
            Self::Histograms(one) => selected(&one.histograms).then_some(Role::Histogram(one.good)),
            Self::Gauge(gauge) => selected(&gauge.gauges).then_some(Role::Gauge(gauge.good)),
            Self::Share(share) => selected(&share.shares).then_some(Role::Share(share.marked)),
            Self::Composite(_) | Self::Completion(_) => None,
        }
    }

    /// Whether the good events are those of one bucket of each histogram: then a source that counts events and has no such
    /// bucket says nothing about them.
    pub(crate) fn needs_bucket(&self) -> bool {
        match self {
            Self::Counters(counters) => {
                let mut selectors = counters.marked_by.iter();
                counters.marked == Marked::Good && selectors.all(|selector| selector.edge().is_some())
            }
            Self::Histograms(_)
            | Self::Gauge(_)
            | Self::Share(_)
            | Self::Composite(_)
            | Self::Completion(_) => false,
        }
    }

    /// Everything that they are read from, each selector at least once.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let (some, others): (&[Selector], &[Selector]) = match self {
            Self::Counters(counters) => (&counters.marked_by, &counters.total),
            Self::Histograms(one) => (&one.histograms, &[]),
            Self::Gauge(gauge) => (&gauge.gauges, &[]),
            Self::Share(share) => (&share.shares, &[]),
            Self::Composite(_) | Self::Completion(_) => (&[], &[]),
        };
        some.iter().chain(others)
    }

    /// The counters, where they are counters.
    #[must_use]
    pub fn counters(&self) -> Option<&Counters> {
        match self {
            Self::Counters(counters) => Some(counters),
            Self::Histograms(_)
            | Self::Gauge(_)
            | Self::Share(_)
            | Self::Composite(_)
            | Self::Completion(_) => None,
        }
    }

    /// The indicators that they are made of; none where they are read themselves.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        match self {
            Self::Composite(members) => members,
            Self::Counters(_)
            | Self::Histograms(_)
            | Self::Gauge(_)
            | Self::Share(_)
            | Self::Completion(_) => &[],
        }
    }

    /// Whether they are samples of a rate that somebody else made, and no counts.
    #[must_use]
    pub fn are_sampled(&self) -> bool {
        matches!(self, Self::Share(_))
    }

    /// Which events the marked side of their sums counts.
    pub(crate) fn marked(&self) -> Marked {
        match self {
            Self::Counters(counters) => counters.marked,
            Self::Histograms(_) => Marked::Good,
            Self::Gauge(_) | Self::Share(_) | Self::Composite(_) | Self::Completion(_) => Marked::Bad,
        }
    }
}

/// Which events the marked side counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// The events that spend budget.
    Bad,
    /// The events that do not: bad is total less good.
    Good,
}

/// The label that tells sources apart where nothing else is said.
pub const SOURCE_LABEL: &str = "instance";

/// Counters of somebody who saw what was sent to each source, and outlives it: of a gateway, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The counters.
    pub counters: Vec<Selector>,
    /// Their label that names the source.
    pub label: String,
}

impl Witness {
    pub(crate) fn selects(&self, series: &Labels) -> bool {
        self.counters.iter().any(|selector| selector.matches(series))
    }
}

/// One stream of exact counts. Several objectives may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliDefinition {
    /// Its name, unique in a catalog.
    pub name: String,
    /// What it counts.
    pub events: Events,
    /// The labels that make groups, in order; at most [`GROUP_LABELS_MAX`].
    pub group_by: Vec<String>,
    /// The label of its counters that names their source, such as a pod; [`SOURCE_LABEL`] where nothing else is said.
    pub source: String,
    /// Who bounds what dies unread in a source that ends.
    pub witness: Option<Witness>,
}

impl SliDefinition {
    /// Checks what no document schema can.
    ///
    /// # Errors
    /// If a side selects nothing or there are too many group labels.
    pub fn check(&self) -> Result<(), SloError> {
        let all: &[Selector] = match &self.events {
            Events::Counters(counters) => &counters.total,
            Events::Histograms(one) => &one.histograms,
            Events::Gauge(gauge) => &gauge.gauges,
            Events::Share(share) => &share.shares,
            Events::Composite(members) => return self.check_members(members),
            Events::Completion(_) => return self.check_labels(),
        };
        let marked: (&'static str, &[Selector]) = match &self.events {
            Events::Counters(counters) => match counters.marked {
                Marked::Bad => ("bad", &counters.marked_by),
                Marked::Good => ("good", &counters.marked_by),
            },
            _ => ("total", all),
        };
        for (side, selectors) in [marked, ("total", all)] {
            if selectors.is_empty() {
                return Err(SloError::EmptySide {
                    sli: self.name.clone(),
                    side,
                });
            }
        }
        self.check_labels()
    }

    fn check_labels(&self) -> Result<(), SloError> {
        if self.group_by.len() > GROUP_LABELS_MAX {
            return Err(SloError::TooManyGroupLabels {
                sli: self.name.clone(),
                labels: self.group_by.len(),
                max: GROUP_LABELS_MAX,
            });
        }
        Ok(())
    }

    fn check_members(&self, members: &[Member]) -> Result<(), SloError> {
        let weights = members
            .iter()
            .try_fold(0_u64, |sum, member| sum.checked_add(member.weight));
        let sound = members.iter().all(|member| member.weight > 0)
            && weights.is_some_and(|sum| (1..=WEIGHTS_MAX).contains(&sum));
        if !sound {
            return Err(SloError::BadWeights(self.name.clone()));
        }
        members
            .iter()
            .try_for_each(|member| member.budgeting.check(&self.name))
    }

    /// The group of a series at every level: the full group first, the whole (no labels) last.
    pub(crate) fn groups_of(&self, series: &Labels) -> Vec<Labels> {
        let labels: Vec<(&str, &str)> = self
            .group_by
            .iter()
            .map(|name| (name.as_str(), series.get(name).unwrap_or(NO_VALUE)))
            .collect();
        (0..1_u32 << labels.len())
            .rev()
            .map(|subset| {
                labels
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| subset & (1 << index) != 0)
                    .map(|(_, pair)| *pair)
                    .collect()
            })
            .collect()
    }

    /// Everything that it is read from, its witness's counters among it, each selector at least once.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let witness = self.witness.iter().flat_map(|witness| &witness.counters);
        self.events.selectors().chain(witness)
    }

    pub(crate) fn selects(&self, series: &Labels) -> bool {
        self.events.role(series).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_of_the_group_labels_is_a_level() {
        let sli = SliDefinition {
            name: "api".to_owned(),
            events: Events::Counters(Counters {
                marked: Marked::Bad,
                marked_by: Vec::new(),
                total: Vec::new(),
            }),
            group_by: vec!["cell".to_owned(), "tenant".to_owned()],
            source: SOURCE_LABEL.to_owned(),
            witness: None,
        };
        let series: Labels = [("__name__", "x"), ("cell", "cell-1"), ("pod", "p")]
            .into_iter()
            .collect();
        let groups: Vec<String> = sli.groups_of(&series).iter().map(ToString::to_string).collect();
        assert_eq!(
            groups,
            [
                r#"{cell="cell-1", tenant="(none)"}"#,
                r#"{tenant="(none)"}"#,
                r#"{cell="cell-1"}"#,
                "{}"
            ]
        );
    }
}
