//! Alerts: what fires, to whom the routes send it, and in which groups it is told. Alertmanager's semantics of routing
//! and grouping, with three differences, each on purpose:
//! - the state is in the journal: a restart loses no alert, no group and no clock;
//! - a group with a new P0 alert is told at once, whatever `group_wait` says;
//! - that all of a group is over is told at once: relief never waits for `group_interval`.

mod decide;
mod event;
mod fold;
pub mod observation;
mod react;

pub use decide::{AlertRefusal, FIRING_MAX, GROUP_MAX_BYTES};
pub use event::{AlertEvent, Placement};
pub use fold::{ActiveAlert, AlertState, Group};
pub use observation::Observation;

use jiff::Timestamp;
use mainstay_catalog::response::Routing;
use mainstay_journal::machine::Meta;
use mainstay_journal::{Machine, Reaction};

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
            AlertCommand::Flush(group) => Ok(decide::flush(state, &group)),
            AlertCommand::Remind(group) => Ok(decide::remind(state, &group)),
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
            _ => None,
        }
    }
}
