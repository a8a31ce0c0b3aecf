//! The rules of a catalog, each group on its own clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::Observation;
use mainstay_catalog::diagnostic::Diagnostic;
use mainstay_catalog::{Diagnostics, Documents, Format, lint};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Digest, Labels, Matcher, Summary};
use mainstay_promql::{Limits, Outcome, QueryError, Resolution, Samples, Series, SourceError};
use mainstay_rules::{
    ActiveAlert, AlertState, Change, Evaluation, Group, GroupContext, GroupSpec, RuleFile, RuleKind,
    RuleSample, RuleSpec, RuleStore, Transition,
};
use mainstay_series::Row;

use super::{Found, SOURCE, StoreSamples, Telemetry};

/// All groups of a catalog.
pub(crate) struct RuleBook {
    groups: Vec<Scheduled>,
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
    /// Reads the rule files of a catalog.
    pub(crate) fn of(documents: &Documents, diagnostics: &mut Diagnostics) -> Self {
        let mut groups = Vec::new();
        for document in documents.of_format(Format::PrometheusRules) {
            match RuleFile::parse(&document.file, document.source()) {
                Ok(file) => {
                    let context = GroupContext::default();
                    groups.extend(file.groups.into_iter().map(|spec| Scheduled {
                        group: Group::new(spec, context.clone()),
                        next_ms: None,
                        last: None,
                    }));
                }
                Err(error) => {
                    diagnostics.push(Diagnostic::whole_file(
                        lint::BAD_VALUE,
                        &*document.file,
                        error.to_string(),
                    ));
                }
            }
        }
        Self { groups }
    }

    /// Evaluates every group whose time has come. A group that is late is evaluated once, at its latest time.
    pub(crate) fn evaluate(&mut self, telemetry: &Telemetry, now: Timestamp, found: &mut Found) {
        let now_ms = now.as_millisecond();
        let samples = telemetry.rule_samples();
        for scheduled in &mut self.groups {
            let next_ms = *scheduled
                .next_ms
                .get_or_insert_with(|| scheduled.group.next_evaluation_after(now_ms));
            if now_ms < next_ms {
                found
                    .observations
                    .extend(scheduled.group.active_alerts().into_iter().filter_map(firing));
                continue;
            }
            let at_ms = scheduled.group.schedule().latest_at(now_ms);
            scheduled.next_ms = Some(scheduled.group.next_evaluation_after(now_ms));
            let started = telemetry.clock.now();
            let mut store = RuleSide {
                telemetry,
                samples: &samples,
                since: started,
                rules: Vec::new(),
            };
            let evaluation = scheduled.group.evaluate(at_ms, &mut store, &Limits::default());
            scheduled.last = Some(GroupEvaluation {
                at: instant(at_ms),
                took: telemetry.clock.now().duration_since(started),
                rules: store.rules,
            });
            take(evaluation, found);
            found
                .observations
                .extend(scheduled.group.active_alerts().into_iter().filter_map(firing));
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

    /// Goes on where the rules of the catalog before stood. Gives observations that end the alerts of rules that are
    /// gone or changed.
    pub(crate) fn take_over(&mut self, previous: Self, now: Timestamp) -> Vec<Observation> {
        let mut gone = Vec::new();
        for Scheduled { group, .. } in previous.groups {
            let same = |scheduled: &&mut Scheduled| {
                let spec = scheduled.group.spec();
                (&spec.file, &spec.name) == (&group.spec().file, &group.spec().name)
            };
            match self.groups.iter_mut().find(same) {
                Some(scheduled) => gone.extend(scheduled.group.take_over(group)),
                None => gone.extend(group.active_alerts()),
            }
        }
        let firing = gone.into_iter().filter(|alert| alert.state == AlertState::Firing);
        firing.filter_map(|alert| observation(alert, Some(now))).collect()
    }

    /// Takes over alerts that are known to fire; gives back those that no rule answers for.
    pub(crate) fn adopt<'a>(&mut self, alerts: Vec<&'a AlertFact>, _now: Timestamp) -> Vec<&'a AlertFact> {
        let mut strangers = Vec::new();
        for alert in alerts {
            let adopted = self
                .groups
                .iter_mut()
                .any(|scheduled| adopt(&mut scheduled.group, alert));
            if !adopted {
                strangers.push(alert);
            }
        }
        strangers
    }
}

/// Gives a firing alert back to the rule it came from.
fn adopt(group: &mut Group, alert: &AlertFact) -> bool {
    let Some(digest) = rule_digest(group, alert) else {
        return false;
    };
    let since_ms = alert.starts_at.as_millisecond();
    let annotations = alert.annotations.iter().filter(|(name, _)| *name != SOURCE);
    let restored = ActiveAlert {
        rule: alert.name().to_owned(),
        rule_digest: digest,
        labels: alert.labels.clone(),
        annotations: annotations
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        active_at_ms: since_ms,
        fired_at_ms: Some(since_ms),
        resolved_at_ms: None,
        keep_firing_since_ms: None,
        state: AlertState::Firing,
        value: f64::NAN,
    };
    group.restore(vec![restored]).is_empty()
}

/// The digest of the rule that an alert came from: several rules may share its name and differ in their labels.
fn rule_digest(group: &Group, alert: &AlertFact) -> Option<Digest> {
    let fits = |rule: &&RuleSpec| {
        matches!(rule.kind, RuleKind::Alert { .. })
            && rule.name() == alert.name()
            && rule.labels.iter().all(|(name, template)| {
                let text = template.text();
                text.contains("{{") || alert.labels.get(name).unwrap_or_default() == text
            })
    };
    let rule = group.spec().rules.iter().find(fits)?;
    let alone = GroupSpec {
        rules: vec![rule.clone()],
        ..group.spec().clone()
    };
    Group::new(alone, GroupContext::default()).rule_digest(alert.name())
}

fn take(evaluation: Evaluation, found: &mut Found) {
    found
        .observations
        .extend(evaluation.transitions.into_iter().filter_map(ended));
    found
        .failures
        .extend(evaluation.failures.into_iter().map(|failure| {
            format!(
                "{}:{}: rule {}: {}",
                failure.file, failure.line, failure.rule, failure.message
            )
        }));
}

fn firing(alert: ActiveAlert) -> Option<Observation> {
    if alert.state == AlertState::Firing {
        observation(alert, None)
    } else {
        None
    }
}

fn ended(transition: Transition) -> Option<Observation> {
    match transition.change {
        Change::Resolved | Change::Dropped => observation(transition.alert, Some(instant(transition.at_ms))),
        Change::BecameFiring | Change::BecamePending => None,
    }
}

fn observation(alert: ActiveAlert, ended_at: Option<Timestamp>) -> Option<Observation> {
    let starts_at = instant(alert.fired_at_ms?);
    let annotations: BTreeMap<String, String> = alert.annotations;
    let annotations = Labels::from(annotations).with(SOURCE, "rule");
    Some(Observation {
        labels: alert.labels,
        annotations,
        starts_at,
        ended_at,
    })
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
