//! Recomputes every hash of every chain.

use std::collections::BTreeMap;

use mainstay_kernel::Digest;

use crate::envelope::{Partition, Seq, payload_digest};
use crate::store::{Journal, JournalError};

const PAGE: usize = 1_000;

/// One chain that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// How many events it has.
    pub events: u64,
    /// The hash of its last event: publish it elsewhere, and nobody can rewrite the chain unseen.
    pub head: Digest,
}

/// Walks the whole journal and recomputes every hash. Cost: one read and one SHA-256 per event.
///
/// # Errors
/// [`JournalError::Corrupt`] naming the first event that does not follow from the one before; storage failures.
pub async fn verify(journal: &impl Journal) -> Result<BTreeMap<Partition, Chain>, JournalError> {
    let mut chains: BTreeMap<Partition, Chain> = BTreeMap::new();
    let mut after = Seq(0);
    loop {
        let page = journal.read(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(chains);
        };
        let mut expected = after.0;
        after = last.envelope.seq;
        for record in &page {
            let envelope = &record.envelope;
            let chain = chains.entry(envelope.partition.clone()).or_insert(Chain {
                events: 0,
                head: Digest::ZERO,
            });
            let broken = |reason: &str| JournalError::Corrupt {
                place: format!(
                    "event {} (number {}, {} position {})",
                    envelope.id, envelope.seq.0, envelope.partition, envelope.position
                ),
                reason: reason.to_owned(),
            };
            expected += 1;
            if envelope.seq.0 != expected {
                return Err(broken(&format!("expected number {expected}: events are missing")));
            }
            if envelope.position != chain.events + 1 {
                return Err(broken(&format!(
                    "expected position {}: events are missing",
                    chain.events + 1
                )));
            }
            if envelope.prev != chain.head {
                return Err(broken("it does not follow from the event before it"));
            }
            if envelope.compute_hash() != envelope.hash {
                return Err(broken("its fields do not give its hash"));
            }
            let content = record
                .payload
                .as_ref()
                .map(|payload| payload_digest(payload, &record.sealed));
            if content.is_some_and(|digest| digest != envelope.payload_digest) {
                return Err(broken("its content is not what was hashed"));
            }
            chain.events += 1;
            chain.head = envelope.hash;
        }
    }
}
