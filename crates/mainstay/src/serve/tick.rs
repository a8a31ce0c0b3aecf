//! The instants to judge at: multiples of an interval by the wall clock, so that a replay of the samples judges at the same
//! ones.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_kernel::Clock;

/// Instants at even distances.
pub(super) struct Ticks {
    clock: Arc<dyn Clock>,
    every: Duration,
    last: Option<Timestamp>,
}

impl Ticks {
    pub(super) fn new(clock: Arc<dyn Clock>, every: Duration) -> Self {
        Self {
            clock,
            every,
            last: None,
        }
    }

    /// Waits for the next instant. One that was missed is left out.
    pub(super) async fn next(&mut self) -> Timestamp {
        loop {
            let now = self.clock.now();
            let since = Duration::try_from(now.duration_since(self.at_or_before(now)));
            tokio::time::sleep(self.every.saturating_sub(since.unwrap_or_default())).await;
            // A wall clock that is slowed down is not there yet.
            let tick = self.at_or_before(self.clock.now());
            if self.last != Some(tick) {
                self.last = Some(tick);
                return tick;
            }
        }
    }

    fn at_or_before(&self, now: Timestamp) -> Timestamp {
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let now_ms = now.as_millisecond();
        Timestamp::from_millisecond(now_ms - now_ms.rem_euclid(every_ms)).unwrap_or(now)
    }
}
