//! The one HTTP request of a scrape.

use super::{Scrape, ScrapeError, ScrapeTarget};
use crate::config::http::HttpSettings;
use crate::exposition::{Format, accept};
use crate::http_client::{HttpClient, HttpError, Request};

/// Keeps connections open between scrapes; or why it cannot make any.
#[derive(Debug, Clone)]
pub(super) struct ScrapeClient(Result<HttpClient, String>);

impl ScrapeClient {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        Self(HttpClient::new(settings))
    }

    /// Fetches what the target exposes, within its timeout and its limit in bytes.
    pub(super) async fn fetch(&self, target: &ScrapeTarget) -> Result<Scrape, ScrapeError> {
        if let Some(limit) = target.target_limit_exceeded {
            return Err(ScrapeError::TargetLimit { limit });
        }
        match tokio::time::timeout(target.timeout, self.fetch_untimed(target)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ScrapeError::Timeout(target.timeout)),
        }
    }

    async fn fetch_untimed(&self, target: &ScrapeTarget) -> Result<Scrape, ScrapeError> {
        let client = self
            .0
            .as_ref()
            .map_err(|reason| ScrapeError::Connection(reason.clone()))?;
        let request = Request {
            url: &target.url,
            headers: vec![
                ("accept", accept(&target.formats.protocols)),
                (
                    "x-prometheus-scrape-timeout-seconds",
                    target.timeout.as_secs_f64().to_string(),
                ),
            ],
            compression: target.compression,
            limit_bytes: target.limits.body_bytes,
        };
        let answer = client.get(request).await.map_err(|error| match error {
            HttpError::Url { url, reason } => ScrapeError::Url { url, reason },
            HttpError::Connection(reason) => ScrapeError::Connection(reason),
            HttpError::Status(status) => ScrapeError::Status(status),
            HttpError::TooLarge { limit_bytes } => ScrapeError::BodyTooLarge { limit_bytes },
        })?;
        let format = Format::of_content_type(&answer.content_type, target.formats.fallback)
            .ok_or_else(|| ScrapeError::ContentType(answer.content_type.clone()))?;
        Ok(Scrape {
            format,
            body: answer.body,
        })
    }
}
