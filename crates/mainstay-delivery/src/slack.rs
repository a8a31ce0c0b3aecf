//! Chat, in the format of Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take too.
//!
//! Slack says that it took a message with status 200 and the body `ok`, and nothing else; a 200 with another body comes
//! from something in between. Text is escaped, and cut to the limits that Slack documents for each block.

use mainstay_kernel::{IncidentId, PageId};
use serde_json::{Value, json};

use crate::channel::{Outgoing, Secret, Sent};
use crate::http::{Call, HttpClient, Login};
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

/// The buttons' names, as they come back.
pub const ACKNOWLEDGE: &str = "mainstay_acknowledge";
/// See [`ACKNOWLEDGE`].
pub const RESOLVE: &str = "mainstay_resolve";

pub(crate) async fn send(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    channel: Option<&str>,
) -> Sent {
    send_document(http, outgoing, url, &render(outgoing, channel)).await
}

/// Posts a document to an incoming webhook.
pub(crate) async fn send_document(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    document: &Value,
) -> Sent {
    let answer = match http.post(outgoing, url, document).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    if !answer.is_success() {
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

/// Errors of `chat.postMessage` that say that nothing was posted and that it may be another time.
const PASSING_ERRORS: &[&str] = &["ratelimited", "rate_limited", "message_limit_exceeded"];
/// Errors after which nobody knows.
const UNKNOWN_ERRORS: &[&str] = &[
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
];

/// Posts as a bot, by `chat.postMessage`. Status 200 with `ok: false` is a failure. The receipt is the channel's id and
/// the post's `ts`, by which it can be found and changed.
pub(crate) async fn post(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    token: &Secret,
    channel: &str,
    with_buttons: bool,
) -> Sent {
    let mut document = render(outgoing, Some(channel));
    let message = &outgoing.deliver.message;
    if let (true, Some(page), false) = (with_buttons, &message.page, message.resolved)
        && let Some(blocks) = document["blocks"].as_array_mut()
    {
        blocks.push(buttons(page, message.incident.as_ref()));
    }
    post_document(http, outgoing, url, token, &document).await
}

/// What is pressed: the page is taken on, or its incident ended, which is asked once more.
fn buttons(page: &PageId, incident: Option<&IncidentId>) -> Value {
    let plain = |text: &str| json!({ "type": "plain_text", "text": text });
    let mut elements = vec![json!({
        "type": "button",
        "action_id": ACKNOWLEDGE,
        "style": "primary",
        "text": plain("Acknowledge"),
        "value": page.as_str(),
    })];
    elements.extend(incident.map(|incident| {
        json!({
            "type": "button",
            "action_id": RESOLVE,
            "text": plain("Resolve"),
            "value": incident.as_str(),
            "confirm": {
                "title": plain("Resolve the incident?"),
                "text": plain("It ends for everybody, and whoever was paged is told so."),
                "confirm": plain("Resolve"),
                "deny": plain("Not yet"),
            },
        })
    }));
    json!({ "type": "actions", "elements": elements })
}

/// Posts a document as a bot.
pub(crate) async fn post_document(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    token: &Secret,
    document: &Value,
) -> Sent {
    let url = format!("{url}/chat.postMessage");
    let call = Call::json(&url, document).by(Login::Bearer(token.expose()));
    let answer = match http.call(outgoing, call).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    if !answer.is_success() {
        return answer.refusal();
    }
    let document = answer.json();
    let text = |name: &str| wording::cut(document[name].as_str().unwrap_or_default(), 100).into_owned();
    match (document["ok"].as_bool(), text("error").as_str()) {
        (Some(true), _) => Sent::done(format!("{} {}", text("channel"), text("ts")).trim().to_owned()),
        (Some(false), error) if PASSING_ERRORS.contains(&error) => {
            Sent::retry(format!("ok: false, {error}"), answer.retry_after_ms)
        }
        (Some(false), error) if UNKNOWN_ERRORS.contains(&error) => {
            Sent::unknown(format!("ok: false, {error}"), answer.retry_after_ms)
        }
        (Some(false), error) => Sent::failed(format!("ok: false, {error}")),
        (None, _) => Sent::unknown(
            format!("HTTP {} without `ok`: {}", answer.status, answer.quote()),
            0,
        ),
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
    about.extend(outgoing.bridge.map(|bridge| {
        let phone = bridge.phone.as_ref();
        let phone = phone.map(|phone| format!(" or {phone}")).unwrap_or_default();
        format!("<{}|{}>{phone}", escape(&bridge.url), wording::JOIN)
    }));
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": wording::subject_within(outgoing, HEADER_MAX_BYTES) },
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
