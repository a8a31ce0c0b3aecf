//! The samples of a series that are not yet in a block file.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Histogram;

use crate::chunk::{Chunk, ChunkKind, HistogramPoint};
use crate::codec::Packing;
use crate::error::SeriesError;

/// Samples held uncompressed before they are sealed: more would cost memory, fewer would compress worse.
const TAIL_SAMPLES: usize = 32;
/// Native histograms held as they are before they are sealed.
const TAIL_HISTOGRAMS: usize = 32;

/// Samples of one series in memory: sealed chunks (which may overlap in time when samples came late), the newest
/// samples, and what is rare.
#[derive(Debug, Clone)]
pub(crate) struct HeadSamples {
    sealed: Vec<Chunk>,
    tail: Tail,
    /// The newest sample that went through the tail.
    newest_ms: i64,
    side: Option<Box<Side>>,
}

impl Default for HeadSamples {
    fn default() -> Self {
        Self {
            sealed: Vec::new(),
            tail: Tail::default(),
            newest_ms: i64::MIN,
            side: None,
        }
    }
}

/// The newest samples in rising order of time, each as the time since the first and the bits of the value: 12 bytes.
#[derive(Debug, Default, Clone)]
struct Tail {
    base_ms: i64,
    samples: Vec<(u32, [u32; 2])>,
}

/// What few series have.
#[derive(Debug, Default, Clone)]
struct Side {
    /// Samples that came late, in order of time.
    late: Vec<(i64, f64)>,
    /// Native histograms not yet sealed, in order of time.
    histograms: Vec<HistogramPoint>,
}

impl Tail {
    /// Adds a sample; says no if it is too long after the first.
    fn push(&mut self, t_ms: i64, value: f64) -> bool {
        if self.samples.is_empty() {
            self.base_ms = t_ms;
        }
        let Ok(since) = u32::try_from(t_ms.wrapping_sub(self.base_ms)) else {
            return false;
        };
        let bits = value.to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
        self.samples.push((since, [(bits >> 32) as u32, bits as u32]));
        true
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, f64)> + ExactSizeIterator {
        self.samples.iter().map(|(since, [high, low])| {
            let bits = (u64::from(*high) << 32) | u64::from(*low);
            (self.base_ms.wrapping_add(i64::from(*since)), f64::from_bits(bits))
        })
    }

    /// Takes all samples out.
    fn take(&mut self) -> Vec<(i64, f64)> {
        let samples = self.iter().collect();
        self.samples.clear();
        samples
    }
}

fn inside(t_ms: i64, min_exclusive: i64, max_inclusive: i64) -> bool {
    t_ms > min_exclusive && t_ms <= max_inclusive
}

impl HeadSamples {
    /// Adds a sample of a time that is not held.
    pub(crate) fn push(&mut self, t_ms: i64, value: f64) {
        if t_ms <= self.newest_ms {
            return self.push_late(t_ms, value);
        }
        self.newest_ms = t_ms;
        if !self.tail.push(t_ms, value) {
            self.seal_tail();
            self.tail.push(t_ms, value);
        }
        if self.tail.samples.len() >= TAIL_SAMPLES {
            self.seal_tail();
        }
    }

    fn push_late(&mut self, t_ms: i64, value: f64) {
        let side = self.side.get_or_insert_default();
        let at = side.late.partition_point(|held| held.0 < t_ms);
        side.late.insert(at, (t_ms, value));
        if side.late.len() >= TAIL_SAMPLES {
            let chunk = Chunk::encode(&side.late, Packing::Fast);
            side.late.clear();
            self.add_sealed(chunk);
        }
    }

    /// Adds a native histogram of a time that is not held.
    pub(crate) fn push_histogram(&mut self, t_ms: i64, value: Arc<Histogram>) {
        let side = self.side.get_or_insert_default();
        let at = side.histograms.partition_point(|held| held.0 < t_ms);
        side.histograms.insert(at, (t_ms, value));
        if side.histograms.len() >= TAIL_HISTOGRAMS {
            let chunk = Chunk::encode_histograms(&side.histograms);
            side.histograms.clear();
            self.add_sealed(chunk);
        }
    }

    fn seal_tail(&mut self) {
        let samples = self.tail.take();
        if !samples.is_empty() {
            self.add_sealed(Chunk::encode(&samples, Packing::Fast));
        }
    }

    fn add_sealed(&mut self, chunk: Chunk) {
        if self.sealed.len() == self.sealed.capacity() {
            // Doubling would leave much of the memory of many series unused.
            self.sealed.reserve_exact(1 + self.sealed.len() / 2);
        }
        self.sealed.push(chunk);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|chunk| chunk.count as usize).sum();
        let side = self.side.as_ref();
        sealed + self.tail.samples.len() + side.map_or(0, |side| side.late.len() + side.histograms.len())
    }

    /// What they take in memory.
    pub(crate) fn bytes(&self) -> usize {
        let sealed = |chunk: &Chunk| chunk.payload().len() + size_of::<Chunk>();
        let side = |side: &Side| {
            let histograms: usize = side.histograms.iter().map(|held| held.1.bytes()).sum();
            size_of::<Side>() + side.late.capacity() * size_of::<(i64, f64)>() + histograms
        };
        self.sealed.iter().map(sealed).sum::<usize>()
            + self.tail.samples.capacity() * size_of::<(u32, [u32; 2])>()
            + self.side.as_deref().map_or(0, side)
    }

    /// The time of the oldest sample.
    pub(crate) fn min_ms(&self) -> Option<i64> {
        let side = self.side.iter().flat_map(|side| {
            let late = side.late.first().map(|held| held.0);
            late.into_iter().chain(side.histograms.first().map(|held| held.0))
        });
        let tail = self.tail.iter().next().map(|held| held.0);
        self.sealed
            .iter()
            .map(|chunk| chunk.min_ms)
            .chain(tail)
            .chain(side)
            .min()
    }

    /// A view of what may lie in the range: chunks shared, loose samples copied.
    pub(crate) fn view(&self, min_exclusive: i64, max_inclusive: i64) -> View {
        let side = self.side.as_deref();
        let late = side.map_or(&[][..], |side| &side.late);
        let histograms = side.map_or(&[][..], |side| &side.histograms);
        View {
            sealed: self
                .sealed
                .iter()
                .filter(|chunk| chunk.overlaps(min_exclusive, max_inclusive))
                .cloned()
                .collect(),
            loose: late
                .iter()
                .copied()
                .chain(self.tail.iter())
                .filter(|held| inside(held.0, min_exclusive, max_inclusive))
                .collect(),
            histograms: histograms
                .iter()
                .filter(|held| inside(held.0, min_exclusive, max_inclusive))
                .cloned()
                .collect(),
        }
    }

    /// Adds the samples after `min_exclusive` to `out` and says yes, if that is known from the tail alone: nothing older
    /// than the tail lies in the range, and there are no native histograms.
    pub(crate) fn tail_since(
        &self,
        min_exclusive: i64,
        max_inclusive: i64,
        out: &mut Vec<(i64, f64)>,
    ) -> bool {
        let begins = self
            .tail
            .iter()
            .next()
            .is_some_and(|first| first.0 <= min_exclusive);
        if !begins || self.side.is_some() {
            return false;
        }
        let from = out.len();
        let newest = self.tail.iter().rev().take_while(|held| held.0 > min_exclusive);
        out.extend(newest.filter(|held| held.0 <= max_inclusive));
        out[from..].reverse();
        true
    }

    /// Whether anything may lie in the range.
    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        let inside = |t_ms: i64| inside(t_ms, min_exclusive, max_inclusive);
        let side = |side: &Side| {
            side.late.iter().any(|held| inside(held.0)) || side.histograms.iter().any(|held| inside(held.0))
        };
        self.sealed
            .iter()
            .any(|chunk| chunk.overlaps(min_exclusive, max_inclusive))
            || self.tail.iter().any(|held| inside(held.0))
            || self.side.as_deref().is_some_and(side)
    }

    /// Takes out what is older than `boundary_ms`. A chunk that does not decode stays where it is.
    pub(crate) fn take_before(&mut self, boundary_ms: i64) -> Self {
        let mut taken = Self::default();
        let mut kept = Vec::new();
        for chunk in std::mem::take(&mut self.sealed) {
            if chunk.max_ms < boundary_ms {
                taken.sealed.push(chunk);
            } else if chunk.min_ms >= boundary_ms {
                kept.push(chunk);
            } else if let Ok((old, new)) = split(&chunk, boundary_ms) {
                taken.sealed.push(old);
                kept.push(new);
            } else {
                kept.push(chunk);
            }
        }
        self.sealed = kept;
        let tail = self.tail.take();
        let at = tail.partition_point(|sample| sample.0 < boundary_ms);
        for (to, held) in [(&mut taken.tail, &tail[..at]), (&mut self.tail, &tail[at..])] {
            for (t_ms, value) in held {
                to.push(*t_ms, *value);
            }
        }
        if let Some(side) = &mut self.side {
            let late = side.late.partition_point(|sample| sample.0 < boundary_ms);
            let histograms = side.histograms.partition_point(|sample| sample.0 < boundary_ms);
            if late + histograms > 0 {
                taken.side = Some(Box::new(Side {
                    late: side.late.drain(..late).collect(),
                    histograms: side.histograms.drain(..histograms).collect(),
                }));
            }
            if side.late.is_empty() && side.histograms.is_empty() {
                self.side = None;
            }
        }
        taken
    }
}

/// The chunk as two: before `boundary_ms`, and from it on.
fn split(chunk: &Chunk, boundary_ms: i64) -> Result<(Chunk, Chunk), SeriesError> {
    match chunk.kind {
        ChunkKind::Float => {
            let mut samples = Vec::new();
            chunk.decode(&mut samples)?;
            let (old, new) = samples.split_at(samples.partition_point(|sample| sample.0 < boundary_ms));
            let part = |samples| Chunk::encode(samples, Packing::Fast);
            Ok((part(old), part(new)))
        }
        ChunkKind::Histogram => {
            let mut samples = Vec::new();
            chunk.decode_histograms(&mut samples)?;
            let (old, new) = samples.split_at(samples.partition_point(|sample| sample.0 < boundary_ms));
            Ok((Chunk::encode_histograms(old), Chunk::encode_histograms(new)))
        }
    }
}

/// What a series holds in memory in a range of time, and possibly more, to be decoded without holding the store up.
#[derive(Debug, Default)]
pub(crate) struct View {
    sealed: Vec<Chunk>,
    loose: Vec<(i64, f64)>,
    histograms: Vec<HistogramPoint>,
}

impl View {
    /// The times of the oldest and the newest sample.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        let loose = self.loose.iter().map(|held| held.0);
        let loose = loose.chain(self.histograms.iter().map(|held| held.0));
        let spans = self.sealed.iter().map(|chunk| (chunk.min_ms, chunk.max_ms));
        spans
            .chain(loose.map(|t_ms| (t_ms, t_ms)))
            .reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// Adds everything, in no order.
    pub(crate) fn decode(
        &self,
        samples: &mut Vec<(i64, f64)>,
        histograms: &mut Vec<HistogramPoint>,
    ) -> Result<(), SeriesError> {
        for chunk in &self.sealed {
            chunk.decode(samples)?;
            chunk.decode_histograms(histograms)?;
        }
        samples.extend(&self.loose);
        histograms.extend(self.histograms.iter().cloned());
        Ok(())
    }
}

/// Sorts by time; of several of one time the first stands.
pub(crate) fn in_order<T>(samples: &mut Vec<(i64, T)>) {
    if samples.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        samples.sort_by_key(|sample| sample.0);
        samples.dedup_by_key(|sample| sample.0);
    }
}

/// Sorts by time and keeps what lies in the range.
pub(crate) fn in_range<T>(samples: &mut Vec<(i64, T)>, min_exclusive: i64, max_inclusive: i64) {
    samples.retain(|held| inside(held.0, min_exclusive, max_inclusive));
    in_order(samples);
}

/// Samples taken out of the head by series, on their way to block files; queries still see them.
pub(crate) type Frozen = BTreeMap<u32, HeadSamples>;
