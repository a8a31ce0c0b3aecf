//! The engine: every indicator, every group, every objective; samples in, counts, states and alerts out.
//!
//! It is a state machine without a clock: the same batches and the same instants give the same answers, live or
//! replayed. Counts are kept beside the samples, not in the journal: [`SloEngine::to_bytes`] holds the last values, the
//! sums and the position in the write-ahead log up to which they count, and a batch at or before that position changes
//! nothing, so that a crash neither loses nor doubles a count.

mod alert;
mod calm;
mod catalog;
mod completion;
mod composite;
mod exclude;
mod forecast;
mod frame;
mod histogram;
mod install;
mod judge;
mod node;
mod presence;
mod slices;
mod snapshot;
mod source;
mod standing;
mod status;
mod whatif;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_kernel::{Labels, SloId};

pub use alert::{AlertCause, AlertTransition, BLIND_ALERT, BURN_ALERT, TRAFFIC_ALERT, UNREACHABLE_ALERT};
pub use catalog::SloCatalog;
pub use completion::CompletionReading;
pub use exclude::{ExcludedStretch, Period, Shares};
pub use judge::Evaluation;
pub use presence::{EstimatedLoss, Outside, Reach, Traffic};
pub use standing::{ExhaustedPeriod, Sight, Standing};
pub use status::{GroupWindow, MissingEdge, Status, StatusValue};
pub use whatif::{TargetWhatIf, WhatIf, WhatIfPage};

use crate::adjust::Exclusion;
use crate::counter::{Counter, Counting, Lateness, Verdict};
use crate::latency::Observations;
use crate::objective::Objective;
use crate::prefix::Edges;
use crate::reading::{Readings, Threshold};
use crate::sli::SliDefinition;
use crate::slice::{Budgeting, Unit};
use crate::window::Bounds;
use calm::{Calms, Quiet};
use completion::Completions;
use composite::Part;
use exclude::Regions;
use judge::Judged;
use node::{Link, Node};
use source::Sources;

/// What the engine is tuned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often samples are expected, in milliseconds.
    pub scrape_interval_ms: i64,
    /// A group without a sample for longer than so many intervals is unknown.
    pub gap_intervals: i64,
    /// How late a sample may be and for how long a silent series is remembered.
    pub lateness: Lateness,
    /// After how long a blindness raises an alert, in milliseconds.
    pub blind_after_ms: i64,
    /// After how long a dark group no longer makes the sums that it is part of unknown, in milliseconds. It stays
    /// unknown itself.
    pub retire_after_ms: i64,
    /// The most series watched; further ones are refused and counted as such.
    pub series_max: usize,
    /// The most groups per indicator, all levels together; series of further ones are refused and counted as such.
    pub groups_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scrape_interval_ms: 15_000,
            gap_intervals: 3,
            lateness: Lateness {
                window_ms: 10 * 60_000,
                forget_ms: 7 * 86_400_000,
            },
            blind_after_ms: 2 * 60_000,
            retire_after_ms: 3_600_000,
            series_max: 500_000,
            groups_max: 50_000,
        }
    }
}

impl Settings {
    /// The longest time between two samples that leaves nothing unknown.
    #[must_use]
    pub fn max_gap_ms(&self) -> i64 {
        self.scrape_interval_ms.saturating_mul(self.gap_intervals)
    }
}

/// One raw sample of a counter or a gauge.
#[derive(Debug, Clone, Copy)]
pub struct RawSample<'a> {
    /// The series, its metric's name among its labels.
    pub labels: &'a Labels,
    /// When it was read, in milliseconds since the epoch.
    pub t_ms: i64,
    /// What was read.
    pub value: f64,
    /// When the counter was at 0, if the target says so (`_created`, OTLP start time), in milliseconds.
    pub created_ms: Option<i64>,
}

/// A series that the engine watches. Valid until the engine is reconfigured or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesRef {
    index: u32,
    generation: u32,
}

/// How many samples met which end, since the state was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ingested {
    /// Counted.
    pub counted: u64,
    /// The same sample again.
    pub duplicate: u64,
    /// Another value for an instant that was counted.
    pub conflict: u64,
    /// Too late to be put in their place.
    pub too_late: u64,
    /// Markers that a series ended.
    pub stale: u64,
    /// Not counts: NaN, negative, fractional.
    pub not_a_count: u64,
    /// Of series beyond a limit.
    pub over_limit: u64,
}

/// One watched series.
#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    counter: Counter,
    /// Its samples as events, where any indicator takes them so.
    readings: Option<Box<Readings>>,
    /// Its samples as native histograms, by threshold, where any indicator takes them so.
    observed: Vec<(Threshold, Observations)>,
    links: Vec<Link>,
}

/// One indicator and its groups.
#[derive(Debug, Clone)]
struct Sli {
    definition: SliDefinition,
    counting: Counting,
    /// The time of the samples at which slices were last thinned out, in milliseconds since the epoch.
    thinned_ms: i64,
    /// Where the tiers of all groups meet since then.
    tiers: Edges,
    /// Whether its good events are those of one bucket of each histogram.
    needs_bucket: bool,
    /// The edges of such histograms that were seen, at most [`EDGES_MAX`].
    edges: BTreeSet<String>,
    /// What its events are.
    unit: Unit,
    /// The time slices that objectives count in.
    slicings: Vec<Budgeting>,
    /// Of a composite: how many groups of each member were taken over.
    gathered: Vec<usize>,
    nodes: Vec<Node>,
    /// How often anything happened to its groups but more good events, a sample after another.
    stirred: u32,
    sources: Sources,
    /// The payments of an indicator by completion.
    completions: Option<Box<Completions>>,
    by_group: BTreeMap<Labels, u32>,
    /// The nodes of each level; a level is the set of group labels it keeps, as bits in their order.
    levels: Vec<Vec<u32>>,
}

/// One objective and what was last said about each of its groups, in the order of its level's nodes.
#[derive(Debug, Clone)]
struct Judge {
    objective: Objective,
    sli: usize,
    /// Which sums of its indicator it reads: slices, or the events themselves.
    column: Option<usize>,
    /// What a composite is made of; otherwise nothing.
    parts: Vec<Part>,
    level: usize,
    /// The indicator of its probes.
    probes: Option<usize>,
    judged: Vec<Judged>,
    /// How much of it can wait, by group as `judged` is. To be cleared when anything but time and samples changes.
    calms: Vec<Calms>,
    /// For how long all of it can wait.
    quiet: Quiet,
    /// The window at the last evaluation.
    bounds: Option<Bounds>,
    /// Since when the alert fires that nothing was ever seen of it.
    never_seen_ms: Option<i64>,
    /// What does not count towards its budgets, and what not towards its burn alerts either.
    excluded: Regions,
    silenced: Regions,
}

/// Counts, judges and remembers. See the module's words.
#[derive(Debug, Clone)]
pub struct SloEngine {
    settings: Settings,
    slis: Vec<Sli>,
    /// Which indicators look at a metric.
    by_metric: BTreeMap<String, Vec<usize>>,
    series: Vec<Series>,
    by_labels: BTreeMap<Labels, u32>,
    judges: Vec<Judge>,
    position: Option<u64>,
    /// The last position of the log of completions that is counted.
    completions_position: Option<u64>,
    started_ms: i64,
    /// The time of the newest sample of a series that was not watched before.
    reached_ms: i64,
    swept_ms: i64,
    generation: u32,
    ingested: Ingested,
    /// What does not count: data of the catalog and the ledger, given anew at every start.
    exclusions: Vec<Exclusion>,
}

/// The most edges of histograms remembered per indicator: they are for a message.
const EDGES_MAX: usize = 64;

/// How often series that are forgotten are swept out, in milliseconds.
const SWEEP_EVERY_MS: i64 = 3_600_000;

impl SloEngine {
    /// An engine that starts to count at `now`.
    #[must_use]
    pub fn new(catalog: SloCatalog, settings: Settings, now: Timestamp) -> Self {
        let mut engine = Self {
            settings,
            slis: Vec::new(),
            by_metric: BTreeMap::new(),
            series: Vec::new(),
            by_labels: BTreeMap::new(),
            judges: Vec::new(),
            position: None,
            completions_position: None,
            started_ms: now.as_millisecond(),
            reached_ms: now.as_millisecond(),
            swept_ms: now.as_millisecond(),
            generation: 0,
            ingested: Ingested::default(),
            exclusions: Vec::new(),
        };
        engine.install(catalog, BTreeMap::new(), now.as_millisecond());
        engine
    }

    /// The handle of a series if any indicator counts it, for callers that keep it beside their own series.
    pub fn watch(&mut self, labels: &Labels) -> Option<SeriesRef> {
        let generation = self.generation;
        if let Some(index) = self.by_labels.get(labels) {
            return Some(SeriesRef {
                index: *index,
                generation,
            });
        }
        if !self.by_metric.contains_key(labels.metric_name()) || self.series.len() >= self.settings.series_max
        {
            return None;
        }
        let links = self.link(labels);
        let index = self.keep(Series {
            labels: labels.clone(),
            counter: Counter::default(),
            readings: None,
            observed: Vec::new(),
            links,
        })?;
        Some(SeriesRef { index, generation })
    }

    /// Whether any indicator looks at this metric.
    #[must_use]
    pub fn wants_metric(&self, name: &str) -> bool {
        self.by_metric.contains_key(name)
    }

    /// Counts one sample of a watched series; `None` if the handle is no longer valid: watch the series again.
    pub fn on_sample(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        value: f64,
        created_ms: Option<i64>,
    ) -> Option<Verdict> {
        if series.generation != self.generation {
            return None;
        }
        let lateness = self.settings.lateness;
        let max_gap_ms = self.settings.max_gap_ms();
        let series = self.series.get_mut(series.index as usize)?;
        let mut verdict = None;
        if series.links.iter().any(Link::reads) {
            let read = slices::read(&mut series.readings, &series.links, t_ms, value, lateness);
            for link in series.links.iter().filter(|_| read == Verdict::Counted) {
                self.slis[link.sli].sample(link, t_ms, value, max_gap_ms);
            }
            verdict = Some(read);
        }
        if series.links.iter().any(Link::counts) {
            let (counted, placed) = series.counter.on_sample(t_ms, value, created_ms, lateness);
            let in_flight_ms = self.settings.scrape_interval_ms;
            for link in series.links.iter().filter(|link| link.counts()) {
                let sli = &mut self.slis[link.sli];
                if let Some(placed) = &placed {
                    let effects = placed.effects(sli.counting, lateness);
                    sli.count(link, t_ms, &effects, max_gap_ms);
                    sli.follow(link, t_ms, effects[0].1, in_flight_ms);
                } else if counted == Verdict::Stale {
                    sli.miss(link, t_ms, in_flight_ms);
                }
            }
            verdict = Some(counted);
        }
        let verdict = verdict?;
        self.ingested.note(verdict);
        Some(verdict)
    }

    /// Counts a batch that lies at `position` of the write-ahead log. A batch at or before the last position counted
    /// changes nothing and gives `false`. The caller refuses samples from the future, as the store does: the time of the
    /// samples is the engine's time.
    pub fn on_samples<'a>(
        &mut self,
        position: u64,
        samples: impl IntoIterator<Item = RawSample<'a>>,
    ) -> bool {
        if self.position.is_some_and(|counted| position <= counted) {
            return false;
        }
        self.position = Some(position);
        for sample in samples {
            self.count(&sample);
        }
        true
    }

    /// Counts one sample of any series, and gives the handle of the series if any indicator counts it.
    pub fn count(&mut self, sample: &RawSample<'_>) -> Option<SeriesRef> {
        let series = self.meet(sample.labels, sample.t_ms)?;
        self.on_sample(series, sample.t_ms, sample.value, sample.created_ms);
        Some(series)
    }

    /// The handle of the series of a sample, made where it is new; one that a limit keeps out is counted as such.
    fn meet(&mut self, labels: &Labels, t_ms: i64) -> Option<SeriesRef> {
        if !self.by_metric.contains_key(labels.metric_name()) {
            return None;
        }
        self.reached_ms = self.reached_ms.max(t_ms);
        let series = self.watch(labels);
        if series.is_none() {
            self.ingested.over_limit += u64::from(self.refuses(labels));
        }
        series
    }

    /// The objective's judge.
    fn judge_of(&self, slo: &SloId) -> Option<&Judge> {
        self.judges.iter().find(|judge| judge.objective.id == *slo)
    }

    /// Whether a series that is not watched would be counted but for a limit.
    #[must_use]
    pub fn refuses(&self, labels: &Labels) -> bool {
        let slis = self.by_metric.get(labels.metric_name());
        slis.is_some_and(|slis| {
            slis.iter().any(|index| {
                let definition = &self.slis[*index].definition;
                definition.selects(labels)
            })
        })
    }

    /// Notes that everything up to `position` of the write-ahead log is counted, where samples came one by one.
    pub fn advance_to(&mut self, position: u64) {
        self.position = self.position.max(Some(position));
    }

    /// Says since when somebody looks: what was silent before that is blind only from then on.
    pub fn looks_since(&mut self, start: Timestamp) {
        self.started_ms = start.as_millisecond();
    }

    /// The last position of the write-ahead log that is counted: replay begins after it.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// What became of the samples.
    #[must_use]
    pub fn ingested(&self) -> Ingested {
        self.ingested
    }

    /// How many series are watched.
    #[must_use]
    pub fn series_len(&self) -> usize {
        self.series.len()
    }

    /// The objectives, in the catalog's order.
    pub fn objectives(&self) -> impl ExactSizeIterator<Item = &Objective> {
        self.judges.iter().map(|judge| &judge.objective)
    }

    /// The indicators, in the catalog's order.
    pub fn indicators(&self) -> impl ExactSizeIterator<Item = &SliDefinition> {
        self.slis.iter().map(|sli| &sli.definition)
    }

    /// Lets series go that have been silent for longer than they are remembered.
    fn sweep(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.swept_ms) < SWEEP_EVERY_MS {
            return;
        }
        self.swept_ms = now_ms;
        let edge = now_ms.saturating_sub(self.settings.lateness.forget_ms + self.settings.lateness.window_ms);
        let silent = |series: &Series| series.last_ms().is_some_and(|last| last < edge);
        if self.series.iter().any(silent) {
            self.series.retain(|series| !silent(series));
            self.relink();
        }
    }
}

impl Series {
    /// When it was last heard of.
    fn last_ms(&self) -> Option<i64> {
        let read_ms = self.readings.as_ref().and_then(|readings| readings.last_ms());
        let observed_ms = self
            .observed
            .iter()
            .filter_map(|(_, observed)| observed.last_ms())
            .max();
        self.counter.last_ms().max(read_ms).max(observed_ms)
    }
}

impl Ingested {
    /// Takes what another engine met along.
    pub(crate) fn add(&mut self, other: Self) {
        self.counted += other.counted;
        self.duplicate += other.duplicate;
        self.conflict += other.conflict;
        self.too_late += other.too_late;
        self.stale += other.stale;
        self.not_a_count += other.not_a_count;
        self.over_limit += other.over_limit;
    }

    fn note(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Counted => &mut self.counted,
            Verdict::Duplicate => &mut self.duplicate,
            Verdict::Conflict => &mut self.conflict,
            Verdict::TooLate => &mut self.too_late,
            Verdict::Stale => &mut self.stale,
            Verdict::NotACount => &mut self.not_a_count,
        };
        *count += 1;
    }
}
