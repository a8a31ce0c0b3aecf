//! Writing a rule file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mainstay_catalog::written::{mapping, scalar};
use mainstay_kernel::SloId;

const HEAD: &str = "\
# Written by `mainstay slo export`; write it anew when objectives change.
#
# A Prometheus computes with rate() and increase(): they guess what happened between a window's edges and its samples, and do
# not see what a counter had when it appeared. Mainstay counts every sample once; where the two differ, the count holds. Three
# things that Mainstay does are not in these rules: an alert that goes on while nothing at all is measured, doubt about
# sources that ended, and states that stay as they were while data is missing.
";

pub(super) struct Group {
    pub(super) name: String,
    pub(super) interval: Option<&'static str>,
    pub(super) comments: Vec<String>,
    pub(super) rules: Vec<Rule>,
}

pub(super) struct Rule {
    kind: &'static str,
    name: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: Vec<(&'static str, String)>,
}

impl Rule {
    pub(super) fn record(name: impl Into<String>, expr: String) -> Self {
        Self::new("record", name.into(), expr)
    }

    pub(super) fn alert(name: impl Into<String>, expr: String) -> Self {
        Self::new("alert", name.into(), expr)
    }

    fn new(kind: &'static str, name: String, expr: String) -> Self {
        Self {
            kind,
            name,
            expr,
            labels: BTreeMap::new(),
            annotations: Vec::new(),
        }
    }

    pub(super) fn labels<N: Into<String>, V: Into<String>>(
        mut self,
        labels: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let labels = labels.into_iter();
        self.labels
            .extend(labels.map(|(name, value)| (name.into(), value.into())));
        self
    }

    pub(super) fn annotation(mut self, name: &'static str, text: String) -> Self {
        self.annotations.push((name, text));
        self
    }
}

/// A text that templates leave as it is.
pub(super) fn literal(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

pub(super) fn text(groups: &[Group], left_out: &[(SloId, String)]) -> String {
    let mut text = HEAD.to_owned();
    for (id, reason) in left_out {
        text.push_str(&format!("# Not here: {id}, for {reason}.\n"));
    }
    if groups.is_empty() {
        text.push_str("groups: []\n");
        return text;
    }
    text.push_str("groups:\n");
    for group in groups {
        // Writing to a String cannot fail.
        let _ = write_group(&mut text, group);
    }
    text
}

fn write_group(text: &mut String, group: &Group) -> std::fmt::Result {
    for comment in &group.comments {
        writeln!(text, "  # {comment}")?;
    }
    writeln!(text, "  - name: {}", scalar(&group.name))?;
    if let Some(interval) = group.interval {
        writeln!(text, "    interval: {interval}")?;
    }
    writeln!(text, "    rules:")?;
    for rule in &group.rules {
        writeln!(text, "      - {}: {}", rule.kind, scalar(&rule.name))?;
        if rule.expr.contains('\n') {
            writeln!(text, "        expr: |-")?;
            for line in rule.expr.lines() {
                writeln!(text, "          {line}")?;
            }
        } else {
            writeln!(text, "        expr: {}", scalar(&rule.expr))?;
        }
        if !rule.labels.is_empty() {
            writeln!(text, "        labels: {}", mapping(&rule.labels))?;
        }
        if !rule.annotations.is_empty() {
            writeln!(text, "        annotations:")?;
            for (name, words) in &rule.annotations {
                writeln!(text, "          {name}: {}", scalar(words))?;
            }
        }
    }
    Ok(())
}
