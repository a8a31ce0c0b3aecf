//! Alerts: what fires, to whom the routes send it, and in which groups it is told. Alertmanager's semantics of routing
//! and grouping, with differences that are each on purpose (`docs/guide/alerts.md` has them all), these before others:
//! - the state is in the journal: a restart loses no alert, no group and no clock;
//! - a group with a new P0 alert is told at once, whatever `group_wait` says;
//! - that all of a group is over is told at once: relief never waits for `group_interval`;
//! - what was told and is silenced, inhibited or muted since is still named with its group, and its end is told to
//!   whoever was told of its beginning.

mod decide;
mod draft;
mod event;
mod firing;
mod flap;
mod fold;
pub mod observation;
mod placement;
mod react;
mod review;
pub mod shadow;
pub mod silence;
mod status;

pub use decide::{AlertRefusal, FIRING_MAX, GROUP_MAX_BYTES};
pub use draft::HeldBy;
pub use event::{AlertEvent, HeldAlert, Placement};
pub use firing::FIRING_MAX_BYTES;
pub use flap::{Flap, FlapLimit};
pub use fold::{ActiveAlert, AlertState, Group};
pub use observation::Observation;
pub use silence::{Silence, SilenceDraft, SilenceId, SilenceStatus};
pub use status::{Suppression, Suppressions};

use jiff::Timestamp;
use mainstay_catalog::response::Routing;
use mainstay_journal::machine::Meta;
use mainstay_journal::{Machine, Reaction};
use mainstay_kernel::Labels;

use draft::Draft;

/// The labels that a group has in common: those by which the route of this alert that made it groups. None: no route of
/// the alert makes this group any more.
#[must_use]
pub fn group_labels(routing: &Routing, labels: &Labels, group: &str) -> Option<Labels> {
    let routes = routing.route.matching(labels).into_iter();
    let mut named = routes.map(|(path, route)| (placement::group_name(&path, route, labels), route));
    let (_, route) = named.find(|(name, _)| name == group)?;
    Some(route.group_by.of(labels))
}

/// The alert capability.
pub struct Alerts;

/// What it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertCommand {
    /// What a source sees now. Alerts that it does not name are left as they are.
    Observe(Vec<Observation>),
    /// The wait of a group is over.
    Flush(String),
    /// A group has been firing unchanged for its repeat interval.
    Remind(String),
    /// Something is to be silenced; a new silence gets this name.
    Silence(SilenceId, SilenceDraft),
    /// A silence is to end.
    EndSilence(SilenceId),
    /// What was held may be told now: in one group, or in any. Of any, no more is told than one commit should hold: ask
    /// again until there is nothing.
    Review(Option<String>),
    /// What flapped in a group may be stable by now.
    Settle(String),
    /// What routes tell is to leave, or only to be recorded, whatever the catalog says; none: as it says.
    CutOver {
        /// Which.
        of: shadow::CutOf,
        /// Whether it leaves.
        live: Option<bool>,
    },
    /// Another system told somebody.
    ToldElsewhere(shadow::Elsewhere),
}

impl Machine for Alerts {
    const NAME: &'static str = "alert";
    type Spec = Routing;
    type State = AlertState;
    type Command = AlertCommand;
    type Event = AlertEvent;
    type Refusal = AlertRefusal;

    fn decide(
        state: &AlertState,
        routing: &Routing,
        command: AlertCommand,
        now: Timestamp,
    ) -> Result<Vec<AlertEvent>, AlertRefusal> {
        match command {
            AlertCommand::Observe(observations) => decide::observe(state, routing, observations, now),
            AlertCommand::Flush(group) => Ok(decide::flush(&Draft::new(state, routing, now), &group)),
            AlertCommand::Remind(group) => Ok(decide::remind(&Draft::new(state, routing, now), &group)),
            AlertCommand::Silence(id, draft) => {
                let events = silence::set(state, id, draft, now)?;
                Ok(review::with_what_follows(events, Draft::new(state, routing, now)))
            }
            AlertCommand::CutOver { of, live } => shadow::cut_over(state, routing, of, live, now),
            AlertCommand::ToldElsewhere(told) => Ok(vec![AlertEvent::ToldElsewhere { told: told.bounded() }]),
            AlertCommand::EndSilence(id) => {
                let events = silence::end(state, id, now)?;
                Ok(review::with_what_follows(events, Draft::new(state, routing, now)))
            }
            AlertCommand::Settle(group) => Ok(decide::settle(Draft::new(state, routing, now), &group)),
            AlertCommand::Review(group) => {
                Ok(review::review(&Draft::new(state, routing, now), group.as_deref()))
            }
        }
    }

    fn apply(state: &mut AlertState, event: &AlertEvent, meta: &Meta) {
        fold::apply(state, event, meta);
    }

    fn react(state: &AlertState, routing: &Routing, event: &AlertEvent, meta: &Meta) -> Reaction {
        react::react(state, routing, event, meta)
    }

    fn on_timer(key: &str, group: &str) -> Option<AlertCommand> {
        match key.split_once('/')?.0 {
            react::FLUSH_TIMER => Some(AlertCommand::Flush(group.to_owned())),
            react::REPEAT_TIMER => Some(AlertCommand::Remind(group.to_owned())),
            react::REVIEW_TIMER => Some(AlertCommand::Review(Some(group.to_owned()))),
            react::FLAP_TIMER => Some(AlertCommand::Settle(group.to_owned())),
            react::SILENCE_TIMER | react::RELEASE_TIMER => Some(AlertCommand::Review(None)),
            _ => None,
        }
    }
}
