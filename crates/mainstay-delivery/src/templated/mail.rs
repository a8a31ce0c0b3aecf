//! A mail as an Alertmanager writes it: a subject, other headers, a text, a page of HTML.

use super::words::{Unworded, Words};
use crate::smtp::Letter;
use crate::wording;

/// The longest body, in bytes.
const BODY_MAX_BYTES: usize = 512 * 1024;
/// Headers that are of the sending, and that no template may set.
const OWN: [&str; 10] = [
    "to",
    "cc",
    "bcc",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "in-reply-to",
    "references",
];

/// Whom it is for.
pub(super) fn addresses(words: &Words<'_>, to: &str) -> Result<Vec<String>, Unworded> {
    let to = words.render("to", to)?;
    let each = to.split(',').map(str::trim).filter(|address| !address.is_empty());
    Ok(each.map(str::to_owned).collect())
}

pub(super) fn render(words: &Words<'_>) -> Result<Letter, Unworded> {
    let mut subject = None;
    let mut headers = Vec::new();
    for name in words.below("headers") {
        let path = format!("headers/{name}");
        let value = words.text(&path, "")?;
        let plain = name.to_ascii_lowercase();
        if plain == "subject" {
            subject = Some(value);
        } else if plain != "from" && !OWN.contains(&plain.as_str()) && !value.is_empty() {
            headers.push((name, value));
        }
    }
    let subject = match subject {
        Some(subject) => subject,
        None => words.render("headers/Subject", "{{ template \"email.default.subject\" . }}")?,
    };
    let subject: String = subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let html = words
        .written("html")
        .unwrap_or("{{ template \"email.default.html\" . }}");
    let html = words.html("html", html)?;
    let text = words.text("text", "")?;
    let body =
        |text: String| (!text.trim().is_empty()).then(|| wording::cut(&text, BODY_MAX_BYTES).into_owned());
    Ok(Letter {
        subject: words.marked(subject.trim()),
        headers,
        text: body(text),
        html: body(html),
    })
}
