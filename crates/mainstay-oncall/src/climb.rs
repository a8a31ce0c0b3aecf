//! How a page climbs its policy: levels at their time, turns within a level, rounds.

use jiff::Timestamp;
use mainstay_catalog::response::{EscalationLevel, EscalationPolicy};
use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{PageId, PersonId};

use crate::event::OncallEvent;
use crate::fold::{OncallState, Page};
use crate::news;
use crate::ring::{self, LevelOf, Turn, TurnBy};
use crate::spec::OncallSpec;

/// A page with the policy by which it climbs, in a round.
#[derive(Clone, Copy)]
pub(crate) struct Climbing<'a> {
    pub(crate) request: &'a PageRequested,
    pub(crate) name: &'a str,
    pub(crate) policy: &'a EscalationPolicy,
    pub(crate) round: u32,
}

impl<'a> Climbing<'a> {
    fn of(page: &'a Page, policy: &'a EscalationPolicy) -> Self {
        Self {
            request: &page.request,
            name: &page.policy,
            policy,
            round: page.round,
        }
    }

    fn at(&self, index: usize, level: &'a EscalationLevel) -> LevelOf<'a> {
        LevelOf {
            policy: self.name,
            index,
            level,
        }
    }

    fn notified(&self, level: usize, people: Vec<PersonId>, inform: bool) -> OncallEvent {
        OncallEvent::Notified {
            page: self.request.page.clone(),
            round: self.round,
            level,
            people,
            inform,
        }
    }

    fn turn_taken(&self, level: usize, turn: Turn) -> [OncallEvent; 2] {
        let notified = self.notified(level, vec![turn.person.clone()], false);
        let taken = OncallEvent::TurnTaken {
            page: self.request.page.clone(),
            policy: self.name.to_owned(),
            round: self.round,
            level,
            turn,
        };
        [taken, notified]
    }
}

/// What a round says at its beginning: every level without a delay and, while nobody who can acknowledge was reached,
/// the next levels before their time.
pub(crate) fn begin(
    state: &OncallState,
    spec: &OncallSpec,
    climbing: Climbing<'_>,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let mut events = Vec::new();
    let mut reached = false;
    for (index, level) in climbing.policy.levels_for(climbing.request.severity) {
        let due = level.delay().is_zero();
        if !due && (reached || level.inform) {
            continue;
        }
        let told = tell(state, spec, climbing, index, level, now);
        reached |= has_paged(&told);
        events.extend(told);
    }
    events
}

fn has_paged(told: &[OncallEvent]) -> bool {
    let paged = |event: &OncallEvent| matches!(event, OncallEvent::Notified { inform: false, .. });
    told.iter().any(paged)
}

fn tell<'a>(
    state: &OncallState,
    spec: &OncallSpec,
    climbing: Climbing<'a>,
    index: usize,
    level: &'a EscalationLevel,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let request = climbing.request;
    let reached = ring::reached(state, spec, climbing.policy, level, request.severity, now);
    if level.takes_turns()
        && !level.inform
        && let Some(turn) = ring::first(state, climbing.at(index, level), &reached, request)
    {
        return climbing.turn_taken(index, turn).into();
    }
    if reached.people.is_empty() {
        let why: Vec<String> = reached.missing.into_iter().map(|(_, why)| why).collect();
        return vec![OncallEvent::NobodyReached {
            page: request.page.clone(),
            round: climbing.round,
            level: index,
            why: why.join("; "),
        }];
    }
    let people = reached.people.into_iter().map(|(_, person)| person);
    vec![climbing.notified(index, people.collect(), level.inform)]
}

/// What is said when the time of a level has come; where it reaches nobody, the next levels before their time.
pub(crate) fn climb(
    state: &OncallState,
    spec: &OncallSpec,
    page: &PageId,
    round: u32,
    level: usize,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let Some(open) = state.page(page).filter(|page| page.closed_at.is_none()) else {
        return Vec::new();
    };
    let Some(policy) = spec.policies.get(&open.policy) else {
        return Vec::new();
    };
    let severity = open.request.severity;
    let mut levels = policy
        .levels_for(severity)
        .skip_while(|(index, _)| *index < level);
    let Some((_, entry)) = levels.next().filter(|(index, _)| *index == level) else {
        return Vec::new();
    };
    // Those who are only informed hear of it although somebody acknowledged, or a new round began.
    let goes_on = entry.inform || (open.acknowledged.is_none() && open.round == round);
    if open.was_told(level) || !goes_on {
        return Vec::new();
    }
    if entry.inform {
        let climbing = Climbing {
            round,
            ..Climbing::of(open, policy)
        };
        return tell(state, spec, climbing, level, entry, now);
    }
    tell_from(state, spec, policy, open, level, now)
}

/// Tells the first level from `level` on that was not told yet and reaches somebody; each that does not is said too.
fn tell_from(
    state: &OncallState,
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    open: &Page,
    level: usize,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let severity = open.request.severity;
    let mut events = Vec::new();
    let levels = policy.levels_for(severity).filter(|(_, entry)| !entry.inform);
    for (index, entry) in levels.filter(|(index, _)| *index >= level && !open.was_told(*index)) {
        let told = tell(state, spec, Climbing::of(open, policy), index, entry, now);
        let paged = has_paged(&told);
        events.extend(told);
        if paged {
            break;
        }
    }
    events
}

/// Where nobody is left who might answer, the next level does not wait for its time.
pub(crate) fn undeliverable(
    state: &OncallState,
    spec: &OncallSpec,
    page: &PageId,
    person: PersonId,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let Some(open) = news::waits_for(state, page, &person) else {
        return Vec::new();
    };
    let mut events = vec![OncallEvent::Unreachable {
        page: page.clone(),
        person: person.clone(),
    }];
    let Some(policy) = spec.policies.get(&open.policy) else {
        return events;
    };
    // Of a level that takes turns the next one does not wait for theirs.
    let levels = policy.levels_for(open.request.severity);
    let turns = levels.filter(|(index, level)| {
        let mut asked = open.asked_in_round(*index);
        level.takes_turns() && asked.next_back() == Some(&person)
    });
    let passed: Vec<OncallEvent> = turns
        .flat_map(|(index, _)| {
            let why = TurnBy::Unreachable(person.clone());
            next_turn(state, spec, policy, open, index, why, now)
        })
        .collect();
    if passed.is_empty() && news::nobody_left(open, &person) {
        events.extend(tell_from(state, spec, policy, open, 0, now));
    }
    events.extend(passed);
    events
}

/// Whose turn it was has not answered.
pub(crate) fn pass_turn(
    state: &OncallState,
    spec: &OncallSpec,
    page: &PageId,
    round: u32,
    level: usize,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let open = state
        .page(page)
        .filter(|page| page.is_climbing() && page.round == round);
    let found = open.and_then(|open| Some((open, spec.policies.get(&open.policy)?)));
    let asked = found.and_then(|(open, policy)| {
        let person = open.asked_in_round(level).next_back()?.clone();
        Some((open, policy, person))
    });
    asked.map_or_else(Vec::new, |(open, policy, person)| {
        next_turn(state, spec, policy, open, level, TurnBy::Unanswered(person), now)
    })
}

/// The next one of a level is paged, unless all of it were or a later level took over.
fn next_turn(
    state: &OncallState,
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    open: &Page,
    index: usize,
    by: TurnBy,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let severity = open.request.severity;
    let mut levels = policy.levels_for(severity);
    let Some((_, level)) = levels.find(|(at, level)| *at == index && level.takes_turns()) else {
        return Vec::new();
    };
    let took_over = |(at, later): (usize, &EscalationLevel)| {
        !later.inform && later.delay() > level.delay() && open.was_told(at)
    };
    if policy.levels_for(severity).any(took_over) {
        return Vec::new();
    }
    let reached = ring::reached(state, spec, policy, level, severity, now);
    let climbing = Climbing::of(open, policy);
    let turn = ring::next(climbing.at(index, level), &reached, open, by);
    let taken = turn.map(|turn| climbing.turn_taken(index, turn));
    taken.into_iter().flatten().collect()
}

pub(crate) fn repeat(
    state: &OncallState,
    spec: &OncallSpec,
    page: &PageId,
    round: u32,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let Some(open) = state
        .page(page)
        .filter(|page| page.is_climbing() && page.round < round)
    else {
        return Vec::new();
    };
    let Some(policy) = spec.policies.get(&open.policy) else {
        return Vec::new();
    };
    let mut events = vec![OncallEvent::RoundBegan {
        page: page.clone(),
        round,
    }];
    let climbing = Climbing {
        round,
        ..Climbing::of(open, policy)
    };
    events.extend(begin(state, spec, climbing, now));
    events
}
