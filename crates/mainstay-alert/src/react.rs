//! Whom a group tells, and the clocks it sets. Receivers that page are the incident's business; chat posts, webhooks
//! and mail to a receiver are sent from here.

use jiff::Timestamp;
use mainstay_catalog::response::{Receiver, Routing};
use mainstay_journal::Reaction;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::{Deliver, Effect, EffectBody, EffectClass, Message};
use mainstay_kernel::fact::{AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::notification::{GroupKey, NOTIFICATION_MAX_BYTES, Notification};
use mainstay_kernel::{Digest, Severity};

use crate::draft::HeldBy;
use crate::event::{AlertEvent, HeldAlert};
use crate::fold::{AlertState, after};

pub(crate) const FLUSH_TIMER: &str = "alert-flush";
pub(crate) const REPEAT_TIMER: &str = "alert-repeat";
pub(crate) const REVIEW_TIMER: &str = "alert-review";
pub(crate) const FLAP_TIMER: &str = "alert-flap";
pub(crate) const SILENCE_TIMER: &str = "alert-silence";
/// By which what is left of that which ends let go is told.
pub(crate) const RELEASE_TIMER: &str = "alert-release";

fn timer(kind: &str, group: &str) -> String {
    format!("{kind}/{}", Digest::of(group.as_bytes()).short())
}

pub(crate) fn react(state: &AlertState, routing: &Routing, event: &AlertEvent, meta: &Meta) -> Reaction {
    match event {
        AlertEvent::Started {
            alert, placements, ..
        } => {
            let mut timers = flushes(state, placements.iter().map(|placement| &placement.group));
            // A group is told again, which nobody did while what flaps was over.
            timers.extend(placements.iter().filter_map(|placement| {
                let name = &placement.group;
                state.flapping(name, &alert.fingerprint)?;
                let told = state.groups.get(name)?.told_at?;
                let due = after(told, placement.repeat_interval_ms).max(meta.at);
                Some((timer(REPEAT_TIMER, name), due, name.clone()))
            }));
            Reaction {
                timers,
                ..Reaction::default()
            }
        }
        // A flush timer of a group that is gone finds nothing and says nothing.
        AlertEvent::Ended {
            groups,
            releases_more,
            ..
        } => {
            let rest = releases_more.then(|| (format!("{RELEASE_TIMER}/rest"), meta.at, String::new()));
            Reaction {
                timers: flushes(state, groups.iter()).into_iter().chain(rest).collect(),
                ..Reaction::default()
            }
        }
        AlertEvent::Fired { fact }
        | AlertEvent::Reminded { fact }
        | AlertEvent::Eased { fact }
        | AlertEvent::Flapping { fact, .. } => {
            let repeat = state.groups.get(&fact.group).map(|group| {
                (
                    timer(REPEAT_TIMER, &fact.group),
                    after(meta.at, group.placement.repeat_interval_ms),
                    fact.group.clone(),
                )
            });
            Reaction {
                effects: tell(routing, (&fact.receiver, fact.shadow), meta, |to| match event {
                    AlertEvent::Eased { .. } if !to.send_resolved => None,
                    AlertEvent::Flapping { flapping, .. } => Some(flapping_message(fact, flapping, to)),
                    _ => Some(firing_message(fact, to)),
                }),
                timers: repeat.into_iter().chain(settles(state, &fact.group)).collect(),
                cancel: vec![timer(FLUSH_TIMER, &fact.group)],
            }
        }
        AlertEvent::Resolved { fact } => Reaction {
            effects: tell(routing, (&fact.receiver, fact.shadow), meta, |to| {
                to.send_resolved.then(|| resolved_message(fact))
            }),
            timers: Vec::new(),
            cancel: match state.groups.contains_key(&fact.group) {
                true => vec![timer(REPEAT_TIMER, &fact.group)],
                false => [FLUSH_TIMER, REPEAT_TIMER, REVIEW_TIMER]
                    .map(|kind| timer(kind, &fact.group))
                    .into(),
            },
        },
        AlertEvent::Settled { group, .. } => Reaction {
            timers: flushes(state, std::iter::once(group)),
            ..Reaction::default()
        },
        AlertEvent::Held { group, held, .. } => held_back(state, routing, group, held, meta),
        AlertEvent::Silenced { silence } => Reaction {
            timers: vec![(
                format!("{SILENCE_TIMER}/{}", silence.id),
                silence.ends_at,
                String::new(),
            )],
            ..Reaction::default()
        },
        AlertEvent::CutOver { .. } | AlertEvent::ToldElsewhere { .. } => Reaction::default(),
        AlertEvent::Unsilenced { silence, .. } => Reaction {
            // What it let go may be more than one commit takes: the clock sees to the rest.
            timers: vec![(format!("{SILENCE_TIMER}/{silence}"), meta.at, String::new())],
            ..Reaction::default()
        },
    }
}

/// The clocks by which these groups are told what is new or over in them.
fn flushes<'a>(
    state: &AlertState,
    groups: impl Iterator<Item = &'a String>,
) -> Vec<(String, Timestamp, String)> {
    let due = |name: &String| {
        Some((
            timer(FLUSH_TIMER, name),
            state.groups.get(name)?.flush_at?,
            name.clone(),
        ))
    };
    let groups = groups.flat_map(|name| due(name).into_iter().chain(settles(state, name)));
    groups.collect()
}

/// The clock by which what flaps in a group is stable.
fn settles(state: &AlertState, name: &str) -> Option<(String, Timestamp, String)> {
    let due = state.flaps.next_stable_at(name)?;
    Some((timer(FLAP_TIMER, name), due, name.to_owned()))
}

/// The clocks of a group some of whose alerts are held back: when the rest is told, when an interval may let them go, and
/// when it is told again what was told before.
fn held_back(state: &AlertState, routing: &Routing, name: &str, held: &[HeldAlert], meta: &Meta) -> Reaction {
    let Some(group) = state.groups.get(name) else {
        return Reaction::default();
    };
    let mut timers = Vec::new();
    let mut cancel = Vec::new();
    match group.flush_at {
        Some(due) => timers.push((timer(FLUSH_TIMER, name), due, name.to_owned())),
        None => cancel.push(timer(FLUSH_TIMER, name)),
    }
    let placement = &group.placement;
    let of_time = |held: &HeldAlert| matches!(held.by, HeldBy::Muted { .. } | HeldBy::Inactive);
    if held.iter().any(of_time) {
        let names = placement.mute_time_intervals.iter();
        let names = names.chain(&placement.active_time_intervals);
        let next = names.filter_map(|name| routing.next_change(name, meta.at)).min();
        timers.extend(next.map(|due| (timer(REVIEW_TIMER, name), due, name.to_owned())));
    }
    if let Some(told) = group.told_at.filter(|_| held.is_empty()) {
        let due = after(told, placement.repeat_interval_ms).max(meta.at);
        timers.push((timer(REPEAT_TIMER, name), due, name.to_owned()));
    }
    Reaction {
        timers,
        cancel,
        ..Reaction::default()
    }
}

/// One message to every chat channel, webhook and mail list of a receiver.
fn tell(
    routing: &Routing,
    (receiver, shadow): (&str, bool),
    meta: &Meta,
    message: impl Fn(&Receiver) -> Option<Message>,
) -> Vec<Effect> {
    let Some(receiver) = routing.receivers.get(receiver) else {
        return Vec::new();
    };
    let told = receiver.by_end().into_iter().flat_map(|receiver| {
        let mut message = message(&receiver);
        if let Some(notification) = message.as_mut().and_then(|message| message.notification.as_mut()) {
            notification.shadow = shadow;
        }
        let recipients = receiver.recipients().into_iter();
        message.into_iter().flat_map(move |message| {
            let told = recipients.clone();
            told.map(move |recipient| (recipient, message.clone()))
        })
    });
    told.map(|((channel, to), message)| Effect {
        key: format!("alert/{}/{}/{}", meta.id, channel.name(), to.name()),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver { channel, to, message }),
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

/// `group` names it inside: a group that was told before groups had a name outside goes by that.
fn notification(
    receiver: &str,
    key: &GroupKey,
    group: &str,
    firing: &[AlertFact],
    resolved: &[AlertFact],
) -> Option<Box<Notification>> {
    let mut key = key.clone();
    if key.text.is_empty() {
        group.clone_into(&mut key.text);
    }
    Some(Box::new(Notification::new(
        receiver,
        key,
        firing,
        resolved,
        NOTIFICATION_MAX_BYTES,
    )))
}

fn firing_message(fact: &AlertFired, to: &Receiver) -> Message {
    if fact.firing.is_empty() {
        // Of the rest it is kept back that it is over.
        return resolved_message(&AlertResolved {
            group: fact.group.clone(),
            receiver: fact.receiver.clone(),
            scope: fact.scope.clone(),
            resolved: fact.resolved.clone(),
            key: fact.key.clone(),
            shadow: fact.shadow,
        });
    }
    let resolved: &[AlertFact] = if to.send_resolved { &fact.resolved } else { &[] };
    let mut body = list(&fact.firing);
    if !resolved.is_empty() {
        body.push_str(&format!("\n\nOver: {}", names(resolved)));
    }
    Message {
        subject: format!("firing: {} ({})", names(&fact.firing), fact.scope),
        body,
        notification: notification(&fact.receiver, &fact.key, &fact.group, &fact.firing, resolved),
        severity: fact.severity,
        resolved: false,
        incident: None,
        page: None,
        path: "/alerts".to_owned(),
        change: None,
    }
}

/// Under this annotation it is said how often an alert began.
const FLAPPING: &str = "flapping";

fn flapping_message(fact: &AlertFired, flapping: &[HeldAlert], to: &Receiver) -> Message {
    let mut fact = fact.clone();
    let mut said = Vec::new();
    for alert in &mut fact.firing {
        let held = flapping.iter().find(|held| held.fingerprint == alert.fingerprint);
        if let Some(HeldBy::Flapping { starts, within_ms }) = held.map(|held| &held.by) {
            let text = format!("began {starts} times in {} s", within_ms / 1_000);
            said.push(format!("{} {text}.", alert.name()));
            alert.annotations.set(FLAPPING, text);
        }
    }
    let message = firing_message(&fact, to);
    Message {
        subject: format!("flapping: {} ({})", names(&fact.firing), fact.scope),
        body: format!(
            "{} What becomes of it is told when it has been stable for as long.\n{}",
            said.join(" "),
            message.body
        ),
        ..message
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
        notification: notification(&fact.receiver, &fact.key, &fact.group, &[], &fact.resolved),
        severity,
        resolved: true,
        incident: None,
        page: None,
        path: "/alerts".to_owned(),
        change: None,
    }
}
