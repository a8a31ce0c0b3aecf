//! Prefix sums over time: any window is the difference of two of them.
//!
//! Events are counted into slices. A slice is open on the left and closed on the right, as Prometheus ranges are: a
//! sample of 12:00:10 stands for what happened until then, so it belongs to the slice that ends at 12:00:10. Slices
//! are 10 s wide for [`FINE_KEEP_MS`], then 1 min for [`MINUTE_KEEP_MS`], then 15 min for [`QUARTER_KEEP_MS`] (every time
//! zone in use is a multiple of 15 min off UTC, so periods of any calendar begin at an edge), then up to 1 h for
//! [`RETENTION_MS`], with edges at every full hour and wherever a day begins in some zone. They are thinned out every few
//! hours, so each width is kept for a little longer than that. A wider slice is made by leaving out the sums in between:
//! nothing is ever added up a second time. Slices without events take no room. A window is widened to the edges of its
//! slices and says so; counted between those edges it is exact.
//!
//! The latest slices lie open, the older ones are packed (see `chunk.rs`): a year of a group takes some 40 KB. Adding at
//! the end costs the same whatever is kept; reading an edge costs a search and the unpacking of part of one chunk.

mod bits;
mod chunk;
mod edges;
mod stored;

use std::collections::VecDeque;
use std::sync::Arc;

use chunk::{CHUNK_SLICES, Chunk};
pub(crate) use edges::Edges;
use edges::{FINE, TIERS, UNITS, round_up, slot_down, slot_ms, slot_up};
pub use edges::{FINE_KEEP_MS, MINUTE_KEEP_MS, QUARTER_KEEP_MS, RETENTION_MS, SLICE_MS};

/// When so many slices lie open, the older half of them is packed. Samples that are a little late find theirs open.
const OPEN_MAX: usize = 128;

/// The sums of everything up to and including the slice that ends at `end` (in units of 10 s since the epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry<const N: usize> {
    end: u32,
    sums: [u64; N],
}

/// Running sums of `N` numbers over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrefixSums<const N: usize> {
    /// The last slice, or `base`.
    last: Entry<N>,
    /// Where the tiers meet now.
    edges: Edges,
    /// How often sums changed otherwise than by growing at their end.
    revision: u32,
    /// The latest slices of the finest tier, by time.
    open: VecDeque<Entry<N>>,
    /// Older slices, by tier, the coarsest and oldest first; within a tier by time. Shared with copies of these sums, so
    /// that a copy of all of them is made in no time to be stored.
    packed: Arc<[Vec<Chunk<N>>; TIERS]>,
    /// What retention has let go: windows begin here at the earliest.
    base: Entry<N>,
}

/// The sums of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latest<const N: usize = 2> {
    /// The end of the last slice with events.
    pub(crate) end_ms: i64,
    pub(crate) sums: [u64; N],
    /// Another number means that sums changed otherwise than by growing at their end.
    pub(crate) revision: u32,
}

/// The sums at both ends of a stretch of edges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<const N: usize> {
    from: u32,
    to: u32,
    pub(crate) before: [u64; N],
    pub(crate) until: [u64; N],
}

/// The sums of one window, and the edges between which they are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span<const N: usize> {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) sums: [u64; N],
}

/// The sums before a window, as they were last looked up: windows that end later seldom begin at another edge.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Begin<const N: usize = 2>(Option<(u32, u32, [u64; N])>);

impl<const N: usize> Default for PrefixSums<N> {
    fn default() -> Self {
        let nothing = Entry { end: 0, sums: [0; N] };
        Self {
            last: nothing,
            edges: Edges::default(),
            revision: 0,
            open: VecDeque::new(),
            packed: Arc::new(std::array::from_fn(|_| Vec::new())),
            base: nothing,
        }
    }
}

impl<const N: usize> PrefixSums<N> {
    /// Adds `change` to the slice of `t_ms` and so to every sum from there on. Cost: nothing that grows, but for a change
    /// of a slice that is packed, which costs the chunks after it.
    pub(crate) fn add(&mut self, t_ms: i64, change: [i64; N]) {
        if change == [0; N] {
            return;
        }
        let slot = slot_up(t_ms);
        let grows = change.iter().all(|change| *change >= 0);
        if grows && slot >= self.last.end && slot > self.edges.reach[FINE - 1] {
            let is_new = slot > self.last.end;
            if is_new || self.open.back().is_some_and(|last| last.end == slot) {
                self.grow(slot, change, is_new);
                return;
            }
        }
        self.revision = self.revision.wrapping_add(1);
        self.amend(slot, change);
    }

    fn grow(&mut self, end: u32, change: [i64; N], is_new: bool) {
        self.last.end = end;
        shift(&mut self.last.sums, change);
        if let Some(last) = self.open.back_mut().filter(|_| !is_new) {
            *last = self.last;
            return;
        }
        if self.open.len() >= OPEN_MAX {
            let before = self.before_open();
            let closed: Vec<Entry<N>> = self.open.drain(..OPEN_MAX / 2).collect();
            self.packed_mut()[FINE].push(Chunk::pack(before, &closed, UNITS[FINE]));
        }
        self.open.push_back(self.last);
    }

    fn packed_mut(&mut self) -> &mut [Vec<Chunk<N>>; TIERS] {
        Arc::make_mut(&mut self.packed)
    }

    /// The sums before the first open slice.
    fn before_open(&self) -> [u64; N] {
        let first = self.open.front().map_or(self.last.end, |first| first.end);
        self.sums_at(first.saturating_sub(1))
    }

    /// Changes a slice anywhere.
    fn amend(&mut self, slot: u32, change: [i64; N]) {
        let tier = self.edges.tier(slot);
        let end = round_up(slot, tier);
        let is_after_packed = self.open.front().is_some_and(|first| first.end <= end);
        let is_open = tier == FINE && (is_after_packed || self.packed[FINE].is_empty());
        if is_open {
            let at = self.open.partition_point(|entry| entry.end < end);
            if self.open.get(at).is_none_or(|entry| entry.end != end) {
                let sums = self.sums_at(end);
                self.open.insert(at, Entry { end, sums });
            }
            self.open
                .range_mut(at..)
                .for_each(|entry| shift(&mut entry.sums, change));
        } else {
            let later = self.amend_packed(tier, end, change);
            let mut tiers = self.packed_mut()[tier..].iter_mut();
            let after = tiers.next().and_then(|chunks| chunks.get_mut(later..));
            for chunk in after.into_iter().chain(tiers.map(Vec::as_mut_slice)).flatten() {
                shift(&mut chunk.before, change);
            }
            self.open
                .iter_mut()
                .for_each(|entry| shift(&mut entry.sums, change));
        }
        shift(&mut self.last.sums, change);
        self.last.end = self.last.end.max(end);
    }

    /// Changes a packed slice in its chunk; gives the place of the chunk after it.
    fn amend_packed(&mut self, tier: usize, end: u32, change: [i64; N]) -> usize {
        let unit = UNITS[tier];
        let Some(first) = self.packed[tier].first() else {
            let before = self.sums_at(end);
            let mut entry = Entry { end, sums: before };
            shift(&mut entry.sums, change);
            self.packed_mut()[tier].push(Chunk::pack(before, &[entry], unit));
            return 1;
        };
        let place = if first.first_end > end {
            0
        } else {
            self.packed[tier].partition_point(|chunk| chunk.first_end <= end) - 1
        };
        let chunk = &mut self.packed_mut()[tier][place];
        let mut entries: Vec<Entry<N>> = chunk.entries(unit).collect();
        let at = entries.partition_point(|entry| entry.end < end);
        if entries.get(at).is_none_or(|entry| entry.end != end) {
            let before = at
                .checked_sub(1)
                .map_or(chunk.before, |before| entries[before].sums);
            entries.insert(at, Entry { end, sums: before });
        }
        entries[at..]
            .iter_mut()
            .for_each(|entry| shift(&mut entry.sums, change));
        *chunk = Chunk::pack(chunk.before, &entries, unit);
        place + 1
    }

    /// The sums of everything up to the edge `slot`.
    fn sums_at(&self, slot: u32) -> [u64; N] {
        if slot >= self.last.end {
            return self.last.sums;
        }
        let after = self.open.partition_point(|entry| entry.end <= slot);
        if let Some(entry) = after.checked_sub(1).and_then(|at| self.open.get(at)) {
            return entry.sums;
        }
        let in_tier = |(tier, chunks): (usize, &Vec<Chunk<N>>)| {
            let after = chunks.partition_point(|chunk| chunk.first_end <= slot);
            let chunk = after.checked_sub(1).and_then(|at| chunks.get(at))?;
            Some(chunk.sums_at(slot, UNITS[tier]))
        };
        let tiers = self.packed.iter().enumerate().rev();
        tiers.filter_map(in_tier).next().unwrap_or(self.base.sums)
    }

    /// The sums of everything.
    pub(crate) fn latest(&self) -> Latest<N> {
        Latest {
            end_ms: slot_ms(self.last.end),
            sums: self.last.sums,
            revision: self.revision,
        }
    }

    /// A stretch with every edge that a window beginning after `from_ms` to `to_ms` can have, until tiers meet at `edges`.
    pub(crate) fn around(&self, edges: Edges, from_ms: i64, to_ms: i64) -> Stretch<N> {
        let from = edges.down(slot_down(from_ms));
        let to = edges.up(slot_up(to_ms));
        Stretch {
            from,
            to,
            before: self.sums_at(from),
            until: self.sums_at(to),
        }
    }

    /// The least that `measure` gives of the sums at the edges of a stretch. Cost: the slices in it.
    pub(crate) fn least(&self, stretch: &Stretch<N>, measure: impl Fn([u64; N]) -> i64) -> i64 {
        let mut least = measure(stretch.before);
        let mut look = |entry: Entry<N>| {
            if entry.end > stretch.from {
                least = least.min(measure(entry.sums));
            }
        };
        for (tier, chunks) in self.packed.iter().enumerate() {
            let first = chunks.partition_point(|chunk| chunk.first_end <= stretch.from);
            let chunks = chunks[first.saturating_sub(1)..].iter();
            chunks
                .take_while(|chunk| chunk.first_end <= stretch.to)
                .flat_map(|chunk| chunk.entries(UNITS[tier]))
                .take_while(|entry| entry.end <= stretch.to)
                .for_each(&mut look);
        }
        let open = self.open.iter().copied();
        open.take_while(|entry| entry.end <= stretch.to).for_each(look);
        least
    }

    /// The sums of the window after `from_ms` up to and including `to_ms`, widened to the edges of its slices. `edges`
    /// are at or past those that this was last thinned out by.
    pub(crate) fn window(&self, edges: Edges, from_ms: i64, to_ms: i64) -> Span<N> {
        self.window_after(&mut Begin(None), edges, from_ms, to_ms)
    }

    /// The same; `begin` is what these sums gave for an earlier window of the same kind. Cost: nothing that grows, while
    /// windows begin at the same edge.
    pub(crate) fn window_after(
        &self,
        begin: &mut Begin<N>,
        edges: Edges,
        from_ms: i64,
        to_ms: i64,
    ) -> Span<N> {
        let from = edges.down(slot_down(from_ms)).max(edges.lost);
        let to = edges.up(slot_up(to_ms)).max(from);
        let before = match begin.0 {
            Some((slot, revision, sums)) if (slot, revision) == (from, self.revision) => sums,
            _ => self.sums_at(from),
        };
        // What lies before the last slice changes by a revision only.
        begin.0 = (from < self.last.end).then_some((from, self.revision, before));
        let until = self.sums_at(to);
        Span {
            from_ms: slot_ms(from),
            to_ms: slot_ms(to),
            sums: std::array::from_fn(|index| until[index].saturating_sub(before[index])),
        }
    }

    /// Thins out what is old enough and lets go what is past retention.
    pub(crate) fn thin_out(&mut self, edges: Edges) {
        if self.edges == edges {
            return;
        }
        self.edges = edges;
        for (tier, reach) in edges.reach.into_iter().enumerate().rev() {
            let (before, aged) = self.take_until(tier + 1, reach);
            let mut wider: Vec<Entry<N>> = Vec::with_capacity(aged.len());
            for entry in aged {
                let end = round_up(entry.end, tier);
                match wider.last_mut() {
                    Some(last) if last.end == end => last.sums = entry.sums,
                    _ => wider.push(Entry { end, ..entry }),
                }
            }
            self.append(tier, before, wider);
        }
        let (_, lost) = self.take_until(0, edges.lost);
        self.base = lost.last().copied().unwrap_or(self.base);
        if let Some(last) = self.packed_last().filter(|_| self.open.is_empty()) {
            self.last = last;
        }
    }

    /// Takes the slices of a tier up to `reach` out, and gives the sums before them.
    fn take_until(&mut self, tier: usize, reach: u32) -> ([u64; N], Vec<Entry<N>>) {
        let unit = UNITS[tier];
        let chunks = self.packed[tier].partition_point(|chunk| chunk.first_end <= reach);
        let open = if tier == FINE {
            self.open.partition_point(|entry| entry.end <= reach)
        } else {
            0
        };
        let before = match self.packed[tier].first() {
            Some(first) if chunks > 0 => first.before,
            _ if open > 0 => self.before_open(),
            _ => return ([0; N], Vec::new()),
        };
        let taken = self.packed_mut()[tier].drain(..chunks);
        let mut entries: Vec<Entry<N>> = taken
            .flat_map(|chunk| chunk.entries(unit).collect::<Vec<_>>())
            .collect();
        let aged = entries.partition_point(|entry| entry.end <= reach);
        let kept = entries.split_off(aged);
        if let Some(last) = entries.last().filter(|_| !kept.is_empty()) {
            self.packed_mut()[tier].insert(0, Chunk::pack(last.sums, &kept, unit));
        }
        entries.extend(self.open.drain(..open));
        (before, entries)
    }

    /// Appends slices to a packed tier, `before` being the sums before them.
    fn append(&mut self, tier: usize, before: [u64; N], mut entries: Vec<Entry<N>>) {
        if entries.is_empty() {
            return;
        }
        let unit = UNITS[tier];
        let chunks = &mut self.packed_mut()[tier];
        let mut before = before;
        if let Some(last) = chunks.pop_if(|last| last.len() + entries.len() <= CHUNK_SLICES) {
            before = last.before;
            entries.splice(..0, last.entries(unit));
        }
        for part in entries.chunks(CHUNK_SLICES) {
            chunks.push(Chunk::pack(before, part, unit));
            before = part.last().map_or(before, |last| last.sums);
        }
    }
}

fn shift<const N: usize>(sums: &mut [u64; N], change: [i64; N]) {
    for (sum, change) in sums.iter_mut().zip(change) {
        *sum = sum.wrapping_add_signed(change);
    }
}

#[cfg(test)]
mod tests;
