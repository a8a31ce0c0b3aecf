//! Numbers as bytes: variable-length integers and groups of bit-packed integers.

use crate::error::SeriesError;

/// Integers are packed in groups of this many, each with its own minimum and width.
const GROUP: usize = 64;

pub(crate) fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Zigzag: small magnitudes of either sign are short.
pub(crate) fn put_int(out: &mut Vec<u8>, value: i64) {
    put_uint(out, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_option(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put_int(out, value);
        }
    }
}

/// A float in 1 to 9 bytes: how many of its leading bytes are significant, then these. Small whole numbers are short.
pub(crate) fn put_float(out: &mut Vec<u8>, value: f64) {
    let bytes = value.to_bits().to_be_bytes();
    let significant = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    out.push(significant.to_le_bytes()[0]);
    out.extend_from_slice(&bytes[..significant]);
}

/// How hard [`pack`] tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Each offset in a whole number of bits: what is written often.
    Fast,
    /// Where it is shorter, several offsets as the digits of one number: what is written once and kept.
    Tight,
}

/// Packs integers group by group: their minimum, then their offsets from it.
///
/// ```text
/// min int | width u8, up to 64     | per offset so many bits
/// min int | 64 + digits u8 | radix uint | per so many offsets the bits that `radix^digits` takes; the first is the lowest
/// ```
/// Offsets below 100 take 7 bits each, or 20 bits by three.
pub(crate) fn pack(out: &mut Vec<u8>, values: &[i64], packing: Packing) {
    for group in values.chunks(GROUP) {
        let min = group.iter().copied().min().unwrap_or_default();
        let max = group.iter().copied().max().unwrap_or_default();
        let span = max.wrapping_sub(min).cast_unsigned();
        let width = u64::BITS - span.leading_zeros();
        let offsets = group.iter().map(|value| value.wrapping_sub(min).cast_unsigned());
        put_int(out, min);
        let digits = match packing {
            Packing::Fast => None,
            Packing::Tight => Digits::shorter_than(width, span, group.len()),
        };
        let Some(digits) = digits else {
            out.push(width.to_le_bytes()[0]);
            put_bits(out, width, offsets);
            continue;
        };
        out.push(DIGITS + digits.count.to_le_bytes()[0]);
        put_uint(out, digits.radix);
        let words = group.chunks(digits.count as usize).map(|few| {
            let digits_of = few.iter().rev();
            digits_of.fold(0, |word, value| {
                word * digits.radix + value.wrapping_sub(min).cast_unsigned()
            })
        });
        put_bits(out, digits.bits(), words);
    }
}

/// The lowest bits of each number, one after another.
fn put_bits(out: &mut Vec<u8>, width: u32, numbers: impl Iterator<Item = u64>) {
    let (mut held, mut bits) = (0u128, 0);
    for number in numbers {
        held |= u128::from(number) << bits;
        bits += width;
        if bits >= u64::BITS {
            #[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
            out.extend_from_slice(&(held as u64).to_le_bytes());
            held >>= u64::BITS;
            bits -= u64::BITS;
        }
    }
    out.extend_from_slice(&held.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// Added to the number of digits where a width would stand.
const DIGITS: u8 = 64;
/// A number made of digits stays below this: dividing it by the radix is then a multiplication.
const MAX_WORD_BITS: u32 = 32;

/// So many offsets, each below the radix, as digits of one number of at most [`MAX_WORD_BITS`].
#[derive(Debug, Clone, Copy)]
struct Digits {
    count: u32,
    radix: u64,
}

impl Digits {
    fn checked(count: u32, radix: u64) -> Option<Self> {
        let digits = Self { count, radix };
        let whole = radix.checked_pow(count)?;
        (count >= 2 && radix >= 2 && whole <= 1 << MAX_WORD_BITS).then_some(digits)
    }

    fn bits(self) -> u32 {
        u64::BITS - (self.radix.pow(self.count) - 1).leading_zeros()
    }

    /// The shortest way for so many offsets up to `span`, if it is shorter than `width` bits each.
    fn shorter_than(width: u32, span: u64, offsets: usize) -> Option<Self> {
        let radix = span.checked_add(1)?;
        let bytes = |words: usize, bits: u32| (words * bits as usize).div_ceil(8);
        let radix_bytes = if radix < 0x80 { 1 } else { 2 };
        let found = (2..=8)
            .map_while(|count| Self::checked(count, radix))
            .min_by_key(|digits| bytes(offsets.div_ceil(digits.count as usize), digits.bits()))?;
        let taken = bytes(offsets.div_ceil(found.count as usize), found.bits()) + radix_bytes;
        (taken < bytes(offsets, width)).then_some(found)
    }
}

/// Reads what the functions above wrote; running out of bytes is an error that names `what`.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub(crate) fn corrupt(&self) -> SeriesError {
        SeriesError::Corrupt { what: self.what }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], SeriesError> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or_else(|| self.corrupt())?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, SeriesError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn uint(&mut self) -> Result<u64, SeriesError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.corrupt())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, SeriesError> {
        u32::try_from(self.uint()?).map_err(|_| self.corrupt())
    }

    pub(crate) fn int(&mut self) -> Result<i64, SeriesError> {
        let zigzag = self.uint()?;
        Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    /// A number of things of which each takes at least one byte: never more than the bytes left, so that a damaged
    /// count cannot ask for memory.
    pub(crate) fn count(&mut self) -> Result<usize, SeriesError> {
        usize::try_from(self.uint()?)
            .ok()
            .filter(|count| *count <= self.bytes.len())
            .ok_or_else(|| self.corrupt())
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], SeriesError> {
        let len = self.count()?;
        self.take(len)
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, SeriesError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt())
    }

    pub(crate) fn option(&mut self) -> Result<Option<i64>, SeriesError> {
        match self.byte()? {
            0 => Ok(None),
            1 => Ok(Some(self.int()?)),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn float(&mut self) -> Result<f64, SeriesError> {
        let significant = usize::from(self.byte()?);
        let mut bytes = [0; 8];
        let target = bytes.get_mut(..significant).ok_or_else(|| self.corrupt())?;
        target.copy_from_slice(self.take(significant)?);
        Ok(f64::from_bits(u64::from_be_bytes(bytes)))
    }

    pub(crate) fn u32_fixed(&mut self) -> Result<u32, SeriesError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(word))
    }

    pub(crate) fn u64_fixed(&mut self) -> Result<u64, SeriesError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    /// Hands `count` integers that [`pack`] wrote to `each`.
    pub(crate) fn unpack(&mut self, count: usize, mut each: impl FnMut(i64)) -> Result<(), SeriesError> {
        let mut left = count;
        while left > 0 {
            let size = left.min(GROUP);
            left -= size;
            let min = self.int()?;
            let width = self.byte()?;
            if width <= DIGITS {
                self.bits(size, usize::from(width), |offset| {
                    each(min.wrapping_add(offset.cast_signed()));
                })?;
                continue;
            }
            let digits = Digits::checked(u32::from(width - DIGITS), self.uint()?);
            let digits = digits.ok_or_else(|| self.corrupt())?;
            let radix = digits.radix;
            // The quotient by it is the upper half of the product, exactly, for numbers of 32 bits.
            let inverse = u128::from(u64::MAX / radix + 1);
            let mut offsets = size;
            let words = size.div_ceil(digits.count as usize);
            self.bits(words, digits.bits() as usize, |mut word| {
                for _ in 0..offsets.min(digits.count as usize) {
                    #[expect(clippy::cast_possible_truncation, reason = "shifted into 64 bits")]
                    let quotient = ((u128::from(word) * inverse) >> u64::BITS) as u64;
                    each(min.wrapping_add((word - quotient * radix).cast_signed()));
                    word = quotient;
                }
                offsets = offsets.saturating_sub(digits.count as usize);
            })?;
        }
        Ok(())
    }

    /// Hands out so many numbers of so many bits, at most a group and 64.
    #[inline]
    fn bits(&mut self, count: usize, width: usize, mut each: impl FnMut(u64)) -> Result<(), SeriesError> {
        let packed = self.take((count * width).div_ceil(8))?;
        // With room behind them, so that every number is a read of nine bytes.
        let mut bytes = [0; GROUP * 8 + 9];
        bytes[..packed.len()].copy_from_slice(packed);
        let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
        let mut bit = 0;
        for _ in 0..count {
            let at = bit / 8;
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            let shift = bit % 8;
            let mut number = u64::from_le_bytes(word) >> shift;
            if shift + width > 64 {
                number |= u64::from(bytes[at + 8]) << (64 - shift);
            }
            bit += width;
            each(number & mask);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Three of them in 20 bits instead of 21; at the edges of what a word holds nothing is lost.
    #[test]
    fn offsets_as_digits() {
        let packed = |values: &[i64]| {
            let mut bytes = Vec::new();
            pack(&mut bytes, values, Packing::Tight);
            let mut back = Vec::new();
            let mut reader = Reader::new(&bytes, "test");
            reader
                .unpack(values.len(), |value| back.push(value))
                .expect("unpacks");
            assert_eq!(back, values);
            bytes.len()
        };
        let below_100: Vec<i64> = (0..64).map(|at| at * 37 % 99 + at / 63).collect();
        assert!(packed(&below_100) <= 3 + 22 * 20 / 8, "{}", packed(&below_100));
        for radix in [
            2, 3, 5, 9, 10, 100, 127, 128, 129, 255, 1625, 1626, 65_535, 65_536, 65_537,
        ] {
            packed(&[0, radix - 1, radix - 1, radix - 1, 0, radix - 1, radix - 1].repeat(9));
        }
    }

    proptest! {
        #[test]
        fn packed_integers_come_back(
            values in prop::collection::vec(any::<i64>(), 0..200),
            small in 0u32..63,
            radix in 1i64..70_000,
            tight in any::<bool>(),
        ) {
            let values: Vec<i64> = values.into_iter().map(|v| if tight { (v >> small) % radix } else { v >> small }).collect();
            let (mut fast, mut bytes) = (Vec::new(), Vec::new());
            pack(&mut fast, &values, Packing::Fast);
            pack(&mut bytes, &values, Packing::Tight);
            prop_assert!(bytes.len() <= fast.len());
            for bytes in [fast, bytes] {
                let mut reader = Reader::new(&bytes, "test");
                let mut back = Vec::new();
                reader.unpack(values.len(), |v| back.push(v)).expect("unpacks");
                prop_assert!(reader.bytes.is_empty());
                prop_assert_eq!(&back, &values);
            }
        }

        #[test]
        fn numbers_come_back(int in any::<i64>(), bits in any::<u64>(), option in any::<Option<i64>>()) {
            let mut bytes = Vec::new();
            put_int(&mut bytes, int);
            put_float(&mut bytes, f64::from_bits(bits));
            put_option(&mut bytes, option);
            let mut reader = Reader::new(&bytes, "test");
            prop_assert_eq!(reader.int().expect("int"), int);
            prop_assert_eq!(reader.float().expect("float").to_bits(), bits);
            prop_assert_eq!(reader.option().expect("option"), option);
        }

        #[test]
        fn noise_is_an_error_never_a_panic(noise in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = Reader::new(&noise, "test");
            let _ = reader.unpack(1000, |_| {});
            let mut reader = Reader::new(&noise, "test");
            while reader.string().is_ok() && !reader.bytes.is_empty() {}
        }
    }
}
