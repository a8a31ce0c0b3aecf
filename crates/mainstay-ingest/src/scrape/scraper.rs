//! When to scrape whom.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_kernel::{Clock, Digest, Labels};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::client::ScrapeClient;
use super::{ScrapeBatch, ScrapeLoop, ScrapeTarget};
use crate::config::http::HttpSettings;

/// Where scrapes go.
pub trait Sink: Send + Sync + 'static {
    /// Takes one scrape. It may block (it is called on a thread for that); the target's next scrape waits for it, so
    /// that batches of one target arrive in order.
    fn accept(&self, scrape: ScrapeBatch);
}

/// Figures since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScraperStats {
    /// Scrapes done, failed ones included.
    pub scrapes: u64,
    /// Scrapes that failed.
    pub failed: u64,
    /// Scrapes that did not take place because the one before ran, or was stored, beyond their time.
    pub skipped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    scrapes: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
}

/// Scrapes a changing set of targets, each at its own fixed offset within its interval, so that load is even and the
/// times are the same after a restart.
pub struct Scraper {
    targets: watch::Sender<Vec<ScrapeTarget>>,
    counters: Arc<Counters>,
    worker: Worker,
}

/// What every target's task needs.
#[derive(Clone)]
struct Worker {
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
    counters: Arc<Counters>,
}

impl Scraper {
    /// A scraper of no targets yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, sink: Arc<dyn Sink>) -> Self {
        let counters = Arc::new(Counters::default());
        Self {
            targets: watch::Sender::new(Vec::new()),
            counters: Arc::clone(&counters),
            worker: Worker {
                clock,
                sink,
                counters,
            },
        }
    }

    /// Replaces the targets. Those that stay the same go on undisturbed; those that are gone, or have changed, get
    /// their series marked stale.
    pub fn set_targets(&self, targets: Vec<ScrapeTarget>) {
        self.targets.send_replace(targets);
    }

    /// Figures since the start.
    #[must_use]
    pub fn stats(&self) -> ScraperStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScraperStats {
            scrapes: read(&self.counters.scrapes),
            failed: read(&self.counters.failed),
            skipped: read(&self.counters.skipped),
        }
    }

    /// Scrapes until `shutdown` completes; a scrape that is being stored is finished. Nothing is marked stale then: a
    /// restart is no end of a series.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut targets = self.targets.subscribe();
        targets.mark_changed();
        let mut tasks = JoinSet::new();
        let mut running: BTreeMap<(Labels, String), Running> = BTreeMap::new();
        let mut clients: Vec<(Arc<HttpSettings>, ScrapeClient)> = Vec::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                changed = targets.changed() => if changed.is_err() { break },
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            }
            let wanted: BTreeMap<(Labels, String), ScrapeTarget> = targets
                .borrow_and_update()
                .iter()
                .map(|target| ((target.target_labels(), target.url.clone()), target.clone()))
                .collect();
            // Targets that are spoken to alike share connections.
            clients.retain(|(settings, _)| wanted.values().any(|target| target.http == *settings));
            for target in wanted.values() {
                if !clients.iter().any(|(settings, _)| *settings == target.http) {
                    clients.push((Arc::clone(&target.http), ScrapeClient::new(&target.http)));
                }
            }
            running.retain(|key, held| {
                let stays = wanted
                    .get(key)
                    .is_some_and(|target| target.is_scraped_like(&held.target));
                if !stays && let Some(stop) = held.stop.take() {
                    // A task that is no longer there needs no word.
                    let _ = stop.send(Stop::Removed);
                }
                stays
            });
            for (key, target) in wanted {
                let Some((_, client)) = clients.iter().find(|(settings, _)| *settings == target.http) else {
                    continue;
                };
                match running.get_mut(&key) {
                    // New credentials are no new target.
                    Some(held) if held.target.http != target.http => {
                        held.client.send_replace(client.clone());
                        held.target = target;
                    }
                    Some(_) => {}
                    None => {
                        let (stop, stopped) = oneshot::channel();
                        let (sender, receiver) = watch::channel(client.clone());
                        tasks.spawn(self.worker.clone().scrape(target.clone(), receiver, stopped));
                        let held = Running {
                            target,
                            client: sender,
                            stop: Some(stop),
                        };
                        running.insert(key, held);
                    }
                }
            }
        }
        for stop in running.into_values().filter_map(|held| held.stop) {
            let _ = stop.send(Stop::Shutdown);
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// A target that is scraped.
struct Running {
    target: ScrapeTarget,
    /// How it is spoken to, from the next scrape on.
    client: watch::Sender<ScrapeClient>,
    stop: Option<oneshot::Sender<Stop>>,
}

/// Why a target is no longer scraped.
enum Stop {
    Removed,
    Shutdown,
}

impl Worker {
    async fn scrape(
        self,
        target: ScrapeTarget,
        client: watch::Receiver<ScrapeClient>,
        mut stopped: oneshot::Receiver<Stop>,
    ) {
        let target = Arc::new(target);
        let mut core = ScrapeLoop::new(Arc::clone(&target));
        let interval_ms = i64::try_from(target.interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        let offset_ms = offset_ms(&target, interval_ms);
        let mut slot_ms = next_slot(self.now_ms(), interval_ms, offset_ms);
        // Why the last scrape failed: told once, not with every scrape.
        let mut failing: Option<String> = None;
        let stop = loop {
            let wait_ms = slot_ms - self.now_ms();
            if wait_ms > interval_ms {
                // The clock was set back: do not wait for a time that it has left.
                slot_ms = next_slot(self.now_ms(), interval_ms, offset_ms);
                continue;
            }
            tokio::select! {
                stop = &mut stopped => break stop,
                () = sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))) => {}
            }
            let client = client.borrow().clone();
            let start_ms = snap(self.now_ms(), slot_ms);
            let start = Instant::now();
            let result = tokio::select! {
                stop = &mut stopped => break stop,
                result = client.fetch(&target) => result,
            };
            let batch = core.on_result(start_ms, start.elapsed(), result);
            self.counters.scrapes.fetch_add(1, Ordering::Relaxed);
            if let Some(error) = &batch.error {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                let reason = error.to_string();
                if failing.as_ref() != Some(&reason) {
                    tracing::warn!(
                        job = target.job,
                        instance = target.instance,
                        reason,
                        "scrapes fail"
                    );
                }
                failing = Some(reason);
            } else if failing.take().is_some() {
                tracing::warn!(
                    job = target.job,
                    instance = target.instance,
                    "scrapes succeed again"
                );
            }
            self.store(batch).await;
            let next_ms =
                next_slot(self.now_ms(), interval_ms, offset_ms).max(slot_ms.saturating_add(interval_ms));
            let skipped = u64::try_from((next_ms - slot_ms) / interval_ms - 1).unwrap_or(0);
            self.counters.skipped.fetch_add(skipped, Ordering::Relaxed);
            slot_ms = next_ms;
        };
        if let Ok(Stop::Removed) = stop {
            let batch = core.on_removed(self.now_ms());
            self.store(batch).await;
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    async fn store(&self, batch: ScrapeBatch) {
        if batch.samples.is_empty() {
            return;
        }
        let sink = Arc::clone(&self.sink);
        if let Err(error) = tokio::task::spawn_blocking(move || sink.accept(batch)).await {
            tracing::error!(%error, "a scrape could not be handed over");
        }
    }
}

/// Where in its interval a target is scraped: from what names it, so that it is the same everywhere and always.
fn offset_ms(target: &ScrapeTarget, interval_ms: i64) -> i64 {
    let digest = Digest::of_parts(&[
        target.job.as_bytes(),
        target.instance.as_bytes(),
        target.url.as_bytes(),
    ]);
    let hash = digest
        .0
        .iter()
        .take(8)
        .fold(0u64, |hash, byte| (hash << 8) | u64::from(*byte));
    i64::try_from(hash % interval_ms.unsigned_abs()).unwrap_or(0)
}

/// The first instant at or after `now_ms` that lies at `offset_ms` in its interval.
fn next_slot(now_ms: i64, interval_ms: i64, offset_ms: i64) -> i64 {
    now_ms.saturating_add((offset_ms - now_ms).rem_euclid(interval_ms))
}

/// The time of a scrape is when it begins. Within the tolerance that Prometheus has it is the slot itself: regular
/// times take almost no room in the store.
fn snap(start_ms: i64, slot_ms: i64) -> i64 {
    const TOLERANCE_MS: u64 = 2;
    if start_ms.abs_diff(slot_ms) <= TOLERANCE_MS {
        slot_ms
    } else {
        start_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_fixed_and_targets_are_spread() {
        assert_eq!(next_slot(1000, 100, 30), 1030);
        assert_eq!(next_slot(1030, 100, 30), 1030);
        assert_eq!(next_slot(1031, 100, 30), 1130);
        assert_eq!(next_slot(-5, 100, 30), 30);
        assert_eq!(
            [snap(1032, 1030), snap(1028, 1030), snap(1033, 1030)],
            [1030, 1030, 1033]
        );
        let offset = |instance| offset_ms(&ScrapeTarget::new("job", instance, "http://x/metrics"), 10_000);
        let offsets: Vec<i64> = ["a", "b", "c", "d"].map(offset).into();
        assert!(offsets.iter().all(|offset| (0..10_000).contains(offset)));
        assert!(
            offsets.windows(2).any(|pair| pair[0].abs_diff(pair[1]) > 100),
            "{offsets:?}"
        );
        assert_eq!(offset("a"), offset("a"));
    }
}
