//! The envelope of an event. Its fields and the way they are hashed can never change without a migration.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use mainstay_kernel::{Actor, Digest, EventId, Scope, TenantId};
use serde::{Deserialize, Serialize};

/// The version of the hashing rule of [`Envelope::compute_hash`].
pub const CHAIN_FORMAT: u8 = 1;

/// The place of an event in the commit order of the whole store. 0 stands before the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// The term of a leader. Every write carries it; a store refuses the terms that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// One hash chain: a tenant's own, or the platform's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// What concerns the platform or several tenants.
    Platform,
    /// What concerns one tenant only.
    Tenant(TenantId),
}

impl Partition {
    /// The chain that an event of this scope belongs to.
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        scope.tenant.clone().map_or(Self::Platform, Self::Tenant)
    }

    /// The inverse of `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "platform" => Some(Self::Platform),
            Some(("tenant", id)) => TenantId::new(id).ok().map(Self::Tenant),
            _ => None,
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Tenant(id) => write!(f, "tenant:{id}"),
        }
    }
}

/// The name of one consistency unit, such as `incident/2025-01-15-001`. Versions count within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub String);

impl StreamId {
    /// `family/name`.
    #[must_use]
    pub fn new(family: &str, name: impl fmt::Display) -> Self {
        Self(format!("{family}/{name}"))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Personal data of one data subject, kept beside the chain and encrypted under that subject's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalFields {
    /// The handle of the data subject whose key seals the fields.
    pub subject: String,
    /// The fields.
    pub fields: BTreeMap<String, String>,
}

/// Personal data as it is read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Personal {
    /// The event has none.
    #[default]
    None,
    /// The event has some and the key is there.
    Present(PersonalFields),
    /// The event had some; the subject's key has been destroyed.
    Erased,
}

/// Everything about an event but its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Commit order in this store; not part of the chain, which must survive a move to another store.
    pub seq: Seq,
    /// The event's identity.
    pub id: EventId,
    /// The chain it is on.
    #[serde(serialize_with = "as_text")]
    pub partition: Partition,
    /// Its place on the chain, from 1.
    pub position: u64,
    /// The consistency unit it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// When the store took it.
    pub recorded_at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to it.
    pub cause: Option<EventId>,
    /// What happened, such as `incident.declared`.
    pub kind: String,
    /// The version of the payload's form.
    pub schema: u16,
    /// What it concerns.
    pub scope: Scope,
    /// The leader's term in which it was written.
    pub epoch: Epoch,
    /// The catalog that the decision was made under.
    pub catalog: Digest,
    /// The digest of the payload and of the sealed personal fields: either may go, the chain stays whole.
    pub payload_digest: Digest,
    /// The hash of the event before it on the chain; zero for the first.
    pub prev: Digest,
    /// This event's own hash.
    pub hash: Digest,
}

fn as_text<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Envelope {
    /// The hash that the fields call for. Every field but `seq` and `hash` itself goes in, each preceded by its length.
    #[must_use]
    pub fn compute_hash(&self) -> Digest {
        let scope = serde_json::to_vec(&self.scope).expect("a scope is plain text fields");
        Digest::of_parts(&[
            &[CHAIN_FORMAT],
            self.partition.to_string().as_bytes(),
            &self.position.to_le_bytes(),
            &self.id.to_bytes(),
            self.stream.0.as_bytes(),
            &self.version.to_le_bytes(),
            &self.at.as_millisecond().to_le_bytes(),
            &self.recorded_at.as_millisecond().to_le_bytes(),
            self.actor.to_string().as_bytes(),
            &self.cause.map(EventId::to_bytes).unwrap_or_default(),
            self.kind.as_bytes(),
            &self.schema.to_le_bytes(),
            &scope,
            &self.epoch.0.to_le_bytes(),
            &self.catalog.0,
            &self.payload_digest.0,
            &self.prev.0,
        ])
    }
}

/// The digest that stands in the chain for an event's content. `sealed` is the ciphertext, so that destroying a key
/// leaves nothing from which the personal fields could be guessed.
#[must_use]
pub fn payload_digest(payload: &[u8], sealed: &[u8]) -> Digest {
    Digest::of_parts(&[payload, sealed])
}

/// An event as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Everything but the content.
    pub envelope: Envelope,
    /// The content as JSON; `None` once pruned.
    pub payload: Option<Vec<u8>>,
    /// The personal fields.
    pub personal: Personal,
    /// The personal fields as they are stored: ciphertext, empty where there are none.
    pub sealed: Vec<u8>,
}
