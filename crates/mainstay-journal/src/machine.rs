//! The contract of a capability: a pure machine. No IO, no clock, no entropy; the same events give the same state.

use std::fmt;

use jiff::Timestamp;
use mainstay_kernel::effect::Effect;
use mainstay_kernel::{Actor, EventId, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{PersonalFields, StreamId};

/// An event of a capability: a fact in the past tense.
pub trait DomainEvent: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static {
    /// What happened, such as `incident.declared`. The part before the dot is the machine's name.
    fn kind(&self) -> &'static str;

    /// The consistency unit it belongs to.
    fn stream(&self) -> StreamId;

    /// What it concerns; its tenant decides on which hash chain it goes.
    fn scope(&self) -> Scope;

    /// The version of the payload's form.
    fn schema(&self) -> u16 {
        1
    }

    /// Personal data that belongs to it but must not be in the payload: such fields are `#[serde(skip)]`.
    fn personal(&self) -> Option<PersonalFields> {
        None
    }

    /// Puts personal data that was read back where [`DomainEvent::personal`] took it from.
    fn restore_personal(&mut self, _fields: &PersonalFields) {}
}

/// When, by whom and as what an event happened: the part of the envelope that a machine may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The event's identity.
    pub id: EventId,
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to it.
    pub cause: Option<EventId>,
}

/// What an event calls for in the outside world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaction {
    /// Effects to carry out, each named by an idempotency key that follows from the event.
    pub effects: Vec<Effect>,
    /// Timers to set: key, due instant, and a text that comes back to [`Machine::on_timer`].
    pub timers: Vec<(String, Timestamp, String)>,
    /// Timers to cancel, by key.
    pub cancel: Vec<String>,
}

/// A capability.
pub trait Machine: Sized + Send + Sync + 'static {
    /// The name of the capability; its events' kinds start with it.
    const NAME: &'static str;
    /// The version of the state's form in snapshots: raise it when the form changes, and old snapshots are ignored.
    const STATE_SCHEMA: u16 = 1;

    /// Its part of the catalog.
    type Spec: Send + Sync;
    /// What it remembers: a fold over its events.
    type State: Default + Serialize + DeserializeOwned + Send + Sync;
    /// What it can be asked to do. Ids and the answers of other capabilities arrive inside.
    type Command: Send;
    /// What can have happened.
    type Event: DomainEvent;
    /// Why it says no.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// Decides what happens. Nothing has happened yet: the state is as before.
    ///
    /// # Errors
    /// With the reason, if the command cannot be carried out now.
    fn decide(
        state: &Self::State,
        spec: &Self::Spec,
        command: Self::Command,
        now: Timestamp,
    ) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Takes an event in.
    fn apply(state: &mut Self::State, event: &Self::Event, meta: &Meta);

    /// What an event calls for, seen from the state that already holds it.
    fn react(state: &Self::State, spec: &Self::Spec, event: &Self::Event, meta: &Meta) -> Reaction;

    /// The command that a due timer stands for; `None` if the machine sets no timers.
    fn on_timer(_key: &str, _payload: &str) -> Option<Self::Command> {
        None
    }
}
