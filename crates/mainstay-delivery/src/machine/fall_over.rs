//! When a message goes by the next channel too, which that is, and when there is none.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::{Channel, Deliver, Outcome, Recipient};

use super::{Attempted, DeliveryEvent, DeliverySpec, DeliveryState};

/// After this many failed attempts the next channel is tried as well, while this one goes on.
const FALL_OVER_AFTER: u32 = 2;
/// A wait that is longer than this is too long for the next channel to wait for another attempt, in milliseconds: two
/// attempts and the wait between them stay within 30 s.
const FALL_OVER_WAIT_MS: u64 = 8_000;

/// How long after a message was called for the first failure is enough. Behind a receiver that hangs, the second attempt
/// comes only after the first of all others that wait there, however many they are.
fn fall_over_age(channel: Channel) -> SignedDuration {
    match channel {
        // That an attempt ends without a final state says little of a text or a call that is on its way.
        Channel::Sms | Channel::Voice => SignedDuration::from_secs(15),
        _ => SignedDuration::from_secs(10),
    }
}

/// Whether a failed attempt, after which the receiver asked to wait for so many milliseconds, is enough.
pub(super) fn falls_over(attempted: &Attempted, after_ms: u64, now: Timestamp) -> bool {
    attempted.attempt >= FALL_OVER_AFTER
        || after_ms > FALL_OVER_WAIT_MS
        || now.duration_since(attempted.caused_at) >= fall_over_age(attempted.deliver.channel)
}

/// The same message by the next channel that reaches the person, if there is one. Its key differs in the last part only,
/// the channel's name: where that channel carries the message anyway, the outbox knows the key and nothing is said twice. Who
/// is only informed is not called for it.
pub(super) fn next_channel(spec: &DeliverySpec, attempted: &Attempted) -> Option<(String, Deliver)> {
    let Recipient::Person(person) = &attempted.deliver.to else {
        return None;
    };
    let channels = spec.channels.get(person)?;
    let here = channels
        .iter()
        .position(|channel| *channel == attempted.deliver.channel)?;
    let is_page = attempted.deliver.message.page.is_some();
    let (before, after) = channels.split_at(here + 1);
    let mut in_turn = after.iter().chain(before).copied();
    let next = in_turn.find(|channel| is_page || *channel != Channel::Voice)?;
    let root = attempted.key.strip_suffix(attempted.deliver.channel.name())?;
    (next != attempted.deliver.channel).then(|| {
        (
            format!("{root}{}", next.name()),
            Deliver {
                channel: next,
                ..attempted.deliver.clone()
            },
        )
    })
}

/// What is known once the last channel of a person refuses a page: nobody need wait for an answer.
pub(super) fn undeliverable(
    state: &DeliveryState,
    spec: &DeliverySpec,
    attempted: &Attempted,
) -> Option<DeliveryEvent> {
    let (Outcome::Failed { reason }, Recipient::Person(person), Some(page)) = (
        &attempted.outcome,
        &attempted.deliver.to,
        &attempted.deliver.message.page,
    ) else {
        return None;
    };
    let root = attempted.key.strip_suffix(attempted.deliver.channel.name())?;
    let refused = |channel: &Channel| {
        let receipt = state.receipt(&format!("{root}{}", channel.name()));
        *channel == attempted.deliver.channel || receipt.is_some_and(|receipt| receipt.refused)
    };
    let channels = spec.channels.get(person)?;
    channels
        .iter()
        .all(refused)
        .then(|| DeliveryEvent::Undeliverable {
            page: page.clone(),
            person: person.clone(),
            reason: reason.clone(),
        })
}
