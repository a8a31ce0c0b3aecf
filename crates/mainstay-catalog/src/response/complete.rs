//! From routes as they are written to complete ones.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use mainstay_kernel::{Labels, Matcher, Severity, parse_matchers};

use super::routing::{RouteSpec, RoutingSpec};
use super::time_interval::{NamedIntervals, TimeInterval};
use super::{Channels, EscalationPolicy, Flapping, GroupBy, InhibitRule, Route, Routing};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::Document;
use crate::envelope::{Sourced, by_name, values};
use crate::lint;
use crate::spanned::Spanned;

/// Resolves the receivers and completes the routes by inheritance.
///
/// An Alertmanager's configuration pages by services of others: whether an alert pages is not judged there.
pub(super) fn complete(
    routing: Sourced<'_, RoutingSpec>,
    pages_by_policies: bool,
    policies: &BTreeMap<String, Sourced<'_, EscalationPolicy>>,
    channels: &Channels,
    diagnostics: &mut Diagnostics,
) -> Routing {
    let Sourced {
        document,
        value:
            RoutingSpec {
                receivers,
                route,
                inhibit_rules,
                time_intervals,
            },
    } = routing;
    let named = receivers
        .into_iter()
        .map(|value| (value.name.clone(), Sourced { document, value }));
    let receivers = values(by_name("receiver", named, diagnostics));
    for receiver in receivers.values() {
        if let Some(policy) = receiver
            .page
            .as_ref()
            .filter(|policy| !policies.contains_key(&policy.value))
        {
            let known = policies.keys().map(String::as_str);
            diagnostics.push(document.unknown_reference("escalation policy", policy, known));
        }
        for webhook in receiver
            .webhooks
            .iter()
            .filter(|name| !channels.receivers().any(|known| known == name.value))
        {
            let known = channels.receivers();
            diagnostics.push(document.unknown_reference("webhook", webhook, known));
        }
        let first_post = receiver
            .chat
            .first()
            .filter(|_| channels.chat.is_none() && channels.slack.is_none());
        if let Some(channel) = first_post {
            let message = "nothing says how to reach the chat";
            diagnostics.push(
                document
                    .diagnostic(lint::UNKNOWN_REFERENCE, channel.at, message)
                    .help("add `chat` to the document of kind Channels"),
            );
        }
    }

    let mut report = |diagnostic| diagnostics.push(diagnostic);
    let root_at = route.at;
    let root = &route.value;
    if root.receiver.is_none() {
        let message = "the root route has no receiver";
        report(
            document
                .diagnostic(lint::MISSING_KEY, root_at, message)
                .help("add `receiver:`: it takes what no other route takes"),
        );
    }
    if let Some(matcher) = root.matchers.first() {
        let message = "the root route has matchers";
        report(
            document
                .diagnostic(lint::BAD_VALUE, matcher.at, message)
                .help("it matches everything: put them on a route below it"),
        );
    }
    if root.continues {
        let message = "the root route continues";
        report(
            document
                .diagnostic(lint::BAD_VALUE, root_at, message)
                .help("nothing comes after the root: leave `continue` out"),
        );
    }
    let muted = root.mute_time_intervals.iter().chain(&root.active_time_intervals);
    for name in muted {
        let message = "the root route is muted or active by time";
        report(
            document
                .diagnostic(lint::BAD_VALUE, name.at, message)
                .help("it takes what no other route takes: put the intervals on a route below it"),
        );
    }
    let time_intervals = intervals(document, &time_intervals, &mut report);
    let inhibit_rules = inhibit_rules
        .iter()
        .map(|rule| {
            let [source, target] = [
                (&rule.older_source, &rule.source_matchers),
                (&rule.older_target, &rule.target_matchers),
            ]
            .map(|(older, written)| {
                let mut all = older.clone();
                all.extend(matchers(document, written, &mut report));
                all
            });
            InhibitRule {
                source,
                target,
                equal: rule.equal.clone(),
            }
        })
        .collect();
    let known = Known {
        receivers: receivers.keys().map(String::as_str).collect(),
        intervals: time_intervals.keys().map(String::as_str).collect(),
    };
    let mut tree = inherit(document, root, &Route::default(), &known, &mut report);
    tree.matchers.clear();
    tree.continues = false;
    let routing = Routing {
        receivers,
        route: tree,
        inhibit_rules,
        time_intervals,
    };

    if pages_by_policies {
        let at = root.receiver.as_ref().map_or(root_at, |receiver| receiver.at);
        for labels in unrouted(&routing) {
            let told = routing.route.matching(&labels);
            let told: Vec<&str> = told.iter().map(|(_, route)| route.receiver.as_str()).collect();
            let said: Vec<String> = ["severity", "priority"]
                .into_iter()
                .filter_map(|name| Some(format!("{name}={:?}", labels.get(name)?)))
                .collect();
            let message = format!(
                "an alert with {} goes to {}, which pages nobody",
                said.join(" and "),
                told.join(", ")
            );
            diagnostics.push(
                document
                    .diagnostic(lint::SEVERITY_UNROUTED, at, message)
                    .help("add a route for it whose receiver has `page:`"),
            );
        }
    }
    routing
}

/// Labels as alerts of P0 and P1 have them that no route takes to a receiver that pages.
///
/// A catalog may know nothing of alerts that have a word alone. One that pages for some words must page for all that mean
/// the same: else an alert pages or does not by the word that its author liked.
fn unrouted(routing: &Routing) -> Vec<Labels> {
    let pages = |labels: &Labels| {
        let taken = routing.route.matching(labels);
        taken.iter().any(|(_, route)| {
            let receiver = routing.receivers.get(&route.receiver);
            receiver.is_some_and(|receiver| receiver.page.is_some())
        })
    };
    let both = [(Severity::P0, "critical"), (Severity::P1, "high")].map(|(severity, word)| {
        let labels = [("priority", severity.to_string()), ("severity", word.to_owned())];
        labels.into_iter().collect()
    });
    let paging = Severity::WORDS
        .into_iter()
        .filter(|(_, severity)| severity.pages());
    let alone = paging.map(|(word, _)| [("severity", word)].into_iter().collect());
    let (paged, not_paged): (Vec<Labels>, Vec<Labels>) = alone.partition(pages);
    let alone = match paged.is_empty() {
        true => Vec::new(),
        false => not_paged,
    };
    let both = both.into_iter().filter(|labels| !pages(labels));
    both.chain(alone).collect()
}

/// What a route may name.
struct Known<'a> {
    receivers: BTreeSet<&'a str>,
    intervals: BTreeSet<&'a str>,
}

fn intervals(
    document: &Document,
    written: &[NamedIntervals],
    report: &mut impl FnMut(Diagnostic),
) -> BTreeMap<String, Vec<TimeInterval>> {
    let mut known = BTreeMap::new();
    for named in written {
        let read = named.time_intervals.iter().map(|spec| {
            spec.read(|(text, why)| {
                let message = format!("`{text}` is not part of a time interval");
                report(document.diagnostic(lint::BAD_VALUE, text.at, message).help(why));
            })
        });
        let read = read.collect();
        if known.insert(named.name.value.clone(), read).is_some() {
            let message = format!("a second time interval called {}", named.name);
            report(document.diagnostic(lint::DUPLICATE_NAME, named.name.at, message));
        }
    }
    known
}

fn matchers(
    document: &Document,
    written: &[Spanned<String>],
    report: &mut impl FnMut(Diagnostic),
) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    for text in written {
        match parse_matchers(text) {
            Ok(parsed) => matchers.extend(parsed),
            Err(error) => {
                // A regular expression's error draws a picture first; its last line says it.
                let reason = error.to_string();
                let reason = reason
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .trim();
                let message = format!("`{text}` is not a matcher: {reason}");
                report(
                    document
                        .diagnostic(lint::BAD_VALUE, text.at, message)
                        .help("write it as Alertmanager does: 'severity=\"critical\"'"),
                );
            }
        }
    }
    matchers
}

fn inherit(
    document: &Document,
    spec: &RouteSpec,
    above: &Route,
    known: &Known<'_>,
    report: &mut impl FnMut(Diagnostic),
) -> Route {
    let unknown = |name: &&Spanned<String>| !known.receivers.contains(name.as_str());
    if let Some(receiver) = spec.receiver.as_ref().filter(unknown) {
        report(document.unknown_reference("receiver", receiver, known.receivers.iter().copied()));
    }
    let named = spec.mute_time_intervals.iter().chain(&spec.active_time_intervals);
    for name in named.filter(|name| !known.intervals.contains(name.as_str())) {
        report(document.unknown_reference("time interval", name, known.intervals.iter().copied()));
    }
    let names = |written: &[Spanned<String>]| written.iter().map(|name| name.value.clone()).collect();
    let mut all = spec.older_matchers.clone();
    all.extend(matchers(document, &spec.matchers, report));
    // None at all is as if nothing were said, as in Alertmanager.
    let group_by = spec.group_by.as_ref().filter(|names| !names.is_empty());
    let group_by = group_by.map(|names| {
        if names.iter().any(|name| name.value == "...") {
            GroupBy::All
        } else {
            GroupBy::Labels(names.iter().map(|name| name.value.clone()).collect())
        }
    });
    let flapping = spec.flapping.as_ref().map(|flapping| flapping.value);
    let flapping = flapping.or(above.flapping);
    let is_too_much =
        |flapping: &Flapping| flapping.starts > 100 || flapping.within > SignedDuration::from_hours(24);
    if let Some(much) = spec.flapping.as_ref().filter(|one| is_too_much(one)) {
        let message = "that is more than is kept of an alert's beginnings";
        report(
            document
                .diagnostic(lint::BAD_VALUE, much.at, message)
                .help("`starts` is 100 at most, `within` 24h"),
        );
    }
    let mut route = Route {
        receiver: spec
            .receiver
            .as_ref()
            .map_or_else(|| above.receiver.clone(), |name| name.value.clone()),
        matchers: all,
        group_by: group_by.unwrap_or_else(|| above.group_by.clone()),
        group_wait: spec.group_wait.unwrap_or(above.group_wait),
        group_interval: spec.group_interval.unwrap_or(above.group_interval),
        repeat_interval: spec.repeat_interval.unwrap_or(above.repeat_interval),
        flapping: flapping.filter(|flapping| flapping.starts > 0),
        shadow: spec.shadow.unwrap_or(above.shadow),
        continues: spec.continues,
        mute_time_intervals: names(&spec.mute_time_intervals),
        active_time_intervals: names(&spec.active_time_intervals),
        routes: Vec::new(),
    };
    route.routes = spec
        .routes
        .iter()
        .map(|below| inherit(document, below, &route, known, report))
        .collect();
    route
}
