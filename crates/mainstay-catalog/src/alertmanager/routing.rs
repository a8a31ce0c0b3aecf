//! Routes, inhibition and time intervals, as the document of kind `Routing` has them.

use mainstay_kernel::{MatchOp, Matcher};

use super::tree::{Node, Value};
use super::walk::{Findings, truth};
use crate::duration;
use crate::lint;
use crate::response::time_interval::{IntervalSpec, NamedIntervals, TimesSpec};
use crate::response::{InhibitSpec, RouteSpec};
use crate::spanned::Spanned;

/// How deep routes may stand in one another.
const DEPTH_MAX: usize = 64;

/// The root route, whatever is wrong with it.
pub(super) fn root(root: &Node, findings: &mut Findings<'_>) -> Spanned<RouteSpec> {
    let Some(node) = root.get("route") else {
        findings.missing(
            root.at,
            "no `route`: nobody would be told anything",
            "add `route` with a `receiver`",
        );
        return Spanned {
            value: RouteSpec::default(),
            at: root.at,
        };
    };
    for key in ["match", "match_re"] {
        if let Some(matcher) = node.get(key).and_then(|map| map.entries().first()) {
            findings.bad(
                matcher.0.at,
                "the root route has matchers",
                "it matches everything: put them on a route below it",
            );
        }
    }
    Spanned {
        value: route(node, 0, findings),
        at: node.at,
    }
}

fn route(node: &Node, depth: usize, findings: &mut Findings<'_>) -> RouteSpec {
    let length = |key: &str| duration::parse(node.text_at(key)?.as_str()).ok();
    for key in ["group_interval", "repeat_interval"] {
        if let Some(written) = node.text_at(key)
            && length(key).is_some_and(|length| length.is_zero())
        {
            findings.bad(
                written.at,
                format!("`{key}` is 0"),
                "give a time such as 5m, or leave it out",
            );
        }
    }
    let group_by = node.get("group_by").map(|_| node.texts("group_by"));
    let mut names: Vec<&str> = Vec::new();
    for name in group_by.iter().flatten() {
        if name.is_empty() {
            findings.bad(name.at, "a label without a name", "leave it out");
        } else if names.contains(&name.as_str()) {
            findings.bad(
                name.at,
                format!("the label {:?} is there twice", name.value),
                "keep one",
            );
        }
        names.push(name);
    }
    if let (true, Some(all)) = (
        names.len() > 1,
        group_by.iter().flatten().find(|name| name.value == "..."),
    ) {
        findings.bad(
            all.at,
            "`...` beside other labels",
            "it means all labels: it stands alone",
        );
    }
    let mut below = Vec::new();
    if depth < DEPTH_MAX {
        below.extend(
            node.list("routes")
                .iter()
                .map(|node| route(node, depth + 1, findings)),
        );
    } else if let Some(routes) = node.get("routes") {
        let message = format!("routes more than {DEPTH_MAX} deep");
        findings.push(lint::TOO_LARGE, routes.at, message, "put them further up");
    }
    RouteSpec {
        receiver: node.filled("receiver"),
        matchers: node.texts("matchers"),
        older_matchers: older(node, "match", "match_re", findings),
        // An empty list is inherited over, as if nothing were written.
        group_by: group_by.filter(|names| !names.is_empty()),
        group_wait: length("group_wait"),
        group_interval: length("group_interval"),
        repeat_interval: length("repeat_interval"),
        flapping: None,
        shadow: None,
        continues: node
            .text_at("continue")
            .is_some_and(|text| truth(&text) == Some(true)),
        mute_time_intervals: node.texts("mute_time_intervals"),
        active_time_intervals: node.texts("active_time_intervals"),
        routes: below,
    }
}

/// Conditions as they were written before matchers.
fn older(node: &Node, equal: &str, pattern: &str, findings: &mut Findings<'_>) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    for (key, op) in [(equal, MatchOp::Equal), (pattern, MatchOp::Matches)] {
        for (name, value) in node.get(key).map_or(&[][..], Node::entries) {
            if name.is_empty() {
                findings.bad(name.at, "a label without a name", "name the label");
                continue;
            }
            if let (MatchOp::Matches, Value::Null) = (op, &value.value) {
                let message = format!("no regular expression for {:?}", name.value);
                findings.bad(
                    name.at,
                    message,
                    "write one, such as `foo|bar`, or leave the label out",
                );
                continue;
            }
            match Matcher::new(name.as_str(), op, value.text().unwrap_or_default()) {
                Ok(matcher) => matchers.push(matcher),
                Err(error) => findings.bad(
                    value.at,
                    format!("{:?} is no regular expression", value.text().unwrap_or_default()),
                    last_line(&error.to_string()),
                ),
            }
        }
    }
    matchers
}

/// The last line of a regular expression's error says it; a picture comes first.
fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

pub(super) fn inhibit_rules(root: &Node, findings: &mut Findings<'_>) -> Vec<InhibitSpec> {
    let rules = root.list("inhibit_rules").iter();
    rules
        .map(|rule| InhibitSpec {
            source_matchers: rule.texts("source_matchers"),
            target_matchers: rule.texts("target_matchers"),
            older_source: older(rule, "source_match", "source_match_re", findings),
            older_target: older(rule, "target_match", "target_match_re", findings),
            equal: rule.texts("equal").into_iter().map(|name| name.value).collect(),
        })
        .collect()
}

pub(super) fn time_intervals(root: &Node, findings: &mut Findings<'_>) -> Vec<NamedIntervals> {
    let named = ["mute_time_intervals", "time_intervals"].map(|key| root.list(key));
    let mut known = Vec::new();
    let mut all = Vec::new();
    for node in named.into_iter().flatten() {
        let name = node.filled("name");
        findings.unique(
            "a time interval",
            name.as_ref().map_or(node.at, |name| name.at),
            name.as_ref().map(|name| name.as_str()),
            &mut known,
        );
        let intervals = node.list("time_intervals").iter();
        let time_intervals = intervals.map(|node| interval(node, findings)).collect();
        all.extend(name.map(|name| NamedIntervals { name, time_intervals }));
    }
    // One that is there twice was reported.
    let mut seen = Vec::new();
    all.retain(|named| {
        let new = !seen.contains(&named.name.value);
        seen.push(named.name.value.clone());
        new
    });
    all
}

fn interval(node: &Node, findings: &mut Findings<'_>) -> IntervalSpec {
    let mut times = Vec::new();
    for range in node.list("times") {
        match (range.filled("start_time"), range.filled("end_time")) {
            (Some(start_time), Some(end_time)) => times.push(TimesSpec { start_time, end_time }),
            _ => findings.missing(
                range.at,
                "a range of times without `start_time` or `end_time`",
                "give both, such as 09:00 and 17:00",
            ),
        }
    }
    let mut location = node.filled("location");
    if location.as_ref().is_some_and(|name| name.value == "Local") {
        let at = location.take().map_or(node.at, |name| name.at);
        findings.loss(
            at,
            "`Local` is the zone of whatever machine this runs on: UTC is taken",
            "name the zone, such as Africa/Nairobi",
        );
    }
    IntervalSpec {
        times,
        weekdays: node.texts("weekdays"),
        days_of_month: node.texts("days_of_month"),
        months: node.texts("months"),
        years: node.texts("years"),
        location,
    }
}
