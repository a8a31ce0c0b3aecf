//! Names that one format uses and another declares: alerts name runbooks, runbooks name alerts.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::RunbookId;
use serde::Deserialize;

use crate::diagnostic::Diagnostics;
use crate::document::{Document, Format};
use crate::documents::Documents;
use crate::response::{HEARTBEAT_ALERT, Heartbeat};
use crate::runbook::RunbookDoc;
use crate::spanned::Spanned;

/// As much of a rule file as is needed here; the capability that evaluates rules reads all of it and reports what does
/// not fit.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RuleFile {
    groups: Vec<RuleGroup>,
    spec: Option<Box<RuleFile>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RuleGroup {
    rules: Vec<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rule {
    alert: Option<Spanned<String>>,
    annotations: BTreeMap<String, Spanned<String>>,
}

/// The annotation by which an alert or an objective names its runbook, by id or by URL.
const RUNBOOK_ANNOTATIONS: [&str; 2] = ["runbook", "runbook_url"];

/// Checks both directions. A runbook that is named by a URL is somebody else's.
pub(crate) fn check(documents: &Documents, runbooks: &[RunbookDoc], diagnostics: &mut Diagnostics) {
    let mut rules: Vec<(&Document, Rule)> = Vec::new();
    for document in documents.of_format(Format::PrometheusRules) {
        let Ok(file) = document.decode::<RuleFile>() else {
            return;
        };
        let groups = file
            .groups
            .into_iter()
            .chain(file.spec.into_iter().flat_map(|spec| spec.groups));
        rules.extend(groups.flat_map(|group| group.rules).map(|rule| (document, rule)));
    }
    // What is wrong with these documents was said where they are read.
    let unsaid = &mut Diagnostics::default();
    let heartbeats = documents.items::<Heartbeat>("Heartbeats", unsaid);
    let has_heartbeats = !heartbeats.is_empty();
    let heartbeats: Vec<(&Document, Spanned<String>)> = heartbeats
        .into_iter()
        .filter_map(|item| Some((item.document, item.value.runbook?)))
        .collect();
    let heartbeats = &heartbeats;
    let known: BTreeSet<&str> = runbooks
        .iter()
        .map(|runbook| RunbookId::as_str(&runbook.id))
        .collect();
    for (document, rule) in &rules {
        let named = RUNBOOK_ANNOTATIONS
            .iter()
            .filter_map(|key| rule.annotations.get(*key));
        for runbook in named.filter(|name| !name.contains("://") && !known.contains(name.as_str())) {
            diagnostics.push(document.unknown_reference("runbook", runbook, known.iter().copied()));
        }
    }
    for (document, runbook) in heartbeats {
        if !runbook.contains("://") && !known.contains(runbook.as_str()) {
            diagnostics.push(document.unknown_reference("runbook", runbook, known.iter().copied()));
        }
    }
    let mut alerts: BTreeSet<&str> = rules
        .iter()
        .filter_map(|(_, rule)| Some(rule.alert.as_ref()?.as_str()))
        .collect();
    let objectives = documents
        .of_format(Format::OpenSlo)
        .filter(|document| document.kind == "SLO");
    alerts.extend(objectives.map(|document| document.name.as_str()));
    alerts.extend(has_heartbeats.then_some(HEARTBEAT_ALERT));
    for runbook in runbooks {
        let Some(document) = documents.iter().find(|document| *document.file == *runbook.file) else {
            continue;
        };
        for alert in runbook
            .front
            .alerts
            .iter()
            .filter(|alert| !alerts.contains(alert.as_str()))
        {
            diagnostics.push(document.unknown_reference("alert or objective", alert, alerts.iter().copied()));
        }
    }
}
