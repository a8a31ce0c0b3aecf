//! Prefix sums over time: any window is the difference of two of them.
//!
//! Events are counted into slices. A slice is open on the left and closed on the right, as Prometheus ranges are: a
//! sample of 12:00:10 stands for what happened until then, so it belongs to the slice that ends at 12:00:10. Slices
//! are 10 s wide for [`FINE_KEEP_MS`], then 1 min for [`MINUTE_KEEP_MS`], then 15 min for [`RETENTION_MS`] (every
//! time zone in use is a multiple of 15 min off UTC, so calendar months of any zone begin at an edge). A wider slice
//! is made by leaving out the sums in between: nothing is ever added up a second time. Slices without events take no
//! room. A window is widened to the edges of its slices and says so; counted between those edges it is exact.

use std::collections::VecDeque;

use crate::codec::{Reader, Writer};
use crate::error::SloError;

/// The width of the finest slice: 10 s, in milliseconds.
pub const SLICE_MS: i64 = 10_000;
/// For how long slices of 10 s are kept: 7 h, in milliseconds. Longer than the longest short burn window and its long
/// partner's edge.
pub const FINE_KEEP_MS: i64 = 7 * 3_600_000;
/// For how long slices of 1 min are kept: 4 days, in milliseconds. Longer than the longest burn window.
pub const MINUTE_KEEP_MS: i64 = 4 * 86_400_000;
/// For how long slices of 15 min are kept: 400 days, in milliseconds.
pub const RETENTION_MS: i64 = 400 * 86_400_000;

/// Widths of the three tiers, coarsest first, in slices of 10 s.
const WIDTHS: [u32; 3] = [90, 6, 1];

/// The sums of everything up to and including the slice that ends at `end` (in units of 10 s since the epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry<const N: usize> {
    end: u32,
    sums: [u64; N],
}

/// Where the tiers meet, in slices of 10 s since the epoch. It follows the time of the samples of a whole indicator,
/// so that all of its groups have the same slices and a sum's windows are the sums of its parts' windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    /// Up to where slices are 15 min and 1 min wide.
    reach: [u32; 2],
    /// Up to where nothing is kept.
    lost: u32,
}

impl Edges {
    /// Where they are when samples have come to `t_ms`. Every edge is one of the coarsest slices, so that no window's
    /// edge can fall between two tiers.
    pub(crate) fn at(t_ms: i64) -> Self {
        let edge = |keep_ms| {
            let slot = slot_down(t_ms.saturating_sub(keep_ms));
            slot - slot % WIDTHS[0]
        };
        Self {
            reach: [edge(MINUTE_KEEP_MS), edge(FINE_KEEP_MS)],
            lost: edge(RETENTION_MS),
        }
    }

    /// The last edge at or before a slot.
    fn down(self, slot: u32) -> u32 {
        slot - slot % self.width(|reach| slot < reach)
    }

    /// The first edge at or after a slot.
    fn up(self, slot: u32) -> u32 {
        round_up(slot, self.width(|reach| slot <= reach))
    }

    fn width(self, inside: impl Fn(u32) -> bool) -> u32 {
        let tier = self.reach.iter().position(|reach| inside(*reach));
        WIDTHS[tier.unwrap_or(2)]
    }
}

/// Running sums of `N` numbers over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrefixSums<const N: usize> {
    /// What retention has let go: windows begin here at the earliest.
    base: Entry<N>,
    /// Coarsest and oldest first; within a tier by time.
    tiers: [VecDeque<Entry<N>>; 3],
    /// Where the tiers meet now.
    edges: Edges,
    /// How often sums changed otherwise than by growing at their end.
    revision: u32,
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

impl<const N: usize> Default for PrefixSums<N> {
    fn default() -> Self {
        Self {
            base: Entry { end: 0, sums: [0; N] },
            tiers: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            edges: Edges::default(),
            revision: 0,
        }
    }
}

fn slot_down(t_ms: i64) -> u32 {
    u32::try_from(t_ms.max(0) / SLICE_MS).unwrap_or(u32::MAX - 90)
}

fn slot_up(t_ms: i64) -> u32 {
    u32::try_from(t_ms.max(0).saturating_add(SLICE_MS - 1) / SLICE_MS).unwrap_or(u32::MAX - 90)
}

fn round_up(slot: u32, width: u32) -> u32 {
    slot.div_ceil(width).saturating_mul(width)
}

fn slot_ms(slot: u32) -> i64 {
    i64::from(slot) * SLICE_MS
}

impl<const N: usize> PrefixSums<N> {
    /// Adds `change` to the slice of `t_ms` and so to every sum from there on.
    pub(crate) fn add(&mut self, t_ms: i64, change: [i64; N]) {
        if change == [0; N] {
            return;
        }
        let (tier, end) = self.place(slot_up(t_ms));
        let grows = change.iter().all(|change| *change >= 0) && self.last().end <= end;
        self.revision = self.revision.wrapping_add(u32::from(!grows));
        let index = self.tiers[tier].partition_point(|entry| entry.end < end);
        let present = self.tiers[tier].get(index).is_some_and(|entry| entry.end == end);
        if !present {
            let sums = self.sums_at(end);
            self.tiers[tier].insert(index, Entry { end, sums });
        }
        let from_here = self.tiers[tier].range_mut(index..);
        for entry in from_here {
            shift(&mut entry.sums, change);
        }
        for finer in &mut self.tiers[tier + 1..] {
            for entry in finer {
                shift(&mut entry.sums, change);
            }
        }
    }

    fn last(&self) -> Entry<N> {
        let mut newest = self.tiers.iter().rev().filter_map(VecDeque::back);
        newest.next().copied().unwrap_or(self.base)
    }

    /// The sums of everything.
    pub(crate) fn latest(&self) -> Latest<N> {
        let last = self.last();
        Latest {
            end_ms: slot_ms(last.end),
            sums: last.sums,
            revision: self.revision,
        }
    }

    /// A stretch that holds every edge that a window beginning after `from_ms` to `to_ms` may begin at, until `edges` are.
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
        for tier in &self.tiers {
            let first = tier.partition_point(|entry| entry.end <= stretch.from);
            let inside = tier.range(first..).take_while(|entry| entry.end <= stretch.to);
            least = inside.fold(least, |least, entry| least.min(measure(entry.sums)));
        }
        least
    }

    /// The tier that a slot belongs to now, and the end of its slice there.
    fn place(&self, slot: u32) -> (usize, u32) {
        let tier = self
            .edges
            .reach
            .iter()
            .position(|reach| slot <= *reach)
            .unwrap_or(2);
        (tier, round_up(slot, WIDTHS[tier]))
    }

    /// The sums of everything up to the edge `slot`.
    fn sums_at(&self, slot: u32) -> [u64; N] {
        self.tiers
            .iter()
            .rev()
            .find_map(|tier| {
                let after = tier.partition_point(|entry| entry.end <= slot);
                after.checked_sub(1).map(|index| tier[index].sums)
            })
            .unwrap_or(self.base.sums)
    }

    /// The sums of the window after `from_ms` up to and including `to_ms`, widened to the edges of its slices. `edges`
    /// are at or past those that this was last thinned out by.
    pub(crate) fn window(&self, edges: Edges, from_ms: i64, to_ms: i64) -> Span<N> {
        let (from, to) = (slot_down(from_ms), slot_up(to_ms));
        let from = edges.down(from).max(edges.lost);
        let to = edges.up(to).max(from);
        let (before, until) = (self.sums_at(from), self.sums_at(to));
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
            let aged = self.tiers[tier + 1].partition_point(|entry| entry.end <= reach);
            let aged: Vec<Entry<N>> = self.tiers[tier + 1].drain(..aged).collect();
            for entry in aged {
                let end = round_up(entry.end, WIDTHS[tier]);
                match self.tiers[tier].back_mut() {
                    Some(last) if last.end == end => last.sums = entry.sums,
                    _ => self.tiers[tier].push_back(Entry { end, ..entry }),
                }
            }
        }
        while let Some(first) = self.tiers[0].front().filter(|first| first.end <= edges.lost) {
            self.base = *first;
            self.tiers[0].pop_front();
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        for edge in [self.edges.reach[0], self.edges.reach[1], self.edges.lost] {
            out.u64(u64::from(edge));
        }
        let mut previous = Entry { end: 0, sums: [0; N] };
        encode_entry(out, &mut previous, self.base);
        for tier in &self.tiers {
            out.len(tier.len());
            for entry in tier {
                encode_entry(out, &mut previous, *entry);
            }
        }
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let edges = Edges {
            reach: [input.u32()?, input.u32()?],
            lost: input.u32()?,
        };
        let mut previous = Entry { end: 0, sums: [0; N] };
        let base = decode_entry(input, &mut previous)?;
        let mut tiers = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        for tier in &mut tiers {
            for _ in 0..input.len()? {
                tier.push_back(decode_entry(input, &mut previous)?);
            }
        }
        Ok(Self {
            base,
            tiers,
            edges,
            revision: 0,
        })
    }
}

fn shift<const N: usize>(sums: &mut [u64; N], change: [i64; N]) {
    for (sum, change) in sums.iter_mut().zip(change) {
        *sum = sum.wrapping_add_signed(change);
    }
}

/// Each entry as its distance from the one before.
fn encode_entry<const N: usize>(out: &mut Writer, previous: &mut Entry<N>, entry: Entry<N>) {
    out.u64(u64::from(entry.end.wrapping_sub(previous.end)));
    for (now, before) in entry.sums.iter().zip(previous.sums) {
        out.u64(now.wrapping_sub(before));
    }
    *previous = entry;
}

fn decode_entry<const N: usize>(
    input: &mut Reader<'_>,
    previous: &mut Entry<N>,
) -> Result<Entry<N>, SloError> {
    let end = previous.end.wrapping_add(input.u32()?);
    let mut sums = previous.sums;
    for sum in &mut sums {
        *sum = sum.wrapping_add(input.u64()?);
    }
    *previous = Entry { end, sums };
    Ok(*previous)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_700_000_100_000;

    #[test]
    fn slices_are_closed_on_the_right() {
        let mut sums = PrefixSums::<1>::default();
        sums.add(T0, [5]);
        sums.add(T0 + 1, [7]);
        assert_eq!(sums.window(Edges::default(), T0 - SLICE_MS, T0).sums, [5]);
        assert_eq!(sums.window(Edges::default(), T0, T0 + SLICE_MS).sums, [7]);
        assert_eq!(
            sums.window(Edges::default(), T0 - SLICE_MS, T0 + 1).sums,
            [12],
            "the slice that is being filled counts"
        );
    }

    #[test]
    fn compaction_keeps_every_count_between_the_edges_it_states() {
        let mut sums = PrefixSums::<1>::default();
        let mut events = Vec::new();
        let mut edges = Edges::default();
        for step in 0..60_000_i64 {
            let t = T0 + step * 15_000;
            sums.add(t, [step % 7]);
            events.push((t, step % 7));
            if step % 240 == 0 {
                edges = Edges::at(t);
                sums.thin_out(edges);
            }
        }
        let end = T0 + 59_999 * 15_000;
        for back_ms in [
            1,
            5 * 60_000,
            6 * 3_600_000,
            2 * 86_400_000,
            5 * 86_400_000,
            10 * 86_400_000,
        ] {
            let span = sums.window(edges, end - back_ms, end);
            let counted: i64 = events
                .iter()
                .filter(|(t, _)| *t > span.from_ms && *t <= span.to_ms)
                .map(|(_, n)| n)
                .sum();
            assert_eq!(span.sums, [counted.unsigned_abs()], "{back_ms}");
            assert!(end - back_ms - span.from_ms < 15 * 60_000 && span.from_ms <= end - back_ms);
        }
        let entries: usize = sums.tiers.iter().map(VecDeque::len).sum();
        assert!(entries < 2_900 + 5_900 + 700, "{entries} entries are kept");
    }

    #[test]
    fn a_late_event_moves_every_later_sum() {
        let mut sums = PrefixSums::<2>::default();
        sums.add(T0 + 40_000, [3, 30]);
        sums.add(T0 + 20_000, [1, 10]);
        sums.add(T0 + 40_000, [-1, -10]);
        assert_eq!(sums.window(Edges::default(), T0, T0 + 20_000).sums, [1, 10]);
        assert_eq!(sums.window(Edges::default(), T0, T0 + 40_000).sums, [3, 30]);
        assert_eq!(
            sums.window(Edges::default(), T0 + 20_000, T0 + 40_000).sums,
            [2, 20]
        );
    }

    #[test]
    fn sums_survive_storage() {
        let mut sums = PrefixSums::<2>::default();
        for step in 0..5_000 {
            sums.add(T0 + step * 15_000, [step % 3, step]);
        }
        sums.thin_out(Edges::at(T0 + 5_000 * 15_000));
        let mut out = Writer::default();
        sums.encode(&mut out);
        let bytes = out.into_bytes();
        assert_eq!(PrefixSums::decode(&mut Reader::new(&bytes)), Ok(sums));
    }
}
