//! The versions of the streams that were written lately. Streams are many, and most are never written again: of those
//! that are forgotten it is known all the same that whoever has seen every event has seen theirs.

use std::collections::BTreeMap;

use crate::envelope::StreamId;

/// How many streams are at hand at least; at most twice as many.
pub const AT_HAND: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Versions {
    recent: BTreeMap<StreamId, u64>,
    /// Those before the recent ones, where it was not written since.
    older: BTreeMap<StreamId, u64>,
    /// Whether there may be streams that are not at hand.
    forgot: bool,
}

impl Versions {
    /// Those that were kept; `forgot` if there may be others.
    pub(super) fn of(kept: BTreeMap<StreamId, u64>, forgot: bool) -> Self {
        let mut versions = Self {
            forgot,
            ..Self::default()
        };
        for (stream, version) in kept {
            versions.set(stream, version);
        }
        versions
    }

    /// At which version a stream is, 0 if there is none; nothing where that is not at hand.
    pub(super) fn get(&self, stream: &StreamId) -> Option<u64> {
        let known = self.recent.get(stream).or_else(|| self.older.get(stream));
        known.copied().or((!self.forgot).then_some(0))
    }

    pub(super) fn set(&mut self, stream: StreamId, version: u64) {
        self.recent.insert(stream, version);
        if self.recent.len() >= AT_HAND {
            let recent = std::mem::take(&mut self.recent);
            let forgotten = std::mem::replace(&mut self.older, recent);
            self.forgot |= !forgotten.is_empty();
        }
    }

    /// All that are at hand, and whether there may be others.
    pub(super) fn kept(&self) -> (BTreeMap<StreamId, u64>, bool) {
        let mut all = self.older.clone();
        all.extend(self.recent.clone());
        (all, self.forgot)
    }
}
