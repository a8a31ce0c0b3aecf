//! A journal in a temporary directory, and events to put into it.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::{
    Commit, Committed, Epoch, Journal, JournalError, NewEvent, Seq, SqliteJournal, StreamId,
};
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Actor, Clock, Digest, Entropy, EventId, Scope, TenantId};

pub(crate) const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What whoever runs the tests has set in the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration: seeds, counts and the child's directory come by the environment"
)]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn start() -> Timestamp {
    "2025-01-15T10:00:00Z".parse().expect("an instant")
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(start()))
}

pub(crate) fn entropy(seed: u64) -> Arc<SeededEntropy> {
    Arc::new(SeededEntropy::new(seed))
}

pub(crate) async fn try_open(dir: &Path) -> Result<SqliteJournal, JournalError> {
    SqliteJournal::open(dir, clock(), entropy(99)).await
}

pub(crate) async fn open(dir: &Path) -> SqliteJournal {
    try_open(dir).await.expect("the journal opens")
}

pub(crate) async fn lead(journal: &impl Journal) -> Epoch {
    journal
        .lead("test", start(), MINUTE)
        .await
        .expect("the lead is free")
}

pub(crate) fn event(entropy: &dyn Entropy, stream: &str, tenant: Option<&str>) -> NewEvent {
    NewEvent {
        id: EventId::generate(start(), entropy),
        stream: StreamId(stream.to_owned()),
        at: start(),
        actor: Actor::person("ada"),
        cause: None,
        kind: "test.happened".to_owned(),
        schema: 1,
        scope: Scope {
            tenant: tenant.map(|name| TenantId::new(name).expect("a name")),
            ..Scope::platform()
        },
        catalog: Digest::of(b"catalog"),
        payload: br#"{"is":"a payload"}"#.to_vec(),
        personal: None,
    }
}

pub(crate) async fn append(journal: &impl Journal, epoch: Epoch, events: Vec<NewEvent>) -> Committed {
    let commit = Commit {
        epoch,
        events,
        ..Commit::default()
    };
    journal.commit(commit).await.expect("the commit is in order")
}

pub(crate) async fn everything(journal: &impl Journal) -> Vec<mainstay_journal::Record> {
    journal
        .read(Seq(0), usize::MAX)
        .await
        .expect("the journal can be read")
}
