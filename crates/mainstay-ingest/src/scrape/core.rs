//! The rules of a scrape, without sockets or clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, STALE_NAN};

use super::{Scrape, ScrapeBatch, ScrapeError, ScrapeTarget, metadata};
use crate::exposition::{self, Item, Label, MetricKind, Sample, parse};
use crate::metadata::FamilyMetadata;
use crate::relabel::relabel;
use crate::sample::{Exemplar, SeriesSample};
use crate::series_key::SeriesKey;

/// What is remembered of one target from scrape to scrape: which series it exposed, so that those which vanish can be
/// marked stale, and their labels, so that they are built once.
#[derive(Debug)]
pub struct ScrapeLoop {
    target: Arc<ScrapeTarget>,
    target_labels: Labels,
    /// The series in which it reports on itself, in the order of [`Report::values`].
    reports: Vec<Arc<Labels>>,
    /// The series it exposed last.
    series: HashTable<Exposed>,
    round: u64,
    /// Whether `up` and its like have been written and not yet been marked stale.
    reported: bool,
    /// Stands for what it said of its families last.
    metadata: SeriesKey,
}

#[derive(Debug)]
struct Exposed {
    /// Of the text of the series as exposed.
    key: SeriesKey,
    /// `None` if relabelling drops it.
    labels: Option<Arc<Labels>>,
    /// Family and labels that created times are given for; `None` for kinds that have none.
    group: Option<Arc<Group>>,
    /// The scrape that first brought it, and the last one.
    born: u64,
    round: u64,
    /// Exposed with a time of its own, for which it is never marked stale, as in Prometheus.
    own_time: bool,
}

/// The labels under which a sample is stored, and its group.
type Stored = (Arc<Labels>, Option<Arc<Group>>);

impl Exposed {
    fn stored(&self) -> Option<Stored> {
        let labels = self.labels.as_ref()?;
        Some((Arc::clone(labels), self.group.clone()))
    }
}

/// A family and the labels that its samples share: what a created time is given for.
type Group = (String, Labels);

/// One sample of the scrape at hand.
struct Found {
    sample: SeriesSample,
    group: Option<Arc<Group>>,
}

/// The names of [`Report::values`]; the last three are reported only if asked for.
const REPORTS: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
const REPORTS_BASIC: usize = 5;

/// What a scrape says of itself.
#[derive(Debug, Default)]
struct Report {
    duration: Duration,
    /// Samples exposed.
    scraped: usize,
    /// Samples that relabelling left.
    kept: usize,
    /// Series that the scrape before did not have.
    added: usize,
    body_bytes: usize,
    /// What the target says of its families, if that is new.
    metadata: Option<Vec<FamilyMetadata>>,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "sizes of what fits in memory")]
    fn values(&self, target: &ScrapeTarget, failed: bool) -> [f64; REPORTS.len()] {
        [
            f64::from(u8::from(!failed)),
            self.duration.as_secs_f64(),
            self.scraped as f64,
            self.kept as f64,
            self.added as f64,
            target.timeout.as_secs_f64(),
            target.limits.samples as f64,
            self.body_bytes as f64,
        ]
    }
}

impl ScrapeLoop {
    /// A target of which nothing is known yet.
    #[must_use]
    pub fn new(target: Arc<ScrapeTarget>) -> Self {
        let target_labels = target.target_labels();
        let report = |name: &&str| Arc::new(target_labels.clone().with(METRIC_NAME, name));
        let wanted = if target.extra_metrics {
            REPORTS.len()
        } else {
            REPORTS_BASIC
        };
        Self {
            reports: REPORTS.iter().take(wanted).map(report).collect(),
            target_labels,
            target,
            series: HashTable::new(),
            round: 0,
            reported: false,
            metadata: SeriesKey::default(),
        }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Arc<ScrapeTarget> {
        &self.target
    }

    /// What to store after a scrape that began at `scrape_time_ms` and took `duration`: the samples with the target's
    /// labels, relabelled, stale markers for series that are gone (all of them if the scrape failed), and what the
    /// scrape says of itself, `up` first.
    ///
    /// A scrape counts as a whole: one that does not parse or exceeds a limit brings no sample.
    pub fn on_result(
        &mut self,
        scrape_time_ms: i64,
        duration: Duration,
        result: Result<Scrape, ScrapeError>,
    ) -> ScrapeBatch {
        self.round += 1;
        let mut report = Report {
            duration,
            ..Report::default()
        };
        let found = result.and_then(|scrape| self.read(scrape_time_ms, &scrape, &mut report));
        let (mut samples, error) = match found {
            Ok(samples) => (samples, None),
            Err(error) => {
                // What was read before the error does not count as seen, and what it first brought was never stored.
                let failed = self.round;
                self.series.retain(|exposed| exposed.born != failed);
                self.round += 1;
                report.added = 0;
                (Vec::new(), Some(error))
            }
        };
        self.mark_stale(scrape_time_ms, &mut samples);
        let values = report.values(&self.target, error.is_some());
        self.report(scrape_time_ms, values, &mut samples);
        self.reported = true;
        self.batch(scrape_time_ms, samples, report.metadata, error)
    }

    /// What to store when the target is no longer scraped: stale markers for all it had.
    pub fn on_removed(&mut self, at_ms: i64) -> ScrapeBatch {
        self.round += 1;
        let mut samples = Vec::new();
        self.mark_stale(at_ms, &mut samples);
        if std::mem::take(&mut self.reported) {
            self.report(at_ms, [STALE_NAN; REPORTS.len()], &mut samples);
        }
        self.metadata = SeriesKey::default();
        self.batch(at_ms, samples, Some(Vec::new()), None)
    }

    fn batch(
        &self,
        scrape_time_ms: i64,
        samples: Vec<SeriesSample>,
        metadata: Option<Vec<FamilyMetadata>>,
        error: Option<ScrapeError>,
    ) -> ScrapeBatch {
        ScrapeBatch {
            job: self.target.job.clone(),
            instance: self.target.instance.clone(),
            scrape_time_ms,
            samples,
            metadata,
            error,
        }
    }

    fn read(
        &mut self,
        scrape_time_ms: i64,
        scrape: &Scrape,
        report: &mut Report,
    ) -> Result<Vec<SeriesSample>, ScrapeError> {
        let limits = self.target.limits;
        report.body_bytes = scrape.body.len();
        if scrape.body.len() > limits.body_bytes {
            return Err(ScrapeError::BodyTooLarge {
                limit_bytes: limits.body_bytes,
            });
        }
        let mut found: Vec<Found> = Vec::with_capacity(self.series.len());
        let mut created: BTreeMap<Group, i64> = BTreeMap::new();
        let mut refused = None;
        let mut said = SeriesKey::default();
        let (form, honor_timestamps) = (self.target.formats.histograms, self.target.honor_timestamps);
        parse(&scrape.body, scrape.format, form, |item| match item {
            Item::Sample(_) if refused.is_some() => {}
            Item::Sample(sample) => {
                report.scraped += 1;
                let own_time = sample.timestamp_ms.filter(|_| honor_timestamps);
                match self.exposed(&sample, own_time.is_some()) {
                    Ok(None) => {}
                    Ok(Some(_)) if report.kept >= limits.samples => {
                        report.kept += 1;
                        refused = Some(ScrapeError::TooManySamples {
                            limit: limits.samples,
                        });
                    }
                    Ok(Some((labels, group))) => {
                        report.kept += 1;
                        let sample = SeriesSample {
                            labels,
                            created_ms: None,
                            t_ms: own_time.unwrap_or(scrape_time_ms),
                            exemplars: sample.exemplars.iter().map(owned).collect(),
                            value: sample.value,
                        };
                        found.push(Found { sample, group });
                    }
                    Err(error) => refused = Some(error),
                }
            }
            Item::Created {
                family,
                labels,
                created_ms,
            } => {
                created.insert(group(family, labels), created_ms);
            }
            Item::Type { .. } | Item::Help { .. } | Item::Unit { .. } => said = metadata::noted(said, &item),
        })?;
        if let Some(error) = refused {
            return Err(error);
        }
        if self.metadata != said {
            report.metadata = Some(metadata::read(scrape, form)?);
            self.metadata = said;
        }
        let round = self.round;
        let stored = |exposed: &&Exposed| exposed.born == round && exposed.labels.is_some();
        report.added = self.series.iter().filter(stored).count();
        // Created times usually stand after the samples that they are for.
        let dated = found.into_iter().map(|Found { mut sample, group }| {
            sample.created_ms = group.and_then(|group| created.get(&*group).copied());
            sample
        });
        Ok(dated.collect())
    }

    /// The labels under which an exposed sample is stored, and its group; notes that its series was seen. `None` if it
    /// is dropped.
    fn exposed(&mut self, sample: &Sample<'_>, own_time: bool) -> Result<Option<Stored>, ScrapeError> {
        let dated = has_created(sample.kind);
        let key = SeriesKey::of(sample.series_text);
        if let Some(known) = self.series.find_mut(key.hash(), |known| known.key == key) {
            known.round = self.round;
            known.own_time = own_time;
            if dated && known.group.is_none() {
                known.group = Some(Arc::new(group(sample.family, sample.labels)));
            }
            return Ok(known.stored());
        }
        let labels = relabel(self.attach(sample), &self.target.metric_relabel).filter(|l| !l.is_empty());
        if let Some(labels) = &labels {
            self.check(sample, labels)?;
        }
        let exposed = Exposed {
            key,
            labels: labels.map(Arc::new),
            group: dated.then(|| Arc::new(group(sample.family, sample.labels))),
            born: self.round,
            round: self.round,
            own_time,
        };
        let stored = exposed.stored();
        self.series
            .insert_unique(key.hash(), exposed, |held| held.key.hash());
        Ok(stored)
    }

    /// Holds the labels of a series to the limits.
    fn check(&self, sample: &Sample<'_>, labels: &Labels) -> Result<(), ScrapeError> {
        let limits = self.target.limits;
        let metric = || sample.metric.to_owned();
        if labels.metric_name().is_empty() {
            return Err(ScrapeError::NoMetricName(metric()));
        }
        let bytes = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits.label_bytes {
            return Err(ScrapeError::LabelsTooLarge {
                metric: metric(),
                bytes,
                limit_bytes: limits.label_bytes,
            });
        }
        let limit = |what: String, limit| ScrapeError::LabelLimit {
            metric: metric(),
            what,
            limit,
        };
        if labels.len() > limits.labels {
            return Err(limit(format!("{} labels", labels.len()), limits.labels));
        }
        for (name, value) in labels.iter() {
            if name.len() > limits.label_name_bytes {
                let what = format!("a label name of {} bytes ({name})", name.len());
                return Err(limit(what, limits.label_name_bytes));
            }
            if value.len() > limits.label_value_bytes {
                let what = format!("a value of {} bytes for the label {name}", value.len());
                return Err(limit(what, limits.label_value_bytes));
            }
        }
        Ok(())
    }

    /// The exposed labels with the target's.
    fn attach(&self, sample: &Sample<'_>) -> Labels {
        let mut labels: Labels = sample
            .labels
            .iter()
            .map(|(name, value)| (*name, value.as_ref()))
            .collect();
        for (name, value) in self.target_labels.iter() {
            if let Some(exposed) = labels.get(name).map(str::to_owned) {
                if self.target.honor_labels {
                    continue;
                }
                let mut renamed = format!("exported_{name}");
                while labels.get(&renamed).is_some() || self.target_labels.get(&renamed).is_some() {
                    renamed.insert_str(0, "exported_");
                }
                labels.set(renamed, exposed);
            }
            labels.set(name, value);
        }
        labels.set(METRIC_NAME, sample.metric);
        labels
    }

    /// Ends every series that this round did not bring, and forgets it.
    fn mark_stale(&mut self, at_ms: i64, samples: &mut Vec<SeriesSample>) {
        let (round, tracked) = (self.round, self.target.track_timestamps_staleness);
        if self.series.iter().all(|exposed| exposed.round == round) {
            return;
        }
        let mut gone: BTreeSet<Arc<Labels>> = BTreeSet::new();
        self.series.retain(|exposed| {
            let stays = exposed.round == round;
            if let Some(labels) = &exposed.labels
                && !stays
                && (tracked || !exposed.own_time)
            {
                gone.insert(Arc::clone(labels));
            }
            stays
        });
        // The same series can be written in more than one way.
        for labels in self.series.iter().filter_map(|exposed| exposed.labels.as_ref()) {
            gone.remove(labels);
        }
        samples.extend(gone.into_iter().map(|labels| SeriesSample {
            labels,
            created_ms: None,
            t_ms: at_ms,
            value: STALE_NAN.into(),
            exemplars: Vec::new(),
        }));
    }

    fn report(&self, t_ms: i64, values: [f64; REPORTS.len()], samples: &mut Vec<SeriesSample>) {
        samples.extend(
            self.reports
                .iter()
                .zip(values)
                .map(|(labels, value)| SeriesSample {
                    labels: Arc::clone(labels),
                    created_ms: None,
                    t_ms,
                    value: value.into(),
                    exemplars: Vec::new(),
                }),
        );
    }
}

fn owned(exemplar: &exposition::Exemplar<'_>) -> Exemplar {
    let labels = exemplar.labels.iter();
    Exemplar {
        labels: labels.map(|(name, value)| (*name, value.as_ref())).collect(),
        value: exemplar.value,
        t_ms: exemplar.timestamp_ms,
    }
}

fn has_created(kind: MetricKind) -> bool {
    matches!(
        kind,
        MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary
    )
}

/// What a created time is given for: the family and the labels without those that tell its samples apart.
fn group(family: &str, labels: &[Label<'_>]) -> Group {
    let own = labels
        .iter()
        .filter(|(name, _)| *name != "le" && *name != "quantile")
        .map(|(name, value)| (*name, value.as_ref()));
    (family.to_owned(), own.collect())
}
