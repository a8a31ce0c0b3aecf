//! What was told in the course of time: pages, budgets that changed their state, freezes, blindness.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::fact::{BudgetState, BudgetStateChanged};
use mainstay_kernel::{Digest, Labels, SloId};
use serde::Serialize;

use crate::burn::BurnPair;
use crate::engine::{AlertCause, AlertTransition, Ingested, SloEngine, Status};
use crate::objective::Objective;

/// The most entries of each kind that are kept; the later ones are counted only.
const ENTRIES_MAX: usize = 100_000;

/// An alert that a pair of burn-rate windows would have raised.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    /// The objective.
    pub slo: SloId,
    /// Its group.
    pub group: Labels,
    /// The pair that fired; its severity says whether somebody is paged.
    pub pair: BurnPair,
    /// When it began.
    pub from: Timestamp,
    /// When it was over; none: it still fires at the end.
    pub to: Option<Timestamp>,
}

/// A stretch of time in one group of an objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// The objective.
    pub slo: SloId,
    /// Its group.
    pub group: Labels,
    /// When it began.
    pub from: Timestamp,
    /// When it was over; none: it lasts at the end.
    pub to: Option<Timestamp>,
}

/// A budget's state became another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetChange {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub change: BudgetStateChanged,
}

/// What a replay has told so far. Bounded: entries beyond 100,000 of a kind are counted, not kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    pages: Vec<Page>,
    budgets: Vec<BudgetChange>,
    freezes: Vec<Stretch>,
    blind: Vec<Stretch>,
    absent: Vec<Stretch>,
    left_out: u64,
    /// Where alerts that fire are kept, by fingerprint.
    firing: BTreeMap<Digest, (Kept, usize)>,
    frozen: BTreeMap<(SloId, Labels), usize>,
}

/// In which list an alert is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Pages,
    Blind,
    Absent,
}

impl From<AlertCause> for Kept {
    fn from(cause: AlertCause) -> Self {
        match cause {
            AlertCause::Burn(_) => Self::Pages,
            AlertCause::Blind => Self::Blind,
            AlertCause::TrafficLow | AlertCause::Unreachable => Self::Absent,
        }
    }
}

/// What came of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Burn-rate alerts, by their beginning.
    pub pages: Vec<Page>,
    /// Budgets that changed their state.
    pub budgets: Vec<BudgetChange>,
    /// Stretches in which a budget was exhausted, which is when a policy freezes.
    pub freezes: Vec<Stretch>,
    /// Stretches in which a group was not seen for so long that it alerts.
    pub blind: Vec<Stretch>,
    /// Stretches in which traffic was under its floor, or probes did not come through.
    pub absent: Vec<Stretch>,
    /// Entries that are not in these lists, for want of room.
    pub left_out: u64,
    /// How every objective stands at the end in every group, in the catalog's order.
    pub standings: Vec<Status>,
    /// What became of the samples.
    pub ingested: Ingested,
}

impl Timeline {
    /// Writes down what one evaluation said.
    pub fn note(&mut self, at: Timestamp, alerts: Vec<AlertTransition>, budgets: Vec<BudgetStateChanged>) {
        for alert in alerts {
            self.note_alert(alert);
        }
        for change in budgets {
            self.note_budget(at, change);
        }
    }

    fn note_alert(&mut self, alert: AlertTransition) {
        let fingerprint = alert.alert.fingerprint;
        if !alert.firing {
            match self.firing.remove(&fingerprint) {
                Some((Kept::Pages, index)) => self.pages[index].to = Some(alert.at),
                Some((Kept::Blind, index)) => self.blind[index].to = Some(alert.at),
                Some((Kept::Absent, index)) => self.absent[index].to = Some(alert.at),
                None => {}
            }
            return;
        }
        let list = Kept::from(alert.cause);
        let kept = match list {
            Kept::Pages => self.pages.len(),
            Kept::Blind => self.blind.len(),
            Kept::Absent => self.absent.len(),
        };
        if kept >= ENTRIES_MAX {
            self.left_out += 1;
            return;
        }
        let (slo, group, from) = (alert.slo, alert.group, alert.at);
        if let AlertCause::Burn(pair) = alert.cause {
            self.pages.push(Page {
                slo,
                group,
                pair,
                from,
                to: None,
            });
        } else {
            let stretches = if list == Kept::Blind {
                &mut self.blind
            } else {
                &mut self.absent
            };
            stretches.push(Stretch {
                slo,
                group,
                from,
                to: None,
            });
        }
        self.firing.insert(fingerprint, (list, kept));
    }

    fn note_budget(&mut self, at: Timestamp, change: BudgetStateChanged) {
        let key = (change.slo.clone(), change.group.clone());
        if change.from == BudgetState::Exhausted
            && let Some(index) = self.frozen.remove(&key)
        {
            self.freezes[index].to = Some(at);
        }
        if change.to == BudgetState::Exhausted {
            if self.freezes.len() < ENTRIES_MAX {
                self.frozen.insert(key, self.freezes.len());
                self.freezes.push(Stretch {
                    slo: change.slo.clone(),
                    group: change.group.clone(),
                    from: at,
                    to: None,
                });
            } else {
                self.left_out += 1;
            }
        }
        if self.budgets.len() < ENTRIES_MAX {
            self.budgets.push(BudgetChange { at, change });
        } else {
            self.left_out += 1;
        }
    }

    /// What came of it, with how everything stands at `now`.
    #[must_use]
    pub fn finish(self, engine: &SloEngine, now: Timestamp) -> Outcome {
        let standings = engine.objectives().flat_map(|objective: &Objective| {
            let mut standings = engine.statuses(&objective.id, now);
            if standings.is_empty() {
                standings.extend(engine.status(&objective.id, &Labels::new(), now));
            }
            standings
        });
        Outcome {
            standings: standings.collect(),
            ingested: engine.ingested(),
            pages: self.pages,
            budgets: self.budgets,
            freezes: self.freezes,
            blind: self.blind,
            absent: self.absent,
            left_out: self.left_out,
        }
    }
}

impl Outcome {
    /// One outcome of several that each tell of other objectives; `order` says at which place of the catalog an objective
    /// stands. What is equal to a replay of all at once comes out, whatever the parts were.
    pub(super) fn merge(parts: Vec<Self>, order: impl Fn(&SloId) -> usize) -> Self {
        let mut all = Self {
            pages: Vec::new(),
            budgets: Vec::new(),
            freezes: Vec::new(),
            blind: Vec::new(),
            absent: Vec::new(),
            left_out: 0,
            standings: Vec::new(),
            ingested: Ingested::default(),
        };
        for part in parts {
            all.pages.extend(part.pages);
            all.budgets.extend(part.budgets);
            all.freezes.extend(part.freezes);
            all.blind.extend(part.blind);
            all.absent.extend(part.absent);
            all.standings.extend(part.standings);
            all.left_out += part.left_out;
            all.ingested.add(part.ingested);
        }
        // Sorting is stable: what one objective said at one instant stays in its order.
        all.pages.sort_by_key(|page| (page.from, order(&page.slo)));
        all.budgets.sort_by_key(|one| (one.at, order(&one.change.slo)));
        for stretches in [&mut all.freezes, &mut all.blind, &mut all.absent] {
            stretches.sort_by_key(|stretch| (stretch.from, order(&stretch.slo)));
            all.left_out += cut(stretches);
        }
        all.left_out += cut(&mut all.pages) + cut(&mut all.budgets);
        all.standings.sort_by_key(|standing| order(&standing.slo));
        all
    }
}

/// Leaves as many entries as one replay of all would have kept.
fn cut<T>(entries: &mut Vec<T>) -> u64 {
    let excess = entries.len().saturating_sub(ENTRIES_MAX);
    entries.truncate(ENTRIES_MAX);
    excess as u64
}
