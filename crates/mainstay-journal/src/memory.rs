//! A journal in memory: for tests and for the simulator, with the same semantics as the durable ones. What is "durable"
//! is what the value holds: a simulated process dies, the value lives on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::effect::Effect;
use mainstay_kernel::{Clock, Digest, Entropy, EventId};

use crate::chain::{ChainHead, Place};
use crate::envelope::{Envelope, Epoch, Partition, Personal, Record, Seq, StreamId};
use crate::seal::{self, KeyId, SubjectKey};
use crate::store::{
    Claimed, Commit, Committed, Finished, Journal, JournalError, Room, Snapshot, Timer, check_blob,
    check_limits,
};

#[derive(Clone)]
struct StoredEffect {
    effect: Effect,
    cause: EventId,
    order: u64,
    due: Timestamp,
    attempts: u32,
    claim: Option<(Epoch, Timestamp)>,
    possible_duplicate: bool,
    over: bool,
}

#[derive(Clone)]
struct StoredEvent {
    envelope: Envelope,
    payload: Vec<u8>,
    sealed: Vec<u8>,
}

#[derive(Clone, Default)]
struct Inner {
    epoch: Epoch,
    events: Vec<StoredEvent>,
    by_id: BTreeMap<EventId, usize>,
    streams: BTreeMap<StreamId, Vec<usize>>,
    chains: BTreeMap<Partition, ChainHead>,
    outbox: BTreeMap<String, StoredEffect>,
    timers: BTreeMap<String, Timer>,
    cursors: BTreeMap<String, Seq>,
    catalogs: BTreeMap<Digest, Vec<u8>>,
    snapshots: BTreeMap<String, Snapshot>,
    keys: BTreeMap<String, SubjectKey>,
    subjects: BTreeMap<KeyId, String>,
}

/// See the module.
pub struct MemoryJournal {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    inner: Mutex<Inner>,
}

/// What a [`MemoryJournal`] held at one instant.
pub struct MemoryImage(Inner);

impl MemoryJournal {
    /// An empty journal.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            inner: Mutex::default(),
        }
    }

    /// All that it holds at this instant: what a replica that is copied to late has of it.
    #[must_use]
    pub fn image(&self) -> MemoryImage {
        MemoryImage(self.lock().clone())
    }

    /// Holds what `image` holds, and nothing that was committed since: the replica has taken over.
    pub fn fall_back(&self, image: MemoryImage) {
        *self.lock() = image.0;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn check_epoch(&self, used: Epoch) -> Result<(), JournalError> {
        if used == self.epoch {
            Ok(())
        } else {
            Err(JournalError::StaleEpoch {
                used,
                current: self.epoch,
            })
        }
    }

    fn record(&self, index: usize) -> Result<Record, JournalError> {
        let event = &self.events[index];
        let key = KeyId::of_sealed(&event.sealed)
            .and_then(|id| self.subjects.get(&id))
            .and_then(|subject| self.keys.get(subject));
        let personal = seal::open(key, event.envelope.id, &event.sealed)?;
        Ok(Record {
            envelope: event.envelope.clone(),
            payload: Some(event.payload.clone()),
            personal,
            sealed: event.sealed.clone(),
        })
    }

    /// Takes up to `limit` due effects of those that are `wanted`.
    fn claim(
        &mut self,
        (epoch, now, lease): (Epoch, Timestamp, SignedDuration),
        limit: usize,
        wanted: impl Fn(&Effect) -> bool,
    ) -> Vec<Claimed> {
        let held = |stored: &StoredEffect| stored.claim.is_some_and(|(by, until)| by == epoch && until > now);
        let mut due: Vec<&mut StoredEffect> = self
            .outbox
            .values_mut()
            .filter(|stored| !stored.over && stored.due <= now && !held(stored) && wanted(&stored.effect))
            .collect();
        due.sort_by_key(|stored| {
            (
                stored.effect.urgency(),
                stored.attempts > 0,
                stored.due,
                stored.order,
            )
        });
        let lease_until = truncate_to_ms(now.saturating_add(lease).unwrap_or(Timestamp::MAX));
        due.into_iter()
            .take(limit)
            .map(|stored| {
                stored.possible_duplicate |= stored.claim.is_some();
                stored.claim = Some((epoch, lease_until));
                stored.attempts += 1;
                Claimed {
                    effect: stored.effect.clone(),
                    cause: stored.cause,
                    attempt: stored.attempts,
                    possible_duplicate: stored.possible_duplicate,
                    lease_until,
                }
            })
            .collect()
    }

    fn check(&self, commit: &Commit) -> Result<(), JournalError> {
        self.check_epoch(commit.epoch)?;
        check_limits(commit)?;
        for (stream, expected) in &commit.expected {
            let actual = self.streams.get(stream).map_or(0, |events| events.len() as u64);
            if actual != *expected {
                return Err(JournalError::VersionConflict {
                    stream: stream.clone(),
                    expected: *expected,
                    actual,
                });
            }
        }
        for (stream, seen) in &commit.unchanged_since {
            let events = self.streams.get(stream).and_then(|events| events.last());
            let last = events.map_or(Seq(0), |index| self.events[*index].envelope.seq);
            if last > *seen {
                return Err(JournalError::Unseen {
                    stream: stream.clone(),
                    seen: *seen,
                    last,
                });
            }
        }
        let mut ids = std::collections::BTreeSet::new();
        match commit
            .events
            .iter()
            .find(|event| self.by_id.contains_key(&event.id) || !ids.insert(event.id))
        {
            Some(twice) => Err(JournalError::DuplicateEvent(twice.id)),
            None => Ok(()),
        }
    }
}

impl Journal for MemoryJournal {
    async fn lead(
        &self,
        _holder: &str,
        _now: Timestamp,
        _ttl: SignedDuration,
    ) -> Result<Epoch, JournalError> {
        let mut inner = self.lock();
        inner.epoch.0 += 1;
        Ok(inner.epoch)
    }

    async fn renew(&self, epoch: Epoch, _now: Timestamp, _ttl: SignedDuration) -> Result<(), JournalError> {
        self.lock().check_epoch(epoch)
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, JournalError> {
        let recorded_at = truncate_to_ms(self.clock.now());
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.check(&commit)?;
        let mut envelopes = Vec::with_capacity(commit.events.len());
        for event in commit.events {
            let sealed = match &event.personal {
                None => Vec::new(),
                Some(personal) => {
                    let key = inner
                        .keys
                        .entry(personal.subject.clone())
                        .or_insert_with(|| SubjectKey::generate(&*self.entropy));
                    inner.subjects.insert(key.id, personal.subject.clone());
                    seal::seal(key, event.id, personal, &*self.entropy)?
                }
            };
            let chain = inner.chains.entry(Partition::of(&event.scope)).or_default();
            let stream = inner.streams.entry(event.stream.clone()).or_default();
            let index = inner.events.len();
            stream.push(index);
            let place = Place {
                seq: Seq(index as u64 + 1),
                version: stream.len() as u64,
                recorded_at,
                epoch: commit.epoch,
            };
            let envelope = chain.append(&event, &sealed, place);
            inner.by_id.insert(envelope.id, index);
            envelopes.push(envelope.clone());
            inner.events.push(StoredEvent {
                envelope,
                payload: event.payload,
                sealed,
            });
        }
        for new in commit.effects {
            let order = inner.outbox.len() as u64;
            inner
                .outbox
                .entry(new.effect.key.clone())
                .or_insert(StoredEffect {
                    effect: new.effect,
                    cause: new.cause,
                    order,
                    due: truncate_to_ms(new.due),
                    attempts: 0,
                    claim: None,
                    possible_duplicate: false,
                    over: false,
                });
        }
        for finished in commit.finished {
            let Some(stored) = inner.outbox.get_mut(finished.key()) else {
                continue;
            };
            stored.claim = None;
            match finished {
                Finished::Over { .. } => stored.over = true,
                Finished::Again { due, .. } => stored.due = truncate_to_ms(due),
                Finished::Unknown { due, .. } => {
                    stored.due = truncate_to_ms(due);
                    stored.possible_duplicate = true;
                }
            }
        }
        for key in commit.cancel {
            inner.timers.remove(&key);
        }
        for mut timer in commit.timers {
            timer.due = truncate_to_ms(timer.due);
            inner.timers.insert(timer.key.clone(), timer);
        }
        inner.cursors.extend(commit.cursors);
        Ok(Committed {
            envelopes,
            head: Seq(inner.events.len() as u64),
        })
    }

    async fn read(&self, after: Seq, limit: usize) -> Result<Vec<Record>, JournalError> {
        let inner = self.lock();
        let start = usize::try_from(after.0)
            .unwrap_or(usize::MAX)
            .min(inner.events.len());
        let end = start.saturating_add(limit).min(inner.events.len());
        (start..end).map(|index| inner.record(index)).collect()
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, JournalError> {
        let inner = self.lock();
        let indexes = inner.streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        indexes
            .iter()
            .skip(after)
            .take(limit)
            .map(|index| inner.record(*index))
            .collect()
    }

    async fn find(&self, id: EventId) -> Result<Option<Record>, JournalError> {
        let inner = self.lock();
        inner.by_id.get(&id).map(|index| inner.record(*index)).transpose()
    }

    async fn caused_by(&self, id: EventId, limit: usize) -> Result<Vec<Record>, JournalError> {
        let inner = self.lock();
        let matching =
            (0..inner.events.len()).filter(|index| inner.events[*index].envelope.cause == Some(id));
        matching.take(limit).map(|index| inner.record(index)).collect()
    }

    async fn head(&self) -> Result<Seq, JournalError> {
        Ok(Seq(self.lock().events.len() as u64))
    }

    async fn cursor(&self, subscription: &str) -> Result<Seq, JournalError> {
        Ok(self.lock().cursors.get(subscription).copied().unwrap_or_default())
    }

    async fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Claimed>, JournalError> {
        let mut inner = self.lock();
        inner.check_epoch(epoch)?;
        Ok(inner.claim((epoch, now, lease), limit, |_| true))
    }

    async fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> Result<Vec<Claimed>, JournalError> {
        let mut inner = self.lock();
        inner.check_epoch(epoch)?;
        let mut claimed = Vec::new();
        for room in rooms {
            let fits = |effect: &Effect| effect.lane() == room.lane && effect.is_urgent() == room.urgent;
            claimed.extend(inner.claim((epoch, now, lease), room.count, fits));
        }
        Ok(claimed)
    }

    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, JournalError> {
        let inner = self.lock();
        let mut due: Vec<Timer> = inner
            .timers
            .values()
            .filter(|timer| timer.due <= now)
            .cloned()
            .collect();
        due.sort_by(|a, b| (a.due, &a.key).cmp(&(b.due, &b.key)));
        due.truncate(limit);
        Ok(due)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        let inner = self.lock();
        let timers = inner.timers.values().map(|timer| timer.due);
        let effects = inner
            .outbox
            .values()
            .filter(|stored| !stored.over)
            .map(|stored| match stored.claim {
                Some((epoch, until)) if epoch == inner.epoch => until.max(stored.due),
                _ => stored.due,
            });
        Ok(timers.chain(effects).min())
    }

    async fn waiting_effects(&self, limit: usize) -> Result<Vec<Effect>, JournalError> {
        let inner = self.lock();
        let mut waiting: Vec<&StoredEffect> = inner.outbox.values().filter(|stored| !stored.over).collect();
        waiting.sort_by_key(|stored| stored.order);
        Ok(waiting
            .into_iter()
            .take(limit)
            .map(|stored| stored.effect.clone())
            .collect())
    }

    async fn put_catalog(&self, digest: Digest, bytes: &[u8]) -> Result<(), JournalError> {
        check_blob("a catalog in bytes", bytes)?;
        self.lock().catalogs.insert(digest, bytes.to_vec());
        Ok(())
    }

    async fn catalog(&self, digest: Digest) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.lock().catalogs.get(&digest).cloned())
    }

    async fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        let mut inner = self.lock();
        inner.check_epoch(epoch)?;
        check_blob("a snapshot in bytes", &snapshot.bytes)?;
        inner.snapshots.insert(machine.to_owned(), snapshot);
        Ok(())
    }

    async fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, JournalError> {
        Ok(self.lock().snapshots.get(machine).cloned())
    }

    async fn destroy_key(&self, epoch: Epoch, subject: &str) -> Result<bool, JournalError> {
        let mut inner = self.lock();
        inner.check_epoch(epoch)?;
        let key = inner.keys.remove(subject);
        if let Some(key) = &key {
            inner.subjects.remove(&key.id);
        }
        Ok(key.is_some())
    }
}

impl Personal {
    /// The field `name`, where it is there and its key has not been destroyed.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        match self {
            Self::Present(personal) => personal.fields.get(name).map(String::as_str),
            Self::None | Self::Erased => None,
        }
    }
}
