//! What follows from what an incident is told.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::fact::{AlertFact, AlertFired, ChangeKind, IncidentDeclared, PageRequested};
use mainstay_kernel::{Digest, IncidentId, PageId, Scope, Severity};

use crate::command::{IncidentCommand, IncidentRefusal};
use crate::event::IncidentEvent;
use crate::model::{Impact, Incident, IncidentState, LinkedChange, Phase};

const TEXT_MAX_BYTES: usize = 4_096;
/// A change belongs to an incident if it was made at most so long before it began.
const CHANGE_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// An incident began at most so long before it is declared, whatever the clock of an alert's sender says.
const BEGAN_WITHIN: SignedDuration = SignedDuration::from_hours(24);

fn check_text(what: &'static str, text: &str) -> Result<(), IncidentRefusal> {
    if text.trim().is_empty() || text.len() > TEXT_MAX_BYTES {
        return Err(IncidentRefusal::Text {
            what,
            limit_bytes: TEXT_MAX_BYTES,
        });
    }
    Ok(())
}

fn open<'a>(state: &'a IncidentState, id: &IncidentId) -> Result<&'a Incident, IncidentRefusal> {
    let incident = state
        .get(id)
        .ok_or_else(|| IncidentRefusal::Unknown(id.clone()))?;
    if incident.is_open() {
        Ok(incident)
    } else {
        Err(IncidentRefusal::AlreadyResolved(id.clone()))
    }
}

/// The next id of the day: `2025-01-15-001`.
fn next_id(state: &IncidentState, now: Timestamp) -> IncidentId {
    let day = now.strftime("%Y-%m-%d-").to_string();
    // As numbers: as texts 1000 comes before 999.
    let number = |incident: &Incident| incident.id.as_str().strip_prefix(&day)?.parse::<u32>().ok();
    let last = state.all().filter_map(number).max().unwrap_or(0);
    IncidentId::new(format!("{day}{:03}", last + 1)).expect("digits and dashes are a name")
}

/// The severity that the rules over the impact call for, where they call for more than `given` (specification, "Incident
/// Severity Levels": multiple tenants affected is P0; ruling R26).
fn severity_by_rule(given: Severity, impact: &Impact) -> Option<(Severity, String)> {
    let tenants = impact.tenants.len();
    (tenants >= 2 && given > Severity::P0).then(|| {
        (
            Severity::P0,
            format!("{tenants} tenants are affected (rule: multiple tenants)"),
        )
    })
}

fn page(
    incident: &IncidentId,
    number: usize,
    severity: Severity,
    title: &str,
    scope: &Scope,
) -> IncidentEvent {
    IncidentEvent::PageRequested(PageRequested {
        page: PageId::new(format!("{incident}-p{number}")).expect("an incident's id and a number are a name"),
        incident: incident.clone(),
        severity,
        title: title.to_owned(),
        scope: scope.clone(),
    })
}

/// What a severity that got worse leads to: the change itself and, where it pages, a page of its own.
fn worsen(incident: &Incident, to: Severity, reason: String) -> Vec<IncidentEvent> {
    let id = &incident.id;
    let mut events = vec![IncidentEvent::SeverityChanged {
        incident: id.clone(),
        from: incident.severity,
        to,
        reason,
    }];
    if to.pages() && to < incident.severity {
        events.push(page(
            id,
            incident.pages.len() + 1,
            to,
            &incident.title,
            &incident.scope,
        ));
    }
    events
}

fn declare(
    state: &IncidentState,
    now: Timestamp,
    severity: Severity,
    title: String,
    scope: Scope,
    began_at: Timestamp,
) -> (IncidentId, Vec<IncidentEvent>) {
    let id = next_id(state, now);
    let fact = IncidentDeclared {
        incident: id.clone(),
        severity,
        title,
        scope,
    };
    (id, vec![IncidentEvent::Declared { fact, began_at }])
}

/// The alerts of the incident that the group says, by silence, are over: a fired group names all that fire in it.
fn ended_in_group(incident: &Incident, fact: &AlertFired) -> Vec<IncidentEvent> {
    let fires = |id: &Digest| fact.firing.iter().any(|alert| alert.fingerprint == *id);
    let mine = incident
        .alerts
        .iter()
        .filter(|(_, attached)| attached.group == fact.group && attached.ended_at.is_none());
    let ended: Vec<Digest> = mine.map(|(id, _)| *id).filter(|id| !fires(id)).collect();
    if ended.is_empty() {
        return Vec::new();
    }
    vec![IncidentEvent::AlertsCleared {
        incident: incident.id.clone(),
        group: fact.group.clone(),
        fingerprints: ended,
    }]
}

fn alerts_fired(
    state: &IncidentState,
    fact: AlertFired,
    impact: Option<Impact>,
    changes: Vec<LinkedChange>,
    pages: bool,
    now: Timestamp,
) -> Vec<IncidentEvent> {
    let attach = |incident: &IncidentId| IncidentEvent::AlertsAttached {
        incident: incident.clone(),
        group: fact.group.clone(),
        alerts: fact.firing.clone(),
    };
    if let Some(incident) = state.open_around(&fact.scope) {
        let known = |alert: &AlertFact| {
            incident
                .alerts
                .get(&alert.fingerprint)
                .is_some_and(|attached| attached.ended_at.is_none())
        };
        let mut events = ended_in_group(incident, &fact);
        if fact.firing.iter().all(known) {
            return events;
        }
        events.push(attach(&incident.id));
        if fact.severity < incident.severity {
            events.extend(worsen(
                incident,
                fact.severity,
                format!("an alert of severity {} fires", fact.severity),
            ));
        } else if pages && fact.severity.pages() && incident.all_clear_at.is_some() {
            // All was over and nobody closed it: whoever took it on may be asleep by now.
            let title = format!("again: {}", title_of(&fact, &Impact::default()));
            let number = incident.pages.len() + 1;
            events.push(page(&incident.id, number, fact.severity, &title, &fact.scope));
        }
        return events;
    }
    if !pages || !fact.severity.pages() {
        return Vec::new();
    }
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
    let (id, mut events) = declare(
        state,
        now,
        fact.severity,
        title.clone(),
        fact.scope.clone(),
        began_at,
    );
    events.push(attach(&id));
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
    events.push(page(&id, 1, severity, &title, &fact.scope));
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

fn measure(incident: &Incident, impact: Impact, recovered_at: Option<Timestamp>) -> Vec<IncidentEvent> {
    let id = &incident.id;
    let mut events = Vec::new();
    let others_hit = impact.tenants != incident.impact.tenants;
    // A human who judged otherwise is not overruled again by what was known then.
    let by_rule = severity_by_rule(incident.severity, &impact).filter(|_| others_hit);
    let relapsed = incident
        .mitigated_at
        .is_some_and(|at| impact.last_bad_at.is_some_and(|bad| bad > at));
    let recovered = recovered_at.filter(|_| relapsed || incident.mitigated_at.is_none());
    // Figures that only grew are not news; who is hit, and the turns, are.
    if others_hit || recovered.is_some() || relapsed {
        events.push(IncidentEvent::ImpactMeasured {
            incident: id.clone(),
            impact,
        });
    }
    if let Some((to, reason)) = by_rule {
        events.extend(worsen(incident, to, reason));
    }
    if relapsed {
        events.push(IncidentEvent::Relapsed { incident: id.clone() });
    }
    if let Some(at) = recovered {
        events.push(IncidentEvent::Recovered {
            incident: id.clone(),
            at,
        });
        if incident.phase < Phase::Investigation {
            events.push(IncidentEvent::PhaseChanged {
                incident: id.clone(),
                from: incident.phase,
                to: Phase::Investigation,
            });
        }
    }
    events
}

fn advance(incident: &Incident, to: Phase) -> Option<IncidentEvent> {
    (incident.phase < to).then(|| IncidentEvent::PhaseChanged {
        incident: incident.id.clone(),
        from: incident.phase,
        to,
    })
}

pub(crate) fn decide(
    state: &IncidentState,
    command: IncidentCommand,
    now: Timestamp,
) -> Result<Vec<IncidentEvent>, IncidentRefusal> {
    Ok(match command {
        IncidentCommand::AlertsFired {
            fact,
            impact,
            changes,
            pages,
        } => alerts_fired(state, fact, impact, changes, pages, now),
        IncidentCommand::AlertsResolved { fact } => {
            let fingerprints: Vec<_> = fact.resolved.iter().map(|alert| alert.fingerprint).collect();
            let mut events = Vec::new();
            for incident in state.open() {
                let mine: Vec<_> = fingerprints
                    .iter()
                    .filter(|fp| {
                        incident
                            .alerts
                            .get(fp)
                            .is_some_and(|attached| attached.ended_at.is_none())
                    })
                    .copied()
                    .collect();
                if mine.is_empty() {
                    continue;
                }
                let all = incident.firing().all(|alert| mine.contains(&alert.fingerprint));
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
        IncidentCommand::Change { change } => match state.open_at(&change.change.scope) {
            // A report of long ago, or of some day to come, is not about this.
            Some(incident)
                if !incident.changes.iter().any(|linked| linked.event == change.event)
                    && change.change.at >= incident.began_at.saturating_sub(CHANGE_WITHIN).unwrap_or(now)
                    && change.change.at <= now.saturating_add(CHANGE_WITHIN).unwrap_or(now) =>
            {
                let mut events = vec![IncidentEvent::ChangeLinked {
                    incident: incident.id.clone(),
                    change_event: change.event,
                    change: change.change.clone(),
                }];
                if change.change.kind == ChangeKind::Rollback {
                    events.extend(advance(incident, Phase::Mitigation));
                }
                events
            }
            _ => Vec::new(),
        },
        IncidentCommand::Declare {
            severity,
            title,
            scope,
        } => {
            check_text("the title", &title)?;
            let (id, mut events) = declare(state, now, severity, title.clone(), scope.clone(), now);
            if severity.pages() {
                events.push(page(&id, 1, severity, &title, &scope));
            }
            events
        }
        IncidentCommand::PageDelivered { delivered } => match &delivered.incident {
            Some(id) if delivered.page.is_some() && state.get(id).is_some() => {
                vec![IncidentEvent::PageDelivered {
                    incident: id.clone(),
                    delivered,
                }]
            }
            _ => Vec::new(),
        },
        IncidentCommand::Acknowledged { fact } => {
            let Some(incident) = state.get(&fact.incident) else {
                return Ok(Vec::new());
            };
            let triage = advance(incident, Phase::Triage);
            [Some(IncidentEvent::Acknowledged(fact)), triage]
                .into_iter()
                .flatten()
                .collect()
        }
        IncidentCommand::RunbookStep {
            incident,
            runbook,
            step,
            ok,
            text,
        } => {
            let open = open(state, &incident)?;
            let mitigation = advance(open, Phase::Mitigation);
            [
                Some(IncidentEvent::RunbookStep {
                    incident,
                    runbook,
                    step,
                    ok,
                    text,
                }),
                mitigation,
            ]
            .into_iter()
            .flatten()
            .collect()
        }
        IncidentCommand::Measure {
            incident,
            impact,
            recovered_at,
        } => measure(open(state, &incident)?, impact, recovered_at),
        IncidentCommand::SetSeverity { incident, to, reason } => {
            check_text("the reason", &reason)?;
            let open = open(state, &incident)?;
            if open.severity == to {
                return Err(IncidentRefusal::NoChange {
                    incident,
                    what: to.to_string(),
                });
            }
            worsen(open, to, reason)
        }
        IncidentCommand::SetPhase { incident, to } => {
            let open = open(state, &incident)?;
            if open.phase == to {
                return Err(IncidentRefusal::NoChange {
                    incident,
                    what: format!("in {to}"),
                });
            }
            vec![IncidentEvent::PhaseChanged {
                incident,
                from: open.phase,
                to,
            }]
        }
        IncidentCommand::Note { incident, text } => {
            check_text("a note", &text)?;
            state
                .get(&incident)
                .ok_or_else(|| IncidentRefusal::Unknown(incident.clone()))?;
            vec![IncidentEvent::Noted { incident, text }]
        }
        IncidentCommand::Resolve { incident, force } => {
            if let Some(reason) = &force {
                check_text("the reason", reason)?;
            }
            let open = open(state, &incident)?;
            let names: Vec<&str> = open.firing().map(AlertFact::name).collect();
            if let (false, None) = (names.is_empty(), &force) {
                return Err(IncidentRefusal::StillFiring {
                    incident,
                    firing: names.len(),
                    names: names.join(", "),
                });
            }
            let forced = force.filter(|_| !names.is_empty());
            vec![IncidentEvent::Resolved { incident, forced }]
        }
    })
}
