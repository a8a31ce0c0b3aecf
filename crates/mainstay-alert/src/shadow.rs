//! Shadow: a route decides, and all that it decides is recorded, while another system still tells people. What that system
//! told comes as a copy and stands beside it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::{Route, Routing, is_beat};
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

/// Whether what a group says now is only recorded. A route that is not there any more is no reason for silence.
pub(crate) fn is_shadow(draft: &Draft<'_>, group: &str, labels: Option<&Labels>) -> bool {
    let Some(labels) = labels else {
        return draft.state.groups.get(group).is_some_and(|group| group.shadow);
    };
    // That Mainstay itself lives is always told.
    if is_beat(labels) {
        return false;
    }
    let routes = draft.routing.route.matching(labels).into_iter();
    let mut named = routes.filter(|(path, route)| group_name(path, route, labels) == group);
    let Some((_, route)) = named.next() else {
        return false;
    };
    match draft.state.cut.get(&route.receiver) {
        Some(live) => !live,
        None => route.shadow,
    }
}

/// Whether what a group was last told was only recorded, and would leave now.
pub(crate) fn has_left(draft: &Draft<'_>, name: &str, group: &Group) -> bool {
    let labels = group.firing.iter().find_map(|id| draft.state.alerts.get(id));
    group.shadow && labels.is_some_and(|active| !is_shadow(draft, name, Some(&active.alert.labels)))
}

fn tells(route: &Route, receiver: &str) -> bool {
    route.receiver == receiver || route.routes.iter().any(|below| tells(below, receiver))
}

/// A receiver is cut over or back. What fires and was only recorded is told at once.
pub(crate) fn cut(
    state: &AlertState,
    routing: &Routing,
    receiver: String,
    live: Option<bool>,
    now: Timestamp,
) -> Result<Vec<AlertEvent>, AlertRefusal> {
    if !tells(&routing.route, &receiver) {
        return Err(AlertRefusal::UnknownReceiver(receiver));
    }
    if state.cut.get(&receiver).copied() == live {
        return Ok(Vec::new());
    }
    let mut then = state.clone();
    match live {
        Some(live) => then.cut.insert(receiver.clone(), live),
        None => then.cut.remove(&receiver),
    };
    let told = out_of_shadow(&Draft::new(&then, routing, now));
    let event = AlertEvent::CutOver { receiver, live };
    Ok(std::iter::once(event).chain(told).collect())
}
