//! Which targets are scraped: those of a Prometheus configuration file with its service discovery, and lists by
//! Prometheus' HTTP service discovery that are named on the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_ingest::config::http::HttpSettings;
use mainstay_ingest::config::{RemoteWrite, ScrapeConfig, ScrapeJob, TargetGroup, target_groups};
use mainstay_ingest::discovery::{DiscoveryError, Resolver};
use mainstay_ingest::{ScrapeTarget, Scraper};
use mainstay_kernel::Labels;
use mainstay_web::view::DroppedTargets;
use tokio::task::JoinSet;

use super::{ServeError, target_files};
use crate::console::Scrapes;

/// How often lists and files are looked at again.
const REFRESH: Duration = Duration::from_secs(1);
/// After how long a Kubernetes API server that could not be asked is asked again.
const RETRY: Duration = Duration::from_secs(5);
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
    /// Where the configuration file sends samples to.
    pub(super) remote_write: Vec<RemoteWrite>,
    /// `external_labels`
    pub(super) external_labels: Labels,
    /// What the paths of files that it names count from.
    pub(super) base: PathBuf,
}

impl Sources {
    /// Reads the configuration, if there is one. `interval` is how often listed targets are scraped.
    pub(super) fn read(
        urls: Vec<String>,
        interval: Duration,
        config: Option<&Path>,
    ) -> Result<Self, ServeError> {
        let listed = ScrapeJob {
            interval,
            timeout: interval.min(TIMEOUT_MAX),
            ..ScrapeJob::new("unknown")
        };
        let mut sources = Self {
            urls,
            listed,
            jobs: Vec::new(),
            remote_write: Vec::new(),
            external_labels: Labels::new(),
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
            sources.remote_write = read.remote_write;
            sources.external_labels = read.external_labels;
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
        let mut https: BTreeMap<String, Arc<HttpSettings>> = BTreeMap::new();
        let plain = Arc::new(HttpSettings::default());
        let mut last: (Vec<ScrapeTarget>, BTreeMap<String, DroppedTargets>) = Default::default();
        let mut tasks = JoinSet::new();
        let discovered: Vec<Vec<Found>> = self
            .jobs
            .iter()
            .map(|job| discover(job, &self.base, &mut tasks))
            .collect();
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
            let mut targets: Vec<ScrapeTarget> = Vec::new();
            let mut dropped: BTreeMap<String, DroppedTargets> = BTreeMap::new();
            for (job, discovered) in self.jobs.iter().zip(&discovered) {
                let named = target_files::files(&job.target_files, &self.base);
                for path in &named {
                    let groups = target_files::read(path);
                    if let Some(groups) = good(&mut troubles, &path.display().to_string(), groups) {
                        files.insert(path.clone(), groups);
                    }
                }
                let settings = job
                    .http
                    .resolve(&|path| target_files::text(&self.base.join(path)));
                if let Some(settings) = good(&mut troubles, &format!("job {}", job.name), settings) {
                    https.insert(job.name.clone(), Arc::new(settings));
                }
                let Some(http) = https.get(&job.name) else {
                    continue;
                };
                let found = named.iter().filter_map(|path| files.get(path)).flatten();
                let elsewhere: Vec<TargetGroup> = discovered.iter().flat_map(Found::groups).collect();
                let of_job = job.targets(job.static_groups.iter().chain(found).chain(&elsewhere), http);
                let refused = if of_job.refused.is_empty() {
                    Ok(())
                } else {
                    Err(of_job.refused.join("; "))
                };
                good(&mut troubles, &format!("targets of job {}", job.name), refused);
                targets.extend(of_job.active);
                let not_scraped = DroppedTargets {
                    count: of_job.dropped_count,
                    discovered: of_job.dropped,
                };
                dropped.insert(job.name.clone(), not_scraped);
            }
            let listed = self.listed.targets(lists.values().flatten(), &plain);
            if !self.urls.is_empty() {
                dropped.entry(self.listed.name.clone()).or_default();
            }
            targets.extend(listed.active);
            if (&targets, &dropped) != (&last.0, &last.1) {
                tracing::info!(targets = targets.len(), "the targets changed");
                scrapes.set_targets(targets.clone(), dropped.clone());
                scraper.set_targets(targets.clone());
                last = (targets, dropped);
            }
        }
    }
}

/// What one element of a job's service discovery found last; nothing before the first time.
#[derive(Clone, Default)]
struct Found(Arc<Mutex<Vec<TargetGroup>>>);

impl Found {
    fn groups(&self) -> Vec<TargetGroup> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what was found; if nothing could be, what was found before stays.
    fn take(
        &self,
        troubles: &mut BTreeMap<String, String>,
        from: &str,
        found: Result<Vec<TargetGroup>, String>,
    ) {
        if let Some(groups) = good(troubles, from, found) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = groups;
        }
    }
}

/// Begins the service discovery of a job. It ends with `tasks`.
fn discover(job: &ScrapeJob, base: &Path, tasks: &mut JoinSet<()>) -> Vec<Found> {
    let mut all = Vec::new();
    let failed = |error: DiscoveryError| error.to_string();
    for discovery in job.http_discovery.iter().cloned() {
        let (found, base) = (Found::default(), base.to_owned());
        all.push(found.clone());
        tasks.spawn(async move {
            let mut troubles = BTreeMap::new();
            let mut tick = tokio::time::interval(discovery.refresh);
            loop {
                tick.tick().await;
                let settings = discovery
                    .http
                    .resolve(&|path| target_files::text(&base.join(path)));
                let groups = match settings {
                    Ok(settings) => discovery.groups(&settings).await.map_err(failed),
                    Err(reason) => Err(reason),
                };
                found.take(&mut troubles, &discovery.url, groups);
            }
        });
    }
    for discovery in job.kubernetes_discovery.iter().cloned() {
        let (found, base) = (Found::default(), base.to_owned());
        all.push(found.clone());
        tasks.spawn(async move {
            let variable = |name| std::env::var(name).unwrap_or_default();
            let (host, port) = (
                variable("KUBERNETES_SERVICE_HOST"),
                variable("KUBERNETES_SERVICE_PORT"),
            );
            let discovery = if host.is_empty() {
                discovery
            } else {
                discovery.in_cluster(&host, &port)
            };
            let from = format!(
                "kubernetes at {}",
                discovery.api_server.as_deref().unwrap_or("no api_server")
            );
            // What it cannot do is told once; what it found tells that it can again.
            let troubles = Mutex::new(BTreeMap::new());
            let take = |groups| {
                let mut troubles = troubles.lock().unwrap_or_else(PoisonError::into_inner);
                found.take(&mut troubles, &from, groups);
            };
            loop {
                let settings = discovery
                    .http
                    .resolve(&|path| target_files::text(&base.join(path)));
                let reason = match settings {
                    Ok(settings) => failed(discovery.follow(&settings, |groups| take(Ok(groups))).await),
                    Err(reason) => reason,
                };
                take(Err(reason));
                tokio::time::sleep(RETRY).await;
            }
        });
    }
    for discovery in job.dns_discovery.iter().cloned() {
        let found = Found::default();
        all.push(found.clone());
        tasks.spawn(async move {
            let mut troubles = BTreeMap::new();
            let mut tick = tokio::time::interval(discovery.refresh);
            loop {
                tick.tick().await;
                // Without the file the name server is on this machine, as resolv.conf(5) has it.
                let resolver = target_files::text(Path::new("/etc/resolv.conf")).unwrap_or_default();
                let groups = discovery
                    .groups(&Resolver::parse(&resolver))
                    .await
                    .map_err(failed);
                found.take(&mut troubles, &discovery.names.join(", "), groups);
            }
        });
    }
    all
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
