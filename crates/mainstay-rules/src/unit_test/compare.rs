//! What a test expected beside what there was.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::Labels;
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_promql::SampleValue;
use mainstay_promql::difference::Difference;
use mainstay_promql::notation::histogram_text;

/// Labels and annotations of an alert.
pub(super) type Alert = (Labels, BTreeMap<String, String>);

/// How alerts differ: those that resemble each other most are held against each other, label by label.
pub(super) fn alerts(mut wanted: Vec<Alert>, mut found: Vec<Alert>) -> Vec<Difference> {
    wanted.retain(|alert| match found.iter().position(|found| found == alert) {
        Some(at) => {
            found.remove(at);
            false
        }
        None => true,
    });
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    for alert in wanted {
        let likeness = |other: &Alert| common(&alert.0, &other.0).len();
        let closest = (0..found.len()).max_by_key(|at| found.get(*at).map(likeness));
        // With nothing in common but the name, they are different alerts, unless there is only one of each.
        let alike = closest.filter(|at| found.len() == 1 || found.get(*at).map(likeness) > Some(0));
        match alike {
            Some(at) => differences.extend(pair(&alert, &found.remove(at))),
            None => missing.push(alert),
        }
    }
    let firing = || Some("firing".to_owned());
    differences.extend(missing.iter().map(|(labels, _)| Difference {
        subject: named(labels),
        expected: firing(),
        got: None,
    }));
    differences.extend(found.iter().map(|(labels, _)| Difference {
        subject: named(labels),
        expected: None,
        got: firing(),
    }));
    differences
}

/// The labels that both have, but for the alert's name.
fn common(a: &Labels, b: &Labels) -> Labels {
    let both = a
        .iter()
        .filter(|(name, value)| *name != ALERT_NAME && b.get(name) == Some(value));
    both.collect()
}

fn named(labels: &Labels) -> String {
    let rest = labels.filtered(|name| name != ALERT_NAME);
    format!("alert {rest}")
}

fn pair(wanted: &Alert, found: &Alert) -> Vec<Difference> {
    let alert = named(&common(&wanted.0, &found.0));
    let quoted = |text: &str| format!("{text:?}");
    let names: BTreeSet<&str> = wanted
        .0
        .iter()
        .chain(found.0.iter())
        .map(|(name, _)| name)
        .collect();
    let labels = names
        .into_iter()
        .map(|name| (format!("label {name}"), wanted.0.get(name), found.0.get(name)));
    let names: BTreeSet<&String> = wanted.1.keys().chain(found.1.keys()).collect();
    let annotations = names.into_iter().map(|name| {
        (
            format!("annotation {name}"),
            wanted.1.get(name).map(String::as_str),
            found.1.get(name).map(String::as_str),
        )
    });
    let differing = labels
        .chain(annotations)
        .filter(|(_, expected, got)| expected != got);
    differing
        .map(|(what, expected, got)| Difference {
            subject: format!("{alert}, {what}"),
            expected: expected.map(quoted),
            got: got.map(quoted),
        })
        .collect()
}

/// How samples differ, series by series.
pub(super) fn samples(
    wanted: Vec<(Labels, SampleValue)>,
    found: Vec<(Labels, SampleValue)>,
    is_same: impl Fn(&SampleValue, &SampleValue) -> bool,
) -> Vec<Difference> {
    let mut series: BTreeMap<Labels, (Vec<SampleValue>, Vec<SampleValue>)> = BTreeMap::new();
    for (labels, value) in wanted {
        series.entry(labels).or_default().0.push(value);
    }
    for (labels, value) in found {
        series.entry(labels).or_default().1.push(value);
    }
    let mut differences = Vec::new();
    for (labels, (wanted, found)) in &series {
        for at in 0..wanted.len().max(found.len()) {
            let (expected, got) = (wanted.get(at), found.get(at));
            if !matches!((expected, got), (Some(a), Some(b)) if is_same(a, b)) {
                differences.push(Difference {
                    subject: labels.to_string(),
                    expected: expected.map(text),
                    got: got.map(text),
                });
            }
        }
    }
    differences
}

fn text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(histogram) => histogram_text(histogram),
    }
}
