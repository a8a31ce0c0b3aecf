//! Closed slices in few bytes: of each number, how much it grew from slice to slice.

use super::Entry;
use super::bits::{BitReader, BitWriter, rice_parameter};
use crate::codec::{Reader, Writer};
use crate::error::SloError;

/// The most slices in a chunk that is made; more come in late only.
pub(super) const CHUNK_SLICES: usize = 192;

/// Slices of one tier, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk<const N: usize> {
    /// The sums before its first slice.
    pub(super) before: [u64; N],
    /// Where its first slice ends.
    pub(super) first_end: u32,
    slices: u32,
    /// One byte per column, then row by row the distance to the last end (of the first slice: none), and the columns from
    /// the last to the first.
    bytes: Box<[u8]>,
}

/// How a column is written.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Growth.
    Growth = 0,
    /// How much growth differs from that of the slice before.
    Change = 1,
    /// How much growth differs from that of the last column: of good events among all.
    Rest = 2,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    mode: Mode,
    k: u32,
}

impl Column {
    fn best(sums: [u128; 3], count: usize) -> Self {
        let modes = [Mode::Growth, Mode::Change, Mode::Rest].into_iter().zip(sums);
        let (mode, sum) = modes.min_by_key(|(_, sum)| *sum).unwrap_or((Mode::Growth, 0));
        Self {
            mode,
            k: rice_parameter(sum, count),
        }
    }

    fn to_byte(self) -> u8 {
        (self.mode as u8) << 6 | self.k as u8
    }

    fn of_byte(byte: u8) -> Self {
        let mode = match byte >> 6 {
            0 => Mode::Growth,
            1 => Mode::Change,
            _ => Mode::Rest,
        };
        Self {
            mode,
            k: u32::from(byte & 63),
        }
    }

    /// A growth as it is written, after that of the slice before and beside that of the last column.
    fn written(self, growth: u64, before: u64, last: u64) -> u64 {
        match self.mode {
            Mode::Growth => growth,
            Mode::Change => zigzag(growth.wrapping_sub(before)),
            Mode::Rest => last.wrapping_sub(growth),
        }
    }

    fn read(self, value: u64, before: u64, last: u64) -> u64 {
        match self.mode {
            Mode::Growth => value,
            Mode::Change => before.wrapping_add(unzigzag(value)),
            Mode::Rest => last.wrapping_sub(value),
        }
    }
}

fn zigzag(value: u64) -> u64 {
    (value << 1) ^ (value.cast_signed() >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

impl<const N: usize> Chunk<N> {
    /// Packs slices, by time and at least one; every end is a multiple of `unit`.
    pub(super) fn pack(before: [u64; N], entries: &[Entry<N>], unit: u32) -> Self {
        let mut last = before;
        let growth = |entry: &Entry<N>| {
            let growth: [u64; N] = std::array::from_fn(|at| entry.sums[at].wrapping_sub(last[at]));
            last = entry.sums;
            growth
        };
        let rows: Vec<[u64; N]> = entries.iter().map(growth).collect();
        // From one slice to the next it is at least one unit.
        let gap = |at: usize| {
            u64::from(entries[at].end.saturating_sub(entries[at - 1].end) / unit).saturating_sub(1)
        };
        let columns: [Column; N] = std::array::from_fn(|at| {
            let mut sums = [0_u128; 3];
            let mut before = 0;
            for row in &rows {
                for (mode, sum) in [Mode::Growth, Mode::Change, Mode::Rest]
                    .into_iter()
                    .zip(&mut sums)
                {
                    let column = Column { mode, k: 0 };
                    *sum += u128::from(column.written(row[at], before, row[N - 1]));
                }
                before = row[at];
            }
            // The last column cannot be told by itself.
            sums[2] = if at == N - 1 { u128::MAX } else { sums[2] };
            Column::best(sums, rows.len())
        });
        let gap_sum = (1..entries.len()).map(|at| u128::from(gap(at))).sum();
        let gap_k = rice_parameter(gap_sum, entries.len());
        let mut out = BitWriter::default();
        let mut previous = [0; N];
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.rice(gap(at), gap_k);
            }
            for (at, column) in columns.iter().enumerate().rev() {
                out.rice(column.written(row[at], previous[at], row[N - 1]), column.k);
            }
            previous = *row;
        }
        let heads = columns.map(Column::to_byte);
        let heads = heads.into_iter().chain([gap_k as u8]);
        Self {
            before,
            first_end: entries.first().map_or(0, |first| first.end),
            slices: entries.len() as u32,
            bytes: heads.chain(out.into_bytes()).collect(),
        }
    }

    /// Its slices. `unit` is what it was packed with.
    pub(super) fn entries(&self, unit: u32) -> impl Iterator<Item = Entry<N>> + '_ {
        let (heads, rows) = self.bytes.split_at_checked(N + 1).unwrap_or_default();
        let head = |at: usize| heads.get(at).copied().unwrap_or_default();
        let columns: [Column; N] = std::array::from_fn(|at| Column::of_byte(head(at)));
        let gap_k = u32::from(head(N) & 63);
        let mut input = BitReader::new(rows);
        let mut growth = [0; N];
        let mut entry = Entry {
            end: self.first_end,
            sums: self.before,
        };
        (0..self.slices).map(move |at| {
            if at > 0 {
                let gap = (input.rice(gap_k) as u32).wrapping_add(1);
                entry.end = entry.end.wrapping_add(gap.wrapping_mul(unit));
            }
            for (at, column) in columns.iter().enumerate().rev() {
                let value = input.rice(column.k);
                growth[at] = column.read(value, growth[at], growth[N - 1]);
                entry.sums[at] = entry.sums[at].wrapping_add(growth[at]);
            }
            entry
        })
    }

    /// How many slices it has.
    pub(super) fn len(&self) -> usize {
        self.slices as usize
    }

    /// The sums of everything up to the edge `slot`. Cost: its slices.
    pub(super) fn sums_at(&self, slot: u32, unit: u32) -> [u64; N] {
        let inside = self.entries(unit).take_while(|entry| entry.end <= slot);
        inside.last().map_or(self.before, |entry| entry.sums)
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u64(self.first_end.into());
        self.before.iter().for_each(|sum| out.u64(*sum));
        out.u64(self.slices.into());
        out.bytes(&self.bytes);
    }

    /// Reads a chunk whose slices come after `after`; gives the last of them.
    pub(super) fn decode(input: &mut Reader<'_>, unit: u32, after: u32) -> Result<(Self, u32), SloError> {
        let first_end = input.u32()?;
        let mut before = [0; N];
        for sum in &mut before {
            *sum = input.u64()?;
        }
        let slices = input.u32()?;
        let chunk = Self {
            before,
            first_end,
            slices,
            bytes: input.bytes()?.into(),
        };
        // A row takes at least one bit, so that a chunk cannot claim more of them than there is memory for.
        let is_whole = slices > 0 && chunk.bytes.len() > N && slices as usize <= chunk.bytes.len() * 8;
        let mut last = after;
        let mut entries = chunk.entries(unit);
        let in_order = |entry: Entry<N>| {
            let is_later = entry.end > last && entry.end % unit == 0;
            last = entry.end;
            is_later
        };
        if !(is_whole && entries.all(in_order)) {
            return Err(SloError::Snapshot("slices are not in their order".to_owned()));
        }
        drop(entries);
        Ok((chunk, last))
    }
}
