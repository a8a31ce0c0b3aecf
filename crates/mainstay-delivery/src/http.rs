//! Posting JSON, with a limit on everything, and telling "did not arrive" from "nobody knows".

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, Url};
use serde_json::Value;

use crate::channel::{ChannelError, Outgoing, Plaintext, Sent};
use crate::wording;

/// How much of an answer is read, in bytes.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// How much of an answer is quoted in a reason or a receipt, in bytes.
const QUOTE_MAX_BYTES: usize = 200;
/// The longest wait that a receiver may ask for: a page cannot wait for longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// A client for webhooks.
pub(crate) struct HttpClient {
    client: Client,
    plaintext: Plaintext,
}

/// What a receiver answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// How long it asks us to wait, in milliseconds; 0 when it does not say.
    retry_after_ms: u64,
    /// The first [`ANSWER_MAX_BYTES`] of the body; `Err` says why it broke off.
    pub(crate) body: Result<String, String>,
}

impl HttpClient {
    pub(crate) fn new(
        timeout: Duration,
        plaintext: Plaintext,
        trust: Option<&[u8]>,
    ) -> Result<Self, ChannelError> {
        let tls = |error: reqwest::Error| ChannelError::Tls(chain(&error));
        let trusted = trust.map(Certificate::from_pem_bundle).transpose().map_err(tls)?;
        if trusted.as_ref().is_some_and(Vec::is_empty) {
            return Err(ChannelError::Tls(
                "there is no certificate among those to trust".to_owned(),
            ));
        }
        // The first provider of the process stays: it is this one, or the one that the binary chose.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout / 2)
            .redirect(Policy::none())
            .no_proxy()
            .tls_certs_merge(trusted.unwrap_or_default())
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(tls)?;
        Ok(Self { client, plaintext })
    }

    /// Posts `body` with the effect's key as `Idempotency-Key`. `Err` is the result when there was no answer.
    pub(crate) async fn post(
        &self,
        outgoing: &Outgoing<'_>,
        url: &str,
        body: &Value,
    ) -> Result<Answer, Sent> {
        let url = self.check(url).map_err(Sent::failed)?;
        let response = self
            .client
            .post(url)
            .header("Idempotency-Key", outgoing.key)
            .json(body)
            .send()
            .await
            .map_err(no_answer)?;
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after_ms: retry_after_ms(response.headers(), outgoing.at),
            body: read_body(response).await,
        })
    }

    /// Whether a URL may be posted to; it is a secret and not told in the reason.
    pub(crate) fn check(&self, url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|error| format!("the address is not a URL: {error}"))?;
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => Ok(url),
            ("http", Some(host)) if self.plaintext.allows(host) => Ok(url),
            ("http", Some(host)) => Err(format!("http to {host} would not be encrypted: use https")),
            (scheme, _) => Err(format!("{scheme} is not a scheme for webhooks: use https")),
        }
    }
}

impl Answer {
    /// The result when the status is not a success: worth another attempt, or a refusal for ever.
    pub(crate) fn refusal(&self) -> Sent {
        let reason = format!("HTTP {}: {}", self.status, self.quote());
        match self.status {
            // Too busy is said before anything is taken.
            425 | 429 | 503 => Sent::retry(reason, self.retry_after_ms),
            // It failed somewhere on the way to an answer: the message may have been taken before that.
            408 | 500..=599 => Sent::unknown(reason, self.retry_after_ms),
            _ => Sent::failed(reason),
        }
    }

    /// The start of the body on one line.
    pub(crate) fn quote(&self) -> String {
        let body = self.body.as_deref().unwrap_or_default();
        let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
        wording::cut(&line, QUOTE_MAX_BYTES).into_owned()
    }
}

/// The result when the request broke off. Webhook addresses are secrets: errors are told without them.
fn no_answer(error: reqwest::Error) -> Sent {
    let (connecting, building, late) = (error.is_connect(), error.is_builder(), error.is_timeout());
    let reason = chain(&error.without_url());
    if building {
        Sent::failed(reason)
    } else if connecting {
        Sent::retry(format!("cannot connect: {reason}"), 0)
    } else if late {
        Sent::unknown("no answer in time", 0)
    } else {
        Sent::unknown(format!("the connection broke: {reason}"), 0)
    }
}

async fn read_body(mut response: Response) -> Result<String, String> {
    let mut body = Vec::new();
    while body.len() < ANSWER_MAX_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_MAX_BYTES - body.len())])
            }
            Ok(None) => break,
            Err(error) => return Err(chain(&error.without_url())),
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// `Retry-After` in milliseconds: seconds, or a date (RFC 9110, section 10.2.3); 0 when absent or unreadable.
fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> u64 {
    let Some(text) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) else {
        return 0;
    };
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => match rfc2822::parse(text) {
            Ok(date) => Duration::try_from(date.timestamp().duration_since(now)).unwrap_or_default(),
            Err(_) => Duration::ZERO,
        },
    };
    u64::try_from(wait.min(RETRY_AFTER_MAX).as_millis()).unwrap_or_default()
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_within_a_limit() {
        let now: Timestamp = "2025-01-15T10:00:00Z".parse().expect("an instant");
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header value"));
            retry_after_ms(&headers, now)
        };
        assert_eq!(wait("7"), 7_000);
        assert_eq!(wait("Wed, 15 Jan 2025 10:00:30 GMT"), 30_000);
        assert_eq!(wait("Wed, 15 Jan 2025 09:00:30 GMT"), 0);
        assert_eq!(wait("86400"), 300_000);
        assert_eq!(wait("soon"), 0);
        assert_eq!(retry_after_ms(&HeaderMap::new(), now), 0);
    }
}
