//! What is read out of a configuration.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::address::Address;
use super::tree::{Node, Value};
use crate::response::{RoutingSpec, Smtp};
use crate::spanned::Spanned;

/// A configuration as it was read. Whatever is wrong with it was reported; what is right is here all the same.
#[derive(Debug)]
pub(crate) struct Found {
    /// The routing, as it is written.
    pub(crate) spec: RoutingSpec,
    /// Where integrations are reached, by their names.
    pub(crate) addresses: BTreeMap<String, Address>,
    /// What integrations say, by their names.
    pub(crate) wordings: BTreeMap<String, Wording>,
    /// Globs of template files.
    pub(crate) templates: Vec<Spanned<String>>,
    /// The mail server.
    pub(crate) smtp: Option<Smtp>,
    /// Values of the settings `${sealed:...}`.
    pub(crate) secrets: Secrets,
}

/// Values of settings that are known to the program and written nowhere. Not even `Debug` shows them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// The value of a setting's variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        // What was masked is not known: an archive has no secrets.
        let value = self.0.get(name)?;
        (!super::seal::is_masked(value)).then_some(value)
    }

    pub(super) fn insert(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} secrets)", self.0.len())
    }
}

/// What an integration says: its templates as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wording {
    /// The kind of the integration: `slack_configs`.
    pub kind: String,
    /// The receiver's name.
    pub receiver: String,
    /// The templates by their keys; those inside of mappings and lists by their path: `headers/Subject`, `fields/0/title`.
    pub texts: BTreeMap<String, String>,
}

/// Keys that say how an integration is reached, and not what it says.
const NO_WORDS: [&str; 14] = [
    "api_url",
    "api_url_file",
    "app_token",
    "app_token_file",
    "app_url",
    "routing_key",
    "routing_key_file",
    "service_key",
    "service_key_file",
    "url",
    "url_file",
    "webhook_url",
    "webhook_url_file",
    "http_config",
];

impl Wording {
    pub(super) fn of(kind: &str, receiver: &str, config: &Node) -> Self {
        let mut texts = BTreeMap::new();
        let secret = |key: &str| NO_WORDS.contains(&key) || key.starts_with("auth_") || key == "tls_config";
        for (key, node) in config.entries().iter().filter(|(key, _)| !secret(&key.value)) {
            collect(&key.value, node, &mut texts);
        }
        Self {
            kind: kind.to_owned(),
            receiver: receiver.to_owned(),
            texts,
        }
    }
}

fn collect(path: &str, node: &Node, texts: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            texts.insert(path.to_owned(), scalar.text.clone());
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{path}/{index}"), item, texts);
            }
        }
        Value::Map(entries) => {
            for (key, item) in entries {
                collect(&format!("{path}/{}", key.value), item, texts);
            }
        }
    }
}
