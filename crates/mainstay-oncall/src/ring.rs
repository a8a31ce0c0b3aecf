//! Levels that page one at a time: whose turn it is, why, and who is asked when they do not answer.
//!
//! An incident begins with the target after the one with which the last incident began. Who is asked because somebody else
//! did not answer keeps their own turn, so of `n` incidents over `k` targets each gets `n/k`, give or take one. A further
//! page of an incident goes on with whoever has it: one incident does not wake a second person because it got worse.

use std::fmt;

use jiff::Timestamp;
use mainstay_catalog::response::{EscalationLevel, EscalationPolicy, Target};
use mainstay_kernel::fact::PageRequested;
use mainstay_kernel::{Actor, PageId, PersonId, Severity};
use serde::{Deserialize, Serialize};

use crate::fold::{OncallState, Page};
use crate::notify::steps;
use crate::rota::on_call_at;
use crate::spec::OncallSpec;

/// How many turns are kept at hand, one for each level that has them. Where more levels have, those whose turn was taken
/// longest ago begin with their first target again.
const TURNS_AT_HAND: usize = 1_000;

/// Somebody's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Whose: `rota primary`, `person ana`.
    pub target: String,
    /// Its place among the level's targets.
    pub place: usize,
    /// Who that is now.
    pub person: PersonId,
    /// Why it is theirs.
    pub by: TurnBy,
    /// Whose it would have been, and why it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
}

/// Why it is somebody's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnBy {
    /// No turn was taken before.
    First,
    /// The incident before this one began with that target.
    After(String),
    /// An earlier page of the same incident had come to them.
    SameIncident(PageId),
    /// That person was asked before and did not answer.
    Unanswered(PersonId),
    /// No channel took the page to that person.
    Unreachable(PersonId),
}

impl TurnBy {
    /// Whether it is the turn of a new incident, which the next one follows.
    fn is_taken(&self) -> bool {
        matches!(self, Self::First | Self::After(_))
    }
}

impl fmt::Display for TurnBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => write!(f, "no turn was taken before"),
            Self::After(target) => write!(f, "the incident before began with {target}"),
            Self::SameIncident(page) => write!(f, "page {page} of the same incident had come to them"),
            Self::Unanswered(person) => write!(f, "{person} did not answer"),
            Self::Unreachable(person) => write!(f, "no channel reaches {person}"),
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            person,
            by,
            passed_over,
            ..
        } = self;
        write!(f, "it is the turn of {target}")?;
        if !target.ends_with(person.as_str()) {
            write!(f, " ({person})")?;
        }
        write!(f, ": {by}")?;
        if !passed_over.is_empty() {
            write!(f, "; passed over: {}", passed_over.join(", "))?;
        }
        Ok(())
    }
}

/// The turn that was last taken at a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Of which policy.
    pub policy: String,
    /// At which level.
    pub level: usize,
    /// Whose it was.
    pub target: String,
    /// Its place among the targets then.
    pub place: usize,
    /// For which page.
    pub page: PageId,
    /// When.
    pub at: Timestamp,
}

/// How a target is called in a turn.
#[must_use]
pub fn named(target: &Target) -> String {
    match target {
        Target::Rota(name) => format!("rota {name}"),
        Target::Person(person) => format!("person {person}"),
    }
}

/// Whom a level reaches at an instant, and why not the others.
pub(crate) struct Reached {
    /// Each once, in the order of the targets, with the place of the first target by which they are reached.
    pub(crate) people: Vec<(usize, PersonId)>,
    /// The places of the other targets, and what is wrong with them.
    pub(crate) missing: Vec<(usize, String)>,
}

/// Whom a level reaches now.
pub(crate) fn reached(
    state: &OncallState,
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    level: &EscalationLevel,
    severity: Severity,
    now: Timestamp,
) -> Reached {
    let mut found = Reached {
        people: Vec::new(),
        missing: Vec::new(),
    };
    for (place, target) in level.targets.iter().enumerate() {
        let person = match target {
            Target::Person(person) => Some(person.value.clone()),
            Target::Rota(name) => {
                let rota = spec.rotas.get(&name.value);
                rota.and_then(|rota| on_call_at(&name.value, rota, &state.overrides, now))
            }
        };
        match (person, target) {
            (None, target) => {
                let why = format!("nobody is on call in {}", named(target));
                found.missing.push((place, why));
            }
            (Some(person), _) if steps(spec, policy, severity, &person).is_empty() => {
                let why = format!("{person} has no address for any channel of the policy");
                found.missing.push((place, why));
            }
            (Some(person), _) => {
                if !found.people.iter().any(|(_, known)| *known == person) {
                    found.people.push((place, person));
                }
            }
        }
    }
    found
}

/// A level of a policy at which somebody's turn comes.
#[derive(Clone, Copy)]
pub(crate) struct LevelOf<'a> {
    pub(crate) policy: &'a str,
    pub(crate) index: usize,
    pub(crate) level: &'a EscalationLevel,
}

/// Whose turn it is when a page comes to a level; nobody's where the level reaches nobody.
pub(crate) fn first(
    state: &OncallState,
    at: LevelOf<'_>,
    reached: &Reached,
    request: &PageRequested,
) -> Option<Turn> {
    // A new round of a page goes on where the one before stopped.
    if let Some((place, person)) = state
        .page(&request.page)
        .and_then(|page| last_asked(page, at.index))
    {
        return after(at, reached, place, |_| true, TurnBy::Unanswered(person.clone()));
    }
    let others = state.pages_of(&request.incident);
    let others = others.filter(|page| page.policy == at.policy && page.request.page != request.page);
    if let Some((place, person, page)) = others
        .filter_map(|page| has_it(page, at.index, reached))
        .max_by_key(|(came_at, ..)| *came_at)
        .map(|(_, place, person, page)| (place, person, page))
    {
        return Some(turn(
            at,
            place,
            person,
            TurnBy::SameIncident(page.request.page.clone()),
        ));
    }
    next_taken(state, at, reached)
}

/// Whose turn the next incident is.
pub(crate) fn next_taken(state: &OncallState, at: LevelOf<'_>, reached: &Reached) -> Option<Turn> {
    match state.taken(at.policy, at.index) {
        Some(last) => {
            let places = at.level.targets.iter();
            let is_last = |target: &Target| named(target) == last.target;
            // Who takes the place of one that is not there any more is next: all behind moved up.
            let place = places
                .clone()
                .position(is_last)
                .or_else(|| last.place.checked_sub(1))
                .unwrap_or(at.level.targets.len().saturating_sub(1));
            after(at, reached, place, |_| true, TurnBy::After(last.target.clone()))
        }
        None => after(
            at,
            reached,
            at.level.targets.len().saturating_sub(1),
            |_| true,
            TurnBy::First,
        ),
    }
}

/// Whose turn it is after `by`; nobody's once all that are reached were asked in the present round.
pub(crate) fn next(at: LevelOf<'_>, reached: &Reached, page: &Page, by: TurnBy) -> Option<Turn> {
    let (place, _) = last_asked(page, at.index)?;
    let is_new = |person: &PersonId| !page.asked_in_round(at.index).any(|asked| asked == person);
    after(at, reached, place, is_new, by)
}

/// The first target behind a place that may be asked, round and round.
fn after(
    at: LevelOf<'_>,
    reached: &Reached,
    place: usize,
    may: impl Fn(&PersonId) -> bool,
    by: TurnBy,
) -> Option<Turn> {
    let count = at.level.targets.len();
    let mut passed_over = Vec::new();
    for step in 1..=count {
        let here = place.checked_add(step)? % count;
        if let Some((_, why)) = reached.missing.iter().find(|(place, _)| *place == here) {
            let target = at.level.targets.get(here).map(named).unwrap_or_default();
            passed_over.push(format!("{target} ({why})"));
        }
        let found = reached.people.iter().find(|(place, _)| *place == here);
        if let Some((_, person)) = found.filter(|(_, person)| may(person)) {
            return Some(Turn {
                passed_over,
                ..turn(at, here, person.clone(), by)
            });
        }
    }
    None
}

fn turn(at: LevelOf<'_>, place: usize, person: PersonId, by: TurnBy) -> Turn {
    Turn {
        target: at.level.targets.get(place).map(named).unwrap_or_default(),
        place,
        person,
        by,
        passed_over: Vec::new(),
    }
}

/// Who was asked last at a level, and the place of their target.
fn last_asked(page: &Page, level: usize) -> Option<(usize, &PersonId)> {
    let place = *page.turns.get(&level)?;
    let mut told = page.told.iter().rev();
    let (_, _, person, _) = told.find(|(_, at, _, informed)| *at == level && !informed)?;
    Some((place, person))
}

/// Who of a level has a page: who took it on, or else who was asked last. With the instant of that.
fn has_it<'a>(
    page: &'a Page,
    level: usize,
    reached: &Reached,
) -> Option<(Timestamp, usize, PersonId, &'a Page)> {
    let mut people = reached.people.iter();
    let taken_on = page.acknowledged.as_ref().and_then(|(at, by)| {
        let mut people = people.clone();
        Some((
            *at,
            people.find(|(_, person)| *by == Actor::person(person.as_str()))?,
        ))
    });
    let asked = || {
        let mut told = page.told.iter().rev();
        let (at, _, asked, _) = told.find(|(_, at, person, informed)| {
            *at == level && !informed && !page.unreachable.contains(person)
        })?;
        Some((*at, people.find(|(_, person)| person == asked)?))
    };
    let (at, (place, person)) = taken_on.or_else(asked)?;
    Some((at, *place, person.clone(), page))
}

pub(crate) fn apply(
    state: &mut OncallState,
    page: &PageId,
    policy: &str,
    level: usize,
    turn: &Turn,
    at: Timestamp,
) {
    if let Some(page) = state.pages.get_mut(page) {
        page.turns.insert(level, turn.place);
    }
    if !turn.by.is_taken() {
        return;
    }
    state
        .turns
        .retain(|taken| taken.policy != policy || taken.level != level);
    state.turns.push(Taken {
        policy: policy.to_owned(),
        level,
        target: turn.target.clone(),
        place: turn.place,
        page: page.clone(),
        at,
    });
    if state.turns.len() > TURNS_AT_HAND {
        state.turns.remove(0);
    }
}

/// A level that takes turns, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Of which policy.
    pub policy: String,
    /// At which level; 0 is the first.
    pub level: usize,
    /// Whose turn the next incident is; nobody's where the level reaches nobody.
    pub next: Option<Turn>,
    /// The turn that was last taken.
    pub last: Option<Taken>,
    /// Its targets, in order: what it is called, who that is, and why it is passed over.
    pub members: Vec<(String, Option<PersonId>, Option<String>)>,
}

/// Every level that takes turns, and whose turn the next incident would be at `now`: one of the worst severity that the
/// level is for.
#[must_use]
pub fn rings(state: &OncallState, spec: &OncallSpec, now: Timestamp) -> Vec<Ring> {
    let levels = spec.policies.iter().flat_map(|(name, policy)| {
        let levels = policy.levels.iter().enumerate();
        levels.map(move |(index, level)| (name, policy, index, level))
    });
    let turns = levels.filter_map(|(name, policy, index, level)| {
        let mut severities = Severity::ALL.into_iter();
        let worst = severities.find(|severity| level.takes_turns() && level.applies_to(*severity))?;
        Some((name, policy, index, level, worst))
    });
    let ring = |(name, policy, index, level, severity): (&String, _, usize, &EscalationLevel, _)| {
        let found = reached(state, spec, policy, level, severity, now);
        let at = LevelOf {
            policy: name,
            index,
            level,
        };
        let member = |(place, target): (usize, &Target)| {
            let person = found.people.iter().find(|(here, _)| *here == place);
            let missing = found.missing.iter().find(|(here, _)| *here == place);
            let why = missing.map(|(_, why)| why.clone());
            // Who is reached by an earlier target has one turn.
            let twice = (person.is_none() && why.is_none()).then(|| "has a turn already".to_owned());
            (
                named(target),
                person.map(|(_, person)| person.clone()),
                why.or(twice),
            )
        };
        Ring {
            policy: name.clone(),
            level: index,
            next: next_taken(state, at, &found),
            last: state.taken(name, index).cloned(),
            members: level.targets.iter().enumerate().map(member).collect(),
        }
    };
    turns.map(ring).collect()
}
