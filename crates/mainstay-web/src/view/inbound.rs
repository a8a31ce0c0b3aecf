//! What other systems send in the formats of Alertmanager.

use jiff::Timestamp;
use mainstay_kernel::Labels;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Utc;

/// One alert of `POST /api/v2/alerts` (Alertmanager API v2, `postableAlert`). Keys that the format does not know are
/// ignored, as Alertmanager does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    /// Its labels, `alertname` among them.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub labels: Labels,
    /// Its annotations.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub annotations: Labels,
    /// Since when it fires; now, if absent.
    #[serde(default)]
    #[schemars(with = "Option<Utc>")]
    pub starts_at: Option<Timestamp>,
    /// When it is over; in the past: resolved.
    #[serde(default)]
    #[schemars(with = "Option<Utc>")]
    pub ends_at: Option<Timestamp>,
    /// A link to what sent it.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: Option<String>,
}

/// A message of Alertmanager's webhook receiver, version 4.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookMessage {
    /// The version of the format: `4`.
    pub version: String,
    /// What names the group.
    pub group_key: String,
    /// `firing` or `resolved`, of the group.
    pub status: String,
    /// The receiver's name in Alertmanager.
    #[serde(default)]
    pub receiver: String,
    /// The alerts.
    pub alerts: Vec<WebhookAlert>,
}

/// One alert of a webhook message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAlert {
    /// `firing` or `resolved`.
    pub status: String,
    /// Its labels, `alertname` among them.
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub labels: Labels,
    /// Its annotations.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub annotations: Labels,
    /// Since when it fires.
    #[schemars(with = "Utc")]
    pub starts_at: Timestamp,
    /// When it was over; of a firing alert it says nothing (Alertmanager sends the year 1).
    #[serde(default)]
    #[schemars(with = "Option<Utc>")]
    pub ends_at: Option<Timestamp>,
    /// A link to what sent it.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: Option<String>,
}

impl WebhookMessage {
    /// The alerts as the other door takes them: a firing one without an end.
    #[must_use]
    pub fn into_alerts(self) -> Vec<PostableAlert> {
        self.alerts
            .into_iter()
            .map(|alert| PostableAlert {
                ends_at: alert.ends_at.filter(|_| alert.status != "firing"),
                labels: alert.labels,
                annotations: alert.annotations,
                starts_at: Some(alert.starts_at),
                generator_url: alert.generator_url,
            })
            .collect()
    }
}
