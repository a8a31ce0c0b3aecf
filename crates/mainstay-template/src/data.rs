//! What a notification is about: the dot of every template.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::ZonedDateTime;

/// Labels or annotations.
pub type Pairs = BTreeMap<String, String>;

/// A notification, as Alertmanager hands it to a template. What is large is shared: evaluation copies none of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// The receiver's name.
    pub receiver: String,
    /// `firing` if at least one alert is, else `resolved`.
    pub status: String,
    /// The alerts of the group.
    pub alerts: Arc<[Arc<Alert>]>,
    /// What the alerts were grouped by.
    pub group_labels: Arc<Pairs>,
    /// The labels that all alerts have alike.
    pub common_labels: Arc<Pairs>,
    /// The annotations that all alerts have alike.
    pub common_annotations: Arc<Pairs>,
    /// Where the sender is reached.
    pub external_url: String,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// `firing` or `resolved`.
    pub status: String,
    /// Its labels.
    pub labels: Arc<Pairs>,
    /// Its annotations.
    pub annotations: Arc<Pairs>,
    /// When it began.
    pub starts_at: ZonedDateTime,
    /// When it ended; year 1 if it did not, as in Go.
    pub ends_at: ZonedDateTime,
    /// What raised it.
    pub generator_url: String,
    /// The digest of its labels.
    pub fingerprint: String,
}
