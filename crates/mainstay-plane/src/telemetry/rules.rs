//! The rules of a catalog, each group on its own clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::Observation;
use mainstay_catalog::diagnostic::Diagnostic;
use mainstay_catalog::{Diagnostics, Documents, Format, lint};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Labels, Matcher, STALE_NAN, Summary};
use mainstay_promql::{Limits, Outcome, QueryError, Resolution, Samples, Series, SourceError};
use mainstay_rules::{
    ActiveAlert, AlertState, Change, Group, GroupContext, GroupSpec, RuleFile, RuleMemory, RuleSample,
    RuleStore, Transition,
};
use mainstay_series::Row;

use super::rule_state::{self, Departed, RuleMemories};
use super::{Found, SOURCE, StoreSamples, Telemetry, TelemetryError};

/// What the group is called that samples indicators, and its file.
const SAMPLING: &str = "mainstay-sampled-indicators";
/// How often they are sampled: as often as objectives are judged.
const SAMPLE_EVERY: &str = "5s";

/// The group of rules that samples indicators.
fn sampling<'a>(recordings: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Scheduled> {
    let rules: Vec<serde_json::Value> = recordings
        .map(|(record, expr)| serde_json::json!({"record": record, "expr": expr}))
        .collect();
    if rules.is_empty() {
        return Vec::new();
    }
    let file = serde_json::json!({"groups": [{"name": SAMPLING, "interval": SAMPLE_EVERY, "rules": rules}]});
    // JSON is YAML, and the expressions were parsed when they were read.
    let groups = RuleFile::parse(SAMPLING, &file.to_string()).map(|file| file.groups);
    groups.into_iter().flatten().map(Scheduled::new).collect()
}

impl Scheduled {
    fn new(spec: GroupSpec) -> Self {
        Self {
            group: Group::new(spec, GroupContext::default()),
            next_ms: None,
            last: None,
        }
    }
}

/// All groups of a catalog.
pub(crate) struct RuleBook {
    groups: Vec<Scheduled>,
    /// Series of groups that are no more.
    departed: Vec<Departed>,
    /// Whether a restart would not know of something that an evaluation changed.
    unsaved: bool,
}

struct Scheduled {
    group: Group,
    next_ms: Option<i64>,
    last: Option<GroupEvaluation>,
}

/// How the last evaluation of a group went.
#[derive(Debug, Clone)]
pub struct GroupEvaluation {
    /// When it was.
    pub at: Timestamp,
    /// How long it took.
    pub took: SignedDuration,
    /// How it went for each rule, in order.
    pub rules: Vec<RuleEvaluation>,
}

/// How the last evaluation of a rule went.
#[derive(Debug, Clone)]
pub struct RuleEvaluation {
    /// How long it took.
    pub took: SignedDuration,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl RuleBook {
    /// Reads the rule files of a catalog, and has `recordings` (metrics and expressions) recorded besides.
    pub(crate) fn of<'a>(
        documents: &Documents,
        recordings: impl Iterator<Item = (&'a str, &'a str)>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut groups = sampling(recordings);
        for document in documents.of_format(Format::PrometheusRules) {
            match RuleFile::parse(&document.file, document.source()) {
                Ok(file) => groups.extend(file.groups.into_iter().map(Scheduled::new)),
                Err(error) => {
                    diagnostics.push(Diagnostic::whole_file(
                        lint::BAD_VALUE,
                        &*document.file,
                        error.to_string(),
                    ));
                }
            }
        }
        Self {
            groups,
            departed: Vec::new(),
            unsaved: false,
        }
    }

    /// Evaluates every group whose time has come. A group that is late is evaluated once, at its latest time.
    ///
    /// What fires, and what is over since a quarter of an hour at most, is told every time.
    pub(crate) fn evaluate(&mut self, telemetry: &Telemetry, now: Timestamp, found: &mut Found) {
        let now_ms = now.as_millisecond();
        let samples = telemetry.rule_samples();
        for scheduled in &mut self.groups {
            let next_ms = *scheduled
                .next_ms
                .get_or_insert_with(|| scheduled.group.next_evaluation_after(now_ms));
            if now_ms >= next_ms {
                self.unsaved |= scheduled.evaluate(telemetry, &samples, now_ms, found);
            }
        }
        self.end_departed(telemetry, now_ms, found);
        self.tell(found);
    }

    /// Tells how every alert stands. Where two rules have an alert with the same labels, it fires while one of them does.
    fn tell(&self, found: &mut Found) {
        let groups = self.groups.iter().map(|scheduled| &scheduled.group);
        let alerts = |state| {
            let all = groups.clone().flat_map(Group::alerts);
            all.filter(move |alert| alert.state == state)
        };
        let mut firing = BTreeSet::new();
        let mut told = Vec::new();
        for alert in alerts(AlertState::Firing) {
            firing.insert(&alert.labels);
            told.push(observation(alert, None));
        }
        let over = alerts(AlertState::Resolved).filter(|alert| !firing.contains(&alert.labels));
        let over = over.map(|alert| observation(alert, alert.resolved_at_ms));
        // What is over first: an alert that ended and began again, with another rule, is then not taken to be over.
        found.observations.extend(over);
        found.observations.extend(told);
    }

    /// Ends the series of groups that went away two intervals ago, but for those that another rule writes now.
    fn end_departed(&mut self, telemetry: &Telemetry, now_ms: i64, found: &mut Found) {
        let is_due = |departed: &mut Departed| departed.due_ms <= now_ms;
        let due: Vec<Departed> = self.departed.extract_if(.., is_due).collect();
        for departed in due {
            let written =
                |labels: &&Labels| self.groups.iter().any(|scheduled| scheduled.group.writes(labels));
            let ended = departed.series.iter().filter(|labels| !written(labels));
            let rows: Vec<Row<'_>> = ended
                .map(|labels| Row {
                    labels,
                    created_ms: None,
                    t_ms: departed.at_ms,
                    value: STALE_NAN,
                })
                .collect();
            if !rows.is_empty()
                && let Err(error) = telemetry.append(&rows)
            {
                let failure = format!("the series of rules that are no more could not be ended: {error}");
                found.failures.push(failure);
            }
        }
    }

    /// Looks at every group and its last evaluation, in order of file and name.
    pub(crate) fn each<T>(&self, mut look: impl FnMut(&Group, Option<&GroupEvaluation>) -> T) -> Vec<T> {
        let mut groups: Vec<&Scheduled> = self.groups.iter().collect();
        groups.sort_by_key(|scheduled| {
            let spec = scheduled.group.spec();
            (&spec.file, &spec.name)
        });
        groups
            .into_iter()
            .map(|scheduled| look(&scheduled.group, scheduled.last.as_ref()))
            .collect()
    }

    /// Goes on where the rules of the catalog before stood. Gives observations that end the alerts of rules that are gone.
    pub(crate) fn take_over(&mut self, previous: &Self, now: Timestamp) -> Vec<Observation> {
        let gone = self.resume(previous.memories(), now, now);
        let firing = gone.iter().filter(|alert| alert.state == AlertState::Firing);
        firing
            .map(|alert| observation(alert, Some(now.as_millisecond())))
            .collect()
    }

    /// Goes on where rules stood. A group is known by file and name, a rule of a group that is gone by what it is and asks.
    /// Gives the alerts of rules that are gone; their series end, those of a whole group after two intervals.
    ///
    /// `settled` is when everything is scraped again after evaluations were missed.
    pub(crate) fn resume(
        &mut self,
        memories: RuleMemories,
        now: Timestamp,
        settled: Timestamp,
    ) -> Vec<ActiveAlert> {
        let now_ms = now.as_millisecond();
        self.departed.extend(memories.departed);
        self.unsaved = true;
        let mut left: Vec<(Option<usize>, i64, RuleMemory)> = Vec::new();
        for memory in memories.groups {
            let same = |scheduled: &Scheduled| {
                let spec = scheduled.group.spec();
                (&spec.file, &spec.name) == (&memory.file, &memory.name)
            };
            let (at, interval_ms) = (self.groups.iter().position(same), memory.interval_ms);
            let rules = match at.and_then(|at| self.groups.get_mut(at)) {
                Some(scheduled) => scheduled.group.resume(memory, now_ms, settled.as_millisecond()),
                None => memory.rules,
            };
            left.extend(rules.into_iter().map(|rule| (at, interval_ms, rule)));
        }
        for scheduled in &mut self.groups {
            // One that goes on is due when it would have been.
            let last_ms = scheduled.group.last_evaluation_ms().unwrap_or(now_ms);
            scheduled.next_ms = Some(scheduled.group.next_evaluation_after(last_ms));
        }
        let mut gone = Vec::new();
        for (at, interval_ms, rule) in left {
            let mut groups = self.groups.iter_mut();
            let rest = groups.try_fold(rule, |rule, scheduled| scheduled.group.take_over(rule));
            let Some(rule) = rest else { continue };
            gone.extend(rule.alerts);
            match at.and_then(|at| self.groups.get_mut(at)) {
                Some(scheduled) => scheduled.group.orphan(rule.series),
                None if rule.series.is_empty() => {}
                None => self.departed.push(Departed {
                    series: rule.series,
                    at_ms: now_ms,
                    due_ms: now_ms.saturating_add(interval_ms.saturating_mul(2)),
                }),
            }
        }
        gone
    }

    /// What must outlive a restart.
    pub(crate) fn memories(&self) -> RuleMemories {
        RuleMemories {
            groups: self
                .groups
                .iter()
                .map(|scheduled| scheduled.group.memory())
                .collect(),
            departed: self.departed.clone(),
        }
    }

    /// Writes what must outlive a restart, if an evaluation changed it since it was written. Gives what went wrong.
    pub(crate) fn save_changes(&mut self, file: &Path) -> Option<String> {
        if !self.unsaved {
            return None;
        }
        self.save(file).unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Writes what must outlive a restart. Gives what had to be left out.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn save(&mut self, file: &Path) -> Result<Option<String>, TelemetryError> {
        let left_out = rule_state::write(file, self.memories())?;
        self.unsaved = false;
        Ok(left_out)
    }

    /// Takes over alerts that the journal says fire, where a rule does not remember it so: what is known to fire goes on
    /// firing. Gives observations that end those that are over, or that no rule answers for.
    pub(crate) fn adopt(&mut self, alerts: Vec<&AlertFact>, now: Timestamp) -> Vec<Observation> {
        let mut ended = Vec::new();
        for alert in alerts {
            let known = self
                .groups
                .iter()
                .filter_map(|scheduled| scheduled.group.alert(&alert.labels));
            let states: Vec<&ActiveAlert> = known.collect();
            if states.iter().any(|known| known.state == AlertState::Firing) {
                continue;
            }
            let fired_at_ms = alert.starts_at.as_millisecond();
            let over_ms = states.iter().filter_map(|known| known.resolved_at_ms).max();
            if let Some(over_ms) = over_ms.filter(|over_ms| *over_ms >= fired_at_ms) {
                ended.push(over(alert, instant(over_ms)));
                continue;
            }
            let texts = alert.annotations.iter().filter(|(name, _)| *name != SOURCE);
            let texts: BTreeMap<String, String> = texts
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let mut groups = self.groups.iter_mut();
            if !groups.any(|scheduled| scheduled.group.adopt(&alert.labels, texts.clone(), fired_at_ms)) {
                ended.push(over(alert, now));
            }
        }
        self.unsaved = true;
        ended
    }
}

impl Scheduled {
    /// Evaluates the group at its latest time. Says whether something changed that must outlive a restart.
    fn evaluate(
        &mut self,
        telemetry: &Telemetry,
        samples: &StoreSamples,
        now_ms: i64,
        found: &mut Found,
    ) -> bool {
        let at_ms = self.group.schedule().latest_at(now_ms);
        self.next_ms = Some(self.group.next_evaluation_after(now_ms));
        let started = telemetry.clock.now();
        let mut store = RuleSide {
            telemetry,
            samples,
            since: started,
            rules: Vec::new(),
        };
        let evaluation = self.group.evaluate(at_ms, &mut store, &Limits::default());
        self.last = Some(GroupEvaluation {
            at: instant(at_ms),
            took: telemetry.clock.now().duration_since(started),
            rules: store.rules,
        });
        if evaluation.missed > 0 {
            let spec = self.group.spec();
            let missed = evaluation.missed;
            tracing::warn!(
                file = spec.file,
                group = spec.name,
                missed,
                "evaluations were missed"
            );
        }
        let dropped = evaluation.transitions.iter().filter_map(dropped);
        found.observations.extend(dropped);
        found
            .failures
            .extend(evaluation.failures.into_iter().map(|failure| {
                format!(
                    "{}:{}: rule {}: {}",
                    failure.file, failure.line, failure.rule, failure.message
                )
            }));
        evaluation.changed
    }
}

/// The end of an alert that its rule does not remember any more.
fn dropped(transition: &Transition) -> Option<Observation> {
    let has_fired = match transition.change {
        Change::Dropped => transition.alert.fired_at_ms.is_some(),
        Change::BackToPending => true,
        Change::Resolved | Change::BecameFiring | Change::BecamePending => false,
    };
    has_fired.then(|| observation(&transition.alert, Some(transition.at_ms)))
}

fn observation(alert: &ActiveAlert, ended_at_ms: Option<i64>) -> Observation {
    let annotations = Labels::from(alert.annotations.clone()).with(SOURCE, "rule");
    Observation {
        labels: alert.labels.clone(),
        annotations,
        starts_at: instant(alert.fired_at_ms.unwrap_or(alert.active_at_ms)),
        ended_at: ended_at_ms.map(instant),
        believed_for_ms: None,
    }
}

/// The end of an alert that the journal says fires.
fn over(alert: &AlertFact, at: Timestamp) -> Observation {
    Observation {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.starts_at,
        ended_at: Some(at.max(alert.starts_at)),
        believed_for_ms: None,
    }
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Where the rules of a group read and write, and how they fare.
struct RuleSide<'a> {
    telemetry: &'a Telemetry,
    samples: &'a StoreSamples,
    /// When the rule that is being evaluated began to be.
    since: Timestamp,
    rules: Vec<RuleEvaluation>,
}

impl Samples for RuleSide<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        min_ms_exclusive: i64,
        max_ms_inclusive: i64,
    ) -> Result<Vec<Series>, SourceError> {
        self.samples.select(matchers, min_ms_exclusive, max_ms_inclusive)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        end_ms: i64,
        visit: &mut dyn FnMut(&Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        self.samples.summaries(matchers, range_ms, end_ms, visit)
    }

    fn moving_summaries(
        &self,
        matchers: &[Matcher],
        range_ms: i64,
        ends_ms: &[i64],
        cancelled: &dyn Fn() -> bool,
        visit: &mut dyn FnMut(usize, &Arc<Labels>, &Summary),
    ) -> Result<bool, SourceError> {
        self.samples
            .moving_summaries(matchers, range_ms, ends_ms, cancelled, visit)
    }

    fn resolution(&self, min_ms_exclusive: i64, max_ms_inclusive: i64) -> Resolution {
        self.samples.resolution(min_ms_exclusive, max_ms_inclusive)
    }
}

impl RuleStore for RuleSide<'_> {
    fn evaluate(&self, query: &str, at_ms: i64) -> Option<Result<Outcome, QueryError>> {
        self.telemetry.engine.as_ref()?.evaluate(query, at_ms)
    }

    fn record(&mut self, samples: &[RuleSample]) -> Result<(), SourceError> {
        if samples.is_empty() {
            return Ok(());
        }
        let rows: Vec<Row<'_>> = samples
            .iter()
            .filter_map(|sample| {
                Some(Row {
                    labels: &sample.labels,
                    created_ms: None,
                    t_ms: sample.at_ms,
                    value: sample.value.float()?,
                })
            })
            .collect();
        let histograms = samples
            .iter()
            .filter_map(|sample| Some((&*sample.labels, None, sample.at_ms, sample.value.histogram()?)));
        self.telemetry
            .append(&rows)
            .and_then(|_| self.telemetry.append_histograms(histograms))
            .map(drop)
            .map_err(|error| SourceError::Failed(error.to_string()))
    }

    fn evaluated(&mut self, _rule: usize, failure: Option<&str>) {
        let now = self.telemetry.clock.now();
        self.rules.push(RuleEvaluation {
            took: now.duration_since(self.since),
            failure: failure.map(str::to_owned),
        });
        self.since = now;
    }
}
