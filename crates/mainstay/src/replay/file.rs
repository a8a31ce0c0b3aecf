//! Samples of a file: OpenMetrics text or CSV, in whatever order they stand.
//!
//! OpenMetrics keeps each metric's lines together, so a file is seldom in order of time. What an objective counts is read into
//! memory, 24 bytes a sample, and put in order; the rest is passed over. A `_created` sample says when the counter of the same
//! labels began.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_ingest::import::{Import, ImportError, ImportFormat};
use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;
use mainstay_slo::SloCatalog;
use mainstay_slo::replay::{Batch, Course, Sample, Source};

use super::ReplayError;

/// The most samples that are kept: 1.5 GiB of them.
const SAMPLES_MAX: usize = 64 << 20;
/// How many samples are read and handed on at once.
const BATCH_SAMPLES: usize = 64 << 10;

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{}: it cannot be read: {source}", file.display())]
    Open { file: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {source}", file.display())]
    Read {
        file: PathBuf,
        line: usize,
        source: ImportError,
    },
    #[error("{}:{source}", file.display())]
    Parse {
        file: PathBuf,
        source: mainstay_ingest::exposition::ParseError,
    },
    #[error(
        "{}: it holds more than {SAMPLES_MAX} samples that are counted: divide it, or ask for less time or fewer objectives",
        file.display()
    )]
    TooMany { file: PathBuf },
}

/// What a file holds of what is counted.
pub(super) struct Recorded {
    series: Vec<Arc<Labels>>,
    /// By time: time, series, value.
    samples: Vec<(i64, u32, f64)>,
    /// Since when each series' counter began when: by its labels.
    created: BTreeMap<Arc<Labels>, Vec<(i64, i64)>>,
}

impl Recorded {
    /// Reads what `catalog` counts in the time of `course`.
    pub(super) fn read(path: &Path, catalog: &SloCatalog, course: Course) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|source| FileError::Open {
            file: path.to_owned(),
            source,
        })?;
        let is_csv = path
            .extension()
            .is_some_and(|ends| ends.eq_ignore_ascii_case("csv"));
        let format = if is_csv {
            ImportFormat::Csv
        } else {
            ImportFormat::OpenMetrics
        };
        let metrics: BTreeSet<&str> = catalog
            .indicators()
            .iter()
            .flat_map(|sli| sli.selectors())
            .map(|selector| selector.metric.as_str())
            .collect();
        let times_ms = course.counted_from.as_millisecond() + 1..=course.to.as_millisecond();
        let mut recorded = Self {
            series: Vec::new(),
            samples: Vec::new(),
            created: BTreeMap::new(),
        };
        let mut numbers: BTreeMap<Arc<Labels>, u32> = BTreeMap::new();
        let mut import = Import::new(BufReader::new(file), format, BATCH_SAMPLES);
        while let Some(batch) = import.next() {
            let batch = batch.map_err(|source| match source {
                ImportError::Parse(source) => FileError::Parse {
                    file: path.to_owned(),
                    source,
                },
                source @ ImportError::Read(_) => FileError::Read {
                    file: path.to_owned(),
                    line: import.lines(),
                    source,
                },
            })?;
            for sample in batch {
                let Some(value) = sample.value.float() else {
                    continue;
                };
                if let Some(counter) = counter_of(&sample.labels, &metrics) {
                    let created = recorded.created.entry(Arc::new(counter)).or_default();
                    created.push((sample.t_ms, as_ms(value)));
                    continue;
                }
                if !metrics.contains(sample.labels.metric_name()) || !times_ms.contains(&sample.t_ms) {
                    continue;
                }
                if recorded.samples.len() >= SAMPLES_MAX {
                    return Err(FileError::TooMany {
                        file: path.to_owned(),
                    });
                }
                let next = u32::try_from(recorded.series.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(Arc::clone(&sample.labels)).or_insert_with(|| {
                    recorded.series.push(Arc::clone(&sample.labels));
                    next
                });
                recorded.samples.push((sample.t_ms, number, value));
            }
        }
        recorded.samples.sort_by_key(|sample| sample.0);
        recorded
            .created
            .values_mut()
            .for_each(|steps| steps.sort_unstable());
        Ok(recorded)
    }

    pub(super) fn source(&self) -> FileSource<'_> {
        FileSource {
            recorded: self,
            next: 0,
        }
    }

    fn created_ms(&self, series: u32, t_ms: i64) -> Option<i64> {
        let steps = self.created.get(self.series.get(series as usize)?)?;
        let after = steps.partition_point(|step| step.0 <= t_ms);
        Some(steps.get(after.checked_sub(1)?)?.1)
    }
}

/// The counter that a `_created` sample is about, if that is counted.
fn counter_of(labels: &Labels, metrics: &BTreeSet<&str>) -> Option<Labels> {
    let base = labels.metric_name().strip_suffix("_created")?;
    let total = format!("{base}_total");
    let counter = [total.as_str(), base]
        .into_iter()
        .find(|name| metrics.contains(name))?;
    Some(labels.clone().with(METRIC_NAME, counter))
}

/// Seconds with a fraction, as milliseconds; beyond all times if they are none.
fn as_ms(seconds: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast saturates, and NaN is 0: long ago"
    )]
    let ms = (seconds * 1_000.0).round() as i64;
    ms
}

pub(super) struct FileSource<'a> {
    recorded: &'a Recorded,
    next: usize,
}

impl Source for FileSource<'_> {
    type Error = ReplayError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, ReplayError> {
        let samples = &self.recorded.samples;
        let end = self.next.saturating_add(BATCH_SAMPLES).min(samples.len());
        for (t_ms, series, value) in samples.get(self.next..end).unwrap_or_default() {
            let Some(labels) = self.recorded.series.get(*series as usize) else {
                continue;
            };
            let sample = Sample {
                series: batch.series(labels),
                t_ms: *t_ms,
                value: *value,
                created_ms: self.recorded.created_ms(*series, *t_ms),
            };
            batch.push(sample);
        }
        let more = end > self.next;
        self.next = end;
        Ok(more)
    }
}
