//! Push to telephones and desktops by an ntfy server.

use mainstay_kernel::Severity;
use serde_json::json;

use crate::channel::{Outgoing, Secret, Sent};
use crate::http::{Call, HttpClient, Login};
use crate::wording;

/// The longest message that is not made an attachment, in bytes.
const MESSAGE_MAX_BYTES: usize = 4_000;

/// Publishes a message. The server answers with the message as it keeps it: its `id` is the receipt.
pub(crate) async fn send(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    topic: &str,
    token: Option<&Secret>,
) -> Sent {
    let message = &outgoing.deliver.message;
    let body = wording::body(outgoing);
    let link = wording::link(outgoing);
    let mut document = json!({
        "topic": topic,
        "title": wording::subject(outgoing),
        "message": wording::cut(body.trim(), MESSAGE_MAX_BYTES),
        "priority": match (message.resolved, message.severity) {
            (true, _) | (false, Severity::P2) => 3,
            (false, Severity::P0) => 5,
            (false, Severity::P1) => 4,
            (false, Severity::P3) => 2,
        },
        "tags": [if message.resolved { "white_check_mark" } else { "rotating_light" }, message.severity],
        "click": link,
    });
    if let Some(bridge) = outgoing.bridge {
        document["actions"] = json!([{ "action": "view", "label": wording::JOIN, "url": bridge.url }]);
    }
    let login = token.map_or(Login::None, |token| Login::Bearer(token.expose()));
    let answer = match http.call(outgoing, Call::json(url, &document).by(login)).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    if !answer.is_success() {
        return answer.refusal();
    }
    match answer.json()["id"].as_str() {
        Some(id) => Sent::done(format!("{} {}", answer.status, wording::cut(id, 100))),
        None => Sent::unknown(
            format!("HTTP {} without an id: {}", answer.status, answer.quote()),
            0,
        ),
    }
}
