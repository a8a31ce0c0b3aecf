//! Which targets are scraped: those of a Prometheus configuration file, its target files, and lists by Prometheus' HTTP
//! service discovery.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::config::{ScrapeConfig, ScrapeJob, TargetGroup, target_groups};
use mainstay_ingest::{ScrapeLimits, ScrapeTarget, Scraper};

use super::{ServeError, target_files};
use crate::console::Scrapes;

/// How often lists and files are looked at again.
const REFRESH: Duration = Duration::from_secs(1);
/// The largest list, in bytes.
const LIST_MAX_BYTES: usize = 8 << 20;
/// How long a scrape of a listed target may take at most.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Where targets come from.
pub(super) struct Sources {
    /// Lists by HTTP.
    urls: Vec<String>,
    /// The job of listed targets whose group names none.
    listed: ScrapeJob,
    /// The jobs of the configuration file.
    jobs: Vec<ScrapeJob>,
    /// What the paths of target files count from.
    base: PathBuf,
}

impl Sources {
    /// Reads the configuration, if there is one. `interval` is how often listed targets are scraped.
    pub(super) fn read(
        urls: Vec<String>,
        interval: Duration,
        config: Option<&Path>,
    ) -> Result<Self, ServeError> {
        let listed = ScrapeJob {
            name: "unknown".to_owned(),
            interval,
            timeout: interval.min(TIMEOUT_MAX),
            metrics_path: "/metrics".to_owned(),
            honor_labels: false,
            limits: ScrapeLimits::default(),
            static_groups: Vec::new(),
            target_files: Vec::new(),
        };
        let mut sources = Self {
            urls,
            listed,
            jobs: Vec::new(),
            base: PathBuf::new(),
        };
        if let Some(path) = config {
            let file = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| ServeError::ScrapeConfig(format!("{file}: cannot be read: {error}")))?;
            let read = ScrapeConfig::parse(&file, &text)
                .map_err(|error| ServeError::ScrapeConfig(error.to_string()))?;
            for warning in read.warnings {
                tracing::warn!("{warning}");
            }
            sources.jobs = read.jobs;
            sources.base = path.parent().map(Path::to_path_buf).unwrap_or_default();
        }
        Ok(sources)
    }

    /// The longest interval between two scrapes of a target: silence beyond a few of them is blindness.
    pub(super) fn slowest(&self) -> Duration {
        let jobs = self.jobs.iter().map(|job| job.interval);
        jobs.chain([self.listed.interval]).max().unwrap_or_default()
    }

    /// Keeps the scraper's targets as the sources say. What cannot be had leaves its targets as they were.
    pub(super) async fn follow(
        self,
        client: reqwest::Client,
        scraper: Arc<Scraper>,
        scrapes: Arc<Scrapes>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let mut lists: BTreeMap<&str, Vec<TargetGroup>> = BTreeMap::new();
        let mut files: BTreeMap<PathBuf, Vec<TargetGroup>> = BTreeMap::new();
        let mut troubles: BTreeMap<String, String> = BTreeMap::new();
        let mut last: Vec<ScrapeTarget> = Vec::new();
        let mut tick = tokio::time::interval(REFRESH);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                _ = tick.tick() => {}
            }
            for url in &self.urls {
                let list = fetch(&client, url).await;
                if let Some(list) = good(&mut troubles, url, list) {
                    lists.insert(url, list);
                }
            }
            let mut of_jobs: Vec<ScrapeTarget> = Vec::new();
            for job in &self.jobs {
                let named = target_files::files(&job.target_files, &self.base);
                for path in &named {
                    let groups = target_files::read(path);
                    if let Some(groups) = good(&mut troubles, &path.display().to_string(), groups) {
                        files.insert(path.clone(), groups);
                    }
                }
                let found = named.iter().filter_map(|path| files.get(path)).flatten();
                of_jobs.extend(job.targets(job.static_groups.iter().chain(found)));
            }
            let targets: Vec<ScrapeTarget> = of_jobs
                .into_iter()
                .chain(self.listed.targets(lists.values().flatten()))
                .collect();
            if targets != last {
                tracing::info!(targets = targets.len(), "the targets changed");
                scrapes.set_targets(targets.clone());
                scraper.set_targets(targets.clone());
                last = targets;
            }
        }
    }
}

/// What was had, if it was; why not is logged once, and not every second.
fn good<T>(troubles: &mut BTreeMap<String, String>, from: &str, had: Result<T, String>) -> Option<T> {
    match had {
        Ok(had) => {
            if troubles.remove(from).is_some() {
                tracing::warn!(from, "targets can be had again");
            }
            Some(had)
        }
        Err(reason) => {
            if troubles.get(from) != Some(&reason) {
                tracing::warn!(
                    from,
                    reason,
                    "targets could not be had; those known from there stay"
                );
                troubles.insert(from.to_owned(), reason);
            }
            None
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<TargetGroup>, String> {
    let answer = client
        .get(url)
        .timeout(Duration::from_secs(5))
        .send()
        .await
        .map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status()));
    }
    let body = answer.bytes().await.map_err(|error| error.to_string())?;
    if body.len() > LIST_MAX_BYTES {
        return Err(format!(
            "the list has {} bytes, at most {LIST_MAX_BYTES} are read",
            body.len()
        ));
    }
    let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
    target_groups(url, text).map_err(|error| error.to_string())
}
