//! How long it may take, and saying what is being done.

use std::time::Duration;

use tokio::time::Instant;

/// A stretch of time that may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    end: Instant,
}

impl Pace {
    /// From now on.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            end: Instant::now() + time,
        }
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Tells whoever waits.
    #[expect(clippy::unused_self, reason = "only what has a pace has progress to tell")]
    pub(super) fn say(&self, words: &str) {
        anstream::eprintln!("{words}");
    }
}
