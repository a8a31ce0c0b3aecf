//! The machine.

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_journal::{Machine, Reaction};

use crate::command::{IncidentCommand, IncidentRefusal};
use crate::event::IncidentEvent;
use crate::model::IncidentState;
use crate::place::IncidentSpec;
use crate::{decide, fold};

/// The incident capability.
pub struct Incidents;

impl Machine for Incidents {
    const NAME: &'static str = "incident";
    type Spec = IncidentSpec;
    type State = IncidentState;
    type Command = IncidentCommand;
    type Event = IncidentEvent;
    type Refusal = IncidentRefusal;

    fn decide(
        state: &IncidentState,
        spec: &IncidentSpec,
        command: IncidentCommand,
        now: Timestamp,
    ) -> Result<Vec<IncidentEvent>, IncidentRefusal> {
        decide::decide(state, spec, command, now)
    }

    fn apply(state: &mut IncidentState, event: &IncidentEvent, meta: &Meta) {
        fold::apply(state, event, meta);
    }

    fn react(_state: &IncidentState, _spec: &IncidentSpec, _event: &IncidentEvent, _meta: &Meta) -> Reaction {
        Reaction::default()
    }
}
