//! A post as an Alertmanager makes it: one attachment.

use serde_json::{Map, Value, json};

use super::words::{Unworded, Words};
use crate::wording;

/// Slack's limit for a title.
const TITLE_MAX_BYTES: usize = 1_024;
/// The longest text of an attachment.
const TEXT_MAX_BYTES: usize = 30_000;

pub(super) fn render(words: &Words<'_>, channel: Option<&str>) -> Result<Value, Unworded> {
    let default = |name: &str| format!("{{{{ template \"slack.default.{name}\" . }}}}");
    let text = |key: &str, name: &str| words.text(key, &default(name));
    let mut attachment = Map::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            attachment.insert(key.to_owned(), json!(wording::cut(&value, TEXT_MAX_BYTES)));
        }
    };
    let title = text("title", "title")?;
    put("title", words.marked_within(&title, TITLE_MAX_BYTES));
    put("title_link", text("title_link", "titlelink")?);
    put("pretext", text("pretext", "pretext")?);
    put("text", text("text", "text")?);
    put("fallback", text("fallback", "fallback")?);
    put("footer", text("footer", "footer")?);
    let colour = "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}";
    put("color", words.text("color", colour)?);
    put("image_url", words.text("image_url", "")?);
    put("thumb_url", words.text("thumb_url", "")?);
    let short_by_default = words.is("short_fields");
    let mut fields = Vec::new();
    for index in words.below("fields") {
        let path = |key: &str| format!("fields/{index}/{key}");
        let short = match words.written(&path("short")) {
            Some(_) => words.is(&path("short")),
            None => short_by_default,
        };
        fields.push(json!({
            "title": words.text(&path("title"), "")?,
            "value": words.text(&path("value"), "")?,
            "short": short,
        }));
    }
    if !fields.is_empty() {
        attachment.insert("fields".to_owned(), Value::from(fields));
    }
    let marked_down: Vec<&str> = words
        .below("mrkdwn_in")
        .iter()
        .filter_map(|index| words.written(&format!("mrkdwn_in/{index}")))
        .collect();
    let marked_down = match marked_down.is_empty() {
        true => vec!["fallback", "pretext", "text"],
        false => marked_down,
    };
    attachment.insert("mrkdwn_in".to_owned(), json!(marked_down));

    let mut document = Map::new();
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            document.insert(key.to_owned(), Value::from(value));
        }
    };
    put("channel", channel.unwrap_or_default().to_owned());
    put("username", text("username", "username")?);
    put("icon_emoji", text("icon_emoji", "iconemoji")?);
    put("icon_url", text("icon_url", "iconurl")?);
    if words.is("link_names") {
        document.insert("link_names".to_owned(), json!(true));
    }
    document.insert("attachments".to_owned(), json!([attachment]));
    Ok(Value::Object(document))
}
