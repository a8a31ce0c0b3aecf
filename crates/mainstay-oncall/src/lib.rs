//! On-call: who has the duty, whom a page reaches and when it climbs. A page is not over until a human says "mine".

mod climb;
mod decide;
mod event;
mod feed;
mod fold;
pub mod handover;
pub mod ical;
pub mod load;
mod news;
pub mod notify;
pub mod reach;
mod react;
pub mod ring;
pub mod rota;
mod spec;
mod swap;

pub use decide::{OncallCommand, OncallRefusal};
pub use event::OncallEvent;
pub use feed::{Feed, FeedOf};
pub use fold::{OncallState, Override, Page};
pub use spec::OncallSpec;
pub use swap::{Stretch, Swap, SwapEnd};

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_journal::{Machine, Reaction};

/// The on-call capability.
pub struct Oncall;

impl Machine for Oncall {
    const NAME: &'static str = "oncall";
    type Spec = OncallSpec;
    type State = OncallState;
    type Command = OncallCommand;
    type Event = OncallEvent;
    type Refusal = OncallRefusal;

    fn decide(
        state: &OncallState,
        spec: &OncallSpec,
        command: OncallCommand,
        now: Timestamp,
    ) -> Result<Vec<OncallEvent>, OncallRefusal> {
        decide::decide(state, spec, command, now)
    }

    fn apply(state: &mut OncallState, event: &OncallEvent, meta: &Meta) {
        fold::apply(state, event, meta);
    }

    fn react(state: &OncallState, spec: &OncallSpec, event: &OncallEvent, meta: &Meta) -> Reaction {
        react::react(state, spec, event, meta)
    }

    fn on_timer(_key: &str, payload: &str) -> Option<OncallCommand> {
        react::parse_timer(payload)
    }
}
