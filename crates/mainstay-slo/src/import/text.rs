//! Writing OpenSLO documents.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mainstay_catalog::Spanned;
use mainstay_catalog::written::{mapping, scalar};

use crate::spec::openslo::{Metadata, Metric, Object, PolicyUse, RatioMetric, Slo};

/// SLOs as one file of OpenSLO v1, as the readers of this module make them: an inline indicator, one rolling window,
/// inline alert policies. The same objects give the same bytes.
#[must_use]
pub fn documents(objects: &[Object<Slo>]) -> String {
    let texts: Vec<String> = objects.iter().map(document).collect();
    texts.join("---\n")
}

fn document(object: &Object<Slo>) -> String {
    let mut text = String::new();
    let spec = &object.spec;
    let mut line = |indent: usize, words: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:indent$}{words}", "");
    };
    let version = &object.api_version.value;
    line(0, &format!("apiVersion: {version}"));
    line(0, "kind: SLO");
    line(0, "metadata:");
    line(2, &format!("name: {}", scalar(&object.metadata.name)));
    if let Some(name) = &object.metadata.display_name {
        line(2, &format!("displayName: {}", scalar(name)));
    }
    let labels = object.metadata.labels.iter();
    let labels: Vec<(&String, &String)> = labels
        .filter_map(|(name, value)| Some((name, value.0.first()?)))
        .collect();
    if !labels.is_empty() {
        line(2, &format!("labels: {}", mapping(labels)));
    }
    if !object.metadata.annotations.is_empty() {
        line(
            2,
            &format!("annotations: {}", notes(&object.metadata.annotations)),
        );
    }
    line(0, "spec:");
    if let Some(description) = &spec.description {
        line(2, &format!("description: {}", scalar(description)));
    }
    line(2, &format!("service: {}", scalar(&spec.service)));
    line(2, &format!("budgetingMethod: {}", spec.budgeting_method.value));
    for window in spec.time_window.iter().flatten() {
        line(2, "timeWindow:");
        line(
            4,
            &format!(
                "- {{duration: {}, isRolling: {}}}",
                window.duration.value, window.is_rolling
            ),
        );
    }
    if let Some(ratio) = spec
        .indicator
        .as_ref()
        .and_then(|inline| inline.spec.ratio_metric.as_ref())
    {
        line(2, "indicator:");
        line(4, "metadata: {name: events}");
        line(4, "spec:");
        line(6, "ratioMetric:");
        indicator(ratio, &mut line);
    }
    line(2, "objectives:");
    for target in &spec.objectives {
        let (key, share) = match (&target.target, &target.target_percent) {
            (Some(share), _) => ("target", share),
            (None, Some(percent)) => ("targetPercent", percent),
            (None, None) => continue,
        };
        line(4, &format!("- {{{key}: {}}}", share.value.0));
    }
    let policies: Vec<&PolicyUse> = spec.alert_policies.iter().flatten().collect();
    if !policies.is_empty() {
        line(2, "alertPolicies:");
        policies.into_iter().for_each(|policy| alert(policy, &mut line));
    }
    text
}

fn indicator(ratio: &RatioMetric, line: &mut impl FnMut(usize, &str)) {
    if ratio.counter {
        line(8, "counter: true");
    }
    if let Some(kind) = &ratio.raw_type {
        line(8, &format!("rawType: {}", kind.value));
    }
    let sides = [
        ("good", &ratio.good),
        ("bad", &ratio.bad),
        ("total", &ratio.total),
        ("raw", &ratio.raw),
    ];
    for (name, metric) in sides {
        let Some(query) = metric.as_ref().and_then(query) else {
            continue;
        };
        line(8, &format!("{name}:"));
        line(10, "metricSource:");
        line(12, "type: Prometheus");
        line(12, &format!("spec: {{query: {}}}", single_quoted(query)));
    }
}

fn query(metric: &Metric) -> Option<&str> {
    metric.metric_source.spec.get("query")?.value.0.as_deref()
}

/// A query reads best on one line and within single quotation marks: its own are double ones.
fn single_quoted(query: &str) -> String {
    let query = on_one_line(query);
    if query.contains(|c: char| c.is_control()) {
        return scalar(&query);
    }
    format!("'{}'", query.replace('\'', "''"))
}

/// Without comments, and with one blank for every stretch of white space outside of quotation marks.
fn on_one_line(query: &str) -> String {
    let mut line = String::with_capacity(query.len());
    let (mut quote, mut escaped, mut comment) = (None, false, false);
    for c in query.trim().chars() {
        match quote {
            _ if comment => comment = c != '\n',
            Some(_) if escaped => {
                escaped = false;
                line.push(c);
            }
            Some(open) => {
                escaped = c == '\\' && open != '`';
                quote = (c != open).then_some(open);
                line.push(c);
            }
            None if c == '#' => comment = true,
            None if c.is_whitespace() => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            None => {
                quote = ['"', '\'', '`'].contains(&c).then_some(c);
                line.push(c);
            }
        }
    }
    line.trim_end().to_owned()
}

fn alert(policy: &PolicyUse, line: &mut impl FnMut(usize, &str)) {
    let (Some(metadata), Some(spec)) = (&policy.metadata, &policy.spec) else {
        return;
    };
    let named = |metadata: &Metadata| match metadata.annotations.is_empty() {
        true => format!("metadata: {{name: {}}}", metadata.name.value),
        false => format!(
            "metadata: {{name: {}, annotations: {}}}",
            metadata.name.value,
            notes(&metadata.annotations)
        ),
    };
    line(4, "- kind: AlertPolicy");
    line(6, &named(metadata));
    line(6, "spec:");
    line(8, &format!("alertWhenBreaching: {}", spec.alert_when_breaching));
    line(8, &format!("alertWhenResolved: {}", spec.alert_when_resolved));
    line(8, "conditions:");
    for used in &spec.conditions {
        let (Some(metadata), Some(condition)) = (&used.metadata, &used.spec) else {
            continue;
        };
        let burn = &condition.condition;
        line(10, "- kind: AlertCondition");
        line(12, &named(metadata));
        line(12, "spec:");
        line(14, &format!("severity: {}", scalar(&condition.severity)));
        let words = format!(
            "condition: {{kind: {}, op: {}, threshold: {}, lookbackWindow: {}, alertAfter: 0m}}",
            burn.kind.value, burn.op.value, burn.threshold.value.0, burn.lookback_window.value
        );
        line(14, &words);
    }
    line(8, "notificationTargets: []");
}

fn notes(notes: &BTreeMap<String, Spanned<String>>) -> String {
    mapping(notes.iter().map(|(name, value)| (name, &value.value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_means_the_same_on_one_line() {
        let query = "sum( # all\n  rate(a{x=\"b  \\\" #c\"}[5m])\n)\n";
        assert_eq!(on_one_line(query), "sum( rate(a{x=\"b  \\\" #c\"}[5m]) )");
        assert_eq!(single_quoted("a{x='y'}"), "'a{x=''y''}'");
    }
}
