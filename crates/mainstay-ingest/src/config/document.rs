//! The configuration's YAML, key by key, so that every key has a position.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{ConfigError, ScrapeConfig, ScrapeJob, TargetGroup, duration};
use crate::scrape::ScrapeLimits;

/// What Prometheus knows at the top of its file, beside what is read here.
const TOP_KEYS: &[&str] = &[
    "rule_files",
    "scrape_config_files",
    "alerting",
    "remote_write",
    "remote_read",
    "storage",
    "tracing",
    "otlp",
    "runtime",
];
const GLOBAL_KEYS: &[&str] = &[
    "evaluation_interval",
    "rule_query_offset",
    "external_labels",
    "query_log_file",
    "scrape_failure_log_file",
    "body_size_limit",
    "sample_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "target_limit",
    "keep_dropped_targets",
    "scrape_protocols",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "always_scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "scrape_native_histograms",
    "extra_scrape_metrics",
];
const JOB_KEYS: &[&str] = &[
    "honor_timestamps",
    "track_timestamps_staleness",
    "params",
    "scrape_protocols",
    "fallback_scrape_protocol",
    "always_scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "scrape_native_histograms",
    "enable_compression",
    "body_size_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "target_limit",
    "keep_dropped_targets",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "scrape_failure_log_file",
    "basic_auth",
    "authorization",
    "oauth2",
    "follow_redirects",
    "enable_http2",
    "tls_config",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "http_headers",
    "relabel_configs",
    "metric_relabel_configs",
    "extra_scrape_metrics",
    "azure_sd_configs",
    "aws_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "dns_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// A mapping whose keys keep their positions: known ones go into `T`, the others are kept by name.
struct Keyed<T> {
    value: T,
    others: Vec<(String, Location)>,
}

/// A mapping that is read key by key.
trait Fields: Default {
    /// Reads the value of `key` from `map`, or says that the key is not one of these.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

impl<'de, T: Fields> Deserialize<'de> for Keyed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<T>(PhantomData<T>);
        impl<'de, T: Fields> Visitor<'de> for Keys<T> {
            type Value = Keyed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keyed<T>, A::Error> {
                let mut value = T::default();
                let mut others = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    if !value.field(&key.value, &mut map)? {
                        map.next_value::<IgnoredAny>()?;
                        others.push((key.value, key.referenced));
                    }
                }
                Ok(Keyed { value, others })
            }
        }
        deserializer.deserialize_map(Keys(PhantomData))
    }
}

#[derive(Default)]
struct Top {
    global: Option<Keyed<Global>>,
    jobs: Vec<Spanned<Keyed<Job>>>,
}

impl Fields for Top {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "global" => self.global = map.next_value()?,
            "scrape_configs" => self.jobs = map.next_value::<Option<_>>()?.unwrap_or_default(),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Global {
    interval: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
}

impl Fields for Global {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "scrape_interval" => self.interval = map.next_value()?,
            "scrape_timeout" => self.timeout = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Job {
    name: Option<Spanned<String>>,
    interval: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    metrics_path: Option<String>,
    scheme: Option<Spanned<String>>,
    honor_labels: bool,
    sample_limit: Option<usize>,
    static_groups: Vec<Keyed<Group>>,
    file_groups: Vec<Keyed<Files>>,
}

impl Fields for Job {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "job_name" => self.name = Some(map.next_value()?),
            "scrape_interval" => self.interval = Some(map.next_value()?),
            "scrape_timeout" => self.timeout = Some(map.next_value()?),
            "metrics_path" => self.metrics_path = Some(map.next_value()?),
            "scheme" => self.scheme = Some(map.next_value()?),
            "honor_labels" => self.honor_labels = map.next_value()?,
            "sample_limit" => self.sample_limit = Some(map.next_value()?),
            "static_configs" => self.static_groups = map.next_value()?,
            "file_sd_configs" => self.file_groups = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Group {
    targets: Vec<Spanned<String>>,
    labels: BTreeMap<String, String>,
}

impl Fields for Group {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "targets" => self.targets = map.next_value()?,
            "labels" => {
                let labels: BTreeMap<String, String> = map.next_value()?;
                if let Some(bad) = labels.keys().find(|name| !is_label_name(name)) {
                    return Err(A::Error::custom(format!(
                        "{bad:?} is no label name ([a-zA-Z_][a-zA-Z0-9_]*)"
                    )));
                }
                self.labels = labels;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Files {
    files: Vec<String>,
}

impl Fields for Files {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "files" => self.files = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Names the file in messages and gathers warnings.
struct Check<'a> {
    file: &'a str,
    warnings: Vec<ConfigError>,
}

impl Check<'_> {
    fn error(&self, at: Location, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.column(),
            reason: reason.into(),
        }
    }

    fn read<'de, T: Deserialize<'de>>(&self, text: &'de str) -> Result<T, ConfigError> {
        serde_saphyr::from_str(text).map_err(|error| {
            let at = error.location().unwrap_or(Location::UNKNOWN);
            let options = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
            self.error(at, error.render_with_options(options))
        })
    }

    /// Takes the value of a mapping, and judges its other keys.
    fn keys<T>(&mut self, keyed: Keyed<T>, known: &[&str], what: &str) -> Result<T, ConfigError> {
        for (key, at) in keyed.others {
            if !known.contains(&key.as_str()) {
                return Err(self.error(at, format!("{key} is no key of {what}")));
            }
            let warning = self.error(at, format!("{key} has no effect here"));
            self.warnings.push(warning);
        }
        Ok(keyed.value)
    }

    fn duration(&self, text: Option<&Spanned<String>>) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        match duration(&text.value).filter(|duration| !duration.is_zero()) {
            Some(duration) => Ok(Some(duration)),
            None => Err(self.error(
                text.referenced,
                format!("{:?} is no duration above zero, such as 15s or 1m30s", text.value),
            )),
        }
    }

    fn group(&mut self, keyed: Keyed<Group>) -> Result<TargetGroup, ConfigError> {
        let group = self.keys(keyed, &[], "a target group")?;
        for target in &group.targets {
            let address = &target.value;
            if address.is_empty() || address.contains(['/', ' ', '?', '#', '@']) {
                return Err(self.error(target.referenced, format!("{address:?} is no host:port")));
            }
        }
        Ok(TargetGroup {
            targets: group.targets.into_iter().map(|target| target.value).collect(),
            labels: group.labels.into(),
        })
    }
}

pub(super) fn target_groups(file: &str, text: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    let mut check = Check {
        file,
        warnings: Vec::new(),
    };
    let groups: Vec<Keyed<Group>> = check.read(text)?;
    groups.into_iter().map(|group| check.group(group)).collect()
}

pub(super) fn config(file: &str, text: &str) -> Result<ScrapeConfig, ConfigError> {
    let mut check = Check {
        file,
        warnings: Vec::new(),
    };
    let top: Option<Keyed<Top>> = check.read(text)?;
    let Some(top) = top else {
        return Ok(ScrapeConfig::default());
    };
    let top = check.keys(top, TOP_KEYS, "the configuration")?;
    let global = match top.global {
        Some(global) => check.keys(global, GLOBAL_KEYS, "global")?,
        None => Global::default(),
    };
    let interval = check
        .duration(global.interval.as_ref())?
        .unwrap_or(Duration::from_secs(60));
    let timeout = check
        .duration(global.timeout.as_ref())?
        .unwrap_or(Duration::from_secs(10));
    let mut jobs = Vec::new();
    let mut names = BTreeSet::new();
    for keyed in top.jobs {
        let job = job(&mut check, keyed, interval, timeout)?;
        if !names.insert(job.0.name.clone()) {
            return Err(check.error(job.1, format!("a second job {}", job.0.name)));
        }
        jobs.push(job.0);
    }
    check
        .warnings
        .sort_by_key(|warning| (warning.line, warning.column));
    Ok(ScrapeConfig {
        jobs,
        warnings: check.warnings,
    })
}

/// A job, and where its name stands.
fn job(
    check: &mut Check<'_>,
    keyed: Spanned<Keyed<Job>>,
    default_interval: Duration,
    default_timeout: Duration,
) -> Result<(ScrapeJob, Location), ConfigError> {
    let at = keyed.referenced;
    let job = check.keys(keyed.value, JOB_KEYS, "a scrape configuration")?;
    let name = job
        .name
        .filter(|name| !name.value.is_empty())
        .ok_or_else(|| check.error(at, "a scrape configuration needs a job_name"))?;
    if let Some(scheme) = job.scheme.filter(|scheme| scheme.value != "http") {
        return Err(check.error(
            scheme.referenced,
            format!("the scheme is http, {:?} is not supported", scheme.value),
        ));
    }
    let interval = check.duration(job.interval.as_ref())?.unwrap_or(default_interval);
    let timeout = match &job.timeout {
        Some(own) => {
            let timeout = check.duration(Some(own))?.unwrap_or(default_timeout);
            if timeout > interval {
                return Err(check.error(own.referenced, "scrape_timeout is above scrape_interval"));
            }
            timeout
        }
        None => default_timeout.min(interval),
    };
    let mut limits = ScrapeLimits::default();
    // In Prometheus 0 means no limit; here there always is one.
    if let Some(samples) = job.sample_limit.filter(|samples| *samples > 0) {
        limits.samples = samples;
    }
    let static_groups = job
        .static_groups
        .into_iter()
        .map(|group| check.group(group))
        .collect::<Result<_, _>>()?;
    let mut target_files = Vec::new();
    for files in job.file_groups {
        let files = check.keys(files, &["refresh_interval"], "file_sd_configs")?;
        target_files.extend(files.files.into_iter().map(PathBuf::from));
    }
    let job = ScrapeJob {
        name: name.value,
        interval,
        timeout,
        metrics_path: job.metrics_path.unwrap_or_else(|| "/metrics".to_owned()),
        honor_labels: job.honor_labels,
        limits,
        static_groups,
        target_files,
    };
    Ok((job, name.referenced))
}

fn is_label_name(name: &str) -> bool {
    !name.starts_with(|char: char| char.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
