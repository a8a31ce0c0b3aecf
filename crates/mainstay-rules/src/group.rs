//! The engine: one group of rules, evaluated at a time.

mod alerting;
mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Digest, Labels};
use mainstay_promql::{
    Annotation, Limits, MemorySamples, Outcome, QueryError, SampleValue, Samples, SourceError, Value,
    VectorSample, instant, stale_marker,
};

use crate::alert::{ActiveAlert, Transition};
use crate::file::{GroupSpec, RuleKind, RuleSpec};
use crate::schedule::Schedule;

pub use memory::{GroupMemory, RuleMemory, Settling};

/// A sample that a rule writes.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSample {
    /// The labels of its series, the metric's name among them.
    pub labels: Arc<Labels>,
    /// Its time, milliseconds since 1970.
    pub at_ms: i64,
    /// Its value; the stale marker ends the series.
    pub value: SampleValue,
}

/// Where rules read, and where they write so that later rules of the same evaluation see it.
pub trait RuleStore: Samples {
    /// Stores what one rule gave; it must be visible to the next `select`.
    ///
    /// # Errors
    /// When the store cannot take it; the rule then counts as failed.
    fn record(&mut self, samples: &[RuleSample]) -> Result<(), SourceError>;

    /// Told when a rule of the group was evaluated: its place in the group, and why it failed, if it did.
    fn evaluated(&mut self, _rule: usize, _failure: Option<&str>) {}

    /// What the engine behind the store says to a rule's query at this time, in its own dialect; `None` where the query is
    /// evaluated here, over the samples.
    fn evaluate(&self, _query: &str, _at_ms: i64) -> Option<Result<Outcome, QueryError>> {
        None
    }
}

impl RuleStore for MemorySamples {
    fn record(&mut self, samples: &[RuleSample]) -> Result<(), SourceError> {
        for sample in samples {
            self.append(&sample.labels, sample.at_ms, sample.value.clone());
        }
        Ok(())
    }
}

/// What the rules of an installation have in common.
#[derive(Debug, Clone)]
pub struct GroupContext {
    /// The interval of groups that name none, in milliseconds.
    pub interval_ms: i64,
    /// The query offset of groups that name none, in milliseconds.
    pub query_offset_ms: i64,
    /// Labels of the installation, for templates.
    pub external_labels: Labels,
    /// Where the installation is reached, for templates.
    pub external_url: String,
}

impl Default for GroupContext {
    /// One minute, no offset, no labels, no address.
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            query_offset_ms: 0,
            external_labels: Labels::new(),
            external_url: String::new(),
        }
    }
}

/// What one evaluation of a group did. Samples are already in the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Changes of alerts, in order of rule and labels. An alert that stays as it is does not appear.
    pub transitions: Vec<Transition>,
    /// Rules that failed; their alerts and series are as they were.
    pub failures: Vec<RuleFailure>,
    /// Remarks of the queries, with the name of the rule.
    pub annotations: Vec<(String, Annotation)>,
    /// How many samples were written, stale markers included.
    pub samples_written: usize,
    /// How many evaluations were missed since the last one.
    pub missed: u64,
    /// Whether an alert changed in a way that must outlive a restart: its state, or since when it is only kept firing.
    pub changed: bool,
}

/// A rule that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// The rule's name.
    pub rule: String,
    /// Its file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What happened.
    pub message: String,
}

/// A group and the state of its rules.
#[derive(Debug, Clone)]
pub struct Group {
    spec: GroupSpec,
    context: GroupContext,
    schedule: Schedule,
    rules: Vec<RuleState>,
    last_evaluation_ms: Option<i64>,
    missed: u64,
    /// Series of rules that are no more, to be ended at the next evaluation.
    orphaned: BTreeSet<Arc<Labels>>,
    settling: Option<Settling>,
}

#[derive(Debug, Clone)]
struct RuleState {
    /// Of its kind, name, labels and query.
    digest: Digest,
    /// Of its kind, name and labels.
    identity: Digest,
    /// Whether it goes on where another one stood.
    resumed: bool,
    /// The series of the last evaluation, each to be ended when it comes no more.
    series: BTreeSet<Arc<Labels>>,
    alerts: BTreeMap<Labels, ActiveAlert>,
}

/// What a rule gave: samples to write, and changes of alerts.
#[derive(Default)]
struct Outputs {
    samples: Vec<RuleSample>,
    transitions: Vec<Transition>,
    changed: bool,
}

/// Why a rule gave nothing.
struct Failed {
    message: String,
    /// Alerts that went with it.
    transitions: Vec<Transition>,
}

impl From<QueryError> for Failed {
    fn from(error: QueryError) -> Self {
        Self::because(error.to_string())
    }
}

impl Failed {
    fn because(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            transitions: Vec::new(),
        }
    }
}

impl Group {
    /// A group without any state yet.
    #[must_use]
    pub fn new(spec: GroupSpec, context: GroupContext) -> Self {
        let interval_ms = spec.interval_ms.unwrap_or(context.interval_ms);
        let schedule = Schedule::of(&spec.file, &spec.name, interval_ms);
        let state = |rule| {
            let (digest, identity) = memory::digests(rule);
            RuleState {
                digest,
                identity,
                resumed: false,
                series: BTreeSet::new(),
                alerts: BTreeMap::new(),
            }
        };
        let rules = spec.rules.iter().map(state).collect();
        Self {
            spec,
            context,
            schedule,
            rules,
            last_evaluation_ms: None,
            missed: 0,
            orphaned: BTreeSet::new(),
            settling: None,
        }
    }

    /// What it was made of.
    #[must_use]
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// When it is evaluated.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// The first time of its schedule after `now_ms`; evaluations that were missed until then are skipped.
    #[must_use]
    pub fn next_evaluation_after(&self, now_ms: i64) -> i64 {
        self.schedule.next_after(now_ms)
    }

    /// When it was last evaluated, in milliseconds since 1970.
    #[must_use]
    pub fn last_evaluation_ms(&self) -> Option<i64> {
        self.last_evaluation_ms
    }

    /// How many evaluations were missed since it was made.
    #[must_use]
    pub fn missed_evaluations(&self) -> u64 {
        self.missed
    }

    /// Evaluates every rule at `at_ms`, in order. What a rule gives is stored before the next one runs.
    pub fn evaluate(&mut self, at_ms: i64, store: &mut dyn RuleStore, limits: &Limits<'_>) -> Evaluation {
        let mut evaluation = Evaluation::default();
        if let Some(last_ms) = self.last_evaluation_ms.replace(at_ms) {
            evaluation.missed = self.schedule.missed_between(last_ms, at_ms);
            self.missed += evaluation.missed;
        }
        for index in 0..self.rules.len() {
            match self.evaluate_rule(index, at_ms, store, limits, &mut evaluation) {
                Ok(()) => store.evaluated(index, None),
                Err(failed) => {
                    store.evaluated(index, Some(&failed.message));
                    let rule = &self.spec.rules[index];
                    evaluation.changed |= !failed.transitions.is_empty();
                    evaluation.transitions.extend(failed.transitions);
                    evaluation.failures.push(RuleFailure {
                        rule: rule.name().to_owned(),
                        file: self.spec.file.clone(),
                        line: rule.line,
                        message: failed.message,
                    });
                }
            }
        }
        if let Err(error) = self.end_orphaned(at_ms, store, &mut evaluation) {
            evaluation.failures.push(RuleFailure {
                rule: String::new(),
                file: self.spec.file.clone(),
                line: self.spec.line,
                message: error.to_string(),
            });
        }
        evaluation
    }

    /// Ends the series of rules that went away, unless another rule of the group writes them now.
    fn end_orphaned(
        &mut self,
        at_ms: i64,
        store: &mut dyn RuleStore,
        evaluation: &mut Evaluation,
    ) -> Result<(), SourceError> {
        let at_ms = at_ms - self.query_offset_ms();
        let written = |labels: &Arc<Labels>| self.rules.iter().any(|rule| rule.series.contains(labels));
        let ended = std::mem::take(&mut self.orphaned)
            .into_iter()
            .filter(|labels| !written(labels));
        let samples: Vec<RuleSample> = ended
            .map(|labels| RuleSample {
                labels,
                at_ms,
                value: stale_marker().into(),
            })
            .collect();
        if samples.is_empty() {
            return Ok(());
        }
        store.record(&samples)?;
        evaluation.samples_written += samples.len();
        Ok(())
    }

    fn query_offset_ms(&self) -> i64 {
        self.spec.query_offset_ms.unwrap_or(self.context.query_offset_ms)
    }

    fn evaluate_rule(
        &mut self,
        index: usize,
        at_ms: i64,
        store: &mut dyn RuleStore,
        limits: &Limits<'_>,
        evaluation: &mut Evaluation,
    ) -> Result<(), Failed> {
        let rule = &self.spec.rules[index];
        let sample_ms = at_ms - self.query_offset_ms();
        let outcome = match store.evaluate(&rule.query, sample_ms) {
            Some(outcome) => outcome?,
            None => instant(&rule.expr, sample_ms, &*store, limits)?,
        };
        let name = rule.name();
        evaluation.annotations.extend(
            outcome
                .annotations
                .into_iter()
                .map(|found| (name.to_owned(), found)),
        );
        let vector = match outcome.value {
            Value::Vector(samples) => samples,
            Value::Scalar(value) => vec![VectorSample {
                labels: Arc::default(),
                at_ms: sample_ms,
                value: value.into(),
            }],
            other => {
                let message = format!(
                    "rule result is not a vector or scalar but a {}",
                    other.value_type()
                );
                return Err(Failed::because(message));
            }
        };
        let outputs = match &rule.kind {
            RuleKind::Record { name } => record(rule, name, self.spec.limit, sample_ms, vector)?,
            RuleKind::Alert { .. } => {
                let expansion = alerting::Expansion {
                    context: &self.context,
                    at_ms: sample_ms,
                    store: &*store,
                    limits,
                };
                alerting::evaluate(
                    rule,
                    self.spec.limit,
                    at_ms,
                    vector,
                    &mut self.rules[index].alerts,
                    self.settling,
                    &expansion,
                )?
            }
        };
        let Outputs {
            mut samples,
            transitions,
            changed,
        } = outputs;
        evaluation.transitions.extend(transitions);
        evaluation.changed |= changed;
        let state = &mut self.rules[index];
        let current: BTreeSet<Arc<Labels>> = samples.iter().map(|s| Arc::clone(&s.labels)).collect();
        for labels in std::mem::take(&mut state.series) {
            if !current.contains(&labels) {
                samples.push(RuleSample {
                    labels,
                    at_ms: sample_ms,
                    value: stale_marker().into(),
                });
            }
        }
        state.series = current;
        store
            .record(&samples)
            .map_err(|error| Failed::because(error.to_string()))?;
        evaluation.samples_written += samples.len();
        Ok(())
    }

    /// Every alert that is pending, firing or lately resolved, in order of rule and labels.
    pub fn alerts(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.rules.iter().flat_map(|rule| rule.alerts.values())
    }

    /// The alerts of the rule at this place in the group, in order of labels.
    pub fn alerts_of(&self, rule: usize) -> impl Iterator<Item = &ActiveAlert> {
        let state = self.rules.get(rule);
        state.into_iter().flat_map(|state| state.alerts.values())
    }
}

fn record(
    rule: &RuleSpec,
    name: &str,
    limit: usize,
    sample_ms: i64,
    vector: Vec<VectorSample>,
) -> Result<Outputs, Failed> {
    let mut samples: BTreeMap<Labels, SampleValue> = BTreeMap::new();
    for sample in vector {
        let mut labels = Labels::clone(&sample.labels);
        labels.set(METRIC_NAME, name);
        for (label, text) in &rule.labels {
            labels.set(label.as_str(), text.text());
        }
        if samples.insert(labels, sample.value).is_some() {
            let message = "vector contains metrics with the same labelset after applying rule labels";
            return Err(Failed::because(message));
        }
    }
    if limit > 0 && samples.len() > limit {
        return Err(Failed::because(format!(
            "exceeded limit of {limit} with {} series",
            samples.len()
        )));
    }
    let written = |(labels, value)| RuleSample {
        labels: Arc::new(labels),
        at_ms: sample_ms,
        value,
    };
    Ok(Outputs {
        samples: samples.into_iter().map(written).collect(),
        ..Outputs::default()
    })
}
