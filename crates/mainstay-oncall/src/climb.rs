//! How a page climbs its policy: levels at their time, turns within a level, rounds.

use jiff::Timestamp;
use mainstay_catalog::response::{EscalationLevel, EscalationPolicy};
use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{PageId, PersonId};

use crate::event::OncallEvent;
use crate::fold::{OncallState, Page};
use crate::news;
use crate::ring::{self, LevelOf, Reached, Turn, TurnBy};
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
    fn of(page: &'a Page, spec: &'a OncallSpec) -> Option<Self> {
        let (name, policy) = spec.policy(&page.policy)?;
        Some(Self {
            request: &page.request,
            name,
            policy,
            round: page.round,
        })
    }

    /// Whether the page began to climb by another policy, which the catalog lacks now.
    fn stands_in(&self, open: &Page) -> bool {
        self.name != open.policy
    }

    /// The levels that page, with their places.
    fn paging(&self) -> impl DoubleEndedIterator<Item = (usize, &'a EscalationLevel)> + use<'a> {
        let severity = self.request.severity;
        let levels = self.policy.levels.iter().enumerate();
        levels.filter(move |(_, level)| level.applies_to(severity) && !level.inform)
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
    vec![tell_all(climbing, index, reached, level.inform)]
}

fn tell_all(climbing: Climbing<'_>, index: usize, reached: Reached, inform: bool) -> OncallEvent {
    if reached.people.is_empty() {
        let why: Vec<String> = reached.missing.into_iter().map(|(_, why)| why).collect();
        return OncallEvent::NobodyReached {
            page: climbing.request.page.clone(),
            round: climbing.round,
            level: index,
            why: why.join("; "),
        };
    }
    let people = reached.people.into_iter().map(|(_, person)| person);
    climbing.notified(index, people.collect(), inform)
}

/// What a level says that the page's own policy had, by one that stands in for it and has no such level: everybody of
/// the next that pages or, after the last, of the last. Where it reaches nobody, of those before it.
fn tell_instead(
    state: &OncallState,
    spec: &OncallSpec,
    climbing: Climbing<'_>,
    index: usize,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let later = climbing.paging().filter(|(at, _)| *at >= index);
    let before = climbing.paging().rev().filter(|(at, _)| *at < index);
    let mut said = Vec::new();
    for (_, level) in later.chain(before) {
        let severity = climbing.request.severity;
        let reached = ring::reached(state, spec, climbing.policy, level, severity, now);
        said = vec![tell_all(climbing, index, reached, false)];
        if has_paged(&said) {
            break;
        }
    }
    said
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
    let Some(climbing) = Climbing::of(open, spec) else {
        return Vec::new();
    };
    let mut levels = climbing.policy.levels_for(open.request.severity);
    let entry = levels.find(|(index, _)| *index == level).map(|(_, entry)| entry);
    if climbing.stands_in(open) && entry.is_none_or(|entry| entry.inform) {
        let waits = open.acknowledged.is_none() && open.round == round && !open.was_told(level);
        return match waits {
            true => tell_instead(state, spec, climbing, level, now),
            false => Vec::new(),
        };
    }
    let Some(entry) = entry else {
        return Vec::new();
    };
    // Those who are only informed hear of it although somebody acknowledged, or a new round began.
    let goes_on = entry.inform || (open.acknowledged.is_none() && open.round == round);
    if open.was_told(level) || !goes_on {
        return Vec::new();
    }
    if entry.inform {
        let climbing = Climbing { round, ..climbing };
        return tell(state, spec, climbing, level, entry, now);
    }
    tell_from(state, spec, climbing, open, level, now)
}

/// Tells the first level from `level` on that was not told yet and reaches somebody; each that does not is said too.
fn tell_from(
    state: &OncallState,
    spec: &OncallSpec,
    climbing: Climbing<'_>,
    open: &Page,
    level: usize,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let mut events = Vec::new();
    let levels = climbing.paging();
    for (index, entry) in levels.filter(|(index, _)| *index >= level && !open.was_told(*index)) {
        let told = tell(state, spec, climbing, index, entry, now);
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
    let Some(climbing) = Climbing::of(open, spec) else {
        return events;
    };
    // Of a level that takes turns the next one does not wait for theirs.
    let levels = climbing.policy.levels_for(open.request.severity);
    let turns = levels.filter(|(index, level)| {
        let mut asked = open.asked_in_round(*index);
        level.takes_turns() && asked.next_back() == Some(&person)
    });
    let passed: Vec<OncallEvent> = turns
        .flat_map(|(index, _)| {
            let why = TurnBy::Unreachable(person.clone());
            next_turn(state, spec, climbing, open, index, why, now)
        })
        .collect();
    if passed.is_empty() && news::nobody_left(open, &person) {
        let told = tell_from(state, spec, climbing, open, 0, now);
        let nobody = !has_paged(&told);
        events.extend(told);
        if nobody && climbing.stands_in(open) {
            // The places of its levels were taken by those of the page's own policy.
            let told = open.told.iter().map(|(_, level, ..)| level + 1);
            let next = told.max().unwrap_or_default();
            events.extend(tell_instead(state, spec, climbing, next, now));
        }
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
    let asked = open.and_then(|open| {
        let person = open.asked_in_round(level).next_back()?.clone();
        Some((open, Climbing::of(open, spec)?, person))
    });
    asked.map_or_else(Vec::new, |(open, climbing, person)| {
        next_turn(
            state,
            spec,
            climbing,
            open,
            level,
            TurnBy::Unanswered(person),
            now,
        )
    })
}

/// The next one of a level is paged, unless all of it were or a later level took over.
fn next_turn(
    state: &OncallState,
    spec: &OncallSpec,
    climbing: Climbing<'_>,
    open: &Page,
    index: usize,
    by: TurnBy,
    now: Timestamp,
) -> Vec<OncallEvent> {
    let (severity, policy) = (open.request.severity, climbing.policy);
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
    let Some(climbing) = Climbing::of(open, spec) else {
        return Vec::new();
    };
    let mut events = vec![OncallEvent::RoundBegan {
        page: page.clone(),
        round,
    }];
    let climbing = Climbing { round, ..climbing };
    events.extend(begin(state, spec, climbing, now));
    events
}
