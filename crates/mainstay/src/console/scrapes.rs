//! How the scrapes of every target went: noted on the way to the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use mainstay_ingest::{ScrapeBatch, ScrapeTarget, Sink};
use mainstay_plane::Telemetry;
use mainstay_web::view::{DroppedTargets, LastScrape, ScrapedTarget, Targets};

/// What a scrape says about its own duration.
const DURATION: &str = "scrape_duration_seconds";

/// The targets and their last scrapes. It holds as many as there are targets.
pub(crate) struct Scrapes {
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    targets: Vec<ScrapeTarget>,
    dropped: BTreeMap<String, DroppedTargets>,
    last: BTreeMap<(String, String), LastScrape>,
}

impl Scrapes {
    pub(crate) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the targets; what was noted of those that are gone is forgotten.
    pub(crate) fn set_targets(&self, targets: Vec<ScrapeTarget>, dropped: BTreeMap<String, DroppedTargets>) {
        let mut state = self.state();
        let mut last = std::mem::take(&mut state.last);
        state.last = targets
            .iter()
            .filter_map(|target| last.remove_entry(&key(&target.job, &target.instance)))
            .collect();
        state.targets = targets;
        state.dropped = dropped;
    }

    /// The targets, in order of job and address, and what is none.
    pub(super) fn targets(&self) -> Targets {
        let state = self.state();
        let shown = |target: &ScrapeTarget| ScrapedTarget {
            discovered: target.discovered.clone(),
            labels: target.target_labels(),
            job: target.job.clone(),
            pool: target.pool.clone(),
            url: target.url.clone(),
            interval_ms: i64::try_from(target.interval.as_millis()).unwrap_or(i64::MAX),
            timeout_ms: i64::try_from(target.timeout.as_millis()).unwrap_or(i64::MAX),
            last: state.last.get(&key(&target.job, &target.instance)).cloned(),
        };
        let mut targets: Vec<ScrapedTarget> = state.targets.iter().map(shown).collect();
        targets.sort_by(|a, b| (&a.job, &a.url).cmp(&(&b.job, &b.url)));
        Targets {
            active: targets,
            dropped: state.dropped.clone(),
        }
    }
}

impl Sink for Scrapes {
    fn accept(&self, scrape: ScrapeBatch) {
        // A batch without a report of its own says only that a target is gone.
        let reports = scrape.samples.iter().rev();
        let mut took = reports.filter(|sample| sample.labels.metric_name() == DURATION);
        if let Some(took) = took.next()
            && let Ok(at) = Timestamp::from_millisecond(scrape.scrape_time_ms)
            && let Some(took_s) = took
                .value
                .float()
                .filter(|took_s| !mainstay_promql::is_stale(*took_s))
        {
            let last = LastScrape {
                at,
                took_s,
                error: scrape.error.as_ref().map(ToString::to_string),
            };
            self.state().last.insert(key(&scrape.job, &scrape.instance), last);
        }
        self.telemetry.accept(scrape);
    }
}

fn key(job: &str, instance: &str) -> (String, String) {
    (job.to_owned(), instance.to_owned())
}
