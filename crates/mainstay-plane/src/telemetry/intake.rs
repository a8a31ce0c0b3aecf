//! The one way in: whatever brings samples, they are stored, counted and durable before anybody is told so.
//!
//! Storing and counting happen under one lock, so that counts follow the order of the log; waiting for the disk does not,
//! so that many who write share one fsync.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use mainstay_kernel::{Histogram, Labels};
use mainstay_segment::write_atomic;
use mainstay_series::{Appended, HistogramSample, Row, Sample, SeriesError, SeriesRef};
use mainstay_slo::SloEngine;
use mainstay_slo::engine::RawSample;

use super::tenants::{Reason, Runs, tenant_of};
use super::{Telemetry, TelemetryError};

/// Which series the counts look at, by the store's number: most samples are passed by without a look at their labels.
#[derive(Debug, Default)]
pub(super) struct Watched(Vec<Watch>);

#[derive(Debug, Clone, Copy, Default)]
enum Watch {
    #[default]
    Unknown,
    No,
    Yes(mainstay_slo::engine::SeriesRef),
}

/// How the counts know the series of a sample.
enum Series<'a> {
    /// By their handle, which may be valid no longer.
    Watched(mainstay_slo::engine::SeriesRef),
    Named(&'a Labels),
}

impl Watched {
    fn get(&mut self, series: SeriesRef) -> &mut Watch {
        let at = series.number();
        if self.0.len() <= at {
            self.0.resize(at + 1, Watch::Unknown);
        }
        &mut self.0[at]
    }

    /// To be asked anew: other objectives may look at other series.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Telemetry {
    /// Stores samples and counts those that were accepted. When this returns they are durable. `created_ms` says of the
    /// sample at a place when its counter began, if that is known.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn take(
        &self,
        samples: &[Sample],
        created_ms: impl Fn(usize) -> Option<i64>,
    ) -> Result<Appended, SeriesError> {
        self.take_in(
            |now_ms| self.store.write_samples(samples, now_ms),
            samples.iter().map(|sample| sample.series),
            |slos, at, watched| {
                let Sample { t_ms, value, .. } = samples[at];
                let created_ms = created_ms(at);
                match watched {
                    Series::Watched(series) => {
                        slos.on_sample(series, t_ms, value, created_ms).map(|_| series)
                    }
                    Series::Named(labels) => slos.count(&RawSample {
                        labels,
                        t_ms,
                        value,
                        created_ms,
                    }),
                }
            },
        )
    }

    /// [`Telemetry::take`], of native histograms.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn take_histograms(
        &self,
        samples: &[HistogramSample],
        created_ms: impl Fn(usize) -> Option<i64>,
    ) -> Result<Appended, SeriesError> {
        self.take_in(
            |now_ms| self.store.write_histograms(samples, now_ms),
            samples.iter().map(|sample| sample.series),
            |slos, at, watched| {
                let HistogramSample { t_ms, value, .. } = &samples[at];
                match watched {
                    Series::Watched(series) => slos
                        .on_histogram(series, *t_ms, value, created_ms(at))
                        .map(|_| series),
                    Series::Named(labels) => slos.count_histogram(labels, *t_ms, value, created_ms(at)),
                }
            },
        )
    }

    /// Writes samples, each of one of `series`, and has those counted that were accepted, in the order of the log. `count`
    /// gives the handle of the series of the sample at a place, if any indicator looks at it.
    fn take_in(
        &self,
        write: impl FnOnce(i64) -> Result<Appended, SeriesError>,
        series: impl Iterator<Item = SeriesRef>,
        mut count: impl FnMut(&mut SloEngine, usize, Series<'_>) -> Option<mainstay_slo::engine::SeriesRef>,
    ) -> Result<Appended, SeriesError> {
        let mut watched = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = write(self.clock.now().as_millisecond())?;
        if appended.stored > 0 {
            let mut slos = self.slos();
            for (at, series) in series.enumerate().filter(|(at, _)| appended.accepted(*at)) {
                let watch = watched.get(series);
                let known = match watch {
                    Watch::No => continue,
                    Watch::Unknown => None,
                    Watch::Yes(known) => count(&mut slos, at, Series::Watched(*known)),
                };
                let Some(labels) = known.is_none().then(|| self.store.labels(series)).flatten() else {
                    continue;
                };
                *watch = match count(&mut slos, at, Series::Named(&labels)) {
                    Some(series) => Watch::Yes(series),
                    // One that a limit keeps out is asked again.
                    None if slos.refuses(&labels) => Watch::Unknown,
                    None => Watch::No,
                };
            }
            slos.advance_to(appended.lsn.get());
        }
        drop(watched);
        self.store.wait_durable(appended.lsn)?;
        Ok(appended)
    }

    /// [`Telemetry::take_histograms`], with series named by their labels, and when the counts began if that is known. Limits
    /// count as refusals of single samples.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn append_histograms<'a>(
        &self,
        rows: impl Iterator<Item = (&'a Labels, Option<i64>, i64, &'a Arc<Histogram>)>,
    ) -> Result<Appended, SeriesError> {
        let mut samples = Vec::new();
        let mut created = Vec::new();
        let mut refused = BTreeMap::new();
        let mut whose = Runs::default();
        for (at, (labels, created_ms, t_ms, value)) in rows.enumerate() {
            match self.store.series_ref(labels) {
                Ok(series) => {
                    self.store.set_start(series, t_ms, created_ms)?;
                    whose.push(self.tenants.number(tenant_of(labels)), 1);
                    created.push(created_ms);
                    samples.push(HistogramSample {
                        series,
                        t_ms,
                        value: Arc::clone(value),
                    });
                }
                Err(error) if error.is_limit() => {
                    self.refuse_series(labels, &error);
                    refused.insert(at, error);
                }
                Err(error) => return Err(error),
            }
        }
        let mut appended = if samples.is_empty() {
            Appended::default()
        } else {
            self.take_histograms(&samples, |at| created.get(at).copied().flatten())?
        };
        self.tenants.settle(&whose, &appended.outcomes);
        appended.refuse(&refused);
        Ok(appended)
    }

    /// [`Telemetry::take`], with series named by their labels. Limits count as refusals of single samples.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn append(&self, rows: &[Row<'_>]) -> Result<Appended, SeriesError> {
        let (batch, refused) = self.store.resolve(rows)?;
        let resolved = || {
            let rows = rows.iter().enumerate();
            rows.filter(|(at, _)| !refused.contains_key(at))
                .map(|(_, row)| row)
        };
        for (at, error) in &refused {
            if let Some(row) = rows.get(*at) {
                self.refuse_series(row.labels, error);
            }
        }
        let created: Vec<Option<i64>> = resolved().map(|row| row.created_ms).collect();
        let mut appended = self.take(&batch, |at| created.get(at).copied().flatten())?;
        let whose = self.tenants.runs(resolved().map(|row| row.labels));
        self.tenants.settle(&whose, &appended.outcomes);
        appended.refuse(&refused);
        Ok(appended)
    }

    /// Counts a sample whose series a limit keeps out.
    fn refuse_series(&self, labels: &Labels, error: &SeriesError) {
        let tenant = self.tenants.number(tenant_of(labels));
        self.tenants.refuse(tenant, Reason::of(error), 1);
    }
}

pub(super) fn write_counts(file: &Path, bytes: &[u8]) -> Result<(), TelemetryError> {
    write_atomic(file, bytes).map_err(|error| TelemetryError::File {
        file: file.to_owned(),
        reason: error.to_string(),
    })
}
