//! Samples, rules and targets as Prometheus' HTTP API asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use mainstay_catalog::Format;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_ingest::FamilyMetadata;
use mainstay_ingest::remote_write::{Receipt, negotiate};
use mainstay_journal::Journal;
use mainstay_kernel::principal::Tenants;
use mainstay_kernel::{Labels, Principal, TenantId};
use mainstay_plane::{Telemetry, telemetry};
use mainstay_promql::{Samples, is_stale};
use mainstay_series::Store;
use mainstay_web::view::{
    Deleted, Deletion, Exemplar, InstantQuery, MetricMetadata, OtlpAnswer, QueryAnswer, QueryError,
    RangeQuery, RuleGroup, Runtime, Sample, ScrapedTarget, Selection, SeriesExemplars, StoreStatus, Targets,
    WriteRequest, Written,
};
use mainstay_web::{Answer, Failure, Metrics};

use super::{PlaneConsole, Scrapes, otlp, rule};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How large a remote write request may be once it is unpacked, in bytes.
const WRITE_MAX_BYTES: usize = 32 << 20;

/// What is known of the program itself.
#[derive(Clone)]
pub(crate) struct Program {
    /// When it started.
    pub(crate) started_at: Timestamp,
    /// Its options, without secrets.
    pub(crate) flags: Arc<Vec<(String, String)>>,
    /// What it scrapes.
    pub(crate) scrapes: Arc<Scrapes>,
}

/// How many may look up series, labels and rules at once; further ones wait.
const LOOKS_AT_ONCE: usize = 4;
/// How many remote write requests are unpacked at once; further ones wait.
const WRITES_AT_ONCE: usize = 8;

/// Whose turn it is to do what takes memory or a thread.
pub(super) struct Turns {
    looks: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    orders: Arc<Semaphore>,
}

impl Turns {
    /// The turn of an order: there is one at a time. Nobody ever closes it.
    pub(super) async fn order(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.orders).acquire_owned().await.ok()
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE)),
            orders: Arc::new(Semaphore::new(1)),
        }
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Asks the telemetry for something that may take long.
    async fn look_up<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Telemetry) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let telemetry = Arc::clone(&self.telemetry);
        let turn = Arc::clone(&self.turns.looks).acquire_owned().await;
        let work = move || {
            let _turn = turn;
            look(&telemetry)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|panic| Err(QueryError::Internal(format!("it broke off: {panic}"))))
    }

    /// Has the telemetry take in what somebody sends, in its turn.
    async fn take_in<T: Send + 'static>(
        &self,
        who: &Principal,
        receive: impl FnOnce(&Telemetry, Option<&TenantId>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let tenant = own_tenant(who)?;
        let telemetry = Arc::clone(&self.telemetry);
        let turn = Arc::clone(&self.turns.writes).acquire_owned().await;
        let work = move || {
            let _turn = turn;
            receive(&telemetry, tenant.as_ref())
        };
        let received = tokio::task::spawn_blocking(work).await;
        received.map_err(|panic| Failure::Internal {
            detail: format!("a request with samples broke off: {panic}"),
        })
    }
}

/// The series that at least one selector means and that may have samples in the time.
fn selected(store: &Store, selection: &Selection) -> BTreeSet<Arc<Labels>> {
    let every = [Vec::new()];
    let selectors = if selection.selectors.is_empty() {
        &every[..]
    } else {
        &selection.selectors
    };
    let (after_ms, until_ms) = (selection.start_ms.saturating_sub(1), selection.end_ms);
    selectors
        .iter()
        .flat_map(|matchers| store.series(matchers, after_ms, until_ms))
        .collect()
}

impl<J: Journal, C: Channels + 'static, H: Hands> Metrics for PlaneConsole<J, C, H> {
    fn query<'a>(&'a self, query: &'a InstantQuery) -> Answer<'a, QueryAnswer, QueryError> {
        Box::pin(self.foreign_questions.answer_instant(query))
    }

    fn query_range<'a>(&'a self, query: &'a RangeQuery) -> Answer<'a, QueryAnswer, QueryError> {
        Box::pin(self.foreign_questions.answer_range(query))
    }

    fn exemplars<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<SeriesExemplars>, QueryError> {
        let selection = selection.clone();
        Box::pin(self.look_up(move |telemetry| {
            let found = telemetry.exemplars(&selection.selectors, selection.start_ms, selection.end_ms);
            let shown = |(labels, exemplars): telemetry::SeriesExemplars| SeriesExemplars {
                labels,
                exemplars: exemplars.into_iter().map(exemplar).collect(),
            };
            Ok(found.into_iter().map(shown).collect())
        }))
    }

    fn series<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<Arc<Labels>>, QueryError> {
        let selection = selection.clone();
        Box::pin(
            self.look_up(move |telemetry| Ok(selected(telemetry.store(), &selection).into_iter().collect())),
        )
    }

    /// Of all series the names are those in the index, whatever the time: that costs nothing, and Prometheus' own answer
    /// is no more exact than its blocks.
    fn label_names<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<String>, QueryError> {
        let selection = selection.clone();
        Box::pin(self.look_up(move |telemetry| {
            if selection.selectors.is_empty() {
                return Ok(telemetry.store().label_names(&[]));
            }
            let mut names = BTreeSet::new();
            for labels in selected(telemetry.store(), &selection) {
                for (name, _) in labels.iter() {
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                }
            }
            Ok(names.into_iter().collect())
        }))
    }

    /// As for the names.
    fn label_values<'a>(
        &'a self,
        name: &'a str,
        selection: &'a Selection,
    ) -> Answer<'a, Vec<String>, QueryError> {
        let (name, selection) = (name.to_owned(), selection.clone());
        Box::pin(self.look_up(move |telemetry| {
            if selection.selectors.is_empty() {
                return Ok(telemetry.store().label_values(&name, &[]));
            }
            let series = selected(telemetry.store(), &selection);
            let values: BTreeSet<&str> = series.iter().filter_map(|labels| labels.get(&name)).collect();
            Ok(values.into_iter().map(str::to_owned).collect())
        }))
    }

    fn latest<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<(Arc<Labels>, Sample)>, QueryError> {
        let selection = selection.clone();
        Box::pin(self.look_up(move |telemetry| {
            let samples = telemetry.samples();
            let (after_ms, until_ms) = (selection.start_ms.saturating_sub(1), selection.end_ms);
            let mut newest = BTreeMap::new();
            for matchers in &selection.selectors {
                let found = samples
                    .select(matchers, after_ms, until_ms)
                    .map_err(|error| QueryError::Internal(error.to_string()))?;
                let last = found.into_iter().filter_map(|series| {
                    let sample = *series.samples.last()?;
                    (!is_stale(sample.1)).then_some((series.labels, sample))
                });
                newest.extend(last);
            }
            Ok(newest.into_iter().collect())
        }))
    }

    fn metric_metadata(&self) -> Answer<'_, Vec<MetricMetadata>, QueryError> {
        Box::pin(async {
            let mut known = Vec::new();
            for target in self.program.scrapes.targets().active {
                let instance = target.labels.get("instance").unwrap_or_default();
                let said = self.telemetry.target_metadata(&target.job, instance);
                known.extend(said.iter().map(|said| metadata(said, &target.labels)));
            }
            let told = self.telemetry.told_metadata();
            known.extend(told.iter().map(|said| metadata(said, &Labels::new())));
            Ok(known)
        })
    }

    fn targets(&self) -> Answer<'_, Targets, QueryError> {
        Box::pin(async { Ok(self.program.scrapes.targets()) })
    }

    fn rule_groups(&self) -> Answer<'_, Vec<RuleGroup>, QueryError> {
        Box::pin(self.look_up(|telemetry| Ok(telemetry.rule_groups(rule::group))))
    }

    fn store_status(&self, limit: usize) -> Answer<'_, StoreStatus, QueryError> {
        Box::pin(self.look_up(move |telemetry| Ok(status(telemetry.store(), limit))))
    }

    fn write<'a>(&'a self, who: &'a Principal, request: WriteRequest) -> Answer<'a, Written> {
        Box::pin(async move {
            let receive = move |telemetry: &Telemetry, tenant: Option<&TenantId>| match negotiate(
                request.content_type.as_deref(),
                request.content_encoding.as_deref(),
            ) {
                Ok(version) => telemetry.receive(version, &request.body, tenant, WRITE_MAX_BYTES),
                Err(error) => Receipt::refusal(&error),
            };
            let receipt = self.take_in(who, receive).await?;
            Ok(Written {
                status: receipt.status(),
                counts: receipt.headers(),
                problem: receipt.body(),
            })
        })
    }

    fn write_otlp<'a>(&'a self, who: &'a Principal, request: WriteRequest) -> Answer<'a, OtlpAnswer> {
        Box::pin(self.take_in(who, move |telemetry, tenant| {
            otlp::receive(telemetry, &request, tenant, WRITE_MAX_BYTES)
        }))
    }

    fn delete_series<'a>(
        &'a self,
        who: &'a Principal,
        deletion: &'a Deletion,
    ) -> Answer<'a, Deleted, QueryError> {
        Box::pin(self.delete(who, deletion))
    }

    fn clean_tombstones<'a>(&'a self, _who: &'a Principal) -> Answer<'a, (), QueryError> {
        Box::pin(self.clean())
    }

    fn snapshot<'a>(&'a self, _who: &'a Principal, skip_head: bool) -> Answer<'a, String, QueryError> {
        Box::pin(self.copy_store(skip_head))
    }

    fn runtime(&self) -> Answer<'_, Runtime, QueryError> {
        Box::pin(async {
            let catalog = self.plane.look(|states| states.catalog.clone()).await;
            let rule_files = catalog
                .documents
                .of_format(Format::PrometheusRules)
                .map(|document| document.file.to_string());
            Ok(Runtime {
                started_at: self.program.started_at,
                directory: std::env::current_dir()
                    .map_or_else(|_| String::new(), |path| path.display().to_string()),
                retention_ms: self.telemetry.store().options().retention_ms,
                threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                flags: Arc::clone(&self.program.flags),
                configuration: configuration(rule_files.collect(), &self.program.scrapes.targets().active),
            })
        })
    }
}

/// The tenant whose the samples are that somebody writes; `None` if they may be anybody's.
fn own_tenant(who: &Principal) -> Result<Option<TenantId>, Failure> {
    match &who.tenants {
        Tenants::All => Ok(None),
        Tenants::Only(tenants) => {
            let mut tenants = tenants.iter();
            match (tenants.next(), tenants.next()) {
                (Some(tenant), None) => Ok(Some(tenant.clone())),
                _ => Err(Failure::Invalid {
                    message:
                        "the account is limited to several tenants, so the samples may be anybody's of them"
                            .to_owned(),
                    help: "Write with an account of one tenant, or of all.".to_owned(),
                }),
            }
        }
    }
}

fn exemplar(kept: telemetry::StoredExemplar) -> Exemplar {
    Exemplar {
        labels: kept.labels,
        value: kept.value,
        at_ms: kept.t_ms,
    }
}

fn metadata(said: &FamilyMetadata, target: &Labels) -> MetricMetadata {
    MetricMetadata {
        metric: said.family.clone(),
        target: target.clone(),
        kind: said.kind.name().to_owned(),
        help: said.help.clone(),
        unit: said.unit.clone(),
    }
}

/// Counts what the series have. O(labels of all series).
fn status(store: &Store, limit: usize) -> StoreStatus {
    let series = store.series(&[], i64::MIN, i64::MAX);
    let mut by_pair: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for labels in &series {
        for pair in labels.iter() {
            *by_pair.entry(pair).or_default() += 1;
        }
    }
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, value) in by_pair.keys() {
        *values.entry(name).or_default() += 1;
        *bytes.entry(name).or_default() += value.len();
    }
    let metrics = by_pair.iter().filter(|((name, _), _)| *name == "__name__");
    StoreStatus {
        series: series.len(),
        label_pairs: by_pair.len(),
        series_by_metric: largest(
            metrics.map(|((_, metric), count)| ((*metric).to_owned(), *count)),
            limit,
        ),
        values_by_label: largest(values.iter().map(|(name, n)| ((*name).to_owned(), *n)), limit),
        bytes_by_label: largest(bytes.iter().map(|(name, n)| ((*name).to_owned(), *n)), limit),
        series_by_pair: largest(
            by_pair
                .iter()
                .map(|((name, value), count)| (format!("{name}={value}"), *count)),
            limit,
        ),
    }
}

/// The entries with the largest counts, the largest first.
fn largest(entries: impl Iterator<Item = (String, usize)>, limit: usize) -> Vec<(String, usize)> {
    let mut entries: Vec<(String, usize)> = entries.collect();
    entries.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    entries.truncate(limit);
    entries
}

/// What is scraped and judged, as a Prometheus configuration says it. Made from what is at work, so that no secret of a
/// file can be in it.
fn configuration(rule_files: Vec<String>, targets: &[ScrapedTarget]) -> String {
    // A text in JSON is one in YAML.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let duration = |ms| mainstay_promql::duration::format_ms(ms);
    let mut yaml = String::from("rule_files:\n");
    for file in rule_files {
        yaml.push_str(&format!("  - {}\n", quoted(&file)));
    }
    yaml.push_str("scrape_configs:\n");
    let mut job = None;
    for target in targets {
        if job != Some(&target.job) {
            job = Some(&target.job);
            yaml.push_str(&format!(
                "  - job_name: {}\n    scrape_interval: {}\n    scrape_timeout: {}\n    static_configs:\n",
                quoted(&target.job),
                duration(target.interval_ms),
                duration(target.timeout_ms),
            ));
        }
        let address = target.discovered.get("__address__").unwrap_or_default();
        let address = address.rsplit_once('@').map_or(address, |(_, address)| address);
        yaml.push_str(&format!("      - targets: [{}]\n", quoted(address)));
        let labels = target.labels.filtered(|name| name != "job" && name != "instance");
        if !labels.is_empty() {
            let labels = serde_json::to_string(&labels).unwrap_or_default();
            yaml.push_str(&format!("        labels: {labels}\n"));
        }
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_yaml_without_passwords() {
        let target = |instance: &str, address: &str| ScrapedTarget {
            discovered: Labels::from_iter([("__address__", address)]),
            labels: Labels::from_iter([("job", "a\"b"), ("instance", instance), ("cell", "1")]),
            job: "a\"b".to_owned(),
            pool: "a\"b".to_owned(),
            url: String::new(),
            interval_ms: 15_000,
            timeout_ms: 10_000,
            last: None,
        };
        let yaml = configuration(
            vec!["rules/a.yml".to_owned()],
            &[target("h:1", "ada:secret@h:1"), target("h:2", "h:2")],
        );
        assert_eq!(
            yaml,
            "rule_files:\n  - \"rules/a.yml\"\nscrape_configs:\n  - job_name: \"a\\\"b\"\n    scrape_interval: 15s\n\
             \x20   scrape_timeout: 10s\n    static_configs:\n      - targets: [\"h:1\"]\n        labels: {\"cell\":\"1\"}\n\
             \x20     - targets: [\"h:2\"]\n        labels: {\"cell\":\"1\"}\n"
        );
    }

    #[test]
    fn the_largest_come_first() {
        let entries = [("b", 2), ("a", 2), ("c", 3)].map(|(name, n)| (name.to_owned(), n));
        let found = largest(entries.into_iter(), 2);
        assert_eq!(found, [("c".to_owned(), 3), ("a".to_owned(), 2)]);
    }
}
