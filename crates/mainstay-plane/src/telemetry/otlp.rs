//! OTLP metrics, received: what was translated to samples is stored and counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_ingest::otlp::OtlpBatch;
use mainstay_kernel::reach::TENANT_LABEL;
use mainstay_series::{Appended, Outcome, Row, SeriesError};

use super::Telemetry;
use super::receive::{of_another_tenant, why_refused};
use super::tenants::{Overrun, Reason, tenant_of, totals};

/// Why nothing of a request is taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The log cannot be written.
    #[error(transparent)]
    Store(#[from] SeriesError),
    /// It is more than its tenant may send.
    #[error(transparent)]
    Overrun(#[from] Overrun),
}

impl Telemetry {
    /// Takes the samples of a request in, and notes in it what is refused. If a tenant is given, every series is that
    /// tenant's: data points that name another tenant are refused. Blocks until what is taken is durable; taking the same
    /// request twice changes nothing.
    ///
    /// # Errors
    /// If the log cannot be written: some of the request may have been taken then. If all of it is more than its tenant
    /// may send: then nothing was.
    pub fn receive_otlp(&self, batch: &mut OtlpBatch, tenant: Option<&str>) -> Result<(), IntakeError> {
        for said in std::mem::take(&mut batch.metadata) {
            self.note_told(tenant.unwrap_or_default(), said);
        }
        let mut refused: BTreeMap<usize, String> = BTreeMap::new();
        if let Some(tenant) = tenant {
            for (at, sample) in batch.samples.iter_mut().enumerate() {
                match sample.labels.get(TENANT_LABEL) {
                    Some(named) if named != tenant => {
                        refused.insert(at, of_another_tenant(named, tenant));
                        self.tenants
                            .refuse(self.tenants.number(tenant), Reason::OtherTenant, 1);
                    }
                    Some(_) => {}
                    None => Arc::make_mut(&mut sample.labels).set(TENANT_LABEL, tenant),
                }
            }
        }
        let within = |at: &usize| !refused.contains_key(at);
        let places: Vec<usize> = (0..batch.samples.len()).filter(within).collect();
        let labels = |at: &usize| batch.samples.get(*at).map(|sample| &*sample.labels);
        let whose = self.tenants.runs(places.iter().filter_map(labels));
        let now_ms = self.clock.now().as_millisecond();
        let overruns = self.tenants.charge(&totals([&whose]), now_ms);
        if let Some((_, overrun)) = overruns.iter().next() {
            if overruns.len() == totals([&whose]).len() {
                return Err(IntakeError::Overrun(overrun.clone()));
            }
            for at in &places {
                let number = labels(at).map(|labels| self.tenants.number(tenant_of(labels)));
                if let Some(overrun) = number.and_then(|number| overruns.get(&number)) {
                    refused.insert(*at, overrun.to_string());
                }
            }
        }
        let (mut places, mut rows) = (Vec::new(), Vec::new());
        let (mut histogram_places, mut histograms) = (Vec::new(), Vec::new());
        for (at, sample) in batch.samples.iter().enumerate() {
            if refused.contains_key(&at) {
                continue;
            }
            if let Some(value) = sample.value.float() {
                places.push(at);
                rows.push(Row {
                    labels: &sample.labels,
                    created_ms: sample.created_ms,
                    t_ms: sample.t_ms,
                    value,
                });
            } else if let Some(value) = sample.value.histogram() {
                histogram_places.push(at);
                histograms.push((&*sample.labels, sample.created_ms, sample.t_ms, value));
            }
        }
        let mut note = |places: &[usize], appended: &Appended| {
            for (at, outcome) in places.iter().zip(&appended.outcomes) {
                if let Some(reason) = why_refused(*outcome) {
                    let limit = appended.series_limit.as_deref();
                    let reason = limit.filter(|_| *outcome == Outcome::Limit).unwrap_or(reason);
                    refused.insert(*at, reason.to_owned());
                }
            }
        };
        if !rows.is_empty() {
            note(&places, &self.append(&rows)?);
        }
        if !histograms.is_empty() {
            note(
                &histogram_places,
                &self.append_histograms(histograms.into_iter())?,
            );
        }
        for at in refused.keys() {
            if let Some(sample) = batch.samples.get_mut(*at) {
                sample.exemplars.clear();
            }
        }
        self.note_exemplars(super::exemplars::examples(&mut batch.samples));
        batch.refuse(&refused);
        Ok(())
    }
}
