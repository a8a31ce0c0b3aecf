//! What a new version of a catalog changes, thing by thing and key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::catalog::Catalog;
use crate::document::{Document, Format};

/// What becomes of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It becomes another.
    Changed,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What becomes of it.
    pub action: Action,
    /// What kind of thing: `Service`, `AlertRule`, `Rota`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The file: of the new version, or of the old one for what goes.
    pub file: String,
    /// Which of its keys change; empty for what is new or goes.
    pub fields: Vec<FieldChange>,
}

/// One key of a changed thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The path to it, such as `depends_on.hard` or `rules[2].expr`.
    pub path: String,
    /// The value before; nothing if the key is new.
    pub before: Option<Value>,
    /// The value after; nothing if the key goes.
    pub after: Option<Value>,
}

/// What changes from `old` to `new`, in order of kind and name. Moving a thing to another file is no change; neither are
/// comments and the order of keys.
#[must_use]
pub fn plan(old: &Catalog, new: &Catalog) -> Vec<Change> {
    let (before, after) = (things(old), things(new));
    let keys: BTreeSet<&(String, String)> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (kind, name) = key.clone();
        let change = |action, file: &str, fields| Change {
            action,
            kind: kind.clone(),
            name: name.clone(),
            file: file.to_owned(),
            fields,
        };
        match (before.get(key), after.get(key)) {
            (Some((file, _)), None) => changes.push(change(Action::Removed, file, Vec::new())),
            (None, Some((file, _))) => changes.push(change(Action::Added, file, Vec::new())),
            (Some((_, before)), Some((file, after))) => {
                let mut fields = Vec::new();
                compare("", Some(before), Some(after), &mut fields);
                if !fields.is_empty() {
                    changes.push(change(Action::Changed, file, fields));
                }
            }
            (None, None) => {}
        }
    }
    changes
}

/// Every thing of a catalog: kind and name, its file and what it says.
fn things(catalog: &Catalog) -> BTreeMap<(String, String), (String, Value)> {
    let mut things = BTreeMap::new();
    let mut add = |document: &Document, kind: &str, name: &str, value: Value| {
        let mut name = name.to_owned();
        // Two of a name are an error elsewhere; here both must be seen.
        while things.contains_key(&(kind.to_owned(), name.clone())) {
            name.push('\'');
        }
        things.insert((kind.to_owned(), name), (document.file.to_string(), value));
    };
    for document in catalog.documents.iter() {
        let value = match document.format {
            Format::Runbook => Value::String(document.text().to_owned()),
            // What no parser reads is compared as text.
            _ => document
                .decode()
                .unwrap_or_else(|_| Value::String(document.text().to_owned())),
        };
        match (document.format, value) {
            (Format::Mainstay, Value::Object(mut object)) => match object.remove("items") {
                Some(Value::Array(items)) => {
                    for item in items {
                        let name = text(&item, "id").unwrap_or("?").to_owned();
                        add(document, singular(&document.kind), &name, item);
                    }
                }
                _ => add(document, &document.kind, &document.name, Value::Object(object)),
            },
            (Format::PrometheusRules, value) => {
                let groups = value
                    .get("groups")
                    .or_else(|| value.pointer("/spec/groups"))
                    .and_then(Value::as_array);
                for group in groups.into_iter().flatten() {
                    let group_name = text(group, "name").unwrap_or("?");
                    for rule in group.get("rules").and_then(Value::as_array).into_iter().flatten() {
                        let (kind, name) = match (text(rule, "alert"), text(rule, "record")) {
                            (Some(name), _) => ("AlertRule", name),
                            (None, Some(name)) => ("RecordingRule", name),
                            (None, None) => ("Rule", "?"),
                        };
                        add(document, kind, &format!("{group_name}/{name}"), rule.clone());
                    }
                    let mut rest = group.clone();
                    if let Some(rest) = rest.as_object_mut() {
                        rest.remove("rules");
                    }
                    add(document, "RuleGroup", group_name, rest);
                }
            }
            (_, value) => {
                let kind = if document.kind.is_empty() {
                    "Document"
                } else {
                    &document.kind
                };
                add(document, kind, &document.name, value);
            }
        }
    }
    things
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The kind of one item of a document that lists several.
fn singular(kind: &str) -> &str {
    match kind {
        "People" => "Person",
        _ => kind.strip_suffix('s').unwrap_or(kind),
    }
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, fields: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                compare(&path, old.get(key), new.get(key), fields);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new)))
            if old.len() == new.len() && old.iter().chain(new).all(Value::is_object) =>
        {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), Some(old), Some(new), fields);
            }
        }
        _ => fields.push(FieldChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

impl fmt::Display for Change {
    /// `~ Service payment-service (services.yaml)`, and below it one line per key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action {
            Action::Added => '+',
            Action::Removed => '-',
            Action::Changed => '~',
        };
        write!(f, "{sign} {} {} ({})", self.kind, self.name, self.file)?;
        self.fields
            .iter()
            .try_for_each(|field| write!(f, "\n    {field}"))
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "text" } else { &self.path };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                let (before, after) = (one_line(before), one_line(after));
                // Of two long texts, what they begin with alike says nothing.
                let alike = before
                    .chars()
                    .zip(after.chars())
                    .take_while(|(a, b)| a == b)
                    .count();
                let skip = if before.len().max(after.len()) > SHOWN_CHARS {
                    alike.saturating_sub(LEAD_CHARS)
                } else {
                    0
                };
                write!(f, "{path}: {} → {}", brief(&before, skip), brief(&after, skip))
            }
            (None, Some(after)) => write!(f, "{path}: + {}", brief(&one_line(after), 0)),
            (Some(before), None) => write!(f, "{path}: - {}", brief(&one_line(before), 0)),
            (None, None) => f.write_str(path),
        }
    }
}

/// How much of a value is shown.
const SHOWN_CHARS: usize = 80;
/// How much of it is shown before the first difference.
const LEAD_CHARS: usize = 20;

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// `text` from its character `skip`, cut where it is long.
fn brief(text: &str, skip: usize) -> String {
    let shown: String = text.chars().skip(skip).take(SHOWN_CHARS).collect();
    let before = if skip > 0 { "…" } else { "" };
    let after = if text.chars().count() > skip + SHOWN_CHARS {
        "…"
    } else {
        ""
    };
    format!("{before}{shown}{after}")
}
