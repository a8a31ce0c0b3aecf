//! The alerts that fire, and what they weigh: the state that holds them must fit into a snapshot.

use std::collections::BTreeMap;
use std::ops::Deref;

use mainstay_kernel::Digest;
use serde::{Deserialize, Serialize, Serializer};

use crate::draft::weight_bytes;
use crate::fold::ActiveAlert;

/// The most that the alerts that fire may weigh, in bytes: about half of what a snapshot may take. What is new beyond
/// that is not taken, until others have ended.
pub const FIRING_MAX_BYTES: usize = 128 << 20;

/// About what an alert takes in the state, in bytes: itself, what each of its groups told of it, and the names of those
/// groups, which stand in several places.
pub(crate) fn kept_bytes(active: &ActiveAlert) -> usize {
    let names: usize = active.groups.iter().map(String::len).sum();
    weight_bytes(&active.alert) * (1 + active.groups.len()) + 4 * names
}

/// The alerts that fire, by fingerprint. Their weight is not written down: it follows from them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<Digest, ActiveAlert>")]
pub(crate) struct Firing {
    alerts: BTreeMap<Digest, ActiveAlert>,
    weight_bytes: usize,
}

impl Firing {
    pub(crate) fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    pub(crate) fn insert(&mut self, active: ActiveAlert) {
        self.remove(&active.alert.fingerprint);
        self.weight_bytes += kept_bytes(&active);
        self.alerts.insert(active.alert.fingerprint, active);
    }

    pub(crate) fn remove(&mut self, fingerprint: &Digest) -> Option<ActiveAlert> {
        let removed = self.alerts.remove(fingerprint)?;
        self.weight_bytes -= kept_bytes(&removed);
        Some(removed)
    }
}

impl Deref for Firing {
    type Target = BTreeMap<Digest, ActiveAlert>;

    fn deref(&self) -> &Self::Target {
        &self.alerts
    }
}

impl From<BTreeMap<Digest, ActiveAlert>> for Firing {
    fn from(alerts: BTreeMap<Digest, ActiveAlert>) -> Self {
        Self {
            weight_bytes: alerts.values().map(kept_bytes).sum(),
            alerts,
        }
    }
}

impl Serialize for Firing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.alerts.serialize(serializer)
    }
}
