//! Microsoft Teams, by an incoming webhook or a workflow that takes Adaptive Cards.

use mainstay_kernel::Severity;
use serde_json::{Value, json};

use crate::channel::{Outgoing, Sent};
use crate::http::{Call, HttpClient};
use crate::wording;

/// Teams takes 28 KB; the body keeps room for the rest and for escapes.
const BODY_MAX_BYTES: usize = 8 * 1024;

/// Posts a card. A connector answers 200 and `1`, a workflow 202 and nothing; a connector that could not deliver says so
/// in words, with 200.
pub(crate) async fn send(http: &HttpClient, outgoing: &Outgoing<'_>, url: &str) -> Sent {
    send_document(http, outgoing, url, &render(outgoing)).await
}

/// Posts a card that is written already.
pub(crate) async fn send_document(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    document: &Value,
) -> Sent {
    let answer = match http.call(outgoing, Call::json(url, document)).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    if !answer.is_success() {
        return answer.refusal();
    }
    let status = answer.status;
    match answer.body.as_deref().map(str::trim) {
        Ok("" | "1" | "\"1\"") => Sent::done(status.to_string()),
        Ok(body) if status == 202 => Sent::done(format!("202 {}", wording::cut(body, 100))),
        Ok(body) if body.contains("error 429") => Sent::retry(
            format!("HTTP {status}, but too many posts"),
            answer.retry_after_ms,
        ),
        Ok(_) => Sent::unknown(format!("HTTP {status}, but not `1`: {}", answer.quote()), 0),
        Err(broken) => Sent::unknown(format!("HTTP {status}, but the answer broke off: {broken}"), 0),
    }
}

fn render(outgoing: &Outgoing<'_>) -> Value {
    let message = &outgoing.deliver.message;
    let colour = match (message.resolved, message.severity) {
        (true, _) => "Good",
        (false, Severity::P0 | Severity::P1) => "Attention",
        (false, Severity::P2) => "Warning",
        (false, Severity::P3) => "Default",
    };
    let mut facts = vec![json!({ "title": "Severity", "value": message.severity.to_string() })];
    if let Some(incident) = &message.incident {
        facts.push(json!({ "title": "Incident", "value": incident }));
    }
    if let Some(page) = &message.page {
        facts.push(json!({ "title": "Page", "value": page }));
    }
    let mut actions = vec![
        json!({ "type": "Action.OpenUrl", "title": "Open in Mainstay", "url": wording::link(outgoing) }),
    ];
    if let Some(bridge) = outgoing.bridge {
        actions.push(json!({ "type": "Action.OpenUrl", "title": wording::JOIN, "url": bridge.url }));
        facts.push(json!({ "title": wording::BRIDGE, "value": bridge.url }));
        facts.extend(
            bridge
                .phone
                .as_ref()
                .map(|phone| json!({ "title": wording::DIAL_IN, "value": phone })),
        );
    }
    let body = wording::body(outgoing);
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [
                    {
                        "type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": true, "color": colour,
                        "text": wording::subject(outgoing),
                    },
                    { "type": "TextBlock", "wrap": true, "text": wording::cut(body.trim(), BODY_MAX_BYTES) },
                    { "type": "FactSet", "facts": facts },
                ],
                "actions": actions,
            },
        }],
    })
}
