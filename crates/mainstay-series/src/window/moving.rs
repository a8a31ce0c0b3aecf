//! The window of one series.

use std::collections::VecDeque;
use std::sync::Arc;

use mainstay_kernel::Summary;
use mainstay_kernel::summary::{Parts, Point};

use super::pieces::{Piece, Pieces, pieces};
use crate::block::Block;
use crate::error::SeriesError;
use crate::state::{Series, State};
use mainstay_kernel::is_stale;

/// A window of at most so many samples is held as these; summarising them costs less than keeping books.
const FEW: usize = 96;
/// So many samples at a window's end are held before they become a summary.
const MAX_END: usize = 512;
/// So many samples are at hand at a window's beginning: more would cost memory, fewer have a chunk decoded more often.
const MAX_BEGIN: usize = 256;

/// A window: samples at its beginning, runs in the middle, samples at its end.
#[derive(Debug, Default)]
pub(super) struct Moving {
    /// From `first` on they are in the window.
    begin: Vec<Point>,
    first: usize,
    /// Per sample of `begin`, what is known of it and those after it; empty while there are few samples.
    rest: Vec<Rest>,
    far: Option<Box<Far>>,
    /// The newest sample that was looked at, stale markers included.
    seen_ms: i64,
}

/// What lies behind the beginning of a window of many samples.
#[derive(Debug, Default)]
struct Far {
    middle: VecDeque<Summary>,
    /// Up to which time `middle` begins with records one by one, which cannot be cut.
    records_until_ms: Option<i64>,
    joined: Option<Summary>,
    end: Vec<Point>,
    end_summary: Option<Summary>,
}

/// What is known of a sample of the beginning and all after it.
#[derive(Debug, Clone, Copy)]
struct Rest {
    changes: u32,
    min: f64,
    max: f64,
    sums: Option<(f64, f64)>,
    /// The index of the next sample that is smaller than the one before it.
    next_reset: u32,
}

impl Moving {
    pub(super) fn of(found: Pieces, begin_ms: i64) -> Self {
        let seen_ms = found.newest_ms.unwrap_or(begin_ms);
        let list = found.list;
        let few = list.iter().all(|piece| matches!(piece, Piece::Samples(_)));
        let count: usize = list
            .iter()
            .map(|piece| {
                if let Piece::Samples(points) = piece {
                    points.len()
                } else {
                    0
                }
            })
            .sum();
        let mut moving = Self {
            seen_ms,
            ..Self::default()
        };
        if few && count <= FEW {
            for piece in list {
                if let Piece::Samples(points) = piece {
                    moving.begin.extend(points);
                }
            }
            return moving;
        }
        let mut far = Far::default();
        let first = far.runs_before_the_rest(list);
        moving.begin_with(first);
        moving.far = Some(Box::new(far));
        moving
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let far = |far: &Far| {
            size_of::<Far>()
                + far.middle.capacity() * size_of::<Summary>()
                + far.end.capacity() * size_of::<Point>()
        };
        self.begin.capacity() * size_of::<Point>()
            + self.rest.capacity() * size_of::<Rest>()
            + self.far.as_deref().map_or(0, far)
    }

    /// Takes in the samples up to `end_ms` that were not there before. Says no if there are native histograms.
    pub(super) fn extend(
        &mut self,
        state: &State,
        id: u32,
        series: &Series,
        blocks: &[Arc<Block>],
        end_ms: i64,
    ) -> Result<bool, SeriesError> {
        if series.newest_ms <= self.seen_ms || end_ms <= self.seen_ms {
            return Ok(true);
        }
        let mut new = Vec::new();
        let mut runs = Vec::new();
        if series.head.tail_since(self.seen_ms, end_ms, &mut new) {
            self.seen_ms = new.last().map_or(self.seen_ms, |last| last.0);
            new.retain(|point| !is_stale(point.1));
        } else {
            let after_ms = self.seen_ms;
            let found = between(state, id, blocks, after_ms, end_ms)?;
            if found.histograms {
                return Ok(false);
            }
            self.seen_ms = found.newest_ms.unwrap_or(after_ms);
            for piece in found.list {
                match piece {
                    // Records are older than all samples.
                    Piece::Run(run) | Piece::Record(run) if new.is_empty() => runs.push(run),
                    Piece::Samples(points) => new.extend(points),
                    // So much came at once that the window is not worth keeping.
                    Piece::Run(_) | Piece::Record(_) => return Ok(false),
                }
            }
        }
        let many = !runs.is_empty() || self.begin.len() - self.first + new.len() > FEW;
        if self.far.is_none() && many {
            let points = self.begin.split_off(self.first);
            self.begin_with(points);
            self.far = Some(Box::default());
        }
        match &mut self.far {
            None => self.begin.extend(new),
            Some(far) => {
                runs.into_iter().for_each(|run| far.push_run(run));
                new.into_iter().for_each(|point| far.push(point));
            }
        }
        Ok(true)
    }

    /// Lets go what is not after `begin_ms` any more.
    pub(super) fn shrink(
        &mut self,
        state: &State,
        id: u32,
        blocks: &[Arc<Block>],
        begin_ms: i64,
    ) -> Result<(), SeriesError> {
        loop {
            while self
                .begin
                .get(self.first)
                .is_some_and(|point| point.0 <= begin_ms)
            {
                self.first += 1;
            }
            if self.first < self.begin.len() {
                break;
            }
            self.begin.clear();
            self.rest.clear();
            self.first = 0;
            let Some(far) = &mut self.far else { break };
            match far.middle.front() {
                // What is wholly in the window needs no samples yet.
                Some(run) if run.first.0 > begin_ms => break,
                Some(run) if run.last.0 <= begin_ms => {
                    far.middle.pop_front();
                    far.join();
                }
                Some(run) if Some(run.last.0) <= far.records_until_ms => break,
                Some(run) => {
                    let until_ms = run.last.0;
                    far.middle.pop_front();
                    let list = between(state, id, blocks, begin_ms, until_ms)?.list;
                    let first = far.runs_before_the_rest(list);
                    if !first.is_empty() {
                        self.begin_with(first);
                    }
                }
                None => {
                    let points = std::mem::take(&mut far.end);
                    far.end_summary = None;
                    if points.is_empty() {
                        self.far = None;
                        break;
                    }
                    self.begin_with(points);
                }
            }
        }
        if self.far.is_none() && self.first > FEW {
            self.begin.drain(..self.first);
            self.first = 0;
        }
        Ok(())
    }

    fn begin_with(&mut self, points: Vec<Point>) {
        self.rest = Rest::of_all(&points);
        self.begin = points;
        self.first = 0;
    }

    /// What is known of the window's samples; `None` if there are none.
    pub(super) fn summary(&self) -> Option<Summary> {
        let points = &self.begin[self.first..];
        let Some(far) = &self.far else {
            return Summary::of_all(points);
        };
        let mut whole = (!points.is_empty()).then(|| self.beginning());
        for run in [&far.joined, &far.end_summary].into_iter().flatten() {
            match &mut whole {
                None => whole = Some(run.clone()),
                Some(whole) => whole.join(run),
            }
        }
        whole
    }

    /// The summary of the samples at the beginning, which are not none.
    fn beginning(&self) -> Summary {
        let rest = &self.rest[self.first];
        let mut resets = Vec::new();
        let mut at = rest.next_reset as usize;
        while at < self.begin.len() {
            resets.push(self.begin[at - 1].1);
            at = self.rest[at].next_reset as usize;
        }
        Summary::from_parts(Parts {
            count: (self.begin.len() - self.first) as u64,
            first: self.begin[self.first],
            last: self.begin[self.begin.len() - 1],
            resets,
            changes: u64::from(rest.changes),
            min: rest.min,
            max: rest.max,
            sums: rest.sums,
        })
    }
}

/// What one series holds between two times that are not far apart.
fn between(
    state: &State,
    id: u32,
    blocks: &[Arc<Block>],
    min_exclusive: i64,
    max_inclusive: i64,
) -> Result<Pieces, SeriesError> {
    let near = blocks
        .iter()
        .filter(|block| block.overlaps(min_exclusive, max_inclusive));
    let mut cursors: Vec<_> = near.map(|block| block.cursor()).collect();
    let memory = state.views(id, min_exclusive, max_inclusive);
    pieces(&mut cursors, &memory, id, min_exclusive, max_inclusive)
}

impl Rest {
    /// From the last sample to the first.
    fn of_all(points: &[Point]) -> Vec<Self> {
        let len = u32::try_from(points.len()).unwrap_or(u32::MAX);
        let mut all: Vec<Self> = Vec::with_capacity(points.len());
        for (at, point) in (0..len).zip(points).rev() {
            let alone = Summary::of(*point);
            let mut rest = Self {
                changes: 0,
                min: point.1,
                max: point.1,
                sums: alone.sums(),
                next_reset: len,
            };
            if let (Some(later), Some(next)) = (all.last(), points.get(at as usize + 1)) {
                let same = next.1 == point.1 || (next.1.is_nan() && point.1.is_nan());
                rest.changes = later.changes + u32::from(!same);
                if later.min < rest.min || rest.min.is_nan() {
                    rest.min = later.min;
                }
                if later.max > rest.max || rest.max.is_nan() {
                    rest.max = later.max;
                }
                let sums = alone.sums().zip(later.sums);
                rest.sums = sums.map(|(a, b)| (a.0 + b.0, a.1 + b.1));
                rest.next_reset = if next.1 < point.1 {
                    at + 1
                } else {
                    later.next_reset
                };
            }
            all.push(rest);
        }
        all.reverse();
        all
    }
}

impl Far {
    /// Puts pieces in front of the middle, but for the samples that they begin with, if they do: of these the first come
    /// back. Those behind them are read again when they are wanted.
    fn runs_before_the_rest(&mut self, list: Vec<Piece>) -> Vec<Point> {
        let mut list = list.into_iter().peekable();
        let mut first = match list.next_if(|piece| matches!(piece, Piece::Samples(_))) {
            Some(Piece::Samples(points)) => points,
            _ => Vec::new(),
        };
        self.records_until_ms = None;
        let behind = first.split_off(first.len().min(MAX_BEGIN));
        first.shrink_to_fit();
        let mut runs: Vec<Summary> = Summary::of_all(&behind).into_iter().collect();
        while let Some(Piece::Record(record)) = list.next_if(|piece| matches!(piece, Piece::Record(_))) {
            self.records_until_ms = Some(record.last.0);
            runs.push(record);
        }
        runs.extend(list.filter_map(Piece::into_summary));
        runs.into_iter().rev().for_each(|run| self.middle.push_front(run));
        self.join();
        first
    }

    fn push(&mut self, point: Point) {
        if self.end.len() >= MAX_END {
            self.close_end();
        }
        self.end.push(point);
        match &mut self.end_summary {
            None => self.end_summary = Some(Summary::of(point)),
            Some(summary) => summary.push(point),
        }
    }

    fn push_run(&mut self, run: Summary) {
        self.close_end();
        self.push_middle(run);
    }

    fn close_end(&mut self) {
        self.end.clear();
        if let Some(run) = self.end_summary.take() {
            self.push_middle(run);
        }
    }

    fn push_middle(&mut self, run: Summary) {
        match &mut self.joined {
            None => self.joined = Some(run.clone()),
            Some(joined) => joined.join(&run),
        }
        self.middle.push_back(run);
    }

    fn join(&mut self) {
        let mut runs = self.middle.iter();
        self.joined = runs.next().cloned();
        if let Some(joined) = &mut self.joined {
            runs.for_each(|run| joined.join(run));
        }
    }
}
