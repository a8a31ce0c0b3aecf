//! What sources of alerts say, and the two wire formats in which other systems say it.

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_kernel::labels::ALERT_NAME;
use serde::Deserialize;

/// One alert as its source sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Its labels: its identity.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it ended; `None` while it fires.
    pub ended_at: Option<Timestamp>,
    /// For how long it is believed if it is not told again, in milliseconds; `None`: until its end is told.
    pub believed_for_ms: Option<i64>,
}

/// An alert in a `POST /api/v2/alerts` of the Alertmanager API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    /// Its labels.
    pub labels: Labels,
    /// What is said about it.
    #[serde(default)]
    pub annotations: Labels,
    /// Since when it fires.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// When it ended or, if in the future, until when it is to be believed.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
}

/// The body of Alertmanager's webhook, version 4.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Webhook {
    /// `4`.
    pub version: String,
    /// The alerts, each with a status of its own.
    pub alerts: Vec<WebhookAlert>,
}

/// An alert in a webhook body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAlert {
    /// `firing` or `resolved`.
    pub status: String,
    /// Its labels.
    pub labels: Labels,
    /// What is said about it.
    #[serde(default)]
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it ended, if it is resolved.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
}

/// Why something that was sent is not an alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObservationError {
    /// It has no name.
    #[error("alert {0} has no label alertname; every alert needs one")]
    NoName(usize),
    /// One of its labels has no name.
    #[error("alert {0} has a label whose name is empty")]
    NoLabelName(usize),
    /// Its labels or annotations are too large.
    #[error("alert {index} has {bytes} bytes of labels and annotations, at most {limit} are allowed")]
    TooLarge {
        /// Which one, from 1.
        index: usize,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// It ends before it starts.
    #[error("alert {0} ends before it starts")]
    EndsBeforeStart(usize),
    /// The webhook's version is another one.
    #[error("webhook version {0:?} is not supported; this is version 4")]
    Version(String),
}

/// The most that an alert's labels and annotations may have, in bytes.
pub const ALERT_MAX_BYTES: usize = 32 * 1024;

fn check(index: usize, observation: Observation) -> Result<Observation, ObservationError> {
    let index = index + 1;
    if observation.labels.get(ALERT_NAME).is_none() {
        return Err(ObservationError::NoName(index));
    }
    if observation.labels.get("").is_some() {
        return Err(ObservationError::NoLabelName(index));
    }
    let size = |labels: &Labels| {
        labels
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    };
    let bytes = size(&observation.labels) + size(&observation.annotations);
    if bytes > ALERT_MAX_BYTES {
        return Err(ObservationError::TooLarge {
            index,
            bytes,
            limit: ALERT_MAX_BYTES,
        });
    }
    if observation
        .ended_at
        .is_some_and(|end| end < observation.starts_at)
    {
        return Err(ObservationError::EndsBeforeStart(index));
    }
    Ok(observation)
}

/// Go's zero time: what Go programs, `amtool` among them, send for a time that they do not give.
const GO_ZERO_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);

fn given(time: Option<Timestamp>) -> Option<Timestamp> {
    time.filter(|time| *time != GO_ZERO_TIME)
}

/// Reads the alerts of a `POST /api/v2/alerts`. As in Alertmanager the good ones are taken even if others are bad.
#[must_use]
pub fn from_api(alerts: Vec<PostableAlert>, now: Timestamp) -> (Vec<Observation>, Vec<ObservationError>) {
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for (index, alert) in alerts.into_iter().enumerate() {
        let ends_at = given(alert.ends_at);
        // Without a start it starts where it ends, but not in the future: it fires now.
        let starts_at = given(alert.starts_at).or(ends_at.map(|end| end.min(now)));
        let observation = Observation {
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at: starts_at.unwrap_or(now),
            ended_at: ends_at,
            believed_for_ms: None,
        };
        match check(index, observation) {
            // An end that lies ahead is how long to believe it, not an end.
            Ok(taken) => good.push(match taken.ended_at.map(|end| end.duration_since(now)) {
                Some(ahead) if ahead.is_positive() => Observation {
                    ended_at: None,
                    believed_for_ms: Some(i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX)),
                    ..taken
                },
                _ => taken,
            }),
            Err(error) => bad.push(error),
        }
    }
    (good, bad)
}

/// Reads a webhook body.
///
/// # Errors
/// With the first alert that cannot be taken; nothing of the body is taken then.
pub fn from_webhook(webhook: Webhook, now: Timestamp) -> Result<Vec<Observation>, ObservationError> {
    if webhook.version != "4" {
        return Err(ObservationError::Version(webhook.version));
    }
    let observations = webhook.alerts.into_iter().enumerate().map(|(index, alert)| {
        let ended_at =
            (alert.status == "resolved").then(|| given(alert.ends_at).unwrap_or(now).max(alert.starts_at));
        let observation = Observation {
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at: alert.starts_at,
            ended_at,
            believed_for_ms: None,
        };
        check(index, observation)
    });
    observations.collect()
}
