//! Alerts of Prometheus rule files, with the places of their words, and the times that they need.
//!
//! The rules' own reader (`mainstay-rules`) says what is wrong with a file; this view of it holds only what other
//! documents can contradict.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use mainstay_catalog::document::{Document, Format};
use mainstay_catalog::lint::{self, LintId};
use mainstay_catalog::{At, Diagnostic, Diagnostics, Documents, Spanned, duration};
use mainstay_kernel::{Labels, Severity};
use mainstay_promql::Expr;
use mainstay_promql::ast::Span;
use mainstay_promql::duration::format_ms;
use serde::Deserialize;

use super::expression::lookbacks;
use super::model::Model;

/// An alert of a rule file.
pub(super) struct Alert<'a> {
    pub(super) document: &'a Document,
    pub(super) name: Spanned<String>,
    query: Spanned<String>,
    pub(super) expr: Expr,
    labels: BTreeMap<String, Spanned<String>>,
    annotations: BTreeMap<String, Spanned<String>>,
}

impl Alert<'_> {
    /// Where a part of its query stands.
    pub(super) fn place(&self, span: Span) -> At {
        let query = &self.query;
        query
            .at
            .of_bytes_within(self.document.source(), &query.value, span.start..span.end)
    }

    pub(super) fn finding(&self, lint: LintId, span: Span, message: String) -> Diagnostic {
        self.document.diagnostic(lint, self.place(span), message)
    }

    /// Its severity, and where that is said.
    pub(super) fn severity(&self) -> Option<Spanned<Severity>> {
        ["priority", "severity"].into_iter().find_map(|name| {
            let written = self.labels.get(name)?;
            let labels: Labels = [(name, written.value.as_str())].into_iter().collect();
            Some(Spanned {
                value: Severity::from_labels(&labels)?,
                at: written.at,
            })
        })
    }

    /// Its texts: summary, description and so on.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.annotations.values()
    }
}

#[derive(Deserialize)]
struct File {
    groups: Option<Vec<Group>>,
    spec: Option<Groups>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Option<Vec<Group>>,
}

#[derive(Deserialize)]
struct Group {
    interval: Option<Spanned<String>>,
    labels: Option<BTreeMap<String, Spanned<String>>>,
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    alert: Option<Spanned<String>>,
    record: Option<Spanned<String>>,
    expr: Option<Spanned<String>>,
    labels: Option<BTreeMap<String, Spanned<String>>>,
    annotations: Option<BTreeMap<String, Spanned<String>>>,
}

fn groups(document: &Document) -> Vec<Group> {
    let Ok(file) = document.decode::<File>() else {
        return Vec::new();
    };
    let inner = file.spec.and_then(|spec| spec.groups);
    file.groups.or(inner).unwrap_or_default()
}

/// Every alert whose query can be read.
pub(super) fn alerts(documents: &Documents) -> Vec<Alert<'_>> {
    let mut alerts = Vec::new();
    for document in documents.of_format(Format::PrometheusRules) {
        for group in groups(document) {
            let common = group.labels.unwrap_or_default();
            for rule in group.rules.unwrap_or_default() {
                let (Some(name), Some(query)) = (rule.alert, rule.expr) else {
                    continue;
                };
                let Ok(expr) = mainstay_promql::parse(&query.value) else {
                    continue;
                };
                let mut labels = common.clone();
                labels.extend(rule.labels.unwrap_or_default());
                alerts.push(Alert {
                    document,
                    name,
                    query,
                    expr,
                    labels,
                    annotations: rule.annotations.unwrap_or_default(),
                });
            }
        }
    }
    alerts
}

/// What the operator's objects say about a Prometheus.
#[derive(Deserialize)]
struct Prometheus {
    spec: Option<PrometheusSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrometheusSpec {
    retention: Option<Spanned<String>>,
    scrape_interval: Option<Spanned<String>>,
    endpoints: Option<Vec<Endpoint>>,
    pod_metrics_endpoints: Option<Vec<Endpoint>>,
}

#[derive(Deserialize)]
struct Endpoint {
    interval: Option<Spanned<String>>,
}

/// A time that a document states.
struct Stated {
    ms: i64,
    text: String,
    place: String,
}

fn stated(document: &Document, text: &Spanned<String>) -> Option<Stated> {
    Some(Stated {
        ms: ms(duration::parse(&text.value).ok()?)?,
        text: text.value.clone(),
        place: format!("{}:{}", document.file, text.at.line),
    })
}

fn ms(duration: SignedDuration) -> Option<i64> {
    i64::try_from(duration.as_millis()).ok()
}

/// The longest retention of raw samples, and the shortest time between two of them, of all that the documents state.
fn data(documents: &Documents) -> (Option<Stated>, Option<Stated>) {
    let (mut retention, mut interval) = (Vec::new(), Vec::new());
    let kinds = ["Prometheus", "ServiceMonitor", "PodMonitor", "Probe"];
    let objects = documents
        .of_format(Format::KubernetesObject)
        .filter(|document| document.api_version.starts_with("monitoring.coreos.com/"))
        .filter(|document| kinds.contains(&document.kind.as_str()));
    for document in objects {
        let Some(spec) = document
            .decode::<Prometheus>()
            .ok()
            .and_then(|object| object.spec)
        else {
            continue;
        };
        let endpoints = [spec.endpoints, spec.pod_metrics_endpoints];
        let endpoints = endpoints.into_iter().flatten().flatten();
        let intervals = endpoints
            .filter_map(|one| one.interval)
            .chain(spec.scrape_interval);
        interval.extend(intervals.filter_map(|text| stated(document, &text)));
        retention.extend(spec.retention.and_then(|text| stated(document, &text)));
    }
    (
        retention.into_iter().max_by_key(|stated| stated.ms),
        interval.into_iter().min_by_key(|stated| stated.ms),
    )
}

/// Rulings R5 and R38: no rule looks back further than raw data is kept, or is evaluated more often than it arrives.
pub(super) fn check_times(model: &Model<'_>, documents: &Documents, diagnostics: &mut Diagnostics) {
    let (retention, interval) = data(documents);
    if let Some(kept) = &retention {
        for alert in &model.alerts {
            let furthest = lookbacks(&alert.expr).into_iter().max_by_key(|(ms, _)| *ms);
            if let Some((needed, span)) = furthest.filter(|(needed, _)| *needed > kept.ms) {
                let message = format!(
                    "{} looks back {}, and raw data is kept for {} ({}): it reads what is left, and calls it the whole",
                    alert.name.value,
                    format_ms(needed),
                    kept.text,
                    kept.place
                );
                let help = "count the events as they arrive: an SLO document with a burn-rate alert needs no raw data that old; or keep it longer";
                diagnostics.push(
                    alert
                        .finding(lint::LOOKBACK_BEYOND_RETENTION, span, message)
                        .help(help),
                );
            }
        }
    }
    let Some(arrives) = &interval else { return };
    for document in documents.of_format(Format::PrometheusRules) {
        for group in groups(document) {
            let names = group.rules.iter().flatten();
            let named = names.filter_map(|rule| rule.alert.as_ref().or(rule.record.as_ref()));
            let Some(every) = group.interval.filter(|_| named.count() > 0) else {
                continue;
            };
            let Some(evaluated) = stated(document, &every).filter(|every| every.ms < arrives.ms) else {
                continue;
            };
            let message = format!(
                "the rules are evaluated every {}, and their data arrives every {} at best ({}): they see the same samples again",
                evaluated.text, arrives.text, arrives.place
            );
            let help = format!("evaluate them every {}, or scrape more often", arrives.text);
            diagnostics.push(
                document
                    .diagnostic(lint::INTERVAL_FINER_THAN_DATA, every.at, message)
                    .help(help),
            );
        }
    }
}
