//! Changes for programs.

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::WebError;
use crate::guard::Caller;
use crate::request::{ApiAnswer, parse_json};
use crate::view::{Change, Done, Look};

/// A CloudEvent in structured mode, as far as every event has it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct CloudEventSchema {
    /// `1.0`.
    specversion: String,
    /// Unique within `source`.
    id: String,
    /// Who reports.
    source: String,
    /// `com.mainstay.change.deploy`, `….rollback` or `….configuration`.
    r#type: String,
    /// When it happened, RFC 3339.
    time: Option<String>,
    /// What was changed: the service.
    subject: Option<String>,
    /// Cell, versions and summary of the change.
    data: Option<Map<String, Value>>,
}

pub(super) async fn list(State(app): State<App>, caller: Caller, look: Look) -> ApiAnswer<Vec<Change>> {
    Ok(app.envelope(app.console.changes(&caller.principal, &look).await?))
}

pub(super) async fn record(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> ApiAnswer<Done> {
    let event = structured(&headers, &body)?;
    Ok(app.envelope(app.console.record_change(&caller.principal, event).await?))
}

/// The event in structured form, from either mode of CloudEvents' HTTP binding 1.0.2: in binary mode the attributes are
/// headers and the body is the data.
pub(crate) fn structured(headers: &HeaderMap, body: &[u8]) -> Result<Value, WebError> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.starts_with("application/cloudevents-batch") {
        return Err(WebError::invalid(
            "a batch of events was sent",
            "Send one CloudEvent at a time.",
        ));
    }
    if content_type.starts_with("application/cloudevents") || !headers.contains_key("ce-specversion") {
        return parse_json(body);
    }
    let mut event = Map::new();
    for (name, value) in headers {
        if let Some(attribute) = name.as_str().strip_prefix("ce-") {
            let value = value.to_str().map_err(|_| {
                WebError::invalid(format!("the header {name} is not ASCII"), "Percent-encode it.")
            })?;
            event.insert(attribute.to_owned(), Value::String(value.to_owned()));
        }
    }
    if !body.is_empty() {
        event.insert("data".to_owned(), parse_json(body)?);
    }
    Ok(Value::Object(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_modes_of_cloudevents_mean_the_same() {
        let whole =
            json!({"specversion": "1.0", "id": "7", "source": "ci", "type": "t", "data": {"cell": "cell-5"}});
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            "application/cloudevents+json".parse().expect("a value"),
        );
        assert_eq!(
            structured(&headers, whole.to_string().as_bytes()),
            Ok(whole.clone())
        );

        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "7"),
            ("ce-source", "ci"),
            ("ce-type", "t"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        assert_eq!(structured(&headers, br#"{"cell": "cell-5"}"#), Ok(whole));
    }
}
