//! Chat, in the format of Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take too.
//!
//! Slack says that it took a message with status 200 and the body `ok`, and nothing else; a 200 with another body comes
//! from something in between. Text is escaped, and cut to the limits that Slack documents for each block.

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
    channel: Option<&str>,
) -> Sent {
    let answer = match http.post(outgoing, url, &render(outgoing, channel)).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    if !(200..300).contains(&answer.status) {
        return answer.refusal();
    }
    let status = answer.status;
    match answer.body.as_deref().map(str::trim) {
        Ok(body) if is_success(body) => Sent::done(format!("{status} {body}").trim_end().to_owned()),
        Ok(refusal) if FINAL_REFUSALS.contains(&refusal) => Sent::failed(format!("HTTP {status}: {refusal}")),
        // It may be a success in words that are not known here: a repetition must say that it may be one.
        Ok(_) => Sent::unknown(format!("HTTP {status}, but not `ok`: {}", answer.quote()), 0),
        Err(broken) => Sent::unknown(format!("HTTP {status}, but the answer broke off: {broken}"), 0),
    }
}

/// Slack and Mattermost say `ok`; of those who speak their format, Rocket.Chat says `{"success":true}`, others nothing.
fn is_success(body: &str) -> bool {
    let says_so = |answer: Value| answer["success"] == true || answer["ok"] == true;
    matches!(body, "" | "ok") || serde_json::from_str(body).is_ok_and(says_so)
}

/// The document that is posted.
fn render(outgoing: &Outgoing<'_>, channel: Option<&str>) -> Value {
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
