//! OTLP metrics, received: what was translated to samples is stored and counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_ingest::otlp::OtlpBatch;
use mainstay_kernel::reach::TENANT_LABEL;
use mainstay_series::{Appended, Row, SeriesError};

use super::Telemetry;
use super::receive::{of_another_tenant, why_refused};

impl Telemetry {
    /// Takes the samples of a request in, and notes in it what is refused. If a tenant is given, every series is that
    /// tenant's: data points that name another tenant are refused. Blocks until what is taken is durable; taking the same
    /// request twice changes nothing.
    ///
    /// # Errors
    /// If the log cannot be written. Some of the request may have been taken then.
    pub fn receive_otlp(&self, batch: &mut OtlpBatch, tenant: Option<&str>) -> Result<(), SeriesError> {
        for said in std::mem::take(&mut batch.metadata) {
            self.note_told(tenant.unwrap_or_default(), said);
        }
        let mut refused: BTreeMap<usize, String> = BTreeMap::new();
        if let Some(tenant) = tenant {
            for (at, sample) in batch.samples.iter_mut().enumerate() {
                match sample.labels.get(TENANT_LABEL) {
                    Some(named) if named != tenant => {
                        refused.insert(at, of_another_tenant(named, tenant));
                    }
                    Some(_) => {}
                    None => Arc::make_mut(&mut sample.labels).set(TENANT_LABEL, tenant),
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
                histograms.push((&*sample.labels, sample.t_ms, value));
            }
        }
        let mut note = |places: &[usize], appended: &Appended| {
            for (at, outcome) in places.iter().zip(&appended.outcomes) {
                if let Some(reason) = why_refused(*outcome) {
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
        self.note_exemplars(super::examples(&mut batch.samples));
        batch.refuse(&refused);
        Ok(())
    }
}
