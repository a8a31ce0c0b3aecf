//! Whether a page would reach somebody at every instant of the time that can be overseen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::{EscalationPolicy, Route, Target};
use mainstay_catalog::{At, Catalog, Diagnostics, lint};
use mainstay_kernel::{PersonId, Severity};

use crate::notify::steps;
use crate::ring;
use crate::rota::{Gap, Shift, gaps, on_call_at, schedule};
use crate::spec::OncallSpec;

/// How far ahead it is looked.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A stretch of time in which a page would reach nobody, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// When.
    pub gap: Gap,
    /// What is wrong at its beginning with each of those who could be paged.
    pub why: Vec<String>,
    /// How to mend it.
    pub help: String,
}

/// The first time after `now` at which a page of this severity by this policy would reach nobody, whichever level is
/// asked; overrides are not counted on. Nothing is said of policies that refer to rotas that there are not, or that
/// page nobody at all: other checks do.
#[must_use]
pub fn first_hole(
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    severity: Severity,
    now: Timestamp,
) -> Option<Hole> {
    Reach::new(spec, now).first_hole(policy, severity)
}

/// Says of every policy by which a route pages when it would reach nobody first.
pub fn check(catalog: &Catalog, now: Timestamp, diagnostics: &mut Diagnostics) {
    let response = &catalog.response;
    let mut routed = BTreeSet::new();
    receivers(&response.routing.route, &mut routed);
    let paging = routed
        .into_iter()
        .filter_map(|name| response.routing.receivers.get(name)?.page.as_ref());
    let names: BTreeSet<&str> = paging.map(|name| name.as_str()).collect();
    let spec = OncallSpec::from_catalog(&catalog.platform, response);
    let mut reach = Reach::new(&spec, now);
    for name in names {
        let Some(policy) = spec.policies.get(name) else {
            continue;
        };
        let mut documents = catalog.documents.of_kind("EscalationPolicy");
        let Some(document) = documents.find(|document| document.name == name) else {
            continue;
        };
        let mut holes: Vec<(String, Hole)> = Vec::new();
        for severity in Severity::ALL.into_iter().filter(|severity| severity.pages()) {
            let Some(hole) = reach.first_hole(policy, severity) else {
                continue;
            };
            // What is wrong for P0 and P1 alike is said once.
            match holes.iter_mut().find(|(_, known)| known.gap == hole.gap) {
                Some((severities, _)) => severities.push_str(&format!(" or {severity}")),
                None => holes.push((severity.to_string(), hole)),
            }
        }
        for (severities, hole) in holes {
            let message = format!(
                "a {severities} page by policy {name} would reach nobody {}: {}",
                reach.when(hole.gap),
                hole.why.join("; ")
            );
            let at = first_target(policy).unwrap_or(document.at);
            diagnostics.push(
                document
                    .diagnostic(lint::NOBODY_REACHED, at, message)
                    .help(hole.help),
            );
        }
        for (severities, turn) in turns_lost(&mut reach, policy) {
            let Some(target) = policy.levels[turn.level].targets.get(turn.place) else {
                continue;
            };
            let message = format!(
                "when it is the turn of {} in level {} of policy {name}, a {severities} page would reach nobody {}, and \
                 pass on: {}",
                ring::named(target),
                turn.level + 1,
                reach.when(turn.hole.gap),
                turn.hole.why.join("; ")
            );
            diagnostics.push(
                document
                    .diagnostic(lint::NOBODY_REACHED, place(target), message)
                    .help(turn.hole.help),
            );
        }
    }
}

/// A target of a level that takes turns whose turn would be nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostTurn {
    /// At which level; 0 is the first.
    pub level: usize,
    /// Which of its targets.
    pub place: usize,
    /// When first, and why.
    pub hole: Hole,
}

/// Of every level of the policy that takes turns, the targets whose turn would at some time be nobody's: the others make up
/// for it, and are paged more often than it seems.
#[must_use]
pub fn lost_turns(
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    severity: Severity,
    now: Timestamp,
) -> Vec<LostTurn> {
    Reach::new(spec, now).lost_turns(policy, severity)
}

/// The same of all severities that page; what is lost for several alike is said once.
fn turns_lost(reach: &mut Reach<'_>, policy: &EscalationPolicy) -> Vec<(String, LostTurn)> {
    let mut lost: Vec<(String, LostTurn)> = Vec::new();
    for severity in Severity::ALL.into_iter().filter(|severity| severity.pages()) {
        for turn in reach.lost_turns(policy, severity) {
            let same = |known: &LostTurn| {
                (known.level, known.place, known.hole.gap) == (turn.level, turn.place, turn.hole.gap)
            };
            match lost.iter_mut().find(|(_, known)| same(known)) {
                Some((severities, _)) => severities.push_str(&format!(" or {severity}")),
                None => lost.push((severity.to_string(), turn)),
            }
        }
    }
    lost
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn receivers<'a>(route: &'a Route, found: &mut BTreeSet<&'a str>) {
    found.insert(&route.receiver);
    for below in &route.routes {
        receivers(below, found);
    }
}

fn first_target(policy: &EscalationPolicy) -> Option<At> {
    let paging = policy.levels.iter().filter(|level| !level.inform);
    paging.flat_map(|level| &level.targets).map(place).next()
}

fn place(target: &Target) -> At {
    match target {
        Target::Rota(name) => name.at,
        Target::Person(person) => person.at,
    }
}

/// The schedules of the time that is overseen.
struct Reach<'a> {
    spec: &'a OncallSpec,
    now: Timestamp,
    until: Timestamp,
    schedules: BTreeMap<&'a str, Vec<Shift>>,
}

impl<'a> Reach<'a> {
    fn new(spec: &'a OncallSpec, now: Timestamp) -> Self {
        Self {
            spec,
            now,
            until: now.saturating_add(HORIZON).unwrap_or(Timestamp::MAX),
            schedules: BTreeMap::new(),
        }
    }

    fn when(&self, gap: Gap) -> String {
        let until = if gap.until < self.until {
            minute(gap.until)
        } else {
            "further ahead than is looked".to_owned()
        };
        format!("from {} until {until}", minute(gap.from))
    }

    fn lost_turns(&mut self, policy: &EscalationPolicy, severity: Severity) -> Vec<LostTurn> {
        let levels = policy.levels_for(severity);
        let levels = levels.filter(|(_, level)| level.takes_turns() && !level.inform);
        let mut lost = Vec::new();
        for (index, level) in levels {
            for (place, target) in level.targets.iter().enumerate() {
                let hole = self.hole_of(policy, severity, &[target]);
                lost.extend(hole.map(|hole| LostTurn {
                    level: index,
                    place,
                    hole,
                }));
            }
        }
        lost
    }

    fn first_hole(&mut self, policy: &EscalationPolicy, severity: Severity) -> Option<Hole> {
        let levels = policy.levels_for(severity).map(|(_, level)| level);
        let paging = levels.filter(|level| !level.inform);
        let targets: Vec<&Target> = paging.flat_map(|level| &level.targets).collect();
        self.hole_of(policy, severity, &targets)
    }

    /// When none of these would be reached first.
    fn hole_of(
        &mut self,
        policy: &EscalationPolicy,
        severity: Severity,
        targets: &[&Target],
    ) -> Option<Hole> {
        let spec = self.spec;
        let reachable = |person: &PersonId| !steps(spec, policy, severity, person).is_empty();
        targets.first()?;
        let mut covered: Vec<Shift> = Vec::new();
        for target in targets {
            match target {
                Target::Person(person) if reachable(&person.value) => return None,
                Target::Person(_) => {}
                Target::Rota(name) => {
                    let (name, rota) = spec.rotas.get_key_value(&name.value)?;
                    let (now, until) = (self.now, self.until);
                    let shifts = self
                        .schedules
                        .entry(name)
                        .or_insert_with(|| schedule(name, rota, &[], now, until));
                    covered.extend(shifts.iter().filter(|shift| reachable(&shift.person)).cloned());
                }
            }
        }
        covered.sort_by_key(|shift| shift.from);
        let gap = *gaps(&covered, self.now, self.until).first()?;
        let unreachable = |person: &PersonId| {
            let wanted: Vec<&str> = policy
                .channels_for(severity)
                .map(|channel| channel.name())
                .collect();
            match wanted.is_empty() {
                true => format!("the policy names no channel for {severity} by which to tell {person}"),
                false => format!("{person} has no address for {}", wanted.join(" or ")),
            }
        };
        let addressed = |person: &PersonId| match policy.channels_for(severity).next() {
            None => format!("name channels for {severity} in the policy"),
            Some(_) => format!("give {person} an address for one of the policy's channels"),
        };
        let mut why = Vec::new();
        let mut help = None;
        for target in targets {
            let (reason, mend) = match target {
                Target::Person(person) => (unreachable(&person.value), addressed(&person.value)),
                Target::Rota(name) => {
                    let rota = spec.rotas.get(&name.value)?;
                    match on_call_at(&name.value, rota, &[], gap.from) {
                        Some(person) => (
                            format!("{} of rota {name}", unreachable(&person)),
                            addressed(&person),
                        ),
                        None => (
                            format!("nobody is on call in rota {name}"),
                            format!(
                                "add a layer to rota {name} that covers it, or a person to a level of the policy"
                            ),
                        ),
                    }
                }
            };
            if !why.contains(&reason) {
                why.push(reason);
            }
            help.get_or_insert(mend);
        }
        Some(Hole {
            gap,
            why,
            help: help.unwrap_or_default(),
        })
    }
}
