//! Sloth: `version: prometheus/v1`, or a `PrometheusServiceLevel` object. Each objective has two alerts of two pairs
//! each: *page* is 14.4 times in 1 h and 5 min, or 6 times in 6 h and 30 min; *ticket* is 3 times in 1 d and 2 h, or once
//! in 3 d and 6 h. The period is 30 days.

use std::collections::BTreeMap;

use mainstay_catalog::document::Document;
use mainstay_catalog::{Diagnostics, Spanned, lint};
use serde::Deserialize;

use super::{Draft, Side, left_out, name, policy, query, ratio, says_the_same, share};
use crate::burn::{BurnPair, BurnPolicy};
use crate::selector::{EventCount, parse_event_count};
use crate::spec::annotations;
use crate::spec::openslo::{Decimal, Free, Object, PolicyUse, RatioMetric, Sli, Slo};
use crate::spec::warning;

/// Sloth's period where the command line says nothing else.
const PERIOD: &str = "30d";
/// The version that is read.
const VERSION: &str = "prometheus/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped {
    spec: Service,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    #[serde(default)]
    version: Option<Spanned<String>>,
    service: Spanned<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    slos: Vec<Objective>,
    #[serde(default, alias = "sloPlugins")]
    slo_plugins: Option<Spanned<Free>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Objective {
    name: Spanned<String>,
    #[serde(default)]
    description: Option<String>,
    objective: Spanned<Decimal>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    sli: Indicator,
    #[serde(default)]
    alerting: Alerting,
    #[serde(default)]
    plugins: Option<Spanned<Free>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Indicator {
    #[serde(default)]
    raw: Option<Raw>,
    #[serde(default)]
    events: Option<Events>,
    #[serde(default)]
    plugin: Option<Plugin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(alias = "errorRatioQuery")]
    error_ratio_query: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    #[serde(alias = "errorQuery")]
    error_query: Spanned<String>,
    #[serde(alias = "totalQuery")]
    total_query: Spanned<String>,
}

#[derive(Deserialize)]
struct Plugin {
    id: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Alerting {
    name: Option<Spanned<String>>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, Spanned<String>>,
    #[serde(alias = "pageAlert")]
    page_alert: Alert,
    #[serde(alias = "ticketAlert")]
    ticket_alert: Alert,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Alert {
    disable: bool,
    labels: BTreeMap<String, Spanned<String>>,
    annotations: BTreeMap<String, Spanned<String>>,
}

/// The objectives of a document.
pub(super) fn read(document: &Document, diagnostics: &mut Diagnostics) -> Vec<Object<Slo>> {
    let service = if document.kind.is_empty() {
        document.decode::<Service>()
    } else {
        document.decode::<Wrapped>().map(|wrapped| wrapped.spec)
    };
    let Some(service) = diagnostics.keep(service) else {
        return Vec::new();
    };
    if let Some(version) = service
        .version
        .as_ref()
        .filter(|version| version.value != VERSION)
    {
        let found = document.diagnostic(
            lint::UNKNOWN_FORMAT,
            version.at,
            "unknown version of Sloth's format",
        );
        diagnostics.push(found.help(format!("this release reads {VERSION}")));
        return Vec::new();
    }
    if let Some(plugins) = &service.slo_plugins {
        left_out(
            document,
            plugins,
            "a chain of plugins",
            "what they add is not there",
            diagnostics,
        );
    }
    let read = service.slos.iter();
    read.filter_map(|slo| objective(document, &service, slo, diagnostics))
        .collect()
}

fn objective(
    document: &Document,
    service: &Service,
    slo: &Objective,
    diagnostics: &mut Diagnostics,
) -> Option<Object<Slo>> {
    if let Some(plugins) = &slo.plugins {
        left_out(
            document,
            plugins,
            "a chain of plugins",
            "what they add is not there",
            diagnostics,
        );
    }
    let (indicator, by) = indicator(document, slo, diagnostics)?;
    let at = slo.objective.at;
    let target = share(&slo.objective.value, true);
    let alerts = [
        (&slo.alerting.page_alert, true),
        (&slo.alerting.ticket_alert, false),
    ];
    let mut policies: Vec<PolicyUse> = Vec::new();
    for (alert, pages) in alerts.iter().filter(|(alert, _)| !alert.disable) {
        let workbook = BurnPolicy::workbook();
        let pairs: Vec<BurnPair> = workbook
            .pairs
            .into_iter()
            .filter(|pair| pair.severity.pages() == *pages)
            .collect();
        said(document, alert, &pairs, diagnostics);
        let kept = pairs
            .iter()
            .filter_map(|pair| policy(document, at, target, pair, diagnostics));
        policies.extend(kept);
    }
    if let Some(name) = slo.alerting.name.as_ref().filter(|_| !policies.is_empty()) {
        let message = format!(
            "alerts of objectives are called {} here, not {:?}",
            crate::engine::BURN_ALERT,
            name.value
        );
        let help = "routes and silences go by slo, service, priority and the labels of the objective";
        diagnostics.push(warning(document, name.at, message).help(help));
    }
    let mut notes: BTreeMap<String, Spanned<String>> = BTreeMap::new();
    for (name, value) in &slo.alerting.annotations {
        if ["runbook", "runbook_url"].contains(&name.as_str()) {
            notes.insert(annotations::RUNBOOK.to_owned(), value.clone());
        } else {
            left_out(
                document,
                value,
                &format!("the annotation {name:?}"),
                "alerts of objectives say counts and budget",
                diagnostics,
            );
        }
    }
    let mut labels = service.labels.clone();
    labels.extend(slo.labels.clone());
    labels.extend(slo.alerting.labels.clone());
    let id = format!("{}-{}", service.service.value, slo.name.value);
    Some(
        Draft {
            name: name(document, &id, slo.name.at, diagnostics),
            display_name: Some(format!("{}: {}", service.service.value, slo.name.value)),
            service: service.service.clone(),
            description: slo.description.clone(),
            labels,
            notes,
            group_by: (!by.is_empty()).then(|| Spanned {
                value: by.join(","),
                at: slo.name.at,
            }),
            indicator,
            target: slo.objective.clone(),
            is_percent: true,
            window: Spanned {
                value: PERIOD.to_owned(),
                at: slo.name.at,
            },
            policies,
        }
        .object(),
    )
}

/// What only one of the two alerts says has no place of its own here: pairs have a priority, and routes go by it.
fn said(document: &Document, alert: &Alert, pairs: &[BurnPair], diagnostics: &mut Diagnostics) {
    for (name, value) in &alert.labels {
        let same = name == "severity"
            && pairs
                .iter()
                .all(|pair| says_the_same(&value.value, pair.severity));
        if !same {
            let priorities: Vec<String> = pairs.iter().map(|pair| pair.severity.to_string()).collect();
            let help = format!("route by priority: these alerts are {}", priorities.join(" and "));
            left_out(
                document,
                value,
                &format!("the label {name:?} of one alert"),
                &help,
                diagnostics,
            );
        }
    }
    for (name, value) in &alert.annotations {
        let help = "alerts of objectives say counts and budget";
        left_out(
            document,
            value,
            &format!("the annotation {name:?} of one alert"),
            help,
            diagnostics,
        );
    }
}

/// The indicator, and the labels by which its queries are grouped.
fn indicator(
    document: &Document,
    slo: &Objective,
    diagnostics: &mut Diagnostics,
) -> Option<(Sli, Vec<String>)> {
    let sli = &slo.sli;
    if let Some(events) = &sli.events {
        let error = without_vector_zero(&events.error_query);
        let total = without_vector_zero(&events.total_query);
        let counted = parse_event_count(&total.value).ok();
        let by = counted.as_ref().map(|count| count.by.clone()).unwrap_or_default();
        let good = counted.and_then(|count| rest_of(&error, &count));
        return Some(match good {
            Some(good) => (ratio(&Side::Good, &good, &total), by),
            None => (ratio(&Side::Bad, &error, &total), by),
        });
    }
    if let Some(raw) = &sli.raw {
        let ratio_metric = RatioMetric {
            counter: false,
            good: None,
            bad: None,
            total: None,
            raw_type: Some(Spanned {
                value: "failure".to_owned(),
                at: raw.error_ratio_query.at,
            }),
            raw: Some(query(&raw.error_ratio_query)),
        };
        let sli = Sli {
            description: None,
            threshold_metric: None,
            ratio_metric: Some(ratio_metric),
        };
        return Some((sli, Vec::new()));
    }
    let (at, what) = match &sli.plugin {
        Some(plugin) => (
            plugin.id.at,
            format!("the indicator of the plugin {:?}", plugin.id.value),
        ),
        None => (slo.name.at, "an objective without an indicator".to_owned()),
    };
    let message = format!("{what} cannot be carried over: the objective is left out");
    let help = "write its queries as `events` with `error_query` and `total_query`";
    diagnostics.push(warning(document, at, message).help(help));
    None
}

/// `a or vector(0)`: where nothing was counted is nothing to count.
fn without_vector_zero(query: &Spanned<String>) -> Spanned<String> {
    let text = query.value.trim();
    let lowered = text.to_ascii_lowercase();
    let zero = |rest: &str| {
        let compact: String = rest.split_whitespace().collect();
        compact == "vector(0)" || compact == "on()vector(0)"
    };
    let mut places = lowered.match_indices("or").map(|(place, _)| place);
    let cut = places.find(|place| {
        let before = lowered[..*place].ends_with(|c: char| c.is_whitespace() || c == ')');
        before && zero(&lowered[place + 2..])
    });
    let value = text.get(..cut.unwrap_or(text.len())).unwrap_or(text).trim();
    Spanned {
        value: value.to_owned(),
        at: query.at,
    }
}

/// Of `total - good`, the good: how Sloth's files write a latency.
fn rest_of(error: &Spanned<String>, total: &EventCount) -> Option<Spanned<String>> {
    let (all, good) = difference(&error.value)?;
    let all = parse_event_count(all).ok()?;
    let same = all.selectors == total.selectors && all.by == total.by;
    let is_count = parse_event_count(good).is_ok();
    (same && is_count).then(|| Spanned {
        value: good.trim().to_owned(),
        at: error.at,
    })
}

/// The two sides of the one minus that stands outside of every parenthesis and quotation.
fn difference(text: &str) -> Option<(&str, &str)> {
    let mut text = text.trim();
    while let Some(inner) = enclosed(text) {
        text = inner.trim();
    }
    let place = outermost(text, '-')?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// What one pair of parentheses encloses, if it encloses everything.
fn enclosed(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    // `(a) - (b)` begins and ends with one, too: there, the first one closes before the end.
    let mut depth = 0_i64;
    for c in inner.chars() {
        depth += i64::from(c == '(') - i64::from(c == ')');
        if depth < 0 {
            return None;
        }
    }
    Some(inner)
}

/// The place of a character outside of every bracket and quotation, if there is exactly one.
fn outermost(text: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_i64, None, false);
    let mut found = Vec::new();
    for (place, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' | '`' => quote = Some(c),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                c if c == wanted && depth == 0 => found.push(place),
                _ => {}
            },
        }
    }
    match found.as_slice() {
        [place] => Some(*place),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_taken_apart_where_it_is_one() {
        assert_eq!(
            difference("( sum(a) - sum(b{x=\"-\"}) )"),
            Some(("sum(a) ", " sum(b{x=\"-\"})"))
        );
        assert_eq!(difference("(a) - (b)"), Some(("(a) ", " (b)")));
        for text in ["a", "a - b - c", "(a - b) + c", "{x=\"a-b\"}"] {
            assert_eq!(difference(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_instead_of_zero_is_nothing() {
        for text in [
            "sum(a) or vector(0)",
            "sum(a) OR on() vector(0)",
            "sum(a)\n  or vector( 0 )",
        ] {
            assert_eq!(
                without_vector_zero(&Spanned::nowhere(text.to_owned())).value,
                "sum(a)"
            );
        }
        assert_eq!(
            without_vector_zero(&Spanned::nowhere("a or b".to_owned())).value,
            "a or b"
        );
    }
}
