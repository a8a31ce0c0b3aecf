//! From OpenSLO documents to indicators and objectives.
//!
//! Where OpenSLO's own reader refuses a document, it is an error here; where a document is fine but asks for something
//! that is not counted exactly (time slices, thresholds, composites, other data sources), it is a warning, and the
//! objective is left out. What OpenSLO has no key for stands in annotations that begin with `mainstay/`:
//!
//! | on | annotation | meaning |
//! |---|---|---|
//! | `SLO` | `mainstay/promise` | `objective` (ours, the default) or `agreement` (a contract) |
//! | `SLO` | `mainstay/group-by` | labels that it is judged by, such as `tenant,cell` |
//! | `SLO` | `mainstay/runbook` | the runbook that its alerts name |
//! | `SLO` | `mainstay/budget-warning-below`, `mainstay/budget-critical-below` | other shares than 50% and 20% (ruling R7) |
//! | `SLI` | `mainstay/edges` | the edges of its histogram, such as `0.1, 0.2, 0.5`: its threshold must be one |
//! | `SLO` | `mainstay/traffic-floor` | `auto` or `N per minute`: less traffic alerts |
//! | `SLO` | `mainstay/probes` | the `SLI` of the probes that look at the same from outside |
//! | `SLI` | `mainstay/completion` | it counts what becomes of payments: see [`crate::completion`] |
//! | `AlertPolicy`, `AlertCondition` | `mainstay/short-window` | the short window of the pair; else a twelfth of the long one |
//! | `AlertPolicy`, `AlertCondition` | `mainstay/priority` | `P0` to `P3`; else the condition's severity says it |
//! | `AlertPolicy`, `AlertCondition` | `mainstay/min-bad-events` | the fewest bad events that alert |
//!
//! Documents of other tools become OpenSLO objects first ([`crate::import`]) and go the same way.
//!
//! Each alert policy of an SLO is one pair of burn-rate windows; an SLO without one does not alert.

pub mod annotations;
mod check;
pub mod contradictions;
mod indicator;
mod objective;
pub mod openslo;
mod policy;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_catalog::document::{Document, Format};
use mainstay_catalog::{Diagnostic, Diagnostics, Documents, Level, Platform, Spanned, lint, suggest};
use serde::de::DeserializeOwned;

use crate::engine::SloCatalog;
use openslo::{AlertCondition, AlertPolicy, DataSource, NotificationTarget, Object, Service, Sli, Slo};

/// A document and what it says.
#[derive(Clone, Copy)]
struct Sourced<'a, S> {
    document: &'a Document,
    object: &'a Object<S>,
}

/// Objects of one kind by name, each with its document.
type ByName<'a, S> = BTreeMap<String, (&'a Document, Object<S>)>;

/// Every OpenSLO object of a catalog, by kind and name.
#[derive(Default)]
struct Objects<'a> {
    slos: ByName<'a, Slo>,
    slis: ByName<'a, Sli>,
    policies: ByName<'a, AlertPolicy>,
    conditions: ByName<'a, AlertCondition>,
    targets: ByName<'a, NotificationTarget>,
    services: ByName<'a, Service>,
    sources: ByName<'a, DataSource>,
}

/// Reads the OpenSLO documents of a catalog. `platform` says which services there are; one without services (a single
/// file that is checked) says nothing about them.
pub fn load(documents: &Documents, platform: &Platform, diagnostics: &mut Diagnostics) -> SloCatalog {
    let objects = Objects::of(documents, diagnostics);
    check::all(&objects, platform, diagnostics);
    let (indicators, objectives) = objective::build(&objects, diagnostics);
    match SloCatalog::new(indicators, objectives) {
        Ok(catalog) => catalog,
        Err(error) => {
            let file = objects
                .slos
                .values()
                .next()
                .map_or("", |(document, _)| &*document.file);
            diagnostics.push(Diagnostic::whole_file(lint::BAD_VALUE, file, error.to_string()));
            SloCatalog::default()
        }
    }
}

impl<'a> Objects<'a> {
    fn of(documents: &'a Documents, diagnostics: &mut Diagnostics) -> Self {
        let mut objects = Self::default();
        for document in documents.iter() {
            if let Some(slos) = crate::import::read(document, diagnostics) {
                for slo in slos {
                    insert(&mut objects.slos, document, slo, diagnostics);
                }
            } else if document.format == Format::OpenSlo {
                objects.read(document, diagnostics);
            }
        }
        objects
    }

    fn read(&mut self, document: &'a Document, diagnostics: &mut Diagnostics) {
        let version = document.api_version.as_str();
        if openslo::OTHER_VERSIONS.contains(&version) {
            let message = format!("a document of {version:?} is not counted");
            let help = format!("write it as {}", openslo::API_VERSION);
            diagnostics.push(warning(document, document.at, message).help(help));
            return;
        }
        if version != openslo::API_VERSION {
            let message = format!("unknown version {version:?}");
            let known = [openslo::API_VERSION].into_iter().chain(openslo::OTHER_VERSIONS);
            let found = document.diagnostic(lint::UNKNOWN_FORMAT, document.at, message);
            diagnostics.push(found.help(suggest(version, "version", known)));
            return;
        }
        match document.kind.as_str() {
            "SLO" => keep(&mut self.slos, document, diagnostics),
            "SLI" => keep(&mut self.slis, document, diagnostics),
            "AlertPolicy" => keep(&mut self.policies, document, diagnostics),
            "AlertCondition" => keep(&mut self.conditions, document, diagnostics),
            "AlertNotificationTarget" => keep(&mut self.targets, document, diagnostics),
            "Service" => keep(&mut self.services, document, diagnostics),
            "DataSource" => keep(&mut self.sources, document, diagnostics),
            kind => {
                let message = format!("unknown kind {kind:?}");
                let found = document.diagnostic(lint::UNKNOWN_KIND, document.at, message);
                diagnostics.push(found.help(suggest(kind, "kind", openslo::KINDS)));
            }
        }
    }
}

/// Reads a document and keeps it by its name.
fn keep<'a, S: DeserializeOwned>(
    objects: &mut ByName<'a, S>,
    document: &'a Document,
    diagnostics: &mut Diagnostics,
) {
    let Some(object) = diagnostics.keep(document.decode::<Object<S>>()) else {
        return;
    };
    insert(objects, document, object, diagnostics);
}

/// Keeps an object by its name; of two of one name the first holds.
fn insert<'a, S>(
    objects: &mut ByName<'a, S>,
    document: &'a Document,
    object: Object<S>,
    diagnostics: &mut Diagnostics,
) {
    let name = object.metadata.name.clone();
    if let Some((first, _)) = objects.get(&name.value) {
        let message = format!(
            "there are two documents of kind {} named {:?}",
            object.kind.value, name.value
        );
        let help = format!("the other is in {}: give one of them another name", first.file);
        diagnostics.push(
            document
                .diagnostic(lint::DUPLICATE_NAME, name.at, message)
                .help(help),
        );
        return;
    }
    objects.insert(name.value, (document, object));
}

fn sourced<'a, S>(objects: &'a ByName<'_, S>) -> impl Iterator<Item = Sourced<'a, S>> {
    objects
        .values()
        .map(|(document, object)| Sourced { document, object })
}

/// Finds what a name refers to; a name that refers to nothing is reported.
fn resolve<'a, S>(
    objects: &'a ByName<'_, S>,
    what: &str,
    name: &Spanned<String>,
    from: &Document,
    diagnostics: &mut Diagnostics,
) -> Option<Sourced<'a, S>> {
    let found = objects.get(&name.value);
    if found.is_none() {
        let known: BTreeSet<&str> = objects.keys().map(String::as_str).collect();
        diagnostics.push(from.unknown_reference(what, name, known));
    }
    found.map(|(document, object)| Sourced { document, object })
}

/// A finding that leaves the document usable.
pub(crate) fn warning(
    document: &Document,
    at: mainstay_catalog::At,
    message: impl Into<String>,
) -> Diagnostic {
    let mut found = document.diagnostic(lint::BAD_VALUE, at, message);
    found.level = Level::Warning;
    found
}

/// A value that cannot be used, and how to mend it.
pub(crate) fn bad<T>(
    document: &Document,
    value: &Spanned<T>,
    message: impl Into<String>,
    help: &str,
) -> Diagnostic {
    document.diagnostic(lint::BAD_VALUE, value.at, message).help(help)
}
