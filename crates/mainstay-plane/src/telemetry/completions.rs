//! The way in of completions: what becomes of payments is written down in a log of its own, and counted in its order.
//!
//! The state of the counts holds the position up to which they count the log, and is written in one piece with it: after a
//! crash the rest is counted from the log. A sender that got no answer tells the same again, which changes nothing: a
//! payment begins once and ends once.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mainstay_segment::{Lsn, SegmentError, Wal, WalOptions};
use mainstay_slo::completion::{CompletionBatch, CompletionEvent};

use super::Telemetry;

/// The directory of the log, beside the samples.
const DIRECTORY: &str = "completions";
/// How large its files are, in bytes.
const SEGMENT_BYTES: u64 = 8 << 20;
/// How much is kept of what the counts hold already, in bytes.
const KEPT_BYTES: u64 = 64 << 20;
/// The most that the log may take, in bytes: checkpoints let it go long before.
const LOG_MAX_BYTES: u64 = 512 << 20;
/// How far ahead of the clock an event may be, in milliseconds: as far as a sample.
const FUTURE_MS: i64 = 10 * 60_000;

/// Why completions are not taken. None of what was sent together is lost by that: it can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum CompletionsError {
    /// An event is of a time that is not yet.
    #[error("an event is {ahead_ms} ms ahead of the clock")]
    Ahead {
        /// How far, in milliseconds.
        ahead_ms: i64,
    },
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] SegmentError),
}

#[derive(Debug)]
pub(super) struct CompletionLog {
    wal: Wal,
    /// Held while a batch is written and counted, so that counts follow the order of the log.
    order: Mutex<()>,
}

impl CompletionLog {
    /// Opens the log.
    pub(super) fn open(dir: &Path) -> Result<Self, SegmentError> {
        let directory = dir.join(DIRECTORY);
        let options = WalOptions {
            segment_bytes: SEGMENT_BYTES,
            max_total_bytes: LOG_MAX_BYTES,
            ..WalOptions::default()
        };
        let (wal, recovery) = Wal::open(&directory, options, |_, _| {})?;
        for damage in recovery.corrupt_segments {
            tracing::error!("the log of completions is damaged: {damage:?}");
        }
        Ok(Self {
            wal,
            order: Mutex::default(),
        })
    }

    /// What came after a position, in order.
    pub(super) fn since(&self, after: Lsn) -> Result<VecDeque<(Lsn, CompletionBatch)>, SegmentError> {
        let mut batches = VecDeque::new();
        self.wal.replay_since(after, |position, payload| {
            match CompletionBatch::from_bytes(payload) {
                Ok(batch) => batches.push_back((position, batch)),
                Err(error) => tracing::error!("completions at {position} are not counted: {error}"),
            }
        })?;
        Ok(batches)
    }

    /// Whether everything is in it that ever was.
    pub(super) fn is_whole(&self) -> bool {
        self.wal.oldest_lsn() <= Lsn::new(1)
    }

    /// Has new batches come after a position: counts that are older than the log was lost must not take them for old ones.
    pub(super) fn go_on_after(&self, position: Lsn) -> Result<(), SegmentError> {
        self.wal.skip_to(position)
    }

    pub(super) fn wait_durable(&self, position: Lsn) -> Result<(), SegmentError> {
        self.wal.wait_durable(position.min(self.wal.last_lsn()))
    }

    /// Lets go what is counted up to `position` in counts that are written down, where it is more than is kept for repeating
    /// what was judged.
    pub(super) fn let_go(&self, position: Lsn) -> Result<(), SegmentError> {
        if self.wal.bytes() <= KEPT_BYTES {
            return Ok(());
        }
        self.wal.truncate_before(Lsn::new(position.get() + 1)).map(|_| ())
    }

    /// Makes a copy beside that of the samples.
    pub(super) fn backup(&self, to: &Path) -> Result<(), SegmentError> {
        self.wal.backup(&to.join(DIRECTORY)).map(|_| ())
    }
}

impl Telemetry {
    /// Writes down and counts what senders tell of payments. When this returns it is durable.
    ///
    /// # Errors
    /// If an event is of the future (then nothing is taken), or the log cannot be written (then it is to be sent again).
    pub fn take_completions(&self, batches: &[CompletionBatch]) -> Result<(), CompletionsError> {
        let now_ms = self.clock.now().as_millisecond();
        let newest_ms = batches
            .iter()
            .flat_map(|batch| &batch.events)
            .map(CompletionEvent::at_ms)
            .max();
        let ahead_ms = newest_ms.map_or(0, |newest_ms| newest_ms.saturating_sub(now_ms));
        if ahead_ms > FUTURE_MS {
            return Err(CompletionsError::Ahead { ahead_ms });
        }
        let mut last = Lsn::ZERO;
        {
            let _order = self
                .completions
                .order
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for batch in batches {
                last = self.completions.wal.append(&batch.to_bytes())?;
                self.slos().on_completions(last.get(), batch);
            }
        }
        Ok(self.completions.wal.wait_durable(last)?)
    }
}
