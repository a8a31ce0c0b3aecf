//! From OpenSLO indicators to what is counted.

use mainstay_catalog::document::Document;
use mainstay_catalog::{At, Diagnostics, Spanned};

use super::annotations::{self, COMPLETION, SOURCE, WITNESS};
use super::objective::is_label_name;
use super::openslo::{Free, Metadata, Metric, RatioMetric, Sli};
use super::{bad, warning};
use crate::completion::Completion;
use crate::reading::{Op, Threshold};
use crate::selector::observations::{asks_for_observations, parse_observations};
use crate::selector::{EventCount, Selector, parse_event_count, parse_selector};
use crate::sli::{
    Counters, Events, GROUP_LABELS_MAX, Gauge, Histograms, Marked, SOURCE_LABEL, Share, SliDefinition,
    Witness,
};

/// What a threshold or a ratio counts, grouped by the labels of its queries; `None`, with a warning, where it cannot be
/// counted. `threshold` is there where the indicator is one.
pub(super) fn build(
    document: &Document,
    name: &str,
    metadata: &Metadata,
    sli: &Sli,
    threshold: Option<Threshold>,
    diagnostics: &mut Diagnostics,
) -> Option<SliDefinition> {
    if let Some(text) = metadata.annotations.get(COMPLETION) {
        return completion(document, name, text, diagnostics);
    }
    let at = metadata.name.at;
    let (events, group_by) = match (&sli.threshold_metric, &sli.ratio_metric) {
        (Some(metric), _) => {
            let (gauges, sampled) = samples(document, name, at, metric, diagnostics)?;
            let good = threshold?;
            let gauge = Gauge {
                gauges,
                sampled,
                good,
            };
            (Events::Gauge(gauge), Vec::new())
        }
        (None, Some(ratio)) => match &ratio.raw {
            Some(raw) => {
                let (shares, sampled) = samples(document, name, at, raw, diagnostics)?;
                let marked = match ratio.raw_type.as_ref()?.as_str() {
                    "success" => Marked::Good,
                    "failure" => Marked::Bad,
                    _ => return None,
                };
                let share = Share {
                    shares,
                    sampled,
                    marked,
                };
                (Events::Share(share), Vec::new())
            }
            None => counters(document, name, at, ratio, diagnostics)?,
        },
        (None, None) => return None,
    };
    Some(SliDefinition {
        name: name.to_owned(),
        events,
        group_by,
        source: source(document, metadata, diagnostics).unwrap_or_else(|| SOURCE_LABEL.to_owned()),
        witness: witness(document, metadata, diagnostics),
    })
}

/// The counters of a ratio, and the labels that their queries are grouped by.
fn counters(
    document: &Document,
    name: &str,
    at: At,
    ratio: &RatioMetric,
    diagnostics: &mut Diagnostics,
) -> Option<(Events, Vec<String>)> {
    let (marked, metric) = match (&ratio.bad, &ratio.good) {
        (Some(bad), None) => (Marked::Bad, bad),
        (None, Some(good)) => (Marked::Good, good),
        // That is an error, which has been said.
        _ => return None,
    };
    let total = ratio.total.as_ref()?;
    // What cannot be read is said below.
    if let Some((_, text)) = query(document, name, at, total, &mut Diagnostics::default())
        && asks_for_observations(text)
    {
        return histograms(document, name, at, (marked, metric), total, diagnostics);
    }
    if !ratio.counter {
        let message =
            format!("the indicator {name:?} does not say `counter: true`, and is read as if it did");
        let help = "add `counter: true` where the queries name counters";
        diagnostics.push(warning(document, at, message).help(help));
    }
    let marked_by = event_count(document, name, at, metric, diagnostics);
    let total = event_count(document, name, at, total, diagnostics);
    let (marked_by, total) = (marked_by?, total?);
    if marked_by.by != total.by {
        let message = format!("the two queries of the indicator {name:?} are grouped by different labels");
        diagnostics.push(warning(document, at, message).help("write the same `by (..)` in both"));
        return None;
    }
    let events = Events::Counters(Counters {
        marked,
        marked_by: marked_by.selectors,
        total: total.selectors,
    });
    Some((events, total.by))
}

/// The observations of native histograms that are at most a threshold, of all.
fn histograms(
    document: &Document,
    name: &str,
    at: At,
    (marked, metric): (Marked, &Metric),
    total: &Metric,
    diagnostics: &mut Diagnostics,
) -> Option<(Events, Vec<String>)> {
    let mut read = |metric: &Metric| {
        let (query, text) = query(document, name, at, metric, diagnostics)?;
        let observed = parse_observations(text);
        if let Err(error) = &observed {
            let help = "such as `histogram_fraction(0, 0.2, rate(x[5m])) * histogram_count(rate(x[5m]))` of \
                        `histogram_count(rate(x[5m]))`";
            diagnostics.push(bad(document, query, error.to_string(), help));
        }
        observed.ok()
    };
    let (some, all) = (read(metric)?, read(total)?);
    let same = some.selector == all.selector && some.by == all.by && all.at_most.is_none();
    let threshold = some.at_most.and_then(|at_most| Threshold::new(Op::Lte, at_most));
    let Some(good) = threshold.filter(|_| same && marked == Marked::Good) else {
        let message = format!("the indicator {name:?} is no part of the observations of one histogram");
        let help = "write `good` as `histogram_fraction(0, T, S) * histogram_count(S)` and `total` as `histogram_count(S)`";
        diagnostics.push(warning(document, at, message).help(help));
        return None;
    };
    let histograms = vec![all.selector];
    Some((Events::Histograms(Histograms { histograms, good }), all.by))
}

/// An indicator by completion, grouped as its objectives want.
fn completion(
    document: &Document,
    name: &str,
    text: &Spanned<String>,
    diagnostics: &mut Diagnostics,
) -> Option<SliDefinition> {
    match Completion::parse(text) {
        Ok(completion) => Some(SliDefinition {
            name: name.to_owned(),
            events: Events::Completion(completion),
            group_by: Vec::new(),
            source: SOURCE_LABEL.to_owned(),
            witness: None,
        }),
        Err(error) => {
            let help = "such as `stream: payments`, `good: COMPLETED` and `deadline: 5s`, a line each";
            diagnostics.push(bad(document, text, format!("{COMPLETION}: {error}"), help));
            None
        }
    }
}

fn source(document: &Document, metadata: &Metadata, diagnostics: &mut Diagnostics) -> Option<String> {
    let label = |text: &str| is_label_name(text).then(|| text.to_owned());
    let expected = "the name of a label such as `pod`";
    annotations::read(document, metadata, SOURCE, expected, diagnostics, label).map(|read| read.value)
}

fn witness(document: &Document, metadata: &Metadata, diagnostics: &mut Diagnostics) -> Option<Witness> {
    let counters = |text: &str| {
        let count = parse_event_count(text).ok()?;
        let [label] = <[String; 1]>::try_from(count.by).ok()?;
        Some(Witness {
            counters: count.selectors,
            label,
        })
    };
    let expected =
        "counters summed by the one label that names the source: `sum by (upstream_pod) (sent_total)`";
    annotations::read(document, metadata, WITNESS, expected, diagnostics, counters).map(|read| read.value)
}

/// The query of a source; `None`, with a warning, where there is none that can be read.
fn query<'a>(
    document: &Document,
    name: &str,
    at: At,
    metric: &'a Metric,
    diagnostics: &mut Diagnostics,
) -> Option<(&'a Spanned<Free>, &'a str)> {
    let source = &metric.metric_source;
    if let Some(kind) = source
        .source_type
        .as_ref()
        .filter(|kind| !kind.eq_ignore_ascii_case("prometheus"))
    {
        let message = format!(
            "the indicator {name:?} asks a source of type {:?}, which is not read",
            kind.value
        );
        diagnostics.push(warning(document, kind.at, message).help("Mainstay counts Prometheus metrics"));
        return None;
    }
    let text = source
        .spec
        .get("query")
        .and_then(|query| Some((query, query.value.0.as_deref()?)));
    if text.is_none() {
        let message = format!("the indicator {name:?} has no `query`");
        diagnostics.push(warning(document, at, message).help("name a metric in `spec.query`"));
    }
    text
}

/// What the metrics that are recorded for indicators begin with.
const RECORDED: &str = "mainstay:sampled:";

/// The series of a gauge or of a finished ratio: those that are scraped, or else what is to be recorded of an expression.
fn samples(
    document: &Document,
    name: &str,
    at: At,
    metric: &Metric,
    diagnostics: &mut Diagnostics,
) -> Option<(Vec<Selector>, Option<String>)> {
    let (query, text) = query(document, name, at, metric, diagnostics)?;
    if let Ok(selector) = parse_selector(text) {
        return Some((vec![selector], None));
    }
    let expression = without_templates(text);
    if let Err(error) = mainstay_promql::parse(&expression) {
        let help = "write PromQL, such as max by (cell) (queue_depth); the objective is left out";
        diagnostics.push(warning(document, query.at, error.to_string()).help(help));
        return None;
    }
    if expression != text {
        let message =
            format!("the template of a range is read as {SAMPLED_RANGE}: each sample looks back so far");
        let help = "an average of averages; where the counters exist, count them";
        diagnostics.push(warning(document, query.at, message).help(help));
    }
    // Names have lower-case letters, digits, - and /: they stay different.
    let metric = format!("{RECORDED}{}", name.replace('-', "_").replace('/', ":"));
    let recorded = Selector {
        metric,
        matchers: Vec::new(),
    };
    Some((vec![recorded], Some(expression)))
}

/// What a template of a range, such as Sloth's `{{.window}}`, is read as.
const SAMPLED_RANGE: &str = "5m";

/// The expression with every `{{..}}` as a range.
fn without_templates(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((_, after)) = after.split_once("}}") else {
            break;
        };
        written.push_str(before);
        written.push_str(SAMPLED_RANGE);
        rest = after;
    }
    written.push_str(rest);
    written
}

fn event_count(
    document: &Document,
    name: &str,
    at: At,
    metric: &Metric,
    diagnostics: &mut Diagnostics,
) -> Option<EventCount> {
    let (query, text) = query(document, name, at, metric, diagnostics)?;
    match parse_event_count(text) {
        Ok(count) if count.by.len() > GROUP_LABELS_MAX => {
            let message = format!("a query is grouped by at most {GROUP_LABELS_MAX} labels");
            diagnostics.push(bad(document, query, message, "drop some of them"));
            None
        }
        Ok(count) => Some(count),
        Err(error) => {
            diagnostics.push(
                warning(document, query.at, error.to_string())
                    .help("count a counter, or rate(..), increase(..) or sum(..) of one"),
            );
            None
        }
    }
}
