//! The machine: what became of every attempt to deliver a message. The attempts themselves are made by
//! [`crate::channel`]; their results come back as commands and become events, so that "was I told?" has an answer.

mod fall_over;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Finished, Machine, PersonalFields, Reaction, StreamId};
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Outcome, Recipient};
use mainstay_kernel::fact::Delivered;
use mainstay_kernel::{Digest, IncidentId, PageId, PersonId, Scope};
use serde::{Deserialize, Serialize};

use fall_over::{falls_over, next_channel, undeliverable};

/// How many deliveries are kept at hand; all of them are in the journal.
const AT_HAND: usize = 5_000;
/// The longest wait between two attempts.
const BACK_OFF_MAX: SignedDuration = SignedDuration::from_secs(60);
/// The longest wait between two attempts that a receiver may ask for.
const ASKED_FOR_MAX: SignedDuration = SignedDuration::from_secs(300);

/// The delivery capability.
pub struct Delivery;

/// Which channels reach a person, in order of preference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliverySpec {
    /// By person.
    pub channels: BTreeMap<PersonId, Vec<Channel>>,
}

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The effect's idempotency key.
    pub key: String,
    /// The message.
    pub deliver: Deliver,
    /// Which attempt it was; 1 is the first.
    pub attempt: u32,
    /// When the message was called for.
    pub caused_at: Timestamp,
    /// Whether an earlier attempt may have arrived too: the message said so.
    pub possible_duplicate: bool,
    /// The address that was used, where one was known.
    pub address: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum DeliveryEvent {
    /// The receiver took it.
    Delivered {
        fact: Delivered,
        /// Personal: where it was sent.
        #[serde(skip)]
        address: Option<String>,
    },
    /// An attempt failed; there will be another.
    Delayed {
        key: String,
        channel: Channel,
        to: Recipient,
        attempt: u32,
        reason: String,
    },
    /// The receiver will never take it.
    Refused {
        key: String,
        channel: Channel,
        to: Recipient,
        attempt: u32,
        reason: String,
    },
    /// It was not tried again: nobody waits for it any more.
    Withdrawn {
        key: String,
        channel: Channel,
        to: Recipient,
        attempt: u32,
        reason: String,
    },
    /// It would have been sent: its route, or all that began its incident, is in shadow.
    Withheld {
        key: String,
        channel: Channel,
        to: Recipient,
        page: Option<PageId>,
        incident: Option<IncidentId>,
        subject: String,
    },
    /// No channel takes a page to a person: all refused it.
    Undeliverable {
        page: PageId,
        person: PersonId,
        /// What the last of them said.
        reason: String,
    },
    /// The same message is sent by another channel too.
    FellOver {
        key: String,
        next: Box<Deliver>,
        next_key: String,
    },
}

/// No command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryRefusal {}

/// Where a message stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// By which channel.
    pub channel: Channel,
    /// To whom.
    pub to: Recipient,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
    /// What the receiver last said.
    pub answer: String,
    /// Whether it will never arrive.
    pub refused: bool,
    /// Whether the message was also sent by another channel.
    pub fell_over: bool,
}

/// The newest deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryState {
    receipts: BTreeMap<String, Receipt>,
    order: Vec<String>,
}

impl DeliveryState {
    /// Where the message of an effect stands; `None` before its first attempt.
    #[must_use]
    pub fn receipt(&self, key: &str) -> Option<&Receipt> {
        self.receipts.get(key)
    }

    /// The receipts of all effects whose key starts with `prefix`.
    pub fn receipts_under(&self, prefix: &str) -> impl Iterator<Item = (&str, &Receipt)> {
        let range = self.receipts.range(prefix.to_owned()..);
        let prefix = prefix.to_owned();
        range
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(key, receipt)| (key.as_str(), receipt))
    }
}

/// What the outbox is told about an attempt. Waits double from one second up to a minute, unless the receiver names a
/// time; a result nobody knows makes the next attempt say that it may be a repetition.
#[must_use]
pub fn settle(key: &str, attempt: u32, outcome: &Outcome, arrival_unknown: bool, now: Timestamp) -> Finished {
    match outcome {
        Outcome::Done { .. } | Outcome::Failed { .. } | Outcome::Withdrawn { .. } | Outcome::Withheld => {
            Finished::Over { key: key.to_owned() }
        }
        Outcome::Retry { after_ms, .. } => {
            let wait = match i64::try_from(*after_ms) {
                Ok(0) => SignedDuration::from_secs(1 << attempt.saturating_sub(1).min(6)).min(BACK_OFF_MAX),
                Ok(given) => SignedDuration::from_millis(given).min(ASKED_FOR_MAX),
                Err(_) => ASKED_FOR_MAX,
            };
            let due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
            if arrival_unknown {
                Finished::Unknown {
                    key: key.to_owned(),
                    due,
                }
            } else {
                Finished::Again {
                    key: key.to_owned(),
                    due,
                }
            }
        }
    }
}

impl DomainEvent for DeliveryEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivery.delivered",
            Self::Delayed { .. } => "delivery.delayed",
            Self::Refused { .. } => "delivery.refused",
            Self::Undeliverable { .. } => "delivery.undeliverable",
            Self::Withdrawn { .. } => "delivery.withdrawn",
            Self::FellOver { .. } => "delivery.fell_over",
            Self::Withheld { .. } => "delivery.withheld",
        }
    }

    fn stream(&self) -> StreamId {
        let key = match self {
            Self::Undeliverable { page, .. } => return StreamId::new("page", page),
            Self::Delivered { fact, .. } => &fact.key,
            Self::Delayed { key, .. }
            | Self::Refused { key, .. }
            | Self::Withdrawn { key, .. }
            | Self::Withheld { key, .. }
            | Self::FellOver { key, .. } => key,
        };
        StreamId::new("delivery", Digest::of(key.as_bytes()).short())
    }

    fn scope(&self) -> Scope {
        Scope::platform()
    }

    fn personal(&self) -> Option<PersonalFields> {
        let Self::Delivered {
            fact,
            address: Some(address),
        } = self
        else {
            return None;
        };
        let Recipient::Person(person) = &fact.to else {
            return None;
        };
        let fields = BTreeMap::from([("address".to_owned(), address.clone())]);
        Some(PersonalFields {
            subject: person.to_string(),
            fields,
        })
    }

    fn restore_personal(&mut self, personal: &PersonalFields) {
        if let Self::Delivered { address, .. } = self {
            *address = personal.fields.get("address").cloned();
        }
    }
}

impl Machine for Delivery {
    const NAME: &'static str = "delivery";
    type Spec = DeliverySpec;
    type State = DeliveryState;
    type Command = Attempted;
    type Event = DeliveryEvent;
    type Refusal = DeliveryRefusal;

    fn decide(
        state: &DeliveryState,
        spec: &DeliverySpec,
        attempted: Attempted,
        now: Timestamp,
    ) -> Result<Vec<DeliveryEvent>, DeliveryRefusal> {
        let Attempted {
            key,
            deliver,
            attempt,
            ..
        } = attempted.clone();
        let (channel, to) = (deliver.channel, deliver.to.clone());
        let mut events = Vec::new();
        let undeliverable = undeliverable(state, spec, &attempted);
        let fall_over = match &attempted.outcome {
            Outcome::Done { receipt } => {
                let fact = Delivered {
                    key,
                    channel,
                    to,
                    page: deliver.message.page.clone(),
                    incident: deliver.message.incident.clone(),
                    receipt: receipt.clone(),
                    attempt,
                    possible_duplicate: attempted.possible_duplicate,
                };
                events.push(DeliveryEvent::Delivered {
                    fact,
                    address: attempted.address.clone(),
                });
                false
            }
            Outcome::Retry { reason, after_ms } => {
                events.push(DeliveryEvent::Delayed {
                    key,
                    channel,
                    to,
                    attempt,
                    reason: reason.clone(),
                });
                falls_over(&attempted, *after_ms, now)
            }
            Outcome::Withheld => {
                events.push(DeliveryEvent::Withheld {
                    key,
                    channel,
                    to,
                    page: deliver.message.page.clone(),
                    incident: deliver.message.incident.clone(),
                    subject: deliver.message.subject.clone(),
                });
                false
            }
            Outcome::Withdrawn { reason } => {
                events.push(DeliveryEvent::Withdrawn {
                    key,
                    channel,
                    to,
                    attempt,
                    reason: reason.clone(),
                });
                false
            }
            Outcome::Failed { reason } => {
                events.push(DeliveryEvent::Refused {
                    key,
                    channel,
                    to,
                    attempt,
                    reason: reason.clone(),
                });
                true
            }
        };
        let already = state
            .receipt(&attempted.key)
            .is_some_and(|receipt| receipt.fell_over);
        if let Some(undeliverable) = undeliverable {
            events.push(undeliverable);
            return Ok(events);
        }
        if let (true, false, Some((next_key, next))) = (fall_over, already, next_channel(spec, &attempted)) {
            events.push(DeliveryEvent::FellOver {
                key: attempted.key,
                next: Box::new(next),
                next_key,
            });
        }
        Ok(events)
    }

    fn apply(state: &mut DeliveryState, event: &DeliveryEvent, meta: &Meta) {
        let fell_over = |key: &str| state.receipts.get(key).is_some_and(|receipt| receipt.fell_over);
        let (key, receipt) = match event {
            DeliveryEvent::Undeliverable { .. } => return,
            DeliveryEvent::FellOver { key, .. } => {
                if let Some(receipt) = state.receipts.get_mut(key) {
                    receipt.fell_over = true;
                }
                return;
            }
            DeliveryEvent::Withheld { key, channel, to, .. } => (
                key,
                Receipt {
                    channel: *channel,
                    to: to.clone(),
                    attempts: 0,
                    delivered_at: None,
                    answer: "in shadow: it would have been sent".to_owned(),
                    refused: false,
                    fell_over: false,
                },
            ),
            DeliveryEvent::Delivered { fact, .. } => (
                &fact.key,
                Receipt {
                    channel: fact.channel,
                    to: fact.to.clone(),
                    attempts: fact.attempt,
                    delivered_at: Some(meta.at),
                    answer: fact.receipt.clone(),
                    refused: false,
                    fell_over: fell_over(&fact.key),
                },
            ),
            DeliveryEvent::Delayed {
                key,
                channel,
                to,
                attempt,
                reason,
            }
            | DeliveryEvent::Withdrawn {
                key,
                channel,
                to,
                attempt,
                reason,
            }
            | DeliveryEvent::Refused {
                key,
                channel,
                to,
                attempt,
                reason,
            } => (
                key,
                Receipt {
                    channel: *channel,
                    to: to.clone(),
                    attempts: *attempt,
                    delivered_at: None,
                    answer: reason.clone(),
                    refused: matches!(event, DeliveryEvent::Refused { .. }),
                    fell_over: fell_over(key),
                },
            ),
        };
        if state.receipts.insert(key.clone(), receipt).is_none() {
            state.order.push(key.clone());
        }
        if state.order.len() > AT_HAND {
            let oldest = state.order.remove(0);
            state.receipts.remove(&oldest);
        }
    }

    fn react(_state: &DeliveryState, _spec: &DeliverySpec, event: &DeliveryEvent, _meta: &Meta) -> Reaction {
        match event {
            DeliveryEvent::FellOver { next, next_key, .. } => Reaction {
                effects: vec![Effect {
                    key: next_key.clone(),
                    class: EffectClass::Once,
                    body: EffectBody::Deliver((**next).clone()),
                }],
                ..Reaction::default()
            },
            _ => Reaction::default(),
        }
    }
}
