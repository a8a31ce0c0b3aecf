//! Chat, in the format of Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take too.
//!
//! Slack says that it took a message with status 200 and the body `ok`, and nothing else; a 200 with another body comes
//! from something in between. Text is escaped, and cut to the limits that Slack documents for each block.

use mainstay_kernel::ChannelName;
use serde_json::{Value, json};

use crate::channel::{Outgoing, Sent};
use crate::http::HttpClient;
use crate::wording;

/// Limits of Slack's blocks, in characters there and in bytes here, which is never more.
const HEADER_MAX_BYTES: usize = 150;
const SECTION_MAX_BYTES: usize = 3_000;

/// Bodies with which Slack refuses for ever.
const FINAL_REFUSALS: &[&str] = &[
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_payload",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_service_id",
    "no_team",
    "no_text",
    "posting_to_general_channel_denied",
    "team_disabled",
    "user_not_found",
];

pub(crate) async fn send(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    channel: Option<&ChannelName>,
) -> Sent {
    let answer = match http.post(outgoing, url, &render(outgoing, channel)).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    if answer.status != 200 {
        return answer.refusal();
    }
    match answer.body.as_deref().map(str::trim) {
        Ok("ok") => Sent::done("200 ok"),
        Ok(refusal) if FINAL_REFUSALS.contains(&refusal) => Sent::failed(format!("HTTP 200: {refusal}")),
        Ok(_) => Sent::retry(format!("HTTP 200, but not `ok`: {}", answer.quote()), 0),
        Err(broken) => Sent::unknown(format!("HTTP 200, but the answer broke off: {broken}"), 0),
    }
}

/// The document that is posted.
fn render(outgoing: &Outgoing<'_>, channel: Option<&ChannelName>) -> Value {
    let message = &outgoing.deliver.message;
    let subject = wording::subject(outgoing);
    let mut about = vec![format!("<{}|Open in Mainstay>", wording::link(outgoing))];
    about.extend(
        message
            .incident
            .as_ref()
            .map(|incident| format!("incident {}", escape(incident.as_str()))),
    );
    about.extend(
        message
            .page
            .as_ref()
            .map(|page| format!("page {}", escape(page.as_str()))),
    );
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": wording::cut(&subject, HEADER_MAX_BYTES) },
    })];
    let body = escape(wording::body(outgoing).trim());
    if !body.is_empty() {
        blocks.push(json!({
            "type": "section",
            "text": { "type": "mrkdwn", "text": wording::cut(&body, SECTION_MAX_BYTES) },
        }));
    }
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "mrkdwn", "text": about.join(" · ") }],
    }));
    // The text is what notifications show, and what receivers without blocks show.
    let mut document =
        json!({ "text": escape(&format!("{subject} {}", wording::link(outgoing))), "blocks": blocks });
    if let Some(channel) = channel {
        document["channel"] = json!(channel);
    }
    document
}

/// Slack's three control characters as entities.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
