//! A run of samples of one series, compressed without loss.
//!
//! ```text
//! time mode u8 | 0 regular: t0 int, dt int
//!              | 1 packed:  t0 int, count-1 differences, bit-packed
//!              | 2 regular: dt int                          (t0 is the chunk's `min_ms`)
//!              | 3 packed:  count-1 differences, bit-packed (t0 is the chunk's `min_ms`)
//! value mode u8 | 0 constant: bits u64
//!               | 1 decimal:  exponent u8, first int, count-1 differences, bit-packed
//!               | 2 xor:      per value 0, or leading-zero bytes and length in one byte, then these bytes
//! ```
//! Decimal: if every value is exactly `i / 10^e` with a whole `i` below 2^53 (checked by the round trip), the whole
//! numbers are stored. Everything else, NaNs with their bits included, goes through xor with the value before.
//! Modes 0 and 1 of the time are read but not written any more. The values of native histograms are in
//! [`crate::histogram`].

use std::sync::Arc;

use mainstay_kernel::Histogram;

use crate::codec::{Packing, Reader, pack, put_int};
use crate::error::SeriesError;
use crate::histogram;

/// The largest number of samples in one chunk of a block file of version 1.
const MAX_SAMPLES_V1: usize = 240;

const MAX_EXPONENT: u8 = 12;
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkKind {
    /// Floating-point samples.
    Float,
    /// Native histograms.
    Histogram,
}

impl ChunkKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Float => 1,
            Self::Histogram => 2,
        }
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Float),
            2 => Some(Self::Histogram),
            _ => None,
        }
    }
}

/// A native histogram with its time in milliseconds.
pub(crate) type HistogramPoint = (i64, Arc<Histogram>);

/// A sealed run of samples in order of time. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) count: u32,
    bytes: Arc<[u8]>,
}

impl Chunk {
    /// Compresses `samples`, which are in strictly rising order of time and not empty.
    pub(crate) fn encode(samples: &[(i64, f64)], packing: Packing) -> Self {
        let mut bytes = Vec::with_capacity(16 + samples.len() * 2);
        encode_times(&mut bytes, samples.iter().map(|sample| sample.0), packing);
        encode_values(&mut bytes, samples, packing);
        Self::of(ChunkKind::Float, samples.iter().map(|sample| sample.0), &bytes)
    }

    /// [`Chunk::encode`], of native histograms.
    pub(crate) fn encode_histograms(samples: &[HistogramPoint]) -> Self {
        let mut bytes = Vec::new();
        encode_times(&mut bytes, samples.iter().map(|sample| sample.0), Packing::Fast);
        histogram::encode(&mut bytes, samples.iter().map(|sample| &*sample.1));
        Self::of(
            ChunkKind::Histogram,
            samples.iter().map(|sample| sample.0),
            &bytes,
        )
    }

    fn of(
        kind: ChunkKind,
        mut times: impl DoubleEndedIterator<Item = i64> + ExactSizeIterator,
        bytes: &[u8],
    ) -> Self {
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        let min_ms = times.next().unwrap_or_default();
        Self {
            kind,
            min_ms,
            max_ms: times.next_back().unwrap_or(min_ms),
            count,
            bytes: bytes.into(),
        }
    }

    /// As it stands in a block file: the description from its section, the bytes from their own place.
    pub(crate) fn from_parts(kind: ChunkKind, min_ms: i64, max_ms: i64, count: u32, bytes: &[u8]) -> Self {
        Self {
            kind,
            min_ms,
            max_ms,
            count,
            bytes: bytes.into(),
        }
    }

    /// Whether it may hold samples after `min_exclusive` and up to `max_inclusive`.
    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        self.max_ms > min_exclusive && self.min_ms <= max_inclusive
    }

    /// The compressed samples.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds all samples to `out`; native histograms are none.
    pub(crate) fn decode(&self, out: &mut Vec<(i64, f64)>) -> Result<(), SeriesError> {
        if self.kind != ChunkKind::Float {
            return Ok(());
        }
        let count = self.count as usize;
        let mut reader = Reader::new(&self.bytes, "chunk");
        let from = out.len();
        out.reserve(count);
        self.decode_times(&mut reader, |time| out.push((time, 0.0)))?;
        let mut slots = out[from..].iter_mut();
        decode_values(&mut reader, count, |value| {
            if let Some(slot) = slots.next() {
                slot.1 = value;
            }
        })
    }

    /// Adds all native histograms to `out`; floats are none.
    pub(crate) fn decode_histograms(&self, out: &mut Vec<HistogramPoint>) -> Result<(), SeriesError> {
        if self.kind != ChunkKind::Histogram {
            return Ok(());
        }
        let mut reader = Reader::new(&self.bytes, "chunk of native histograms");
        let mut times = Vec::with_capacity(self.count as usize);
        self.decode_times(&mut reader, |time| times.push(time))?;
        let mut times = times.into_iter();
        histogram::decode(&mut reader, self.count as usize, |value| {
            if let Some(time) = times.next() {
                out.push((time, Arc::new(value)));
            }
        })
    }

    fn decode_times(&self, reader: &mut Reader<'_>, mut each: impl FnMut(i64)) -> Result<(), SeriesError> {
        let count = self.count as usize;
        let mode = reader.byte()?;
        let mut time = if mode < 2 { reader.int()? } else { self.min_ms };
        if count == 0 {
            return Ok(());
        }
        each(time);
        match mode {
            0 | 2 => {
                let step = reader.int()?;
                for _ in 1..count {
                    time = time.wrapping_add(step);
                    each(time);
                }
                Ok(())
            }
            1 | 3 => reader.unpack(count - 1, |delta| {
                time = time.wrapping_add(delta);
                each(time);
            }),
            _ => Err(reader.corrupt()),
        }
    }

    /// Reads a chunk with its header, as block files of version 1 hold it.
    pub(crate) fn read_v1(reader: &mut Reader<'_>) -> Result<Self, SeriesError> {
        let kind = ChunkKind::of_code(reader.byte()?).ok_or_else(|| reader.corrupt())?;
        let min_ms = reader.int()?;
        let max_ms = min_ms.wrapping_add(reader.uint()?.cast_signed());
        let count = reader.u32()?;
        if count as usize > MAX_SAMPLES_V1 {
            return Err(reader.corrupt());
        }
        Ok(Self {
            kind,
            min_ms,
            max_ms,
            count,
            bytes: reader.bytes()?.into(),
        })
    }
}

fn encode_times(out: &mut Vec<u8>, times: impl Iterator<Item = i64> + Clone, packing: Packing) {
    let deltas: Vec<i64> = times
        .clone()
        .zip(times.skip(1))
        .map(|(before, after)| after.wrapping_sub(before))
        .collect();
    let step = deltas.first().copied().unwrap_or_default();
    if deltas.iter().all(|delta| *delta == step) {
        out.push(2);
        put_int(out, step);
    } else {
        out.push(3);
        pack(out, &deltas, packing);
    }
}

fn encode_values(out: &mut Vec<u8>, samples: &[(i64, f64)], packing: Packing) {
    let first_bits = samples.first().map_or(0, |sample| sample.1.to_bits());
    if samples.iter().all(|(_, value)| value.to_bits() == first_bits) {
        out.push(0);
        out.extend_from_slice(&first_bits.to_le_bytes());
    } else if let Some((exponent, mut wholes)) = decimals(samples) {
        out.push(1);
        out.push(exponent);
        put_int(out, wholes[0]);
        for at in (1..wholes.len()).rev() {
            wholes[at] -= wholes[at - 1];
        }
        pack(out, &wholes[1..], packing);
    } else {
        out.push(2);
        let mut before = 0;
        for (_, value) in samples {
            let bits = value.to_bits();
            encode_xor(out, bits ^ before);
            before = bits;
        }
    }
}

fn decode_values(
    reader: &mut Reader<'_>,
    count: usize,
    mut each: impl FnMut(f64),
) -> Result<(), SeriesError> {
    match reader.byte()? {
        0 => {
            let value = f64::from_bits(reader.u64_fixed()?);
            (0..count).for_each(|_| each(value));
            Ok(())
        }
        1 => {
            let scale = power_of_ten(reader.byte()?);
            let mut whole = reader.int()?;
            each(from_decimal(whole, scale));
            reader.unpack(count.saturating_sub(1), |delta| {
                whole = whole.wrapping_add(delta);
                each(from_decimal(whole, scale));
            })
        }
        2 => {
            let mut bits = 0;
            for _ in 0..count {
                bits ^= decode_xor(reader)?;
                each(f64::from_bits(bits));
            }
            Ok(())
        }
        _ => Err(reader.corrupt()),
    }
}

/// The values as whole numbers of 10^-e, with the smallest e that holds them all exactly.
fn decimals(samples: &[(i64, f64)]) -> Option<(u8, Vec<i64>)> {
    let mut wholes = Vec::with_capacity(samples.len());
    for exponent in 0..=MAX_EXPONENT {
        let scale = power_of_ten(exponent);
        wholes.clear();
        wholes.extend(samples.iter().map_while(|(_, value)| to_decimal(*value, scale)));
        if wholes.len() == samples.len() {
            return Some((exponent, wholes));
        }
    }
    None
}

fn to_decimal(value: f64, scale: f64) -> Option<i64> {
    let scaled = value * scale;
    if scaled.is_nan() || scaled.abs() >= MAX_EXACT {
        return None;
    }
    // Rounded half away from zero; what is not a whole number fails the round trip.
    #[expect(clippy::cast_possible_truncation, reason = "below 2^53")]
    let whole = (scaled + 0.5f64.copysign(scaled)) as i64;
    (from_decimal(whole, scale).to_bits() == value.to_bits()).then_some(whole)
}

#[expect(clippy::cast_precision_loss, reason = "only numbers below 2^53 are written")]
fn from_decimal(whole: i64, scale: f64) -> f64 {
    whole as f64 / scale
}

/// Exact up to 10^22; written exponents are far smaller.
fn power_of_ten(exponent: u8) -> f64 {
    (0..exponent.min(22)).fold(1.0, |power, _| power * 10.0)
}

fn encode_xor(out: &mut Vec<u8>, xor: u64) {
    let bytes = xor.to_be_bytes();
    let Some(first) = bytes.iter().position(|byte| *byte != 0) else {
        out.push(0);
        return;
    };
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(first);
    let significant = &bytes[first..=last];
    out.push(((first << 4) | significant.len()).to_le_bytes()[0]);
    out.extend_from_slice(significant);
}

fn decode_xor(reader: &mut Reader<'_>) -> Result<u64, SeriesError> {
    let head = reader.byte()?;
    let (first, len) = (usize::from(head >> 4), usize::from(head & 0xf));
    let mut bytes = [0; 8];
    let target = bytes
        .get_mut(first..first + len)
        .ok_or_else(|| reader.corrupt())?;
    target.copy_from_slice(reader.take(len)?);
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use mainstay_kernel::STALE_NAN;

    fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
        samples.iter().map(|(t, v)| (*t, v.to_bits())).collect()
    }

    fn round_trip(samples: &[(i64, f64)]) -> usize {
        let sizes = [Packing::Fast, Packing::Tight].map(|packing| {
            let chunk = Chunk::encode(samples, packing);
            let mut back = Vec::new();
            chunk.decode(&mut back).expect("decodes");
            assert_eq!(bits(&back), bits(samples));
            chunk.payload().len()
        });
        sizes[1]
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-1000i32..1000).prop_map(f64::from),
            4 => (0u32..100_000).prop_map(|cents| f64::from(cents) / 100.0),
            2 => any::<u64>().prop_map(f64::from_bits),
            1 => prop::sample::select(vec![
                STALE_NAN, f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE,
                9_007_199_254_740_993.0, 0.1 + 0.2, 1e22, 5e-324,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn bit_for_bit(start in any::<i32>(), pieces in prop::collection::vec((1i64..100_000, value()), 1..300)) {
            let mut time = i64::from(start);
            let samples: Vec<_> = pieces.into_iter().map(|(step, value)| { time += step; (time, value) }).collect();
            round_trip(&samples);
        }

        #[test]
        fn noise_is_an_error_never_a_panic(noise in prop::collection::vec(any::<u8>(), 0..60), count in 0u32..300) {
            for kind in [ChunkKind::Float, ChunkKind::Histogram] {
                let chunk = Chunk::from_parts(kind, 0, 0, count, &noise);
                let _ = (chunk.decode(&mut Vec::new()), chunk.decode_histograms(&mut Vec::new()));
            }
            let mut reader = Reader::new(&noise, "test");
            if let Ok(chunk) = Chunk::read_v1(&mut reader) {
                let _ = chunk.decode(&mut Vec::new());
            }
        }
    }

    #[test]
    fn extreme_times() {
        round_trip(&[(i64::MIN, 1.0), (0, 2.0), (i64::MAX, 3.0)]);
    }

    /// The research's goal for a scraped counter is 1.5 bytes per sample, all included.
    #[test]
    fn a_regular_counter_takes_less_than_two_bytes_a_sample() {
        let samples: Vec<_> = (0..240)
            .map(|i| {
                (
                    i * 15_000,
                    f64::from(i32::try_from(i * 50 + i % 7).expect("small")),
                )
            })
            .collect();
        let size = round_trip(&samples);
        assert!(size < 240 * 2, "{size} bytes");
    }
}
