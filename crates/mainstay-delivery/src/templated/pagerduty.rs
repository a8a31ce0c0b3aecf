//! An event as an Alertmanager makes it, under the key that an Alertmanager gives it: what one began the other can end.

use std::collections::BTreeMap;

use mainstay_kernel::Digest;
use serde_json::{Map, Value, json};

use super::words::{Unworded, Words};
use crate::channel::Outgoing;
use crate::pagerduty::render as own;
use crate::wording;

const SUMMARY_MAX_BYTES: usize = 1_024;

/// What is told where a receiver does not say it.
const DETAILS: [(&str, &str); 4] = [
    (
        "firing",
        "{{ template \"pagerduty.default.instances\" .Alerts.Firing }}",
    ),
    (
        "resolved",
        "{{ template \"pagerduty.default.instances\" .Alerts.Resolved }}",
    ),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];

pub(super) fn render(words: &Words<'_>, routing_key: &str) -> Result<Value, Unworded> {
    let default = |name: &str| format!("{{{{ template \"pagerduty.default.{name}\" . }}}}");
    let summary = words.text("description", &default("description"))?;
    let client = words.text("client", &default("client"))?;
    let mut details = BTreeMap::new();
    for (key, template) in DETAILS {
        details.insert(key.to_owned(), words.render(&format!("details/{key}"), template)?);
    }
    let own = words.texts.wording.texts.iter();
    for (path, template) in own.filter_map(|(path, text)| Some((path.strip_prefix("details/")?, text))) {
        details.insert(
            path.to_owned(),
            words.render(&format!("details/{path}"), template)?,
        );
    }
    let mut payload = Map::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            payload.insert(key.to_owned(), Value::from(value));
        }
    };
    put("summary", wording::cut(&summary, SUMMARY_MAX_BYTES).into_owned());
    put("source", words.text("source", &client)?);
    put("severity", words.text("severity", "error")?);
    for key in ["class", "component", "group"] {
        put(key, words.text(key, "")?);
    }
    payload.insert("custom_details".to_owned(), nested(details));
    let list = |key: &str, parts: &[&str]| -> Result<Vec<Value>, Unworded> {
        let mut all = Vec::new();
        for index in words.below(key) {
            let mut entry = Map::new();
            for part in parts {
                let text = words.text(&format!("{key}/{index}/{part}"), "")?;
                if !text.is_empty() {
                    entry.insert((*part).to_owned(), Value::from(text));
                }
            }
            all.push(Value::Object(entry));
        }
        Ok(all)
    };
    Ok(json!({
        "routing_key": routing_key,
        "dedup_key": dedup_key(words),
        "event_action": action(words),
        "client": client,
        "client_url": words.text("client_url", &default("clientURL"))?,
        "links": list("links", &["href", "text"])?,
        "images": list("images", &["src", "alt", "href"])?,
        "payload": payload,
    }))
}

/// Mainstay's own event, under the same key.
pub(super) fn in_own_words(words: &Words<'_>, outgoing: &Outgoing<'_>, routing_key: &str) -> Value {
    let mut event = own(outgoing, routing_key);
    event["dedup_key"] = json!(dedup_key(words));
    event["event_action"] = json!(action(words));
    event
}

fn action(words: &Words<'_>) -> &'static str {
    if words.told.is_firing() {
        "trigger"
    } else {
        "resolve"
    }
}

fn dedup_key(words: &Words<'_>) -> String {
    Digest::of(words.told.group.text.as_bytes()).to_string()
}

/// Paths as objects in one another; what nests deeper than a path says keeps its text.
fn nested(details: BTreeMap<String, String>) -> Value {
    let mut all = Map::new();
    for (path, text) in details {
        let mut at = &mut all;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                at.insert(part.to_owned(), Value::from(text.clone()));
                break;
            }
            let inner = at.entry(part).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            match inner.as_object_mut() {
                Some(object) => at = object,
                None => break,
            }
        }
    }
    Value::Object(all)
}
