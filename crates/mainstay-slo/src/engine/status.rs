//! Reading: how an objective stands in a group, and any window of an indicator.

use jiff::Timestamp;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Labels, SloId};

use super::completion::CompletionReading;
use super::exclude::ExcludedStretch;
use super::judge::Judged;
use super::node::Node;
use super::presence::{EstimatedLoss, Outside, Traffic};
use super::{Judge, SloEngine};
use crate::burn::BurnReading;
use crate::objective::{Budget, Objective, Promise};
use crate::slice::{Budgeting, Unit};
use crate::tally::{Counts, Doubt};
use crate::window::Bounds;

/// Whether a promise is kept. Unknown is a value: it is never shown as ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusValue {
    /// Kept, by what was counted.
    Ok,
    /// Not kept.
    Breached,
    /// The group is not seen now, never was, or is over.
    Unknown,
}

/// How an objective stands in a group.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Status {
    /// The objective.
    pub slo: SloId,
    /// The group; empty: the whole.
    pub group: Labels,
    /// Whether it is kept.
    pub value: StatusValue,
    /// The state of its budget: the last one known, which blindness neither freezes nor thaws.
    pub state: BudgetState,
    /// The window of the promise.
    pub window: Bounds,
    /// Between which edges the counts are exact.
    pub counted: Bounds,
    /// The budget without what is excluded, and what its counts are in: what the state, the gate and the contract go by.
    pub budget: Budget,
    /// The same of everything that was counted. Both are always shown.
    pub raw: Budget,
    /// What is excluded.
    pub excluded: Vec<ExcludedStretch>,
    /// What the counts cannot say.
    pub doubt: Doubt,
    /// How much of the window up to now nothing was seen, in milliseconds: before counting began, or in gaps.
    pub unknown_ms: i64,
    /// Since when nothing is seen, in milliseconds since the epoch, if that is so now.
    pub blind_since_ms: Option<i64>,
    /// Why nothing can be said, where that is a threshold at which no bucket ends.
    pub missing_edge: Option<MissingEdge>,
    /// The newest sample, in milliseconds since the epoch.
    pub last_sample_ms: Option<i64>,
    /// Each pair of burn-rate windows.
    pub burn: Vec<BurnReading>,
    /// What is beside the counts of an indicator by completion: payments that are not decided, rejected, late.
    pub completion: Option<CompletionReading>,
    /// How much traffic there is against its floor, where it has one and is seen.
    pub traffic: Option<Traffic>,
    /// What probes say from outside, where it has some.
    pub outside: Option<Outside>,
    /// Events that never arrived in the window, by what is usual while probes failed: an estimate, and part of no count
    /// and no budget. `None` where there are no probes.
    pub lost: Option<EstimatedLoss>,
}

/// A latency threshold at which no bucket ends.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MissingEdge {
    /// The bucket that the indicator asks for.
    pub bucket: String,
    /// The edges that there are, rising.
    pub edges: Vec<String>,
}

impl std::fmt::Display for MissingEdge {
    /// `no bucket x_bucket{le="0.2"} is there to say which events are good; the edges are 0.1, 0.25, +Inf: choose one of
    /// them as the threshold, or add the bucket`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "no bucket {} is there to say which events are good",
            self.bucket
        )?;
        if self.edges.is_empty() {
            return f.write_str(": choose the edge of a bucket that its sources have as the threshold");
        }
        write!(
            f,
            "; the edges are {}: choose one of them as the threshold, or add the bucket",
            self.edges.join(", ")
        )
    }
}

/// The counts of one group in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct GroupWindow {
    /// The edges between which the counts are exact.
    pub counted: Bounds,
    /// The counts.
    pub counts: Counts,
    /// What they are in.
    pub unit: Unit,
    /// What they cannot say.
    pub doubt: Doubt,
}

impl SloEngine {
    /// How an objective stands in a group (its group labels; no labels for the whole) at `now`. `None` if there is no
    /// such objective; a group that was never seen is unknown.
    #[must_use]
    pub fn status(&self, slo: &SloId, group: &Labels, now: Timestamp) -> Option<Status> {
        let judge = self.judge_of(slo)?;
        let sli = &self.slis[judge.sli];
        let level = &sli.levels[judge.level];
        let Some(index) = sli.by_group.get(group) else {
            return Some(self.status_of(judge, &Node::new(group.clone()), None, now));
        };
        let node = &sli.nodes[*index as usize];
        // A group of another level is judged by nobody.
        let judged = level
            .get(node.place as usize)
            .filter(|other| *other == index)
            .and_then(|_| judge.judged.get(node.place as usize));
        Some(self.status_of(judge, node, judged, now))
    }

    /// How an objective stands in every group that it is judged in, in the order of the groups' labels.
    #[must_use]
    pub fn statuses(&self, slo: &SloId, now: Timestamp) -> Vec<Status> {
        let Some(judge) = self.judge_of(slo) else {
            return Vec::new();
        };
        let sli = &self.slis[judge.sli];
        let mut statuses: Vec<Status> = sli.levels[judge.level]
            .iter()
            .enumerate()
            .map(|(place, node)| {
                self.status_of(judge, &sli.nodes[*node as usize], judge.judged.get(place), now)
            })
            .collect();
        statuses.sort_by(|a, b| a.group.cmp(&b.group));
        statuses
    }

    fn status_of(&self, judge: &Judge, node: &Node, judged: Option<&Judged>, now: Timestamp) -> Status {
        let objective = &judge.objective;
        let sli = &self.slis[judge.sli];
        let view = judge.view(&self.slis, node, now);
        let window = view.bounds;
        let until_ms = window.end_ms.min(now.as_millisecond());
        let budget = view.budget();
        let blind_since_ms = view.blind_since(&self.settings);
        let last_sample_ms = view.last_ms();
        let seen = last_sample_ms.is_some() && blind_since_ms.is_none() && !view.is_retired();
        let counted = view.window(window.start_ms, until_ms);
        let now_ms = now.as_millisecond();
        let probes = judge.probes.map(|probes| &self.slis[probes]);
        Status {
            completion: sli.completion(node, counted.counted),
            traffic: view.traffic().filter(|_| seen),
            outside: probes.map(|probes| probes.outside(&node.group, now_ms, self.settings)),
            lost: probes.map(|probes| view.estimated_loss(probes, window.start_ms, until_ms)),
            slo: objective.id.clone(),
            group: node.group.clone(),
            value: match (seen, budget.is_kept()) {
                (false, _) => StatusValue::Unknown,
                (true, true) => StatusValue::Ok,
                (true, false) => StatusValue::Breached,
            },
            state: match judged.map(|judged| judged.state.0) {
                Some(state) if state != BudgetState::Unknown => state,
                _ if seen => budget.plain_state(objective.budget),
                _ => BudgetState::Unknown,
            },
            window,
            counted: counted.counted,
            budget,
            raw: Budget {
                counts: counted.counts,
                ..budget
            },
            excluded: judge.excluded_of(sli, &node.group, counted.counted),
            doubt: counted.doubt,
            unknown_ms: view.unknown_ms(until_ms, &self.settings),
            blind_since_ms,
            missing_edge: view.missing_edge(),
            last_sample_ms,
            burn: objective
                .burn
                .pairs
                .iter()
                .map(|pair| {
                    let since = judged.and_then(|judged| judged.firing.get(&(pair.long_ms, pair.short_ms)));
                    view.read(*pair, since.copied())
                })
                .collect(),
        }
    }

    /// Counts an indicator's group in any window after `from_ms` up to `to_ms`; the window is widened to the edges of
    /// its slices. `None` if there is no such indicator or group.
    #[must_use]
    pub fn window(&self, sli: &str, group: &Labels, from_ms: i64, to_ms: i64) -> Option<GroupWindow> {
        let sli = self.slis.iter().find(|known| known.definition.name == sli)?;
        let node = &sli.nodes[*sli.by_group.get(group)? as usize];
        let (counted, counts) = sli.read(node, None, from_ms, to_ms);
        Some(GroupWindow {
            counted,
            counts,
            unit: Unit::of(&sli.definition.events, Budgeting::Occurrences),
            doubt: sli.doubt_in(node, from_ms, to_ms),
        })
    }

    /// Counts what an objective counts, events or slices, in any window after `from_ms` up to `to_ms`. Slices count if they
    /// end in it. `None` if there is no such objective or group.
    #[must_use]
    pub fn objective_window(
        &self,
        slo: &SloId,
        group: &Labels,
        from_ms: i64,
        to_ms: i64,
    ) -> Option<GroupWindow> {
        let judge = self.judge_of(slo)?;
        let sli = &self.slis[judge.sli];
        let node = &sli.nodes[*sli.by_group.get(group)? as usize];
        let now = Timestamp::from_millisecond(to_ms).ok()?;
        Some(judge.view(&self.slis, node, now).window(from_ms, to_ms))
    }

    /// The objective by which incidents are judged: the first promise to ourselves with burn alerts, else the first of all;
    /// only of those that count events.
    #[must_use]
    pub fn yardstick(&self) -> Option<&Objective> {
        let counts_events = |judge: &&Judge| {
            let events = &self.slis[judge.sli].definition.events;
            Unit::of(events, Budgeting::Occurrences) == Unit::Events
        };
        let pages = |objective: &&Objective| {
            objective.promise == Promise::Objective && !objective.burn.pairs.is_empty()
        };
        let mut objectives = self
            .judges
            .iter()
            .filter(counts_events)
            .map(|judge| &judge.objective);
        objectives.clone().find(pages).or_else(|| objectives.next())
    }

    /// What an objective's counts are in: its budget, its burn-down, its burn-rate windows.
    #[must_use]
    pub fn unit(&self, slo: &SloId) -> Option<Unit> {
        let judge = self.judge_of(slo)?;
        let events = &self.slis[judge.sli].definition.events;
        Some(Unit::of(events, judge.objective.budgeting))
    }

    /// How an objective's adjusted counts grew in its window up to `now`: from the window's start, at `points` instants at even
    /// distances (at most 1,000), the last of them now. For burn-down charts; [`SloEngine::unit`] says in what.
    #[must_use]
    pub fn burn_down(&self, slo: &SloId, group: &Labels, now: Timestamp, points: u16) -> Vec<(i64, Counts)> {
        let Some(judge) = self.judge_of(slo) else {
            return Vec::new();
        };
        let sli = &self.slis[judge.sli];
        let Some(node) = sli.by_group.get(group).map(|node| &sli.nodes[*node as usize]) else {
            return Vec::new();
        };
        let view = judge.view(&self.slis, node, now);
        let window = view.bounds;
        let until_ms = window.end_ms.min(now.as_millisecond());
        let points = i64::from(points.clamp(1, 1_000));
        (1..=points)
            .map(|point| {
                let at_ms = window.start_ms + (until_ms - window.start_ms) * point / points;
                (
                    at_ms,
                    view.counted_without(&judge.excluded, window.start_ms, at_ms).1,
                )
            })
            .collect()
    }

    /// Every group of an indicator, at every level, in the order of their labels.
    pub fn groups(&self, sli: &str) -> impl Iterator<Item = &Labels> {
        let sli = self.slis.iter().find(|known| known.definition.name == sli);
        sli.into_iter().flat_map(|sli| sli.by_group.keys())
    }
}
