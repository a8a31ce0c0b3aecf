//! What is sent next: the pure core of the sender.
//!
//! Samples come in the order of the log and leave in batches, one at a time. A batch that the receiver refuses for good
//! is sent again in halves, so that one bad sample does not take its neighbours with it, up to a bounded number of
//! requests. The place in the log moves after a batch is settled; how large the batch under way is, is written down
//! before it is sent: after a crash the very same batch is sent again, which a receiver that had taken it can tell.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Entry;

/// A place in the log: all frames before `frame`, and so many samples of `frame` itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The number of a frame.
    pub frame: u64,
    /// How many of its samples are passed.
    pub samples: u64,
}

impl Position {
    /// All frames up to this one.
    #[must_use]
    pub fn after_frame(frame: u64) -> Self {
        Self {
            frame: frame.saturating_add(1),
            samples: 0,
        }
    }
}

/// What is written down: it makes sending go on where it stood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Up to where everything is settled.
    pub settled: Position,
    /// How many samples after it may be with the receiver already.
    pub in_flight: u64,
}

/// A sample from the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The number of its frame.
    pub frame: u64,
    /// The sample.
    pub entry: Entry,
}

/// How samples are batched and when they are sent again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The most samples in a request.
    pub batch_samples: usize,
    /// How long a sample may wait for others to travel with, in milliseconds.
    pub deadline_ms: i64,
    /// The wait after the first failure, in milliseconds; it doubles with each further one.
    pub back_off_min_ms: i64,
    /// The longest wait after a failure, in milliseconds, unless the receiver asks for more.
    pub back_off_max_ms: i64,
}

impl Default for Pace {
    /// 5,000 samples, 5 s; from 250 ms to 30 s.
    fn default() -> Self {
        Self {
            batch_samples: 5_000,
            deadline_ms: 5_000,
            back_off_min_ms: 250,
            back_off_max_ms: 30_000,
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// All of it was taken.
    Taken,
    /// So many samples of it were taken and the others refused for good, in the receiver's words.
    Partly {
        /// How many.
        taken: u64,
        /// Why not the others.
        reason: String,
    },
    /// All of it was refused for good, in the receiver's words.
    Refused {
        /// Why.
        reason: String,
    },
    /// It may be sent again, not before the receiver wants it.
    Later {
        /// How long it asks to wait, in milliseconds.
        retry_after_ms: Option<i64>,
        /// Why.
        reason: String,
    },
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    /// Write the checkpoint down, then send these.
    Send(&'a [Entry]),
    /// Read more of the log, from [`Queue::read_from`].
    Read,
    /// Nothing before this instant.
    WaitUntil(i64),
}

/// How much was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Samples that the receiver took.
    pub sent: u64,
    /// Samples that the receiver refused for good: they are not sent again.
    pub refused: u64,
    /// Requests that are repeated later.
    pub retries: u64,
    /// How often the log had dropped samples before they were read.
    pub gaps: u64,
    /// Why the last samples were refused, or the last request failed.
    pub trouble: Option<String>,
}

/// How many requests the halves of one refused batch may take.
const HALVES_MAX: u32 = 128;

/// The samples between log and receiver.
#[derive(Debug)]
pub struct Queue {
    pace: Pace,
    checkpoint: Checkpoint,
    /// Up to where the log was read.
    read: Position,
    /// Read and not settled, in the order of the log; those of the batch under way first.
    waiting: VecDeque<Logged>,
    /// The batch under way, and what of it is still to be sent, the next last.
    batch: Vec<Entry>,
    pieces: Vec<Range<usize>>,
    halves: u32,
    failures: u32,
    not_before_ms: i64,
    /// Since when the oldest waiting sample waits.
    waiting_since_ms: Option<i64>,
    tally: Tally,
}

impl Queue {
    /// A queue that goes on from `checkpoint`.
    #[must_use]
    pub fn new(pace: Pace, checkpoint: Checkpoint) -> Self {
        Self {
            pace,
            checkpoint,
            read: checkpoint.settled,
            waiting: VecDeque::new(),
            batch: Vec::new(),
            pieces: Vec::new(),
            halves: 0,
            failures: 0,
            not_before_ms: i64::MIN,
            waiting_since_ms: None,
            tally: Tally::default(),
        }
    }

    /// Goes on counting from `tally`.
    #[must_use]
    pub fn with_tally(self, tally: Tally) -> Self {
        Self { tally, ..self }
    }

    /// What must be durable before the next request leaves.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// How much was sent.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// From where the log is to be read.
    #[must_use]
    pub fn read_from(&self) -> Position {
        self.read
    }

    /// Takes what the log has from [`Queue::read_from`] to the end of the frame `up_to`.
    pub fn push(&mut self, logged: impl IntoIterator<Item = Logged>, up_to: u64, now_ms: i64) {
        self.waiting.extend(logged);
        self.read = self.read.max(Position::after_frame(up_to));
        if self.waiting.is_empty() {
            self.checkpoint.settled = self.read;
        } else {
            self.waiting_since_ms.get_or_insert(now_ms);
        }
    }

    /// The frames before `oldest` are gone from the log: what was in them and not read cannot be sent any more.
    pub fn skip_to(&mut self, oldest: u64, reason: String) {
        let position = Position {
            frame: oldest,
            samples: 0,
        };
        if position > self.read {
            self.read = position;
            self.tally.gaps += 1;
            self.tally.trouble = Some(reason);
        }
        if self.waiting.is_empty() {
            self.checkpoint = Checkpoint {
                settled: self.read,
                in_flight: 0,
            };
        }
    }

    /// What is to be done at `now_ms`.
    pub fn next(&mut self, now_ms: i64) -> Next<'_> {
        if self.pieces.is_empty() {
            let wanted = self.batch_size();
            let due_ms = self
                .waiting_since_ms
                .map(|since| since.saturating_add(self.pace.deadline_ms));
            if self.waiting.len() < wanted
                && (self.checkpoint.in_flight > 0 || due_ms.is_none_or(|due| now_ms < due))
            {
                return Next::Read;
            }
            self.begin(wanted);
        }
        if now_ms < self.not_before_ms {
            return Next::WaitUntil(self.not_before_ms);
        }
        let piece = self.pieces.last().cloned().unwrap_or_default();
        Next::Send(self.batch.get(piece).unwrap_or_default())
    }

    /// When a sample that waits is to be sent at the latest, in milliseconds since 1970.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<i64> {
        self.waiting_since_ms
            .map(|since| since.saturating_add(self.pace.deadline_ms))
    }

    /// Takes what became of the request; `entropy` spreads the next attempts of many senders.
    pub fn settle(&mut self, sent: Sent, now_ms: i64, entropy: u64) {
        let Some(piece) = self.pieces.last().cloned() else {
            return;
        };
        let samples = piece.len() as u64;
        match sent {
            Sent::Taken => {
                self.tally.sent += samples;
                self.passed();
            }
            Sent::Partly { taken, reason } => {
                self.tally.sent += taken.min(samples);
                self.tally.refused += samples.saturating_sub(taken);
                self.tally.trouble = Some(reason);
                self.passed();
            }
            Sent::Refused { reason } => {
                self.tally.trouble = Some(reason);
                if piece.len() > 1 && self.halves < HALVES_MAX {
                    self.halves += 2;
                    let middle = piece.start + piece.len() / 2;
                    self.pieces.pop();
                    self.pieces.extend([middle..piece.end, piece.start..middle]);
                    self.failures = 0;
                } else {
                    self.tally.refused += samples;
                    self.passed();
                }
            }
            Sent::Later {
                retry_after_ms,
                reason,
            } => {
                self.tally.retries += 1;
                self.tally.trouble = Some(reason);
                let wait_ms = self.back_off_ms(entropy).max(retry_after_ms.unwrap_or_default());
                self.not_before_ms = now_ms.saturating_add(wait_ms);
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    /// How many samples the next batch has: after a crash, as many as the one that may have been sent.
    fn batch_size(&self) -> usize {
        match usize::try_from(self.checkpoint.in_flight) {
            Ok(in_flight) if in_flight > 0 => in_flight,
            _ => self.pace.batch_samples,
        }
    }

    fn begin(&mut self, wanted: usize) {
        let count = wanted.min(self.waiting.len());
        self.batch = self
            .waiting
            .iter()
            .take(count)
            .map(|logged| logged.entry.clone())
            .collect();
        self.pieces.push(0..count);
        self.halves = 0;
        self.checkpoint.in_flight = count as u64;
    }

    /// The piece is done with; after the last one, so is the batch.
    fn passed(&mut self) {
        self.pieces.pop();
        self.failures = 0;
        self.not_before_ms = i64::MIN;
        if !self.pieces.is_empty() {
            return;
        }
        for logged in self.waiting.drain(..self.batch.len()) {
            self.checkpoint.settled = after(self.checkpoint.settled, logged.frame);
        }
        self.checkpoint.in_flight = 0;
        self.batch.clear();
        if self.waiting.is_empty() {
            self.waiting_since_ms = None;
            self.checkpoint.settled = self.read;
        }
    }

    /// Half of the doubled wait is fixed, half is by chance.
    fn back_off_ms(&self, entropy: u64) -> i64 {
        let doubled = self
            .pace
            .back_off_min_ms
            .saturating_mul(1 << self.failures.min(20));
        let most = doubled.min(self.pace.back_off_max_ms).max(1);
        let half = most / 2;
        half + i64::try_from(entropy % (most - half + 1).unsigned_abs()).unwrap_or_default()
    }
}

/// The position after one more sample of `frame`.
fn after(position: Position, frame: u64) -> Position {
    let samples = if position.frame == frame {
        position.samples
    } else {
        0
    };
    Position {
        frame,
        samples: samples + 1,
    }
}

#[cfg(test)]
mod tests;
