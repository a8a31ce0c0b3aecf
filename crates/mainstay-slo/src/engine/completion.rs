//! Indicators by completion: batches of a log in, counts of cohorts out.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

use super::node::{Node, THIN_OUT_EVERY_MS};
use super::{Settings, Sli, SloEngine};
use crate::codec::{Reader, Writer};
use crate::completion::{CompletionBatch, Effect, Limits, Told, Tracker};
use crate::error::SloError;
use crate::prefix::PrefixSums;
use crate::sli::Events;
use crate::window::Bounds;

/// What an indicator by completion says beside its counts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CompletionReading {
    /// Payments of the window that are not decided yet.
    pub pending: u64,
    /// Payments of the window that were refused for a reason of the customer's: in no sum.
    pub rejected: u64,
    /// The same by reason, of the whole and not of a group.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Of the bad payments of the window, those that did not end in time.
    pub late: u64,
    /// What became of the events, since counting began.
    pub told: Told,
}

/// The payments of one indicator, and what is counted of them beside the sums of its groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Completions {
    tracker: Tracker,
    /// Rejected payments by the number of their reason.
    by_reason: Vec<PrefixSums<1>>,
    /// The nodes of each group of the tracker, as far as they were asked for.
    nodes: BTreeMap<u32, Vec<u32>>,
}

impl SloEngine {
    /// Counts a batch that lies at `position` of the log of completions. A batch at or before the last position counted
    /// changes nothing and gives `false`.
    pub fn on_completions(&mut self, position: u64, batch: &CompletionBatch) -> bool {
        if self
            .completions_position
            .is_some_and(|counted| position <= counted)
        {
            return false;
        }
        self.completions_position = Some(position);
        let settings = self.settings;
        for sli in &mut self.slis {
            sli.on_completions(batch, settings);
        }
        true
    }

    /// Up to where payments are counted, and all of them.
    pub(super) fn encode_completions(&self, out: &mut Writer) {
        out.u64(self.completions_position.unwrap_or_default());
        let with_payments = || self.slis.iter().filter(|sli| sli.completions.is_some());
        out.len(with_payments().count());
        for sli in with_payments() {
            out.text(&sli.definition.name);
            sli.encode_completions(out);
        }
    }

    /// The last position of the log of completions that is counted.
    #[must_use]
    pub fn completions_position(&self) -> Option<u64> {
        self.completions_position
    }
}

impl Completions {
    pub(super) fn encode(&self, out: &mut Writer) {
        self.tracker.encode(out);
        out.len(self.by_reason.len());
        self.by_reason.iter().for_each(|sums| sums.encode(out));
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let tracker = Tracker::decode(input)?;
        let length = input.len()?;
        let by_reason = (0..length).map(|_| PrefixSums::decode(input));
        let by_reason = by_reason.collect::<Result<_, SloError>>()?;
        Ok(Self {
            tracker,
            by_reason,
            nodes: BTreeMap::new(),
        })
    }
}

impl Sli {
    /// Its payments, and what its groups count beside their sums, in the order of the groups.
    pub(super) fn encode_completions(&self, out: &mut Writer) {
        if let Some(completions) = &self.completions {
            completions.encode(out);
        }
        for node in &self.nodes {
            out.bool(node.cohorts.is_some());
            if let Some(cohorts) = &node.cohorts {
                cohorts.encode(out);
            }
        }
    }

    pub(super) fn decode_completions(&mut self, input: &mut Reader<'_>) -> Result<(), SloError> {
        self.completions = Some(Box::new(Completions::decode(input)?));
        for node in &mut self.nodes {
            if input.bool()? {
                node.cohorts = Some(Box::new(PrefixSums::decode(input)?));
            }
        }
        Ok(())
    }

    /// Has payments where it is an indicator by completion, and none otherwise; groups may be others than before.
    pub(super) fn ready_completions(&mut self) {
        let known = self.completions.take();
        if matches!(self.definition.events, Events::Completion(_)) {
            let mut completions = known.unwrap_or_default();
            completions.nodes.clear();
            self.completions = Some(completions);
        }
    }

    fn on_completions(&mut self, batch: &CompletionBatch, settings: Settings) {
        let Events::Completion(definition) = &self.definition.events else {
            return;
        };
        if definition.stream != batch.stream {
            return;
        }
        let Some(mut completions) = self.completions.take() else {
            return;
        };
        let limits = Limits::new(
            settings.lateness.window_ms,
            settings.max_gap_ms() / 3,
            settings.groups_max,
        );
        let mut effects = Vec::with_capacity(2 * batch.events.len());
        let heard = completions
            .tracker
            .on_batch(batch, definition, limits, &mut |effect| effects.push(effect));
        if let Some((told_ms, _)) = &heard
            && told_ms.saturating_sub(self.thinned_ms) >= THIN_OUT_EVERY_MS
        {
            self.thin_out_from(*told_ms);
        }
        for effect in effects {
            self.count_payment(&mut completions, effect, settings);
        }
        if let Some((told_ms, covers)) = heard {
            let covers = |node: &Node| {
                let mut labels = covers.iter();
                labels.all(|(name, value)| node.group.get(name).is_none_or(|known| known == value))
            };
            for node in self.nodes.iter_mut().filter(|node| covers(node)) {
                node.coverage.on_sample(told_ms, settings.max_gap_ms());
            }
        }
        self.completions = Some(completions);
    }

    /// Counts what an event changed, in every group of its payment.
    fn count_payment(&mut self, completions: &mut Completions, effect: Effect, settings: Settings) {
        let edges = self.tiers;
        for index in self.nodes_of(completions, effect.group, settings.groups_max) {
            let node = &mut self.nodes[index as usize];
            if effect.begins {
                node.retired = false;
                node.coverage.on_sample(effect.at_ms, settings.max_gap_ms());
            }
            node.counts.add(effect.at_ms, [effect.bad, effect.total]);
            node.doubt
                .add(effect.at_ms, [effect.untold, effect.untold, 0, 0, 0, 0]);
            node.counts.thin_out(edges);
            node.doubt.thin_out(edges);
            let cohorts = node.cohorts.get_or_insert_default();
            cohorts.add(
                effect.at_ms,
                [i64::from(effect.begins), effect.rejected, effect.late],
            );
            cohorts.thin_out(edges);
        }
        if effect.rejected != 0 {
            let reason = usize::from(effect.reason);
            if completions.by_reason.len() <= reason {
                completions.by_reason.resize_with(reason + 1, PrefixSums::default);
            }
            completions.by_reason[reason].add(effect.at_ms, [effect.rejected]);
            completions.by_reason[reason].thin_out(edges);
        }
    }

    /// The nodes of a group of payments at every level; of one of too many groups, the whole alone.
    fn nodes_of(&mut self, completions: &mut Completions, group: Option<u32>, groups_max: usize) -> Vec<u32> {
        let known = group.and_then(|group| completions.nodes.get(&group));
        if let Some(nodes) = known {
            return nodes.clone();
        }
        let labels = group.and_then(|group| completions.tracker.group_labels(group));
        let nodes = labels.and_then(|labels| self.nodes_for(labels, groups_max));
        let nodes = nodes.unwrap_or_else(|| vec![self.node(Labels::new())]);
        if let Some(group) = group {
            completions.nodes.insert(group, nodes.clone());
        }
        nodes
    }

    /// What is beside the counts of a group in a window; `None` where it is no indicator by completion.
    pub(super) fn completion(&self, node: &Node, window: Bounds) -> Option<CompletionReading> {
        let completions = self.completions.as_ref()?;
        let edges = self.tiers;
        let (from_ms, to_ms) = (window.start_ms, window.end_ms);
        let cohorts = node.cohorts.as_ref();
        let cohorts = cohorts.map(|sums| sums.window(edges, from_ms, to_ms).sums);
        let [begun, rejected, late] = cohorts.unwrap_or_default();
        let decided = self.read(node, None, from_ms, to_ms).1.total + rejected;
        let reasons = completions.tracker.reasons().iter().zip(&completions.by_reason);
        let reasons =
            reasons.map(|(reason, sums)| (reason.clone(), sums.window(edges, from_ms, to_ms).sums[0]));
        Some(CompletionReading {
            pending: begun.saturating_sub(decided),
            rejected,
            rejected_by_reason: reasons
                .filter(|(_, count)| *count > 0 && node.group.is_empty())
                .collect(),
            late,
            told: completions.tracker.told,
        })
    }
}
