//! A group of rules as it is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_plane::telemetry::{GroupEvaluation, RuleEvaluation};
use mainstay_rules::template::Template;
use mainstay_rules::{ActiveAlert, AlertState, Group, RuleKind, RuleSpec};
use mainstay_web::view::{Alerting, Evaluated, Rule, RuleAlert, RuleGroup};

/// A group and how its last evaluation went.
pub(super) fn group(group: &Group, last: Option<&GroupEvaluation>) -> RuleGroup {
    let spec = group.spec();
    let rules = spec.rules.iter().enumerate().map(|(index, rule)| {
        let evaluation = last.and_then(|last| Some((last.at, last.rules.get(index)?)));
        self::rule(rule, evaluation, group.alerts_of(index))
    });
    RuleGroup {
        file: spec.file.clone(),
        name: spec.name.clone(),
        interval_ms: group.schedule().interval_ms,
        limit: spec.limit,
        evaluated: last.map(|last| Evaluated {
            at: last.at,
            took_s: last.took.as_secs_f64(),
        }),
        rules: rules.collect(),
    }
}

fn rule<'a>(
    rule: &RuleSpec,
    evaluation: Option<(Timestamp, &RuleEvaluation)>,
    alerts: impl Iterator<Item = &'a ActiveAlert>,
) -> Rule {
    let alerting = match &rule.kind {
        RuleKind::Record { .. } => None,
        RuleKind::Alert {
            for_ms,
            keep_firing_for_ms,
            annotations,
            ..
        } => Some(Alerting {
            for_ms: *for_ms,
            keep_firing_for_ms: *keep_firing_for_ms,
            annotations: texts(annotations),
            alerts: alerts.filter_map(alert).collect(),
        }),
    };
    Rule {
        name: rule.name().to_owned(),
        query: mainstay_promql::print::text(&rule.expr),
        labels: texts(&rule.labels),
        evaluated: evaluation.map(|(at, evaluation)| Evaluated {
            at,
            took_s: evaluation.took.as_secs_f64(),
        }),
        last_error: evaluation.and_then(|(_, evaluation)| evaluation.failure.clone()),
        alerting,
    }
}

fn texts(templates: &BTreeMap<String, Template>) -> Labels {
    templates
        .iter()
        .map(|(name, template)| (name.as_str(), template.text()))
        .collect()
}

/// An alert that is pending or fires; one that is over is not shown.
fn alert(alert: &ActiveAlert) -> Option<RuleAlert> {
    let firing = match alert.state {
        AlertState::Firing => true,
        AlertState::Pending => false,
        AlertState::Resolved => return None,
    };
    let instant = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
    Some(RuleAlert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone().into(),
        firing,
        active_at: instant(alert.active_at_ms),
        keep_firing_since: alert.keep_firing_since_ms.map(instant),
        value: alert.value,
    })
}
