//! Prometheus' configuration file as far as it concerns scraping and sending: `global`, `scrape_configs` with relabelling
//! and service discovery by static lists, files, HTTP, DNS and Kubernetes, `remote_write`.
//!
//! A key that Prometheus does not know is an error, as it is there. A key that Prometheus knows and that has no effect
//! here is a warning with its position, never silence; one whose absence would change who is spoken to, or how, is an
//! error.

mod document;
pub mod http;
pub mod remote_write;
mod targets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_kernel::Labels;

pub use self::http::HttpOptions;
pub use self::remote_write::RemoteWrite;
pub use self::targets::JobTargets;
#[cfg(feature = "kubernetes")]
use crate::discovery::KubernetesDiscovery;
use crate::discovery::{DnsDiscovery, HttpDiscovery};
use crate::relabel::RelabelRule;
use crate::scrape::{ScrapeFormats, ScrapeLimits};

/// Something wrong in a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct ConfigError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1; 0 if there is none.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
    /// What is wrong, and what was expected.
    pub reason: String,
}

/// A configuration as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrapeConfig {
    /// The jobs, in their order.
    pub jobs: Vec<ScrapeJob>,
    /// Where samples are sent to, in their order.
    pub remote_write: Vec<RemoteWrite>,
    /// `external_labels`: on everything that is sent to somebody else.
    pub external_labels: Labels,
    /// What has no effect here.
    pub warnings: Vec<ConfigError>,
}

/// One element of `scrape_configs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeJob {
    /// `job_name`
    pub name: String,
    /// `scrape_interval`, else the global one, else 1 min.
    pub interval: Duration,
    /// `scrape_timeout`, else the global one, else 10 s; never above the interval.
    pub timeout: Duration,
    /// `scheme`: `http` or `https`.
    pub scheme: String,
    /// `metrics_path`, else `/metrics`.
    pub metrics_path: String,
    /// `params`: the query.
    pub params: BTreeMap<String, Vec<String>>,
    /// `honor_labels`
    pub honor_labels: bool,
    /// `honor_timestamps`: whether exposed times are taken.
    pub honor_timestamps: bool,
    /// `track_timestamps_staleness`: whether series with exposed times are marked stale too.
    pub track_timestamps_staleness: bool,
    /// `enable_compression`: whether gzip is asked for.
    pub enable_compression: bool,
    /// `extra_scrape_metrics`
    pub extra_metrics: bool,
    /// `sample_limit` and what else bounds a scrape.
    pub limits: ScrapeLimits,
    /// `target_limit`: with more targets than this all scrapes of the job fail.
    pub target_limit: Option<usize>,
    /// `keep_dropped_targets`: of how many targets that relabelling drops it is remembered what was known of them; `None`:
    /// of all, up to a limit.
    pub keep_dropped_targets: Option<usize>,
    /// `scrape_protocols` and what is taken of histograms.
    pub formats: ScrapeFormats,
    /// How targets are spoken to.
    pub http: HttpOptions,
    /// `relabel_configs`: of targets.
    pub relabel: Vec<RelabelRule>,
    /// `metric_relabel_configs`: of samples.
    pub metric_relabel: Arc<[RelabelRule]>,
    /// `static_configs`
    pub static_groups: Vec<TargetGroup>,
    /// The `files` of `file_sd_configs`: paths, the last part of which may hold one `*`.
    pub target_files: Vec<PathBuf>,
    /// `http_sd_configs`
    pub http_discovery: Vec<HttpDiscovery>,
    /// `dns_sd_configs`
    pub dns_discovery: Vec<DnsDiscovery>,
    /// `kubernetes_sd_configs`
    #[cfg(feature = "kubernetes")]
    pub kubernetes_discovery: Vec<KubernetesDiscovery>,
}

/// Targets that share labels: an element of `static_configs` or of a target file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// `host:port` each.
    pub targets: Vec<String>,
    /// Their labels; those that begin with `__` are for relabelling only.
    pub labels: Labels,
}

impl ScrapeConfig {
    /// Reads a Prometheus configuration file; `file` names it in messages.
    ///
    /// # Errors
    /// If it is not YAML, has keys that Prometheus does not know, or values out of range.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        document::config(file, text)
    }
}

impl ScrapeJob {
    /// A job of this name with what Prometheus gives a job that says nothing: once a minute, 10 s at most.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            scheme: "http".to_owned(),
            metrics_path: "/metrics".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            extra_metrics: false,
            limits: ScrapeLimits::default(),
            target_limit: None,
            keep_dropped_targets: None,
            formats: ScrapeFormats::default(),
            http: HttpOptions::default(),
            relabel: Vec::new(),
            metric_relabel: Arc::default(),
            static_groups: Vec::new(),
            target_files: Vec::new(),
            http_discovery: Vec::new(),
            dns_discovery: Vec::new(),
            #[cfg(feature = "kubernetes")]
            kubernetes_discovery: Vec::new(),
        }
    }
}

/// Reads target groups as target files and HTTP discovery hold them: a JSON (or YAML) list of `targets` and `labels`.
///
/// # Errors
/// If it is anything else.
pub fn target_groups(file: &str, text: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    document::target_groups(file, text)
}

/// The units of durations, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A duration as Prometheus writes it: of years, weeks and days only whole ones.
fn duration_text(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, unit_ms) in UNITS {
        let whole_only = matches!(unit, "y" | "w" | "d");
        if rest_ms >= unit_ms && !(whole_only && rest_ms % unit_ms != 0) {
            text.push_str(&format!("{}{unit}", rest_ms / unit_ms));
            rest_ms %= unit_ms;
        }
    }
    text
}

/// A duration as Prometheus reads it: `1h30m`, `15s`, `500ms`, `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total_ms, mut units) = (text, 0u64, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len()
            - after
                .trim_start_matches(|char: char| char.is_ascii_alphabetic())
                .len();
        let (unit, after) = after.split_at(letters);
        // Units stand from large to small, each once: the iterator only moves on.
        let (_, unit_ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_prometheus_reads_them() {
        let ms = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("15s"), Some(15_000));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1m500ms"), Some(60_500));
        assert_eq!(
            (ms("0"), ms("1d"), ms("2w"), ms("1y")),
            (
                Some(0),
                Some(86_400_000),
                Some(1_209_600_000),
                Some(31_536_000_000)
            )
        );
        for text in ["15s", "1m30s", "1h", "36h", "2d", "500ms", "1w"] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Some(text));
        }
        for bad in [
            "",
            "1",
            "s",
            "1.5s",
            "1s1s",
            "1s1m",
            "-1s",
            "1 s",
            "99999999999999y",
        ] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
