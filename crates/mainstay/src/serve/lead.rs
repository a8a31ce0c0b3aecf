//! The lead among replicas: kept while this process lives, and the fence around whatever leaves it.
//!
//! The journal refuses what an earlier leader writes, but no receiver can refuse what it sends. So a leader sends only while it
//! knows that nobody else can lead: from the beginning of its last renewal, for as long as the lease, less a margin. Both the
//! leader and those who stand by measure that by clocks that nobody can set.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::{Channels, Outgoing, Sent};
use mainstay_delivery::fence::MaySend;
use mainstay_hands::Hands;
use mainstay_journal::{Epoch, Journal, StoredJournal};
use mainstay_kernel::Clock;
use mainstay_kernel::effect::{Act, Outcome};
use mainstay_plane::LEAD_TTL;
use tokio::time::Instant;

use super::ServeError;

/// How often the lead is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// So long before the lease is over, nothing is sent any more: what was handed to the network is out by then.
const MARGIN: Duration = Duration::from_secs(1);

pub(super) fn lease() -> Duration {
    LEAD_TTL.unsigned_abs()
}

/// Until when this process may send. Clones share what they know.
#[derive(Clone, Default)]
pub(super) struct Lead {
    /// `None` where nobody else can lead: the journal is locked to this process.
    until: Option<Arc<Mutex<Instant>>>,
}

impl Lead {
    /// One that was taken or renewed by a call that began at `begun`.
    pub(super) fn since(begun: Instant) -> Self {
        let until = begun + lease() - MARGIN;
        Self {
            until: Some(Arc::new(Mutex::new(until))),
        }
    }

    fn renewed(&self, begun: Instant) {
        if let Some(until) = &self.until {
            *until.lock().unwrap_or_else(PoisonError::into_inner) = begun + lease() - MARGIN;
        }
    }

    fn is_held(&self) -> bool {
        self.until
            .as_ref()
            .is_none_or(|until| Instant::now() < *until.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the same, wherever it is asked.
    pub(super) fn may_send(&self) -> MaySend {
        let lead = self.clone();
        Arc::new(move || lead.is_held())
    }

    /// Goes on with `work` only as long as the lead is held. Without it, gives whether the work had begun.
    async fn fence<T>(&self, work: impl Future<Output = T>) -> Result<T, bool> {
        let mut work = pin!(work);
        let mut begun = false;
        poll_fn(|context| {
            // At every step: a process that was stopped goes on in the middle of one.
            if !self.is_held() {
                return Poll::Ready(Err(begun));
            }
            begun = true;
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

/// Renews the lead until told to stop.
///
/// # Errors
/// If somebody else leads by now, or the journal cannot be reached: this process must end.
pub(super) async fn keep(
    journal: Arc<StoredJournal>,
    epoch: Epoch,
    lead: Lead,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut tick = tokio::time::interval(RENEW_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {}
        }
        let begun = Instant::now();
        journal.renew(epoch, clock.now(), LEAD_TTL).await?;
        lead.renewed(begun);
    }
}

/// Lets whoever stands by lead at once.
pub(super) async fn resign(journal: &StoredJournal, epoch: Epoch) {
    let ended = journal.renew(epoch, Timestamp::UNIX_EPOCH, SignedDuration::ZERO);
    if let Err(error) = ended.await {
        tracing::warn!(%error, "the lead could not be given up");
    }
}

/// Whatever leaves this process, behind the fence.
pub(super) struct Fenced<T> {
    pub(super) inner: T,
    pub(super) lead: Lead,
}

const LEADS_NO_MORE: &str = "this replica is not sure to lead any more";

impl<C: Channels> Channels for Fenced<C> {
    async fn send(&self, outgoing: Outgoing<'_>) -> Sent {
        match self.lead.fence(self.inner.send(outgoing)).await {
            Ok(sent) => sent,
            Err(false) => Sent::retry(LEADS_NO_MORE, 0),
            Err(true) => Sent::unknown(LEADS_NO_MORE, 0),
        }
    }
}

impl<H: Hands> Hands for Fenced<H> {
    async fn act(&self, key: &str, act: &Act) -> Outcome {
        let acted = self.lead.fence(self.inner.act(key, act)).await;
        acted.unwrap_or_else(|_| Outcome::Retry {
            reason: LEADS_NO_MORE.to_owned(),
            after_ms: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_wakes_after_the_lease_sends_no_further() {
        let now = Instant::now();
        let lead = Lead::since(now);
        let two_steps = async {
            // Stopped here for longer than the lease.
            lead.renewed(now.checked_sub(lease()).expect("the machine is up for longer"));
            tokio::task::yield_now().await;
            "sent"
        };
        assert_eq!(lead.fence(two_steps).await, Err(true), "in the middle");
        assert_eq!(lead.fence(async { "sent" }).await, Err(false), "not at all");
        lead.renewed(Instant::now());
        assert_eq!(lead.fence(async { "sent" }).await, Ok("sent"));
        assert_eq!(Lead::default().fence(async { "sent" }).await, Ok("sent"));
    }
}
