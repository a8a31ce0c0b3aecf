//! Integers in few bits: Rice's code, `value / 2^k` in unary and the rest in `k` bits. A value that is out of all
//! proportion is written as it is.

/// So many ones say that 64 bits follow.
const ESCAPE: u32 = 32;

/// Writes bits, the lowest first.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    pending: u128,
    filled: u32,
}

impl BitWriter {
    /// `value` is below 2 to the power of `width`, which is at most 64.
    fn bits(&mut self, value: u64, width: u32) {
        self.pending |= u128::from(value) << self.filled;
        self.filled += width;
        if self.filled >= 64 {
            self.bytes.extend_from_slice(&(self.pending as u64).to_le_bytes());
            self.pending >>= 64;
            self.filled -= 64;
        }
    }

    /// `k` is below 64.
    pub(super) fn rice(&mut self, value: u64, k: u32) {
        let ones = value >> k;
        if ones >= u64::from(ESCAPE) {
            self.bits((1 << ESCAPE) - 1, ESCAPE);
            self.bits(value, 64);
            return;
        }
        let head = ones as u32 + 1;
        let rest = value & ((1 << k) - 1);
        if head + k <= 64 {
            self.bits(((1 << ones) - 1) | (rest << head), head + k);
        } else {
            self.bits((1 << ones) - 1, head);
            self.bits(rest, k);
        }
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let rest = self.filled.div_ceil(8) as usize;
        self.bytes.extend(self.pending.to_le_bytes().iter().take(rest));
        self.bytes
    }
}

/// Reads bits; after the last one there are zeros.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bits, at least 57 of them.
    #[inline]
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        word >> (self.at % 8)
    }

    /// `width` is at most 57.
    fn bits(&mut self, width: u32) -> u64 {
        let value = self.peek() & ((1 << width) - 1);
        self.at += width as usize;
        value
    }

    /// What [`BitWriter::rice`] wrote.
    #[inline]
    pub(super) fn rice(&mut self, k: u32) -> u64 {
        let word = self.peek();
        let ones = word.trailing_ones();
        if ones >= ESCAPE {
            self.at += ESCAPE as usize;
            return self.bits(32) | self.bits(32) << 32;
        }
        let head = ones + 1;
        if head + k <= 57 {
            self.at += (head + k) as usize;
            return u64::from(ones) << k | (word >> head & ((1 << k) - 1));
        }
        self.at += head as usize;
        let low = self.bits(k.min(32));
        let high = self.bits(k.saturating_sub(32));
        u64::from(ones) << k | high << 32 | low
    }
}

/// The `k` that suits `count` values that add up to `sum`.
pub(super) fn rice_parameter(sum: u128, count: usize) -> u32 {
    // Half of all values should be below 2^k: ln 2 of the mean, about.
    let median = sum * 7 / (count.max(1) as u128 * 10);
    median.checked_ilog2().unwrap_or(0).min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_every_parameter() {
        let values: Vec<u64> = (0..64)
            .flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 5])
            .chain([u64::MAX])
            .collect();
        for k in 0..64 {
            let mut out = BitWriter::default();
            values.iter().for_each(|value| out.rice(*value, k));
            let bytes = out.into_bytes();
            let mut input = BitReader::new(&bytes);
            for value in &values {
                assert_eq!(input.rice(k), *value, "k = {k}");
            }
            assert_eq!(BitReader::new(&[]).rice(k), 0);
        }
    }

    #[test]
    fn small_values_take_few_bits() {
        let mut out = BitWriter::default();
        (0..800_u64).for_each(|step| out.rice(u64::from(step.is_multiple_of(10)), rice_parameter(80, 800)));
        assert_eq!(out.into_bytes().len(), 110);
    }
}
