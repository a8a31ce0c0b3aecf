//! Pyrra: a `ServiceLevelObjective` object. Its four alerts have the factors 14, 7, 2 and 1; their windows are those of
//! a period of 28 days, made longer or shorter with the period and rounded to minutes.

use std::collections::BTreeMap;

use mainstay_catalog::document::Document;
use mainstay_catalog::{At, Diagnostics, Spanned, duration, lint};
use mainstay_kernel::{Ratio, Severity};
use serde::Deserialize;

use super::{Draft, ObjectMeta, Side, left_out, name, openslo_duration, policy, ratio, says_the_same, share};
use crate::burn::{BurnPair, MIN_BAD_DEFAULT};
use crate::selector::parse_event_count;
use crate::sli::GROUP_LABELS_MAX;
use crate::spec::annotations;
use crate::spec::openslo::{Decimal, Free, Object, Sli, Slo};
use crate::spec::{bad, warning};

/// Labels and annotations that reach alerts begin with it.
const CARRIED: &str = "pyrra.dev/";

#[derive(Deserialize)]
struct Wrapped {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    description: Option<String>,
    target: Spanned<Decimal>,
    window: Spanned<String>,
    indicator: Indicator,
    #[serde(default)]
    alerting: Alerting,
    /// Of Thanos' ruler.
    #[serde(default, rename = "partial_response_strategy")]
    _partial_response_strategy: Option<String>,
    /// Counts are exact here, and cheaper than either.
    #[serde(default, rename = "performanceOverAccuracy")]
    _performance_over_accuracy: bool,
    #[serde(default, rename = "ruleOutput")]
    _rule_output: Option<Free>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Indicator {
    #[serde(default)]
    ratio: Option<Errors>,
    #[serde(default)]
    latency: Option<Latency>,
    #[serde(default)]
    latency_native: Option<Native>,
    #[serde(default, rename = "bool_gauge", alias = "boolGauge")]
    bool_gauge: Option<Gauge>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Errors {
    errors: Query,
    total: Query,
    #[serde(default)]
    grouping: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    success: Query,
    total: Query,
    #[serde(default)]
    grouping: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
struct Native {
    total: Query,
}

#[derive(Deserialize)]
struct Gauge {
    metric: Spanned<String>,
}

#[derive(Deserialize)]
struct Query {
    metric: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Alerting {
    disabled: Option<bool>,
    burnrates: Option<bool>,
    absent: Option<Spanned<bool>>,
    name: Option<Spanned<String>>,
    absent_name: Option<Spanned<String>>,
    severities: BTreeMap<String, Spanned<String>>,
}

/// The four alerts for a period of 28 days: factor, long and short window as parts of the period, the key of its
/// severity, and what takes its place.
const TIERS: [(u64, i64, i64, &str, Severity); 4] = [
    (14, 28 * 24, 28 * 24 * 12, "fastBurn", Severity::P0),
    (7, 28 * 4, 28 * 24 * 2, "mediumBurn", Severity::P1),
    (2, 28, 28 * 12, "slowBurn", Severity::P2),
    (1, 7, 28 * 4, "longTermBurn", Severity::P3),
];

/// The pairs for a period.
fn pairs(period_ms: i64) -> Vec<(BurnPair, &'static str)> {
    let part = |parts: i64| rounded_to_minutes(period_ms / parts);
    TIERS
        .into_iter()
        .map(|(factor, long, short, key, severity)| {
            let pair = BurnPair {
                factor: Ratio::new(factor, 1).unwrap_or(Ratio::ONE),
                inclusive: false,
                long_ms: part(long),
                short_ms: part(short),
                severity,
                min_bad: MIN_BAD_DEFAULT,
            };
            (pair, key)
        })
        .collect()
}

/// To the nearest minute, half a minute up, at least one.
fn rounded_to_minutes(ms: i64) -> i64 {
    ((ms + 30_000) / 60_000).max(1) * 60_000
}

/// The objective of a document.
pub(super) fn read(document: &Document, diagnostics: &mut Diagnostics) -> Vec<Object<Slo>> {
    let Some(wrapped) = diagnostics.keep(document.decode::<Wrapped>()) else {
        return Vec::new();
    };
    objective(document, &wrapped, diagnostics).into_iter().collect()
}

fn objective(document: &Document, object: &Wrapped, diagnostics: &mut Diagnostics) -> Option<Object<Slo>> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let Some(window_ms) = window_ms(&spec.window) else {
        let message = format!("{:?} is not a window", spec.window.value);
        diagnostics.push(bad(
            document,
            &spec.window,
            message,
            "whole minutes, such as 28d, 4w or 7d",
        ));
        return None;
    };
    let Read {
        indicator,
        grouping,
        total,
    } = indicator(document, metadata.name.at, &spec.indicator, diagnostics)?;
    if grouping.len() > GROUP_LABELS_MAX {
        let message = format!("an objective is grouped by at most {GROUP_LABELS_MAX} labels: it is left out");
        let at = grouping.get(GROUP_LABELS_MAX)?.at;
        diagnostics.push(warning(document, at, message).help("drop some of them"));
        return None;
    }
    let carried = |name: &String, value: &Spanned<String>| {
        Some((name.strip_prefix(CARRIED)?.to_owned(), value.clone()))
    };
    let labels = metadata
        .labels
        .iter()
        .filter_map(|(name, value)| carried(name, value));
    let labels: BTreeMap<String, Spanned<String>> = labels.collect();
    let mut notes = BTreeMap::new();
    for (name, value) in metadata
        .annotations
        .iter()
        .filter_map(|(name, value)| carried(name, value))
    {
        if ["runbook", "runbook_url"].contains(&name.as_str()) {
            notes.insert(annotations::RUNBOOK.to_owned(), value);
        } else {
            let help = "alerts of objectives say counts and budget";
            left_out(
                document,
                &value,
                &format!("the annotation {name:?}"),
                help,
                diagnostics,
            );
        }
    }
    let at = spec.target.at;
    let target = share(&spec.target.value, true);
    let alerting = &spec.alerting;
    let policies = if alerting.disabled == Some(true) || alerting.burnrates == Some(false) {
        Vec::new()
    } else {
        said(document, alerting, diagnostics);
        let tiers = pairs(window_ms).into_iter();
        tiers
            .filter_map(|(pair, _)| policy(document, at, target, &pair, diagnostics))
            .collect()
    };
    let service = labels
        .get("service")
        .cloned()
        .or_else(|| of_selector(&total))
        .unwrap_or_else(|| metadata.name.clone());
    Some(
        Draft {
            name: name(document, &metadata.name, metadata.name.at, diagnostics),
            display_name: None,
            service,
            description: spec.description.clone(),
            labels: labels
                .into_iter()
                .map(|(name, value)| (name, value.value))
                .collect(),
            notes,
            group_by: grouping.first().map(|first| Spanned {
                value: grouping
                    .iter()
                    .map(|label| label.as_str())
                    .collect::<Vec<&str>>()
                    .join(","),
                at: first.at,
            }),
            indicator,
            target: spec.target.clone(),
            is_percent: true,
            window: Spanned {
                value: openslo_duration(window_ms),
                at: spec.window.at,
            },
            policies,
        }
        .object(),
    )
}

/// What else is said of alerts.
fn said(document: &Document, alerting: &Alerting, diagnostics: &mut Diagnostics) {
    if let Some(name) = &alerting.name {
        let message = format!(
            "alerts of objectives are called {} here, not {:?}",
            crate::engine::BURN_ALERT,
            name.value
        );
        let help = "routes and silences go by slo, service, priority and the labels of the objective";
        diagnostics.push(warning(document, name.at, message).help(help));
    }
    let blind = format!(
        "the alert of a group that is not seen is {}, always on",
        crate::engine::BLIND_ALERT
    );
    if let Some(name) = &alerting.absent_name {
        left_out(
            document,
            name,
            "the name of the absent alert",
            &blind,
            diagnostics,
        );
    }
    if let Some(absent) = alerting.absent.as_ref().filter(|absent| !absent.value) {
        left_out(
            document,
            absent,
            "an absent alert that is off",
            &blind,
            diagnostics,
        );
    }
    for (key, word) in &alerting.severities {
        let tier = TIERS.iter().find(|tier| tier.3 == key);
        match tier {
            Some(tier) if says_the_same(word, tier.4) => {}
            Some(tier) => {
                let help = format!("route by priority: this alert is {}", tier.4);
                left_out(
                    document,
                    word,
                    &format!("the severity {:?}", word.value),
                    &help,
                    diagnostics,
                );
            }
            None if key == "absent" => left_out(
                document,
                word,
                "the severity of the absent alert",
                &blind,
                diagnostics,
            ),
            None => {
                let found =
                    document.diagnostic(lint::UNKNOWN_KEY, word.at, format!("unknown severity {key:?}"));
                let known = TIERS.iter().map(|tier| tier.3);
                diagnostics.push(found.help(mainstay_catalog::suggest(key, "severity", known)));
            }
        }
    }
}

/// What an indicator says.
struct Read {
    indicator: Sli,
    grouping: Vec<Spanned<String>>,
    total: Spanned<String>,
}

fn indicator(
    document: &Document,
    at: At,
    written: &Indicator,
    diagnostics: &mut Diagnostics,
) -> Option<Read> {
    if let Some(events) = &written.ratio {
        return Some(Read {
            indicator: ratio(&Side::Bad, &events.errors.metric, &events.total.metric),
            grouping: events.grouping.clone(),
            total: events.total.metric.clone(),
        });
    }
    if let Some(latency) = &written.latency {
        return Some(Read {
            indicator: ratio(&Side::Good, &latency.success.metric, &latency.total.metric),
            grouping: latency.grouping.clone(),
            total: latency.total.metric.clone(),
        });
    }
    let (at, message, help) = if let Some(native) = &written.latency_native {
        let message = "a latency of native histograms is not counted here: the objective is left out";
        (
            native.total.metric.at,
            message,
            "count a classic bucket: `latency` with `success` and `total`",
        )
    } else if let Some(gauge) = &written.bool_gauge {
        let message = "a gauge is not counted here: the objective is left out";
        (
            gauge.metric.at,
            message,
            "count probes: a counter of failed ones and one of all",
        )
    } else {
        let message = "an objective without an indicator is left out";
        (at, message, "one of ratio, latency, latencyNative and bool_gauge")
    };
    diagnostics.push(warning(document, at, message).help(help));
    None
}

/// The service that the total's selector names.
fn of_selector(total: &Spanned<String>) -> Option<Spanned<String>> {
    let count = parse_event_count(&total.value).ok()?;
    let selector = count.selectors.first()?;
    let named = ["service", "app", "job"].into_iter().find_map(|label| {
        let equal = |matcher: &&mainstay_kernel::Matcher| {
            matcher.name() == label
                && matcher.op() == mainstay_kernel::MatchOp::Equal
                && !matcher.value().is_empty()
        };
        selector.matchers.iter().find(equal)
    })?;
    Some(Spanned {
        value: named.value().to_owned(),
        at: total.at,
    })
}

/// A window in milliseconds, if it is whole minutes.
fn window_ms(window: &str) -> Option<i64> {
    let ms = i64::try_from(duration::parse(window).ok()?.as_millis()).ok()?;
    (ms > 0 && ms % 60_000 == 0).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::burn::window_text;

    #[test]
    fn windows_go_with_the_period_and_factors_do_not() {
        let told = |period: &str| {
            let pairs = pairs(window_ms(period).expect("a window"));
            let told = pairs.iter().map(|(pair, _)| {
                format!(
                    "{} {} {}",
                    pair.factor,
                    window_text(pair.long_ms),
                    window_text(pair.short_ms)
                )
            });
            told.collect::<Vec<String>>()
        };
        assert_eq!(told("4w"), ["14 1h 5m", "7 6h 30m", "2 1d 2h", "1 4d 6h"]);
        // 7d / (28 × 24 × 2) is 7 min 30 s, and half a minute goes up.
        assert_eq!(told("1w"), ["14 15m 1m", "7 90m 8m", "2 6h 30m", "1 1d 90m"]);
        assert_eq!(
            told("30d"),
            ["14 64m 5m", "7 386m 32m", "2 1543m 129m", "1 6171m 386m"]
        );
    }
}
