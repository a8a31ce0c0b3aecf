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

/// Packs integers group by group: minimum, width in bits, then the differences to the minimum.
pub(crate) fn pack(out: &mut Vec<u8>, values: &[i64]) {
    for group in values.chunks(GROUP) {
        let min = group.iter().copied().min().unwrap_or_default();
        let max = group.iter().copied().max().unwrap_or_default();
        let width = u64::BITS - max.wrapping_sub(min).cast_unsigned().leading_zeros();
        put_int(out, min);
        out.push(width.to_le_bytes()[0]);
        let (mut held, mut bits) = (0u128, 0);
        for value in group {
            held |= u128::from(value.wrapping_sub(min).cast_unsigned()) << bits;
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
            let width = usize::from(self.byte()?);
            if width > 64 {
                return Err(self.corrupt());
            }
            let packed = self.take((size * width).div_ceil(8))?;
            // With room behind them, so that every value is a read of nine bytes.
            let mut bytes = [0; GROUP * 8 + 9];
            bytes[..packed.len()].copy_from_slice(packed);
            let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            let mut bit = 0;
            for _ in 0..size {
                let at = bit / 8;
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[at..at + 8]);
                let shift = bit % 8;
                let mut offset = u64::from_le_bytes(word) >> shift;
                if shift + width > 64 {
                    offset |= u64::from(bytes[at + 8]) << (64 - shift);
                }
                bit += width;
                each(min.wrapping_add((offset & mask).cast_signed()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_integers_come_back(values in prop::collection::vec(any::<i64>(), 0..200), small in 0u32..63) {
            let values: Vec<i64> = values.into_iter().map(|v| v >> small).collect();
            let mut bytes = Vec::new();
            pack(&mut bytes, &values);
            let mut reader = Reader::new(&bytes, "test");
            let mut back = Vec::new();
            reader.unpack(values.len(), |v| back.push(v)).expect("unpacks");
            prop_assert!(reader.bytes.is_empty());
            prop_assert_eq!(back, values);
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
