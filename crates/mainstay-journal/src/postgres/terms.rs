//! Who leads, and for how long.

use jiff::{SignedDuration, Timestamp};

use super::fault::Fault;
use super::writer::Session;
use crate::envelope::Epoch;
use crate::store::JournalError;

/// How long the row of a journal that writes no more is kept.
const WRITER_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

fn until_ms(now: Timestamp, ttl: SignedDuration) -> i64 {
    now.saturating_add(ttl).unwrap_or(Timestamp::MAX).as_millisecond()
}

/// Gives the lead to `holder`, unless another one's lease runs. A holder who comes back under the same name need not
/// wait for the lease of the term that it lost by dying.
pub(super) async fn lead(
    session: &mut Session,
    holder: &str,
    now: Timestamp,
    ttl: SignedDuration,
) -> Result<Epoch, Fault> {
    let term = &mut session.term;
    if term.until_ms > now.as_millisecond() && term.holder != holder {
        return Err(JournalError::LeaseHeld {
            holder: term.holder.clone(),
            until: super::rows::instant(term.until_ms)?,
        }
        .into());
    }
    term.epoch.0 += 1;
    holder.clone_into(&mut term.holder);
    term.until_ms = until_ms(now, ttl);
    let epoch = term.epoch;
    let oldest = now.saturating_sub(WRITER_KEPT).unwrap_or(Timestamp::MIN);
    sqlx::query("DELETE FROM writer WHERE seen_ms < $1")
        .bind(oldest.as_millisecond())
        .execute(&mut session.connection)
        .await?;
    Ok(epoch)
}

/// Extends the lead.
pub(super) fn renew(
    session: &mut Session,
    epoch: Epoch,
    now: Timestamp,
    ttl: SignedDuration,
) -> Result<(), Fault> {
    session.fence(epoch)?;
    session.term.until_ms = until_ms(now, ttl);
    Ok(())
}
