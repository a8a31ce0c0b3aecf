//! A run of samples of one series, compressed without loss.
//!
//! ```text
//! time mode u8 | t0 int | 0 regular: dt int
//!                       | 1 packed:  count-1 differences, bit-packed
//! value mode u8 | 0 constant: bits u64
//!               | 1 decimal:  exponent u8, first int, count-1 differences, bit-packed
//!               | 2 xor:      per value 0, or leading-zero bytes and length in one byte, then these bytes
//! ```
//! Decimal: if every value is exactly `i / 10^e` with a whole `i` below 2^53 (checked by the round trip), the whole
//! numbers are stored. Everything else, NaNs with their bits included, goes through xor with the value before.

use std::sync::Arc;

use crate::codec::{Reader, pack, put_bytes, put_int, put_uint};
use crate::error::SeriesError;

/// The largest number of samples in one chunk of a block file.
pub(crate) const BLOCK_CHUNK_SAMPLES: usize = 240;

const MAX_EXPONENT: u8 = 12;
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What a chunk holds. Native histograms will be a second kind, with samples of their own type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkKind {
    /// Floating-point samples.
    Float,
}

impl ChunkKind {
    fn code(self) -> u8 {
        match self {
            Self::Float => 1,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Float),
            _ => None,
        }
    }
}

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
    pub(crate) fn encode(samples: &[(i64, f64)]) -> Self {
        let (first, last) = match samples {
            [] => (0, 0),
            [first, .., last] => (first.0, last.0),
            [only] => (only.0, only.0),
        };
        let mut bytes = Vec::with_capacity(16 + samples.len() * 2);
        encode_times(&mut bytes, samples);
        encode_values(&mut bytes, samples);
        Self {
            kind: ChunkKind::Float,
            min_ms: first,
            max_ms: last,
            count: u32::try_from(samples.len()).unwrap_or(u32::MAX),
            bytes: bytes.into(),
        }
    }

    /// Whether it may hold samples after `min_exclusive` and up to `max_inclusive`.
    pub(crate) fn overlaps(&self, min_exclusive: i64, max_inclusive: i64) -> bool {
        self.max_ms > min_exclusive && self.min_ms <= max_inclusive
    }

    /// The size of the compressed samples in bytes.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds all samples to `out`.
    pub(crate) fn decode(&self, out: &mut Vec<(i64, f64)>) -> Result<(), SeriesError> {
        let count = self.count as usize;
        let mut reader = Reader::new(&self.bytes, "chunk");
        let from = out.len();
        decode_times(&mut reader, count, out)?;
        let mut slots = out[from..].iter_mut();
        decode_values(&mut reader, count, |value| {
            if let Some(slot) = slots.next() {
                slot.1 = value;
            }
        })
    }

    /// Writes it with its header, as block files hold it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind.code());
        put_int(out, self.min_ms);
        put_uint(out, self.max_ms.wrapping_sub(self.min_ms).cast_unsigned());
        put_uint(out, u64::from(self.count));
        put_bytes(out, &self.bytes);
    }

    /// Reads what [`Chunk::write`] wrote.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, SeriesError> {
        let kind = ChunkKind::of_code(reader.byte()?).ok_or_else(|| reader.corrupt())?;
        let min_ms = reader.int()?;
        let max_ms = min_ms.wrapping_add(reader.uint()?.cast_signed());
        let count = reader.u32()?;
        if count as usize > BLOCK_CHUNK_SAMPLES {
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

fn encode_times(out: &mut Vec<u8>, samples: &[(i64, f64)]) {
    let deltas: Vec<i64> = samples
        .windows(2)
        .map(|pair| pair[1].0.wrapping_sub(pair[0].0))
        .collect();
    let step = deltas.first().copied().unwrap_or_default();
    let regular = deltas.iter().all(|delta| *delta == step);
    out.push(u8::from(!regular));
    put_int(out, samples.first().map_or(0, |sample| sample.0));
    if regular {
        put_int(out, step);
    } else {
        pack(out, &deltas);
    }
}

fn decode_times(reader: &mut Reader<'_>, count: usize, out: &mut Vec<(i64, f64)>) -> Result<(), SeriesError> {
    let mode = reader.byte()?;
    let mut time = reader.int()?;
    if count == 0 {
        return Ok(());
    }
    out.push((time, 0.0));
    match mode {
        0 => {
            let step = reader.int()?;
            for _ in 1..count {
                time = time.wrapping_add(step);
                out.push((time, 0.0));
            }
            Ok(())
        }
        1 => reader.unpack(count - 1, |delta| {
            time = time.wrapping_add(delta);
            out.push((time, 0.0));
        }),
        _ => Err(reader.corrupt()),
    }
}

fn encode_values(out: &mut Vec<u8>, samples: &[(i64, f64)]) {
    let first_bits = samples.first().map_or(0, |sample| sample.1.to_bits());
    if samples.iter().all(|(_, value)| value.to_bits() == first_bits) {
        out.push(0);
        out.extend_from_slice(&first_bits.to_le_bytes());
    } else if let Some((exponent, wholes)) = decimals(samples) {
        out.push(1);
        out.push(exponent);
        put_int(out, wholes[0]);
        let deltas: Vec<i64> = wholes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        pack(out, &deltas);
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
    let mut exponent = 0;
    for (_, value) in samples {
        while to_decimal(*value, power_of_ten(exponent)).is_none() {
            exponent += 1;
            if exponent > MAX_EXPONENT {
                return None;
            }
        }
    }
    // A value that was exact at a smaller exponent may not be at this one: all are checked at the final one.
    let scale = power_of_ten(exponent);
    let wholes = samples
        .iter()
        .map(|(_, value)| to_decimal(*value, scale))
        .collect::<Option<_>>()?;
    Some((exponent, wholes))
}

fn to_decimal(value: f64, scale: f64) -> Option<i64> {
    let scaled = (value * scale).round();
    if scaled.is_nan() || scaled.abs() >= MAX_EXACT {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    let whole = scaled as i64;
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
    use crate::STALE_NAN;

    fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
        samples.iter().map(|(t, v)| (*t, v.to_bits())).collect()
    }

    fn round_trip(samples: &[(i64, f64)]) -> usize {
        let chunk = Chunk::encode(samples);
        let mut written = Vec::new();
        chunk.write(&mut written);
        let read = Chunk::read(&mut Reader::new(&written, "test")).expect("reads");
        let mut back = Vec::new();
        read.decode(&mut back).expect("decodes");
        assert_eq!(bits(&back), bits(samples));
        written.len()
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
        fn bit_for_bit(start in any::<i32>(), pieces in prop::collection::vec((1i64..100_000, value()), 1..BLOCK_CHUNK_SAMPLES)) {
            let mut time = i64::from(start);
            let samples: Vec<_> = pieces.into_iter().map(|(step, value)| { time += step; (time, value) }).collect();
            round_trip(&samples);
        }

        #[test]
        fn noise_is_an_error_never_a_panic(noise in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(chunk) = Chunk::read(&mut Reader::new(&noise, "test")) {
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
