//! Telephones: the part of Twilio's API of 2010-04-01 that the channel uses. A text is delivered when it is kept. A call
//! rings until somebody presses a key (`POST /press`) or its time is over, and is read out in the messages.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::http::take_or;
use super::store::{Draft, Received, Via};
use crate::http::encoded;
use crate::signature;

/// How long a call rings and is read out before nobody has pressed a key.
const CALL_LASTS: SignedDuration = SignedDuration::from_secs(60);
/// How long the caller has to answer that a key was pressed.
const CALLBACK_WITHIN: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Created {
    to: String,
    from: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    twiml: String,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "To")]
    to: String,
}

/// A key of a call is pressed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Press {
    /// The number of the message that is the call.
    seq: u64,
    /// The keys.
    digits: String,
}

/// The account and its token, which signs callbacks, from a request's login.
fn login(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let (account, token) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((account.to_owned(), token.to_owned()))
}

fn sid(via: Via, seq: u64) -> String {
    let kind = if via == Via::Voice { "CA" } else { "SM" };
    format!("{kind}{seq:032x}")
}

fn status(shared: &Shared, received: &Received) -> &'static str {
    let over = shared.clock.now().duration_since(received.received_at) > CALL_LASTS;
    match received.via {
        Via::Voice if over => "completed",
        Via::Voice => "in-progress",
        _ => "delivered",
    }
}

fn resource(shared: &Shared, received: &Received) -> Value {
    json!({
        "sid": sid(received.via, received.seq),
        "status": status(shared, received),
        "to": received.to.first(),
        "body": received.text,
        "date_created": rfc2822::to_string(&received.received_at.to_zoned_datetime(TimeZone::UTC)).ok(),
        "error_code": null,
    })
}

fn refused(status: StatusCode, code: u32, message: &str) -> Response {
    (status, Json(json!({"code": code, "message": message}))).into_response()
}

/// Takes a text or a call.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Path((account, kind)): Path<(String, String)>,
    headers: HeaderMap,
    Form(created): Form<Created>,
) -> Response {
    let via = match kind.as_str() {
        "Messages.json" => Via::Sms,
        "Calls.json" => Via::Voice,
        _ => return refused(StatusCode::NOT_FOUND, 20404, "no such resource"),
    };
    let Some((_, token)) = login(&headers).filter(|(who, _)| *who == account) else {
        return refused(StatusCode::UNAUTHORIZED, 20003, "authenticate");
    };
    let text = if via == Via::Voice {
        created.twiml
    } else {
        created.body
    };
    let subject = if via == Via::Voice {
        said(&text)
    } else {
        text.lines().next().unwrap_or_default().to_owned()
    };
    // The sender's reference is the last that is written.
    let reference = text.rfind("ref ").map(|at| text[at..].trim().to_owned());
    let draft = Draft {
        via,
        from: Some(created.from),
        to: vec![created.to],
        channel: None,
        labelled_duplicate: subject.contains("possible duplicate"),
        message_id: reference.filter(|_| via == Via::Sms),
        subject,
        text,
    };
    let fault = shared.faults().telephone;
    take_or(&shared, draft, fault, |shared, seq| {
        shared.set_telephone_token(token);
        let body = json!({"sid": sid(via, seq), "status": "queued", "error_code": null});
        (StatusCode::CREATED, Json(body)).into_response()
    })
    .await
}

/// What became of a text or a call, or the log of texts to a number.
pub(super) async fn ask(
    State(shared): State<Arc<Shared>>,
    Path((_, kind)): Path<(String, String)>,
    Query(listed): Query<Listed>,
) -> Response {
    if kind != "Messages.json" {
        return refused(StatusCode::NOT_FOUND, 20404, "no such resource");
    }
    let all = shared.messages(0).messages;
    let to = |received: &&Arc<Received>| received.via == Via::Sms && received.to.contains(&listed.to);
    let found = all.iter().rev().filter(to);
    let found: Vec<Value> = found.map(|received| resource(&shared, received)).collect();
    Json(json!({ "messages": found })).into_response()
}

/// What became of one.
pub(super) async fn ask_one(
    State(shared): State<Arc<Shared>>,
    Path((_, _, name)): Path<(String, String, String)>,
) -> Response {
    let seq = name.strip_suffix(".json").and_then(|sid| sid.get(2..));
    let seq = seq.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match seq.and_then(|seq| shared.message(seq)) {
        Some(received) => Json(resource(&shared, &received)).into_response(),
        None => refused(StatusCode::NOT_FOUND, 20404, "no such resource"),
    }
}

/// Presses a key of a call: the caller is told, as the provider would, and its answer is what the human hears.
pub(super) async fn press(State(shared): State<Arc<Shared>>, Json(press): Json<Press>) -> Response {
    let call = shared.message(press.seq).filter(|call| call.via == Via::Voice);
    let (Some(call), Some(token)) = (call, shared.telephone_token()) else {
        return (StatusCode::NOT_FOUND, "no such call").into_response();
    };
    let Some(action) = attribute(&call.text, "action") else {
        return (StatusCode::CONFLICT, "the call hears no key").into_response();
    };
    let sid = sid(Via::Voice, call.seq);
    let fields = [("CallSid", sid.as_str()), ("Digits", press.digits.as_str())];
    let signature = signature::twilio_of(&token, &action, &fields);
    let asked = async {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(CALLBACK_WITHIN)
            .build()?;
        let form = http
            .post(action.as_str())
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("X-Twilio-Signature", signature)
            .body(encoded(&fields));
        let answer = form.send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
    };
    match asked.await {
        Ok((status, twiml)) => (status, said(&twiml)).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

/// What the first `Say` of a document reads out.
fn said(twiml: &str) -> String {
    let Some((_, rest)) = twiml.split_once("<Say") else {
        return String::new();
    };
    let words = rest.split_once('>').map_or("", |(_, words)| words);
    unescape(words.split("</Say>").next().unwrap_or_default())
}

fn attribute(twiml: &str, name: &str) -> Option<String> {
    let (_, rest) = twiml.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| unescape(value))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}
