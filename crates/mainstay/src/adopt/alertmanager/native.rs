//! `mainstay import alertmanager`: the same routing as documents of our own.

use std::collections::BTreeSet;

use mainstay_catalog::alertmanager::Address;
use mainstay_catalog::response::{Adopted, Integration, Response, Setting};
use mainstay_catalog::written::scalar;
use mainstay_kernel::ChannelName;
use serde_json::{Map, Value, json};

/// The documents, and what they do not say.
#[derive(Debug, Default)]
pub(in crate::adopt) struct Written {
    /// The document of kind `Routing`.
    pub(in crate::adopt) routing: String,
    /// The document of kind `Channels`.
    pub(in crate::adopt) channels: String,
    /// Variables that the environment of `serve` must have.
    pub(in crate::adopt) variables: Vec<String>,
    /// What is left out, field by field.
    pub(in crate::adopt) losses: Vec<String>,
}

/// Keys of an integration that are not words.
const NO_WORDS: [&str; 3] = ["to", "channel", "send_resolved"];

/// Writes the documents.
pub(in crate::adopt) fn written(response: &Response, adopted: &Adopted) -> Written {
    let mut writer = Writer {
        adopted,
        channels: Map::new(),
        variables: BTreeSet::new(),
        losses: Vec::new(),
    };
    let receivers = response.routing.receivers.values();
    let receivers: Vec<Value> = receivers
        .map(|receiver| writer.receiver(&receiver.name, &receiver.integrations))
        .collect();
    let mut spec = response.routing.to_alertmanager();
    spec["receivers"] = Value::from(receivers);
    if let Some(smtp) = &response.channels.smtp {
        let mut written = Map::new();
        written.insert("host".to_owned(), json!(smtp.host));
        written.insert("port".to_owned(), json!(smtp.port));
        written.insert("from".to_owned(), json!(smtp.from));
        written.insert("tls".to_owned(), json!(smtp.tls));
        if let (Some(username), Some(password)) = (&smtp.username, &smtp.password) {
            written.insert("username".to_owned(), json!(username));
            let password = writer.variable(&password.value, "SMTP_PASSWORD");
            written.insert("password".to_owned(), json!(password));
        }
        writer.channels.insert("smtp".to_owned(), Value::Object(written));
    }
    let document = |kind: &str, spec: &Value| {
        let name = kind.to_lowercase();
        let mut text = format!("apiVersion: mainstay/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:");
        block(spec, 1, &mut text);
        text.push('\n');
        text
    };
    Written {
        routing: document("Routing", &spec),
        channels: document("Channels", &Value::Object(writer.channels)),
        variables: writer.variables.into_iter().collect(),
        losses: writer.losses,
    }
}

struct Writer<'a> {
    adopted: &'a Adopted,
    channels: Map<String, Value>,
    variables: BTreeSet<String>,
    losses: Vec<String>,
}

impl Writer<'_> {
    fn receiver(&mut self, name: &str, integrations: &[Integration]) -> Value {
        let mut receiver = Map::new();
        receiver.insert("name".to_owned(), json!(name));
        let mut add = |key: &str, value: String| {
            if let Some(list) = receiver.entry(key).or_insert_with(|| json!([])).as_array_mut() {
                list.push(Value::from(value));
            }
        };
        for integration in integrations {
            let Some(address) = self.adopted.addresses.get(&integration.name) else {
                continue;
            };
            match address {
                Address::Email { to } if to.contains("{{") => {
                    self.losses
                        .push(format!("`to` of {} is a template", integration.name));
                }
                Address::Email { to } => to
                    .split(',')
                    .for_each(|address| add("email", address.trim().to_owned())),
                Address::SlackWebhook { channel, .. } => self.chat(integration, channel.as_deref(), &mut add),
                Address::SlackBot { channel, .. } => self.chat(integration, Some(channel), &mut add),
                Address::PagerDuty { routing_key, .. } => {
                    let key = self.variable(routing_key, &format!("{}_KEY", integration.name));
                    self.channel("pagerduty", &integration.name, json!({"routing_key": key}));
                    add("webhooks", integration.name.clone());
                }
                Address::Webhook { url, login } => {
                    if login.is_some() {
                        self.losses.push(format!("the login of {}", integration.name));
                    }
                    let url = self.variable(url, &format!("{}_URL", integration.name));
                    self.channel("alertmanager_webhooks", &integration.name, json!(url));
                    add("webhooks", integration.name.clone());
                }
                Address::Teams { url } => {
                    let url = self.variable(url, &format!("{}_URL", integration.name));
                    self.channel("teams", &integration.name, json!(url));
                    add("webhooks", integration.name.clone());
                }
            }
            let texts = self.adopted.wordings.get(&integration.name);
            let texts = texts.into_iter().flat_map(|wording| wording.texts.keys());
            let words = texts.filter(|key| !NO_WORDS.contains(&key.as_str()));
            self.losses.extend(words.map(|key| {
                format!(
                    "`{key}` of {}: native receivers are told in Mainstay's words",
                    integration.name
                )
            }));
        }
        let ends: BTreeSet<bool> = integrations
            .iter()
            .map(|integration| integration.send_resolved)
            .collect();
        if ends.len() > 1 {
            self.losses
                .push(format!("`send_resolved` of {name} differs: all hear of the end"));
        }
        if ends.len() == 1 && ends.contains(&false) {
            receiver.insert("send_resolved".to_owned(), json!(false));
        }
        Value::Object(receiver)
    }

    fn chat(&mut self, integration: &Integration, channel: Option<&str>, add: &mut impl FnMut(&str, String)) {
        let name = channel.and_then(|channel| ChannelName::new(channel).ok());
        let Some(name) = name else {
            self.losses
                .push(format!("`channel` of {} is no plain name", integration.name));
            return;
        };
        add("chat", name.to_string());
        self.variables.insert("SLACK_URL".to_owned());
        self.channels
            .insert("chat".to_owned(), json!({"url": "${SLACK_URL}"}));
    }

    fn channel(&mut self, kind: &str, name: &str, value: Value) {
        let of_kind = self.channels.entry(kind).or_insert_with(|| json!({}));
        of_kind[name] = value;
    }

    /// A secret as a variable of the environment: what was written, or the file that held it, is not known to a catalog.
    fn variable(&mut self, _secret: &Setting, name: &str) -> String {
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        let text = format!("${{{name}}}");
        self.variables.insert(name);
        text
    }
}

/// A value as block YAML behind its key.
fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}"),
        Value::Object(map) => {
            for (key, value) in map {
                out.push_str(&format!("\n{indent}{}:", scalar(key)));
                block(value, depth + 1, out);
            }
        }
        Value::Array(items) if items.is_empty() => out.push_str(" []"),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            out.push_str(&format!(" [{}]", items.join(", ")));
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                block(item, depth + 1, &mut inner);
                let lead = format!("\n{}", "  ".repeat(depth + 1));
                let inner = inner.strip_prefix(&lead).unwrap_or(&inner);
                out.push_str(&format!("\n{indent}- {inner}"));
            }
        }
        other => out.push_str(&format!(" {}", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}
