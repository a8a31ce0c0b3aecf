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
        let now_ms = self.clock.now().as_millisecond();
        let appended = {
            let mut watched = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
            let appended = self.store.write_samples(samples, now_ms)?;
            if appended.stored > 0 {
                self.count(&mut watched, samples, &created_ms, &appended);
            }
            appended
        };
        self.store.wait_durable(appended.lsn)?;
        Ok(appended)
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
        let now_ms = self.clock.now().as_millisecond();
        let appended = {
            let mut watched = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
            let appended = self.store.write_histograms(samples, now_ms)?;
            if appended.stored > 0 {
                self.count_histograms(&mut watched, samples, &created_ms, &appended);
            }
            appended
        };
        self.store.wait_durable(appended.lsn)?;
        Ok(appended)
    }

    /// [`Telemetry::take_histograms`], with series named by their labels, and when the counts began if that is known. Limits count as refusals of single samples.
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

    fn count(
        &self,
        watched: &mut Watched,
        samples: &[Sample],
        created_ms: &impl Fn(usize) -> Option<i64>,
        appended: &Appended,
    ) {
        let mut slos = self.slos();
        for (at, sample) in samples.iter().enumerate() {
            let watch = watched.get(sample.series);
            if matches!(watch, Watch::No) || !appended.accepted(at) {
                continue;
            }
            let created_ms = created_ms(at);
            if let Watch::Yes(series) = watch
                && slos
                    .on_sample(*series, sample.t_ms, sample.value, created_ms)
                    .is_some()
            {
                continue;
            }
            let Some(labels) = self.store.labels(sample.series) else {
                continue;
            };
            let labels: &Labels = &labels;
            let raw = RawSample {
                labels,
                t_ms: sample.t_ms,
                value: sample.value,
                created_ms,
            };
            *watch = match slos.count(&raw) {
                Some(series) => Watch::Yes(series),
                // One that a limit keeps out is asked again.
                None if slos.refuses(labels) => Watch::Unknown,
                None => Watch::No,
            };
        }
        slos.advance_to(appended.lsn.get());
    }

    fn count_histograms(
        &self,
        watched: &mut Watched,
        samples: &[HistogramSample],
        created_ms: &impl Fn(usize) -> Option<i64>,
        appended: &Appended,
    ) {
        let mut slos = self.slos();
        for (at, sample) in samples.iter().enumerate() {
            let watch = watched.get(sample.series);
            if matches!(watch, Watch::No) || !appended.accepted(at) {
                continue;
            }
            if let Watch::Yes(series) = watch
                && slos
                    .on_histogram(*series, sample.t_ms, &sample.value, created_ms(at))
                    .is_some()
            {
                continue;
            }
            let Some(labels) = self.store.labels(sample.series) else {
                continue;
            };
            *watch = match slos.watch(&labels) {
                Some(series) => {
                    slos.on_histogram(series, sample.t_ms, &sample.value, created_ms(at));
                    Watch::Yes(series)
                }
                // One that a limit keeps out is asked again.
                None if slos.refuses(&labels) => Watch::Unknown,
                None => Watch::No,
            };
        }
        slos.advance_to(appended.lsn.get());
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
