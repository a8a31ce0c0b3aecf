//! Runbooks that run. Each step is recorded before it is done; what it does to the platform is an effect, so a crash
//! between deciding and doing loses nothing and does nothing twice on purpose.

mod decide;
mod event;

pub use decide::{Answer, RunbookCommand, RunbookRefusal};
pub use event::{RunbookEvent, RunbookState, StepRun, StepStatus};

use jiff::Timestamp;
use mainstay_catalog::runbook::RunbookDoc;
use mainstay_journal::machine::Meta;
use mainstay_journal::{Machine, Reaction};
use mainstay_kernel::effect::{Effect, EffectBody, EffectClass};

/// The runbook capability.
pub struct Runbooks;

impl Machine for Runbooks {
    const NAME: &'static str = "runbook";
    type Spec = Vec<RunbookDoc>;
    type State = RunbookState;
    type Command = RunbookCommand;
    type Event = RunbookEvent;
    type Refusal = RunbookRefusal;

    fn decide(
        state: &RunbookState,
        runbooks: &Vec<RunbookDoc>,
        command: RunbookCommand,
        _now: Timestamp,
    ) -> Result<Vec<RunbookEvent>, RunbookRefusal> {
        decide::decide(state, runbooks, command)
    }

    fn apply(state: &mut RunbookState, event: &RunbookEvent, meta: &Meta) {
        event::apply(state, event, meta);
    }

    fn react(_state: &RunbookState, _spec: &Vec<RunbookDoc>, event: &RunbookEvent, _meta: &Meta) -> Reaction {
        match event {
            RunbookEvent::StepStarted {
                key, act: Some(act), ..
            } => Reaction {
                effects: vec![Effect {
                    key: key.clone(),
                    class: EffectClass::Once,
                    body: EffectBody::Act(act.clone()),
                }],
                ..Reaction::default()
            },
            _ => Reaction::default(),
        }
    }
}
