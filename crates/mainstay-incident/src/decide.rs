//! What follows from what an incident is told.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::fact::{AlertFact, ChangeKind, IncidentDeclared, PageRequested};
use mainstay_kernel::{IncidentId, PageId, Scope, Severity};

use crate::alerts;
use crate::command::{IncidentCommand, IncidentRefusal};
use crate::event::IncidentEvent;
use crate::model::{Impact, Incident, IncidentState, Phase};
use crate::place::IncidentSpec;

const TEXT_MAX_BYTES: usize = 4_096;
/// A change belongs to an incident if it was made at most so long before it began.
const CHANGE_WITHIN: SignedDuration = SignedDuration::from_hours(1);

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
pub(crate) fn severity_by_rule(given: Severity, impact: &Impact) -> Option<(Severity, String)> {
    let tenants = impact.tenants.len();
    (tenants >= 2 && given > Severity::P0).then(|| {
        (
            Severity::P0,
            format!("{tenants} tenants are affected (rule: multiple tenants)"),
        )
    })
}

/// One more page about an incident that has some.
pub(crate) fn next_page(
    incident: &Incident,
    severity: Severity,
    title: &str,
    scope: &Scope,
) -> PageRequested {
    page(&incident.id, incident.pages.len() + 1, severity, title, scope)
}

pub(crate) fn page(
    incident: &IncidentId,
    number: usize,
    severity: Severity,
    title: &str,
    scope: &Scope,
) -> PageRequested {
    PageRequested {
        page: PageId::new(format!("{incident}-p{number}")).expect("an incident's id and a number are a name"),
        incident: incident.clone(),
        severity,
        title: title.to_owned(),
        scope: scope.clone(),
        policy: None,
    }
}

/// What a severity that got worse leads to: the change itself and, where it pages, a page of its own.
pub(crate) fn worsen(
    incident: &Incident,
    title: &str,
    scope: &Scope,
    to: Severity,
    reason: String,
) -> Vec<IncidentEvent> {
    let id = &incident.id;
    let mut events = vec![IncidentEvent::SeverityChanged {
        incident: id.clone(),
        from: incident.severity,
        to,
        reason,
    }];
    if to.pages() && to < incident.severity {
        let page = next_page(incident, to, title, scope);
        events.push(IncidentEvent::PageRequested(page));
    }
    events
}

pub(crate) fn declare(
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
        shadow: false,
    };
    (id, vec![IncidentEvent::Declared { fact, began_at }])
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
        events.extend(worsen(incident, &incident.title, &incident.scope, to, reason));
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
    spec: &IncidentSpec,
    command: IncidentCommand,
    now: Timestamp,
) -> Result<Vec<IncidentEvent>, IncidentRefusal> {
    Ok(match command {
        IncidentCommand::AlertsFired {
            fact,
            impact,
            changes,
            pages,
        } => {
            let seen = alerts::Fired {
                fact,
                impact,
                changes,
                pages,
            };
            alerts::fired(state, spec, seen, now)
        }
        IncidentCommand::AlertsResolved { fact } => alerts::resolved(state, &fact),
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
                let page = page(&id, 1, severity, &title, &scope);
                events.push(IncidentEvent::PageRequested(page));
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
        IncidentCommand::Acknowledged { fact, elsewhere } => {
            let Some(incident) = state.get(&fact.incident) else {
                return Ok(Vec::new());
            };
            let triage = advance(incident, Phase::Triage);
            let by = fact.by.as_ref().map_or("somebody", |by| by.as_str());
            let passed_on = (!elsewhere.is_empty()).then(|| IncidentEvent::AcknowledgementPassedOn {
                incident: incident.id.clone(),
                page: fact.page.clone(),
                by: by.to_owned(),
                to: elsewhere,
            });
            [Some(IncidentEvent::Acknowledged(fact)), triage, passed_on]
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
            worsen(open, &open.title, &open.scope, to, reason)
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
