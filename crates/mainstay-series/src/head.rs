//! The samples of a series that are not yet in a block file.

use std::collections::BTreeMap;

use crate::chunk::{BLOCK_CHUNK_SAMPLES, Chunk};
use crate::error::SeriesError;

/// Samples held uncompressed before they are sealed: more would cost memory, fewer would compress worse.
const TAIL_SAMPLES: usize = 32;

/// Samples of one series in memory: sealed chunks (which may overlap in time when samples came late), the newest
/// samples, and late ones.
#[derive(Debug, Default, Clone)]
pub(crate) struct HeadSamples {
    sealed: Vec<Chunk>,
    tail: Vec<(i64, f64)>,
    late: Vec<(i64, f64)>,
    /// The newest sample that went through the tail.
    newest_ms: Option<i64>,
}

impl HeadSamples {
    /// Adds a sample of a time that is not yet held.
    pub(crate) fn push(&mut self, t_ms: i64, value: f64) {
        if self.newest_ms.is_some_and(|newest_ms| newest_ms >= t_ms) {
            self.push_late(t_ms, value);
            return;
        }
        self.newest_ms = Some(t_ms);
        self.tail.push((t_ms, value));
        if self.tail.len() >= TAIL_SAMPLES {
            self.sealed.push(Chunk::encode(&self.tail));
            self.tail.clear();
        }
    }

    fn push_late(&mut self, t_ms: i64, value: f64) {
        let at = self.late.partition_point(|held| held.0 < t_ms);
        self.late.insert(at, (t_ms, value));
        if self.late.len() >= TAIL_SAMPLES {
            self.sealed.push(Chunk::encode(&self.late));
            self.late.clear();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.tail.is_empty() && self.late.is_empty()
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|chunk| chunk.count as usize).sum();
        sealed + self.tail.len() + self.late.len()
    }

    /// What they take in memory.
    pub(crate) fn bytes(&self) -> usize {
        let sealed: usize = self
            .sealed
            .iter()
            .map(|chunk| chunk.bytes_len() + size_of::<Chunk>())
            .sum();
        sealed + (self.tail.capacity() + self.late.capacity()) * size_of::<(i64, f64)>()
    }

    /// The time of the oldest sample.
    pub(crate) fn min_ms(&self) -> Option<i64> {
        let sealed = self.sealed.iter().map(|chunk| chunk.min_ms);
        let loose = self
            .tail
            .first()
            .into_iter()
            .chain(self.late.first())
            .map(|held| held.0);
        sealed.chain(loose).min()
    }

    /// A view of what may lie in the range: chunks shared, loose samples copied.
    pub(crate) fn view(&self, min_exclusive: i64, max_inclusive: i64) -> Self {
        let inside = |held: &&(i64, f64)| held.0 > min_exclusive && held.0 <= max_inclusive;
        Self {
            sealed: self
                .sealed
                .iter()
                .filter(|chunk| chunk.overlaps(min_exclusive, max_inclusive))
                .cloned()
                .collect(),
            tail: self.tail.iter().filter(inside).copied().collect(),
            late: self.late.iter().filter(inside).copied().collect(),
            newest_ms: None,
        }
    }

    /// Whether anything may lie in the range.
    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        let inside = |held: &(i64, f64)| held.0 > min_exclusive && held.0 <= max_inclusive;
        self.sealed
            .iter()
            .any(|chunk| chunk.overlaps(min_exclusive, max_inclusive))
            || self.tail.iter().any(inside)
            || self.late.iter().any(inside)
    }

    /// Adds all samples to `out`, in no order.
    pub(crate) fn decode(&self, out: &mut Vec<(i64, f64)>) -> Result<(), SeriesError> {
        for chunk in &self.sealed {
            chunk.decode(out)?;
        }
        out.extend(&self.late);
        out.extend(&self.tail);
        Ok(())
    }

    /// Takes out what is older than `boundary_ms`. A chunk that does not decode stays where it is.
    pub(crate) fn take_before(&mut self, boundary_ms: i64) -> Self {
        let mut taken = Self::default();
        let mut kept = Vec::new();
        for chunk in std::mem::take(&mut self.sealed) {
            if chunk.max_ms < boundary_ms {
                taken.sealed.push(chunk);
                continue;
            }
            let mut samples = Vec::new();
            if chunk.min_ms >= boundary_ms || chunk.decode(&mut samples).is_err() {
                kept.push(chunk);
                continue;
            }
            let (old, new) = samples.split_at(samples.partition_point(|sample| sample.0 < boundary_ms));
            taken.sealed.push(Chunk::encode(old));
            kept.push(Chunk::encode(new));
        }
        self.sealed = kept;
        for (from, to) in [
            (&mut self.tail, &mut taken.tail),
            (&mut self.late, &mut taken.late),
        ] {
            let at = from.partition_point(|sample| sample.0 < boundary_ms);
            to.extend(from.drain(..at));
            from.shrink_to(TAIL_SAMPLES);
        }
        taken
    }
}

/// Sorts by time; of several samples of one time the first stands.
pub(crate) fn in_order(samples: &mut Vec<(i64, f64)>) {
    if samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        samples.sort_by_key(|sample| sample.0);
        samples.dedup_by_key(|sample| sample.0);
    }
}

/// Samples taken out of the head by series, on their way to block files; queries still see them.
pub(crate) type Frozen = BTreeMap<u32, HeadSamples>;

/// The samples as chunks for a block file.
pub(crate) fn block_chunks(samples: &[(i64, f64)]) -> Vec<Chunk> {
    samples.chunks(BLOCK_CHUNK_SAMPLES).map(Chunk::encode).collect()
}
