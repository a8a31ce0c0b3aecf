//! What the journal says of a time.

use jiff::{SignedDuration, Timestamp};
use mainstay_journal::{Journal, JournalError, Record, Seq};

/// How many events are read at once.
const PAGE: usize = 1_000;
/// Clocks of leaders that took turns may differ by so much.
const SLACK: SignedDuration = SignedDuration::from_mins(10);

/// The last event that was decided before an instant: numbers have no gaps, and time goes with them. Cost: the logarithm of
/// the events.
///
/// # Errors
/// If the journal cannot be read.
pub async fn last_before(journal: &impl Journal, at: Timestamp) -> Result<Seq, JournalError> {
    // All events up to `before` are too early; those after `after` are not.
    let (mut before, mut after) = (0, journal.head().await?.0);
    while before < after {
        let middle = before + (after - before) / 2;
        let found = journal.read(Seq(middle), 1).await?;
        match found.first() {
            Some(record) if record.envelope.at < at => before = record.envelope.seq.0,
            _ => after = middle,
        }
    }
    Ok(Seq(before))
}

/// Hands every event that was decided from `from` to `until` to `take`, in the order in which they were committed.
/// Cost: the events of that time; where it begins is found by halving.
///
/// # Errors
/// If the journal cannot be read, or `take` says so.
pub async fn events_within(
    journal: &impl Journal,
    from: Timestamp,
    until: Timestamp,
    mut take: impl FnMut(&Record) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let early = from.saturating_sub(SLACK).unwrap_or(Timestamp::MIN);
    let late = until.saturating_add(SLACK).unwrap_or(Timestamp::MAX);
    let mut cursor = last_before(journal, early).await?;
    loop {
        let page = journal.read(cursor, PAGE).await?;
        let Some(last) = page.last() else { break };
        cursor = last.envelope.seq;
        let is_over = last.envelope.at >= late;
        for record in &page {
            if from <= record.envelope.at && record.envelope.at < until {
                take(record)?;
            }
        }
        if is_over {
            break;
        }
    }
    Ok(())
}
