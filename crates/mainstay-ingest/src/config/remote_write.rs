//! Elements of `remote_write`: where samples are sent to.

use std::sync::Arc;
use std::time::Duration;

use super::http::HttpOptions;
use crate::relabel::RelabelRule;

/// One element of `remote_write`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteWrite {
    /// `name`, else the `url` without a password: it tells receivers apart.
    pub name: String,
    /// `url`: the whole address.
    pub url: String,
    /// `remote_timeout`, else 30 s.
    pub timeout: Duration,
    /// How the receiver is spoken to; `headers` are among its headers.
    pub http: HttpOptions,
    /// `write_relabel_configs`, applied after `external_labels` were added.
    pub relabel: Arc<[RelabelRule]>,
    /// `protobuf_message`: whether it is that of 2.0.
    pub version_2: bool,
    /// `send_native_histograms`
    pub native_histograms: bool,
    /// `metadata_config`: what is known of metrics is sent this often; `None` if not at all.
    pub metadata: Option<MetadataPace>,
    /// `queue_config`
    pub queue: QueueOptions,
}

/// `metadata_config`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataPace {
    /// `send_interval`
    pub interval: Duration,
    /// `max_samples_per_send`: how many families a request bears.
    pub families_per_send: usize,
}

impl Default for MetadataPace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            families_per_send: 2_000,
        }
    }
}

/// `queue_config`, as far as it has an effect here: samples wait in the log, and batches leave one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueOptions {
    /// `max_samples_per_send`
    pub samples_per_send: usize,
    /// `batch_send_deadline`
    pub deadline: Duration,
    /// `min_backoff`
    pub back_off_min: Duration,
    /// `max_backoff`
    pub back_off_max: Duration,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            samples_per_send: 2_000,
            deadline: Duration::from_secs(5),
            back_off_min: Duration::from_millis(30),
            back_off_max: Duration::from_secs(5),
        }
    }
}
