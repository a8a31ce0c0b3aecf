//! Sums as bytes: closed slices as they are packed, open ones by their distances.

use super::chunk::Chunk;
use super::edges::{Edges, TIERS, UNITS};
use super::{Entry, PrefixSums};
use crate::codec::{Reader, Writer};
use crate::error::SloError;

impl<const N: usize> PrefixSums<N> {
    pub(crate) fn encode(&self, out: &mut Writer) {
        for edge in self.edges.reach.into_iter().chain([self.edges.lost]) {
            out.u64(u64::from(edge));
        }
        let mut previous = Entry { end: 0, sums: [0; N] };
        encode_entry(out, &mut previous, self.base);
        for chunks in self.packed.iter() {
            out.len(chunks.len());
            chunks.iter().for_each(|chunk| chunk.encode(out));
        }
        out.len(self.open.len());
        for entry in &self.open {
            encode_entry(out, &mut previous, *entry);
        }
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let mut sums = Self {
            edges: Edges {
                reach: [input.u32()?, input.u32()?, input.u32()?],
                lost: input.u32()?,
            },
            ..Self::default()
        };
        let mut previous = Entry { end: 0, sums: [0; N] };
        sums.base = decode_entry(input, &mut previous)?;
        let mut last = sums.base.end;
        for (chunks, unit) in sums.packed_mut().iter_mut().zip(UNITS) {
            for _ in 0..input.len()? {
                let (chunk, end) = Chunk::decode(input, unit, last)?;
                chunks.push(chunk);
                last = end;
            }
        }
        for _ in 0..input.len()? {
            let entry = decode_entry(input, &mut previous)?;
            if entry.end <= last {
                return Err(SloError::Snapshot(
                    "open slices are not in their order".to_owned(),
                ));
            }
            last = entry.end;
            sums.open.push_back(entry);
        }
        sums.find_last();
        Ok(sums)
    }

    /// Reads sums of version 1 of the stored state: three tiers, nothing packed.
    pub(crate) fn decode_v1(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let (quarter, minute, lost) = (input.u32()?, input.u32()?, input.u32()?);
        let mut sums = Self {
            edges: Edges {
                reach: [lost, quarter, minute],
                lost,
            },
            ..Self::default()
        };
        let mut previous = Entry { end: 0, sums: [0; N] };
        sums.base = decode_entry(input, &mut previous)?;
        for tier in 1..TIERS {
            let before = previous.sums;
            let entries = (0..input.len()?).map(|_| decode_entry(input, &mut previous));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let misplaced = |pair: &[Entry<N>]| pair[0].end >= pair[1].end;
            let off_the_edge = |entry: &Entry<N>| entry.end % UNITS[tier] != 0;
            if entries.windows(2).any(misplaced) || entries.iter().any(off_the_edge) {
                return Err(SloError::Snapshot("slices are not in their order".to_owned()));
            }
            sums.append(tier, before, entries);
        }
        sums.find_last();
        Ok(sums)
    }

    fn find_last(&mut self) {
        let open = self.open.back().copied();
        self.last = open.or_else(|| self.packed_last()).unwrap_or(self.base);
    }

    pub(super) fn packed_last(&self) -> Option<Entry<N>> {
        let tiers = self.packed.iter().zip(UNITS).rev();
        let mut chunks = tiers.filter_map(|(chunks, unit)| chunks.last()?.entries(unit).last());
        chunks.next()
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
