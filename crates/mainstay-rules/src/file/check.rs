//! What Prometheus demands of a rule file beyond its shape.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_promql::duration::parse_ms;
use serde_saphyr::{Location, Spanned};

use crate::dependency::names;
use crate::error::{Diagnostic, RuleFileError};
use crate::template::Template;
use crate::yaml::Source;

use super::document::{Group, Groups, Rule};
use super::{GroupSpec, RuleFile, RuleKind, RuleSpec};

pub(super) fn rule_file(source: Source<'_>, document: Groups) -> Result<RuleFile, RuleFileError> {
    let mut check = Check {
        source,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let mut groups = Vec::with_capacity(document.groups.len());
    let mut names = BTreeSet::new();
    let mut known = BTreeSet::new();
    for group in document.groups {
        let name = &group.value.name;
        if name.value.is_empty() {
            check.error(name.referenced, "the name of a group must not be empty");
        }
        if !names.insert(name.value.clone()) {
            check.error(
                name.referenced,
                format!("groupname: {:?} is repeated in the same file", name.value),
            );
        }
        let group = check.group(group, &mut known);
        check.order(&group);
        groups.push(group);
    }
    let Check {
        mut errors, warnings, ..
    } = check;
    if errors.is_empty() {
        return Ok(RuleFile { groups, warnings });
    }
    errors.sort();
    Err(RuleFileError(errors))
}

/// A rule's identity: what it makes and with which labels.
type Identity = (String, BTreeMap<String, String>);

struct Check<'a> {
    source: Source<'a>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Check<'_> {
    fn error(&mut self, place: Location, message: impl Into<String>) {
        self.errors.push(self.source.at(place, message));
    }

    fn group(&mut self, group: Spanned<Group>, known: &mut BTreeSet<Identity>) -> GroupSpec {
        let place = group.referenced;
        let group = group.value;
        if let Some(strategy) = &group.partial_response_strategy {
            let message = "partial_response_strategy belongs to Thanos and has no effect";
            self.warnings.push(self.source.at(strategy.referenced, message));
        }
        let rules = group
            .rules
            .into_iter()
            .filter_map(|rule| self.rule(rule, &group.labels, known))
            .collect();
        GroupSpec {
            file: self.source.file.to_owned(),
            line: self.source.at(place, "").line,
            name: group.name.value,
            interval_ms: self.duration(group.interval).filter(|ms| *ms > 0),
            query_offset_ms: self.duration(group.query_offset),
            limit: group.limit,
            rules,
        }
    }

    /// Remarks on rules that come before what they read.
    fn order(&mut self, group: &GroupSpec) {
        for (index, reader) in group.rules.iter().enumerate() {
            let mut later = group.rules.iter().skip(index + 1);
            let recorded = |writer: &&RuleSpec| matches!(writer.kind, RuleKind::Record { .. });
            let Some(writer) = later.find(|writer| recorded(writer) && names(reader, writer)) else {
                continue;
            };
            let message = format!(
                "{:?} reads {:?}, which is recorded after it, at line {}: it sees the evaluation before",
                reader.name(),
                writer.name(),
                writer.line
            );
            let found = self.source.diagnostic(reader.line, 1, message);
            self.warnings.push(found.help("move the rule that records it up"));
        }
    }

    fn duration(&mut self, text: Option<Spanned<String>>) -> Option<i64> {
        let text = text?;
        let parsed = parse_ms(&text.value);
        if parsed.is_none() {
            let message = format!("not a valid duration: {:?}, expected one such as 5m", text.value);
            let found = self.source.at(text.referenced, message);
            self.errors
                .push(found.help("write a number and its unit, large units first: 30s, 5m, 1h30m, 7d"));
        }
        parsed
    }

    fn rule(
        &mut self,
        rule: Spanned<Rule>,
        group_labels: &BTreeMap<String, Spanned<String>>,
        known: &mut BTreeSet<Identity>,
    ) -> Option<RuleSpec> {
        let place = rule.referenced;
        let rule = rule.value;
        let before = self.errors.len();
        let is_alert = rule.alert.is_some();
        self.fits(place, &rule);
        let mut labels = group_labels.clone();
        labels.extend(rule.labels);
        let name = rule.record.or(rule.alert);
        if let Some(name) = &name {
            self.name(name, is_alert);
            let plain = labels
                .iter()
                .map(|(label, value)| (label.clone(), value.value.clone()))
                .collect();
            if !known.insert((name.value.clone(), plain)) {
                let message = format!("{:?} is given twice with the same labels", name.value);
                self.warnings.push(self.source.at(place, message));
            }
        }
        let labels = self.texts(labels, is_alert);
        let annotations = self.texts(rule.annotations, true);
        let (for_ms, keep_firing_for_ms) = (self.duration(rule.hold), self.duration(rule.keep_firing_for));
        let expr = rule
            .expr
            .filter(|expr| !expr.value.trim().is_empty())
            .and_then(|expr| self.query(expr));
        let (name, (query, expr)) = (name?.value, expr?);
        if self.errors.len() > before {
            return None;
        }
        let kind = if is_alert {
            RuleKind::Alert {
                name,
                for_ms: for_ms.unwrap_or_default(),
                keep_firing_for_ms: keep_firing_for_ms.unwrap_or_default(),
                annotations,
            }
        } else {
            RuleKind::Record { name }
        };
        let line = self.source.at(place, "").line;
        Some(RuleSpec {
            kind,
            query,
            expr,
            labels,
            line,
        })
    }

    fn fits(&mut self, place: Location, rule: &Rule) {
        match (&rule.record, &rule.alert) {
            (Some(_), Some(alert)) => {
                self.error(alert.referenced, "only one of 'record' and 'alert' must be set")
            }
            (None, None) => self.error(place, "one of 'record' or 'alert' must be set"),
            _ => {}
        }
        if rule.expr.as_ref().is_none_or(|expr| expr.value.trim().is_empty()) {
            self.error(place, "field 'expr' must be set in rule");
        }
        if rule.record.is_none() {
            return;
        }
        for (key, given) in [("for", &rule.hold), ("keep_firing_for", &rule.keep_firing_for)] {
            if let Some(given) = given {
                self.error(
                    given.referenced,
                    format!("invalid field '{key}' in recording rule"),
                );
            }
        }
        if let Some(annotation) = rule.annotations.values().next() {
            self.error(
                annotation.referenced,
                "invalid field 'annotations' in recording rule",
            );
        }
    }

    fn name(&mut self, name: &Spanned<String>, is_alert: bool) {
        if name.value.is_empty() {
            self.error(name.referenced, "the name of a rule must not be empty");
        } else if !is_alert && name.value.contains(['{', '}']) {
            let message = format!(
                "braces present in the recording rule name; should it be in expr?: {}",
                name.value
            );
            self.error(name.referenced, message);
        }
    }

    fn texts(
        &mut self,
        texts: BTreeMap<String, Spanned<String>>,
        are_templates: bool,
    ) -> BTreeMap<String, Template> {
        let mut read = BTreeMap::new();
        for (name, text) in texts {
            if name.is_empty() || name == METRIC_NAME {
                self.error(text.referenced, format!("invalid label name: {name:?}"));
            }
            if !are_templates {
                read.insert(name, Template::plain(text.value));
                continue;
            }
            match Template::parse(&text.value) {
                Ok(template) => {
                    read.insert(name, template);
                }
                Err(error) => {
                    let message = format!("template of {name:?}: {}", error.message);
                    let (line, column) = (error.line, error.column);
                    let found = self
                        .source
                        .within(text.referenced, &text.value, line, column, message);
                    self.errors.push(found.help(
                        "a template knows `{{ $labels.NAME }}`, `{{ $value }}` and functions such as `humanizePercentage`",
                    ));
                }
            }
        }
        read
    }

    fn query(&mut self, text: Spanned<String>) -> Option<(String, mainstay_promql::Expr)> {
        match mainstay_promql::parse(&text.value) {
            Ok(expr) => Some((text.value, expr)),
            Err(error) => {
                let message = format!("could not parse expression: {}", error.message);
                let (line, column) = (error.position.line, error.position.column);
                let found = self
                    .source
                    .within(text.referenced, &text.value, line, column, message);
                self.errors.push(
                    found.help("write PromQL, such as `up == 0`; `mainstay query` tries an expression"),
                );
                None
            }
        }
    }
}
