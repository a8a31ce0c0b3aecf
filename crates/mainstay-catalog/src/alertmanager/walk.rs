//! Whether a tree has the shape of a configuration: known keys, values of their types.

use super::schema::{Kind, Shape};
use super::seal::is_masked;
use super::tree::{Node, Value};
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::duration;
use crate::lint::{self, LintId};
use crate::nearest::suggest;
use crate::spanned::At;

/// Words that Go's YAML takes for a truth value.
const TRUE: [&str; 11] = [
    "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE",
];
const FALSE: [&str; 11] = [
    "n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE",
];

/// Collects what is wrong.
pub(super) struct Findings<'a> {
    pub(super) document: &'a Document,
    pub(super) found: Vec<Diagnostic>,
}

impl Findings<'_> {
    pub(super) fn push(&mut self, lint: LintId, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.found
            .push(self.document.diagnostic(lint, at, message).help(help));
    }

    pub(super) fn bad(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.push(lint::BAD_VALUE, at, message, help);
    }

    pub(super) fn missing(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.push(lint::MISSING_KEY, at, message, help);
    }

    /// Checks a mapping.
    pub(super) fn check(&mut self, node: &Node, shape: &'static Shape) {
        let entries = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => return,
            _ => return self.shape(node, &format!("expected {}, a mapping: `key: value`", shape.what)),
        };
        for (key, value) in entries {
            match shape.fields.iter().find(|(name, _)| *name == key.value) {
                Some((name, kind)) => self.value(name, value, *kind),
                None => self.push(
                    lint::UNKNOWN_KEY,
                    key.at,
                    format!("unknown key {:?} in {}", key.value, shape.what),
                    suggest(&key.value, "key", shape.fields.iter().map(|(name, _)| *name)),
                ),
            }
        }
    }

    fn shape(&mut self, node: &Node, expected: &str) {
        self.push(
            lint::WRONG_TYPE,
            node.at,
            format!("found {}", node.shape()),
            expected,
        );
    }

    fn value(&mut self, key: &str, node: &Node, kind: Kind) {
        if let Value::Null = node.value {
            return;
        }
        match kind {
            Kind::Any => {}
            Kind::Struct(shape) => self.check(node, shape),
            Kind::Structs(shape) => match &node.value {
                Value::List(items) => items.iter().for_each(|item| self.check(item, shape)),
                _ => self.shape(
                    node,
                    &format!("expected a list under `{key}:`, lines that begin with `- `"),
                ),
            },
            Kind::Texts => match &node.value {
                Value::List(items) => items.iter().for_each(|item| self.scalar(key, item)),
                _ => self.shape(node, "expected a list: `[a, b]`, or lines that begin with `- `"),
            },
            Kind::TextMap | Kind::SecretMap => match &node.value {
                Value::Map(entries) => entries.iter().for_each(|(key, item)| self.scalar(key, item)),
                _ => self.shape(node, "expected names and values: `name: value`"),
            },
            Kind::SecretLists => {
                if !matches!(node.value, Value::Map(_)) {
                    self.shape(node, "expected names and their values: `name: [value]`");
                }
            }
            Kind::Text | Kind::Secret => self.scalar(key, node),
            _ => match node.text() {
                Some(text) => self.typed(node, text, kind),
                None => self.scalar(key, node),
            },
        }
    }

    fn scalar(&mut self, key: &str, node: &Node) {
        if let Value::List(_) | Value::Map(_) = node.value {
            self.shape(
                node,
                &format!("expected one value for `{key}`, not {}", node.shape()),
            );
        }
    }

    fn typed(&mut self, node: &Node, text: &str, kind: Kind) {
        let (fits, expected) = match kind {
            Kind::Bool => (truth(text).is_some(), "expected true or false"),
            Kind::Int => (text.parse::<i64>().is_ok(), "expected a whole number"),
            Kind::Duration => (
                duration::parse(text).is_ok(),
                "expected a duration such as 30s, 5m or 1h30m",
            ),
            Kind::AnyDuration => (
                duration::parse(text).is_ok() || text.parse::<jiff::SignedDuration>().is_ok(),
                "expected a duration such as 30s, 5m or 1h30m",
            ),
            Kind::HostPort => (
                text.is_empty() || host_port(text).is_some(),
                "expected a host and a port, such as mail.example.org:587",
            ),
            Kind::Url | Kind::SecretUrl => (
                text.is_empty() || is_masked(text) || text.contains("{{") || is_url(text),
                "expected a URL with a host, such as https://hooks.example.org/alerts",
            ),
            _ => (true, ""),
        };
        if !fits {
            let message = match kind {
                Kind::SecretUrl => "this is not a URL that can be posted to".to_owned(),
                _ => format!("{text:?} cannot be used here"),
            };
            self.bad(node.at, message, expected);
        }
    }
}

/// A truth value as Go's YAML reads it.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        text if TRUE.contains(&text) => Some(true),
        text if FALSE.contains(&text) => Some(false),
        _ => None,
    }
}

/// A host, which may be empty, and a port, which may not.
pub(super) fn host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!port.is_empty()).then_some((host, port))
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str())
        && !host.is_empty()
        && !text.contains(|c: char| c.is_control() || c == ' ')
}
