//! The alerts as they travel: labels that route them, words that explain them, the integers they rest on.

use jiff::Timestamp;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_kernel::{Labels, Scope, Severity, SloId};

use super::judge::View;
use crate::burn::{BurnPair, BurnReading, burn_rate, window_text};
use crate::objective::Objective;
use crate::tally::Counts;

/// The alert of a pair of burn-rate windows.
pub const BURN_ALERT: &str = "SloBurnRate";
/// The alert of a group that is not seen.
pub const BLIND_ALERT: &str = "SloBlind";
/// The alert of a group whose traffic is under its floor.
pub const TRAFFIC_ALERT: &str = "SloTrafficLow";
/// The alert of a group that probes do not reach while its own counters say nothing, or less than they should.
pub const UNREACHABLE_ALERT: &str = "SloUnreachable";

/// Why an alert is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertCause {
    /// A budget burns too fast.
    Burn(BurnPair),
    /// A group is not seen.
    Blind,
    /// A group has less traffic than its floor.
    TrafficLow,
    /// Probes do not reach a group that is not seen or has too little traffic.
    Unreachable,
}

/// An alert fires, or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertTransition {
    /// Whether it fires now.
    pub firing: bool,
    /// When that was decided.
    pub at: Timestamp,
    /// The objective.
    pub slo: SloId,
    /// Its group.
    pub group: Labels,
    /// Where that is.
    pub scope: Scope,
    /// How bad it is.
    pub severity: Severity,
    /// Why it is there.
    pub cause: AlertCause,
    /// The alert as it travels.
    pub alert: AlertFact,
}

impl View<'_> {
    pub(super) fn burn_alert(&self, firing: bool, reading: &BurnReading) -> AlertTransition {
        let pair = reading.pair;
        let labels = burn_labels(self.objective, &self.node.group, pair);
        let (long, short) = (window_text(pair.long_ms), window_text(pair.short_ms));
        let budget = self.budget();
        let rate = |counts: Counts| {
            burn_rate(counts, self.objective.target).map_or_else(
                || "0.0".to_owned(),
                |rate| {
                    let tenths = u128::from(rate.numerator()) * 10 / u128::from(rate.denominator());
                    format!("{}.{}", tenths / 10, tenths % 10)
                },
            )
        };
        let scope = self.scope();
        let summary = format!(
            "{}: {} times the error budget's rate over {long}, {scope}",
            self.objective.display_name,
            rate(reading.long),
        );
        let description = format!(
            "{} were bad in the last {long} and {} in the last {short}: {} and {} times what the target of {} allows; the \
             alert fires above {} times; {} ({}).",
            self.unit().part_of(reading.long, |amount| amount.to_string()),
            self.unit().part_of(reading.short, |amount| amount.to_string()),
            rate(reading.long),
            rate(reading.short),
            self.objective.target.percent(decimals(self.objective)),
            pair.factor,
            budget.words(),
            self.objective.window,
        );
        // Without the place: an incident may concern more than this group.
        let title = format!(
            "{}: budget burns {} times too fast",
            self.objective.display_name,
            rate(reading.long)
        );
        let mut annotations = Labels::new()
            .with("title", title)
            .with("summary", summary)
            .with("description", description)
            .with("long_bad", reading.long.bad.to_string())
            .with("long_total", reading.long.total.to_string())
            .with("short_bad", reading.short.bad.to_string())
            .with("short_total", reading.short.total.to_string())
            .with("budget_left", budget.left_percent());
        annotations.set("runbook", self.objective.runbook.clone().unwrap_or_default());
        let since_ms = reading.firing_since_ms.unwrap_or(self.now.as_millisecond());
        self.transition(
            firing,
            AlertCause::Burn(pair),
            pair.severity,
            labels,
            annotations,
            since_ms,
        )
    }

    pub(super) fn blind_alert(&self, firing: bool, since_ms: i64) -> AlertTransition {
        let labels = blind_labels(self.objective, &self.node.group);
        let title = format!("{}: nothing is seen of it", self.objective.display_name);
        let summary = format!("{title}, {}", self.scope());
        let last = self
            .last_ms()
            .and_then(|last| Timestamp::from_millisecond(last).ok());
        let reason = match self.missing_edge() {
            Some(missing) => format!("Of {}, {missing}", self.sli.definition.name),
            None => format!(
                "The samples of {} have not been read, or not all of them{}",
                self.sli.definition.name,
                last.map_or_else(String::new, |last| format!("; the last sample is of {last}")),
            ),
        };
        let description = format!("{reason}. Its budget and its alerts stay as they were.");
        let mut annotations = Labels::new()
            .with("title", title)
            .with("summary", summary)
            .with("description", description);
        annotations.set("runbook", self.objective.runbook.clone().unwrap_or_default());
        self.transition(
            firing,
            AlertCause::Blind,
            BLIND_SEVERITY,
            labels,
            annotations,
            since_ms,
        )
    }

    pub(super) fn transition(
        &self,
        firing: bool,
        cause: AlertCause,
        severity: Severity,
        labels: Labels,
        annotations: Labels,
        since_ms: i64,
    ) -> AlertTransition {
        AlertTransition {
            firing,
            at: self.now,
            slo: self.objective.id.clone(),
            group: self.node.group.clone(),
            scope: self.scope(),
            severity,
            cause,
            alert: AlertFact {
                fingerprint: labels.fingerprint(),
                labels,
                annotations,
                starts_at: Timestamp::from_millisecond(since_ms).unwrap_or(self.now),
                ended_at: None,
            },
        }
    }
}

/// Blindness pages: nobody can say that things are well.
pub(super) const BLIND_SEVERITY: Severity = Severity::P1;

/// Enough digits to show a target as it was written: 99.95 %, 99.999 %.
fn decimals(objective: &Objective) -> u32 {
    let digits = objective.target.to_string().len().saturating_sub(4);
    u32::try_from(digits).unwrap_or(2).min(6)
}

pub(super) fn alert_labels(objective: &Objective, group: &Labels, name: &str, severity: Severity) -> Labels {
    let mut labels = objective.labels.clone();
    for (name, value) in group.iter().filter(|(_, value)| *value != crate::sli::NO_VALUE) {
        labels.set(name, value);
    }
    if let Some(service) = objective
        .service
        .as_ref()
        .filter(|_| labels.get("service").is_none())
    {
        labels.set("service", service.as_str());
    }
    labels
        .with(ALERT_NAME, name)
        .with("slo", objective.id.as_str())
        .with("priority", severity.to_string())
        .with("severity", severity.word())
}

pub(super) fn burn_labels(objective: &Objective, group: &Labels, pair: BurnPair) -> Labels {
    alert_labels(objective, group, BURN_ALERT, pair.severity)
        .with("long_window", window_text(pair.long_ms))
        .with("short_window", window_text(pair.short_ms))
}

pub(super) fn blind_labels(objective: &Objective, group: &Labels) -> Labels {
    alert_labels(objective, group, BLIND_ALERT, BLIND_SEVERITY)
}
