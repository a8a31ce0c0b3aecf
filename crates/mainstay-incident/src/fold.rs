//! What events make of an incident, and how they read on its timeline.

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::Recipient;
use mainstay_kernel::fact::{AlertFact, IncidentDeclared};
use mainstay_kernel::{Actor, Digest, PersonId};

use crate::event::IncidentEvent;
use crate::model::{
    AttachedAlert, ENDED_ALERTS_AT_HAND, ENDED_ALERTS_AT_HAND_RESOLVED, ENDED_AT_HAND, Impact, Incident,
    IncidentState, LinkedChange, Phase, TIMELINE_AT_HAND, TimelineEntry, TimelineKind,
};

pub(crate) fn apply(state: &mut IncidentState, event: &IncidentEvent, meta: &Meta) {
    if let IncidentEvent::Declared { fact, began_at } = event {
        state
            .incidents
            .insert(fact.incident.clone(), declared(fact, *began_at, meta));
    }
    let Some(incident) = state.incidents.get_mut(event.incident()) else {
        return;
    };
    let mut at = meta.at;
    match event {
        IncidentEvent::Declared { .. }
        | IncidentEvent::AcknowledgementPassedOn { .. }
        | IncidentEvent::RunbookStep { .. }
        | IncidentEvent::Noted { .. } => {}
        IncidentEvent::AlertsAttached { group, alerts, .. } => {
            incident.all_clear_at = None;
            for alert in alerts {
                // A group that is told again tells of all that fire in it.
                let before = incident.alerts.get(&alert.fingerprint);
                let attached = AttachedAlert {
                    alert: alert.clone(),
                    group: group.clone(),
                    ended_at: None,
                    attached_at: before.map_or(Some(meta.at), |before| before.attached_at),
                };
                incident.alerts.insert(alert.fingerprint, attached);
            }
        }
        IncidentEvent::AlertsCleared { fingerprints, .. } => {
            for fingerprint in fingerprints {
                if let Some(attached) = incident.alerts.get_mut(fingerprint) {
                    attached.ended_at = Some(meta.at);
                }
            }
            forget_oldest_ended_alerts(incident);
        }
        IncidentEvent::AllClear { .. } => incident.all_clear_at = Some(meta.at),
        IncidentEvent::SeverityChanged { to, .. } => incident.severity = *to,
        IncidentEvent::Widened { to, title, .. } => {
            incident.scope = to.clone();
            incident.title.clone_from(title);
        }
        IncidentEvent::PhaseChanged { to, .. } => incident.phase = *to,
        IncidentEvent::ChangeLinked {
            change_event, change, ..
        } => {
            at = change.at;
            incident.changes.push(LinkedChange {
                event: *change_event,
                change: change.clone(),
            });
        }
        IncidentEvent::PageRequested(request) => {
            incident.pages.push(request.page.clone());
            incident.asked_since += 1;
        }
        IncidentEvent::PageDelivered { .. } => {
            incident.page_delivered_at = incident.page_delivered_at.or(Some(meta.at))
        }
        IncidentEvent::Acknowledged(fact) => {
            let by = fact.by.as_ref().map_or_else(
                || meta.actor.clone(),
                |person: &PersonId| Actor::person(person.as_str()),
            );
            incident.acknowledged.get_or_insert((meta.at, by));
            incident.taken_on_at = incident.taken_on_at.max(Some(meta.at));
            incident.asked_since = 0;
        }
        IncidentEvent::ImpactMeasured { impact, .. } => incident.impact = impact.clone(),
        IncidentEvent::Recovered { at: last_bad, .. } => {
            at = *last_bad;
            incident.mitigated_at = Some(*last_bad);
        }
        IncidentEvent::Relapsed { .. } => incident.mitigated_at = None,
        IncidentEvent::Resolved { .. } => {
            incident.resolved_at = Some(meta.at);
            incident.phase = Phase::PostMortem;
            forget_oldest_ended_alerts(incident);
        }
    }
    let (kind, text) = describe(event);
    incident.timeline.push(TimelineEntry {
        at,
        event: meta.id,
        actor: meta.actor.clone(),
        kind,
        text,
    });
    if incident.timeline.len() > TIMELINE_AT_HAND {
        // How it began and how it ends is what matters; the journal has all of it.
        incident.timeline.remove(TIMELINE_AT_HAND / 2);
    }
    if matches!(event, IncidentEvent::Resolved { .. }) {
        forget_oldest_ended(state);
    }
}

fn declared(fact: &IncidentDeclared, began_at: Timestamp, meta: &Meta) -> Incident {
    Incident {
        id: fact.incident.clone(),
        shadow: fact.shadow,
        severity: fact.severity,
        title: fact.title.clone(),
        scope: fact.scope.clone(),
        phase: Phase::Detection,
        began_at,
        declared_at: meta.at,
        page_delivered_at: None,
        acknowledged: None,
        taken_on_at: None,
        asked_since: 0,
        mitigated_at: None,
        all_clear_at: None,
        resolved_at: None,
        alerts: std::collections::BTreeMap::new(),
        changes: Vec::new(),
        pages: Vec::new(),
        impact: Impact::default(),
        timeline: Vec::new(),
    }
}

/// An incident that goes on for weeks, or one of a storm, does not grow with every alert that came and went.
fn forget_oldest_ended_alerts(incident: &mut Incident) {
    let (at_hand, and_some) = match incident.is_open() {
        // Not each time one more is over.
        true => (ENDED_ALERTS_AT_HAND, ENDED_ALERTS_AT_HAND / 10),
        false => (ENDED_ALERTS_AT_HAND_RESOLVED, 0),
    };
    if incident.alerts.len() <= at_hand + and_some {
        return;
    }
    let ended = incident.alerts.iter();
    let mut ended: Vec<(Timestamp, Digest)> = ended
        .filter_map(|(id, attached)| Some((attached.ended_at?, *id)))
        .collect();
    if ended.len() <= at_hand + and_some {
        return;
    }
    ended.sort_unstable();
    let too_many = ended.len() - at_hand;
    for (_, id) in ended.into_iter().take(too_many) {
        incident.alerts.remove(&id);
    }
}

fn forget_oldest_ended(state: &mut IncidentState) {
    let ended = || state.all().filter(|incident| !incident.is_open());
    if ended().count() > ENDED_AT_HAND {
        let oldest = ended()
            .min_by_key(|incident| (incident.resolved_at, incident.id.as_str().len(), &incident.id))
            .map(|incident| incident.id.clone());
        oldest.map(|id| state.incidents.remove(&id));
    }
}

/// One line of the timeline.
fn describe(event: &IncidentEvent) -> (TimelineKind, String) {
    match event {
        IncidentEvent::Declared { fact, .. } => (
            TimelineKind::Incident,
            format!("declared {}: {}", fact.severity, fact.title),
        ),
        IncidentEvent::AlertsAttached { alerts, .. } => {
            let mut names: Vec<&str> = alerts.iter().map(AlertFact::name).collect();
            names.dedup();
            (TimelineKind::Alert, format!("firing: {}", names.join(", ")))
        }
        IncidentEvent::AlertsCleared { fingerprints, .. } => (
            TimelineKind::Alert,
            format!("{} alert(s) ended", fingerprints.len()),
        ),
        IncidentEvent::AllClear { .. } => (TimelineKind::Alert, "no alert fires any more".to_owned()),
        IncidentEvent::SeverityChanged { from, to, reason, .. } => (
            TimelineKind::Incident,
            format!("severity {from} to {to}: {reason}"),
        ),
        IncidentEvent::Widened { from, to, reason, .. } => (
            TimelineKind::Incident,
            format!("wider than {from}: {to}, because {reason}"),
        ),
        IncidentEvent::PhaseChanged { from, to, .. } => {
            (TimelineKind::Incident, format!("phase {from} to {to}"))
        }
        IncidentEvent::ChangeLinked { change, .. } => (TimelineKind::Change, change.summary.clone()),
        IncidentEvent::PageRequested(request) => {
            (TimelineKind::Page, format!("page {} asked for", request.page))
        }
        IncidentEvent::PageDelivered { delivered, .. } => {
            let to = match &delivered.to {
                Recipient::Person(person) => person.to_string(),
                Recipient::ChatChannel(channel) => channel.to_string(),
                Recipient::Receiver(name) => name.clone(),
            };
            let again = if delivered.possible_duplicate {
                ", possibly a second time"
            } else {
                ""
            };
            (
                TimelineKind::Page,
                format!(
                    "page delivered to {to} by {} (attempt {}{again})",
                    delivered.channel.name(),
                    delivered.attempt
                ),
            )
        }
        IncidentEvent::Acknowledged(fact) => {
            let by = fact.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            (TimelineKind::Page, format!("page {} acknowledged{by}", fact.page))
        }
        IncidentEvent::AcknowledgementPassedOn { to, .. } => {
            let receivers: std::collections::BTreeSet<&str> =
                to.iter().map(|told| told.receiver.as_str()).collect();
            let receivers: Vec<&str> = receivers.into_iter().collect();
            let text = format!("acknowledgement passed on to {}", receivers.join(", "));
            (TimelineKind::Page, text)
        }
        IncidentEvent::RunbookStep {
            runbook,
            step,
            ok,
            text,
            ..
        } => (
            TimelineKind::Runbook,
            format!(
                "{runbook} step {step} {}: {text}",
                if *ok { "done" } else { "failed" }
            ),
        ),
        IncidentEvent::ImpactMeasured { impact, .. } => (
            TimelineKind::Impact,
            format!(
                "{} of {} requests failed, {} tenant(s) hit",
                impact.bad,
                impact.total,
                impact.tenants.len()
            ),
        ),
        IncidentEvent::Recovered { .. } => {
            (TimelineKind::Impact, "last failing request; recovered".to_owned())
        }
        IncidentEvent::Relapsed { .. } => (TimelineKind::Impact, "requests fail again".to_owned()),
        IncidentEvent::Noted { text, .. } => (TimelineKind::Note, text.clone()),
        IncidentEvent::Resolved { forced: None, .. } => (TimelineKind::Incident, "resolved".to_owned()),
        IncidentEvent::Resolved {
            forced: Some(why), ..
        } => (
            TimelineKind::Incident,
            format!("resolved although alerts fire: {why}"),
        ),
    }
}
