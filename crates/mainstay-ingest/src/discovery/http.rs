//! Prometheus' HTTP service discovery: a list of target groups behind a URL.

use std::time::Duration;

use super::{Discovered, DiscoveryError};
use crate::config::http::HttpSettings;
use crate::config::{HttpOptions, target_groups};
use crate::http_client::{HttpClient, Request};

/// The largest list, in bytes.
const LIST_MAX_BYTES: usize = 16 << 20;

/// An element of `http_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpDiscovery {
    /// Where.
    pub url: String,
    /// How it is asked.
    pub http: HttpOptions,
    /// `refresh_interval`: how often, and how long one answer may take.
    pub refresh: Duration,
}

impl HttpDiscovery {
    /// Asks for the list. `settings` are its [`http`](Self::http) with everything read that that names.
    ///
    /// # Errors
    /// No answer in time, another status than 200, another type than JSON, or a list that does not read; the caller
    /// then keeps what it has, as Prometheus does.
    pub async fn groups(&self, settings: &HttpSettings) -> Discovered {
        let client = HttpClient::new(settings).map_err(DiscoveryError)?;
        let interval = self.refresh.as_secs_f64().to_string();
        let request = Request {
            url: &self.url,
            headers: vec![
                ("accept", "application/json".to_owned()),
                ("x-prometheus-refresh-interval-seconds", interval),
            ],
            compression: true,
            limit_bytes: LIST_MAX_BYTES,
        };
        let answer = tokio::time::timeout(self.refresh, client.get(request))
            .await
            .map_err(|_| DiscoveryError(format!("no complete answer within {:?}", self.refresh)))?
            .map_err(|error| DiscoveryError(error.to_string()))?;
        let media_type = answer.content_type.split(';').next().unwrap_or_default().trim();
        if media_type != "application/json" {
            let reason = format!("the content type is {media_type:?}, expected application/json");
            return Err(DiscoveryError(reason));
        }
        let text = std::str::from_utf8(&answer.body).map_err(|error| DiscoveryError(error.to_string()))?;
        let mut groups = target_groups(&self.url, text).map_err(|error| DiscoveryError(error.to_string()))?;
        for group in &mut groups {
            group.labels.set("__meta_url", &self.url);
        }
        Ok(groups)
    }
}
