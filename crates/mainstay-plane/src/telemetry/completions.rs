//! The way in of completions: what becomes of payments is written down in a log of its own, and counted in its order.
//!
//! The state of the counts holds the position up to which they count the log, and is written in one piece with it: after a
//! crash the rest is counted from the log. A sender that got no answer tells the same again, which changes nothing: a
//! payment begins once and ends once.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mainstay_segment::{Lsn, SegmentError, Wal, WalOptions};
use mainstay_slo::SloEngine;
use mainstay_slo::completion::{CompletionBatch, CompletionEvent};

use super::Telemetry;

/// The directory of the log, beside the samples.
const DIRECTORY: &str = "completions";
/// The most that is kept of what the counts hold already, in bytes: a segment, so that few files are made.
const SEGMENT_BYTES: u64 = 8 << 20;
/// The most that the log may take, in bytes: checkpoints let it go long before.
const LOG_MAX_BYTES: u64 = 2 << 30;
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
    /// Opens the log and counts what the counts do not hold yet.
    pub(super) fn open(dir: &Path, slos: &mut SloEngine) -> Result<Self, SegmentError> {
        let directory = dir.join(DIRECTORY);
        let options = WalOptions {
            segment_bytes: SEGMENT_BYTES,
            max_total_bytes: LOG_MAX_BYTES,
            ..WalOptions::default()
        };
        let (wal, recovery) =
            Wal::open(
                &directory,
                options,
                |position, payload| match CompletionBatch::from_bytes(payload) {
                    Ok(batch) => {
                        slos.on_completions(position.get(), &batch);
                    }
                    Err(error) => tracing::error!("completions at {position} are not counted: {error}"),
                },
            )?;
        for damage in recovery.corrupt_segments {
            tracing::error!("the log of completions is damaged: {damage:?}");
        }
        // Counts that are older than the log was lost must not take new batches for old ones.
        wal.skip_to(Lsn::new(slos.completions_position().unwrap_or_default()))?;
        Ok(Self {
            wal,
            order: Mutex::default(),
        })
    }

    pub(super) fn wait_durable(&self, position: Lsn) -> Result<(), SegmentError> {
        self.wal.wait_durable(position.min(self.wal.last_lsn()))
    }

    /// Lets go what is counted up to `position` in counts that are written down.
    pub(super) fn let_go(&self, position: Lsn) -> Result<(), SegmentError> {
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
