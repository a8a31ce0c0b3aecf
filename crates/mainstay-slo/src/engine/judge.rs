//! Judging: which budgets change their state and which alerts fire or resolve, at an instant.

use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::fact::{AlertFact, BudgetState, BudgetStateChanged};
use mainstay_kernel::{Labels, Scope};

use super::alert::{AlertTransition, blind_labels, burn_labels};
use super::calm::{Calm, Calms, Quiet};
use super::composite::Part;
use super::exclude::Regions;
use super::node::Node;
use super::{Judge, Settings, Sli, SloEngine};
use crate::burn::{BurnPair, BurnReading};
use crate::objective::{Budget, Objective};
use crate::prefix::Begin;
use crate::slice::Unit;
use crate::tally::Counts;
use crate::window::{Bounds, Window};

/// What was last said about a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) state: State,
    /// The start of the calendar period it was said about.
    pub(super) period_ms: Option<i64>,
    /// Which pairs fire (by long and short window), and since when.
    pub(super) firing: BTreeMap<(i64, i64), i64>,
    /// Since when the alert about blindness fires.
    pub(super) blind_ms: Option<i64>,
    /// Since when the alert about too little traffic fires.
    pub(super) low_ms: Option<i64>,
    /// Since when the alert about probes that do not come through fires.
    pub(super) unreachable_ms: Option<i64>,
}

/// A budget's state that starts as unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(pub(super) BudgetState);

impl Default for State {
    fn default() -> Self {
        Self(BudgetState::Unknown)
    }
}

impl Judged {
    /// Forgets pairs that the objective no longer has.
    pub(super) fn keep_pairs_of(&mut self, objective: &Objective) {
        let pairs = &objective.burn.pairs;
        self.firing
            .retain(|key, _| pairs.iter().any(|pair| (pair.long_ms, pair.short_ms) == *key));
        self.blind_ms = self.blind_ms.filter(|_| !pairs.is_empty());
        self.low_ms = self.low_ms.filter(|_| objective.traffic_floor.is_some());
        self.unreachable_ms = self.unreachable_ms.filter(|_| objective.probes.is_some());
    }
}

/// What changed at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// Alerts that began or ended.
    pub alerts: Vec<AlertTransition>,
    /// Budgets whose state is another. A budget that is healthy when it is first known says nothing.
    pub budgets: Vec<BudgetStateChanged>,
}

impl SloEngine {
    /// Judges every objective in every group at `now`. Call it every 10 s; what it returns is to be written down
    /// before it is acted upon.
    pub fn evaluate(&mut self, now: Timestamp) -> Evaluation {
        let now_ms = now.as_millisecond();
        self.sweep(now_ms);
        self.gather();
        let mut evaluation = Evaluation::default();
        for judge in &mut self.judges {
            judge.evaluate(&self.slis, now, &self.settings, self.started_ms, &mut evaluation);
        }
        evaluation
    }

    /// Every alert that fires.
    #[must_use]
    pub fn firing(&self) -> Vec<AlertTransition> {
        self.judges
            .iter()
            .flat_map(|judge| judge.firing(&self.slis))
            .collect()
    }

    /// Takes over alerts that are known to fire (from the journal, after a restart from an older state), so that they
    /// are not raised a second time. Alerts of objectives or groups that are not known here are handed back.
    pub fn adopt_firing<'a>(
        &mut self,
        alerts: impl IntoIterator<Item = &'a AlertFact>,
    ) -> Vec<&'a AlertFact> {
        alerts.into_iter().filter(|alert| !self.adopt(alert)).collect()
    }

    fn adopt(&mut self, alert: &AlertFact) -> bool {
        let slis = &self.slis;
        let Some(judge) = self
            .judges
            .iter_mut()
            .find(|judge| alert.labels.get("slo") == Some(judge.objective.id.as_str()))
        else {
            return false;
        };
        let sli = &slis[judge.sli];
        let never_seen = blind_labels(&judge.objective, &Labels::new()).fingerprint() == alert.fingerprint;
        if never_seen && sli.levels[judge.level].is_empty() {
            judge.never_seen_ms = Some(alert.starts_at.as_millisecond());
            return true;
        }
        judge.forget_calm();
        judge
            .judged
            .resize_with(sli.levels[judge.level].len(), Judged::default);
        for (node, judged) in sli.levels[judge.level].iter().zip(&mut judge.judged) {
            let group = &sli.nodes[*node as usize].group;
            let since_ms = alert.starts_at.as_millisecond();
            for pair in &judge.objective.burn.pairs {
                if burn_labels(&judge.objective, group, *pair).fingerprint() == alert.fingerprint {
                    judged.firing.insert((pair.long_ms, pair.short_ms), since_ms);
                    return true;
                }
            }
            if blind_labels(&judge.objective, group).fingerprint() == alert.fingerprint {
                judged.blind_ms = Some(since_ms);
                return true;
            }
            if judged.adopt_presence(&judge.objective, group, alert) {
                return true;
            }
        }
        false
    }
}

impl Judge {
    /// To be called when anything but time and samples changes.
    pub(super) fn forget_calm(&mut self) {
        self.calms.clear();
        self.quiet = Quiet::NONE;
    }

    /// Judges every group. A group of which nothing can have changed costs two comparisons; so does a whole objective, if
    /// it has few groups.
    fn evaluate(
        &mut self,
        slis: &[Sli],
        now: Timestamp,
        settings: &Settings,
        started_ms: i64,
        evaluation: &mut Evaluation,
    ) {
        let now_ms = now.as_millisecond();
        let sli = &slis[self.sli];
        let nodes = &sli.levels[self.level];
        if self.quiet.holds(now_ms, sli, nodes, &self.calms) {
            return;
        }
        let bounds = self.bounds_at(now);
        let (objective, column, parts) = (&self.objective, self.column, self.parts.as_slice());
        let nothing;
        let view = |node, begins| View {
            objective,
            slis,
            sli,
            node,
            column,
            parts,
            now,
            bounds,
            excluded: &self.excluded,
            silenced: &self.silenced,
            begins,
        };
        let after_ms = settings.blind_after_ms;
        // An objective that nothing was ever seen of is as blind as one that went dark.
        if nodes.is_empty() || self.never_seen_ms.is_some() {
            let since_ms = started_ms.max(sli.counting.since_ms);
            let unseen_ms = nodes.is_empty().then(|| now_ms.saturating_sub(since_ms));
            nothing = Node::new(Labels::new());
            view(&nothing, &[]).judge_blindness(&mut self.never_seen_ms, unseen_ms, after_ms, evaluation);
        }
        self.judged.resize_with(nodes.len(), Judged::default);
        let pairs = objective.burn.pairs.len();
        self.calms.resize_with(nodes.len(), || Calms::none(pairs));
        let mut quiet = Quiet::from(now_ms, objective, sli);
        let groups = self.judged.iter_mut().zip(&mut self.calms);
        for (node, (judged, calms)) in nodes.iter().zip(groups) {
            let begins = Cell::from_mut(&mut *calms.begins).as_slice_of_cells();
            let view = view(&sli.nodes[*node as usize], begins);
            if view.is_retired() {
                view.end_all(judged, evaluation);
                // What fired does not any more.
                calms.pairs.fill(Calm::NONE);
                calms.all = Calm::NONE;
                continue;
            }
            let blind = view.blind_since(settings);
            // Nobody looked while the engine was not running: blindness begins when it does.
            let unseen_ms = blind.map(|since| now_ms.saturating_sub(since.max(started_ms)));
            view.judge_blindness(&mut judged.blind_ms, unseen_ms, after_ms, evaluation);
            if blind.is_none() && !view.is_calm(calms.all) {
                view.judge_budget(judged, &mut calms.budget, evaluation);
                view.judge_burn(judged, &mut calms.pairs, evaluation);
                calms.all = Calm::of_all(calms.budget, &calms.pairs);
            }
            if blind.is_none() {
                view.judge_traffic(judged, evaluation);
                quiet.and(calms.all, sli, view.node, settings);
            } else {
                quiet.end();
            }
            if let Some(probes) = self.probes.map(|probes| &slis[probes]) {
                let outside = probes.outside(&view.node.group, now_ms, *settings);
                view.judge_reach(judged, blind.is_some(), outside, evaluation);
            }
        }
        let is_known = !nodes.is_empty() && self.never_seen_ms.is_none();
        self.quiet = if is_known { quiet } else { Quiet::NONE };
    }

    /// The window at `now`. A period of a calendar is looked up once.
    fn bounds_at(&mut self, now: Timestamp) -> Bounds {
        let now_ms = now.as_millisecond();
        let is_calendar = matches!(self.objective.window, Window::Calendar(_));
        let known = self
            .bounds
            .filter(|known| is_calendar && known.start_ms < now_ms && now_ms <= known.end_ms);
        let bounds = known.unwrap_or_else(|| self.objective.window.bounds(now));
        self.bounds = Some(bounds);
        bounds
    }

    fn firing(&self, slis: &[Sli]) -> Vec<AlertTransition> {
        let sli = &slis[self.sli];
        let mut firing = Vec::new();
        let nothing = Node::new(Labels::new());
        if let Some(since_ms) = self.never_seen_ms {
            firing.push(self.view_at(slis, &nothing, since_ms).blind_alert(true, since_ms));
        }
        for (node, judged) in sli.levels[self.level].iter().zip(&self.judged) {
            let node = &sli.nodes[*node as usize];
            for pair in &self.objective.burn.pairs {
                if let Some(since_ms) = judged.firing.get(&(pair.long_ms, pair.short_ms)).copied() {
                    let view = self.view_at(slis, node, since_ms);
                    firing.push(view.burn_alert(true, &view.read(*pair, Some(since_ms))));
                }
            }
            if let Some(since_ms) = judged.blind_ms {
                firing.push(self.view_at(slis, node, since_ms).blind_alert(true, since_ms));
            }
            for (alert, since_ms) in judged.presence() {
                firing.push(
                    self.view_at(slis, node, since_ms)
                        .presence_alert(alert, true, since_ms),
                );
            }
        }
        firing
    }

    fn view_at<'a>(&'a self, slis: &'a [Sli], node: &'a Node, at_ms: i64) -> View<'a> {
        let now = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        self.view(slis, node, now)
    }

    pub(super) fn view<'a>(&'a self, slis: &'a [Sli], node: &'a Node, now: Timestamp) -> View<'a> {
        View {
            objective: &self.objective,
            slis,
            sli: &slis[self.sli],
            node,
            column: self.column,
            parts: &self.parts,
            now,
            bounds: self.objective.window.bounds(now),
            excluded: &self.excluded,
            silenced: &self.silenced,
            begins: &[],
        }
    }
}

/// One objective in one group at one instant.
pub(super) struct View<'a> {
    pub(super) objective: &'a Objective,
    pub(super) slis: &'a [Sli],
    pub(super) sli: &'a Sli,
    pub(super) node: &'a Node,
    /// Which sums of its indicator it reads: slices, or the events themselves.
    pub(super) column: Option<usize>,
    /// What a composite is made of; otherwise nothing.
    pub(super) parts: &'a [Part],
    pub(super) now: Timestamp,
    /// The objective's window at `now`.
    pub(super) bounds: Bounds,
    /// What does not count towards the budget, and what not towards burn alerts.
    pub(super) excluded: &'a Regions,
    pub(super) silenced: &'a Regions,
    /// What was found at the beginnings of its windows, if that is kept: of the budget, then of each pair, long and short.
    pub(super) begins: &'a [Cell<Begin>],
}

impl View<'_> {
    fn counts(&self, place: usize, back_ms: i64) -> Counts {
        let now_ms = self.now.as_millisecond();
        let from_ms = now_ms.saturating_sub(back_ms);
        self.counted_at(place, self.silenced, from_ms, now_ms).1
    }

    /// The counts of the window that has this place among those whose beginnings are kept.
    fn counted_at(&self, place: usize, excluded: &Regions, from_ms: i64, to_ms: i64) -> (Bounds, Counts) {
        match self.begins.get(place) {
            Some(begin) if excluded.is_empty() && self.parts.is_empty() => {
                self.sli.read_after(begin, self.node, self.column, from_ms, to_ms)
            }
            _ => self.counted_without(excluded, from_ms, to_ms),
        }
    }

    /// What its counts are in.
    pub(super) fn unit(&self) -> Unit {
        Unit::of(&self.sli.definition.events, self.objective.budgeting)
    }

    pub(super) fn read(&self, pair: BurnPair, firing_since_ms: Option<i64>) -> BurnReading {
        let place = self.objective.burn.pairs.iter().position(|known| *known == pair);
        let place = place.map_or(usize::MAX, |place| 1 + 2 * place);
        let long = self.counts(place, pair.long_ms);
        BurnReading {
            pair,
            long,
            short: self.counts(place.saturating_add(1), pair.short_ms),
            bad_events: match self.unit() {
                Unit::Events | Unit::Samples => Some(long.bad),
                _ => self.bad_events(pair.long_ms),
            },
            firing_since_ms,
        }
    }

    /// The budget without what is excluded.
    pub(super) fn budget(&self) -> Budget {
        let to_ms = self.bounds.end_ms.min(self.now.as_millisecond());
        let (counted, counts) = self.counted_at(0, self.excluded, self.bounds.start_ms, to_ms);
        Budget {
            target: self.objective.target,
            window_ms: self.bounds.length_ms(),
            unit: self.unit(),
            counts,
            to_come: self.to_come(counted.end_ms),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        let mut scope = Scope::from_labels(&self.node.group);
        scope.service = scope.service.or_else(|| self.objective.service.clone());
        scope
    }

    fn judge_budget(&self, judged: &mut Judged, calm: &mut Calm, evaluation: &mut Evaluation) {
        if self.is_calm(*calm) {
            return;
        }
        let now_ms = self.now.as_millisecond();
        let budget = self.budget();
        let period_ms = match &self.objective.window {
            Window::Rolling(_) => None,
            Window::Calendar(_) => Some(self.bounds.start_ms),
        };
        // A new period has a new budget: what the old one's state was does not hold the new one back.
        let from = judged.state.0;
        let to = if period_ms == judged.period_ms {
            budget.state_after(from, self.objective.budget)
        } else {
            budget.plain_state(self.objective.budget)
        };
        judged.period_ms = period_ms;
        judged.state = State(to);
        let news = from != to && (from, to) != (BudgetState::Unknown, BudgetState::Healthy);
        if news {
            evaluation.budgets.push(BudgetStateChanged {
                slo: self.objective.id.clone(),
                group: self.node.group.clone(),
                scope: self.scope(),
                from,
                to,
                bad: budget.counts.bad,
                total: budget.counts.total,
            });
        }
        *calm = calm.again(now_ms, || self.budget_calm(to));
    }

    fn judge_burn(&self, judged: &mut Judged, calms: &mut [Calm], evaluation: &mut Evaluation) {
        let (target, now_ms) = (self.objective.target, self.now.as_millisecond());
        for (pair, calm) in self.objective.burn.pairs.iter().zip(calms) {
            if self.is_calm(*calm) {
                continue;
            }
            let former = std::mem::replace(calm, Calm::NONE);
            let key = (pair.long_ms, pair.short_ms);
            let reading = self.read(*pair, judged.firing.get(&key).copied());
            match reading.firing_since_ms {
                None if reading.starts(target) => {
                    judged.firing.insert(key, now_ms);
                    evaluation.alerts.push(self.burn_alert(true, &reading));
                }
                Some(_) if reading.ends(target) => {
                    judged.firing.remove(&key);
                    evaluation.alerts.push(self.burn_alert(false, &reading));
                }
                None => *calm = former.again(now_ms, || self.pair_calm(&reading)),
                Some(_) => *calm = former.again(now_ms, || self.firing_calm(*pair)),
            }
        }
    }

    /// Ends the alerts of a group that is over.
    fn end_all(&self, judged: &mut Judged, evaluation: &mut Evaluation) {
        let firing = std::mem::take(&mut judged.firing);
        for pair in &self.objective.burn.pairs {
            if let Some(since_ms) = firing.get(&(pair.long_ms, pair.short_ms)) {
                let reading = self.read(*pair, Some(*since_ms));
                evaluation.alerts.push(self.burn_alert(false, &reading));
            }
        }
        if let Some(since_ms) = judged.blind_ms.take() {
            evaluation.alerts.push(self.blind_alert(false, since_ms));
        }
        for (alert, since_ms) in judged.presence() {
            evaluation
                .alerts
                .push(self.presence_alert(alert, false, since_ms));
        }
        (judged.low_ms, judged.unreachable_ms) = (None, None);
    }

    fn judge_blindness(
        &self,
        firing_ms: &mut Option<i64>,
        unseen_ms: Option<i64>,
        after_ms: i64,
        evaluation: &mut Evaluation,
    ) {
        if self.objective.burn.pairs.is_empty() {
            return;
        }
        match (*firing_ms, unseen_ms) {
            (None, Some(unseen_ms)) if unseen_ms >= after_ms => {
                let since_ms = self.now.as_millisecond();
                *firing_ms = Some(since_ms);
                evaluation.alerts.push(self.blind_alert(true, since_ms));
            }
            (Some(since_ms), None) => {
                *firing_ms = None;
                evaluation.alerts.push(self.blind_alert(false, since_ms));
            }
            _ => {}
        }
    }
}
