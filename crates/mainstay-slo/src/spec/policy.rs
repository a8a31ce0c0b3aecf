//! From OpenSLO alert policies to pairs of burn-rate windows.

use mainstay_catalog::document::Document;
use mainstay_catalog::{Diagnostics, Spanned};
use mainstay_kernel::{Labels, Ratio, Severity};

use super::openslo::{AlertCondition, AlertPolicy, Metadata, PolicyUse};
use super::{Objects, annotations, bad, warning};
use crate::burn::{BurnPair, MIN_BAD_DEFAULT};
use crate::window::Duration;

/// By how much a short window is shorter than its long one, unless an annotation says otherwise (the workbook's rule).
const SHORT_OF_LONG: i64 = 12;

/// The pair of one of an SLO's alert policies; `None` where it cannot be judged, which has been said.
pub(super) fn pair(
    objects: &Objects<'_>,
    document: &Document,
    policy: &PolicyUse,
    diagnostics: &mut Diagnostics,
) -> Option<BurnPair> {
    match &policy.alert_policy_ref {
        Some(name) => {
            let (document, object) = objects.policies.get(&name.value)?;
            of_policy(
                objects,
                document,
                Some(&object.metadata),
                &object.spec,
                diagnostics,
            )
        }
        None => {
            let spec = policy.spec.as_ref()?;
            of_policy(objects, document, policy.metadata.as_ref(), spec, diagnostics)
        }
    }
}

fn of_policy(
    objects: &Objects<'_>,
    document: &Document,
    metadata: Option<&Metadata>,
    policy: &AlertPolicy,
    diagnostics: &mut Diagnostics,
) -> Option<BurnPair> {
    let used = policy.conditions.first()?;
    let (at, inner, condition) = match &used.condition_ref {
        Some(name) => {
            let (document, object) = objects.conditions.get(&name.value)?;
            (*document, Some(&object.metadata), &object.spec)
        }
        None => (document, used.metadata.as_ref(), used.spec.as_ref()?),
    };
    // The condition's annotations are nearer than its policy's.
    let notes = [
        inner.map(|inner| (at, inner)),
        metadata.map(|outer| (document, outer)),
    ];
    let notes: Vec<(&Document, &Metadata)> = notes.into_iter().flatten().collect();
    of_condition(at, &notes, condition, diagnostics)
}

/// Reads an annotation from the nearest place that has it.
fn note<T>(
    notes: &[(&Document, &Metadata)],
    name: &str,
    expected: &str,
    diagnostics: &mut Diagnostics,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<Spanned<T>> {
    let (document, metadata) = notes
        .iter()
        .find(|(_, metadata)| metadata.annotations.contains_key(name))?;
    annotations::read(document, metadata, name, expected, diagnostics, parse)
}

fn of_condition(
    document: &Document,
    notes: &[(&Document, &Metadata)],
    condition: &AlertCondition,
    diagnostics: &mut Diagnostics,
) -> Option<BurnPair> {
    let burn = &condition.condition;
    let inclusive = match burn.op.as_str() {
        "gt" => false,
        "gte" => true,
        other => {
            let message =
                format!("an alert that fires while the burn rate is {other} its threshold is not judged");
            diagnostics.push(warning(document, burn.op.at, message).help("write gt or gte"));
            return None;
        }
    };
    let Ok(factor) = burn.threshold.value.0.parse::<Ratio>() else {
        let message = format!("{:?} is not a burn rate", burn.threshold.value.0);
        diagnostics.push(bad(
            document,
            &burn.threshold,
            message,
            "a decimal above 0, such as 14.4",
        ));
        return None;
    };
    let long_ms = Duration::parse(&burn.lookback_window).ok()?.nominal_ms();
    let duration = |text: &str| Duration::parse(text).ok().map(Duration::nominal_ms);
    let short = note(
        notes,
        annotations::SHORT_WINDOW,
        "a duration such as 5m",
        diagnostics,
        duration,
    );
    let short_ms = short.map_or(long_ms / SHORT_OF_LONG, |short| short.value);
    if short_ms > long_ms {
        let message = "the short window is longer than the long one";
        diagnostics.push(bad(document, &burn.lookback_window, message, "swap the two"));
        return None;
    }
    if long_ms > crate::prefix::MINUTE_KEEP_MS {
        let message = "windows of burn rates are at most 4 days long";
        diagnostics.push(bad(
            document,
            &burn.lookback_window,
            message,
            "the longest usual one is 3d",
        ));
        return None;
    }
    let waits = burn
        .alert_after
        .as_ref()
        .filter(|after| duration(&after.value).is_some());
    if let Some(after) = waits {
        let message = format!(
            "the alert does not wait {}: the long window is the patience",
            after.value
        );
        diagnostics.push(warning(document, after.at, message).help("write 0m, or choose a longer window"));
    }
    let priority = note(
        notes,
        annotations::PRIORITY,
        "P0, P1, P2 or P3",
        diagnostics,
        |text| text.parse().ok(),
    );
    let severity = match priority {
        Some(priority) => priority.value,
        None => severity_of(document, condition, diagnostics)?,
    };
    let count = |text: &str| text.parse::<u64>().ok();
    let min_bad = note(
        notes,
        annotations::MIN_BAD_EVENTS,
        "a count such as 5",
        diagnostics,
        count,
    );
    Some(BurnPair {
        factor,
        inclusive,
        long_ms,
        short_ms,
        severity,
        min_bad: min_bad.map_or(MIN_BAD_DEFAULT, |min_bad| min_bad.value),
    })
}

/// The severity that a condition's word stands for: P0 to P3, or as alerts of the Prometheus world say it.
fn severity_of(
    document: &Document,
    condition: &AlertCondition,
    diagnostics: &mut Diagnostics,
) -> Option<Severity> {
    let word = &condition.severity;
    let labels = Labels::new().with("severity", word.to_lowercase());
    let severity = word.parse().ok().or_else(|| Severity::from_labels(&labels));
    if severity.is_none() {
        let message = format!("{:?} is no severity that is known", word.value);
        let help = "write P0 to P3, critical, high, warning or info, or add the annotation mainstay/priority";
        diagnostics.push(warning(document, word.at, message).help(help));
    }
    severity
}
