//! An alert that is at hand no more, looked for in the journal.

use mainstay_alert::AlertEvent;
use mainstay_journal::runner::decode;
use mainstay_journal::{Journal, JournalError, Seq};
use mainstay_kernel::fact::AlertFact;

/// How many events back it is looked: a question about what nobody knows must end, too.
const SEARCHED_MAX: u64 = 100_000;
/// How many events are read at once.
const READ_AT_ONCE: u64 = 1_000;

/// The alert that began last, of those that are meant and began lately.
///
/// # Errors
/// If the journal cannot be read.
pub async fn newest_start(
    journal: &impl Journal,
    is_meant: impl Fn(&AlertFact) -> bool,
) -> Result<Option<AlertFact>, JournalError> {
    let Seq(head) = journal.head().await?;
    let oldest = head.saturating_sub(SEARCHED_MAX);
    let mut upto = head;
    while upto > oldest {
        let after = upto.saturating_sub(READ_AT_ONCE);
        let limit = usize::try_from(upto - after).unwrap_or(usize::MAX);
        for record in journal.read(Seq(after), limit).await?.iter().rev() {
            if record.envelope.kind == "alert.started"
                && let Some(AlertEvent::Started { alert, .. }) = decode(record)?
                && is_meant(&alert)
            {
                return Ok(Some(alert));
            }
        }
        upto = after;
    }
    Ok(None)
}
