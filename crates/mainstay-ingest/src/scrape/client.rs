//! The one HTTP request of a scrape.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{Scrape, ScrapeError, ScrapeTarget};
use crate::exposition::{Format, accept};

/// Keeps connections open between scrapes.
#[derive(Debug, Clone)]
pub(super) struct ScrapeClient(Client<HttpConnector, Empty<Bytes>>);

impl ScrapeClient {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Fetches what the target exposes, within its timeout and its limit in bytes.
    pub(super) async fn fetch(&self, target: &ScrapeTarget) -> Result<Scrape, ScrapeError> {
        match tokio::time::timeout(target.timeout, self.fetch_untimed(target)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ScrapeError::Timeout(target.timeout)),
        }
    }

    async fn fetch_untimed(&self, target: &ScrapeTarget) -> Result<Scrape, ScrapeError> {
        let request = Request::get(&target.url)
            .header(header::ACCEPT, accept(&target.formats.protocols))
            .header(
                header::USER_AGENT,
                concat!("mainstay/", env!("CARGO_PKG_VERSION")),
            )
            .header(
                "x-prometheus-scrape-timeout-seconds",
                target.timeout.as_secs_f64().to_string(),
            )
            .body(Empty::new())
            .map_err(|error| ScrapeError::Url {
                url: target.url.clone(),
                reason: error.to_string(),
            })?;
        let response = self
            .0
            .request(request)
            .await
            .map_err(|error| ScrapeError::Connection(in_full(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status().as_u16()));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let format = Format::of_content_type(content_type, target.formats.fallback)
            .ok_or_else(|| ScrapeError::ContentType(content_type.to_owned()))?;
        let limit_bytes = target.limits.body_bytes;
        let body = Limited::new(response.into_body(), limit_bytes)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ScrapeError::BodyTooLarge { limit_bytes }
                } else {
                    ScrapeError::Connection(in_full(error.as_ref()))
                }
            })?;
        Ok(Scrape {
            format,
            body: body.to_bytes(),
        })
    }
}

/// An error with its causes: the outermost of these alone says nothing.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
