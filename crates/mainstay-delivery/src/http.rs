//! Requests with a limit on everything, telling "did not arrive" from "nobody knows".

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, Client, Response, Url};
use serde_json::Value;

use crate::channel::{ChannelError, Outgoing, Plaintext, Sent};
use crate::fence::{FencedBody, MaySend};
use crate::wording;

/// How much of an answer is read, in bytes.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// How much of an answer is quoted in a reason or a receipt, in bytes.
const QUOTE_MAX_BYTES: usize = 200;
/// The longest wait that a receiver may ask for: a page cannot wait for longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// How long bytes that were written may go unacknowledged by the receiver's machine before the connection is given up. What
/// was written into a partition is retransmitted until then, and by nobody after that: without a limit it could arrive long
/// after another replica leads and has sent the same. It is less than the lease of 6 s, for a leader that is cut off goes on
/// for no longer than that; 1 s would be too short for a slow link that loses packets and repeats them ever more slowly.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// A client for webhooks. Clones share their connections.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client,
    plaintext: Plaintext,
    may_send: MaySend,
}

/// A request to a receiver or a provider.
pub(crate) struct Call<'a> {
    /// Where to; a secret.
    pub(crate) url: &'a str,
    /// Who asks; a secret.
    pub(crate) login: Login<'a>,
    /// Its media type and its bytes; without one it is a `GET`.
    pub(crate) body: Option<(&'static str, Vec<u8>)>,
    /// One more header.
    pub(crate) header: Option<(&'static str, String)>,
    /// How much of the answer is read, in bytes.
    pub(crate) answer_max_bytes: usize,
}

/// How a request says who asks.
#[derive(Clone, Copy)]
pub(crate) enum Login<'a> {
    /// Not at all, or by its URL.
    None,
    /// By name and password.
    Basic(&'a str, &'a str),
    /// By a token.
    Bearer(&'a str),
}

impl<'a> Call<'a> {
    /// A `GET`.
    pub(crate) fn get(url: &'a str) -> Self {
        Self {
            url,
            login: Login::None,
            body: None,
            header: None,
            answer_max_bytes: ANSWER_MAX_BYTES,
        }
    }

    /// A `POST` of JSON.
    pub(crate) fn json(url: &'a str, body: &Value) -> Self {
        Self {
            body: Some(("application/json", body.to_string().into_bytes())),
            ..Self::get(url)
        }
    }

    /// A `POST` of a form.
    pub(crate) fn form(url: &'a str, fields: &[(&str, &str)]) -> Self {
        Self {
            body: Some(("application/x-www-form-urlencoded", encoded(fields).into_bytes())),
            ..Self::get(url)
        }
    }

    /// The same, with a login.
    pub(crate) fn by(self, login: Login<'a>) -> Self {
        Self { login, ..self }
    }
}

/// Fields as a form or a query writes them.
pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://localhost/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// The fields of a form, in their order.
pub(crate) fn decoded(form: &str) -> Vec<(String, String)> {
    let Ok(mut url) = Url::parse("http://localhost/") else {
        return Vec::new();
    };
    url.set_query(Some(form));
    url.query_pairs().into_owned().collect()
}

/// What a receiver answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// How long it asks us to wait, in milliseconds; 0 when it does not say.
    pub(crate) retry_after_ms: u64,
    /// The start of the body; `Err` says why it broke off.
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
        let builder = Client::builder();
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(UNACKNOWLEDGED_MAX);
        let client = builder
            .timeout(timeout)
            .connect_timeout(timeout / 2)
            .redirect(Policy::none())
            .no_proxy()
            .tls_certs_merge(trusted.unwrap_or_default())
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(tls)?;
        Ok(Self {
            client,
            plaintext,
            may_send: Arc::new(|| true),
        })
    }

    /// Sends only as long as it may.
    pub(crate) fn fenced(self, may_send: MaySend) -> Self {
        Self { may_send, ..self }
    }

    /// Posts `body` with the effect's key as `Idempotency-Key`. `Err` is the result when there was no answer.
    pub(crate) async fn post(
        &self,
        outgoing: &Outgoing<'_>,
        url: &str,
        body: &Value,
    ) -> Result<Answer, Sent> {
        self.call(outgoing, Call::json(url, body)).await
    }

    /// Makes a request with the effect's key as `Idempotency-Key`. `Err` is the result when there was no answer.
    pub(crate) async fn call(&self, outgoing: &Outgoing<'_>, call: Call<'_>) -> Result<Answer, Sent> {
        self.request(outgoing.key, outgoing.at, call).await
    }

    /// The same for what is asked at `at`, of whatever has this key.
    pub(crate) async fn request(&self, key: &str, at: Timestamp, call: Call<'_>) -> Result<Answer, Sent> {
        let url = self.check(call.url).map_err(Sent::failed)?;
        let request = match call.body {
            Some((media_type, bytes)) => self
                .client
                .post(url)
                .header(CONTENT_TYPE, media_type)
                .header("Idempotency-Key", key)
                .body(Body::wrap(FencedBody::new(bytes, Arc::clone(&self.may_send)))),
            None => self.client.get(url),
        };
        let request = match call.login {
            Login::None => request,
            Login::Basic(name, password) => request.basic_auth(name, Some(password)),
            Login::Bearer(token) => request.bearer_auth(token),
        };
        let request = match call.header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        let response = request.send().await.map_err(no_answer)?;
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after_ms: retry_after_ms(response.headers(), at),
            body: read_body(response, call.answer_max_bytes).await,
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
        self.refused(format!("HTTP {}: {}", self.status, self.quote()))
    }

    /// The same in other words.
    pub(crate) fn refused(&self, reason: String) -> Sent {
        match self.status {
            // Too busy is said before anything is taken.
            425 | 429 | 503 => Sent::retry(reason, self.retry_after_ms),
            // It failed somewhere on the way to an answer: the message may have been taken before that. So it may if the status
            // is a success and the answer is not.
            200..=299 | 408 | 500..=599 => Sent::unknown(reason, self.retry_after_ms),
            _ => Sent::failed(reason),
        }
    }

    /// The result where any success is a receipt.
    pub(crate) fn any_success(self) -> Sent {
        match self.is_success() {
            true => Sent::done(format!("{} {}", self.status, self.quote()).trim_end()),
            false => self.refusal(),
        }
    }

    /// Whether the status says that it was taken.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, or nothing.
    pub(crate) fn json(&self) -> Value {
        let body = self.body.as_deref().unwrap_or_default();
        serde_json::from_str(body).unwrap_or_default()
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

async fn read_body(mut response: Response, max_bytes: usize) -> Result<String, String> {
    let mut body = Vec::new();
    while body.len() < max_bytes {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(max_bytes - body.len())]),
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
