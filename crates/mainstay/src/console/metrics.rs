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
use mainstay_kernel::{Labels, Matcher, Principal, Reach};
use mainstay_plane::signing::SigningKey;
use mainstay_plane::{Telemetry, telemetry};
use mainstay_promql::{SourceError, is_stale};
use mainstay_series::Store;
use mainstay_web::view::{
    Deleted, Deletion, Exemplar, InstantQuery, MetricMetadata, OtlpAnswer, QueryAnswer, QueryError,
    RangeQuery, RuleGroup, Runtime, Sample, ScrapedTarget, Selection, SeriesExemplars, StoreStatus, Targets,
    WriteRequest, Written,
};
use mainstay_web::{Answer, Failure, Metrics};

use super::desk::Doors;
use super::{PlaneConsole, Scrapes, otlp, own_metrics, question, rule};
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
    /// By which it signs what is believed without it.
    pub(crate) key: Arc<SigningKey>,
    /// Where people acknowledge who are not signed in.
    pub(crate) doors: Arc<Doors>,
}

/// How many may look up series, labels and rules at once; further ones wait.
const LOOKS_AT_ONCE: usize = 4;
/// How many remote write requests are unpacked at once; further ones wait.
const WRITES_AT_ONCE: usize = 8;

/// How many requests with alerts are unpacked at once; further ones wait.
const TELLINGS_AT_ONCE: usize = 2;

/// Whose turn it is to do what takes memory or a thread.
pub(super) struct Turns {
    tellings: question::turns::Turns,
    looks: question::turns::Turns,
    writes: question::turns::Turns,
    orders: Arc<Semaphore>,
}

impl Turns {
    /// The turn of whoever tells of alerts.
    pub(super) async fn tell(&self, who: &Principal) -> question::turns::Turn {
        self.tellings.take_as(who.actor.to_string()).await
    }

    /// The turn of an order: there is one at a time. Nobody ever closes it.
    pub(super) async fn order(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.orders).acquire_owned().await.ok()
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            tellings: question::turns::Turns::new(TELLINGS_AT_ONCE),
            looks: question::turns::Turns::new(LOOKS_AT_ONCE),
            writes: question::turns::Turns::new(WRITES_AT_ONCE),
            orders: Arc::new(Semaphore::new(1)),
        }
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Asks the telemetry for something that may take long, about the series within reach.
    async fn look_up<T: Send + 'static>(
        &self,
        reach: &Reach,
        look: impl FnOnce(&Telemetry) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let telemetry = Arc::clone(&self.telemetry);
        let query = telemetry.begin_query(reach);
        let query = query.map_err(|refused| QueryError::TooMany(refused.to_string()))?;
        let turn = self.turns.looks.take(reach).await;
        let work = move || {
            let _turns = (turn, query);
            look(&telemetry)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|panic| Err(QueryError::Internal(format!("it broke off: {panic}"))))
    }

    /// Has the telemetry take in what somebody sends, in its turn.
    async fn take_in<T: Send + 'static>(
        &self,
        request: WriteRequest,
        receive: impl FnOnce(&Telemetry, WriteRequest, Option<&str>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let tenant = one_tenant(&request.reach)?;
        let telemetry = Arc::clone(&self.telemetry);
        let turn = self.turns.writes.take(&request.reach).await;
        let work = move || {
            let _turn = turn;
            receive(&telemetry, request, tenant.as_deref())
        };
        let received = tokio::task::spawn_blocking(work).await;
        received.map_err(|panic| Failure::Internal {
            detail: format!("a request with samples broke off: {panic}"),
        })
    }
}

/// The selectors, each limited to what may be seen.
fn within(selection: &Selection) -> Vec<Vec<Matcher>> {
    let limit = selection.reach.matcher();
    let limited = |matchers: &Vec<Matcher>| matchers.iter().chain(&limit).cloned().collect();
    selection.selectors.iter().map(limited).collect()
}

/// The series that at least one selector means and that may have samples in the time.
fn selected(store: &Store, selection: &Selection) -> BTreeSet<Arc<Labels>> {
    let mut selectors = within(selection);
    if selectors.is_empty() {
        selectors.push(selection.reach.matcher().into_iter().collect());
    }
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
        let (reach, selection) = (&selection.reach, selection.clone());
        Box::pin(self.look_up(reach, move |telemetry| {
            let found = telemetry.exemplars(&within(&selection), selection.start_ms, selection.end_ms);
            let shown = |(labels, exemplars): telemetry::SeriesExemplars| SeriesExemplars {
                labels,
                exemplars: exemplars.into_iter().map(exemplar).collect(),
            };
            Ok(found.into_iter().map(shown).collect())
        }))
    }

    fn series<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<Arc<Labels>>, QueryError> {
        let (reach, selection) = (&selection.reach, selection.clone());
        Box::pin(self.look_up(reach, move |telemetry| {
            Ok(selected(telemetry.store(), &selection).into_iter().collect())
        }))
    }

    /// Of all series the names are those in the index, whatever the time: that costs nothing, and Prometheus' own answer
    /// is no more exact than its blocks.
    fn label_names<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<String>, QueryError> {
        let (reach, selection) = (&selection.reach, selection.clone());
        Box::pin(self.look_up(reach, move |telemetry| {
            if selection.selectors.is_empty() {
                let within: Vec<Matcher> = selection.reach.matcher().into_iter().collect();
                return Ok(telemetry.store().label_names(&within));
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
        let (reach, name, selection) = (&selection.reach, name.to_owned(), selection.clone());
        Box::pin(self.look_up(reach, move |telemetry| {
            if selection.selectors.is_empty() {
                let within: Vec<Matcher> = selection.reach.matcher().into_iter().collect();
                return Ok(telemetry.store().label_values(&name, &within));
            }
            let series = selected(telemetry.store(), &selection);
            let values: BTreeSet<&str> = series.iter().filter_map(|labels| labels.get(&name)).collect();
            Ok(values.into_iter().map(str::to_owned).collect())
        }))
    }

    fn latest<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<(Arc<Labels>, Sample)>, QueryError> {
        let (reach, selection) = (&selection.reach, selection.clone());
        Box::pin(self.look_up(reach, move |telemetry| {
            let samples = telemetry.samples();
            let limits = telemetry.query_limits(&selection.reach);
            let (after_ms, until_ms) = (selection.start_ms.saturating_sub(1), selection.end_ms);
            let mut newest = BTreeMap::new();
            for matchers in &within(&selection) {
                let found = samples.select_at_most(matchers, after_ms, until_ms, limits.query_samples);
                let found = found.map_err(|error| match error {
                    SourceError::Failed(problem) => QueryError::Internal(problem),
                    limit => QueryError::Execution(limit.to_string()),
                })?;
                let last = found.into_iter().filter_map(|series| {
                    let sample = *series.samples.last()?;
                    (!is_stale(sample.1)).then_some((series.labels, sample))
                });
                newest.extend(last);
            }
            Ok(newest.into_iter().collect())
        }))
    }

    fn metric_metadata<'a>(&'a self, reach: &'a Reach) -> Answer<'a, Vec<MetricMetadata>, QueryError> {
        Box::pin(async {
            let mut known = Vec::new();
            for target in self.program.scrapes.targets().active {
                if !reach.includes(&target.labels) {
                    continue;
                }
                let instance = target.labels.get("instance").unwrap_or_default();
                let said = self.telemetry.target_metadata(&target.job, instance);
                known.extend(said.iter().map(|said| metadata(said, &target.labels)));
            }
            let told = self.telemetry.told_metadata(reach);
            known.extend(told.iter().map(|said| metadata(said, &Labels::new())));
            Ok(known)
        })
    }

    fn targets(&self) -> Answer<'_, Targets, QueryError> {
        Box::pin(async { Ok(self.program.scrapes.targets()) })
    }

    fn rule_groups(&self) -> Answer<'_, Vec<RuleGroup>, QueryError> {
        Box::pin(self.look_up(&Reach::All, |telemetry| Ok(telemetry.rule_groups(rule::group))))
    }

    fn store_status<'a>(&'a self, limit: usize, reach: &'a Reach) -> Answer<'a, StoreStatus, QueryError> {
        let within: Vec<Matcher> = reach.matcher().into_iter().collect();
        Box::pin(self.look_up(reach, move |telemetry| {
            Ok(status(telemetry.store(), &within, limit))
        }))
    }

    fn write<'a>(&'a self, _who: &'a Principal, request: WriteRequest) -> Answer<'a, Written> {
        Box::pin(async move {
            let receive = |telemetry: &Telemetry, request: WriteRequest, tenant: Option<&str>| match negotiate(
                request.content_type.as_deref(),
                request.content_encoding.as_deref(),
            ) {
                Ok(version) => telemetry.receive(version, &request.body, tenant, WRITE_MAX_BYTES),
                Err(error) => Receipt::refusal(&error),
            };
            let receipt = self.take_in(request, receive).await?;
            Ok(Written {
                status: receipt.status(),
                counts: receipt.headers(),
                problem: receipt.body(),
                retry_after_s: receipt.retry_after_s,
            })
        })
    }

    fn write_otlp<'a>(&'a self, _who: &'a Principal, request: WriteRequest) -> Answer<'a, OtlpAnswer> {
        Box::pin(self.take_in(request, |telemetry, request, tenant| {
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

    fn own_metrics(&self) -> Answer<'_, String, QueryError> {
        // Not a query: what is refused must be seen when everything is.
        let telemetry = Arc::clone(&self.telemetry);
        Box::pin(async move {
            let text = tokio::task::spawn_blocking(move || own_metrics::exposition(&telemetry)).await;
            let text = text.map_err(|panic| QueryError::Internal(format!("it broke off: {panic}")))?;
            let refused = own_metrics::refused(self.program.doors.refused());
            Ok(text + &refused + &self.counts.exposition())
        })
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
fn one_tenant(reach: &Reach) -> Result<Option<String>, Failure> {
    let mut tenants = reach.tenants();
    match (tenants.next(), tenants.next()) {
        (tenant, None) => Ok(tenant.map(str::to_owned)),
        (_, Some(_)) => Err(Failure::Invalid {
            message: "the request is of several tenants, so the samples may be anybody's of them".to_owned(),
            help: "Name one of them in the header X-Scope-OrgID, or write with an account of one tenant."
                .to_owned(),
        }),
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
fn status(store: &Store, within: &[Matcher], limit: usize) -> StoreStatus {
    let series = store.series(within, i64::MIN, i64::MAX);
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
