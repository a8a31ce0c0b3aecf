//! Duties that change hands: overrides that are withdrawn, and shifts that two people swap. One asks, the other answers;
//! only what was accepted changes who is on call.

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Message, Recipient};
use mainstay_kernel::{PersonId, Severity};
use serde::{Deserialize, Serialize};

use crate::decide::{OncallCommand, OncallRefusal};
use crate::event::OncallEvent;
use crate::fold::{OVERRIDES_AT_HAND, OncallState, Override};
use crate::rota::schedule;
use crate::spec::OncallSpec;

/// How many swaps may wait for an answer.
pub(crate) const SWAPS_OPEN_MAX: usize = 500;
/// What a timer's payload begins with that ends a swap; no page has such a name.
const TIMER: &str = "!swap";

/// A time of one rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Of which rota.
    pub rota: String,
    /// From when.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
}

/// Somebody asks somebody else to take a stretch of theirs, perhaps for one of the other's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// By what it is answered: `s12`. Empty until it is asked.
    pub id: String,
    /// Whose stretch it is.
    pub by: PersonId,
    /// Who is asked to take it.
    pub to: PersonId,
    /// The stretch.
    pub give: Stretch,
    /// What is taken in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<Stretch>,
    /// Without an answer by then it is as if nobody had asked.
    pub lapses_at: Timestamp,
}

/// What becomes of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SwapEnd {
    /// Who was asked takes the stretch.
    Accepted,
    /// Who was asked does not.
    Declined,
    /// Who asked does not want it any more.
    Cancelled,
    /// Nobody answered in time.
    Lapsed,
}

impl SwapEnd {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
        }
    }
}

fn bad<T>(text: String) -> Result<T, OncallRefusal> {
    Err(OncallRefusal::BadSwap(text))
}

/// Why so many more overrides cannot be kept, if they cannot: what is in force is never dropped for another.
fn no_room(state: &OncallState, more: usize, now: Timestamp) -> Option<String> {
    let kept = state.overrides.iter().filter(|entry| entry.until > now).count();
    (kept + more > OVERRIDES_AT_HAND).then(|| {
        format!(
            "{OVERRIDES_AT_HAND} overrides may be in force or to come, and {kept} are: withdraw some, or wait until some are over"
        )
    })
}

pub(crate) fn give(
    state: &OncallState,
    spec: &OncallSpec,
    entry: Override,
    now: Timestamp,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    let bad = |text: String| Err(OncallRefusal::BadOverride(text));
    if !spec.rotas.contains_key(&entry.rota) {
        return bad(format!("there is no rota {:?}", entry.rota));
    }
    if !spec.reach.contains_key(&entry.person) {
        return bad(format!("there is no person {}", entry.person));
    }
    if entry.until <= entry.from || entry.until <= now {
        return bad("an override ends after it begins, and not in the past".to_owned());
    }
    if let Some(why) = no_room(state, 1, now) {
        return bad(why);
    }
    let entry = Override {
        id: format!("o{}", state.numbered + 1),
        swap: None,
        ..entry
    };
    let until = entry.until;
    Ok(vec![OncallEvent::Overridden { entry, until }])
}

/// Takes an override back, or both of a swap. What of it is over stays as it was.
pub(crate) fn withdraw(
    state: &OncallState,
    id: &str,
    by: Option<PersonId>,
    now: Timestamp,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    let of = |entry: &&Override| entry.handle() == id || entry.swap.as_deref() == Some(id);
    let found: Vec<&Override> = state.overrides.iter().filter(of).collect();
    let Some(first) = found.first() else {
        return Err(OncallRefusal::UnknownOverride(id.to_owned()));
    };
    if let Some(swap) = first.swap.as_deref().filter(|swap| *swap != id) {
        let text = format!("{id} is one half of the swap {swap}: withdraw that, and both are as before");
        return Err(OncallRefusal::BadOverride(text));
    }
    // A swap binds two: only they undo it.
    if let Some(by) = by.filter(|_| first.swap.is_some())
        && found.iter().all(|entry| entry.person != by)
        && first.of.as_ref() != Some(&by)
    {
        return Err(OncallRefusal::NotTheirs(format!("{id} is not {by}'s swap")));
    }
    let events: Vec<OncallEvent> = found
        .iter()
        .filter(|entry| now < entry.until)
        .map(|entry| OncallEvent::Withdrawn {
            rota: entry.rota.clone(),
            id: entry.handle(),
        })
        .collect();
    if events.is_empty() {
        let text = format!("{id} is over: what was is not changed");
        return Err(OncallRefusal::BadOverride(text));
    }
    Ok(events)
}

/// Whether somebody is on call in a rota all the time of a stretch that is still to come.
fn holds(
    state: &OncallState,
    spec: &OncallSpec,
    person: &PersonId,
    stretch: &Stretch,
    now: Timestamp,
) -> Result<(), OncallRefusal> {
    let Stretch { rota, from, until } = stretch;
    let Some(known) = spec.rotas.get(rota) else {
        return bad(format!("there is no rota {rota:?}"));
    };
    if until <= from || *until <= now {
        return bad("a stretch ends after it begins, and not in the past".to_owned());
    }
    let mut at = (*from).max(now);
    for shift in schedule(rota, known, &state.overrides, at, *until) {
        if shift.from > at {
            break;
        }
        if shift.person != *person {
            return bad(format!(
                "{} is on call in {rota} at {at}, not {person}",
                shift.person
            ));
        }
        at = shift.until;
    }
    if at < *until {
        return bad(format!("nobody is on call in {rota} at {at}"));
    }
    Ok(())
}

pub(crate) fn ask(
    state: &OncallState,
    spec: &OncallSpec,
    asked: Swap,
    now: Timestamp,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    if asked.by == asked.to {
        return bad("nobody swaps with themselves".to_owned());
    }
    for person in [&asked.by, &asked.to] {
        if !spec.reach.contains_key(person) {
            return bad(format!("there is no person {person}"));
        }
    }
    holds(state, spec, &asked.by, &asked.give, now)?;
    if let Some(take) = &asked.take {
        holds(state, spec, &asked.to, take, now)?;
        let Stretch { from, until, .. } = &asked.give;
        if take.rota == asked.give.rota && take.from < *until && *from < take.until {
            return bad("the two stretches overlap".to_owned());
        }
    }
    if asked.lapses_at <= now {
        return bad("there must be time to answer".to_owned());
    }
    if state.swaps.len() >= SWAPS_OPEN_MAX {
        return bad(format!("{SWAPS_OPEN_MAX} swaps wait for an answer already"));
    }
    let ends = asked.take.iter().map(|take| take.until);
    let ends = ends.fold(asked.give.until, Timestamp::min);
    Ok(vec![OncallEvent::SwapAsked(Swap {
        id: format!("s{}", state.numbered + 1),
        // What is over cannot be taken.
        lapses_at: asked.lapses_at.min(ends),
        ..asked
    })])
}

/// `by`: who answers; nobody is somebody who may answer for all.
pub(crate) fn answer(
    state: &OncallState,
    spec: &OncallSpec,
    id: &str,
    by: Option<PersonId>,
    end: SwapEnd,
    now: Timestamp,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    let Some(swap) = state.swaps.get(id) else {
        // A clock that rings late ends nothing twice.
        return match end {
            SwapEnd::Lapsed => Ok(Vec::new()),
            _ => Err(OncallRefusal::UnknownSwap(id.to_owned())),
        };
    };
    let theirs = match end {
        SwapEnd::Accepted | SwapEnd::Declined => Some(&swap.to),
        SwapEnd::Cancelled => Some(&swap.by),
        SwapEnd::Lapsed => None,
    };
    if let (Some(theirs), Some(by)) = (theirs, by)
        && *theirs != by
    {
        return Err(OncallRefusal::NotTheirs(format!(
            "{id} is {theirs}'s to answer, not {by}'s"
        )));
    }
    let ended = OncallEvent::SwapEnded {
        swap: swap.clone(),
        end,
    };
    if end != SwapEnd::Accepted {
        return Ok(vec![ended]);
    }
    if swap.lapses_at <= now {
        return Err(OncallRefusal::UnknownSwap(id.to_owned()));
    }
    // Much may have changed since they were asked.
    holds(state, spec, &swap.by, &swap.give, now)?;
    let mut halves = vec![(&swap.give, &swap.to, &swap.by)];
    if let Some(take) = &swap.take {
        holds(state, spec, &swap.to, take, now)?;
        halves.push((take, &swap.by, &swap.to));
    }
    if let Some(why) = no_room(state, halves.len(), now) {
        return bad(why);
    }
    let overridden = (1..).zip(halves).map(|(number, (stretch, person, of))| {
        let entry = Override {
            id: format!("o{}", state.numbered + number),
            rota: stretch.rota.clone(),
            person: person.clone(),
            from: stretch.from.max(now),
            until: stretch.until,
            swap: Some(swap.id.clone()),
            of: Some(of.clone()),
        };
        let until = entry.until;
        OncallEvent::Overridden { entry, until }
    });
    Ok([ended].into_iter().chain(overridden).collect())
}

pub(crate) fn apply(state: &mut OncallState, event: &OncallEvent, meta: &Meta) {
    match event {
        OncallEvent::SwapAsked(swap) => {
            state.number(&swap.id);
            state.swaps.insert(swap.id.clone(), swap.clone());
        }
        OncallEvent::SwapEnded { swap, .. } => {
            state.swaps.remove(&swap.id);
        }
        OncallEvent::Withdrawn { id, .. } => {
            for entry in state.overrides.iter_mut().filter(|entry| entry.handle() == *id) {
                entry.until = entry.until.min(meta.at);
            }
            state.overrides.retain(|entry| entry.from < entry.until);
        }
        _ => {}
    }
}

fn timer_key(swap: &str) -> String {
    format!("swap/{swap}")
}

/// The clock that ends a swap: its key, when it rings, and what it says.
pub(crate) fn timer(swap: &Swap) -> (String, Timestamp, String) {
    (
        timer_key(&swap.id),
        swap.lapses_at,
        format!("{TIMER} {}", swap.id),
    )
}

pub(crate) fn cancelled(swap: &Swap) -> String {
    timer_key(&swap.id)
}

pub(crate) fn parse_timer(payload: &str) -> Option<OncallCommand> {
    let id = payload.strip_prefix(TIMER)?.strip_prefix(' ')?;
    Some(OncallCommand::AnswerSwap {
        swap: id.to_owned(),
        by: None,
        end: SwapEnd::Lapsed,
    })
}

fn in_words(stretch: &Stretch) -> String {
    let Stretch { rota, from, until } = stretch;
    format!("{rota} from {from} until {until}")
}

/// Who was asked hears of it.
pub(crate) fn asked_messages(spec: &OncallSpec, swap: &Swap) -> Vec<Effect> {
    let subject = format!("{} asks you to take {}", swap.by, in_words(&swap.give));
    let turn = swap.take.as_ref();
    let turn = turn.map_or_else(String::new, |take| {
        format!("{} takes {} in turn.\n", swap.by, in_words(take))
    });
    let (id, lapses_at) = (&swap.id, swap.lapses_at);
    let body = format!(
        "{subject}.\n{turn}Yes: mainstay oncall swap accept {id}\nNo: mainstay oncall swap decline {id}\n\
         Without an answer until {lapses_at} nothing changes."
    );
    quietly(spec, &swap.to, &format!("swap/{id}/asked"), subject, body)
}

/// Who does not know yet what became of it hears of it.
pub(crate) fn ended_messages(spec: &OncallSpec, swap: &Swap, end: SwapEnd) -> Vec<Effect> {
    let subject = format!(
        "swap {} is {}: {} for {}",
        swap.id,
        end.name(),
        in_words(&swap.give),
        swap.to
    );
    let to = if end == SwapEnd::Cancelled {
        &swap.to
    } else {
        &swap.by
    };
    quietly(
        spec,
        to,
        &format!("swap/{}/ended", swap.id),
        subject.clone(),
        subject,
    )
}

/// The channels that wake nobody; SMS where somebody has neither.
pub(crate) fn quiet_channels(spec: &OncallSpec, person: &PersonId) -> Vec<Channel> {
    let has = |channel: &Channel| {
        spec.reach
            .get(person)
            .is_some_and(|reach| reach.contains(channel))
    };
    let mut channels: Vec<Channel> = [Channel::Chat, Channel::Email].into_iter().filter(has).collect();
    if channels.is_empty() {
        channels.extend(Some(Channel::Sms).filter(has));
    }
    channels
}

/// A message about duties, by chat and mail.
pub(crate) fn quietly(
    spec: &OncallSpec,
    person: &PersonId,
    key: &str,
    subject: String,
    body: String,
) -> Vec<Effect> {
    let message = Message {
        subject,
        body,
        severity: Severity::P3,
        resolved: false,
        incident: None,
        page: None,
        path: "/".to_owned(),
        notification: None,
        change: None,
    };
    let effect = |channel: Channel| Effect {
        key: format!("{key}/{}", channel.name()),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver {
            channel,
            to: Recipient::Person(person.clone()),
            message: message.clone(),
        }),
    };
    quiet_channels(spec, person).into_iter().map(effect).collect()
}
