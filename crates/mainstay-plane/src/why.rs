//! Why something happened: from an event back along its causes to where it began.

use mainstay_journal::{Journal, JournalError, Record};
use mainstay_kernel::EventId;
use serde::Serialize;

/// The longest chain of causes that is followed.
const LINKS_MAX: usize = 100;

/// One event on the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The event.
    pub id: EventId,
    /// When it was decided.
    pub at: jiff::Timestamp,
    /// What happened.
    pub kind: String,
    /// Who caused it.
    pub actor: String,
    /// The catalog that it was decided under.
    pub catalog: String,
    /// What it says.
    pub payload: Option<serde_json::Value>,
}

fn link(record: &Record) -> Link {
    let envelope = &record.envelope;
    Link {
        id: envelope.id,
        at: envelope.at,
        kind: envelope.kind.clone(),
        actor: envelope.actor.to_string(),
        catalog: envelope.catalog.short(),
        payload: record
            .payload
            .as_ref()
            .and_then(|payload| serde_json::from_slice(payload).ok()),
    }
}

/// The event and what led to it, the beginning first; empty if there is no such event.
///
/// # Errors
/// If the journal cannot be read.
pub async fn why(journal: &impl Journal, id: EventId) -> Result<Vec<Link>, JournalError> {
    let mut links = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next.filter(|_| links.len() < LINKS_MAX) {
        let Some(record) = journal.find(id).await? else {
            break;
        };
        next = record.envelope.cause;
        links.push(link(&record));
    }
    links.reverse();
    Ok(links)
}
