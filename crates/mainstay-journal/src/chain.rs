//! Appending to a hash chain: the one place where a new event gets its envelope.

use jiff::Timestamp;
use mainstay_kernel::Digest;
use mainstay_kernel::clock::truncate_to_ms;

use crate::envelope::{Envelope, Epoch, Partition, Seq, payload_digest};
use crate::store::NewEvent;

/// The end of a chain: position and hash of its last event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChainHead {
    pub(crate) position: u64,
    pub(crate) hash: Digest,
}

/// What the store knows about an event that it is taking in.
pub(crate) struct Place {
    pub(crate) seq: Seq,
    pub(crate) version: u64,
    pub(crate) recorded_at: Timestamp,
    pub(crate) epoch: Epoch,
}

impl ChainHead {
    /// Puts `event` at the end of the chain and gives its envelope.
    pub(crate) fn append(&mut self, event: &NewEvent, sealed: &[u8], place: Place) -> Envelope {
        let mut envelope = Envelope {
            seq: place.seq,
            id: event.id,
            partition: Partition::of(&event.scope),
            position: self.position + 1,
            stream: event.stream.clone(),
            version: place.version,
            at: truncate_to_ms(event.at),
            recorded_at: place.recorded_at,
            actor: event.actor.clone(),
            cause: event.cause,
            kind: event.kind.clone(),
            schema: event.schema,
            scope: event.scope.clone(),
            epoch: place.epoch,
            catalog: event.catalog,
            payload_digest: payload_digest(&event.payload, sealed),
            prev: self.hash,
            hash: Digest::ZERO,
        };
        envelope.hash = envelope.compute_hash();
        self.position = envelope.position;
        self.hash = envelope.hash;
        envelope
    }
}
