//! Objectives that were written for other tools, as OpenSLO objects of ours.
//!
//! Sloth's `prometheus/v1` files, plain or as Kubernetes objects ([`sloth`]), Pyrra's `ServiceLevelObjective` ([`pyrra`])
//! and the older OpenSLO that Sloth reads ([`v1alpha`]). What comes out has the places of what was read, so that every
//! check of an OpenSLO document points into the file that was written; [`text`] writes it as documents of their own.
//!
//! What cannot be carried over is a warning where it stands. Alert conditions are carried over to the factor and the
//! window; what differs for all of them: an alert of ours never waits (`for`), and never fires on fewer than
//! [`crate::burn::MIN_BAD_DEFAULT`] bad events.

pub mod pyrra;
pub mod sloth;
pub mod text;
pub mod v1alpha;

use std::collections::BTreeMap;

use mainstay_catalog::document::{Document, Format};
use mainstay_catalog::{At, Diagnostics, Spanned};
use mainstay_kernel::{Ratio, Severity};
use serde::Deserialize;

use crate::burn::{BurnPair, window_text};
use crate::exact::compare_products;
use crate::objective::error_share;
use crate::prefix::MINUTE_KEEP_MS;
use crate::spec::openslo::{
    AlertCondition, AlertPolicy, Condition, ConditionUse, Decimal, Free, InlineSli, Metadata, Metric,
    MetricSource, Object, OneOrMany, PolicyUse, RatioMetric, Sli, Slo, Target, TimeWindow,
};
use crate::spec::{annotations, warning};

/// The longest name of an OpenSLO object.
const NAME_MAX: usize = 63;

/// The objectives of a document, if it is one of another tool's; `None` where it is not.
pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Vec<Object<Slo>>> {
    match document.format {
        Format::Sloth => Some(sloth::read(document, diagnostics)),
        Format::Pyrra => Some(pyrra::read(document, diagnostics)),
        Format::OpenSlo if v1alpha::is_slo(document) => Some(v1alpha::read(document, diagnostics)),
        _ => None,
    }
}

/// `metadata` of a Kubernetes object, as much of it as is read.
#[derive(Debug, Clone, Deserialize)]
struct ObjectMeta {
    name: Spanned<String>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    annotations: BTreeMap<String, Spanned<String>>,
}

/// One objective, before it is an object.
struct Draft {
    name: Spanned<String>,
    display_name: Option<String>,
    service: Spanned<String>,
    description: Option<String>,
    labels: BTreeMap<String, String>,
    notes: BTreeMap<String, Spanned<String>>,
    group_by: Option<Spanned<String>>,
    indicator: Sli,
    target: Spanned<Decimal>,
    is_percent: bool,
    window: Spanned<String>,
    policies: Vec<PolicyUse>,
}

impl Draft {
    fn object(self) -> Object<Slo> {
        let at = self.name.at;
        let here = |text: &str| Spanned {
            value: text.to_owned(),
            at,
        };
        let mut notes = self.notes;
        if let Some(labels) = self.group_by {
            notes.insert(annotations::GROUP_BY.to_owned(), labels);
        }
        let (target, target_percent) = if self.is_percent {
            (None, Some(self.target))
        } else {
            (Some(self.target), None)
        };
        Object {
            api_version: here(crate::spec::openslo::API_VERSION),
            kind: here("SLO"),
            metadata: Metadata {
                name: self.name.clone(),
                display_name: self.display_name,
                labels: self
                    .labels
                    .into_iter()
                    .map(|(name, value)| (name, OneOrMany(vec![value])))
                    .collect(),
                annotations: notes,
            },
            spec: Slo {
                description: self.description.filter(|text| !text.is_empty()),
                service: self.service,
                indicator: Some(InlineSli {
                    metadata: Metadata {
                        name: here("events"),
                        display_name: None,
                        labels: BTreeMap::new(),
                        annotations: BTreeMap::new(),
                    },
                    spec: self.indicator,
                }),
                indicator_ref: None,
                time_window: Some(vec![TimeWindow {
                    duration: self.window,
                    is_rolling: true,
                    calendar: None,
                }]),
                budgeting_method: here("Occurrences"),
                objectives: vec![Target {
                    display_name: None,
                    op: None,
                    value: None,
                    target,
                    target_percent,
                    time_slice_target: None,
                    time_slice_window: None,
                    indicator: None,
                    indicator_ref: None,
                    composite_weight: None,
                }],
                alert_policies: Some(self.policies),
            },
        }
    }
}

/// A name as OpenSLO has it; what had to be changed is said.
fn name(document: &Document, text: &str, at: At, diagnostics: &mut Diagnostics) -> Spanned<String> {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        };
        if value.len() < NAME_MAX && !(c == '-' && (value.is_empty() || value.ends_with('-'))) {
            value.push(c);
        }
    }
    let value = value.trim_end_matches('-').to_owned();
    if value != text {
        let message = format!("{text:?} is called {value:?} here");
        let help = "names have at most 63 lower-case letters, digits and -";
        diagnostics.push(warning(document, at, message).help(help));
    }
    Spanned { value, at }
}

/// A query of Prometheus.
fn query(text: &Spanned<String>) -> Metric {
    let free = text.clone().map(|text| Free(Some(text)));
    Metric {
        metric_source: MetricSource {
            metric_source_ref: None,
            source_type: Some(Spanned {
                value: "Prometheus".to_owned(),
                at: text.at,
            }),
            spec: BTreeMap::from([("query".to_owned(), free)]),
        },
    }
}

/// Which events are marked.
enum Side {
    Bad,
    Good,
}

/// Marked events among all.
fn ratio(side: &Side, marked: &Spanned<String>, total: &Spanned<String>) -> Sli {
    let marked = Some(query(marked));
    let (good, bad) = match side {
        Side::Bad => (None, marked),
        Side::Good => (marked, None),
    };
    Sli {
        description: None,
        threshold_metric: None,
        ratio_metric: Some(RatioMetric {
            counter: true,
            good,
            bad,
            total: Some(query(total)),
            raw_type: None,
            raw: None,
        }),
    }
}

/// A pair of burn-rate windows as an alert policy; `None`, with a warning, where it could never fire or is too long.
fn policy(
    document: &Document,
    at: At,
    target: Option<Ratio>,
    pair: &BurnPair,
    diagnostics: &mut Diagnostics,
) -> Option<PolicyUse> {
    let (long, short) = (openslo_duration(pair.long_ms), openslo_duration(pair.short_ms));
    if pair.long_ms > MINUTE_KEEP_MS {
        let message = format!("the alert over {} is left out", window_text(pair.long_ms));
        let help = "windows of burn rates are at most 4 days long";
        diagnostics.push(warning(document, at, message).help(help));
        return None;
    }
    let budget = target.map(error_share)?;
    let reach = [pair.factor.numerator(), budget.numerator()];
    let whole = [pair.factor.denominator(), budget.denominator()];
    if compare_products(&reach, &whole).is_ge() {
        let message = format!(
            "the alert over {} is left out: even a total outage burns less than {} times the budget",
            window_text(pair.long_ms),
            pair.factor
        );
        diagnostics.push(warning(document, at, message).help("the target is too low for it: it never fired"));
        return None;
    }
    let here = |text: &str| Spanned {
        value: text.to_owned(),
        at,
    };
    let metadata = |name: String, annotations: BTreeMap<String, Spanned<String>>| Metadata {
        name: here(&name),
        display_name: None,
        labels: BTreeMap::new(),
        annotations,
    };
    let notes = BTreeMap::from([
        (annotations::SHORT_WINDOW.to_owned(), here(&short)),
        (annotations::PRIORITY.to_owned(), here(&pair.severity.to_string())),
    ]);
    Some(PolicyUse {
        alert_policy_ref: None,
        kind: Some(here("AlertPolicy")),
        metadata: Some(metadata(format!("burn-{long}"), notes)),
        spec: Some(AlertPolicy {
            description: None,
            alert_when_no_data: false,
            alert_when_resolved: true,
            alert_when_breaching: true,
            conditions: vec![ConditionUse {
                condition_ref: None,
                kind: Some(here("AlertCondition")),
                metadata: Some(metadata(format!("burn-{long}"), BTreeMap::new())),
                spec: Some(AlertCondition {
                    description: None,
                    severity: here(pair.severity.word()),
                    condition: Condition {
                        kind: here("burnrate"),
                        op: here("gt"),
                        threshold: Spanned {
                            value: Decimal(pair.factor.to_string()),
                            at,
                        },
                        lookback_window: here(&long),
                        alert_after: None,
                    },
                }),
            }],
            notification_targets: Vec::new(),
        }),
    })
}

/// A length of time in whole minutes, as OpenSLO writes it.
fn openslo_duration(ms: i64) -> String {
    let minutes = ms / 60_000;
    match (minutes % 1_440, minutes % 60) {
        (0, _) => format!("{}d", minutes / 1_440),
        (_, 0) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

/// The target as an exact share; `None` where it is none, which the checks say.
fn share(target: &Decimal, is_percent: bool) -> Option<Ratio> {
    let unit = if is_percent { "%" } else { "" };
    let share: Ratio = format!("{}{unit}", target.0).parse().ok()?;
    (share < Ratio::ONE).then_some(share)
}

/// Says that a value has no place here.
fn left_out<T>(
    document: &Document,
    value: &Spanned<T>,
    what: &str,
    help: &str,
    diagnostics: &mut Diagnostics,
) {
    let message = format!("{what} cannot be carried over");
    diagnostics.push(warning(document, value.at, message).help(help));
}

/// Whether a word for a severity says as much as the priority that takes its place: both page, or neither.
fn says_the_same(word: &str, severity: Severity) -> bool {
    let labels = mainstay_kernel::Labels::new().with("severity", word.to_lowercase());
    Severity::from_labels(&labels).is_some_and(|said| said.pages() == severity.pages())
}
