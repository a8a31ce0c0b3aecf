//! Keeps a machine's state in step with the journal: load, decide, commit, apply.

mod versions;

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::{Actor, Digest, Entropy, EventId};

use crate::envelope::{Epoch, Personal, Record, Seq, StreamId};
use crate::machine::{DomainEvent, Machine, Meta};
use crate::store::{Commit, Finished, Journal, JournalError, NewEffect, NewEvent, Snapshot, Timer};

pub use self::versions::AT_HAND;
use self::versions::Versions;

const PAGE: usize = 2_000;

/// What a decision is made in: the term, the catalog, the instant, who asks and why.
pub struct Context<'a> {
    /// The leader's term.
    pub epoch: Epoch,
    /// The digest of the catalog that the machine's spec came from.
    pub catalog: Digest,
    /// The instant of the decision.
    pub now: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// The event that led to it.
    pub cause: Option<EventId>,
    /// For event ids.
    pub entropy: &'a dyn Entropy,
}

/// What a decision settles besides its own events, in the same transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settle {
    /// The subscription whose fact it answers, and where that then stands.
    pub cursor: Option<(String, Seq)>,
    /// The timer that it answers.
    pub timer: Option<String>,
    /// The effect whose result it records.
    pub finished: Option<Finished>,
}

/// An event that is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E> {
    /// Its place in commit order.
    pub seq: Seq,
    /// When, by whom and as what.
    pub meta: Meta,
    /// What happened.
    pub event: E,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: std::error::Error + 'static> {
    /// The machine says no; nothing happened.
    #[error(transparent)]
    Refused(R),
    /// The journal failed; the caller must stop leading.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A machine with its state and the versions of the streams that it wrote lately.
pub struct Runner<M: Machine> {
    state: M::State,
    versions: Versions,
    /// The last event in commit order that the state holds.
    seen: Seq,
    /// Whether the state may hold events that were not written: true while a commit is under way, and after a caller
    /// stopped waiting for one.
    torn: bool,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Image<S> {
    state: S,
    /// Those of all streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    versions: Option<BTreeMap<StreamId, u64>>,
    /// Those of the streams that were written lately. An earlier release, which would take the others for new ones, does
    /// not understand it and folds the state from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent_versions: Option<BTreeMap<StreamId, u64>>,
}

impl<M: Machine> Default for Runner<M> {
    fn default() -> Self {
        Self {
            state: M::State::default(),
            versions: Versions::default(),
            seen: Seq(0),
            torn: false,
        }
    }
}

impl<M: Machine> Runner<M> {
    /// Reads the last snapshot. Events since then are fed in by [`Runner::take_in`] or [`Runner::catch_up`].
    ///
    /// # Errors
    /// If the journal cannot be read. A snapshot of another form is not an error: the state is folded from the start.
    pub async fn load(journal: &impl Journal) -> Result<Self, JournalError> {
        let Some(snapshot) = journal.snapshot(M::NAME).await? else {
            return Ok(Self::default());
        };
        if snapshot.schema != M::STATE_SCHEMA {
            return Ok(Self::default());
        }
        let Ok(image) = serde_json::from_slice::<Image<M::State>>(&snapshot.bytes) else {
            return Ok(Self::default());
        };
        let versions = match (image.versions, image.recent_versions) {
            (Some(all), _) => Versions::of(all, false),
            (None, Some(recent)) => Versions::of(recent, true),
            (None, None) => return Ok(Self::default()),
        };
        Ok(Self {
            state: image.state,
            versions,
            seen: snapshot.seq,
            torn: false,
        })
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &M::State {
        &self.state
    }

    /// The last event in commit order that the state holds or has passed over.
    #[must_use]
    pub fn seen(&self) -> Seq {
        self.seen
    }

    /// Notes that everything up to `seq` has been seen, whoever's it was.
    pub fn pass_over(&mut self, seq: Seq) {
        self.seen = self.seen.max(seq);
    }

    /// Takes in a record of the journal, if it is this machine's and new to it.
    ///
    /// # Errors
    /// If the record's payload is not an event of this machine.
    pub fn take_in(&mut self, record: &Record) -> Result<(), JournalError> {
        let envelope = &record.envelope;
        if self.torn || envelope.seq <= self.seen {
            return Ok(());
        }
        self.seen = envelope.seq;
        if !is_kind_of::<M>(&envelope.kind) {
            return Ok(());
        }
        let Some(event) = decode::<M::Event>(record)? else {
            return Ok(());
        };
        self.versions.set(envelope.stream.clone(), envelope.version);
        M::apply(&mut self.state, &event, &meta_of(record));
        Ok(())
    }

    /// The state and its place, for [`Journal::put_snapshot`].
    ///
    /// # Errors
    /// If the state cannot be written as JSON.
    pub fn snapshot(&self) -> Result<Snapshot, JournalError>
    where
        M::State: Clone,
    {
        let (versions, forgot) = self.versions.kept();
        let (versions, recent_versions) = match forgot {
            false => (Some(versions), None),
            true => (None, Some(versions)),
        };
        let image = Image {
            state: self.state.clone(),
            versions,
            recent_versions,
        };
        let bytes = serde_json::to_vec(&image).map_err(|error| JournalError::Storage(error.to_string()))?;
        Ok(Snapshot {
            seq: self.seen,
            schema: M::STATE_SCHEMA,
            bytes,
        })
    }

    /// Decides on `command`, commits what it decides together with `settle`, and only then believes it. A refusal
    /// still leaves `settle` to be committed by the caller, if it must be.
    ///
    /// # Errors
    /// The machine's refusal, or the journal's failure. After a failed commit the state is folded anew from the
    /// journal, so that it never holds what is not written. A caller who stops waiting half-way leaves that to the next
    /// call; until then the state may hold what was not written, and takes nothing in.
    pub async fn execute(
        &mut self,
        journal: &impl Journal,
        spec: &M::Spec,
        context: &Context<'_>,
        command: M::Command,
        settle: Settle,
    ) -> Result<Vec<Recorded<M::Event>>, ExecuteError<M::Refusal>> {
        if self.torn {
            // The abandoned commit may still be on its way. An empty one behind it comes back when it is settled.
            let barrier = Commit {
                epoch: context.epoch,
                ..Commit::default()
            };
            journal.commit(barrier).await?;
            self.reload(journal).await?;
        }
        let events = M::decide(&self.state, spec, command, context.now).map_err(ExecuteError::Refused)?;
        if events.is_empty() && settle == Settle::default() {
            return Ok(Vec::new());
        }
        let mut commit = Commit {
            epoch: context.epoch,
            ..Commit::default()
        };
        commit.cursors.extend(settle.cursor);
        commit.cancel.extend(settle.timer);
        commit.finished.extend(settle.finished);
        self.torn = true;
        let written = match self.draft(spec, context, events, &mut commit) {
            Ok(decided) => journal.commit(commit).await.map(|committed| (decided, committed)),
            Err(error) => Err(error),
        };
        let (decided, committed) = match written {
            Ok(written) => written,
            Err(error) => {
                self.reload(journal).await?;
                return Err(error.into());
            }
        };
        self.torn = false;
        let mut recorded = Vec::with_capacity(decided.len());
        for ((meta, event), envelope) in decided.into_iter().zip(&committed.envelopes) {
            self.seen = envelope.seq;
            self.versions.set(envelope.stream.clone(), envelope.version);
            recorded.push(Recorded {
                seq: envelope.seq,
                meta,
                event,
            });
        }
        Ok(recorded)
    }

    /// Applies `events` to the state and writes them, their reactions and their expected versions into `commit`.
    fn draft(
        &mut self,
        spec: &M::Spec,
        context: &Context<'_>,
        events: Vec<M::Event>,
        commit: &mut Commit,
    ) -> Result<Vec<(Meta, M::Event)>, JournalError> {
        let mut decided = Vec::with_capacity(events.len());
        for event in events {
            let id = EventId::generate(context.now, context.entropy);
            let meta = Meta {
                id,
                at: context.now,
                actor: context.actor.clone(),
                cause: context.cause,
            };
            let stream = event.stream();
            match self.versions.get(&stream) {
                Some(version) => {
                    commit.expected.insert(stream.clone(), version);
                }
                None => {
                    commit.unchanged_since.insert(stream.clone(), self.seen);
                }
            }
            M::apply(&mut self.state, &event, &meta);
            let reaction = M::react(&self.state, spec, &event, &meta);
            commit
                .effects
                .extend(reaction.effects.into_iter().map(|effect| NewEffect {
                    effect,
                    cause: id,
                    due: context.now,
                }));
            for key in &reaction.cancel {
                commit.timers.retain(|timer| timer.key != *key);
            }
            commit.cancel.extend(reaction.cancel);
            commit
                .timers
                .extend(reaction.timers.into_iter().map(|(key, due, payload)| Timer {
                    key,
                    due,
                    machine: M::NAME.to_owned(),
                    payload,
                    cause: id,
                }));
            commit.events.push(NewEvent {
                id,
                stream,
                at: context.now,
                actor: context.actor.clone(),
                cause: context.cause,
                kind: event.kind().to_owned(),
                schema: event.schema(),
                scope: event.scope(),
                catalog: context.catalog,
                payload: serde_json::to_vec(&event)
                    .map_err(|error| JournalError::Storage(error.to_string()))?,
                personal: event.personal(),
            });
            decided.push((meta, event));
        }
        Ok(decided)
    }

    async fn reload(&mut self, journal: &impl Journal) -> Result<(), JournalError> {
        let mut fresh = Self::load(journal).await?;
        fresh.catch_up(journal).await?;
        *self = fresh;
        Ok(())
    }

    /// Takes in everything that the journal has and the state has not.
    ///
    /// # Errors
    /// If the journal cannot be read, or has an event of this machine that cannot be.
    pub async fn catch_up(&mut self, journal: &impl Journal) -> Result<(), JournalError> {
        loop {
            let page = journal.read(self.seen, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            page.iter().try_for_each(|record| self.take_in(record))?;
        }
    }
}

/// Whether an event of this kind belongs to the machine: `incident.declared` belongs to `incident`.
#[must_use]
pub fn is_kind_of<M: Machine>(kind: &str) -> bool {
    kind.strip_prefix(M::NAME)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// The event in a record, with its personal fields put back; `None` once its payload is pruned.
///
/// # Errors
/// If the payload is not such an event.
pub fn decode<E: DomainEvent>(record: &Record) -> Result<Option<E>, JournalError> {
    let Some(payload) = &record.payload else {
        return Ok(None);
    };
    let mut event: E = serde_json::from_slice(payload).map_err(|error| JournalError::Corrupt {
        place: format!("event {} ({})", record.envelope.id, record.envelope.kind),
        reason: error.to_string(),
    })?;
    if let Personal::Present(personal) = &record.personal {
        event.restore_personal(personal);
    }
    Ok(Some(event))
}

fn meta_of(record: &Record) -> Meta {
    let envelope = &record.envelope;
    Meta {
        id: envelope.id,
        at: envelope.at,
        actor: envelope.actor.clone(),
        cause: envelope.cause,
    }
}
