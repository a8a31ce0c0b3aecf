//! How facts travel: which event of one capability is which command of another.

use std::collections::BTreeSet;

use mainstay_alert::AlertEvent;
use mainstay_change::ChangeEvent;
use mainstay_delivery::DeliveryEvent;
use mainstay_incident::model::{LinkedChange, ToldElsewhere};
use mainstay_incident::{IncidentCommand, IncidentEvent};
use mainstay_journal::runner::decode;
use mainstay_journal::{JournalError, Record};
use mainstay_oncall::{OncallCommand, OncallEvent};
use mainstay_runbook::RunbookEvent;

use jiff::SignedDuration;
use mainstay_catalog::response::is_beat;
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};

use crate::core::{Command, Core};
use crate::judge::Judge;

/// The subscribers, each with a cursor of its own.
pub(crate) const SUBSCRIPTIONS: [&str; 2] = ["incident", "oncall"];

/// Changes this long before an incident begins, or after, belong to it (the specification's runbook asks for the last hour).
const NEAR: SignedDuration = SignedDuration::from_hours(1);

/// How many groups of alerts one acknowledgement is passed on for.
const ELSEWHERE_MAX: usize = 200;

/// What `subscription` makes of an event; `None` if it is no news to it.
pub(crate) fn command_for(
    subscription: &str,
    core: &Core,
    judge: &impl Judge,
    record: &Record,
) -> Result<Option<Command>, JournalError> {
    match subscription {
        "incident" => Ok(for_incident(core, judge, record)?.map(Command::Incident)),
        "oncall" => Ok(for_oncall(core, record)?.map(Command::Oncall)),
        _ => Ok(None),
    }
}

fn for_incident(
    core: &Core,
    judge: &impl Judge,
    record: &Record,
) -> Result<Option<IncidentCommand>, JournalError> {
    let envelope = &record.envelope;
    Ok(match envelope.kind.as_str() {
        "alert.fired" => match decode(record)? {
            // What the watchdog hears is no trouble of the platform.
            Some(AlertEvent::Fired { fact }) if is_of_watchdog(&fact.firing) => None,
            Some(AlertEvent::Fired { fact }) => Some(alerts_fired(core, judge, fact, envelope.at)),
            _ => None,
        },
        "alert.flapping" => match decode(record)? {
            Some(AlertEvent::Flapping { fact, .. }) => Some(alerts_fired(core, judge, fact, envelope.at)),
            _ => None,
        },
        "alert.resolved" => match decode(record)? {
            Some(AlertEvent::Resolved { fact }) if is_of_watchdog(&fact.resolved) => None,
            Some(AlertEvent::Resolved { fact }) => Some(IncidentCommand::AlertsResolved { fact }),
            _ => None,
        },
        "alert.eased" => match decode(record)? {
            Some(AlertEvent::Eased { fact }) => Some(IncidentCommand::AlertsResolved { fact: eased(fact) }),
            _ => None,
        },
        "change.recorded" => decode(record)?.map(|ChangeEvent::Recorded(change)| IncidentCommand::Change {
            change: LinkedChange {
                event: envelope.id,
                change,
            },
        }),
        "delivery.delivered" => match decode(record)? {
            Some(DeliveryEvent::Delivered { fact, .. }) => {
                Some(IncidentCommand::PageDelivered { delivered: fact })
            }
            _ => None,
        },
        "oncall.acknowledged" => match decode(record)? {
            Some(OncallEvent::Acknowledged(fact)) => Some(IncidentCommand::Acknowledged {
                elsewhere: told_elsewhere(core, &fact.incident),
                fact,
            }),
            _ => None,
        },
        "runbook.step_finished" => match decode(record)? {
            Some(RunbookEvent::StepFinished {
                incident,
                runbook,
                step,
                ok,
                text,
                ..
            }) => Some(IncidentCommand::RunbookStep {
                incident,
                runbook,
                step,
                ok,
                text,
            }),
            _ => None,
        },
        _ => None,
    })
}

fn is_of_watchdog(alerts: &[AlertFact]) -> bool {
    alerts.iter().all(|alert| is_beat(&alert.labels))
}

/// What is over in a group that still fires, as an incident hears of it.
fn eased(fact: AlertFired) -> AlertResolved {
    AlertResolved {
        group: fact.group,
        receiver: fact.receiver,
        scope: fact.scope,
        resolved: fact.resolved,
        key: fact.key,
        shadow: fact.shadow,
    }
}

fn alerts_fired(core: &Core, judge: &impl Judge, fact: AlertFired, at: jiff::Timestamp) -> IncidentCommand {
    let verdict = judge.verdict(&fact.scope, None, at);
    let began = verdict.as_ref().and_then(|verdict| verdict.impact.first_bad_at);
    let began = began
        .or_else(|| fact.firing.iter().map(|alert| alert.starts_at).min())
        .unwrap_or(at);
    let near = core.changes.state().near(&fact.scope, began, NEAR, NEAR);
    let changes = near.into_iter().map(|known| LinkedChange {
        event: known.event,
        change: known.change.clone(),
    });
    IncidentCommand::AlertsFired {
        changes: changes.collect(),
        impact: verdict.map(|verdict| verdict.impact),
        // A receiver that the catalog does not have any more is no reason for silence.
        pages: core
            .specs
            .catalog
            .response
            .routing
            .receivers
            .get(&fact.receiver)
            .is_none_or(|receiver| receiver.page.is_some()),
        fact,
    }
}

/// Where an acknowledgement is passed on to: the services that asked for that, once for each group of alerts of the incident
/// that they were told of and that is not over.
fn told_elsewhere(core: &Core, incident: &mainstay_kernel::IncidentId) -> Vec<ToldElsewhere> {
    let response = &core.specs.catalog.response;
    let services = response.channels.pagerduty_that(|service| service.acknowledge);
    let incident = core.incidents.state().get(incident);
    let Some(incident) = incident.filter(|_| !services.is_empty()) else {
        return Vec::new();
    };
    let alerts = core.alerts.state();
    let firing = incident
        .firing()
        .filter_map(|alert| alerts.alert(&alert.fingerprint));
    let names: BTreeSet<&String> = firing.flat_map(|alert| &alert.groups).collect();
    let groups = names.into_iter().filter_map(|name| alerts.group(name));
    let told = groups.filter(|group| group.told_at.is_some() && !group.shadow);
    let all = told.flat_map(|group| {
        let receiver = response.routing.receivers.get(&group.placement.receiver);
        let webhooks = receiver.into_iter().flat_map(|receiver| &receiver.webhooks);
        let waiting = webhooks.filter(|name| services.contains(&name.value));
        waiting.map(|name| ToldElsewhere {
            receiver: name.value.clone(),
            group: match group.placement.key.text.as_str() {
                "" => group.placement.group.clone(),
                key => key.to_owned(),
            },
        })
    });
    let all: BTreeSet<ToldElsewhere> = all.take(ELSEWHERE_MAX).collect();
    all.into_iter().collect()
}

fn for_oncall(core: &Core, record: &Record) -> Result<Option<OncallCommand>, JournalError> {
    Ok(match record.envelope.kind.as_str() {
        "incident.page_requested" => match decode(record)? {
            Some(IncidentEvent::PageRequested(request)) => Some(OncallCommand::Page {
                policy: request
                    .policy
                    .clone()
                    .or_else(|| policy_for(core, &request.incident)),
                request,
            }),
            _ => None,
        },
        "incident.widened" => match decode(record)? {
            Some(IncidentEvent::Widened {
                incident, to, title, ..
            }) => Some(OncallCommand::Widen {
                incident,
                scope: to,
                title,
            }),
            _ => None,
        },
        "delivery.undeliverable" => match decode(record)? {
            Some(DeliveryEvent::Undeliverable { page, person, .. }) => {
                Some(OncallCommand::Undeliverable { page, person })
            }
            _ => None,
        },
        "incident.resolved" => match decode(record)? {
            Some(IncidentEvent::Resolved { incident, .. }) => Some(OncallCommand::Close { incident }),
            _ => None,
        },
        _ => None,
    })
}

/// The policy of the receiver that the incident's alerts were routed to.
fn policy_for(core: &Core, incident: &mainstay_kernel::IncidentId) -> Option<String> {
    let incident = core.incidents.state().get(incident)?;
    let receivers = &core.specs.catalog.response.routing.receivers;
    // The group that told the incident first need not be the one that pages: look at all that an alert is in.
    let mut groups = incident.alerts.iter().flat_map(|(id, attached)| {
        let active = core.alerts.state().alert(id).map(|alert| alert.groups.as_slice());
        std::iter::once(&attached.group).chain(active.unwrap_or_default())
    });
    let policy = |group: &String| {
        // The name of a group that is over by now still begins with its receiver.
        let receiver = match core.alerts.state().group(group) {
            Some(known) => known.placement.receiver.as_str(),
            None => group.split_once('@')?.0,
        };
        Some(receivers.get(receiver)?.page.as_ref()?.value.clone())
    };
    groups.find_map(policy)
}
