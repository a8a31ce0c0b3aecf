//! What a group remembers beyond the process that evaluates it, and beyond the file it was read from.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::{Digest, Labels};
use serde::{Deserialize, Serialize};

use crate::alert::{ActiveAlert, AlertState};
use crate::file::{RuleKind, RuleSpec};

use super::{Group, RuleState, alerting};

/// Everything with which a group goes on as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupMemory {
    /// The file it was read from.
    pub file: String,
    /// Its name.
    pub name: String,
    /// How often it was evaluated, in milliseconds.
    pub interval_ms: i64,
    /// Its last evaluation, in milliseconds since 1970.
    pub last_evaluation_ms: Option<i64>,
    /// How many evaluations were missed.
    pub missed: u64,
    /// Its rules, in order.
    pub rules: Vec<RuleMemory>,
    /// Series of rules that were no more, yet to be ended.
    pub orphaned: Vec<Labels>,
}

/// What a rule remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMemory {
    /// The rule as it was: the digest of its kind, name, labels and query.
    pub digest: Digest,
    /// The rule, whatever it asked: the digest of its kind, name and labels.
    pub identity: Digest,
    /// The series it wrote last.
    pub series: Vec<Labels>,
    /// Its alerts: pending, firing, or lately resolved.
    pub alerts: Vec<ActiveAlert>,
}

/// How long alerts of before a restart wait for what was not scraped yet: that nothing is there is then no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settling {
    /// Alerts that began before this time wait; milliseconds since 1970.
    pub since_ms: i64,
    /// Until this time; milliseconds since 1970.
    pub until_ms: i64,
}

impl Settling {
    pub(super) fn holds(self, alert: &ActiveAlert, at_ms: i64) -> bool {
        alert.state != AlertState::Resolved && alert.active_at_ms < self.since_ms && at_ms < self.until_ms
    }
}

/// The digests of a rule: with its query, and without.
pub(super) fn digests(rule: &RuleSpec) -> (Digest, Digest) {
    let kind: &[u8] = match rule.kind {
        RuleKind::Alert { .. } => b"alert",
        RuleKind::Record { .. } => b"record",
    };
    let mut parts: Vec<&[u8]> = vec![kind, rule.name().as_bytes()];
    for (name, template) in &rule.labels {
        parts.push(name.as_bytes());
        parts.push(template.text().as_bytes());
    }
    let identity = Digest::of_parts(&parts);
    parts.push(rule.query.as_bytes());
    (Digest::of_parts(&parts), identity)
}

impl RuleState {
    fn memory(&self) -> RuleMemory {
        RuleMemory {
            digest: self.digest,
            identity: self.identity,
            series: self.series.iter().map(|labels| Labels::clone(labels)).collect(),
            alerts: self.alerts.values().cloned().collect(),
        }
    }

    fn resume(&mut self, memory: RuleMemory) {
        self.resumed = true;
        self.series.extend(memory.series.into_iter().map(Arc::new));
        for alert in memory.alerts {
            self.take_in(alert);
        }
    }

    fn take_in(&mut self, alert: ActiveAlert) {
        if alert.state != AlertState::Resolved {
            // So that they end when the alert is gone.
            for sample in alerting::samples(&alert, alert.active_at_ms) {
                self.series.insert(sample.labels);
            }
        }
        self.alerts.insert(alert.labels.clone(), alert);
    }
}

impl Group {
    /// What it must be told to go on after a restart. Cost: its alerts and series.
    #[must_use]
    pub fn memory(&self) -> GroupMemory {
        GroupMemory {
            file: self.spec.file.clone(),
            name: self.spec.name.clone(),
            interval_ms: self.schedule.interval_ms,
            last_evaluation_ms: self.last_evaluation_ms,
            missed: self.missed,
            rules: self.rules.iter().map(RuleState::memory).collect(),
            orphaned: self.orphaned.iter().map(|labels| Labels::clone(labels)).collect(),
        }
    }

    /// Goes on where it stood before a restart, or before its file was read again. A rule is the same rule if its name
    /// and labels are, whatever it asks now; among several of those, one that asks the same. Gives back what rules that
    /// are no more remember.
    ///
    /// `settled_ms` is when everything there is was scraped again: if evaluations were missed until `now_ms`, its alerts
    /// wait until then before they are over.
    pub fn resume(&mut self, memory: GroupMemory, now_ms: i64, settled_ms: i64) -> Vec<RuleMemory> {
        self.last_evaluation_ms = memory.last_evaluation_ms;
        self.missed = memory.missed;
        self.orphaned.extend(memory.orphaned.into_iter().map(Arc::new));
        let missed = |last_ms| {
            self.schedule
                .missed_between(last_ms, self.schedule.latest_at(now_ms))
                > 0
        };
        if memory.last_evaluation_ms.is_some_and(missed) {
            self.settling = Some(Settling {
                since_ms: now_ms,
                until_ms: settled_ms,
            });
        }
        let mut left = Vec::new();
        for rule in memory.rules {
            left.extend(self.take_over(rule));
        }
        let same = |state: &RuleState, rule: &RuleMemory| state.identity == rule.identity;
        let mut gone = Vec::new();
        for rule in left {
            let free = self.rules.iter_mut().filter(|state| !state.resumed);
            match free.into_iter().find(|state| same(state, &rule)) {
                Some(state) => state.resume(rule),
                None => gone.push(rule),
            }
        }
        gone
    }

    /// Goes on with a rule that asks the same as one of this group that remembers nothing yet; else gives it back.
    pub fn take_over(&mut self, rule: RuleMemory) -> Option<RuleMemory> {
        let mut free = self.rules.iter_mut().filter(|state| !state.resumed);
        match free.find(|state| state.digest == rule.digest) {
            Some(state) => {
                state.resume(rule);
                None
            }
            None => Some(rule),
        }
    }

    /// Ends series at the next evaluation, unless a rule of the group writes them then.
    pub fn orphan(&mut self, series: Vec<Labels>) {
        self.orphaned.extend(series.into_iter().map(Arc::new));
    }

    /// Whether a rule of the group wrote this series last.
    #[must_use]
    pub fn writes(&self, labels: &Labels) -> bool {
        self.rules.iter().any(|rule| rule.series.contains(labels))
    }

    /// How an alert with these labels stands: firing before pending before resolved, where several rules have one.
    #[must_use]
    pub fn alert(&self, labels: &Labels) -> Option<&ActiveAlert> {
        let alerts = self.rules.iter().filter_map(|rule| rule.alerts.get(labels));
        alerts.min_by_key(|alert| match alert.state {
            AlertState::Firing => 0,
            AlertState::Pending => 1,
            AlertState::Resolved => 2,
        })
    }

    /// Takes over an alert that is known to fire since `fired_at_ms`, although this group does not remember it so: the
    /// rule it can have come from goes on with it. Says whether there is one.
    pub fn adopt(
        &mut self,
        labels: &Labels,
        annotations: BTreeMap<String, String>,
        fired_at_ms: i64,
    ) -> bool {
        let name = labels
            .get(mainstay_kernel::labels::ALERT_NAME)
            .unwrap_or_default();
        for (rule, state) in self.spec.rules.iter().zip(&mut self.rules) {
            let RuleKind::Alert { for_ms, .. } = rule.kind else {
                continue;
            };
            let fits = rule.name() == name
                && rule.labels.iter().all(|(label, template)| {
                    let text = template.text();
                    text.contains("{{") || labels.get(label).unwrap_or_default() == text
                });
            if !fits {
                continue;
            }
            let known = state
                .alerts
                .get(labels)
                .filter(|alert| alert.state == AlertState::Pending);
            let held_since_ms = fired_at_ms.saturating_sub(for_ms);
            state.take_in(ActiveAlert {
                rule: name.to_owned(),
                labels: labels.clone(),
                annotations,
                active_at_ms: known.map_or(held_since_ms, |known| known.active_at_ms.min(held_since_ms)),
                fired_at_ms: Some(fired_at_ms),
                resolved_at_ms: None,
                keep_firing_since_ms: None,
                state: AlertState::Firing,
                value: known.map_or(f64::NAN, |known| known.value),
            });
            return true;
        }
        false
    }
}
