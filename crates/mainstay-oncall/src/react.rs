//! The messages of a page and the clocks by which it climbs.

use jiff::Timestamp;
use mainstay_catalog::response::EscalationPolicy;
use mainstay_journal::Reaction;
use mainstay_journal::machine::Meta;
use mainstay_kernel::PersonId;
use mainstay_kernel::effect::{Deliver, Effect, EffectBody, EffectClass, Message, Recipient};

use crate::decide::{OncallCommand, channels};
use crate::event::OncallEvent;
use crate::fold::{OncallState, Page};
use crate::spec::OncallSpec;

type SetTimer = (String, Timestamp, String);

fn level_timer(page: &Page, round: u32, level: usize) -> (String, String) {
    let text = format!("{} {round} {level}", page.request.page);
    (format!("page/{}/{round}/{level}", page.request.page), text)
}

fn repeat_timer(page: &Page, round: u32) -> (String, String) {
    (
        format!("page/{}/{round}/repeat", page.request.page),
        format!("{} {round} repeat", page.request.page),
    )
}

pub(crate) fn parse_timer(payload: &str) -> Option<OncallCommand> {
    let mut words = payload.split(' ');
    let page = words.next()?.parse().ok()?;
    let round = words.next()?.parse().ok()?;
    match words.next()? {
        "repeat" => Some(OncallCommand::Repeat { page, round }),
        level => Some(OncallCommand::Climb {
            page,
            round,
            level: level.parse().ok()?,
        }),
    }
}

pub(crate) fn react(state: &OncallState, spec: &OncallSpec, event: &OncallEvent, meta: &Meta) -> Reaction {
    let of = |id| {
        let page: &Page = state.page(id)?;
        Some((page, spec.policies.get(&page.policy)?))
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
            let effects = people
                .iter()
                .flat_map(|person| messages(spec, policy, page, *round, *level, person, *inform));
            Reaction {
                effects: effects.collect(),
                ..Reaction::default()
            }
        }
        OncallEvent::Acknowledged(fact) => {
            let climbing = of(&fact.page).map(|(page, policy)| timers_of(page, policy, false));
            Reaction {
                cancel: climbing.unwrap_or_default(),
                ..Reaction::default()
            }
        }
        OncallEvent::Closed { page, .. } => {
            let all = of(page).map(|(page, policy)| timers_of(page, policy, true));
            Reaction {
                cancel: all.unwrap_or_default(),
                ..Reaction::default()
            }
        }
        OncallEvent::NobodyReached { .. } | OncallEvent::Overridden { .. } => Reaction::default(),
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

/// The timers that may be set; `informing` says whether those of levels that only inform are among them, which outlive
/// their round.
fn timers_of(page: &Page, policy: &EscalationPolicy, informing: bool) -> Vec<String> {
    let rounds = if informing { 0 } else { page.round }..=page.round;
    let levels = rounds.flat_map(|round| {
        let levels = policy.levels_for(page.request.severity);
        levels
            .filter(move |(_, level)| informing || !level.inform)
            .map(move |(index, _)| level_timer(page, round, index).0)
    });
    levels.chain([repeat_timer(page, page.round + 1).0]).collect()
}

fn messages(
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    page: &Page,
    round: u32,
    level: usize,
    person: &PersonId,
    inform: bool,
) -> Vec<Effect> {
    let request = &page.request;
    channels(spec, policy, request.severity, person)
        .into_iter()
        .map(|channel| Effect {
            key: format!(
                "page/{}/{round}/{level}/{person}/{}",
                request.page,
                channel.name()
            ),
            class: EffectClass::Once,
            body: EffectBody::Deliver(Deliver {
                channel,
                to: Recipient::Person(person.clone()),
                message: message(page, inform),
            }),
        })
        .collect()
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
    }
}
