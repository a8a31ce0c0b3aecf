//! Whom a group tells, and the clocks it sets. Receivers that page are the incident's business; chat posts, webhooks
//! and mail to a receiver are sent from here.

use mainstay_catalog::response::Routing;
use mainstay_journal::Reaction;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::{Deliver, Effect, EffectBody, EffectClass, Message};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::{Digest, Severity};

use crate::event::AlertEvent;
use crate::fold::{AlertState, after};

pub(crate) const FLUSH_TIMER: &str = "alert-flush";
pub(crate) const REPEAT_TIMER: &str = "alert-repeat";

fn timer(kind: &str, group: &str) -> String {
    format!("{kind}/{}", Digest::of(group.as_bytes()).short())
}

pub(crate) fn react(state: &AlertState, routing: &Routing, event: &AlertEvent, meta: &Meta) -> Reaction {
    match event {
        AlertEvent::Started { placements, .. } => {
            let pending = placements.iter().filter_map(|placement| {
                let due = state.groups.get(&placement.group)?.flush_at?;
                Some((timer(FLUSH_TIMER, &placement.group), due, placement.group.clone()))
            });
            Reaction {
                timers: pending.collect(),
                ..Reaction::default()
            }
        }
        // A flush timer of a group that is gone finds nothing and says nothing.
        AlertEvent::Ended { .. } => Reaction::default(),
        AlertEvent::Fired { fact } | AlertEvent::Reminded { fact } => {
            let repeat = state.groups.get(&fact.group).map(|group| {
                (
                    timer(REPEAT_TIMER, &fact.group),
                    after(meta.at, group.placement.repeat_interval_ms),
                    fact.group.clone(),
                )
            });
            Reaction {
                effects: tell(routing, &fact.receiver, meta, || firing_message(fact)),
                timers: repeat.into_iter().collect(),
                cancel: vec![timer(FLUSH_TIMER, &fact.group)],
            }
        }
        AlertEvent::Resolved { fact } => Reaction {
            effects: tell(routing, &fact.receiver, meta, || resolved_message(fact)),
            timers: Vec::new(),
            cancel: vec![timer(FLUSH_TIMER, &fact.group), timer(REPEAT_TIMER, &fact.group)],
        },
    }
}

/// One message to every chat channel, webhook and mail list of a receiver.
fn tell(routing: &Routing, receiver: &str, meta: &Meta, message: impl Fn() -> Message) -> Vec<Effect> {
    let Some(receiver) = routing.receivers.get(receiver) else {
        return Vec::new();
    };
    receiver
        .recipients()
        .into_iter()
        .map(|(channel, to)| Effect {
            key: format!("alert/{}/{}/{}", meta.id, channel.name(), to.name()),
            class: EffectClass::Once,
            body: EffectBody::Deliver(Deliver {
                channel,
                to,
                message: message(),
            }),
        })
        .collect()
}

fn list(alerts: &[AlertFact]) -> String {
    let lines = alerts.iter().take(20).map(|alert| {
        let told = ["summary", "description"].map(|name| alert.annotations.get(name).unwrap_or_default());
        let told: Vec<&str> = told.into_iter().filter(|text| !text.is_empty()).collect();
        format!("{}: {}", alert.name(), told.join(". "))
    });
    let mut lines: Vec<String> = lines.collect();
    if alerts.len() > 20 {
        lines.push(format!("and {} more", alerts.len() - 20));
    }
    lines.join("\n")
}

fn names(alerts: &[AlertFact]) -> String {
    let mut names: Vec<&str> = alerts.iter().map(AlertFact::name).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn firing_message(fact: &AlertFired) -> Message {
    Message {
        subject: format!("firing: {} ({})", names(&fact.firing), fact.scope),
        body: list(&fact.firing),
        severity: fact.severity,
        resolved: false,
        incident: None,
        page: None,
        path: "/alerts".to_owned(),
    }
}

fn resolved_message(fact: &AlertResolved) -> Message {
    let severity = fact
        .resolved
        .iter()
        .filter_map(|alert| Severity::from_labels(&alert.labels))
        .min()
        .unwrap_or(Severity::P3);
    Message {
        subject: format!("{} ({})", names(&fact.resolved), fact.scope),
        body: list(&fact.resolved),
        severity,
        resolved: true,
        incident: None,
        page: None,
        path: "/alerts".to_owned(),
    }
}
