//! Prometheus' `scrape_configs`, the part with static targets and target files.
//!
//! A key that Prometheus does not know is an error, as it is there. A key that Prometheus knows and that has no effect
//! here is a warning with its position, never silence.

mod document;

use std::path::PathBuf;
use std::time::Duration;

use mainstay_kernel::Labels;

use crate::scrape::{ScrapeFormats, ScrapeLimits, ScrapeTarget};

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
    /// `metrics_path`, else `/metrics`.
    pub metrics_path: String,
    /// `honor_labels`
    pub honor_labels: bool,
    /// `sample_limit` and what else bounds a scrape.
    pub limits: ScrapeLimits,
    /// `static_configs`
    pub static_groups: Vec<TargetGroup>,
    /// The `files` of `file_sd_configs`: paths, the last part of which may hold one `*`.
    pub target_files: Vec<PathBuf>,
}

/// Targets that share labels: an element of `static_configs` or of a target file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// `host:port` each.
    pub targets: Vec<String>,
    /// Their labels.
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
    /// The targets of these groups under this job. Labels that begin with `__` are not stored;
    /// `__metrics_path__` is followed.
    #[must_use]
    pub fn targets<'a>(&self, groups: impl IntoIterator<Item = &'a TargetGroup>) -> Vec<ScrapeTarget> {
        let of_group = |group: &TargetGroup| {
            let path = group
                .labels
                .get("__metrics_path__")
                .unwrap_or(&self.metrics_path)
                .to_owned();
            let labels = group.labels.filtered(|name| !name.starts_with("__"));
            let of_address = move |address: &String| ScrapeTarget {
                job: labels.get("job").unwrap_or(&self.name).to_owned(),
                instance: labels.get("instance").unwrap_or(address).to_owned(),
                url: format!("http://{address}{path}"),
                labels: labels.clone(),
                interval: self.interval,
                timeout: self.timeout,
                honor_labels: self.honor_labels,
                limits: self.limits,
                formats: ScrapeFormats::default(),
            };
            group.targets.iter().map(of_address).collect::<Vec<_>>()
        };
        groups.into_iter().flat_map(of_group).collect()
    }
}

/// Reads target groups as target files and HTTP discovery hold them: a JSON (or YAML) list of `targets` and `labels`.
///
/// # Errors
/// If it is anything else.
pub fn target_groups(file: &str, text: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    document::target_groups(file, text)
}

/// A duration as Prometheus writes it: `1h30m`, `15s`, `500ms`, `0`.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
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
