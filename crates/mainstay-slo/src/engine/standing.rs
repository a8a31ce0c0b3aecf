//! What a decision about a change rests on: a group's budget as of the last instant at which all of it was seen.
//!
//! Looking one group up costs the logarithm of the groups and of its slices, whatever their number; only whether a sum is
//! seen ([`SloEngine::sight`]) costs its parts, and is therefore asked for apart.

use jiff::Timestamp;
use mainstay_kernel::{Labels, Scope, SloId};

use super::SloEngine;
use super::judge::View;
use super::node::Node;
use crate::objective::{Budget, BudgetPolicy};
use crate::window::{Bounds, Window};

/// The most periods of a calendar that are looked back at. Days of five weeks are among them.
const PERIODS_MAX: usize = 35;

/// Whether a group is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sight {
    /// Whether it was ever seen.
    pub seen: bool,
    /// Since when it, or a part of it, is not seen, in milliseconds since the epoch, if that is so now.
    pub blind_since_ms: Option<i64>,
}

/// How an objective stands in a group, for who decides by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The objective.
    pub slo: SloId,
    /// The group; empty: the whole.
    pub group: Labels,
    /// What the group is of the platform.
    pub scope: Scope,
    /// The objective's window, in words.
    pub window: String,
    /// Whether that is a period of a calendar, whose budget is a new one with each period.
    pub is_calendar: bool,
    /// The window as of the last instant at which all was seen.
    pub bounds: Bounds,
    /// The budget in that window.
    pub budget: Budget,
    /// When its state changes.
    pub policy: BudgetPolicy,
    /// Whether the group is seen.
    pub sight: Sight,
    /// What a period before this one left behind.
    pub exhausted: Option<ExhaustedPeriod>,
}

/// A calendar period that ended with nothing left, and reaches into the rolling window that must recover from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExhaustedPeriod {
    /// The period.
    pub period: Bounds,
    /// Its budget.
    pub budget: Budget,
    /// The budget of the rolling window.
    pub rolling: Budget,
}

impl SloEngine {
    /// Whether a group of an objective is seen. `None` if there is no such objective. Cost: the parts of the group.
    #[must_use]
    pub fn sight(&self, slo: &SloId, group: &Labels, now: Timestamp) -> Option<Sight> {
        let judge = self.judge_of(slo)?;
        let sli = &self.slis[judge.sli];
        let Some(index) = sli.by_group.get(group) else {
            return Some(Sight::default());
        };
        let node = &sli.nodes[*index as usize];
        let (gap_ms, retire_ms) = (self.settings.max_gap_ms(), self.settings.retire_after_ms);
        Some(Sight {
            seen: node.coverage.last_ms().is_some(),
            blind_since_ms: sli.blind_since(node, now.as_millisecond(), gap_ms, retire_ms),
        })
    }

    /// How an objective stands in a group (its group labels; no labels for the whole) of which `sight` is known. Periods
    /// that were exhausted are looked for in the last `recovery_ms` milliseconds. `None` if there is no such objective.
    #[must_use]
    pub fn standing(
        &self,
        slo: &SloId,
        group: &Labels,
        sight: Sight,
        recovery_ms: i64,
        now: Timestamp,
    ) -> Option<Standing> {
        let judge = self.judge_of(slo)?;
        let sli = &self.slis[judge.sli];
        let nothing = Node::new(group.clone());
        let node = sli.by_group.get(group).map(|index| &sli.nodes[*index as usize]);
        let as_of = sight
            .blind_since_ms
            .and_then(|since_ms| Timestamp::from_millisecond(since_ms).ok())
            .unwrap_or(now);
        let objective = &judge.objective;
        let view = judge.view(&self.slis, node.unwrap_or(&nothing), as_of);
        Some(Standing {
            slo: slo.clone(),
            group: group.clone(),
            scope: view.scope(),
            window: objective.window.to_string(),
            is_calendar: matches!(objective.window, Window::Calendar(_)),
            bounds: view.bounds,
            budget: view.budget(),
            policy: objective.budget,
            sight,
            exhausted: view.exhausted_period(recovery_ms),
        })
    }

    /// The groups of an objective that have exactly these labels. None if its indicator does not group by them.
    pub fn groups_with(&self, slo: &SloId, labels: &[String]) -> impl Iterator<Item = &Labels> {
        let level = self.judge_of(slo).and_then(|judge| {
            let sli = &self.slis[judge.sli];
            Some((sli, &sli.levels[sli.level_of(labels)?]))
        });
        level.into_iter().flat_map(|(sli, level)| {
            let nodes = level.iter();
            nodes.map(|node| &sli.nodes[*node as usize].group)
        })
    }
}

impl View<'_> {
    /// The newest period before this one that was exhausted, among those that reach into the last `recovery_ms`.
    fn exhausted_period(&self, recovery_ms: i64) -> Option<ExhaustedPeriod> {
        let Window::Calendar(_) = self.objective.window else {
            return None;
        };
        let now_ms = self.now.as_millisecond();
        let from_ms = now_ms.saturating_sub(recovery_ms);
        let budget = |window_ms: i64, start_ms: i64, end_ms: i64| Budget {
            target: self.objective.target,
            window_ms,
            counts: self.counted_without(self.excluded, start_ms, end_ms).1,
            unit: self.unit(),
            to_come: 0,
        };
        // Periods are closed on the right: where one starts belongs to the one before.
        let before = |start_ms: i64| {
            let at = Timestamp::from_millisecond(start_ms).ok()?;
            Some(self.objective.window.bounds(at)).filter(|period| period.start_ms < start_ms)
        };
        let periods = std::iter::successors(before(self.bounds.start_ms), |period| before(period.start_ms));
        let (period, spent) = periods
            .take(PERIODS_MAX)
            .take_while(|period| period.end_ms > from_ms)
            .map(|period| (period, budget(period.length_ms(), period.start_ms, period.end_ms)))
            .find(|(_, budget)| budget.is_exhausted())?;
        Some(ExhaustedPeriod {
            period,
            budget: spent,
            rolling: budget(recovery_ms, from_ms, now_ms),
        })
    }
}
