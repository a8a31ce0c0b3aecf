//! Alerts: what fires, what ended lately, and the values behind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_alert::{HeldBy, Suppressions};
use mainstay_catalog::Catalog;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::Incident;
use mainstay_journal::Journal;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Labels, Principal, Scope, Severity};
use mainstay_plane::States;
use mainstay_slo::SloEngine;
use mainstay_ui::{Unit, number};
use mainstay_web::view::{Alert, AlertState, Look};

use super::expression::{AlertQueries, Filter, Reading};
use super::question::Questions;
use super::{PlaneConsole, before, held, sight};

/// The most alerts that a list has.
const LIST_MAX: usize = 10_000;
/// For how many different expressions the newest values are looked up.
const VALUES_MAX: usize = 20;

/// The view of an alert as far as states know it; its expression and value are added by [`Values`].
pub(super) fn view(
    states: &States<'_>,
    suppressions: &Suppressions<'_>,
    who: &Principal,
    alert: &AlertFact,
    ended_at: Option<Timestamp>,
) -> Alert {
    let text = |name: &str| alert.annotations.get(name).map(str::to_owned);
    let all = sight::sees_platform(who);
    let incident = incident_of(states, alert).filter(|incident| sight::knows_of(who, incident));
    let silenced_by = held_by(states, alert);
    Alert {
        fingerprint: alert.fingerprint.to_string(),
        name: alert.name().to_owned(),
        severity: Severity::from_labels(&alert.labels).unwrap_or(Severity::P2),
        state: match (ended_at, &silenced_by) {
            (Some(_), _) => AlertState::Resolved,
            (None, Some(_)) => AlertState::Silenced,
            (None, None) => AlertState::Firing,
        },
        scope: Scope::from_labels(&alert.labels),
        summary: text("summary").unwrap_or_default(),
        labels: alert.labels.clone(),
        since: alert.starts_at,
        value: None,
        query: None,
        runbook: text("runbook"),
        told: if all {
            told(states, alert, incident)
        } else {
            Vec::new()
        },
        incident: incident.map(|incident| incident.id.clone()),
        silenced_by,
        held_back: match ended_at {
            None => held::back(states, suppressions, who, alert),
            Some(_) => Vec::new(),
        },
        routes: if all {
            held::routes(&states.catalog.response.routing, &alert.labels)
        } else {
            Vec::new()
        },
    }
}

/// What holds an alert back in every group of it, in words.
pub(super) fn held_by(states: &States<'_>, alert: &AlertFact) -> Option<String> {
    let active = states.alerts.alert(&alert.fingerprint)?;
    let groups = active.groups.iter().filter_map(|name| states.alerts.group(name));
    let held: Option<Vec<&HeldBy>> = groups.map(|group| group.held.get(&alert.fingerprint)).collect();
    let words = match held?.first()? {
        HeldBy::Silenced { by } => format!("silence {by}"),
        HeldBy::Muted { interval } => format!("the time interval {interval}"),
        HeldBy::Flapping { starts, within_ms } => {
            format!("itself: it began {starts} times in {} s", within_ms / 1_000)
        }
        HeldBy::Inactive => "the clock: its route is not active now".to_owned(),
        HeldBy::Inhibited { by } => match states.alerts.alert(by) {
            Some(by) => format!("{}, which says the same and more", by.alert.name()),
            None => "an alert that is over: it is told soon".to_owned(),
        },
    };
    Some(words)
}

/// The newest incident that an alert belongs to.
fn incident_of<'a>(states: &States<'a>, alert: &AlertFact) -> Option<&'a Incident> {
    let mut newest_first = states.incidents.all().rev();
    newest_first.find(|incident| incident.alerts.contains_key(&alert.fingerprint))
}

/// Whom its groups told, and whom the pages of its incident reached since it belongs to that: what joined later, nobody was
/// paged for.
fn told(states: &States<'_>, alert: &AlertFact, incident: Option<&Incident>) -> Vec<String> {
    let receivers = &states.catalog.response.routing.receivers;
    let groups = states
        .alerts
        .groups()
        .filter(|(_, group)| group.told.contains_key(&alert.fingerprint));
    let mut told = BTreeSet::new();
    for (_, group) in groups {
        let Some(receiver) = receivers.get(&group.placement.receiver) else {
            continue;
        };
        told.extend(
            receiver
                .chat
                .iter()
                .map(|channel| format!("chat to {}", channel.value)),
        );
        told.extend(
            receiver
                .webhooks
                .iter()
                .map(|name| format!("webhook to {}", name.value)),
        );
        told.extend(receiver.email.iter().map(|address| format!("email to {address}")));
    }
    let attached = incident.and_then(|incident| incident.alerts.get(&alert.fingerprint));
    let since = attached.and_then(|attached| attached.attached_at);
    let pages = incident.iter().flat_map(|incident| &incident.pages);
    for page in pages {
        let prefix = format!("page/{page}/");
        let receipts = states.delivery.receipts_under(&prefix);
        let reached =
            receipts.filter(|(_, receipt)| receipt.delivered_at.is_some_and(|at| since <= Some(at)));
        told.extend(
            reached.map(|(_, receipt)| format!("{} to {}", receipt.channel.name(), receipt.to.name())),
        );
    }
    told.into_iter().collect()
}

/// The expression behind an alert: its rule's, or the bad share of its objective over its long window.
fn query(alert: &Alert, rules: &AlertQueries, slos: &SloEngine) -> Option<String> {
    let Some(id) = alert.labels.get("slo") else {
        return rules.get(&alert.name).map(str::to_owned);
    };
    let objective = slos.objectives().find(|objective| objective.id.as_str() == id)?;
    let sli = slos.indicators().find(|sli| sli.name == objective.sli)?;
    let group: Labels = objective.group_of(&alert.scope);
    let reading = Reading {
        function: "rate",
        window: alert.labels.get("long_window").unwrap_or("1h"),
        by: "",
        every_job: false,
    };
    reading.bad_share(sli, &Filter::of_group(&group))
}

/// Looks up expressions and their newest values, each expression once.
pub(super) struct Values<'a> {
    questions: &'a Questions,
    now_ms: i64,
    known: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(questions: &'a Questions, now: Timestamp) -> Self {
        Self {
            questions,
            now_ms: now.as_millisecond(),
            known: BTreeMap::new(),
        }
    }

    /// Adds the newest value to an alert that has an expression and fires.
    pub(super) async fn add(&mut self, alert: &mut Alert) {
        let Some(expr) = alert.query.clone().filter(|_| alert.state == AlertState::Firing) else {
            return;
        };
        if !self.known.contains_key(&expr) {
            if self.known.len() >= VALUES_MAX {
                return;
            }
            let values = self.questions.values_lately(&expr, self.now_ms).await;
            self.known.insert(expr.clone(), values);
        }
        let belongs = |labels: &Labels| {
            labels
                .iter()
                .all(|(name, value)| name == "__name__" || alert.labels.get(name) == Some(value))
        };
        let value = self
            .known
            .get(&expr)
            .into_iter()
            .flatten()
            .find(|(labels, _)| belongs(labels));
        let unit = if alert.labels.get("slo").is_some() {
            Unit::Ratio
        } else {
            Unit::Count
        };
        alert.value = value.map(|(_, value)| number::measured(*value, unit));
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn alert_list(&self, who: &Principal, look: &Look) -> Vec<Alert> {
        let now = self.now();
        let since = before(now, look.range_ms);
        let (mut alerts, catalog) = self
            .plane
            .look(|states| {
                let suppressions = Suppressions::at(states.alerts, &states.catalog.response.routing, now);
                let seen = |labels: &Labels| {
                    sight::sees_alert(who, labels) && Scope::from_labels(labels).overlaps(&look.scope)
                };
                let firing = states
                    .alerts
                    .firing()
                    .map(|active| &active.alert)
                    .filter(|alert| seen(&alert.labels));
                let mut alerts: Vec<Alert> = firing
                    .map(|alert| view(states, &suppressions, who, alert, None))
                    .collect();
                let attached = states
                    .incidents
                    .all()
                    .rev()
                    .flat_map(|incident| incident.alerts.values());
                let mut shown = BTreeSet::new();
                let ended = attached.filter_map(|attached| {
                    let ended_at = attached.ended_at.filter(|at| *at >= since)?;
                    let alert = &attached.alert;
                    let again = states.alerts.alert(&alert.fingerprint).is_some();
                    (!again && seen(&alert.labels) && shown.insert(alert.fingerprint))
                        .then(|| view(states, &suppressions, who, alert, Some(ended_at)))
                });
                alerts.extend(ended);
                (alerts, states.catalog.clone())
            })
            .await;
        alerts.sort_by_key(|alert| (alert.state == AlertState::Resolved, alert.severity, alert.since));
        alerts.truncate(LIST_MAX);
        self.with_values(who, alerts, &catalog).await
    }

    /// Adds expressions and values; who may not ask expressions gets none.
    pub(super) async fn with_values(
        &self,
        who: &Principal,
        mut alerts: Vec<Alert>,
        catalog: &Catalog,
    ) -> Vec<Alert> {
        if !sight::sees_platform(who) {
            return alerts;
        }
        let rules = self.alert_queries(catalog);
        {
            let slos = self.telemetry.slos();
            for alert in &mut alerts {
                alert.query = query(alert, &rules, &slos);
            }
        }
        let mut values = Values::new(&self.questions, self.now());
        for alert in &mut alerts {
            values.add(alert).await;
        }
        alerts
    }
}
