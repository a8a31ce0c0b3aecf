//! Replay: the same engine over samples of the past, to say what would have been told, and when.
//!
//! What is replayed is a [`Source`] of raw samples in order of time, a batch at a time, so that the length of the past
//! takes no room. Every objective is judged at the instants that are multiples of [`Course::tick_ms`], as a server does:
//! a sample belongs to the first instant that is not before it. Nothing here counts or judges by itself; what a
//! [`SloEngine`] answers is written into a [`Timeline`].
//!
//! - [`whatif`]: the same indicators judged by other targets, in the same pass
//! - [`shards`]: indicators know nothing of each other, so they are counted side by side
//!
//! # What is equal to what
//! The same batches and instants give the same engine, bit for bit, and the same [`Evaluation`]s: so a recorded course
//! is repeated exactly. Over samples that a store has put in order of time the *counts* are those of the server that took
//! them in, whatever their order of arrival was, as long as no sample was refused as too late; *when* a page began may
//! differ where samples came late, because the server could not know of them yet.

mod shards;
mod source;
mod timeline;
pub mod whatif;

use jiff::Timestamp;

pub use shards::{run_in_shards, split};
pub use source::{Batch, Sample, Source};
pub use timeline::{BudgetChange, Outcome, Page, Stretch, Timeline};

use crate::engine::{Evaluation, RawSample, SeriesRef, Settings, SloCatalog, SloEngine};

/// How often a server judges, in milliseconds.
pub const TICK_MS: i64 = 10_000;

/// From when to when, and how closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Since when samples are counted: earlier than `judged_from` by the longest window, if the first budgets judged are to
    /// be whole.
    pub counted_from: Timestamp,
    /// The first instant that may be judged.
    pub judged_from: Timestamp,
    /// The last instant that may be judged; later samples are not looked at.
    pub to: Timestamp,
    /// The time between two judgements, in milliseconds; at least 1.
    pub tick_ms: i64,
}

/// What a series of a source is to the engine.
#[derive(Debug, Clone, Copy)]
enum Watch {
    Unknown,
    No,
    Yes(SeriesRef),
}

/// An engine on its way through the past.
#[derive(Debug, Clone)]
pub struct Replay {
    engine: SloEngine,
    timeline: Timeline,
    watched: Vec<Watch>,
    next_ms: i64,
    to_ms: i64,
    tick_ms: i64,
}

impl Replay {
    /// An engine that begins to count where the course begins.
    #[must_use]
    pub fn new(catalog: SloCatalog, settings: Settings, course: Course) -> Self {
        let tick_ms = course.tick_ms.max(1);
        let first_ms = course.judged_from.as_millisecond();
        let early_ms = first_ms.rem_euclid(tick_ms);
        Self {
            engine: SloEngine::new(catalog, settings, course.counted_from),
            timeline: Timeline::default(),
            watched: Vec::new(),
            next_ms: if early_ms == 0 {
                first_ms
            } else {
                first_ms.saturating_add(tick_ms - early_ms)
            },
            to_ms: course.to.as_millisecond(),
            tick_ms,
        }
    }

    /// Goes through everything that a source has, and judges to the end of the course. `progress` hears how far it is, in
    /// milliseconds since the epoch, after every batch.
    ///
    /// Cost: one count per sample and one judgement of every objective and group per tick.
    ///
    /// # Errors
    /// As the source.
    pub fn run<S: Source>(
        mut self,
        source: &mut S,
        mut progress: impl FnMut(i64),
    ) -> Result<(SloEngine, Outcome), S::Error> {
        let mut batch = Batch::default();
        while source.fill(&mut batch)? {
            batch.put_in_order();
            self.count(&batch);
            if let Some(last) = batch.samples().last() {
                progress(last.t_ms.min(self.to_ms));
            }
            batch.clear();
        }
        self.judge_until(self.to_ms);
        let to = Timestamp::from_millisecond(self.to_ms).unwrap_or(Timestamp::MAX);
        let outcome = self.timeline.finish(&self.engine, to);
        Ok((self.engine, outcome))
    }

    fn count(&mut self, batch: &Batch) {
        for sample in batch.samples() {
            if sample.t_ms > self.to_ms {
                break;
            }
            // An instant sees the samples up to it, its own among them.
            self.judge_until(sample.t_ms.saturating_sub(1));
            self.count_one(batch, sample);
        }
    }

    fn count_one(&mut self, batch: &Batch, sample: &Sample) {
        let number = sample.series as usize;
        if self.watched.len() <= number {
            self.watched.resize(number + 1, Watch::Unknown);
        }
        let (t_ms, created_ms) = (sample.t_ms, sample.created_ms);
        let counted = match self.watched[number] {
            Watch::No => return,
            Watch::Unknown => None,
            Watch::Yes(series) => self.engine.on_sample(series, t_ms, sample.value, created_ms),
        };
        let Some(labels) = batch.labels(sample.series).filter(|_| counted.is_none()) else {
            return;
        };
        let raw = RawSample {
            labels,
            t_ms,
            value: sample.value,
            created_ms,
        };
        self.watched[number] = match self.engine.count(&raw) {
            Some(series) => Watch::Yes(series),
            // One that a limit keeps out is asked again.
            None if self.engine.wants_metric(labels.metric_name()) => Watch::Unknown,
            None => Watch::No,
        };
    }

    /// Judges at every instant up to `until_ms` that was not judged yet.
    fn judge_until(&mut self, until_ms: i64) {
        while self.next_ms <= until_ms {
            if let Ok(now) = Timestamp::from_millisecond(self.next_ms) {
                let Evaluation { alerts, budgets } = self.engine.evaluate(now);
                self.timeline.note(now, alerts, budgets);
            }
            self.next_ms = self.next_ms.saturating_add(self.tick_ms);
        }
    }
}
