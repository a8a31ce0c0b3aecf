//! From samples to observations: scrapes go into the store and are counted; rules and objectives are judged on a clock;
//! what fires goes to the alerts.
//!
//! Counts are not events. They are kept in a file beside the samples together with the position of the log up to which
//! samples are in them: after a crash the log is read on from there, and no sample is lost or counted twice.

mod adjusting;
pub mod completions;
mod course;
mod delete;
mod exemplars;
mod gate;
mod heartbeats;
mod intake;
mod judge;
mod judged;
mod metadata;
mod otlp;
mod past;
mod receive;
pub mod remote;
mod rule_state;
mod rules;
mod state_file;
mod store;
mod tenants;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::Observation;
use mainstay_ingest::{ScrapeBatch, Sink};
use mainstay_kernel::Clock;
use mainstay_kernel::fact::{AlertFact, BudgetStateChanged};
use mainstay_rules::Group;
use mainstay_segment::SegmentError;
use mainstay_series::{Maintained, Options, Recovery, Row, SeriesError, Store};
use mainstay_slo::{AlertTransition, Settings, SloEngine, SloError};

use adjusting::Adjusting;
pub use adjusting::Contracts;
pub(crate) use judge::RESOLUTION;
pub use judged::Judged;
pub use rules::{GroupEvaluation, RuleEvaluation};
use store::KeptWindows;
pub use store::StoreSamples;

use completions::CompletionLog;
use course::Course;
pub use course::{Repeated, repeat_run};
use exemplars::{Exemplars, examples};
pub use exemplars::{SeriesExemplars, StoredExemplar};
pub use heartbeats::{HeartbeatState, HeartbeatStatus, Heartbeats};
use intake::{Watched, write_counts};
use metadata::MetadataTable;
pub use otlp::IntakeError;
pub use past::StoreSource;
use receive::Inbox;
use remote::RemoteEngine;
use rules::RuleBook;
pub use tenants::{
    LimitInfo, LimitsSpec, NO_LIMIT, Overrun, QueryRefusal, QueryTurn, Reason, TenantLimits, TenantReport,
};
use tenants::{Limits, SharedTenants};

/// The consumer name under which the log is held for the counts.
const COUNTS: &str = "slo";
const COUNTS_FILE: &str = "counts.slo";
const ALERTS_FILE: &str = "alerts.state";
/// After a checkpoint so many times as long as it took pass before the next: it takes at most a fiftieth of one core.
const CHECKPOINT_REST: i32 = 50;
/// The longest that alerts wait for the first scrapes after evaluations were missed.
const SETTLE_MAX_MS: i64 = 10 * 60_000;

/// What can go wrong with telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The store of samples.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// The course of judging, or the log of completions.
    #[error(transparent)]
    Log(#[from] SegmentError),
    /// The counts.
    #[error("{file}: {source}")]
    Counts {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: SloError,
    },
    /// A file that cannot be read or written.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What one evaluation found.
#[derive(Debug, Default)]
pub struct Found {
    /// Alerts that began or ended.
    pub observations: Vec<Observation>,
    /// Budgets whose state is another.
    pub budgets: Vec<BudgetStateChanged>,
    /// Rules that could not be evaluated, in words.
    pub failures: Vec<String>,
}

/// How the opening went.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// How long it took, the log and the counts included.
    pub took: SignedDuration,
    /// Samples read back from the log.
    pub replayed_samples: u64,
    /// Records of the log that were lost.
    pub orphan_records: u64,
    /// Block files that are damaged.
    pub corrupt_blocks: u64,
}

/// Samples, counts and rules.
pub struct Telemetry {
    pub(crate) store: Arc<Store>,
    pub(crate) slos: Mutex<SloEngine>,
    adjusting: Mutex<Adjusting>,
    rules: Mutex<RuleBook>,
    /// Held while samples are stored and counted, so that counts follow the order of the log.
    intake: Mutex<Watched>,
    completions: CompletionLog,
    heartbeats: Arc<Heartbeats>,
    /// What was done to the counts between samples.
    course: Course,
    inbox: Inbox,
    tenants: SharedTenants,
    opened: Opened,
    metadata: Mutex<MetadataTable>,
    exemplars: Mutex<Exemplars>,
    /// What rules look through, kept between evaluations.
    windows: Arc<Mutex<KeptWindows>>,
    /// Held while counts are written down: what a copy holds of the log must not fall behind its counts. When they are to
    /// be written again at the earliest.
    keeping: Mutex<Timestamp>,
    /// Which places the gate knows to be seen.
    sights: Mutex<gate::Sights>,
    counts_file: PathBuf,
    alerts_file: PathBuf,
    clock: Arc<dyn Clock>,
    /// Has the samples that rules are about, where that is not the store alone.
    engine: Option<RemoteEngine>,
}

impl Telemetry {
    /// Opens the store in `dir` and brings the counts up to its last sample. Alerts go on as they stood, pending ones since
    /// when they are.
    ///
    /// # Errors
    /// If the store or the counts cannot be read.
    pub fn open(
        dir: &Path,
        judged: Judged,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), TelemetryError> {
        Self::open_with(dir, judged, settings, Options::default(), clock)
    }

    /// [`Telemetry::open`], with limits of the store other than its own.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(
        dir: &Path,
        judged: Judged,
        settings: Settings,
        limits: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), TelemetryError> {
        let now = clock.now();
        let (store, recovery) = Store::open(dir, limits)?;
        let counts_file = dir.join(COUNTS_FILE);
        let kept = match std::fs::read(&counts_file) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(TelemetryError::File {
                    file: counts_file,
                    reason: error.to_string(),
                });
            }
        };
        let kept = match kept {
            Some(bytes) => Some(past::readable(
                bytes,
                &counts_file,
                &store,
                &judged.slos,
                settings,
                now,
            )?),
            None => None,
        };
        let completions = CompletionLog::open(dir)?;
        let (slos, course) = course::resume(
            dir,
            &store,
            &completions,
            kept.as_deref(),
            judged.slos,
            settings,
            now,
        )?;
        let mut rules = judged.rules;
        let alerts_file = dir.join(ALERTS_FILE);
        // Two scrapes of everything: then a rate is a rate again.
        let settle_ms = settings.scrape_interval_ms.saturating_mul(2).min(SETTLE_MAX_MS);
        let settled = now
            .saturating_add(SignedDuration::from_millis(settle_ms))
            .unwrap_or(now);
        // What fires and has no rule any more is ended when the journal is known.
        rules.resume(rule_state::read(&alerts_file)?, now, settled);
        let telemetry = Self {
            store: Arc::new(store),
            slos: Mutex::new(slos),
            adjusting: Mutex::new(Adjusting::of(judged.contracts)),
            rules: Mutex::new(rules),
            intake: Mutex::default(),
            completions,
            heartbeats: Arc::new(Heartbeats::open(dir)?),
            course,
            inbox: Inbox::default(),
            tenants: SharedTenants::default(),
            opened: Opened {
                took: clock.now().duration_since(now),
                replayed_samples: recovery.replayed_samples,
                orphan_records: recovery.orphan_records,
                corrupt_blocks: recovery.corrupt_blocks.len() as u64,
            },
            metadata: Mutex::default(),
            exemplars: Mutex::default(),
            windows: Arc::default(),
            keeping: Mutex::new(now),
            sights: Mutex::default(),
            counts_file,
            alerts_file,
            clock,
            engine: None,
        };
        telemetry.limit_tenants(&judged.limits);
        telemetry.checkpoint()?;
        Ok((telemetry, recovery))
    }

    /// Rules and queries are about the samples of another engine too, besides those stored here.
    #[must_use]
    pub fn with_engine(self, engine: RemoteEngine) -> Self {
        Self {
            engine: Some(engine),
            ..self
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The counts, looked at in one instant.
    pub fn slos(&self) -> MutexGuard<'_, SloEngine> {
        self.slos.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Telemetry::samples`], for what asks the same again and again.
    fn rule_samples(&self) -> StoreSamples {
        StoreSamples::keeping(Arc::clone(&self.store), Arc::clone(&self.windows)).and(self.engine.as_ref())
    }

    /// Something that PromQL can ask.
    #[must_use]
    pub fn samples(&self) -> StoreSamples {
        StoreSamples::new(Arc::clone(&self.store)).and(self.engine.as_ref())
    }

    /// Puts the limits of a catalog in force, on top of those that the store was opened with.
    fn limit_tenants(&self, spec: &LimitsSpec) {
        let base = TenantLimits {
            series: self.store.options().max_tenant_series as u64,
            ..TenantLimits::default()
        };
        self.tenants.limit(Limits::of(base, spec), &self.store);
    }

    /// How the opening went.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.opened
    }

    /// What every tenant took and was refused since the start, in order of name. O(tenants).
    #[must_use]
    pub fn tenant_reports(&self) -> Vec<TenantReport> {
        self.tenants.report(&self.store)
    }

    /// Judges by another catalog from `now` on. What it still has keeps its counts, states and alerts; gives observations
    /// that end the alerts of what it does not have any more.
    pub fn reconfigure(&self, judged: Judged, now: Timestamp) -> Vec<Observation> {
        let mut watched = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit_tenants(&judged.limits);
        let mut slos = self.slos();
        let gone = slos.reconfigure(judged.slos, now);
        if let Err(error) = self.course.reconfigured(&slos, now) {
            tracing::error!(%error, "the course of judging could not be written");
        }
        drop(slos);
        *self.adjusting() = Adjusting::of(judged.contracts);
        watched.forget();
        drop(watched);
        let mut rules = self.rules();
        let previous = std::mem::replace(&mut *rules, judged.rules);
        let mut ended: Vec<Observation> = gone.alerts.into_iter().map(observation).collect();
        ended.extend(rules.take_over(&previous, now));
        ended
    }

    /// Judges everything that is due at `now`. What fires is told every time, not only when it begins: a transition that
    /// a crash swallowed is told by the next evaluation, and what is known already is no news. What is to be told of alerts
    /// of rules is on the disk.
    pub fn evaluate(&self, now: Timestamp) -> Found {
        let mut found = Found::default();
        let evaluation = {
            let mut slos = self.slos();
            let evaluation = slos.evaluate(now);
            let noted = self.course.evaluated(&slos, now);
            let failure = |error| format!("the course of judging could not be written: {error}");
            found.failures.extend(noted.err().map(failure));
            evaluation
        };
        found
            .observations
            .extend(evaluation.alerts.into_iter().map(observation));
        found.budgets = evaluation.budgets;
        let mut rules = self.rules();
        rules.evaluate(self, now, &mut found);
        // A disk that is full must not keep a page back: the journal remembers what fires.
        found.failures.extend(rules.save_changes(&self.alerts_file));
        found
    }

    fn rules(&self) -> MutexGuard<'_, RuleBook> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every group of rules and its last evaluation, in order of file and name. Waits for an evaluation that is
    /// under way.
    pub fn rule_groups<T>(&self, look: impl FnMut(&Group, Option<&GroupEvaluation>) -> T) -> Vec<T> {
        self.rules().each(look)
    }

    /// Writes the counts and the state of the rules down, and lets the log go that the counts hold. Cost: their size;
    /// samples and questions wait only while a copy is made of what changed lately.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn checkpoint(&self) -> Result<(), TelemetryError> {
        let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let began = self.clock.now();
        let (bytes, position, completions) = self.counted()?;
        write_counts(&self.counts_file, &bytes)?;
        self.completions.let_go(completions)?;
        if let Some(left_out) = self.rules().save(&self.alerts_file)? {
            tracing::error!("{left_out}");
        }
        let now = self.clock.now();
        let rest = now.duration_since(began).saturating_mul(CHECKPOINT_REST);
        *keeping = now.saturating_add(rest).unwrap_or(now);
        Ok(self.store.hold(COUNTS, position)?)
    }

    /// Makes a copy in `to`, which must not hold one, while samples go on coming in: it can be opened as these are.
    ///
    /// # Errors
    /// If a file cannot be linked or written.
    pub fn backup(&self, to: &Path) -> Result<(), TelemetryError> {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        // The counts first: the copy of the log then reaches further than they do, and the rest is counted when it opens.
        let (bytes, ..) = self.counted()?;
        self.store.backup(to)?;
        self.completions.backup(to)?;
        self.course.backup(to)?;
        self.heartbeats.backup(to)?;
        rule_state::write(&to.join(ALERTS_FILE), self.rules().memories())?;
        write_counts(&to.join(COUNTS_FILE), &bytes)
    }

    /// Flushes, condenses and drops what is past its retention, and checkpoints unless the last checkpoint took so long
    /// that another one can wait: the log keeps what it lacks. Gives the files of which a part could
    /// not be read when it was to be condensed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn maintain(&self) -> Result<Maintained, TelemetryError> {
        let rests_until = *self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.now() >= rests_until {
            self.checkpoint()?;
        }
        Ok(self.store.maintain(self.clock.now().as_millisecond())?)
    }
}

impl Sink for Telemetry {
    fn accept(&self, mut scrape: ScrapeBatch) {
        if let Some(said) = scrape.metadata.take() {
            self.note_scraped(&scrape.job, &scrape.instance, said);
        }
        let whose = self
            .tenants
            .runs(scrape.samples.iter().map(|sample| &*sample.labels));
        let now_ms = self.clock.now().as_millisecond();
        let refused = self.tenants.charge(&tenants::totals([&whose]), now_ms);
        if let Some(overrun) = refused.values().next() {
            // Nobody waits for an answer: it is in the figures, and the next scrape brings the counters again.
            tracing::warn!(job = scrape.job, instance = scrape.instance, %overrun, "samples of a scrape are refused");
            whose.drop_of(&refused, &mut scrape.samples);
        }
        let rows: Vec<Row<'_>> = scrape
            .samples
            .iter()
            .filter_map(|sample| {
                Some(Row {
                    labels: &sample.labels,
                    created_ms: sample.created_ms,
                    t_ms: sample.t_ms,
                    value: sample.value.float()?,
                })
            })
            .collect();
        let histograms = scrape.samples.iter().filter_map(|sample| {
            let value = sample.value.histogram()?;
            Some((&*sample.labels, sample.created_ms, sample.t_ms, value))
        });
        let stored = self.append(&rows).and_then(|floats| {
            let histograms = self.append_histograms(histograms)?;
            let reason = floats.series_limit.or(histograms.series_limit);
            Ok((floats.limit + histograms.limit, reason.unwrap_or_default()))
        });
        self.note_exemplars(examples(&mut scrape.samples));
        let (job, instance) = (&scrape.job, &scrape.instance);
        match stored {
            Ok((0, _)) => {}
            Ok((samples, reason)) => {
                tracing::warn!(
                    job,
                    instance,
                    samples,
                    reason,
                    "samples of a scrape are refused by a limit"
                );
            }
            // The next scrape brings the counters again; what is lost is only this instant's resolution.
            Err(error) => tracing::error!(job, instance, %error, "a scrape could not be stored"),
        }
    }
}

/// The annotation that says which part of Mainstay raised an alert.
const SOURCE: &str = "mainstay_source";

fn observation(transition: AlertTransition) -> Observation {
    let AlertFact {
        labels,
        annotations,
        starts_at,
        ..
    } = transition.alert;
    let annotations = annotations.with(SOURCE, "slo");
    Observation {
        labels,
        annotations,
        starts_at,
        ended_at: (!transition.firing).then_some(transition.at),
        believed_for_ms: None,
    }
}
