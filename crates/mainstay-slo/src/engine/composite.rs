//! What an objective reads in a group: one indicator, or all members of a composite.
//!
//! OpenSLO leaves the meaning of weights open. Here a composite has a weighted error budget: of what its members count in a
//! window, `Σ weightᵢ · badᵢ / totalᵢ ÷ Σ weightᵢ` is bad, in billionths, each member's part rounded up, so that it is at
//! most one billionth per member worse than the truth and never better. A member may count events, samples or slices:
//! only its share matters. A member without events in the window has nothing bad in it. While any member is not seen, the
//! composite is unknown, and a member's group that is over ends the composite's.

use mainstay_kernel::Labels;

use super::exclude::Regions;
use super::judge::View;
use super::node::Node;
use super::status::MissingEdge;
use super::{GroupWindow, Settings, Sli, SloEngine};
use crate::coverage::union_ms;
use crate::objective::Objective;
use crate::sli::Events;
use crate::slice::{BILLION, share_up};
use crate::tally::{Counts, Doubt};
use crate::window::Bounds;

/// One member of a composite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) sli: usize,
    /// Which of its sums count.
    pub(super) column: Option<usize>,
    pub(super) weight: u64,
}

/// One group of one indicator.
struct Source<'a> {
    sli: &'a Sli,
    /// `None`: a member has no such group.
    node: Option<&'a Node>,
    column: Option<usize>,
    weight: u64,
}

impl Source<'_> {
    fn read(&self, excluded: &Regions, from_ms: i64, to_ms: i64) -> (Bounds, Counts) {
        let nothing = Node::new(Labels::new());
        let node = self.node.unwrap_or(&nothing);
        self.sli.adjusted(node, self.column, excluded, from_ms, to_ms)
    }

    /// How many whole events were bad, whatever is budgeted; `None` where only their share is known.
    fn bad_events(&self, from_ms: i64, to_ms: i64) -> Option<u64> {
        if self.sli.definition.events.are_sampled() {
            return None;
        }
        let bad = |node| self.sli.read(node, None, from_ms, to_ms).1.bad;
        Some(self.node.map_or(0, bad))
    }
}

impl<'a> View<'a> {
    fn sources(&self) -> Vec<Source<'a>> {
        if self.parts.is_empty() {
            return vec![Source {
                sli: self.sli,
                node: Some(self.node),
                column: self.column,
                weight: 1,
            }];
        }
        let source = |part: &Part| {
            let sli = &self.slis[part.sli];
            Source {
                sli,
                node: sli
                    .by_group
                    .get(&self.node.group)
                    .map(|node| &sli.nodes[*node as usize]),
                column: part.column,
                weight: part.weight,
            }
        };
        self.parts.iter().map(source).collect()
    }

    /// What was counted after `from_ms` up to `to_ms`, and between which edges it is exact.
    pub(super) fn counted(&self, from_ms: i64, to_ms: i64) -> (Bounds, Counts) {
        self.counted_without(&Regions::default(), from_ms, to_ms)
    }

    /// The same without what is excluded.
    pub(super) fn counted_without(&self, excluded: &Regions, from_ms: i64, to_ms: i64) -> (Bounds, Counts) {
        if self.parts.is_empty() {
            return self
                .sli
                .adjusted(self.node, self.column, excluded, from_ms, to_ms);
        }
        let mut bounds = Bounds {
            start_ms: i64::MAX,
            end_ms: i64::MIN,
        };
        let (mut bad, mut weights, mut total) = (0_u128, 0_u128, 0);
        for source in self.sources() {
            let (edges, counts) = source.read(excluded, from_ms, to_ms);
            bounds.start_ms = bounds.start_ms.min(edges.start_ms);
            bounds.end_ms = bounds.end_ms.max(edges.end_ms);
            bad += u128::from(source.weight) * u128::from(share_up(counts, BILLION));
            weights += u128::from(source.weight);
            total = if counts.total > 0 { BILLION } else { total };
        }
        let bad = u64::try_from(bad.div_ceil(weights.max(1))).unwrap_or(BILLION);
        (bounds, Counts { bad, total })
    }

    /// The counts with their edges and doubts.
    pub(super) fn window(&self, from_ms: i64, to_ms: i64) -> GroupWindow {
        let (counted, counts) = self.counted(from_ms, to_ms);
        let mut doubt = Doubt::default();
        for source in self.sources() {
            if let Some(node) = source.node {
                doubt = doubt.plus(source.sli.doubt_in(node, from_ms, to_ms));
            }
        }
        GroupWindow {
            counted,
            counts,
            unit: self.unit(),
            doubt,
        }
    }

    /// How many whole events were bad in the last `back_ms`, whatever is budgeted; `None` where only shares are known.
    pub(super) fn bad_events(&self, back_ms: i64) -> Option<u64> {
        let now_ms = self.now.as_millisecond();
        self.sources()
            .iter()
            .map(|source| source.bad_events(now_ms.saturating_sub(back_ms), now_ms))
            .sum()
    }

    /// Since when the group, or a part or member of it that was there lately, has not been seen.
    pub(super) fn blind_since(&self, settings: &Settings) -> Option<i64> {
        let (now_ms, gap_ms) = (self.now.as_millisecond(), settings.max_gap_ms());
        if self.parts.is_empty() {
            return self
                .sli
                .blind_since(self.node, now_ms, gap_ms, settings.retire_after_ms);
        }
        let since = |source: &Source<'_>| match source.node {
            Some(node) => source
                .sli
                .blind_since(node, now_ms, gap_ms, settings.retire_after_ms),
            None => Some(source.sli.counting.since_ms),
        };
        self.sources().iter().filter_map(since).min()
    }

    /// How much of the window up to `to_ms` nothing was seen of it, in milliseconds.
    pub(super) fn unknown_ms(&self, to_ms: i64, settings: &Settings) -> i64 {
        self.unknown_in(self.bounds.start_ms, to_ms, settings)
    }

    /// How much of a time nothing was seen of it, in milliseconds.
    pub(super) fn unknown_in(&self, from_ms: i64, to_ms: i64, settings: &Settings) -> i64 {
        let gap_ms = settings.max_gap_ms();
        let unknown = |source: &Source<'_>| match source.node {
            Some(node) => source
                .sli
                .unknown(node, from_ms, to_ms, gap_ms, settings.retire_after_ms),
            None => vec![(from_ms, to_ms)],
        };
        union_ms(self.sources().iter().flat_map(unknown).collect())
    }

    /// When it was last seen, all members of it.
    pub(super) fn last_ms(&self) -> Option<i64> {
        let last = |source: &Source<'_>| source.node.and_then(|node| node.coverage.last_ms());
        let last: Option<Vec<i64>> = self.sources().iter().map(last).collect();
        last?.into_iter().min()
    }

    /// Whether it is known to be over.
    pub(super) fn is_retired(&self) -> bool {
        let is_retired = |source: &Source<'_>| source.node.is_some_and(|node| node.retired);
        self.node.retired || (!self.parts.is_empty() && self.sources().iter().any(is_retired))
    }

    pub(super) fn missing_edge(&self) -> Option<MissingEdge> {
        let missing = |source: &Source<'_>| source.sli.missing_edge(source.node?);
        self.sources().iter().find_map(missing)
    }

    /// How many of its slices are still to come in a window that was counted up to `to_ms`, in the unit of its counts.
    pub(super) fn to_come(&self, to_ms: i64) -> u64 {
        let slicing = self.column.and_then(|column| self.sli.slicings.get(column));
        let Some(width_ms) = slicing.and_then(|slicing| slicing.width_ms()) else {
            return 0;
        };
        let edge = |t_ms: i64| t_ms.div_euclid(width_ms);
        let slices = u64::try_from(edge(self.bounds.end_ms) - edge(to_ms)).unwrap_or(0);
        slices.saturating_mul(self.unit().whole())
    }
}

impl Doubt {
    fn plus(self, other: Self) -> Self {
        Self {
            missed_marked: self.missed_marked.saturating_add(other.missed_marked),
            missed_total: self.missed_total.saturating_add(other.missed_total),
            restarts: self.restarts.saturating_add(other.restarts),
            ended: self.ended.saturating_add(other.ended),
            unbounded: self.unbounded.saturating_add(other.unbounded),
            unread: self.unread.saturating_add(other.unread),
        }
    }
}

impl SloEngine {
    /// Says of every indicator which slices objectives and composites count in.
    pub(super) fn slice(&mut self, objectives: &[Objective]) {
        let composites = self.slis.iter().flat_map(|sli| sli.definition.events.members());
        let members = composites.map(|member| (member.sli.clone(), member.budgeting));
        let own = objectives
            .iter()
            .map(|objective| (objective.sli.clone(), objective.budgeting));
        let wanted: Vec<_> = own
            .chain(members)
            .filter(|(_, budgeting)| budgeting.width_ms().is_some())
            .collect();
        for sli in &mut self.slis {
            let mut slicings = Vec::new();
            for (name, budgeting) in &wanted {
                if *name == sli.definition.name && !slicings.contains(budgeting) {
                    slicings.push(*budgeting);
                }
            }
            sli.slice_by(slicings);
            sli.gathered.clear();
        }
    }

    /// The members of an indicator, if it is a composite.
    pub(super) fn parts_of(&self, sli: &Sli) -> Vec<Part> {
        let part = |member: &crate::sli::Member| {
            let index = self
                .slis
                .iter()
                .position(|known| known.definition.name == member.sli)?;
            Some(Part {
                sli: index,
                column: self.slis[index].column(member.budgeting),
                weight: member.weight,
            })
        };
        sli.definition.events.members().iter().filter_map(part).collect()
    }

    /// Makes the groups of composites: those that any member has.
    pub(super) fn gather(&mut self) {
        for index in 0..self.slis.len() {
            let Events::Composite(members) = &self.slis[index].definition.events else {
                continue;
            };
            let names: Vec<String> = members.iter().map(|member| member.sli.clone()).collect();
            for (place, name) in names.iter().enumerate() {
                let known = self.slis[index].gathered.get(place).copied().unwrap_or(0);
                let Some(member) = self.slis.iter().find(|sli| sli.definition.name == *name) else {
                    continue;
                };
                let group_by = &self.slis[index].definition.group_by;
                let kept = |group: &&Labels| {
                    group
                        .iter()
                        .all(|(label, _)| group_by.iter().any(|by| by == label))
                };
                let groups = member.nodes.iter().skip(known).map(|node| &node.group);
                let groups: Vec<Labels> = groups.filter(kept).cloned().collect();
                let len = member.nodes.len();
                let sli = &mut self.slis[index];
                for group in groups {
                    sli.node(group);
                }
                sli.gathered.resize(names.len(), 0);
                sli.gathered[place] = len;
            }
        }
    }
}
