//! The rules of a scrape, without sockets or clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, STALE_NAN};

use super::{Scrape, ScrapeBatch, ScrapeError, ScrapeTarget, ScrapedSample};
use crate::exposition::{self, Item, Label, MetricKind, Sample, parse};
use crate::sample::Exemplar;
use crate::series_key::SeriesKey;

/// What is remembered of one target from scrape to scrape: which series it exposed, so that those which vanish can be
/// marked stale, and their labels, so that they are built once.
#[derive(Debug)]
pub struct ScrapeLoop {
    target: Arc<ScrapeTarget>,
    target_labels: Labels,
    reports: [Arc<Labels>; 3],
    /// The series it exposed last.
    series: HashTable<Exposed>,
    round: u64,
    /// Whether `up` and its like have been written and not yet been marked stale.
    reported: bool,
}

#[derive(Debug)]
struct Exposed {
    /// Of the text of the series as exposed.
    key: SeriesKey,
    labels: Arc<Labels>,
    /// Family and labels that created times are given for; `None` for kinds that have none.
    group: Option<Arc<Group>>,
    /// The scrape that first brought it, and the last one.
    born: u64,
    round: u64,
    /// Exposed with a time of its own: never marked stale, as in Prometheus.
    own_time: bool,
}

/// A family and the labels that its samples share: what a created time is given for.
type Group = (String, Labels);

/// One sample of the scrape at hand.
struct Found {
    sample: ScrapedSample,
    group: Option<Arc<Group>>,
}

impl ScrapeLoop {
    /// A target of which nothing is known yet.
    #[must_use]
    pub fn new(target: Arc<ScrapeTarget>) -> Self {
        let target_labels = target.target_labels();
        let report = |name| Arc::new(target_labels.clone().with(METRIC_NAME, name));
        Self {
            reports: ["up", "scrape_duration_seconds", "scrape_samples_scraped"].map(report),
            target_labels,
            target,
            series: HashTable::new(),
            round: 0,
            reported: false,
        }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Arc<ScrapeTarget> {
        &self.target
    }

    /// What to store after a scrape that began at `scrape_time_ms` and took `duration`: the samples with the target's
    /// labels, stale markers for series that are gone (all of them if the scrape failed), `up`,
    /// `scrape_duration_seconds` and `scrape_samples_scraped`.
    ///
    /// A scrape counts as a whole: one that does not parse or exceeds a limit brings no sample.
    pub fn on_result(
        &mut self,
        scrape_time_ms: i64,
        duration: Duration,
        result: Result<Scrape, ScrapeError>,
    ) -> ScrapeBatch {
        self.round += 1;
        let (mut samples, error) = match result.and_then(|scrape| self.read(scrape_time_ms, &scrape)) {
            Ok(samples) => (samples, None),
            Err(error) => {
                // What was read before the error does not count as seen, and what it first brought was never stored.
                let failed = self.round;
                self.series.retain(|exposed| exposed.born != failed);
                self.round += 1;
                (Vec::new(), Some(error))
            }
        };
        let scraped = samples.len();
        self.mark_stale(scrape_time_ms, &mut samples);
        #[expect(clippy::cast_precision_loss, reason = "limited far below 2^52")]
        let values = [
            f64::from(u8::from(error.is_none())),
            duration.as_secs_f64(),
            scraped as f64,
        ];
        self.report(scrape_time_ms, values, &mut samples);
        self.reported = true;
        self.batch(scrape_time_ms, samples, error)
    }

    /// What to store when the target is no longer scraped: stale markers for all it had.
    pub fn on_removed(&mut self, at_ms: i64) -> ScrapeBatch {
        self.round += 1;
        let mut samples = Vec::new();
        self.mark_stale(at_ms, &mut samples);
        if std::mem::take(&mut self.reported) {
            self.report(at_ms, [STALE_NAN; 3], &mut samples);
        }
        self.batch(at_ms, samples, None)
    }

    fn batch(
        &self,
        scrape_time_ms: i64,
        samples: Vec<ScrapedSample>,
        error: Option<ScrapeError>,
    ) -> ScrapeBatch {
        ScrapeBatch {
            job: self.target.job.clone(),
            instance: self.target.instance.clone(),
            scrape_time_ms,
            samples,
            error,
        }
    }

    fn read(&mut self, scrape_time_ms: i64, scrape: &Scrape) -> Result<Vec<ScrapedSample>, ScrapeError> {
        let limits = self.target.limits;
        if scrape.body.len() > limits.body_bytes {
            return Err(ScrapeError::BodyTooLarge {
                limit_bytes: limits.body_bytes,
            });
        }
        let mut found: Vec<Found> = Vec::with_capacity(self.series.len());
        let mut created: BTreeMap<Group, i64> = BTreeMap::new();
        let mut refused = None;
        let histograms = self.target.formats.histograms;
        parse(&scrape.body, scrape.format, histograms, |item| match item {
            Item::Sample(_) if refused.is_some() => {}
            Item::Sample(_) if found.len() >= limits.samples => {
                refused = Some(ScrapeError::TooManySamples {
                    limit: limits.samples,
                });
            }
            Item::Sample(sample) => match self.exposed(&sample) {
                Ok((labels, group)) => {
                    let sample = ScrapedSample {
                        labels,
                        created_ms: None,
                        t_ms: sample.timestamp_ms.unwrap_or(scrape_time_ms),
                        exemplars: sample.exemplars.iter().map(owned).collect(),
                        value: sample.value,
                    };
                    found.push(Found { sample, group });
                }
                Err(error) => refused = Some(error),
            },
            Item::Created {
                family,
                labels,
                created_ms,
            } => {
                created.insert(group(family, labels), created_ms);
            }
            Item::Type { .. } | Item::Help { .. } | Item::Unit { .. } => {}
        })?;
        if let Some(error) = refused {
            return Err(error);
        }
        // Created times usually stand after the samples that they are for.
        let dated = found.into_iter().map(|Found { mut sample, group }| {
            sample.created_ms = group.and_then(|group| created.get(&*group).copied());
            sample
        });
        Ok(dated.collect())
    }

    /// The labels under which an exposed sample is stored, and its group; notes that its series was seen.
    fn exposed(&mut self, sample: &Sample<'_>) -> Result<(Arc<Labels>, Option<Arc<Group>>), ScrapeError> {
        let own_time = sample.timestamp_ms.is_some();
        let dated = has_created(sample.kind);
        let key = SeriesKey::of(sample.series_text);
        if let Some(known) = self.series.find_mut(key.hash(), |known| known.key == key) {
            known.round = self.round;
            known.own_time = own_time;
            if dated && known.group.is_none() {
                known.group = Some(Arc::new(group(sample.family, sample.labels)));
            }
            return Ok((Arc::clone(&known.labels), known.group.clone()));
        }
        let labels = self.attach(sample);
        let bytes = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > self.target.limits.label_bytes {
            return Err(ScrapeError::LabelsTooLarge {
                metric: sample.metric.to_owned(),
                bytes,
                limit_bytes: self.target.limits.label_bytes,
            });
        }
        let exposed = Exposed {
            key,
            labels: Arc::new(labels),
            group: dated.then(|| Arc::new(group(sample.family, sample.labels))),
            born: self.round,
            round: self.round,
            own_time,
        };
        let known = (Arc::clone(&exposed.labels), exposed.group.clone());
        self.series
            .insert_unique(key.hash(), exposed, |held| held.key.hash());
        Ok(known)
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
    fn mark_stale(&mut self, at_ms: i64, samples: &mut Vec<ScrapedSample>) {
        let round = self.round;
        if self.series.iter().all(|exposed| exposed.round == round) {
            return;
        }
        let mut gone: BTreeSet<Arc<Labels>> = BTreeSet::new();
        self.series.retain(|exposed| {
            let stays = exposed.round == round;
            if !stays && !exposed.own_time {
                gone.insert(Arc::clone(&exposed.labels));
            }
            stays
        });
        // The same series can be written in more than one way.
        for exposed in self.series.iter() {
            gone.remove(&exposed.labels);
        }
        samples.extend(gone.into_iter().map(|labels| ScrapedSample {
            labels,
            created_ms: None,
            t_ms: at_ms,
            value: STALE_NAN.into(),
            exemplars: Vec::new(),
        }));
    }

    fn report(&self, t_ms: i64, values: [f64; 3], samples: &mut Vec<ScrapedSample>) {
        samples.extend(
            self.reports
                .iter()
                .zip(values)
                .map(|(labels, value)| ScrapedSample {
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
