//! A card with a title and a text.

use serde_json::{Value, json};

use super::words::{Unworded, Words};
use crate::wording;

/// Teams takes 28 KB; the text keeps room for the rest and for escapes.
const TEXT_MAX_BYTES: usize = 16 * 1024;

pub(super) fn render(words: &Words<'_>) -> Result<Value, Unworded> {
    let title = words.text("title", "{{ template \"msteams.default.title\" . }}")?;
    let text = words.text("text", "{{ template \"msteams.default.text\" . }}")?;
    let colour = if words.told.is_firing() {
        "Attention"
    } else {
        "Good"
    };
    Ok(json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": [
                    {
                        "type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": true, "color": colour,
                        "text": words.marked(&title),
                    },
                    { "type": "TextBlock", "wrap": true, "text": wording::cut(&text, TEXT_MAX_BYTES) },
                ],
            },
        }],
    }))
}
