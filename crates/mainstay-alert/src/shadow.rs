//! Shadow: a route decides, and all that it decides is recorded, while another system still tells people. What that system
//! told comes as a copy and stands beside it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::{NamedRoute, ROOT, Route, Routing, is_beat, is_within};
use mainstay_kernel::{Digest, EventId, Labels};
use serde::{Deserialize, Serialize};

use crate::AlertRefusal;
use crate::decide::out_of_shadow;
use crate::draft::Draft;
use crate::event::AlertEvent;
use crate::fold::{AlertState, Group};
use crate::placement::group_name;

/// The most of each text of another system that is kept, in bytes.
const TEXT_MAX_BYTES: usize = 1_024;
/// The most alerts of one of its notifications that are kept.
const ALERTS_MAX: usize = 1_000;
/// Of so many routes and receivers it is kept that they were cut over or back.
pub const CUTS_MAX: usize = 1_000;
/// Two notifications this far apart may be one.
pub const MATCHES_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// What another system told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Which: `alertmanager`, `pagerduty`.
    pub source: String,
    /// Whom, by its own name: a receiver, a service.
    pub receiver: String,
    /// What it calls the group: an Alertmanager's key of the group, a deduplication key.
    pub group: String,
    /// The alerts, where it names them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub alerts: BTreeSet<Digest>,
    /// One line.
    pub title: String,
    /// Whether it told that all is over.
    pub resolved: bool,
}

impl Elsewhere {
    /// No larger than an event may be.
    pub(crate) fn bounded(mut self) -> Self {
        for text in [
            &mut self.source,
            &mut self.receiver,
            &mut self.group,
            &mut self.title,
        ] {
            text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
        }
        while self.alerts.len() > ALERTS_MAX {
            self.alerts.pop_last();
        }
        self
    }
}

/// What was told, by us or by the other, with the event that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The event: ask `why`.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
    /// Whom.
    pub receiver: String,
    /// The keys of the group, in every form that the other may have for it.
    pub groups: Vec<String>,
    /// The alerts.
    pub alerts: BTreeSet<Digest>,
    /// One line.
    pub title: String,
    /// Whether it says that all is over.
    pub resolved: bool,
}

/// Both sides of a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ShadowReport {
    /// Ours and theirs of one thing.
    pub both: Vec<(Told, Told)>,
    /// What only we would have told.
    pub only_ours: Vec<Told>,
    /// What only they told.
    pub only_theirs: Vec<Told>,
}

/// Pairs what both told: of one group or of an alert that both name, saying the same of its end, and nearest in time.
/// Cost: ours times theirs.
#[must_use]
pub fn report(ours: Vec<Told>, theirs: Vec<Told>) -> ShadowReport {
    let mut report = ShadowReport::default();
    let mut theirs: Vec<Option<Told>> = theirs.into_iter().map(Some).collect();
    for our in ours {
        let apart = |their: &Told| {
            let same = our.groups.iter().any(|group| their.groups.contains(group))
                || !our.alerts.is_disjoint(&their.alerts);
            let apart = our.at.duration_since(their.at).abs();
            (same && our.resolved == their.resolved && apart <= MATCHES_WITHIN).then_some(apart)
        };
        let candidates = theirs.iter_mut().filter_map(|slot| {
            let apart = apart(slot.as_ref()?)?;
            Some((apart, slot))
        });
        match candidates
            .min_by_key(|(apart, _)| *apart)
            .and_then(|(_, slot)| slot.take())
        {
            Some(their) => report.both.push((our, their)),
            None => report.only_ours.push(our),
        }
    }
    report.only_theirs = theirs.into_iter().flatten().collect();
    report
}

/// Which routes are cut over, or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutOf {
    /// The route of this name and all below it.
    Route(String),
    /// Every route that tells this receiver.
    Receiver(String),
}

impl CutOf {
    /// Whether it says something of a route.
    fn covers(&self, name: &str, route: &Route) -> bool {
        match self {
            Self::Route(above) => is_within(name, above),
            Self::Receiver(receiver) => route.receiver == *receiver,
        }
    }

    /// Whether nothing is left of what was said of another.
    fn covers_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(above), Self::Route(name)) => is_within(name, above),
            (Self::Route(above), Self::Receiver(_)) => above == ROOT,
            (Self::Receiver(one), other) => *other == Self::Receiver(one.clone()),
        }
    }
}

/// What somebody said of routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Of which.
    pub of: CutOf,
    /// Whether what they tell leaves; none: as the catalog says.
    pub live: Option<bool>,
}

/// A route with what becomes of that which it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce<'a> {
    /// The route.
    pub route: NamedRoute<'a>,
    /// Whether what it tells is only recorded.
    pub shadow: bool,
    /// What somebody said of it that counts; none: it is as the catalog says.
    pub by: Option<&'a Cut>,
}

/// Every route, and whether it is in shadow now.
#[must_use]
pub fn in_force<'a>(state: &'a AlertState, routing: &'a Routing) -> Vec<InForce<'a>> {
    let routes = routing.routes().into_iter();
    let said = |route: NamedRoute<'a>| {
        let by = counts(&state.cut, &route.name, route.route);
        InForce {
            shadow: by
                .and_then(|cut| cut.live)
                .map_or(route.route.shadow, |live| !live),
            by: by.filter(|cut| cut.live.is_some()),
            route,
        }
    };
    routes.map(said).collect()
}

/// What was cut over or back of which there is no route.
#[must_use]
pub fn without_route<'a>(state: &'a AlertState, routing: &Routing) -> Vec<&'a Cut> {
    let routes = routing.routes();
    let names_none = |cut: &&Cut| !routes.iter().any(|named| cut.of.covers(&named.name, named.route));
    state.cut.iter().filter(names_none).collect()
}

/// The last that was said of a route.
fn counts<'a>(cut: &'a [Cut], name: &str, route: &Route) -> Option<&'a Cut> {
    cut.iter().rev().find(|cut| cut.of.covers(name, route))
}

fn is_route_in_shadow(draft: &Draft<'_>, path: &[usize], route: &Route) -> bool {
    let cut = &draft.state.cut;
    // Most of the time there is nothing to look up by name.
    let by = match cut.is_empty() {
        true => None,
        false => counts(cut, &draft.routing.route_name(path), route),
    };
    by.and_then(|cut| cut.live).map_or(route.shadow, |live| !live)
}

/// Whether what a group says now is only recorded.
pub(crate) fn is_shadow(draft: &Draft<'_>, group: &str, labels: Option<&Labels>) -> bool {
    let Some(labels) = labels else {
        // Nothing of it fires: it is an end.
        return draft
            .state
            .groups
            .get(group)
            .is_some_and(|group| !group.was_heard());
    };
    // That Mainstay itself lives is always told.
    if is_beat(labels) {
        return false;
    }
    let routes = draft.routing.route.matching(labels);
    let named = routes
        .iter()
        .find(|(path, route)| group_name(path, route, labels) == group);
    match named {
        Some((path, route)) => is_route_in_shadow(draft, path, route),
        // Its route is not there any more, or at another place: it is told unless all that take it now are in shadow.
        None => routes
            .iter()
            .all(|(path, route)| is_route_in_shadow(draft, path, route)),
    }
}

/// Whether what a group was last told was only recorded, and would leave now.
pub(crate) fn has_left(draft: &Draft<'_>, name: &str, group: &Group) -> bool {
    let labels = group.firing.iter().find_map(|id| draft.state.alerts.get(id));
    group.shadow && labels.is_some_and(|active| !is_shadow(draft, name, Some(&active.alert.labels)))
}

/// Takes down what was said of routes; what was said before of the same, or below, does not count any more.
pub(crate) fn cut(cuts: &mut Vec<Cut>, of: &CutOf, live: Option<bool>) {
    cuts.retain(|cut| !of.covers_all_of(&cut.of));
    // That something is as the catalog says is of no news unless something else was said.
    if live.is_some() || !cuts.is_empty() {
        cuts.push(Cut { of: of.clone(), live });
    }
}

/// Routes are cut over or back. What fires and was only recorded is told at once.
pub(crate) fn cut_over(
    state: &AlertState,
    routing: &Routing,
    of: CutOf,
    live: Option<bool>,
    now: Timestamp,
) -> Result<Vec<AlertEvent>, AlertRefusal> {
    let of = match of {
        // An end of a name may become that of another route some day.
        CutOf::Route(name) => CutOf::Route(routing.find_route(&name)?.name),
        CutOf::Receiver(name) => {
            let of = CutOf::Receiver(name.clone());
            let mut routes = routing.routes().into_iter();
            if !routes.any(|named| of.covers(&named.name, named.route)) {
                return Err(AlertRefusal::UnknownReceiver(name));
            }
            of
        }
    };
    let mut then = state.clone();
    cut(&mut then.cut, &of, live);
    if then.cut == state.cut {
        return Ok(Vec::new());
    }
    if then.cut.len() > CUTS_MAX {
        return Err(AlertRefusal::TooManyCuts);
    }
    let told = out_of_shadow(&Draft::new(&then, routing, now));
    let event = AlertEvent::CutOver { of, live };
    Ok(std::iter::once(event).chain(told).collect())
}
