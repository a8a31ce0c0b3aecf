//! The machine: a report is taken once, whatever its source repeats.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Machine, Reaction, StreamId};
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Message, Recipient};
use mainstay_kernel::fact::ChangeRecorded;
use mainstay_kernel::{Digest, EventId, Scope, Severity};
use serde::{Deserialize, Serialize};

/// How many changes are kept at hand; older ones stay in the journal.
const AT_HAND: usize = 5_000;

/// The change capability.
pub struct Change;

/// Who is told of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSpec {
    /// The receivers that keep a list of changes, by name.
    pub told: Vec<String>,
}

/// What it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeCommand {
    /// Take a report.
    Record(ChangeRecorded),
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum ChangeEvent {
    /// A change was reported.
    Recorded(ChangeRecorded),
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// The report was taken before: the sender may stop repeating it.
    #[error("change {id} of {source_name} is recorded already")]
    AlreadyRecorded {
        /// The id that its source gave it.
        id: String,
        /// The source.
        source_name: String,
    },
}

/// A change at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownChange {
    /// The event by which it was recorded.
    pub event: EventId,
    /// The report.
    pub change: ChangeRecorded,
}

/// The newest changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeState {
    /// Oldest first, in the order in which they were recorded.
    changes: Vec<KnownChange>,
    /// Which reports were taken: source and id → event.
    taken: BTreeMap<String, EventId>,
}

impl ChangeState {
    /// The changes at hand, oldest first.
    #[must_use]
    pub fn changes(&self) -> &[KnownChange] {
        &self.changes
    }

    /// Changes to what `scope` concerns that happened at most `before` earlier than `at` or `after` later, newest
    /// first. Cost: one pass over the changes at hand.
    #[must_use]
    pub fn near(
        &self,
        scope: &Scope,
        at: Timestamp,
        before: SignedDuration,
        after: SignedDuration,
    ) -> Vec<&KnownChange> {
        let from = at.saturating_sub(before).unwrap_or(Timestamp::MIN);
        let to = at.saturating_add(after).unwrap_or(Timestamp::MAX);
        let place = Scope {
            service: None,
            tenant: None,
            ..scope.clone()
        };
        let mut near: Vec<&KnownChange> = self
            .changes
            .iter()
            .filter(|known| {
                known.change.at >= from && known.change.at <= to && known.change.scope.overlaps(&place)
            })
            .collect();
        near.sort_by_key(|known| std::cmp::Reverse(known.change.at));
        near
    }
}

fn report_key(change: &ChangeRecorded) -> String {
    // Quoted, so that no two reports share a key, whatever stands in them.
    format!("{:?} {:?}", change.source, change.id)
}

/// A change wakes nobody: it waits behind whatever does.
fn message(change: &ChangeRecorded) -> Message {
    Message {
        subject: change.summary.clone(),
        body: format!("Where: {}\nReported by: {}", change.scope, change.source),
        severity: Severity::P3,
        resolved: false,
        incident: None,
        page: None,
        path: "/changes".to_owned(),
        notification: None,
        change: Some(Box::new(change.clone())),
    }
}

impl DomainEvent for ChangeEvent {
    fn kind(&self) -> &'static str {
        "change.recorded"
    }

    fn stream(&self) -> StreamId {
        let Self::Recorded(change) = self;
        StreamId::new("change", Digest::of(report_key(change).as_bytes()).short())
    }

    fn scope(&self) -> Scope {
        let Self::Recorded(change) = self;
        change.scope.clone()
    }
}

impl Machine for Change {
    const NAME: &'static str = "change";
    type Spec = ChangeSpec;
    type State = ChangeState;
    type Command = ChangeCommand;
    type Event = ChangeEvent;
    type Refusal = ChangeRefusal;

    fn decide(
        state: &ChangeState,
        _spec: &ChangeSpec,
        command: ChangeCommand,
        _now: Timestamp,
    ) -> Result<Vec<ChangeEvent>, ChangeRefusal> {
        let ChangeCommand::Record(change) = command;
        if state.taken.contains_key(&report_key(&change)) {
            return Err(ChangeRefusal::AlreadyRecorded {
                id: change.id,
                source_name: change.source,
            });
        }
        Ok(vec![ChangeEvent::Recorded(change)])
    }

    fn apply(state: &mut ChangeState, event: &ChangeEvent, meta: &Meta) {
        let ChangeEvent::Recorded(change) = event;
        state.taken.insert(report_key(change), meta.id);
        state.changes.push(KnownChange {
            event: meta.id,
            change: change.clone(),
        });
        if state.changes.len() > AT_HAND {
            let oldest = state.changes.remove(0);
            state.taken.remove(&report_key(&oldest.change));
        }
    }

    fn react(_state: &ChangeState, spec: &ChangeSpec, event: &ChangeEvent, meta: &Meta) -> Reaction {
        let ChangeEvent::Recorded(change) = event;
        let effect = |receiver: &String| Effect {
            key: format!("change/{}/{receiver}", meta.id),
            class: EffectClass::Once,
            body: EffectBody::Deliver(Deliver {
                channel: Channel::Webhook,
                to: Recipient::Receiver(receiver.clone()),
                message: message(change),
            }),
        };
        Reaction {
            effects: spec.told.iter().map(effect).collect(),
            ..Reaction::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::fact::ChangeKind;
    use mainstay_kernel::testing::SeededEntropy;
    use mainstay_kernel::{Actor, CellId, ServiceId};

    use super::*;

    fn deploy(id: &str, cell: &str, minute: i64) -> ChangeRecorded {
        ChangeRecorded {
            id: id.to_owned(),
            source: "/supervisor".to_owned(),
            kind: ChangeKind::Deploy,
            scope: Scope {
                cell: CellId::new(cell).ok(),
                service: ServiceId::new("payment-service").ok(),
                ..Scope::default()
            },
            from_version: Some("v1.5.0".to_owned()),
            to_version: Some("v1.6.0".to_owned()),
            summary: "payment-service v1.5.0 to v1.6.0".to_owned(),
            at: Timestamp::from_second(minute * 60).expect("in range"),
            cause: None,
        }
    }

    #[test]
    fn a_report_is_taken_once_and_found_by_place_and_time() {
        let mut state = ChangeState::default();
        let entropy = SeededEntropy::new(7);
        for (index, change) in [
            deploy("1", "cell-5", 10),
            deploy("2", "cell-3", 20),
            deploy("3", "cell-5", 70),
        ]
        .into_iter()
        .enumerate()
        {
            let at = change.at;
            let events = Change::decide(&state, &ChangeSpec::default(), ChangeCommand::Record(change), at)
                .expect("new");
            let meta = Meta {
                id: EventId::generate(at, &entropy),
                at,
                actor: Actor::token("ci"),
                cause: None,
            };
            assert_eq!(events.len(), 1, "report {index}");
            events
                .iter()
                .for_each(|event| Change::apply(&mut state, event, &meta));
        }
        let again = Change::decide(
            &state,
            &ChangeSpec::default(),
            ChangeCommand::Record(deploy("1", "cell-5", 10)),
            Timestamp::UNIX_EPOCH,
        );
        assert!(again.is_err());
        let place = Scope {
            cell: CellId::new("cell-5").ok(),
            ..Scope::default()
        };
        let at = Timestamp::from_second(25 * 60).expect("in range");
        let half_hour = SignedDuration::from_mins(30);
        let near: Vec<&str> = state
            .near(&place, at, half_hour, half_hour)
            .iter()
            .map(|known| known.change.id.as_str())
            .collect();
        assert_eq!(near, ["1"]);
    }

    #[test]
    fn whoever_keeps_a_list_of_changes_is_told_of_each_once_and_behind_everything_else() {
        let event = ChangeEvent::Recorded(deploy("1", "cell-5", 10));
        let (at, entropy) = (Timestamp::UNIX_EPOCH, SeededEntropy::new(7));
        let meta = Meta {
            id: EventId::generate(at, &entropy),
            at,
            actor: Actor::token("ci"),
            cause: None,
        };
        let told = |told: &[&str]| {
            let spec = ChangeSpec {
                told: told.iter().map(|name| (*name).to_owned()).collect(),
            };
            Change::react(&ChangeState::default(), &spec, &event, &meta).effects
        };
        assert_eq!(told(&[]), [], "nobody asked to be told");
        let effects = told(&["payments", "platform"]);
        let keys: Vec<&str> = effects.iter().map(|effect| effect.key.as_str()).collect();
        let id = meta.id;
        assert_eq!(
            keys,
            [format!("change/{id}/payments"), format!("change/{id}/platform")]
        );
        assert!(
            effects
                .iter()
                .all(|effect| effect.urgency() == 3 && !effect.is_urgent())
        );
        // The same report again leads to no second event, and so to nothing that is sent.
        let mut state = ChangeState::default();
        Change::apply(&mut state, &event, &meta);
        let again = ChangeCommand::Record(deploy("1", "cell-5", 10));
        assert!(Change::decide(&state, &ChangeSpec::default(), again, at).is_err());
    }
}
