//! Whether a group is there at all: traffic against its floor, what probes see from outside, and what never arrived.
//!
//! A counter cannot count a request that did not reach it. Traffic that falls away, probes that fail and the events that
//! are estimated from both are therefore shown beside the counts, and never become part of them.

use std::collections::BTreeMap;

use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Labels, Severity, SloId};

use super::alert::{
    AlertCause, AlertTransition, BLIND_SEVERITY, TRAFFIC_ALERT, UNREACHABLE_ALERT, alert_labels,
};
use super::install::Former;
use super::judge::{Evaluation, Judged, View};
use super::node::Node;
use super::snapshot::{broken, decode_labels, encode_labels};
use super::{Judge, Settings, Sli, SloEngine};
use crate::codec::{Reader, Writer};
use crate::error::SloError;
use crate::floor::{FLOOR_WINDOW_MS, QUARTER_MS, QUARTERS_AROUND, TrafficFloor, WEEK_MS, WEEKS, scaled};
use crate::objective::Objective;
use crate::sli::NO_VALUE;
use crate::tally::Counts;
use crate::window::Bounds;

/// Traffic against its floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// What was looked at: the last two minutes up to the newest sample, to the edges of their slices.
    pub looked_at: Bounds,
    /// Events in it.
    pub seen: u64,
    /// How many there should be at least; 0 where it has no floor at this hour.
    pub least: u64,
}

impl Traffic {
    /// Whether it is too little.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.seen < self.least
    }
}

/// What probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// At least half of them came through.
    Reachable,
    /// Fewer than half of them came through.
    Unreachable,
    /// Nobody probes, or nobody says how it went.
    Unknown,
}

/// What was seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Outside {
    /// What it comes to.
    pub reach: Reach,
    /// The probes of the last two minutes; bad are those that did not come through.
    pub probes: Counts,
}

/// Events that never arrived, as far as that can be estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct EstimatedLoss {
    /// How many: what is usual at the time less what was seen, and at most the usual times the share of failed probes.
    pub events: u64,
    /// For how long probes failed, to the edges of the slices, in milliseconds.
    pub failing_ms: i64,
    /// For how much of that it is not known what is usual: nothing is estimated for it, in milliseconds.
    pub unusual_ms: i64,
}

/// An alert about a group's presence, besides blindness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    TrafficLow,
    Unreachable,
}

impl Presence {
    fn cause(self) -> AlertCause {
        match self {
            Self::TrafficLow => AlertCause::TrafficLow,
            Self::Unreachable => AlertCause::Unreachable,
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::TrafficLow => BLIND_SEVERITY,
            Self::Unreachable => Severity::P0,
        }
    }

    fn labels(self, objective: &Objective, group: &Labels) -> Labels {
        let name = match self {
            Self::TrafficLow => TRAFFIC_ALERT,
            Self::Unreachable => UNREACHABLE_ALERT,
        };
        alert_labels(objective, group, name, self.severity())
    }
}

impl SloEngine {
    /// What was last said about presence, by objective and group.
    pub(super) fn encode_presence(&self, out: &mut Writer) {
        let saying = || self.judges.iter().filter(|judge| judge.says_presence());
        out.len(saying().count());
        for judge in saying() {
            out.text(judge.objective.id.as_str());
            let sli = &self.slis[judge.sli];
            let groups = sli.levels[judge.level].iter().zip(&judge.judged);
            let said: Vec<_> = groups.filter(|(_, judged)| judged.says_presence()).collect();
            out.len(said.len());
            for (node, judged) in said {
                encode_labels(out, &sli.nodes[*node as usize].group);
                out.option(judged.low_ms);
                out.option(judged.unreachable_ms);
            }
        }
    }
}

/// Adds what was said about presence to what else was said.
pub(super) fn decode_presence(
    judged: &mut BTreeMap<SloId, Former>,
    input: &mut Reader<'_>,
) -> Result<(), SloError> {
    for _ in 0..input.len()? {
        let slo = SloId::new(input.text()?).map_err(|error| broken(&error.to_string()))?;
        let former = judged.get_mut(&slo);
        let former = former.ok_or_else(|| broken("something is said of no objective"))?;
        for _ in 0..input.len()? {
            let (group, low_ms, unreachable_ms) = (decode_labels(input)?, input.option()?, input.option()?);
            let said = former.judged.iter_mut().find(|(known, _)| *known == group);
            let (_, said) = said.ok_or_else(|| broken("something is said of no group"))?;
            (said.low_ms, said.unreachable_ms) = (low_ms, unreachable_ms);
        }
    }
    Ok(())
}

impl Judge {
    /// Whether an alert about presence fires in any group.
    pub(super) fn says_presence(&self) -> bool {
        self.judged.iter().any(Judged::says_presence)
    }
}

impl Judged {
    /// Whether an alert about presence fires.
    pub(super) fn says_presence(&self) -> bool {
        self.presence().next().is_some()
    }

    /// Those that fire, and since when.
    pub(super) fn presence(&self) -> impl Iterator<Item = (Presence, i64)> + use<> {
        let firing = [
            (Presence::TrafficLow, self.low_ms),
            (Presence::Unreachable, self.unreachable_ms),
        ];
        firing
            .into_iter()
            .filter_map(|(alert, since_ms)| Some((alert, since_ms?)))
    }

    fn since(&mut self, alert: Presence) -> &mut Option<i64> {
        match alert {
            Presence::TrafficLow => &mut self.low_ms,
            Presence::Unreachable => &mut self.unreachable_ms,
        }
    }

    /// Takes over an alert that is known to fire.
    pub(super) fn adopt_presence(
        &mut self,
        objective: &Objective,
        group: &Labels,
        alert: &AlertFact,
    ) -> bool {
        for known in [Presence::TrafficLow, Presence::Unreachable] {
            if known.labels(objective, group).fingerprint() == alert.fingerprint {
                *self.since(known) = Some(alert.starts_at.as_millisecond());
                return true;
            }
        }
        false
    }
}

impl Sli {
    /// What these probes say of a group of another indicator: those of the same labels, as far as they have them.
    pub(super) fn outside(&self, group: &Labels, now_ms: i64, settings: Settings) -> Outside {
        let unknown = Outside {
            reach: Reach::Unknown,
            probes: Counts::default(),
        };
        let Some(node) = self.probes_of(group) else {
            return unknown;
        };
        let blind = self.blind_since(node, now_ms, settings.max_gap_ms(), settings.retire_after_ms);
        let Some(last_ms) = node.coverage.last_ms().filter(|_| blind.is_none()) else {
            return unknown;
        };
        let (_, probes) = self.read(node, None, last_ms.saturating_sub(FLOOR_WINDOW_MS), last_ms);
        let reach = match probes.total {
            0 => Reach::Unknown,
            total if probes.bad > total / 2 => Reach::Unreachable,
            _ => Reach::Reachable,
        };
        Outside { reach, probes }
    }

    fn probes_of(&self, group: &Labels) -> Option<&Node> {
        let known = |name: &str| self.definition.group_by.iter().any(|label| label == name);
        let shared = group
            .iter()
            .filter(|(name, value)| known(name) && *value != NO_VALUE);
        let index = self.by_group.get(&shared.collect::<Labels>())?;
        Some(&self.nodes[*index as usize])
    }

    /// How many events arrived in a window: of payments those that began, decided or not.
    fn arrived(&self, node: &Node, from_ms: i64, to_ms: i64) -> u64 {
        match &node.cohorts {
            Some(cohorts) => cohorts.window(self.tiers, from_ms, to_ms).sums[0],
            None => self.read(node, None, from_ms, to_ms).1.total,
        }
    }

    /// How many events each of the preceding weeks had in `from_ms` to `to_ms`, of those weeks that were seen whole, by
    /// `count`.
    fn weeks<'a>(
        &'a self,
        node: &'a Node,
        from_ms: i64,
        to_ms: i64,
        count: impl Fn(i64, i64) -> u64 + 'a,
    ) -> impl Iterator<Item = u64> + 'a {
        let first_ms = node.coverage.first_ms().unwrap_or(i64::MAX);
        (1..=WEEKS).filter_map(move |week| {
            let (from_ms, to_ms) = (from_ms - week * WEEK_MS, to_ms - week * WEEK_MS);
            let known = first_ms <= from_ms && node.coverage.gaps(from_ms, to_ms).next().is_none();
            known.then(|| count(from_ms, to_ms))
        })
    }

    /// The least events of a quarter of an hour around this time in each known week.
    fn usual_quarters(&self, node: &Node, at_ms: i64) -> Vec<u64> {
        let quarter_ms = at_ms - at_ms.rem_euclid(QUARTER_MS);
        let around = QUARTERS_AROUND * QUARTER_MS;
        let least = |from_ms: i64, to_ms: i64| {
            let quarters = (0..).map(|quarter| from_ms + quarter * QUARTER_MS);
            let quarters = quarters.take_while(|quarter_ms| *quarter_ms < to_ms);
            let counts = quarters.map(|quarter_ms| self.arrived(node, quarter_ms, quarter_ms + QUARTER_MS));
            counts.min().unwrap_or(0)
        };
        let to_ms = quarter_ms + QUARTER_MS + around;
        self.weeks(node, quarter_ms - around, to_ms, least).collect()
    }

    /// How many events are usual in a slice: the mean of the known weeks' quarters of an hour, as much of it as the slice is.
    fn usual(&self, node: &Node, slice: Bounds) -> Option<u64> {
        let from_ms = slice.start_ms - slice.start_ms.rem_euclid(QUARTER_MS);
        let to_ms = slice.end_ms + (-slice.end_ms).rem_euclid(QUARTER_MS);
        let count = |from_ms, to_ms| self.arrived(node, from_ms, to_ms);
        let weeks: Vec<u64> = self.weeks(node, from_ms, to_ms, count).collect();
        let mean = weeks.iter().sum::<u64>().checked_div(weeks.len() as u64)?;
        Some(scaled(mean, slice.length_ms(), to_ms - from_ms))
    }
}

impl View<'_> {
    /// Traffic against its floor; `None` where it has none, or was not seen for the whole stretch.
    pub(super) fn traffic(&self) -> Option<Traffic> {
        let floor = self.objective.traffic_floor?;
        let coverage = &self.node.coverage;
        // Up to the newest sample: what is not read yet is not missing.
        let to_ms = coverage.last_ms()?;
        let from_ms = to_ms.saturating_sub(FLOOR_WINDOW_MS);
        if coverage.first_ms()? > from_ms || coverage.gaps(from_ms, to_ms).next().is_some() {
            return None;
        }
        let (looked_at, _) = self.sli.read(self.node, None, from_ms, to_ms);
        let usual = match floor {
            TrafficFloor::Auto => self.sli.usual_quarters(self.node, to_ms),
            TrafficFloor::PerMinute(_) => Vec::new(),
        };
        Some(Traffic {
            looked_at,
            seen: self.sli.arrived(self.node, from_ms, to_ms),
            least: floor.least(FLOOR_WINDOW_MS, &usual),
        })
    }

    pub(super) fn judge_traffic(&self, judged: &mut Judged, evaluation: &mut Evaluation) {
        if let Some(traffic) = self.traffic() {
            self.judge_presence(Presence::TrafficLow, traffic.is_low(), judged, evaluation);
        }
    }

    /// Unknown probes neither raise the alert nor end it.
    pub(super) fn judge_reach(
        &self,
        judged: &mut Judged,
        blind: bool,
        outside: Outside,
        evaluation: &mut Evaluation,
    ) {
        let silent = blind || judged.low_ms.is_some() || self.is_idle();
        let unreachable = match outside.reach {
            Reach::Unreachable => silent,
            Reach::Reachable => false,
            Reach::Unknown => return,
        };
        self.judge_presence(Presence::Unreachable, unreachable, judged, evaluation);
    }

    fn is_idle(&self) -> bool {
        let now_ms = self.now.as_millisecond();
        self.sli
            .arrived(self.node, now_ms.saturating_sub(FLOOR_WINDOW_MS), now_ms)
            == 0
    }

    fn judge_presence(&self, alert: Presence, is_so: bool, judged: &mut Judged, evaluation: &mut Evaluation) {
        let since = judged.since(alert);
        let since_ms = since.unwrap_or(self.now.as_millisecond());
        if is_so != since.is_some() {
            *since = is_so.then_some(since_ms);
            evaluation
                .alerts
                .push(self.presence_alert(alert, is_so, since_ms));
        }
    }

    pub(super) fn presence_alert(&self, alert: Presence, firing: bool, since_ms: i64) -> AlertTransition {
        let name = &self.objective.display_name;
        let (title, description) = match alert {
            Presence::TrafficLow => (
                format!("{name}: too little traffic"),
                self.traffic().map_or_else(String::new, |traffic| {
                    format!(
                        "{} events in two minutes; at this hour there are at least {}. What does not arrive is counted \
                         nowhere: the budget does not show it.",
                        traffic.seen, traffic.least
                    )
                }),
            ),
            Presence::Unreachable => (
                format!("{name}: cannot be reached from outside"),
                "More than half of the probes fail, and its own counters show nothing, or less than they should. What does \
                 not arrive is counted nowhere: the budget does not show it."
                    .to_owned(),
            ),
        };
        let summary = format!("{title}, {}", self.scope());
        let mut annotations = Labels::new()
            .with("title", title)
            .with("summary", summary)
            .with("description", description);
        annotations.set("runbook", self.objective.runbook.clone().unwrap_or_default());
        let labels = alert.labels(self.objective, &self.node.group);
        self.transition(
            firing,
            alert.cause(),
            alert.severity(),
            labels,
            annotations,
            since_ms,
        )
    }

    /// What never arrived in a window. Cost: the slices in which probes failed, times the logarithm of all.
    pub(super) fn estimated_loss(&self, probes: &Sli, from_ms: i64, to_ms: i64) -> EstimatedLoss {
        let mut loss = EstimatedLoss::default();
        if let Some(outside) = probes.probes_of(&self.node.group) {
            let from_ms = from_ms - from_ms.rem_euclid(STEP_MS);
            self.add_losses(probes, outside, from_ms, to_ms, &mut loss);
        }
        loss
    }

    fn add_losses(&self, probes: &Sli, outside: &Node, from_ms: i64, to_ms: i64, loss: &mut EstimatedLoss) {
        if to_ms <= from_ms {
            return;
        }
        let (probed, Counts { bad, total }) = probes.read(outside, None, from_ms, to_ms);
        if bad == 0 {
            return;
        }
        let middle_ms = from_ms + ((to_ms - from_ms) / 2 / STEP_MS).max(1) * STEP_MS;
        let (left, _) = probes.read(outside, None, from_ms, middle_ms);
        // A step, or one slice that is longer.
        if left == probed || to_ms - from_ms <= STEP_MS {
            let length_ms = probed.length_ms();
            loss.failing_ms = loss.failing_ms.saturating_add(length_ms);
            let Some(usual) = self.sli.usual(self.node, probed) else {
                loss.unusual_ms = loss.unusual_ms.saturating_add(length_ms);
                return;
            };
            let seen = self.sli.arrived(self.node, probed.start_ms, probed.end_ms);
            let most = u128::from(usual) * u128::from(bad) / u128::from(total.max(1));
            let missing = u128::from(usual.saturating_sub(seen)).min(most);
            loss.events = loss
                .events
                .saturating_add(u64::try_from(missing).unwrap_or(u64::MAX));
            return;
        }
        self.add_losses(probes, outside, from_ms, left.end_ms, loss);
        self.add_losses(probes, outside, left.end_ms, to_ms, loss);
    }
}

/// Losses are estimated in steps of a minute, in milliseconds, and of whole slices where those are longer: a shorter step
/// could lie between two reads.
const STEP_MS: i64 = 60_000;
