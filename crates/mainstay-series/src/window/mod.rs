//! Windows that move on: what `rate(x[30d])` and its like need of every series, evaluation after evaluation, at the
//! cost of the samples that came and went since the last one, whatever the range.
//!
//! A window's beginning lies in samples at hand, its middle is known by summaries, its end grows sample by sample. What
//! comes out is, bit for bit, what a scan over all samples in the window gives ([`Summary`]).

mod moving;
mod pieces;

use std::sync::Arc;

use mainstay_kernel::{Labels, Matcher, Summary};

use crate::block::Block;
use crate::error::SeriesError;
use crate::head::View;
use crate::state::{NEVER_MS, State};
use crate::store::Store;

use moving::Moving;
use pieces::pieces;

/// The windows of one length over the series that some matchers select, kept from one time to the next.
#[derive(Debug)]
pub struct Windows {
    matchers: Vec<Matcher>,
    range_ms: i64,
    /// Up to which time, and for which series and removals, they are worked out.
    end_ms: i64,
    generation: u64,
    removals: u64,
    /// In order of labels.
    series: Vec<Held>,
    /// Samples must be read, and this is why.
    unfit: Option<Unfit>,
    begun: u64,
}

/// Why summaries cannot answer, and for how long that is certain: it is not found out anew before.
#[derive(Debug, Clone, Copy)]
enum Unfit {
    /// Two series have the same labels, as long as there are these series.
    Twice { generation: u64 },
    /// A series has native histograms in the window that ended at `since_ms`; at `until_ms` they have left it.
    Histograms { since_ms: i64, until_ms: i64 },
}

impl Unfit {
    fn holds(self, state: &State, end_ms: i64) -> bool {
        match self {
            Self::Twice { generation } => generation == state.generation,
            Self::Histograms { since_ms, until_ms } => (since_ms..until_ms).contains(&end_ms),
        }
    }
}

#[derive(Debug)]
struct Held {
    id: u32,
    labels: Arc<Labels>,
    revision: u32,
    moving: Moving,
}

/// What is taken under the lock to begin a window.
struct Beginning {
    id: u32,
    labels: Arc<Labels>,
    revision: u32,
    memory: [Option<View>; 2],
}

impl Windows {
    /// Windows of which nothing is worked out yet.
    #[must_use]
    pub fn new(matchers: Vec<Matcher>, range_ms: i64) -> Self {
        Self {
            matchers,
            range_ms,
            end_ms: NEVER_MS,
            generation: 0,
            removals: 0,
            series: Vec::new(),
            unfit: None,
            begun: 0,
        }
    }

    /// How many windows of series were worked out from what is stored, instead of being moved on: what they cost.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// What they take in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let series = |held: &Held| size_of::<Held>() + held.moving.heap_bytes();
        size_of::<Self>() + self.series.iter().map(series).sum::<usize>()
    }

    /// How many series they are of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

impl Store {
    /// Hands `visit` every selected series, in order of labels, with the summary of its samples after `end_ms` minus the
    /// range and up to `end_ms`; series without samples there are left out. Says no, having handed out nothing, where
    /// summaries cannot answer (native histograms): then [`Store::select`] must.
    ///
    /// # Cost
    /// If `end_ms` moves on from call to call: O(series + samples that came and went). The first call, and the first after
    /// a series appeared or samples vanished: one header per series and block file, and two chunks per series. Where
    /// summaries cannot answer, that is found out once per range, and costs nothing in between.
    ///
    /// # Errors
    /// If a block file cannot be read or is damaged.
    pub fn windows(
        &self,
        windows: &mut Windows,
        end_ms: i64,
        mut visit: impl FnMut(&Arc<Labels>, &Summary),
    ) -> Result<bool, SeriesError> {
        let unfit = windows.unfit;
        if unfit.is_some_and(|unfit| unfit.holds(&self.read(), end_ms)) {
            return Ok(false);
        }
        windows.unfit = None;
        let outcome = self.move_on(windows, end_ms);
        if outcome.is_err() || windows.unfit.is_some() {
            // What is worked out in part must not be gone on with.
            windows.end_ms = NEVER_MS;
            windows.series = Vec::new();
        }
        outcome?;
        if windows.unfit.is_some() {
            return Ok(false);
        }
        for held in &windows.series {
            if let Some(summary) = held.moving.summary() {
                visit(&held.labels, &summary);
            }
        }
        Ok(true)
    }

    fn move_on(&self, windows: &mut Windows, end_ms: i64) -> Result<(), SeriesError> {
        let begin_ms = end_ms.saturating_sub(windows.range_ms);
        let mut stale = Vec::new();
        let state = self.read();
        let moved_on = windows.end_ms != NEVER_MS
            && end_ms >= windows.end_ms
            && (windows.removals == state.removals || state.removed_before_ms <= begin_ms);
        let blocks = state.blocks_in(begin_ms, end_ms);
        if moved_on {
            windows.removals = state.removals;
            if windows.generation != state.generation {
                windows.reselect(&state);
            }
            for (at, held) in windows.series.iter_mut().enumerate() {
                let fits = match state.get(held.id) {
                    Some(series) if series.revision == held.revision => {
                        held.moving.extend(&state, held.id, series, &blocks, end_ms)?
                    }
                    _ => false,
                };
                if fits {
                    held.moving.shrink(&state, held.id, &blocks, begin_ms)?;
                } else {
                    stale.push(at);
                }
            }
        } else {
            windows.reselect(&state);
            windows.removals = state.removals;
            stale.extend(0..windows.series.len());
        }
        windows.end_ms = end_ms;
        let beginnings: Vec<(usize, Beginning)> = stale
            .into_iter()
            .filter_map(|at| Some((at, state.beginning(windows.series.get(at)?, begin_ms, end_ms)?)))
            .collect();
        drop(state);
        windows.begin(beginnings, &blocks, begin_ms, end_ms)
    }
}

impl Windows {
    /// Selects anew; series that are still there keep their windows.
    fn reselect(&mut self, state: &State) {
        let mut before = std::mem::take(&mut self.series);
        before.sort_by_key(|held| held.id);
        let mut before = before.into_iter().peekable();
        for id in state.index.select(&self.matchers) {
            while before.next_if(|held| held.id < id).is_some() {}
            if let Some(held) = before.next_if(|held| held.id == id) {
                self.series.push(held);
            } else if let Some(series) = state.get(id) {
                self.series.push(Held {
                    id,
                    labels: Arc::clone(&series.labels),
                    // Never that of the series: it begins anew.
                    revision: series.revision.wrapping_sub(1),
                    moving: Moving::default(),
                });
            }
        }
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut pairs = self.series.windows(2);
        self.unfit = pairs
            .any(|pair| pair[0].labels == pair[1].labels)
            .then_some(Unfit::Twice {
                generation: state.generation,
            });
        self.generation = state.generation;
    }

    fn begin(
        &mut self,
        mut beginnings: Vec<(usize, Beginning)>,
        blocks: &[Arc<Block>],
        begin_ms: i64,
        end_ms: i64,
    ) -> Result<(), SeriesError> {
        if beginnings.is_empty() || self.unfit.is_some() {
            return Ok(());
        }
        // In order of id, so that series share reads.
        beginnings.sort_by_key(|(_, beginning)| beginning.id);
        let mut cursors: Vec<_> = blocks.iter().map(|block| block.cursor()).collect();
        for (at, beginning) in beginnings {
            let found = pieces(&mut cursors, &beginning.memory, beginning.id, begin_ms, end_ms)?;
            self.begun += 1;
            if found.histograms {
                self.unfit = Some(Unfit::Histograms {
                    since_ms: end_ms,
                    until_ms: end_ms.saturating_add(self.range_ms),
                });
                return Ok(());
            }
            self.series[at] = Held {
                id: beginning.id,
                labels: beginning.labels,
                revision: beginning.revision,
                moving: Moving::of(found, begin_ms),
            };
        }
        Ok(())
    }
}

impl State {
    fn beginning(&self, held: &Held, begin_ms: i64, end_ms: i64) -> Option<Beginning> {
        let series = self.get(held.id)?;
        Some(Beginning {
            id: held.id,
            labels: Arc::clone(&series.labels),
            revision: series.revision,
            memory: self.views(held.id, begin_ms, end_ms),
        })
    }

    /// What memory holds of a series in a range.
    fn views(&self, id: u32, min_exclusive: i64, max_inclusive: i64) -> [Option<View>; 2] {
        self.memory(id)
            .map(|held| held.map(|held| held.view(min_exclusive, max_inclusive)))
    }
}
