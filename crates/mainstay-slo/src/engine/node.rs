//! One group of one indicator, at one level: its sums, its doubts and what was seen of it.

use mainstay_kernel::Labels;

use super::slices::Pass;
use super::source::{Change, Sources};
use super::{EDGES_MAX, MissingEdge, Sli};
use crate::counter::Counting;
use crate::coverage::Coverage;
use crate::prefix::{Edges, PrefixSums};
use crate::selector::EDGE_LABEL;
use crate::sli::{Marked, Role, SliDefinition};
use crate::slice::{Budgeting, Unit};
use crate::tally::{Doubt, Tally};

/// How often slices are thinned out, in the time of the samples, in milliseconds.
pub(super) const THIN_OUT_EVERY_MS: i64 = 6 * 3_600_000;

/// Where a series counts: the same group at every level, full group first.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) sli: usize,
    pub(super) source: u32,
    /// None where it is a witness's counter, which counts nowhere.
    pub(super) nodes: Vec<u32>,
    /// What it is to the indicator; `None`: a counter of its witness.
    pub(super) role: Option<Role>,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) group: Labels,
    /// Its place among the groups of its level.
    pub(super) place: u32,
    /// The full groups that this one is the sum of; none for a full group.
    pub(super) parts: Vec<u32>,
    /// Marked events and all events.
    pub(super) counts: PrefixSums<2>,
    /// Missed marked events, missed events, restarts; sources that ended unread, those without a witness, and the most
    /// events that the others took with them.
    pub(super) doubt: PrefixSums<6>,
    pub(super) coverage: Coverage,
    /// Payments that began, and of them those that were rejected and those that were late, where it counts payments.
    pub(super) cohorts: Option<Box<PrefixSums<3>>>,
    /// What its time slices count as, bad and all, for each of its indicator's slicings.
    pub(super) slices: Vec<PrefixSums<2>>,
    /// How many of its sources count events and have not the bucket that says which are good, and since when.
    pub(super) bucketless: Option<(u32, i64)>,
    /// Whether it is known to be over: its silence is no blindness. A sample brings it back.
    pub(super) retired: bool,
}

impl Node {
    pub(super) fn new(group: Labels) -> Self {
        Self {
            group,
            place: 0,
            parts: Vec::new(),
            counts: PrefixSums::default(),
            doubt: PrefixSums::default(),
            coverage: Coverage::default(),
            cohorts: None,
            slices: Vec::new(),
            bucketless: None,
            retired: false,
        }
    }

    /// Counts what a sample of `t_ms` adds to the marked events, to all, or to both. Says whether that stirs its indicator:
    /// see [`Sli::stirred`].
    pub(super) fn count(
        &mut self,
        [marked, total]: [bool; 2],
        t_ms: i64,
        effects: &[(i64, Tally); 2],
        pass: Pass<'_>,
    ) -> bool {
        let known = self.coverage.on_sample(t_ms, pass.max_gap_ms);
        let is_new = known.is_some_and(|(from_ms, to_ms)| from_ms == to_ms);
        let mut stirs = std::mem::replace(&mut self.retired, false) || is_new;
        let revision = self.counts.latest().revision;
        let side = |on: bool, amount: i64| if on { amount } else { 0 };
        for &(at_ms, tally) in effects {
            stirs |= match pass.marked {
                Marked::Bad => side(marked, tally.events) > 0,
                Marked::Good => side(total, tally.events) > side(marked, tally.events),
            };
            self.counts
                .add(at_ms, [side(marked, tally.events), side(total, tally.events)]);
            if (tally.missed, tally.restarts) != (0, 0) {
                let missed = [side(marked, tally.missed), side(total, tally.missed)];
                self.doubt
                    .add(at_ms, [missed[0], missed[1], tally.restarts, 0, 0, 0]);
            }
        }
        self.counts.thin_out(pass.edges);
        self.doubt.thin_out(pass.edges);
        let changed = effects.map(|(at_ms, tally)| (tally.events != 0).then_some(at_ms));
        self.reslice(known, changed, pass);
        stirs || revision != self.counts.latest().revision
    }
}

impl Sli {
    pub(super) fn new(definition: SliDefinition, counting: Counting) -> Self {
        let levels = vec![Vec::new(); 1 << definition.group_by.len()];
        Self {
            counting,
            thinned_ms: 0,
            tiers: Edges::at(0),
            needs_bucket: definition.events.needs_bucket(),
            edges: std::collections::BTreeSet::new(),
            unit: Unit::of(&definition.events, Budgeting::Occurrences),
            slicings: Vec::new(),
            gathered: Vec::new(),
            nodes: Vec::new(),
            stirred: 0,
            sources: Sources::default(),
            completions: None,
            by_group: std::collections::BTreeMap::new(),
            levels,
            definition,
        }
    }

    /// Counts a sample in every group of its series.
    pub(super) fn count(&mut self, link: &Link, t_ms: i64, effects: &[(i64, Tally); 2], max_gap_ms: i64) {
        self.advance(t_ms);
        let Some(Role::Counter { marked, total }) = link.role else {
            return;
        };
        // Without the bucket every event would look bad.
        if !marked && self.needs_bucket && !self.sources.is_marked(link.source) {
            return;
        }
        let pass = Pass {
            edges: self.tiers,
            max_gap_ms,
            marked: self.definition.events.marked(),
            slicings: &self.slicings,
        };
        let mut stirs = false;
        for node in &link.nodes {
            stirs |= self.nodes[*node as usize].count([marked, total], t_ms, effects, pass);
        }
        self.stirred = self.stirred.wrapping_add(u32::from(stirs));
    }

    /// Moves on the place where the tiers meet, by the time of the samples and not of the wall: replay thins out what live
    /// thinned out.
    pub(super) fn advance(&mut self, t_ms: i64) {
        if t_ms.saturating_sub(self.thinned_ms) >= THIN_OUT_EVERY_MS {
            self.thin_out_from(t_ms);
        }
    }

    /// Keeps up with a source: one of its counters was read, or a witness counted what it was sent.
    pub(super) fn follow(&mut self, link: &Link, t_ms: i64, read: Tally, in_flight_ms: i64) {
        if link.role.is_none() {
            let sent = u64::try_from(read.events.saturating_add(read.missed)).unwrap_or(0);
            let change = self.sources.on_sent(link.source, t_ms, sent);
            self.doubt(link.source, change);
            return;
        }
        let restarted = read.restarts > 0;
        let changes = self.sources.on_read(link.source, t_ms, restarted, in_flight_ms);
        self.doubt(link.source, changes);
    }

    /// A counter was not there when it was to be read.
    pub(super) fn miss(&mut self, link: &Link, t_ms: i64, in_flight_ms: i64) {
        if link.role.is_some() {
            let change = self.sources.on_silence(link.source, t_ms, in_flight_ms);
            self.doubt(link.source, change);
        }
    }

    fn doubt(&mut self, source: u32, changes: impl IntoIterator<Item = impl Into<Option<Change>>>) {
        let edges = self.tiers;
        for change in changes.into_iter().filter_map(Into::into) {
            for node in self.sources.nodes(source) {
                let doubt = &mut self.nodes[node as usize].doubt;
                doubt.add(
                    change.at_ms,
                    [0, 0, 0, change.ended, change.unbounded, change.unread],
                );
                doubt.thin_out(edges);
            }
        }
    }

    /// Thins out the slices of all groups, each at its next sample, to where they are at an instant.
    pub(super) fn thin_out_from(&mut self, t_ms: i64) {
        self.thinned_ms = t_ms;
        self.tiers = Edges::at(t_ms);
    }

    /// What the counts of a group cannot say about what happened after `from_ms` up to `to_ms`.
    pub(super) fn doubt_in(&self, node: &Node, from_ms: i64, to_ms: i64) -> Doubt {
        let doubt = node.doubt.window(self.tiers, from_ms, to_ms).sums;
        let [missed_marked, missed_total, restarts, ended, unbounded, unread] = doubt;
        Doubt {
            missed_marked,
            missed_total,
            restarts,
            ended,
            unbounded,
            unread,
        }
    }

    /// Bad events among running sums, for comparing one with another: of good and all events it is no sum that only
    /// grows, where they come at different times.
    pub(super) fn running_bad(&self, [marked, total]: [u64; 2]) -> i64 {
        match self.definition.events.marked() {
            Marked::Bad => marked.cast_signed(),
            Marked::Good => total.wrapping_sub(marked).cast_signed(),
        }
    }

    /// Notes that a source counts in these groups, and which of them it says nothing true about: see [`Events::needs_bucket`].
    ///
    /// [`Events::needs_bucket`]: crate::sli::Events::needs_bucket
    pub(super) fn join(&mut self, source: u32, nodes: &[u32], role: Role, reached_ms: i64) {
        self.stir();
        let new = self.sources.joins(source, nodes);
        if !self.needs_bucket {
            return;
        }
        self.stirred = self.stirred.wrapping_add(1);
        let marked = matches!(role, Role::Counter { marked: true, .. });
        if marked && self.sources.marks(source) {
            for node in self.sources.nodes(source) {
                let lacking = &mut self.nodes[node as usize].bucketless;
                *lacking = lacking.and_then(|(count, since)| (count > 1).then(|| (count - 1, since)));
            }
        } else if !self.sources.is_marked(source) {
            for node in new {
                let lacking = &mut self.nodes[node as usize].bucketless;
                *lacking = Some(lacking.map_or((1, reached_ms), |(count, since)| (count + 1, since)));
            }
        }
    }

    /// Remembers the edge of a bucket that would do but for its edge.
    pub(super) fn note_edge(&mut self, series: &Labels) {
        let Some(edge) = series.get(EDGE_LABEL).filter(|_| self.needs_bucket) else {
            return;
        };
        let mut selectors = self.definition.events.selectors();
        let same_family =
            selectors.any(|selector| selector.edge().is_some() && selector.matches_beside_edge(series));
        if same_family && self.edges.len() < EDGES_MAX {
            self.edges.insert(edge.to_owned());
        }
    }

    /// Why a group is not seen, where it lacks the bucket that says which events are good.
    pub(super) fn missing_edge(&self, node: &Node) -> Option<MissingEdge> {
        node.bucketless?;
        let selector = self
            .definition
            .events
            .selectors()
            .find(|selector| selector.edge().is_some())?;
        let mut edges: Vec<String> = self.edges.iter().cloned().collect();
        edges.sort_by(|a, b| {
            let number = |text: &String| text.parse().unwrap_or(f64::INFINITY);
            f64::total_cmp(&number(a), &number(b))
        });
        Some(MissingEdge {
            bucket: selector.to_string(),
            edges,
        })
    }

    /// The level that keeps these labels, whatever their order.
    pub(super) fn level_of(&self, labels: &[String]) -> Option<usize> {
        let bit = |label: &String| self.definition.group_by.iter().position(|known| known == label);
        labels
            .iter()
            .map(bit)
            .try_fold(0, |level, bit| Some(level | 1 << bit?))
    }

    /// The nodes of a series at every level, made where they are new; `None` if that would be too many.
    pub(super) fn nodes_for(&mut self, series: &Labels, groups_max: usize) -> Option<Vec<u32>> {
        let groups = self.definition.groups_of(series);
        let new = groups
            .iter()
            .filter(|group| !self.by_group.contains_key(*group))
            .count();
        if self.nodes.len() + new > groups_max {
            return None;
        }
        let full_is_new = !self.by_group.contains_key(&groups[0]);
        let nodes: Vec<u32> = groups.into_iter().map(|group| self.node(group)).collect();
        if full_is_new {
            for parent in &nodes[1..] {
                self.nodes[*parent as usize].parts.push(nodes[0]);
            }
        }
        Some(nodes)
    }

    /// The same indicator grouped by other labels. Groups that exist under both keep their counts; what is finer than
    /// before starts from now on, so for a while a sum knows more than its parts.
    pub(super) fn regrouped(self, definition: SliDefinition) -> Self {
        let mut new = Self::new(definition, self.counting);
        new.thin_out_from(self.thinned_ms);
        new.slicings = self.slicings;
        new.sources = self.sources;
        new.completions = self.completions;
        for old in self.nodes {
            let kept = old
                .group
                .iter()
                .all(|(name, _)| new.definition.group_by.iter().any(|label| label == name));
            if kept {
                let index = new.node(old.group.clone());
                let made = &mut new.nodes[index as usize];
                *made = Node {
                    parts: Vec::new(),
                    place: made.place,
                    ..old
                };
            }
        }
        new.find_parts();
        new
    }

    /// Retires a group with all its parts, and every sum that has no other part.
    pub(super) fn retire(&mut self, group: &Labels) -> bool {
        let Some(index) = self.by_group.get(group).copied() else {
            return false;
        };
        self.stir();
        let mut over = self.nodes[index as usize].parts.clone();
        over.push(index);
        for node in over {
            self.nodes[node as usize].retired = true;
        }
        for sum in 0..self.nodes.len() {
            let parts = &self.nodes[sum].parts;
            let is_over = parts.iter().all(|part| self.nodes[*part as usize].retired);
            self.nodes[sum].retired |= is_over && !parts.is_empty();
        }
        true
    }

    /// Says of every sum which full groups it is made of, in nodes that were read back.
    pub(super) fn find_parts(&mut self) {
        let full = self.levels.last().cloned().unwrap_or_default();
        for part in full {
            let parents: Vec<u32> = self
                .definition
                .groups_of(&self.nodes[part as usize].group)
                .iter()
                .skip(1)
                .filter_map(|group| self.by_group.get(group).copied())
                .collect();
            for parent in parents {
                self.nodes[parent as usize].parts.push(part);
            }
        }
    }

    /// The node of a group, made where it is new.
    pub(super) fn node(&mut self, group: Labels) -> u32 {
        if let Some(node) = self.by_group.get(&group) {
            return *node;
        }
        let index = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let names: Vec<String> = group.iter().map(|(name, _)| name.to_owned()).collect();
        self.stir();
        self.by_group.insert(group.clone(), index);
        let mut node = Node::new(group);
        if let Some(level) = self.level_of(&names) {
            node.place = u32::try_from(self.levels[level].len()).unwrap_or(u32::MAX);
            self.levels[level].push(index);
        }
        node.slices.resize_with(self.slicings.len(), PrefixSums::default);
        self.nodes.push(node);
        index
    }

    /// Notes that something happened to its groups that may change what is said of them.
    pub(super) fn stir(&mut self) {
        self.stirred = self.stirred.wrapping_add(1);
    }

    /// Until when a group that is seen with all its parts stays so without another sample.
    pub(super) fn seen_until(&self, node: &Node, max_gap_ms: i64) -> i64 {
        let parts = node.parts.iter().map(|part| &self.nodes[*part as usize]);
        let present = parts.filter(|part| !part.retired).chain([node]);
        let last_ms = present.filter_map(|node| node.coverage.last_ms()).min();
        last_ms.map_or(i64::MAX, |last_ms| last_ms.saturating_add(max_gap_ms))
    }

    /// Since when a group, or a part of it that was there lately, has not been seen.
    pub(super) fn blind_since(
        &self,
        node: &Node,
        now_ms: i64,
        max_gap_ms: i64,
        retire_ms: i64,
    ) -> Option<i64> {
        if node.retired {
            return None;
        }
        if let Some((_, since_ms)) = node.bucketless {
            return Some(since_ms);
        }
        let parts = node.parts.iter().map(|part| &self.nodes[*part as usize]);
        let parts = parts.filter(|part| !part.retired).filter_map(|part| {
            let since = part.coverage.blind_since(now_ms, max_gap_ms)?;
            (now_ms.saturating_sub(since) <= retire_ms).then_some(since)
        });
        node.coverage
            .blind_since(now_ms, max_gap_ms)
            .into_iter()
            .chain(parts)
            .min()
    }

    /// The stretches of a window in which nothing was seen of the group or of a part of it.
    pub(super) fn unknown(
        &self,
        node: &Node,
        from_ms: i64,
        now_ms: i64,
        max_gap_ms: i64,
        retire_ms: i64,
    ) -> Vec<(i64, i64)> {
        let mut stretches: Vec<(i64, i64)> = node.coverage.gaps(from_ms, now_ms).collect();
        let open = node.coverage.blind_since(now_ms, max_gap_ms);
        stretches.extend(open.map(|since| (since.max(from_ms), now_ms)));
        let first_ms = node.coverage.first_ms().unwrap_or(now_ms).min(now_ms);
        stretches.extend((first_ms > from_ms).then_some((from_ms, first_ms)));
        for part in &node.parts {
            let part = &self.nodes[*part as usize];
            let coverage = &part.coverage;
            let open = coverage.blind_since(now_ms, max_gap_ms).filter(|_| !part.retired);
            let open = open.map(|since| (since, now_ms));
            let dark = coverage
                .gaps(from_ms.saturating_sub(retire_ms), now_ms)
                .chain(open);
            stretches.extend(
                dark.map(|(from, to)| (from.max(from_ms), to.min(from.saturating_add(retire_ms))))
                    .filter(|(from, to)| from < to),
            );
        }
        stretches
    }
}
