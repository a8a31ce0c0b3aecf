//! Targets by Prometheus' HTTP service discovery.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_ingest::{ScrapeTarget, Scraper};
use mainstay_kernel::Labels;
use serde::Deserialize;

use super::ServeError;

/// How often lists are asked for again.
const REFRESH: Duration = Duration::from_secs(1);
/// The largest list, in bytes.
const LIST_MAX_BYTES: usize = 8 << 20;
/// How long a scrape may take at most.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// One group of targets with labels of their own.
#[derive(Debug, Deserialize)]
struct TargetGroup {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Keeps the scraper's targets as the lists say. A list that cannot be had leaves its targets as they were.
pub(super) async fn follow(
    urls: Vec<String>,
    interval: Duration,
    client: reqwest::Client,
    scraper: Arc<Scraper>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut lists: BTreeMap<&str, Vec<TargetGroup>> = BTreeMap::new();
    let mut last: Vec<ScrapeTarget> = Vec::new();
    let mut tick = tokio::time::interval(REFRESH);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {}
        }
        for url in &urls {
            match fetch(&client, url).await {
                Ok(list) => {
                    lists.insert(url, list);
                }
                Err(reason) => tracing::warn!(url, reason, "the list of targets could not be had"),
            }
        }
        let targets: Vec<ScrapeTarget> = lists
            .values()
            .flatten()
            .flat_map(|group| of_group(group, interval))
            .collect();
        if targets != last {
            tracing::info!(targets = targets.len(), "the targets changed");
            scraper.set_targets(targets.clone());
            last = targets;
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
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

fn of_group(group: &TargetGroup, interval: Duration) -> impl Iterator<Item = ScrapeTarget> {
    let job = group
        .labels
        .get("job")
        .cloned()
        .unwrap_or_else(|| "unknown".to_owned());
    let path = group
        .labels
        .get("__metrics_path__")
        .map_or("/metrics", String::as_str);
    let labels: Labels = group
        .labels
        .iter()
        .filter(|(name, _)| name.as_str() != "job" && !name.starts_with("__"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    group.targets.iter().map(move |address| ScrapeTarget {
        labels: labels.clone(),
        interval,
        timeout: interval.min(TIMEOUT_MAX),
        ..ScrapeTarget::new(job.clone(), address.clone(), format!("http://{address}{path}"))
    })
}
