//! A tiny machine: named counters. It refuses to go below zero, pages at ten, and knows its owner's phone number.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Machine, PersonalFields, Reaction, StreamId};
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Message, Recipient};
use mainstay_kernel::{Scope, Severity, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Debug)]
pub(crate) struct Counters;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) values: BTreeMap<String, i64>,
    pub(crate) phones: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Add { name: String, amount: i64 },
    SetPhone { name: String, phone: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Added {
        name: String,
        tenant: Option<TenantId>,
        amount: i64,
    },
    PhoneSet {
        name: String,
        #[serde(skip)]
        phone: String,
    },
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} would go below zero")]
pub(crate) struct BelowZero {
    name: String,
}

impl Event {
    fn name(&self) -> &str {
        match self {
            Self::Added { name, .. } | Self::PhoneSet { name, .. } => name,
        }
    }
}

impl DomainEvent for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Added { .. } => "counter.added",
            Self::PhoneSet { .. } => "counter.phone_set",
        }
    }

    fn stream(&self) -> StreamId {
        StreamId::new("counter", self.name())
    }

    fn scope(&self) -> Scope {
        let tenant = match self {
            Self::Added { tenant, .. } => tenant.clone(),
            Self::PhoneSet { .. } => None,
        };
        Scope {
            tenant,
            ..Scope::platform()
        }
    }

    fn personal(&self) -> Option<PersonalFields> {
        match self {
            Self::Added { .. } => None,
            Self::PhoneSet { name, phone } => Some(PersonalFields {
                subject: name.clone(),
                fields: [("phone".to_owned(), phone.clone())].into(),
            }),
        }
    }

    fn restore_personal(&mut self, fields: &PersonalFields) {
        if let Self::PhoneSet { phone, .. } = self {
            phone.clone_from(&fields.fields["phone"]);
        }
    }
}

impl Machine for Counters {
    const NAME: &'static str = "counter";

    type Spec = ();
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = BelowZero;

    fn decide(state: &State, (): &(), command: Command, _now: Timestamp) -> Result<Vec<Event>, BelowZero> {
        match command {
            Command::Add { name, amount } => {
                if state.values.get(&name).copied().unwrap_or(0) + amount < 0 {
                    return Err(BelowZero { name });
                }
                Ok(vec![Event::Added {
                    name,
                    tenant: None,
                    amount,
                }])
            }
            Command::SetPhone { name, phone } => Ok(vec![Event::PhoneSet { name, phone }]),
        }
    }

    fn apply(state: &mut State, event: &Event, _meta: &Meta) {
        match event {
            Event::Added { name, amount, .. } => *state.values.entry(name.clone()).or_default() += amount,
            Event::PhoneSet { name, phone } => {
                state.phones.insert(name.clone(), phone.clone());
            }
        }
    }

    fn react(state: &State, (): &(), event: &Event, meta: &Meta) -> Reaction {
        let name = event.name();
        if state.values.get(name).copied().unwrap_or(0) < 10 {
            return Reaction::default();
        }
        Reaction {
            effects: vec![page(&format!("page/{name}"))],
            timers: vec![(
                format!("escalate/{name}"),
                meta.at
                    .saturating_add(SignedDuration::from_mins(5))
                    .unwrap_or(meta.at),
                String::new(),
            )],
            cancel: Vec::new(),
        }
    }
}

pub(crate) fn page(key: &str) -> Effect {
    Effect {
        key: key.to_owned(),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver {
            channel: Channel::Chat,
            to: Recipient::Receiver("primary".to_owned()),
            message: Message {
                subject: "a counter reached ten".to_owned(),
                body: String::new(),
                severity: Severity::P1,
                resolved: false,
                incident: None,
                page: None,
                path: "/".to_owned(),
                notification: None,
                change: None,
            },
        }),
    }
}
