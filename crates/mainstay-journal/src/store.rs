//! What a journal backend must do.

use std::collections::BTreeMap;
use std::future::Future;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::{Effect, URGENT_MAX};
use mainstay_kernel::{Actor, Digest, EventId, Scope};

use crate::envelope::{Envelope, Epoch, PersonalFields, Record, Seq, StreamId};

/// The longest payload accepted, in bytes.
pub const PAYLOAD_MAX_BYTES: usize = 1 << 20;
/// The most events in one commit; also the most effects, results, timers, cancelled timers and cursors.
pub const COMMIT_MAX_EVENTS: usize = 10_000;
/// The longest name accepted, in bytes: of a stream, an effect's key, a timer's key, a subscription, a data subject.
pub const KEY_MAX_BYTES: usize = 1 << 10;
/// The largest snapshot or catalog accepted, in bytes.
pub const BLOB_MAX_BYTES: usize = 256 << 20;

/// An event to be appended. Partition, position, version, hashes and `recorded_at` are the journal's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its identity, chosen by the writer so that other events of the same commit can name it as their cause.
    pub id: EventId,
    /// The consistency unit.
    pub stream: StreamId,
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The event that led to it.
    pub cause: Option<EventId>,
    /// What happened.
    pub kind: String,
    /// The version of the payload's form.
    pub schema: u16,
    /// What it concerns.
    pub scope: Scope,
    /// The catalog it was decided under.
    pub catalog: Digest,
    /// The content, as JSON.
    pub payload: Vec<u8>,
    /// Personal data beside it.
    pub personal: Option<PersonalFields>,
}

/// An effect to be put into the outbox. A key that the outbox has ever seen is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEffect {
    /// The effect.
    pub effect: Effect,
    /// The event that called for it.
    pub cause: EventId,
    /// Not before this instant.
    pub due: Timestamp,
}

/// A durable timer. Setting a key again moves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Its name.
    pub key: String,
    /// When it is due.
    pub due: Timestamp,
    /// The machine it belongs to.
    pub machine: String,
    /// What the machine wants to be told.
    pub payload: String,
    /// The event that set it.
    pub cause: EventId,
}

/// What became of a claimed effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// It is over, well or badly; it will not be claimed again.
    Over {
        /// The effect.
        key: String,
    },
    /// It certainly did not happen; try again at `due`.
    Again {
        /// The effect.
        key: String,
        /// Not before this instant.
        due: Timestamp,
    },
    /// Nobody knows whether it happened; try again at `due`, saying so.
    Unknown {
        /// The effect.
        key: String,
        /// Not before this instant.
        due: Timestamp,
    },
}

impl Finished {
    /// The effect's key.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Over { key } | Self::Again { key, .. } | Self::Unknown { key, .. } => key,
        }
    }
}

/// Everything that becomes true at once, or not at all. May hold many streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// The writer's term.
    pub epoch: Epoch,
    /// Versions that streams must be at (0 = no such stream yet). Streams not named are not checked.
    pub expected: BTreeMap<StreamId, u64>,
    /// Streams that must have no event after this one, for writers who do not know their versions.
    pub unchanged_since: BTreeMap<StreamId, Seq>,
    /// Events, in order.
    pub events: Vec<NewEvent>,
    /// Effects for the outbox.
    pub effects: Vec<NewEffect>,
    /// Results of claimed effects.
    pub finished: Vec<Finished>,
    /// Timers to set.
    pub timers: Vec<Timer>,
    /// Timers to cancel, by key; cancelled before `timers` are set.
    pub cancel: Vec<String>,
    /// Cursors of subscriptions to advance.
    pub cursors: BTreeMap<String, Seq>,
}

/// A commit that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The envelopes of its events, in order.
    pub envelopes: Vec<Envelope>,
    /// The last event of the store after it.
    pub head: Seq,
}

/// An effect that the caller now has to carry out before `lease_until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The effect.
    pub effect: Effect,
    /// The event that called for it.
    pub cause: EventId,
    /// Which attempt this is; 1 is the first.
    pub attempt: u32,
    /// Whether an earlier attempt may have gone through: its result was never recorded.
    pub possible_duplicate: bool,
    /// After this instant somebody else may claim it.
    pub lease_until: Timestamp,
}

/// How many effects of one kind a caller can carry out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The lane: [`Effect::lane`].
    pub lane: &'static str,
    /// For those that are urgent ([`Effect::is_urgent`]), or for the others.
    pub urgent: bool,
    /// For how many.
    pub count: usize,
}

impl Room {
    /// The least and the greatest urgency of the effects that it is for.
    pub(crate) fn urgencies(&self) -> (i64, i64) {
        let most = i64::from(URGENT_MAX);
        if self.urgent {
            (0, most)
        } else {
            (most + 1, i64::from(u8::MAX))
        }
    }
}

/// A machine's state at a place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last event that the state holds.
    pub seq: Seq,
    /// The version of the state's form.
    pub schema: u16,
    /// The state.
    pub bytes: Vec<u8>,
}

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another writer has taken over.
    #[error("the term {used:?} is over: the journal is in {current:?}; another process leads")]
    StaleEpoch {
        /// The term of the refused writer.
        used: Epoch,
        /// The term of the present one.
        current: Epoch,
    },
    /// Somebody else wrote to the stream in between.
    #[error("stream {stream} is at version {actual}, expected {expected}")]
    VersionConflict {
        /// The stream.
        stream: StreamId,
        /// What the writer expected.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// Somebody else wrote to the stream since.
    #[error("stream {stream} has event {}, which its writer has not seen: it has seen those up to {}", .last.0, .seen.0)]
    Unseen {
        /// The stream.
        stream: StreamId,
        /// The last event that the writer has seen.
        seen: Seq,
        /// The last one of the stream.
        last: Seq,
    },
    /// Another process has the directory open.
    #[error("{path} is in use by another mainstay process; stop it first")]
    InUse {
        /// The directory.
        path: String,
    },
    /// Another leader holds the lease.
    #[error("{holder} leads until {until}")]
    LeaseHeld {
        /// The leader.
        holder: String,
        /// When its lease runs out.
        until: Timestamp,
    },
    /// The files were written by a newer or unknown version.
    #[error(
        "the journal has format {found}, this program reads up to {supported}; use the newer program, or bring it back with its `journal downgrade --format {supported}`"
    )]
    Format {
        /// The version in the files.
        found: i64,
        /// The newest version that this program reads.
        supported: i64,
    },
    /// A limit was exceeded.
    #[error("{what} has {actual}, at most {limit} are allowed")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How much.
        actual: usize,
        /// How much is allowed.
        limit: usize,
    },
    /// An event id was used twice.
    #[error("event {0} is in the journal already")]
    DuplicateEvent(EventId),
    /// What was read is not what was written.
    #[error("the journal is damaged at {place}: {reason}")]
    Corrupt {
        /// Where.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The storage failed.
    #[error("journal storage: {0}")]
    Storage(String),
}

/// A journal. One writer leads at a time; readers are free.
///
/// Semantics that every backend keeps and [`crate::conformance`] checks: a commit is atomic and durable before
/// [`Journal::commit`] returns, and a caller who stops waiting for it leaves it done wholly or not at all; sequence
/// numbers are consecutive from 1 and follow commit order, so that a reader who has seen `n` never finds a new event at
/// or before `n`; instants are kept in whole milliseconds; a write of a term that is over is refused, whatever it writes.
pub trait Journal: Send + Sync + 'static {
    /// Takes the lead: gives a new term, greater than all before. Backends that are locked to one process ignore
    /// `ttl`; shared ones refuse while another holder's lease runs.
    fn lead(
        &self,
        holder: &str,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> impl Future<Output = Result<Epoch, JournalError>> + Send;

    /// Extends the lead.
    fn renew(
        &self,
        epoch: Epoch,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Makes everything in `commit` true at once.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<Committed, JournalError>> + Send;

    /// Events after `after` in commit order, at most `limit`.
    fn read(
        &self,
        after: Seq,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Record>, JournalError>> + Send;

    /// Events of one stream after version `after`, at most `limit`.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Record>, JournalError>> + Send;

    /// One event by id.
    fn find(&self, id: EventId) -> impl Future<Output = Result<Option<Record>, JournalError>> + Send;

    /// Every event that `id` led to directly, in commit order.
    fn caused_by(
        &self,
        id: EventId,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Record>, JournalError>> + Send;

    /// The last event in commit order.
    fn head(&self) -> impl Future<Output = Result<Seq, JournalError>> + Send;

    /// Where a subscription stands; 0 for a new one.
    fn cursor(&self, subscription: &str) -> impl Future<Output = Result<Seq, JournalError>> + Send;

    /// Takes up to `limit` due effects for `lease`. An effect is due when its instant has come and nobody holds it; a
    /// claim of an earlier term, or one whose lease ran out, holds nothing any more and makes `possible_duplicate`.
    fn claim(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Claimed>, JournalError>> + Send;

    /// The same, but takes what there is room for, and nothing of which there is none: a receiver that is slow, or that is
    /// told less often, keeps nothing else from being sent.
    fn claim_within(
        &self,
        epoch: Epoch,
        now: Timestamp,
        lease: SignedDuration,
        rooms: &[Room],
    ) -> impl Future<Output = Result<Vec<Claimed>, JournalError>> + Send;

    /// Timers due at `now`, earliest first, at most `limit`. They stay until a commit cancels them.
    fn due_timers(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Timer>, JournalError>> + Send;

    /// The earliest instant at which a timer or an effect becomes due.
    fn next_due(&self) -> impl Future<Output = Result<Option<Timestamp>, JournalError>> + Send;

    /// Effects that are not over, oldest first: what is waiting to be done.
    fn waiting_effects(&self, limit: usize)
    -> impl Future<Output = Result<Vec<Effect>, JournalError>> + Send;

    /// Keeps a catalog under its digest.
    fn put_catalog(
        &self,
        digest: Digest,
        bytes: &[u8],
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// A catalog by digest.
    fn catalog(&self, digest: Digest) -> impl Future<Output = Result<Option<Vec<u8>>, JournalError>> + Send;

    /// Keeps a machine's state, replacing the one before.
    fn put_snapshot(
        &self,
        epoch: Epoch,
        machine: &str,
        snapshot: Snapshot,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The kept state of a machine.
    fn snapshot(&self, machine: &str) -> impl Future<Output = Result<Option<Snapshot>, JournalError>> + Send;

    /// Destroys the key of a data subject: their personal fields become [`crate::Personal::Erased`] everywhere.
    /// Gives whether there was a key.
    fn destroy_key(
        &self,
        epoch: Epoch,
        subject: &str,
    ) -> impl Future<Output = Result<bool, JournalError>> + Send;
}

fn within(what: &'static str, actual: usize, limit: usize) -> Result<(), JournalError> {
    if actual > limit {
        return Err(JournalError::Limit { what, actual, limit });
    }
    Ok(())
}

/// Checks the limits that every backend has on a commit.
///
/// # Errors
/// If something in it is too large.
pub fn check_limits(commit: &Commit) -> Result<(), JournalError> {
    for (what, count) in [
        ("a commit's number of events", commit.events.len()),
        ("a commit's number of effects", commit.effects.len()),
        ("a commit's number of results", commit.finished.len()),
        ("a commit's number of timers", commit.timers.len()),
        ("a commit's number of cancelled timers", commit.cancel.len()),
        ("a commit's number of cursors", commit.cursors.len()),
    ] {
        within(what, count, COMMIT_MAX_EVENTS)?;
    }
    for event in &commit.events {
        within(
            "an event's payload in bytes",
            event.payload.len(),
            PAYLOAD_MAX_BYTES,
        )?;
        within("a stream's name in bytes", event.stream.0.len(), KEY_MAX_BYTES)?;
        if let Some(personal) = &event.personal {
            let fields = personal
                .fields
                .iter()
                .map(|(name, value)| name.len() + value.len());
            within(
                "an event's personal fields in bytes",
                fields.sum(),
                PAYLOAD_MAX_BYTES,
            )?;
            within(
                "a data subject's handle in bytes",
                personal.subject.len(),
                KEY_MAX_BYTES,
            )?;
        }
    }
    for new in &commit.effects {
        let json =
            serde_json::to_vec(&new.effect).map_err(|error| JournalError::Storage(error.to_string()))?;
        within("an effect in bytes", json.len(), PAYLOAD_MAX_BYTES)?;
        within("an effect's key in bytes", new.effect.key.len(), KEY_MAX_BYTES)?;
    }
    for timer in &commit.timers {
        within("a timer's key in bytes", timer.key.len(), KEY_MAX_BYTES)?;
        within(
            "a timer's payload in bytes",
            timer.payload.len(),
            PAYLOAD_MAX_BYTES,
        )?;
    }
    commit
        .cursors
        .keys()
        .try_for_each(|name| within("a subscription's name in bytes", name.len(), KEY_MAX_BYTES))
}

/// Checks the limit that every backend has on snapshots and catalogs.
///
/// # Errors
/// If there are more than [`BLOB_MAX_BYTES`].
pub fn check_blob(what: &'static str, bytes: &[u8]) -> Result<(), JournalError> {
    within(what, bytes.len(), BLOB_MAX_BYTES)
}
