//! What alerts do to incidents: begin one, join one, make one wider or worse, or end in it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved, PageRequested};
use mainstay_kernel::{Digest, IncidentId, Scope, Severity};

use crate::decide::{declare, next_page, page, severity_by_rule, worsen};
use crate::event::IncidentEvent;
use crate::model::{Impact, Incident, IncidentState, LinkedChange};
use crate::place::{IncidentSpec, one_outage};

/// An incident began at most so long before it is declared, whatever the clock of an alert's sender says.
const BEGAN_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// A title names so many alerts.
const NAMED: usize = 3;

/// A group that fires, with what others know of it.
pub(crate) struct Fired {
    pub(crate) fact: AlertFired,
    pub(crate) impact: Option<Impact>,
    pub(crate) changes: Vec<LinkedChange>,
    pub(crate) pages: bool,
}

/// One outage is one incident: what fires inside the place of an open one joins it; what pages elsewhere and is the same
/// outage makes it wider; anything else that pages begins a new one.
pub(crate) fn fired(
    state: &IncidentState,
    spec: &IncidentSpec,
    fired: Fired,
    now: Timestamp,
) -> Vec<IncidentEvent> {
    let fact = &fired.fact;
    let scope = spec.scope_of(fact);
    let paging = fired.pages && fact.severity.pages();
    if let Some(incident) = state.open_around(&spec.placed(&scope), fact.shadow) {
        let reason = "alerts of the same place concern more".to_owned();
        let wider = paging
            .then(|| widened(spec, incident, &scope, fact, reason))
            .flatten();
        return join(incident, spec, fact, &scope, paging, wider);
    }
    if !paging {
        return Vec::new();
    }
    if let Some((incident, why)) = one_outage(state, spec, fact, now) {
        let wider = widened(spec, incident, &scope, fact, why.reason());
        return join(incident, spec, fact, &scope, paging, wider);
    }
    begin(state, fired, scope, now)
}

fn attached(incident: &IncidentId, fact: &AlertFired) -> IncidentEvent {
    IncidentEvent::AlertsAttached {
        incident: incident.clone(),
        group: fact.group.clone(),
        alerts: fact.firing.clone(),
    }
}

/// A place that is wider than what it was thought to be.
struct Wider {
    scope: Scope,
    title: String,
    reason: String,
}

fn widened(
    spec: &IncidentSpec,
    incident: &Incident,
    scope: &Scope,
    fact: &AlertFired,
    reason: String,
) -> Option<Wider> {
    let holding = spec.holding(&incident.scope, scope);
    // A region that only says where its cell is makes nothing wider.
    let same = spec.placed(&holding) == spec.placed(&incident.scope);
    let place = |scope: &Scope| (scope.cell.clone(), scope.zone.clone(), scope.region.clone());
    let is_at = |scope: &Scope| place(&spec.placed(scope)) == place(&spec.placed(&holding));
    let title = match (is_at(&incident.scope), is_at(scope)) {
        // More of one place: the worse alert's own words say it best.
        (true, true) if fact.severity <= incident.severity => title_of(fact, &incident.impact),
        (true, _) if fact.severity >= incident.severity => incident.title.clone(),
        _ => title_of_many(incident, fact, &holding),
    };
    (!same).then_some(Wider {
        title,
        scope: holding,
        reason,
    })
}

/// `HighErrorRate, LedgerDown in eu-central-1: cell-1, cell-2`.
fn title_of_many(incident: &Incident, fact: &AlertFired, scope: &Scope) -> String {
    let listed = |all: &BTreeSet<&str>| {
        let mut text = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        if all.len() > NAMED {
            text.push_str(&format!(" and {} more", all.len() - NAMED));
        }
        text
    };
    let alerts = || incident.firing().chain(&fact.firing);
    let names: BTreeSet<&str> = alerts().map(AlertFact::name).collect();
    let cells: BTreeSet<&str> = alerts().filter_map(|alert| alert.labels.get("cell")).collect();
    let mut title = if names.is_empty() {
        incident.title.clone()
    } else {
        let place = Scope {
            service: None,
            tenant: None,
            ..scope.clone()
        };
        let at = if place == Scope::platform() { " in " } else { " " };
        format!("{}{at}{place}", listed(&names))
    };
    if cells.len() > 1 {
        title.push_str(&format!(": {}", listed(&cells)));
    }
    title
}

fn join(
    incident: &Incident,
    spec: &IncidentSpec,
    fact: &AlertFired,
    scope: &Scope,
    paging: bool,
    wider: Option<Wider>,
) -> Vec<IncidentEvent> {
    let known = |alert: &AlertFact| {
        let attached = incident.alerts.get(&alert.fingerprint);
        attached.is_some_and(|attached| attached.ended_at.is_none())
    };
    let mut events = ended_in_group(incident, fact);
    if fact.firing.iter().all(known) {
        return events;
    }
    events.push(attached(&incident.id, fact));
    let (mut title, mut at) = (&incident.title, &incident.scope);
    if let Some(wider) = &wider {
        (title, at) = (&wider.title, &wider.scope);
        events.push(IncidentEvent::Widened {
            incident: incident.id.clone(),
            from: incident.scope.clone(),
            to: wider.scope.clone(),
            title: wider.title.clone(),
            reason: wider.reason.clone(),
        });
    }
    let others = spec.others(incident, &fact.receiver).filter(|_| paging);
    if fact.severity < incident.severity {
        let reason = format!("an alert of severity {} fires", fact.severity);
        events.extend(worsen(incident, title, at, fact.severity, reason));
    } else if paging && incident.all_clear_at.is_some() {
        // All was over and nobody closed it: whoever took it on may be asleep by now.
        let title = format!("again: {}", title_of(fact, &Impact::default()));
        let page = next_page(incident, fact.severity, &title, scope);
        events.push(IncidentEvent::PageRequested(page));
    } else if paging && others.is_none() && spec.is_unknown(incident, fact) {
        // Whoever is at work on the rest would not hear of it.
        let title = format!("also: {}", title_of(fact, &Impact::default()));
        events.push(IncidentEvent::PageRequested(PageRequested {
            policy: spec.policy_of(&fact.receiver).map(str::to_owned),
            ..next_page(incident, fact.severity, &title, scope)
        }));
    }
    if let Some(policy) = others {
        // They work on it together, but nobody told these yet.
        let asked = |event: &&IncidentEvent| matches!(event, IncidentEvent::PageRequested(_));
        let number = incident.pages.len() + events.iter().filter(asked).count() + 1;
        let title = title_of(fact, &Impact::default());
        events.push(IncidentEvent::PageRequested(PageRequested {
            policy: Some(policy.to_owned()),
            ..page(&incident.id, number, fact.severity, &title, scope)
        }));
    }
    events
}

/// A new incident, with its first page.
fn begin(state: &IncidentState, fired: Fired, scope: Scope, now: Timestamp) -> Vec<IncidentEvent> {
    let Fired {
        fact,
        impact,
        changes,
        ..
    } = fired;
    let impact = impact.unwrap_or_default();
    let first_alert = fact
        .firing
        .iter()
        .map(|alert| alert.starts_at)
        .min()
        .unwrap_or(now);
    let began_at = impact
        .first_bad_at
        .map_or(first_alert, |bad| bad.min(first_alert))
        .max(now.saturating_sub(BEGAN_WITHIN).unwrap_or(now));
    let title = title_of(&fact, &impact);
    let (id, mut events) = declare(state, now, fact.severity, title.clone(), scope.clone(), began_at);
    if let Some(IncidentEvent::Declared { fact: declared, .. }) = events.first_mut() {
        declared.shadow = fact.shadow;
    }
    events.push(attached(&id, &fact));
    let by_rule = severity_by_rule(fact.severity, &impact);
    if impact != Impact::default() {
        events.push(IncidentEvent::ImpactMeasured {
            incident: id.clone(),
            impact,
        });
    }
    let mut severity = fact.severity;
    if let Some((to, reason)) = by_rule {
        events.push(IncidentEvent::SeverityChanged {
            incident: id.clone(),
            from: severity,
            to,
            reason,
        });
        severity = to;
    }
    events.extend(changes.into_iter().map(|linked| IncidentEvent::ChangeLinked {
        incident: id.clone(),
        change_event: linked.event,
        change: linked.change,
    }));
    let page = page(&id, 1, severity, &title, &scope);
    events.push(IncidentEvent::PageRequested(page));
    events
}

/// The alerts of the incident that the group says, by silence, are over: a fired group names all that fire in it.
fn ended_in_group(incident: &Incident, fact: &AlertFired) -> Vec<IncidentEvent> {
    let firing: BTreeSet<&Digest> = fact.firing.iter().map(|alert| &alert.fingerprint).collect();
    let mine = incident
        .alerts
        .iter()
        .filter(|(_, attached)| attached.group == fact.group && attached.ended_at.is_none());
    let ended: Vec<Digest> = mine
        .map(|(id, _)| *id)
        .filter(|id| !firing.contains(id))
        .collect();
    if ended.is_empty() {
        return Vec::new();
    }
    vec![IncidentEvent::AlertsCleared {
        incident: incident.id.clone(),
        group: fact.group.clone(),
        fingerprints: ended,
    }]
}

/// The alerts are over, in every incident that has them.
pub(crate) fn resolved(state: &IncidentState, fact: &AlertResolved) -> Vec<IncidentEvent> {
    let over: BTreeSet<&Digest> = fact.resolved.iter().map(|alert| &alert.fingerprint).collect();
    let mut events = Vec::new();
    for incident in state.open() {
        let firing = |id: &&Digest| {
            let attached = incident.alerts.get(*id);
            attached.is_some_and(|attached| attached.ended_at.is_none())
        };
        let mine: Vec<Digest> = over.iter().copied().filter(firing).copied().collect();
        if mine.is_empty() {
            continue;
        }
        let all = incident.firing().all(|alert| over.contains(&alert.fingerprint));
        let id = &incident.id;
        events.push(IncidentEvent::AlertsCleared {
            incident: id.clone(),
            group: fact.group.clone(),
            fingerprints: mine,
        });
        if all {
            events.push(IncidentEvent::AllClear { incident: id.clone() });
        }
    }
    events
}

/// `High error rate in cell-5, 2 tenants`: the worst alert's summary, the place, who is hit.
fn title_of(fact: &AlertFired, impact: &Impact) -> String {
    let worst = fact
        .firing
        .iter()
        .min_by_key(|alert| Severity::from_labels(&alert.labels).unwrap_or(Severity::P3));
    // A summary may name one of several that are hit; a title is said of all.
    let what = worst.map_or("Alert", |alert| {
        let told = alert
            .annotations
            .get("title")
            .or_else(|| alert.annotations.get("summary"));
        told.unwrap_or_else(|| alert.name())
    });
    let mut title = what.to_owned();
    if let Some(cell) = fact
        .scope
        .cell
        .as_ref()
        .filter(|cell| !title.contains(cell.as_str()))
    {
        title.push_str(&format!(" in {cell}"));
    }
    match impact.tenants.len() {
        0 => {}
        1 => title.push_str(", 1 tenant"),
        tenants => title.push_str(&format!(", {tenants} tenants")),
    }
    title
}
