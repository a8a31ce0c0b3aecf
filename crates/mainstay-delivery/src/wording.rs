//! The words that every channel uses for a message, so that a page reads the same wherever it arrives.

use crate::channel::Outgoing;

/// The longest subject line, in bytes.
const SUBJECT_MAX_BYTES: usize = 240;
/// The longest text, in bytes.
const TEXT_MAX_BYTES: usize = 64 * 1024;

/// How the bridge is called where there is a word for it and a value.
pub(crate) const BRIDGE: &str = "Bridge";
/// How its number is called there.
pub(crate) const DIAL_IN: &str = "Dial-in";
/// How the link to it is called.
pub(crate) const JOIN: &str = "Join the bridge";

/// One line: `[P0] what, where`, marked when it is over or may be a repetition.
pub(crate) fn subject(outgoing: &Outgoing<'_>) -> String {
    subject_within(outgoing, usize::MAX)
}

/// The same within a limit.
pub(crate) fn subject_within(outgoing: &Outgoing<'_>, max_bytes: usize) -> String {
    let message = &outgoing.deliver.message;
    let resolved = if message.resolved { "[resolved] " } else { "" };
    let what: String = message
        .subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let what = cut(&what, SUBJECT_MAX_BYTES);
    let line = format!("[{}] {resolved}{what}", message.severity);
    marked_within(outgoing, &line, max_bytes)
}

/// A line within a limit, marked if it may be a repetition. It is the line that is cut, never the mark: without it, the
/// second is taken for something new.
pub(crate) fn marked_within(outgoing: &Outgoing<'_>, line: &str, max_bytes: usize) -> String {
    let mark = duplicate(outgoing)
        .map(|mark| format!(" ({mark})"))
        .unwrap_or_default();
    format!("{}{mark}", cut(line, max_bytes.saturating_sub(mark.len())))
}

/// `possible duplicate, attempt N`, when it may be one.
pub(crate) fn duplicate(outgoing: &Outgoing<'_>) -> Option<String> {
    outgoing
        .possible_duplicate
        .then(|| format!("possible duplicate, attempt {}", outgoing.attempt))
}

/// The address of the console page about it.
pub(crate) fn link(outgoing: &Outgoing<'_>) -> String {
    let path = outgoing.deliver.message.path.trim_start_matches('/');
    format!("{}/{path}", outgoing.base_url.trim_end_matches('/'))
}

/// The message's body within the limit.
pub(crate) fn body<'a>(outgoing: &Outgoing<'a>) -> std::borrow::Cow<'a, str> {
    cut(&outgoing.deliver.message.body, TEXT_MAX_BYTES)
}

/// The whole message in plain text.
pub(crate) fn text(outgoing: &Outgoing<'_>) -> String {
    let message = &outgoing.deliver.message;
    let mut text = String::new();
    if let Some(mark) = duplicate(outgoing) {
        text += &format!("This is a {mark}: an earlier one may have reached you.\n\n");
    }
    text += body(outgoing).trim_end();
    text += &format!(
        "\n\nSeverity: {} ({})\n",
        message.severity,
        message.severity.word()
    );
    if let Some(incident) = &message.incident {
        text += &format!("Incident: {incident}\n");
    }
    if let Some(page) = &message.page {
        text += &format!("Page: {page}\n");
    }
    if let Some(bridge) = outgoing.bridge {
        text += &format!("{BRIDGE}: {}\n", bridge.url);
        if let Some(phone) = &bridge.phone {
            text += &format!("{DIAL_IN}: {phone}\n");
        }
    }
    text + &format!("Open: {}\n", link(outgoing))
}

/// At most `max_bytes` of `text`, cut between characters, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, max_bytes: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= max_bytes {
        return text.into();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_within_the_limit_and_says_so() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("größer", 7), "grö…");
        assert_eq!(cut("größer", 7).len(), 7);
    }
}
