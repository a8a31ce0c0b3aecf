//! From what was discovered to what is scraped: the labels of a target, as Prometheus makes them.

use std::sync::Arc;

use mainstay_kernel::Labels;

use super::http::HttpSettings;
use super::{ScrapeJob, TargetGroup, duration, duration_text};
use crate::relabel::relabel;
use crate::scrape::ScrapeTarget;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const SCRAPE_INTERVAL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";

/// Of how many dropped targets of a job it is remembered what was known of them.
const DROPPED_MAX: usize = 10_000;

/// What became of what was discovered for a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobTargets {
    /// What is scraped.
    pub active: Vec<ScrapeTarget>,
    /// What was known of those that relabelling dropped, of the first of them.
    pub dropped: Vec<Labels>,
    /// How many that are.
    pub dropped_count: usize,
    /// Why others are no targets.
    pub refused: Vec<String>,
}

impl ScrapeJob {
    /// The targets of these groups under this job, relabelled. `http` is its [`http`](Self::http) with everything read
    /// that that names. Labels that begin with `__` are not stored; `__address__`, `__scheme__`, `__metrics_path__`,
    /// `__param_…`, `__scrape_interval__` and `__scrape_timeout__` are followed.
    #[must_use]
    pub fn targets<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a TargetGroup>,
        http: &Arc<HttpSettings>,
    ) -> JobTargets {
        let mut targets = JobTargets::default();
        for group in groups {
            for address in &group.targets {
                let discovered = self.discovered(group.labels.clone().with(ADDRESS, address));
                match self.target(&discovered, http) {
                    Ok(Some(target)) => targets.active.push(ScrapeTarget { discovered, ..target }),
                    Ok(None) => {
                        targets.dropped_count += 1;
                        let kept = self.keep_dropped_targets.unwrap_or(DROPPED_MAX).min(DROPPED_MAX);
                        if targets.dropped.len() < kept {
                            targets.dropped.push(discovered);
                        }
                    }
                    Err(reason) => targets.refused.push(format!("{address:?}: {reason}")),
                }
            }
        }
        if let Some(limit) = self.target_limit.filter(|limit| targets.active.len() > *limit) {
            for target in &mut targets.active {
                target.target_limit_exceeded = Some(limit);
            }
        }
        targets
    }

    /// What is known of a target before relabelling: what was found of it, and what the job says where that says nothing.
    fn discovered(&self, mut labels: Labels) -> Labels {
        let interval_text = duration_text(self.interval);
        let timeout_text = duration_text(self.timeout);
        for (name, value) in [
            ("job", self.name.as_str()),
            (SCRAPE_INTERVAL, &interval_text),
            (SCRAPE_TIMEOUT, &timeout_text),
            (METRICS_PATH, &self.metrics_path),
            (SCHEME, &self.scheme),
        ] {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        for (name, values) in &self.params {
            if let Some(first) = values.first() {
                labels.set(format!("{PARAM_PREFIX}{name}"), first);
            }
        }
        labels
    }

    fn target(&self, discovered: &Labels, http: &Arc<HttpSettings>) -> Result<Option<ScrapeTarget>, String> {
        let Some(labels) = relabel(discovered.clone(), &self.relabel) else {
            return Ok(None);
        };
        let value = |name| labels.get(name).unwrap_or_default();
        let address = value(ADDRESS);
        if address.is_empty() {
            return Err("it has no address".to_owned());
        }
        let above_zero = |name| {
            let text = value(name);
            duration(text)
                .filter(|duration| !duration.is_zero())
                .ok_or_else(|| format!("{name} is {text:?}, which is no duration above zero"))
        };
        let (interval, timeout) = (above_zero(SCRAPE_INTERVAL)?, above_zero(SCRAPE_TIMEOUT)?);
        if timeout > interval {
            return Err(format!("{SCRAPE_TIMEOUT} is above {SCRAPE_INTERVAL}"));
        }
        let url = self.url(&labels)?;
        let instance = Some(value("instance")).filter(|instance| !instance.is_empty());
        Ok(Some(ScrapeTarget {
            job: value("job").to_owned(),
            instance: instance.unwrap_or(address).to_owned(),
            url,
            labels: labels.filtered(|name| !name.starts_with("__") && name != "job" && name != "instance"),
            interval,
            timeout,
            honor_labels: self.honor_labels,
            honor_timestamps: self.honor_timestamps,
            track_timestamps_staleness: self.track_timestamps_staleness,
            compression: self.enable_compression,
            extra_metrics: self.extra_metrics,
            limits: self.limits,
            target_limit_exceeded: None,
            formats: self.formats.clone(),
            metric_relabel: Arc::clone(&self.metric_relabel),
            discovered: Labels::new(),
            pool: self.name.clone(),
            http: Arc::clone(http),
        }))
    }

    fn url(&self, labels: &Labels) -> Result<String, String> {
        let value = |name| labels.get(name).unwrap_or_default();
        let (scheme, address) = (value(SCHEME), value(ADDRESS));
        if address.contains(['/', '?', '#', '@', ' ']) {
            return Err("an address is host:port, or a host".to_owned());
        }
        if !matches!(scheme, "http" | "https") {
            return Err(format!("the scheme {scheme:?} is neither http nor https"));
        }
        let mut url = reqwest::Url::parse(&format!("{scheme}://{address}"))
            .map_err(|error| format!("an address is host:port, or a host: {error}"))?;
        url.set_path(value(METRICS_PATH));
        let mut params = self.params.clone();
        for (name, value) in labels.iter() {
            if let Some(name) = name.strip_prefix(PARAM_PREFIX) {
                let values = params.entry(name.to_owned()).or_default();
                match values.first_mut() {
                    Some(first) => value.clone_into(first),
                    None => values.push(value.to_owned()),
                }
            }
        }
        if params.values().any(|values| !values.is_empty()) {
            let mut query = url.query_pairs_mut();
            for (name, values) in &params {
                for value in values {
                    query.append_pair(name, value);
                }
            }
        }
        Ok(url.into())
    }
}
