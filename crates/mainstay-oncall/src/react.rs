//! The messages of a page and the clocks by which it climbs.

use jiff::Timestamp;
use mainstay_catalog::response::EscalationPolicy;
use mainstay_journal::Reaction;
use mainstay_journal::machine::Meta;
use mainstay_kernel::PersonId;
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Message, Recipient};

use crate::decide::OncallCommand;
use crate::event::OncallEvent;
use crate::fold::{OncallState, Page};
use crate::handover;
use crate::notify::{Insist, NEXT_TURN, later_steps, parse_insist, steps};
use crate::spec::OncallSpec;
use crate::swap;

type SetTimer = (String, Timestamp, String);

fn level_timer(page: &Page, round: u32, level: usize) -> (String, String) {
    let text = format!("{} {round} {level}", page.request.page);
    (format!("page/{}/{round}/{level}", page.request.page), text)
}

/// By which the turn at a level passes to the next.
fn turn_timer(page: &Page, round: u32, level: usize) -> (String, String) {
    let (key, text) = level_timer(page, round, level);
    (format!("{key}/{NEXT_TURN}"), format!("{text} {NEXT_TURN}"))
}

fn repeat_timer(page: &Page, round: u32) -> (String, String) {
    (
        format!("page/{}/{round}/repeat", page.request.page),
        format!("{} {round} repeat", page.request.page),
    )
}

pub(crate) fn parse_timer(payload: &str) -> Option<OncallCommand> {
    if let Some(command) = swap::parse_timer(payload) {
        return Some(command);
    }
    let mut words = payload.split(' ');
    let page = words.next()?.parse().ok()?;
    let round = words.next()?.parse().ok()?;
    match words.next()? {
        "repeat" => Some(OncallCommand::Repeat { page, round }),
        level => parse_insist(page, round, level.parse().ok()?, words),
    }
}

pub(crate) fn react(state: &OncallState, spec: &OncallSpec, event: &OncallEvent, meta: &Meta) -> Reaction {
    let of = |id| {
        let page: &Page = state.page(id)?;
        Some((page, spec.policy(&page.policy)?.1))
    };
    match event {
        OncallEvent::Opened { request, .. } => of(&request.page)
            .map_or_else(Reaction::default, |(page, policy)| {
                round_timers(page, policy, 0, meta.at)
            }),
        OncallEvent::RoundBegan { page, round } => of(page)
            .map_or_else(Reaction::default, |(page, policy)| {
                round_timers(page, policy, *round, meta.at)
            }),
        OncallEvent::Notified {
            page,
            round,
            level,
            people,
            inform,
        } => {
            let Some((page, policy)) = of(page) else {
                return Reaction::default();
            };
            let severity = page.request.severity;
            let mut reaction = turn_passed(spec, page, policy, *round, *level, people, meta.at);
            for person in people {
                let first = steps(spec, policy, severity, person).into_iter().next();
                let mut channels = first.map(|step| step.channels).unwrap_or_default();
                if *inform && channels.iter().any(|channel| *channel != Channel::Voice) {
                    // Nobody is called to be informed.
                    channels.retain(|channel| *channel != Channel::Voice);
                }
                let said = message(page, *inform);
                let told = told_at(page, *round, *level, person);
                reaction.effects.extend(messages(&told, channels, &said));
                if *inform {
                    continue;
                }
                for (after, insist) in later_steps(spec, policy, severity, &told) {
                    let due = meta.at.saturating_add(after).unwrap_or(Timestamp::MAX);
                    reaction
                        .timers
                        .push((insist.timer_key(), due, insist.timer_payload()));
                }
            }
            reaction
        }
        OncallEvent::Insisted {
            page,
            round,
            level,
            person,
            channels,
        } => {
            let Some((page, _)) = of(page) else {
                return Reaction::default();
            };
            let told = told_at(page, *round, *level, person);
            Reaction {
                effects: messages(&told, channels.clone(), &message(page, false)).collect(),
                ..Reaction::default()
            }
        }
        OncallEvent::Widened { page, people, .. } => {
            let Some((page, _)) = of(page) else {
                return Reaction::default();
            };
            let effects = people.iter().flat_map(|person| wider(spec, page, person));
            Reaction {
                effects: effects.collect(),
                ..Reaction::default()
            }
        }
        OncallEvent::Acknowledged(fact) => {
            let climbing = of(&fact.page).map(|(page, policy)| timers_of(spec, page, policy, false));
            Reaction {
                cancel: climbing.unwrap_or_default(),
                ..Reaction::default()
            }
        }
        OncallEvent::Closed { page, .. } | OncallEvent::Superseded { page, .. } => {
            let all = of(page).map(|(page, policy)| timers_of(spec, page, policy, true));
            Reaction {
                cancel: all.unwrap_or_default(),
                ..Reaction::default()
            }
        }
        OncallEvent::SwapAsked(swap) => Reaction {
            effects: swap::asked_messages(spec, swap),
            timers: vec![swap::timer(swap)],
            ..Reaction::default()
        },
        OncallEvent::SwapEnded { swap, end } => Reaction {
            effects: swap::ended_messages(spec, swap, *end),
            cancel: vec![swap::cancelled(swap)],
            ..Reaction::default()
        },
        OncallEvent::Reminded { .. } | OncallEvent::HandedOver { .. } => Reaction {
            effects: handover::messages(spec, event),
            ..Reaction::default()
        },
        OncallEvent::FeedOpened(_)
        | OncallEvent::FeedClosed { .. }
        | OncallEvent::HandoverNoted { .. }
        | OncallEvent::NobodyReached { .. }
        | OncallEvent::TurnTaken { .. }
        | OncallEvent::Unreachable { .. }
        | OncallEvent::Withdrawn { .. }
        | OncallEvent::Overridden { .. } => Reaction::default(),
    }
}

fn round_timers(page: &Page, policy: &EscalationPolicy, round: u32, at: Timestamp) -> Reaction {
    let after = |delay| at.saturating_add(delay).unwrap_or(Timestamp::MAX);
    let mut timers: Vec<SetTimer> = policy
        .levels_for(page.request.severity)
        .filter(|(_, level)| !level.delay().is_zero())
        .map(|(index, level)| {
            let (key, text) = level_timer(page, round, index);
            (key, after(level.delay()), text)
        })
        .collect();
    if let Some(repeat) = policy.repeat.as_ref().filter(|repeat| round < repeat.times) {
        let (key, text) = repeat_timer(page, round + 1);
        timers.push((key, after(repeat.every.value.0), text));
    }
    Reaction {
        timers,
        ..Reaction::default()
    }
}

/// Where a level takes turns: whose turn is over is not insisted on any more, and who has it now has it for a while.
fn turn_passed(
    spec: &OncallSpec,
    page: &Page,
    policy: &EscalationPolicy,
    round: u32,
    level: usize,
    people: &[PersonId],
    at: Timestamp,
) -> Reaction {
    let entry = policy.levels.get(level);
    let Some((entry, turns)) = entry.and_then(|entry| Some((entry, entry.round_robin?))) else {
        return Reaction::default();
    };
    let before = page
        .asked_in_round(level)
        .filter(|person| !people.contains(person));
    let steps = before.flat_map(|person| {
        let told = told_at(page, round, level, person);
        let later = later_steps(spec, policy, page.request.severity, &told);
        later.map(|(_, insist)| insist.timer_key()).collect::<Vec<_>>()
    });
    let (key, text) = turn_timer(page, round, level);
    let due = at.saturating_add(turns.every.value.0).unwrap_or(Timestamp::MAX);
    Reaction {
        timers: (entry.targets.len() > 1)
            .then_some((key, due, text))
            .into_iter()
            .collect(),
        cancel: steps.collect(),
        ..Reaction::default()
    }
}

/// The timers that may be set; `informing` says whether those of levels that only inform are among them, which outlive
/// their round.
fn timers_of(spec: &OncallSpec, page: &Page, policy: &EscalationPolicy, informing: bool) -> Vec<String> {
    let rounds = if informing { 0 } else { page.round }..=page.round;
    let levels = rounds.flat_map(|round| {
        let levels = policy.levels_for(page.request.severity);
        levels
            .filter(move |(_, level)| informing || !level.inform)
            .flat_map(move |(index, level)| {
                let turn = level.takes_turns().then(|| turn_timer(page, round, index).0);
                turn.into_iter().chain([level_timer(page, round, index).0])
            })
    });
    let present = page
        .told
        .iter()
        .filter(|(at, _, _, informed)| !informed && *at >= page.round_began_at);
    let steps = present.flat_map(|(_, level, person, _)| {
        let told = told_at(page, page.round, *level, person);
        let later = later_steps(spec, policy, page.request.severity, &told);
        later.map(|(_, insist)| insist.timer_key()).collect::<Vec<_>>()
    });
    levels
        .chain(steps)
        .chain([repeat_timer(page, page.round + 1).0])
        .collect()
}

fn told_at(page: &Page, round: u32, level: usize, person: &PersonId) -> Insist {
    Insist {
        page: page.request.page.clone(),
        round,
        level,
        person: person.clone(),
        step: 0,
    }
}

/// One message by each channel. The keys differ in the last part only, the channel's name: whoever was told by a channel
/// because another failed is not told by it again.
fn messages(told: &Insist, channels: Vec<Channel>, message: &Message) -> impl Iterator<Item = Effect> {
    let Insist {
        page,
        round,
        level,
        person,
        ..
    } = told;
    channels.into_iter().map(move |channel| Effect {
        key: format!("page/{page}/{round}/{level}/{person}/{}", channel.name()),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver {
            channel,
            to: Recipient::Person(person.clone()),
            message: message.clone(),
        }),
    })
}

/// That it concerns more: by chat and mail, which wake nobody who is at work on it; by SMS where there is neither.
fn wider(spec: &OncallSpec, page: &Page, person: &PersonId) -> Vec<Effect> {
    let channels = swap::quiet_channels(spec, person);
    let request = &page.request;
    let message = Message {
        subject: format!("wider: {}", request.title),
        ..message(page, true)
    };
    let effect = |channel: Channel| Effect {
        key: format!(
            "page/{}/wider/{}/{person}/{}",
            request.page,
            page.widened,
            channel.name()
        ),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver {
            channel,
            to: Recipient::Person(person.clone()),
            message: message.clone(),
        }),
    };
    channels.into_iter().map(effect).collect()
}

fn message(page: &Page, inform: bool) -> Message {
    let request = &page.request;
    let ask = if inform {
        "For your information; no acknowledgement is wanted.".to_owned()
    } else {
        format!("Acknowledge: mainstay ack {}", request.page)
    };
    Message {
        subject: format!("{}{}", if inform { "FYI: " } else { "" }, request.title),
        body: format!(
            "{}\nWhere: {}\nIncident: {}\n{ask}",
            request.title, request.scope, request.incident
        ),
        severity: request.severity,
        resolved: false,
        incident: Some(request.incident.clone()),
        page: (!inform).then(|| request.page.clone()),
        path: format!("/incidents/{}", request.incident),
        notification: None,
        change: None,
    }
}
