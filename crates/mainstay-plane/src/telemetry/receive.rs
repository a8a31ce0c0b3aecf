//! Remote write, received: decoded, resolved, stored, counted.
//!
//! What is good of a request is kept and what is not is told, of 1.0 too: a sender does not send a refused request again,
//! so refusing the good with the bad would only lose it. Writing the same request twice changes nothing.

mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_ingest::exposition::MetricKind;
use mainstay_ingest::remote_write::{
    Guess, Receipt, RemoteWriteError, Request, Series, SeriesCache, SeriesKey, Version, decompress,
};
use mainstay_ingest::{Exemplar, FamilyMetadata};
use mainstay_kernel::reach::TENANT_LABEL;
use mainstay_series::{HistogramSample, Sample, SeriesError, SeriesRef};

use super::Telemetry;
use super::tenants::{Overrun, Runs, TenantNo, tenant_of, totals};
use refusal::{Refusal, refusal, refuse_some, tell};
pub(super) use refusal::{of_another_tenant, why_refused};

/// How many label sets are remembered per tenant: about 60 MB at most.
const CACHED_SERIES: usize = 1_000_000;
/// Of how many tenants label sets are remembered; of others they are looked up anew.
const CACHED_TENANTS: usize = 1_000;
/// The fewest bytes that a sample takes in a request: those of its tag and its length.
const SAMPLE_MIN_BYTES: usize = 2;
/// How many buffers are kept for requests to come.
const BUFFERS: usize = 8;
/// A buffer that grew larger than this is not kept.
const BUFFER_MAX_BYTES: usize = 8 << 20;

/// What a label set is: a series, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    series: SeriesRef,
    tenant: TenantNo,
    /// Enough of a hash of what was said of it last to know whether anything else is said; 0 if nothing was.
    said: u32,
    /// What came after it last.
    next: Guess,
}

/// Which series the label sets of one tenant are.
type Cache = Arc<Mutex<SeriesCache<Known>>>;

/// What is remembered between requests.
#[derive(Default)]
pub(super) struct Inbox {
    caches: Mutex<BTreeMap<Option<String>, Cache>>,
    buffers: Mutex<Vec<Buffers>>,
}

/// Memory that requests use one after another.
#[derive(Default)]
struct Buffers {
    message: Vec<u8>,
    samples: Vec<Sample>,
    created_ms: Vec<Option<i64>>,
    histograms: Vec<HistogramSample>,
    histograms_created_ms: Vec<Option<i64>>,
    exemplars: Vec<(SeriesRef, Exemplar)>,
    /// Whose the samples, the histograms and the exemplars are.
    whose: [Runs; 3],
}

impl Inbox {
    fn cache(&self, tenant: Option<&str>) -> Cache {
        let tenant = tenant.map(str::to_owned);
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = caches.get(&tenant) {
            return Arc::clone(cache);
        }
        let cache = Arc::new(Mutex::new(SeriesCache::new(CACHED_SERIES)));
        if caches.len() < CACHED_TENANTS {
            caches.insert(tenant, Arc::clone(&cache));
        }
        cache
    }

    fn borrow(&self) -> Buffers {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    fn give_back(&self, mut used: Buffers) {
        used.samples.clear();
        used.created_ms.clear();
        used.histograms.clear();
        used.histograms_created_ms.clear();
        used.exemplars.clear();
        used.whose.iter_mut().for_each(Runs::clear);
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < BUFFERS && used.message.capacity() <= BUFFER_MAX_BYTES {
            buffers.push(used);
        }
    }
}

impl Telemetry {
    /// Takes the body of a remote write request in. If a tenant is given, every series is that tenant's: one that names
    /// another tenant is refused. Blocks until what the receipt counts is durable.
    ///
    /// `limit_bytes` bounds the request once it is unpacked.
    pub fn receive(
        &self,
        version: Version,
        body: &[u8],
        tenant: Option<&str>,
        limit_bytes: usize,
    ) -> Receipt {
        let mut buffers = self.inbox.borrow();
        let receipt = self.receive_into(&mut buffers, version, body, tenant, limit_bytes);
        self.inbox.give_back(buffers);
        receipt.unwrap_or_else(|error| Receipt::refusal(&error))
    }

    fn receive_into(
        &self,
        buffers: &mut Buffers,
        version: Version,
        body: &[u8],
        tenant: Option<&str>,
        limit_bytes: usize,
    ) -> Result<Receipt, RemoteWriteError> {
        let Buffers {
            message,
            samples,
            created_ms,
            histograms,
            histograms_created_ms,
            exemplars,
            whose,
        } = buffers;
        decompress(body, limit_bytes, message)?;
        let request = Request::parse(version, message)?;
        for said in request.metadata() {
            let said = said?;
            let said = FamilyMetadata::new(said.family, said.kind, said.help, said.unit);
            self.note_told(tenant.unwrap_or_default(), said);
        }
        if let Some(tenant) = tenant
            && let Some(overrun) = self.overrun(&request, message.len(), tenant)?
        {
            return Ok(refusal(&overrun));
        }
        let cache = self.inbox.cache(tenant);
        // Of a request of everybody's the tenants are known only with its series.
        let mut overruns = tenant.map(|_| BTreeMap::new());
        // The second time for series that retention removed since they were looked up.
        for first in [true, false] {
            samples.clear();
            created_ms.clear();
            histograms.clear();
            histograms_created_ms.clear();
            exemplars.clear();
            whose.iter_mut().for_each(Runs::clear);
            let mut receipt = Receipt::default();
            {
                let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                let mut all = request.series();
                let mut before: Option<(SeriesKey, Known)> = None;
                while let Some(series) = all.next_guessed(before.map_or_else(Guess::default, |it| it.1.next))
                {
                    let series = series?;
                    let found = series
                        .key()
                        .map_err(Refusal::from)
                        .and_then(|key| Ok((key, self.known(&mut cache, key, &series, tenant)?)));
                    let found = match found {
                        Ok((key, found)) => {
                            let guess = series.guess(key);
                            if let Some((key, known)) = before
                                && known.next != guess
                            {
                                cache.insert(key, Known { next: guess, ..known });
                            }
                            before = Some((key, found));
                            found
                        }
                        Err(refusal) => {
                            before = None;
                            let [floats, native, examples] = series.counts();
                            for _ in 0..(floats + native + examples).max(1) {
                                receipt.refuse(refusal.status(), &refusal);
                            }
                            if first && let Some(reason) = refusal.reason() {
                                let named = series.labels().ok();
                                let named = named.as_ref().map_or("", tenant_of);
                                let whose = self.tenants.number(tenant.unwrap_or(named));
                                self.tenants.refuse(whose, reason, floats + native);
                            }
                            continue;
                        }
                    };
                    let (found, owner) = (found.series, found.tenant);
                    let before = [samples.len(), histograms.len(), exemplars.len()];
                    for sample in series.samples() {
                        let sample = sample?;
                        samples.push(Sample {
                            series: found,
                            t_ms: sample.t_ms,
                            value: sample.value,
                        });
                        if sample.start_ms.is_some() {
                            created_ms.resize(samples.len() - 1, None);
                            created_ms.push(sample.start_ms);
                        }
                    }
                    for histogram in series.histograms() {
                        match histogram {
                            Ok(histogram) => {
                                histograms.push(HistogramSample {
                                    series: found,
                                    t_ms: histogram.t_ms,
                                    value: Arc::new(histogram.histogram),
                                });
                                if histogram.start_ms.is_some() {
                                    histograms_created_ms.resize(histograms.len() - 1, None);
                                    histograms_created_ms.push(histogram.start_ms);
                                }
                            }
                            Err(error) if error.refuses_request() => return Err(error),
                            Err(error) => receipt.refuse(400, &error),
                        }
                    }
                    for exemplar in series.exemplars() {
                        match exemplar {
                            Ok(exemplar) => exemplars.push((found, exemplar)),
                            Err(error) if error.refuses_request() => return Err(error),
                            Err(error) => receipt.refuse(400, &error),
                        }
                    }
                    let after = [samples.len(), histograms.len(), exemplars.len()];
                    for ((runs, after), before) in whose.iter_mut().zip(after).zip(before) {
                        runs.push(owner, after - before);
                    }
                }
            }
            let overruns = overruns.get_or_insert_with(|| {
                if self.tenants.all_may_send(samples.len() + histograms.len()) {
                    return BTreeMap::new();
                }
                let now_ms = self.clock.now().as_millisecond();
                self.tenants.charge(&totals([&whose[0], &whose[1]]), now_ms)
            });
            if !overruns.is_empty() {
                let all = samples.len() + histograms.len();
                created_ms.resize(samples.len(), None);
                histograms_created_ms.resize(histograms.len(), None);
                whose[0].drop_of(overruns, created_ms);
                whose[0].drop_of(overruns, samples);
                whose[1].drop_of(overruns, histograms_created_ms);
                whose[1].drop_of(overruns, histograms);
                whose[2].drop_of(overruns, exemplars);
                whose.iter_mut().for_each(|runs| runs.forget(overruns));
                let kept = samples.len() + histograms.len();
                refuse_some(&mut receipt, overruns, all - kept, kept == 0);
            }
            let written = self.write(
                (samples, created_ms),
                (histograms, histograms_created_ms),
                whose,
                &mut receipt,
            );
            let removed = match written {
                Ok(removed) => removed,
                Err(error) => {
                    let mut receipt = Receipt::default();
                    receipt.refuse(503, &error);
                    return Ok(receipt);
                }
            };
            if removed.is_empty() || !first {
                let now_ms = self.clock.now().as_millisecond();
                receipt.exemplars =
                    self.note_exemplars(exemplars.drain(..).filter_map(|(series, exemplar)| {
                        Some((self.store.labels(series)?, exemplar, now_ms))
                    }));
                return Ok(receipt);
            }
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.retain(|known| !removed.contains(&known.series));
        }
        Ok(Receipt::default())
    }

    /// Charges the tenant whose a request is for all of it, before any of it is taken apart; says why it is refused.
    fn overrun(
        &self,
        request: &Request<'_>,
        message_bytes: usize,
        tenant: &str,
    ) -> Result<Option<Overrun>, RemoteWriteError> {
        let sender = self.tenants.number(tenant);
        if self
            .tenants
            .cannot_overrun(sender, (message_bytes / SAMPLE_MIN_BYTES) as u64)
        {
            return Ok(None);
        }
        let mut samples = 0;
        for series in request.series() {
            let [floats, native, _] = series?.counts();
            samples += floats + native;
        }
        let total = BTreeMap::from([(sender, samples)]);
        let now_ms = self.clock.now().as_millisecond();
        Ok(self.tenants.charge(&total, now_ms).remove(&sender))
    }

    /// The series that a request names: one that is remembered, or else found or made. What 2.0 says of its metric is noted
    /// when it is another than last time.
    fn known(
        &self,
        cache: &mut SeriesCache<Known>,
        key: SeriesKey,
        series: &Series<'_>,
        tenant: Option<&str>,
    ) -> Result<Known, Refusal> {
        #[expect(clippy::cast_possible_truncation, reason = "enough of it")]
        let said = series.metadata_hash()?.map(|hash| hash as u32);
        let known = cache.get(key);
        if let Some(known) = known
            && said.is_none_or(|said| said == known.said)
        {
            return Ok(known);
        }
        let mut found = match known {
            Some(known) => known,
            None => self.resolve(series, tenant)?,
        };
        // It is said in every request: it is enough to hear it once.
        if let Some(said) = series.metadata()?
            && let Some(labels) = self.store.labels(found.series)
        {
            let family = family_of(labels.metric_name(), said.kind);
            let said = FamilyMetadata::new(family, said.kind, said.help, said.unit);
            self.note_told(labels.get(TENANT_LABEL).unwrap_or_default(), said);
        }
        found.said = said.unwrap_or_default();
        cache.insert(key, found);
        Ok(found)
    }

    /// Finds or makes the series that a request names.
    fn resolve(&self, series: &Series<'_>, tenant: Option<&str>) -> Result<Known, Refusal> {
        let mut labels = series.labels()?;
        if let Some(tenant) = tenant {
            match labels.get(TENANT_LABEL) {
                Some(named) if named != tenant => {
                    return Err(Refusal::Tenant(of_another_tenant(named, tenant)));
                }
                Some(_) => {}
                None => labels.set(TENANT_LABEL, tenant),
            }
        }
        let series = self.store.series_ref(&labels)?;
        let tenant = self.tenants.number(tenant_of(&labels));
        Ok(Known {
            series,
            tenant,
            said: 0,
            next: Guess::default(),
        })
    }

    /// Stores everything, each with when its count began, tells the receipt what became of it, and gives the series that are no more.
    fn write(
        &self,
        (samples, created_ms): (&[Sample], &[Option<i64>]),
        (histograms, histograms_created_ms): (&[HistogramSample], &[Option<i64>]),
        whose: &[Runs; 3],
        receipt: &mut Receipt,
    ) -> Result<BTreeSet<SeriesRef>, SeriesError> {
        let mut removed = BTreeSet::new();
        let floats = samples.iter().zip(created_ms);
        let floats = floats.map(|(sample, start_ms)| (sample.series, sample.t_ms, *start_ms));
        let others = histograms.iter().zip(histograms_created_ms);
        let others = others.map(|(sample, start_ms)| (sample.series, sample.t_ms, *start_ms));
        for (series, t_ms, start_ms) in floats.chain(others) {
            match self.store.set_start(series, t_ms, start_ms) {
                Ok(()) => {}
                Err(SeriesError::UnknownSeries(_)) => {
                    removed.insert(series);
                }
                Err(error) => return Err(error),
            }
        }
        if !samples.is_empty() {
            let appended = self.take(samples, |at| created_ms.get(at).copied().flatten())?;
            self.tenants.settle(&whose[0], &appended.outcomes);
            receipt.samples = tell(
                &appended,
                receipt,
                samples.iter().map(|sample| sample.series),
                &mut removed,
            );
        }
        if !histograms.is_empty() {
            let appended =
                self.take_histograms(histograms, |at| histograms_created_ms.get(at).copied().flatten())?;
            self.tenants.settle(&whose[1], &appended.outcomes);
            receipt.histograms = tell(
                &appended,
                receipt,
                histograms.iter().map(|sample| sample.series),
                &mut removed,
            );
        }
        Ok(removed)
    }
}

/// The family that a series of this kind belongs to.
fn family_of(metric: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram => &["_bucket", "_sum", "_count"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    let family = suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix));
    family.unwrap_or(metric)
}
