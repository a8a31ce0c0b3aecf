//! JSON webhooks: one document per message, version 1.
//!
//! ```json
//! { "version": 1, "key": "...", "attempt": 1, "possible_duplicate": false, "at": "2025-01-15T14:06:00Z",
//!   "to": "...", "subject": "...", "body": "...", "severity": "P0", "resolved": false,
//!   "incident": "...", "page": "...", "url": "..." }
//! ```
//!
//! The header `Idempotency-Key` bears `key`: a receiver that knows it already answers 2xx and does nothing. Any 2xx is a
//! receipt.
//!
//! With a secret, the header `Mainstay-Signature: t=SECONDS,v1=HEX` bears HMAC-SHA256 over `SECONDS.BODY`, byte for byte as
//! it is sent. A receiver computes the same, compares in constant time, and refuses what is older than five minutes.

use mainstay_kernel::effect::Recipient;
use serde::Serialize;

use crate::channel::{Outgoing, Secret, Sent};
use crate::http::{Answer, Call, HttpClient};
use crate::{signature, wording};

/// The document that is posted.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    key: &'a str,
    attempt: u32,
    possible_duplicate: bool,
    at: jiff::Timestamp,
    to: &'a str,
    subject: &'a str,
    body: &'a str,
    severity: mainstay_kernel::Severity,
    resolved: bool,
    incident: Option<&'a str>,
    page: Option<&'a str>,
    url: &'a str,
}

pub(crate) async fn send(
    http: &HttpClient,
    outgoing: &Outgoing<'_>,
    url: &str,
    secret: Option<&Secret>,
) -> Sent {
    let message = &outgoing.deliver.message;
    let document = Document {
        version: 1,
        key: outgoing.key,
        attempt: outgoing.attempt,
        possible_duplicate: outgoing.possible_duplicate,
        at: outgoing.at,
        to: match &outgoing.deliver.to {
            Recipient::Person(person) => person.as_str(),
            Recipient::ChatChannel(channel) => channel.as_str(),
            Recipient::Receiver(receiver) => receiver,
        },
        subject: &message.subject,
        body: &wording::body(outgoing),
        severity: message.severity,
        resolved: message.resolved,
        incident: message.incident.as_ref().map(|incident| incident.as_str()),
        page: message.page.as_ref().map(|page| page.as_str()),
        url: &wording::link(outgoing),
    };
    let body = match serde_json::to_vec(&document) {
        Ok(body) => body,
        Err(error) => return Sent::failed(format!("the message cannot be written as JSON: {error}")),
    };
    let signature = secret.map(|secret| signature::webhook(secret.expose(), outgoing.at, &body));
    let call = Call {
        body: Some(("application/json", body)),
        header: signature.map(|signature| ("Mainstay-Signature", signature)),
        ..Call::get(url)
    };
    http.call(outgoing, call)
        .await
        .map_or_else(|sent| sent, Answer::any_success)
}
