//! Alerting rules: from the vector of a query to alerts, their samples and their changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::{ALERT_NAME, METRIC_NAME};
use mainstay_promql::{Limits, Samples, VectorSample};

use crate::alert::{ActiveAlert, AlertState, Change, Timing, Transition, step};
use crate::file::{RuleKind, RuleSpec};
use crate::template::{Data, Template};

use super::{Failed, GroupContext, Outputs, RuleSample, Settling};

/// What templates may look at.
pub(super) struct Expansion<'a> {
    pub(super) context: &'a GroupContext,
    pub(super) at_ms: i64,
    pub(super) store: &'a dyn Samples,
    pub(super) limits: &'a Limits<'a>,
}

impl Expansion<'_> {
    fn texts(
        &self,
        templates: &BTreeMap<String, Template>,
        sample: &VectorSample,
    ) -> BTreeMap<String, String> {
        let data = Data {
            labels: &sample.labels,
            value: number(sample),
            external_labels: &self.context.external_labels,
            external_url: &self.context.external_url,
            at_ms: self.at_ms,
            store: self.store,
            limits: self.limits,
        };
        // A template that fails must not keep the alert from firing: the error becomes the text.
        let expand = |template: &Template| {
            template
                .expand(&data)
                .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
        };
        templates
            .iter()
            .map(|(name, template)| (name.clone(), expand(template)))
            .collect()
    }
}

/// Moves the alerts of a rule one evaluation on.
pub(super) fn evaluate(
    rule: &RuleSpec,
    limit: usize,
    at_ms: i64,
    vector: Vec<VectorSample>,
    alerts: &mut BTreeMap<Labels, ActiveAlert>,
    settling: Option<Settling>,
    expansion: &Expansion<'_>,
) -> Result<Outputs, Failed> {
    let RuleKind::Alert {
        name,
        for_ms,
        keep_firing_for_ms,
        annotations,
    } = &rule.kind
    else {
        return Ok(Outputs::default());
    };
    let timing = Timing {
        for_ms: *for_ms,
        keep_firing_for_ms: *keep_firing_for_ms,
    };
    let mut holding: BTreeMap<Labels, (f64, BTreeMap<String, String>)> = BTreeMap::new();
    for sample in &vector {
        let mut labels = sample.labels.filtered(|label| label != METRIC_NAME);
        for (label, text) in expansion.texts(&rule.labels, sample) {
            labels.set(label, text);
        }
        labels.set(ALERT_NAME, name.as_str());
        let texts = expansion.texts(annotations, sample);
        if holding.insert(labels, (number(sample), texts)).is_some() {
            let message = "vector contains metrics with the same labelset after applying alert labels";
            return Err(Failed::because(message));
        }
    }
    let mut outputs = Outputs::default();
    let before: Vec<ActiveAlert> = if limit > 0 {
        active(alerts).cloned().collect()
    } else {
        Vec::new()
    };
    let mut next = std::mem::take(alerts);
    for (labels, (value, annotations)) in &holding {
        if let Some(alert) = next
            .get_mut(labels)
            .filter(|alert| alert.state != AlertState::Resolved)
        {
            alert.value = *value;
            alert.annotations.clone_from(annotations);
            continue;
        }
        let alert = ActiveAlert {
            rule: name.clone(),
            labels: labels.clone(),
            annotations: annotations.clone(),
            active_at_ms: at_ms,
            fired_at_ms: None,
            resolved_at_ms: None,
            keep_firing_since_ms: None,
            state: AlertState::Pending,
            value: *value,
        };
        outputs.changed = true;
        if timing.for_ms > 0 {
            outputs.transitions.push(Transition {
                change: Change::BecamePending,
                at_ms,
                alert: alert.clone(),
            });
        }
        next.insert(labels.clone(), alert);
    }
    next.retain(|labels, alert| {
        let holds = holding.contains_key(labels);
        if !holds && settling.is_some_and(|settling| settling.holds(alert, at_ms)) {
            return true;
        }
        let kept_since_ms = alert.keep_firing_since_ms;
        let (change, stays) = step(alert, holds, at_ms, timing);
        outputs.changed |= change.is_some() || alert.keep_firing_since_ms != kept_since_ms;
        if let Some(change) = change {
            outputs.transitions.push(Transition {
                change,
                at_ms,
                alert: alert.clone(),
            });
        }
        stays
    });
    let count = active(&next).count();
    if limit > 0 && count > limit {
        // The rule's alerts all go; those that nobody heard of yet need no word.
        let dropped = |alert| Transition {
            change: Change::Dropped,
            at_ms,
            alert,
        };
        return Err(Failed {
            message: format!("exceeded limit of {limit} with {count} alerts"),
            transitions: before.into_iter().map(dropped).collect(),
        });
    }
    outputs.samples = active(&next)
        .flat_map(|alert| samples(alert, expansion.at_ms))
        .collect();
    *alerts = next;
    Ok(outputs)
}

/// The value of an alert. A native histogram is none; as in Prometheus, it counts as 0.
fn number(sample: &VectorSample) -> f64 {
    sample.value.float().unwrap_or_default()
}

/// The alerts that are pending or firing.
fn active(alerts: &BTreeMap<Labels, ActiveAlert>) -> impl Iterator<Item = &ActiveAlert> {
    alerts
        .values()
        .filter(|alert| alert.state != AlertState::Resolved)
}

/// The two series of an alert: `ALERTS` says how it stands, `ALERTS_FOR_STATE` since when, in seconds since 1970.
pub(super) fn samples(alert: &ActiveAlert, at_ms: i64) -> [RuleSample; 2] {
    let named = |name: &str| alert.labels.clone().with(METRIC_NAME, name);
    let state = named("ALERTS").with("alertstate", alert.state.to_string());
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let since = alert.active_at_ms.div_euclid(1000) as f64;
    [
        RuleSample {
            labels: Arc::new(state),
            at_ms,
            value: 1.0.into(),
        },
        RuleSample {
            labels: Arc::new(named("ALERTS_FOR_STATE")),
            at_ms,
            value: since.into(),
        },
    ]
}
