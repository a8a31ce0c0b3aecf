//! `global` and the elements of `scrape_configs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::MapAccess;
use serde_saphyr::{Location, Spanned};

use super::discovery::{DnsKeys, FileKeys, HttpKeys};
use super::http::{HTTP_KEYS, Http};
#[cfg(feature = "kubernetes")]
use super::kubernetes::KubernetesKeys;
use super::relabel::Rules;
use super::{Check, Fields, Group, Keyed, next};
use crate::config::{ConfigError, ScrapeJob};
use crate::exposition::{HistogramForm, ScrapeProtocol};
use crate::scrape::{ScrapeFormats, ScrapeLimits};
use mainstay_kernel::labels::is_label_name;

const GLOBAL_KEYS: &[&str] = &[
    "evaluation_interval",
    "rule_query_offset",
    "query_log_file",
    "scrape_failure_log_file",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "convert_classic_histograms_to_nhcb",
    "runtime",
];
const JOB_KEYS: &[&str] = &[
    "convert_classic_histograms_to_nhcb",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
    "scrape_failure_log_file",
    "azure_sd_configs",
    "aws_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
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

/// What may stand in `global` and in a job, where it comes first.
#[derive(Default)]
struct Shared {
    interval: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    body_size_limit: Option<Spanned<String>>,
    sample_limit: Option<usize>,
    target_limit: Option<usize>,
    keep_dropped_targets: Option<usize>,
    label_limit: Option<usize>,
    label_name_length_limit: Option<usize>,
    label_value_length_limit: Option<usize>,
    protocols: Option<Vec<Spanned<String>>>,
    classic_histograms: Option<bool>,
    native_histograms: Option<bool>,
    extra_metrics: Option<bool>,
}

impl Shared {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "scrape_interval" => self.interval = map.next_value()?,
            "scrape_timeout" => self.timeout = map.next_value()?,
            "body_size_limit" => self.body_size_limit = map.next_value()?,
            "sample_limit" => self.sample_limit = map.next_value()?,
            "target_limit" => self.target_limit = map.next_value()?,
            "keep_dropped_targets" => self.keep_dropped_targets = map.next_value()?,
            "label_limit" => self.label_limit = map.next_value()?,
            "label_name_length_limit" => self.label_name_length_limit = map.next_value()?,
            "label_value_length_limit" => self.label_value_length_limit = map.next_value()?,
            "scrape_protocols" => self.protocols = map.next_value()?,
            // The older name is that of Prometheus before 3.0.
            "always_scrape_classic_histograms" | "scrape_classic_histograms" => {
                self.classic_histograms = map.next_value()?;
            }
            "scrape_native_histograms" => self.native_histograms = map.next_value()?,
            "extra_scrape_metrics" => self.extra_metrics = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
pub(super) struct Global {
    shared: Shared,
    pub(super) external_labels: BTreeMap<String, String>,
}

impl Fields for Global {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "external_labels" => {
                let labels = next::<BTreeMap<String, String>, _>(map)?;
                if let Some(bad) = labels.keys().find(|name| !is_label_name(name)) {
                    return Err(serde::de::Error::custom(format!("{bad:?} is no label name")));
                }
                self.external_labels = labels;
                Ok(true)
            }
            _ => self.shared.field(key, map),
        }
    }
}

#[derive(Default)]
pub(super) struct Job {
    name: Option<Spanned<String>>,
    shared: Shared,
    http: Http,
    metrics_path: Option<String>,
    scheme: Option<Spanned<String>>,
    params: BTreeMap<String, Vec<String>>,
    honor_labels: bool,
    honor_timestamps: Option<bool>,
    track_timestamps_staleness: bool,
    enable_compression: Option<bool>,
    fallback: Option<Spanned<String>>,
    relabel: Rules,
    metric_relabel: Rules,
    static_groups: Vec<Keyed<Group>>,
    files: Vec<Keyed<FileKeys>>,
    http_discovery: Vec<Spanned<Keyed<HttpKeys>>>,
    dns_discovery: Vec<Spanned<Keyed<DnsKeys>>>,
    #[cfg(feature = "kubernetes")]
    kubernetes_discovery: Vec<Spanned<Keyed<KubernetesKeys>>>,
}

impl Fields for Job {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "job_name" => self.name = map.next_value()?,
            "metrics_path" => self.metrics_path = map.next_value()?,
            "scheme" => self.scheme = map.next_value()?,
            "params" => self.params = next(map)?,
            "honor_labels" => self.honor_labels = next(map)?,
            "honor_timestamps" => self.honor_timestamps = map.next_value()?,
            "track_timestamps_staleness" => self.track_timestamps_staleness = next(map)?,
            "enable_compression" => self.enable_compression = map.next_value()?,
            "fallback_scrape_protocol" => self.fallback = map.next_value()?,
            "relabel_configs" => self.relabel = next(map)?,
            "metric_relabel_configs" => self.metric_relabel = next(map)?,
            "static_configs" => self.static_groups = next(map)?,
            "file_sd_configs" => self.files = next(map)?,
            "http_sd_configs" => self.http_discovery = next(map)?,
            "dns_sd_configs" => self.dns_discovery = next(map)?,
            #[cfg(feature = "kubernetes")]
            "kubernetes_sd_configs" => self.kubernetes_discovery = next(map)?,
            #[cfg(not(feature = "kubernetes"))]
            "kubernetes_sd_configs" => {
                return Err(serde::de::Error::custom(
                    "this program was built without Kubernetes",
                ));
            }
            _ => return Ok(self.shared.field(key, map)? || self.http.field(key, map)?),
        }
        Ok(true)
    }
}

/// What jobs have that say nothing themselves.
pub(super) struct Defaults {
    interval: Duration,
    timeout: Duration,
    limits: ScrapeLimits,
    target_limit: Option<usize>,
    keep_dropped_targets: Option<usize>,
    protocols: Option<Vec<ScrapeProtocol>>,
    classic_histograms: bool,
    native_histograms: bool,
    extra_metrics: bool,
}

impl Check<'_> {
    pub(super) fn global(&mut self, keyed: Keyed<Global>) -> Result<Global, ConfigError> {
        self.keys(keyed, GLOBAL_KEYS, "global")
    }

    pub(super) fn defaults(&mut self, global: &Global) -> Result<Defaults, ConfigError> {
        let shared = &global.shared;
        let interval = self.duration(shared.interval.as_ref())?;
        let interval = interval.unwrap_or(Duration::from_secs(60));
        let timeout = match &shared.timeout {
            Some(own) => {
                let timeout = self.duration(Some(own))?.unwrap_or(interval);
                if timeout > interval {
                    return Err(self.error(own.referenced, "scrape_timeout is above scrape_interval"));
                }
                timeout
            }
            None => Duration::from_secs(10),
        };
        Ok(Defaults {
            interval,
            timeout,
            limits: self.limits(shared, ScrapeLimits::default())?,
            target_limit: shared.target_limit.filter(|limit| *limit > 0),
            keep_dropped_targets: shared.keep_dropped_targets,
            protocols: self.protocols(shared)?,
            classic_histograms: shared.classic_histograms.unwrap_or(false),
            native_histograms: shared.native_histograms.unwrap_or(false),
            extra_metrics: shared.extra_metrics.unwrap_or(false),
        })
    }

    /// Limits where they are given. In Prometheus 0 means no limit; here there always is one.
    fn limits(&self, shared: &Shared, mut limits: ScrapeLimits) -> Result<ScrapeLimits, ConfigError> {
        let set = |limit: &mut usize, given: Option<usize>| {
            if let Some(given) = given.filter(|given| *given > 0) {
                *limit = given;
            }
        };
        set(&mut limits.samples, shared.sample_limit);
        set(&mut limits.labels, shared.label_limit);
        set(&mut limits.label_name_bytes, shared.label_name_length_limit);
        set(&mut limits.label_value_bytes, shared.label_value_length_limit);
        if let Some(size) = &shared.body_size_limit {
            let bytes = size_bytes(&size.value).ok_or_else(|| {
                let reason = format!("{:?} is no size, such as 10MB or 512KiB", size.value);
                self.error(size.referenced, reason)
            })?;
            set(&mut limits.body_bytes, Some(bytes));
        }
        Ok(limits)
    }

    fn protocols(&self, shared: &Shared) -> Result<Option<Vec<ScrapeProtocol>>, ConfigError> {
        let Some(given) = shared.protocols.as_ref().filter(|given| !given.is_empty()) else {
            return Ok(None);
        };
        let mut protocols = Vec::new();
        for name in given {
            let protocol = self.protocol(name)?;
            if protocols.contains(&protocol) {
                return Err(self.error(name.referenced, format!("{} stands twice", name.value)));
            }
            protocols.push(protocol);
        }
        Ok(Some(protocols))
    }

    fn protocol(&self, name: &Spanned<String>) -> Result<ScrapeProtocol, ConfigError> {
        let known = ScrapeProtocol::NAMED
            .iter()
            .find(|(known, _)| *known == name.value);
        known.map(|(_, protocol)| *protocol).ok_or_else(|| {
            let names: Vec<&str> = ScrapeProtocol::NAMED.iter().map(|(name, _)| *name).collect();
            let reason = format!(
                "{:?} is no scrape protocol: expected {}",
                name.value,
                names.join(", ")
            );
            self.error(name.referenced, reason)
        })
    }

    /// A job, and where its name stands.
    pub(super) fn job(
        &mut self,
        keyed: Spanned<Keyed<Job>>,
        defaults: &Defaults,
    ) -> Result<(ScrapeJob, Location), ConfigError> {
        let at = keyed.referenced;
        let known = [JOB_KEYS, HTTP_KEYS].concat();
        let job = self.keys(keyed.value, &known, "a scrape configuration")?;
        let name = job
            .name
            .filter(|name| !name.value.is_empty())
            .ok_or_else(|| self.error(at, "a scrape configuration needs a job_name"))?;
        let scheme = match job.scheme {
            Some(scheme) if !matches!(scheme.value.as_str(), "http" | "https") => {
                let reason = format!("the scheme is http or https, not {:?}", scheme.value);
                return Err(self.error(scheme.referenced, reason));
            }
            Some(scheme) => scheme.value,
            None => "http".to_owned(),
        };
        let shared = &job.shared;
        let interval = self
            .duration(shared.interval.as_ref())?
            .unwrap_or(defaults.interval);
        let timeout = match &shared.timeout {
            Some(own) => {
                let timeout = self.duration(Some(own))?.unwrap_or(interval);
                if timeout > interval {
                    return Err(self.error(own.referenced, "scrape_timeout is above scrape_interval"));
                }
                timeout
            }
            None => defaults.timeout.min(interval),
        };
        let native = shared.native_histograms.unwrap_or(defaults.native_histograms);
        let classic = shared.classic_histograms.unwrap_or(defaults.classic_histograms);
        let formats = ScrapeFormats {
            protocols: match self.protocols(shared)?.or_else(|| defaults.protocols.clone()) {
                Some(protocols) => protocols,
                None if native => ScrapeProtocol::DEFAULT_NATIVE.into(),
                None => ScrapeProtocol::DEFAULT.into(),
            },
            fallback: match job.fallback.filter(|name| !name.value.is_empty()) {
                Some(name) => Some(self.protocol(&name)?),
                None => None,
            },
            histograms: match (native, classic) {
                (false, _) => HistogramForm::Classic,
                (true, false) => HistogramForm::Native,
                (true, true) => HistogramForm::Both,
            },
        };
        let limits = self.limits(shared, defaults.limits)?;
        let target_limit = match shared.target_limit {
            Some(limit) => Some(limit).filter(|limit| *limit > 0),
            None => defaults.target_limit,
        };
        let extra_metrics = shared.extra_metrics.unwrap_or(defaults.extra_metrics);
        let static_groups = job
            .static_groups
            .into_iter()
            .map(|group| self.group(group))
            .collect::<Result<_, _>>()?;
        let mut target_files = Vec::new();
        for files in job.files {
            target_files.extend(self.files(files)?);
        }
        let job = ScrapeJob {
            name: name.value,
            interval,
            timeout,
            scheme,
            metrics_path: job.metrics_path.unwrap_or_else(|| "/metrics".to_owned()),
            params: job.params,
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: job.track_timestamps_staleness,
            enable_compression: job.enable_compression.unwrap_or(true),
            extra_metrics,
            limits,
            target_limit,
            keep_dropped_targets: shared
                .keep_dropped_targets
                .or(defaults.keep_dropped_targets)
                .filter(|kept| *kept > 0),
            formats,
            http: self.http(job.http)?,
            relabel: self.relabel(job.relabel)?,
            metric_relabel: self.relabel(job.metric_relabel)?.into(),
            static_groups,
            target_files,
            http_discovery: self.http_discovery(job.http_discovery)?,
            dns_discovery: self.dns_discovery(job.dns_discovery)?,
            #[cfg(feature = "kubernetes")]
            kubernetes_discovery: self.kubernetes_discovery(job.kubernetes_discovery)?,
        };
        Ok((job, name.referenced))
    }
}

/// A size as Prometheus writes it: `10MB` and `10MiB` are ten times 1024 × 1024, `0` is none.
fn size_bytes(text: &str) -> Option<usize> {
    if text == "0" {
        return Some(0);
    }
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let prefix = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B'))?;
    let power = ["", "K", "M", "G", "T", "P", "E"]
        .iter()
        .position(|known| *known == prefix)?;
    let unit_bytes = 1024usize.checked_pow(u32::try_from(power).ok()?)?;
    number.parse::<usize>().ok()?.checked_mul(unit_bytes)
}

#[cfg(test)]
mod tests {
    use super::size_bytes;

    #[test]
    fn sizes_as_prometheus_reads_them() {
        assert_eq!(size_bytes("0"), Some(0));
        assert_eq!(size_bytes("15MB"), Some(15 << 20));
        assert_eq!(size_bytes("2GiB"), Some(2 << 30));
        assert_eq!(size_bytes("7B"), Some(7));
        for bad in ["", "7", "MB", "1.5MB", "7XB", "99999999999EB"] {
            assert_eq!(size_bytes(bad), None, "{bad}");
        }
    }
}
